//! What leaves the pipeline: incident records to every sink, unreadable input to dead letters.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use hypocenter_engine::{Decision, Engine};
use tracing::{debug, warn};

use crate::board::Board;
use crate::metrics::{OWN, Snapshot};
use crate::record::{IncidentRecord, rfc3339};
use crate::replay::latency_histogram;
use crate::shard::{Listener, Rejection, ShardRunner, Version};
use crate::sink::kafka::{DeadLetter, KafkaSink};
use crate::sink::{Cause, Outgoing, Sink, SinkError};
use crate::source::Shard;

/// Rejections that are logged one by one; after these, each one whose number is a power of two.
const LOGGED_ONE_BY_ONE: u64 = 10;

/// All sinks of a process. A record goes to each of them.
pub struct Outbox {
    sinks: Vec<Box<dyn Sink>>,
    dead_letters: Option<DeadLetters>,
    board: Option<Board>,
    body: Vec<u8>,
    /// Counters of the pipeline.
    pub counters: Snapshot,
    /// Decision latency of every event, in nanoseconds.
    latency: Histogram<u64>,
    /// Causes of outputs handed over since they were last taken.
    sent: Vec<Cause>,
    /// Outputs handed over that have not arrived.
    outstanding: u64,
    failure: Option<SinkError>,
    rejected: u64,
}

struct DeadLetters {
    sink: KafkaSink,
    topic: String,
}

impl Outbox {
    /// An outbox with these sinks.
    #[must_use]
    pub fn new(sinks: Vec<Box<dyn Sink>>) -> Self {
        Self {
            sinks,
            dead_letters: None,
            board: None,
            body: Vec::new(),
            counters: Snapshot::default(),
            latency: latency_histogram(),
            sent: Vec::new(),
            outstanding: 0,
            failure: None,
            rejected: 0,
        }
    }

    /// Sends what cannot be read to a topic.
    #[must_use]
    pub fn with_dead_letters(mut self, sink: KafkaSink, topic: String) -> Self {
        self.dead_letters = Some(DeadLetters { sink, topic });
        self
    }

    /// Shows every version to readers.
    #[must_use]
    pub fn with_board(mut self, board: Board) -> Self {
        self.board = Some(board);
        self
    }

    /// Decision latency of every event so far, in nanoseconds.
    #[must_use]
    pub fn latency(&self) -> &Histogram<u64> {
        &self.latency
    }

    /// The first failure of a sink that cannot go on.
    pub fn take_failure(&mut self) -> Option<SinkError> {
        self.failure.take()
    }

    /// Whether a sink has failed: nothing more is decided then.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// The causes of outputs handed over since the last call, one for each output and sink.
    pub fn take_sent(&mut self, each: &mut dyn FnMut(&Cause)) {
        self.outstanding += self.sent.len() as u64;
        self.sent.drain(..).for_each(|cause| each(&cause));
    }

    /// The causes of outputs that have arrived, one for each output and sink.
    ///
    /// # Errors
    /// [`SinkError`] when an output will never arrive.
    pub fn acknowledged(&mut self, each: &mut dyn FnMut(Cause)) -> Result<(), SinkError> {
        let outstanding = &mut self.outstanding;
        let mut arrived = |cause| {
            *outstanding = outstanding.saturating_sub(1);
            each(cause);
        };
        for sink in &mut self.sinks {
            sink.acknowledged(&mut arrived)?;
        }
        if let Some(dead_letters) = &mut self.dead_letters {
            dead_letters.sink.acknowledged(&mut arrived)?;
        }
        Ok(())
    }

    /// Outputs that were handed over and have not arrived.
    #[must_use]
    pub fn outstanding(&self) -> u64 {
        self.outstanding
    }

    /// Waits until all outputs have arrived, at most `timeout`. Whether they have.
    pub fn flush(&mut self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        let left = || until.saturating_duration_since(Instant::now());
        let mut all = true;
        for sink in &mut self.sinks {
            all &= sink.flush(left());
        }
        if let Some(dead_letters) = &mut self.dead_letters {
            all &= dead_letters.sink.flush(left());
        }
        all
    }

    /// The newest state of a shard's incidents has been told.
    pub fn caught_up(&mut self, shard: &Shard) {
        for sink in &mut self.sinks {
            if let Err(error) = sink.caught_up(shard) {
                self.failure.get_or_insert(error);
            }
        }
    }

    /// A shard is not ours any more.
    pub fn released(&mut self, shard: &Shard) {
        if let Some(board) = &self.board {
            board.forget(shard);
        }
        for sink in &mut self.sinks {
            if let Err(error) = sink.released(shard) {
                self.failure.get_or_insert(error);
            }
        }
    }

