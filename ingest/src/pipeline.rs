//! The pipeline: records in, decisions in the shards, incident records out, and positions
//! committed once what they caused has arrived. One thread.

mod remote;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hypocenter_engine::{Policy, Snapshot, Stats, Topology};
use tracing::{info, warn};

pub use remote::{Change, Changes, Remote, remote};

use crate::clock::{self, StepWatch};
use crate::metrics::{Metrics, ShardSnapshot};
use crate::outbox::Outbox;
use crate::shard::{Setup, ShardRunner};
use crate::sink::{Sink, SinkError};
use crate::source::{Input, Polled, Shard, Source, SourceError};
use crate::state::{Keeper, Store};
use crate::wire::Options;

/// Longest wait for input; an idle tick is late by no more.
const POLL: Duration = Duration::from_millis(100);
/// Longest wait for outputs to arrive when a shard is given away or the process ends.
const DRAIN: Duration = Duration::from_secs(10);

/// Why a pipeline ended early.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The input cannot go on.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// An output cannot go on.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// Outputs did not arrive in time; their inputs are not committed and will be read again.
    #[error(
        "leaving: {outstanding} outputs were not acknowledged within {seconds} s; a Kafka input is not committed past them and is read again at the next start, any other must be given again"
    )]
    Drain {
        /// How many.
        outstanding: u64,
        /// How long was waited.
        seconds: u64,
    },
}

/// All shards of a process and what they speak to.
pub struct Pipeline {
    setup: Setup,
    shards: BTreeMap<Shard, ShardRunner>,
    outbox: Outbox,
    metrics: Metrics,
    /// Counters of shards that are gone.
    past: Stats,
    given_up: Vec<Shard>,
    steps: StepWatch,
    store: Option<Arc<Store>>,
    changes: Option<Changes>,
}

impl Pipeline {
    /// A pipeline without shards: the source assigns them.
    #[must_use]
    pub fn new(setup: Setup, outbox: Outbox, metrics: Metrics) -> Self {
        Self {
            setup,
            shards: BTreeMap::new(),
            outbox,
            metrics,
            past: Stats::default(),
            given_up: Vec::new(),
            steps: StepWatch::default(),
            store: None,
            changes: None,
        }
    }

    /// Begins each shard with its snapshot, if there is one, and keeps further ones.
    #[must_use]
    pub fn with_snapshots(mut self, store: Arc<Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Lets others ask for changes.
    #[must_use]
    pub fn with_changes(mut self, changes: Changes) -> Self {
        self.changes = Some(changes);
        self
    }

    /// Runs until the source ends or `stop` is set, then drains: what has been read is decided,
    /// delivered and committed.
    ///
    /// # Errors
    /// [`PipelineError`]; nothing that was not delivered is committed.
    pub fn run(
        &mut self,
        source: &mut dyn Source,
        stop: &Arc<AtomicBool>,
    ) -> Result<(), PipelineError> {
        while !stop.load(Ordering::Relaxed) {
            let polled = source.poll(POLL, &mut |input| self.take(input))?;
            if let Some(failure) = self.outbox.take_failure() {
                return Err(failure.into());
            }
            // Every time: a busy partition must not keep time from a quiet one.
            self.tick();
            self.settle(source)?;
            self.publish_metrics();
            self.make_changes();
            if polled == Polled::End {
                break;
            }
        }
        source.drain(&mut |input| self.take(input))?;
        self.drain(source)
    }

    /// Makes the changes that others have asked for, between two records.
    pub fn make_changes(&mut self) {
        if let Some(changes) = self.changes.take() {
            changes.make(self);
            self.changes = Some(changes);
        }
    }

    /// The shards, to look at.
    pub fn shards(&self) -> impl Iterator<Item = &ShardRunner> {
        self.shards.values()
    }

    /// The outbox, to look at.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// From now on, records go to the sinks that `make` makes, once what went to the old ones has
    /// arrived.
    ///
    /// # Errors
    /// That it has not arrived in time, or why there are no new ones; the old ones go on then.
    pub fn exchange_outputs(
        &mut self,
        make: impl FnOnce() -> Result<Vec<Box<dyn Sink>>, SinkError>,
    ) -> Result<(), String> {
        self.outbox.flush(DRAIN);
        self.note_deliveries().map_err(|error| error.to_string())?;
        let outstanding = self.outbox.outstanding();
        if outstanding > 0 {
            let seconds = DRAIN.as_secs();
            return Err(format!(
                "outputs: {outstanding} records have not arrived within {seconds} s at the outputs \
                 in force; reload again once they have"
            ));
        }
        let sinks = make().map_err(|error| format!("outputs: {error}"))?;
        self.outbox.exchange(sinks, self.shards.values());
        Ok(())
    }

    /// From the next record of each shard on, alerts are placed on another graph, built after the
    /// one in force, and read by a policy that differs from the one in force in mapping and kinds
    /// at most.
    ///
    /// # Errors
    /// Why they do not fit.
    pub fn exchange_world(
        &mut self,
        graph: Option<Arc<Snapshot>>,
        policy: Policy,
    ) -> Result<(), String> {
        let is_read_anew = policy.hash() != self.setup.policy.hash();
        for (shard, runner) in &mut self.shards {
            let (input, partition, position) = (&shard.input, shard.partition, runner.position());
            if is_read_anew {
                runner
                    .exchange_mapping(&policy, &mut self.outbox)
                    .map_err(|error| error.to_string())?;
                let hash = format!("{:016x}", policy.hash());
                info!(input, partition, position, policy = hash, "mapping exchanged");
            }
            if let Some(graph) = &graph {
                runner
                    .exchange_topology(graph, &mut self.outbox)
                    .map_err(|error| error.to_string())?;
                let version = format!("{:016x}", graph.topology().version());
                info!(input, partition, position, topology = version, "topology exchanged");
            }
        }
        if let Some(store) = &self.store {
            store.exchange(policy.clone(), graph.clone().unwrap_or_else(|| store.graph()));
        }
        self.setup.policy = policy;
        if let Some(graph) = graph {
            self.setup.topology = graph.topology().clone();
        }
        Ok(())
    }

    /// From the next record of each shard on, alerts are placed on another graph, built after the
    /// one in force.
    ///
    /// # Errors
    /// Why it does not fit.
    pub fn exchange_graph(&mut self, graph: Arc<Snapshot>) -> Result<(), String> {
        self.exchange_world(Some(graph), self.setup.policy.clone())
    }

    /// The graph that alerts are placed on.
    #[must_use]
    pub fn topology(&self) -> &Topology {
        &self.setup.topology
    }

    /// Says whether some source of the graph has not answered for long.
    pub fn set_topology_stale(&mut self, is_stale: bool) {
        self.outbox.set_topology_stale(is_stale);
    }

    /// Whether some source of the graph has not answered for long.
    #[must_use]
    pub fn is_topology_stale(&self) -> bool {
        self.outbox.counters.topology_stale
    }

    /// From now on, records are decoded so.
    pub fn exchange_decoder(&mut self, options: &Options) {
        self.setup.decode.clone_from(options);
        self.shards.values_mut().for_each(|runner| runner.exchange_decoder(options));
    }

    fn take(&mut self, input: Input<'_>) {
        if self.outbox.has_failed() {
            // What comes after a failed output is not decided, so it is not committed either.
            return;
        }
        match input {
            Input::Assigned(assignment) => {
                let quiet_before = assignment.committed.unwrap_or(0);
                let shard = assignment.shard.clone();
                let (input, partition) = (&shard.input, shard.partition);
                info!(input, partition, start = ?assignment.start, quiet_before, "assigned");
                let (setup, seed, start) = (&self.setup, self.setup.seed, assignment.start);
                let runner = match &self.store {
                    None => ShardRunner::new(setup, shard.clone(), quiet_before),
                    Some(store) => {
                        let begin = store.begin(&shard, seed, (start, quiet_before), clock::wall());
                        let (shard, outbox) = (shard.clone(), &mut self.outbox);
                        ShardRunner::begin(setup, shard, quiet_before, begin, outbox)
                    }
                };
                self.shards.insert(shard, runner);
            }
            Input::Record(record) => {
                self.outbox.counters.records += 1;
                match self.shards.get_mut(record.shard) {
                    Some(runner) => runner.record(&record, clock::wall(), &mut self.outbox),
                    None => warn!(shard = ?record.shard, "a record of a shard that is not ours"),
                }
            }
            Input::Batch(arrival) => {
                self.outbox.counters.records += 1;
                match self.shards.get_mut(arrival.shard) {
                    Some(runner) => runner.batch(arrival, clock::wall(), &mut self.outbox),
                    None => warn!(shard = ?arrival.shard, "a body of a shard that is not ours"),
                }
            }
            Input::CaughtUp(shard) => {
                if let Some(runner) = self.shards.get_mut(shard) {
                    runner.caught_up();
                    self.outbox.caught_up(shard);
                }
            }
            Input::Revoked(shard) => self.given_up.push(shard.clone()),
            Input::Lost(shard) => {
                warn!(?shard, "lost: its state is dropped");
                self.forget(shard);
            }
        }
    }

    fn tick(&mut self) {
        let now = clock::wall();
        if self.steps.has_stepped(now, Instant::now()) {
            warn!("the wall clock was set: idle partitions wait for a record to tell the time");
            self.shards.values_mut().for_each(ShardRunner::clock_stepped);
        }
        for runner in self.shards.values_mut() {
            runner.tick(now, &mut self.outbox);
        }
    }

    /// Takes in acknowledgements and commits what they allow.
    fn settle(&mut self, source: &mut dyn Source) -> Result<(), PipelineError> {
        if !self.given_up.is_empty() {
            self.outbox.flush(DRAIN);
        }
        self.note_deliveries()?;
        for shard in &self.given_up {
            if let Some(runner) = self.shards.get_mut(shard) {
                runner.keep_last(clock::wall(), DRAIN);
            }
        }
        for (shard, runner) in &mut self.shards {
            runner.keep(clock::wall());
            let safe = runner.safe();
            if safe > 0 {
                source.commit(shard, safe);
            }
        }
        for shard in std::mem::take(&mut self.given_up) {
            info!(input = shard.input, partition = shard.partition, "given up");
            self.forget(&shard);
        }
        Ok(())
    }

    fn note_deliveries(&mut self) -> Result<(), PipelineError> {
        let shards = &mut self.shards;
        self.outbox.take_sent(&mut |cause| {
            if let Some(runner) = shards.get_mut(&cause.shard) {
                runner.offsets().sent(cause.position);
            }
        });
        self.outbox.acknowledged(&mut |cause| {
            if let Some(runner) = shards.get_mut(&cause.shard) {
                runner.offsets().acknowledged(cause.position);
            }
        })?;
        Ok(())
    }

    fn forget(&mut self, shard: &Shard) {
        if let Some(runner) = self.shards.remove(shard) {
            self.past.add(&runner.stats());
            self.outbox.released(shard);
        }
    }

    fn drain(&mut self, source: &mut dyn Source) -> Result<(), PipelineError> {
        self.outbox.flush(DRAIN);
        self.note_deliveries()?;
        for runner in self.shards.values_mut() {
            runner.keep_last(clock::wall(), DRAIN);
        }
        self.settle(source)?;
        source.close();
        self.publish_metrics();
        match self.outbox.outstanding() {
            0 => Ok(()),
            outstanding => Err(PipelineError::Drain { outstanding, seconds: DRAIN.as_secs() }),
        }
    }

    fn publish_metrics(&mut self) {
        let mut sum = self.past;
        let (mut open, mut live) = (0, 0);
        for runner in self.shards.values() {
            sum.add(&runner.stats());
            open += u64::from(runner.engine().incidents_live());
            live += u64::from(runner.engine().alerts_live());
        }
        let counters = &mut self.outbox.counters;
        counters.take(&sum);
        counters.incidents_open = open;
        counters.alerts_live = live;
        counters.snapshot_loads = self.store.as_ref().map(|store| store.loads());
        counters.shards.clear();
        for (shard, runner) in &mut self.shards {
            let committed = runner.safe();
            counters.shards.push(ShardSnapshot {
                input: shard.input.clone(),
                partition: shard.partition,
                position: runner.offsets().next(),
                committed,
                log_time: runner.now().map(|now| now.as_millis() as f64 / 1e3),
                snapshots: runner.keeper().map(Keeper::progress),
            });
        }
        self.metrics.publish(counters);
    }
}