    /// Puts other sinks in the place of these, and tells those what they would know after a restart.
    pub fn exchange<'s>(
        &mut self,
        sinks: Vec<Box<dyn Sink>>,
        shards: impl Iterator<Item = &'s ShardRunner>,
    ) {
        self.sinks = sinks;
        for runner in shards {
            let (engine, shard) = (runner.engine(), runner.shard());
            for view in engine.incidents() {
                let record = IncidentRecord::new(engine, &view, shard).with_rules(runner.holds());
                self.restore(shard, &rendered(&record));
            }
            if runner.is_live() {
                self.caught_up(runner.shard());
            }
        }
    }

    /// Says whether some source of the graph has not answered for long, in every record from now on.
    pub fn set_topology_stale(&mut self, is_stale: bool) {
        self.counters.topology_stale = is_stale;
    }

    fn restore(&mut self, shard: &Shard, body: &[u8]) {
        for sink in &mut self.sinks {
            if let Err(error) = sink.restore(shard, body) {
                self.failure.get_or_insert(error);
            }
        }
    }

    fn fail(&mut self, error: SinkError) {
        self.failure.get_or_insert(error);
    }
}

impl Listener for Outbox {
    fn decided(&mut self, decision: &Decision) {
        debug!(?decision, "decided");
        if let Some(board) = &self.board {
            board.decided(decision);
        }
    }

    fn published(&mut self, engine: &Engine, version: &Version<'_>) {
        let Some(view) = engine.incident(version.incident) else {
            return;
        };
        let record = IncidentRecord::new(engine, &view, version.shard)
            .with_rules(version.holds)
            .with_stale_topology(self.counters.topology_stale);
        self.body.clear();
        if let Err(error) = serde_json::to_writer(&mut self.body, &record) {
            unreachable!("a record is JSON: {error}");
        }
        let cause = Cause { shard: version.shard.clone(), position: version.position };
        let outgoing = Outgoing {
            incident: &record.incident,
            version: record.version,
            body: &self.body,
            headers: &headers(&record, version),
            cause: cause.clone(),
        };
        for sink in &mut self.sinks {
            match sink.send(&outgoing) {
                Ok(()) => self.sent.push(cause.clone()),
                Err(error) => {
                    self.failure.get_or_insert(error);
                }
            }
        }
        if let Some(board) = &self.board {
            board.published(version.incident, &record, version.shard, &self.body);
        }
    }

    fn ignored_own(&mut self) {
        self.counters.events_suppressed.add(OWN, 1);
    }

    fn restored(&mut self, engine: &Engine, shard: &Shard, holds: Option<u64>) {
        for view in engine.incidents() {
            let record = IncidentRecord::new(engine, &view, shard).with_rules(holds);
            let body = rendered(&record);
            if let Some(board) = &self.board {
                let members = view.members();
                members.for_each(|member| board.restored(view.id(), member.alert.fingerprint));
                board.published(view.id(), &record, shard, &body);
            }
            self.restore(shard, &body);
        }
    }

    fn rejected(&mut self, rejection: &Rejection<'_>) {
        let Rejection { shard, position, class, reason, payload } = *rejection;
        self.rejected += 1;
        self.counters.reject(class);
        if self.rejected <= LOGGED_ONE_BY_ONE || self.rejected.is_power_of_two() {
            let input = &shard.input;
            let (partition, total) = (shard.partition, self.rejected);
            warn!(input, partition, position, class, total, "cannot read input: {reason}");
        }
        let reason = reason.to_string();
        let cause = Cause { shard: shard.clone(), position };
        let Some(dead_letters) = &mut self.dead_letters else {
            return;
        };
        let letter = DeadLetter { cause: cause.clone(), class, reason: &reason, payload };
        match dead_letters.sink.dead_letter(&dead_letters.topic, &letter) {
            Ok(()) => {
                self.counters.dead_letters += 1;
                self.sent.push(cause);
            }
            Err(error) => self.fail(error),
        }
    }

    fn timed(&mut self, nanos: u64) {
        self.counters.latency.record(nanos);
        self.latency.saturating_record(nanos);
    }
}

fn rendered(record: &IncidentRecord<'_>) -> Vec<u8> {
    match serde_json::to_vec(record) {
        Ok(body) => body,
        Err(error) => unreachable!("a record is JSON: {error}"),
    }
}

/// CloudEvents 1.0 attributes, in the Kafka and HTTP header form, and how long it took.
fn headers<'h>(record: &IncidentRecord<'_>, version: &Version<'_>) -> [(&'h str, String); 8] {
    let input = &version.shard.input;
    let latency = version.since.map_or(0, |since| since.elapsed().as_nanos());
    [
        ("content-type", "application/json".to_owned()),
        ("ce_specversion", "1.0".to_owned()),
        ("ce_type", "io.hypocenter.incident.v1".to_owned()),
        ("ce_source", format!("/hypocenter/{input}/{}", version.shard.partition)),
        ("ce_id", format!("{}:{}", record.incident, record.version)),
        ("ce_time", rfc3339(record.updated.0)),
        ("ce_subject", record.incident.clone()),
        ("ce_decisionlatencyns", latency.to_string()),
    ]
}
