//! One shard: one engine, fed by the records of one input partition, in order.
//!
//! Run to completion: a record is decoded, applied and told of before the next one is looked at.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hypocenter_engine::{
    AlertEvent, Decision, Decisions, Engine, HashSeed, IncidentId, OtherParameters, Policy,
    Progress, Seq, Snapshot, SnapshotError, Stats, Timestamp, Topology, Weighed,
};

use crate::clock::LogClock;
use crate::neighbours::{HoldReader, Holds};
use crate::offsets::Offsets;
use crate::sink::alertmanager::is_own;
use crate::source::{Arrival, Record, Shard};
use crate::state::{Begin, Keeper, Place};
use crate::wire::{Decoder, Options, Rejected, Scratch};

/// Who hears what a shard decides.
pub trait Listener {
    /// Every decision, in order.
    fn decided(&mut self, _decision: &Decision) {}

    /// What was weighed for the decisions that come next; only in a shard that is traced.
    fn stepped(&mut self, _step: &Stepped<'_>) {}

    /// A version of an incident is due: read it from the engine now.
    fn published(&mut self, engine: &Engine, version: &Version<'_>);

    /// What came before the restart is decided again and was not told: read the incidents there are
    /// from the engine now. `holds` is the version of the table of durations.
    fn restored(&mut self, _engine: &Engine, _shard: &Shard, _holds: Option<u64>) {}

    /// An event is about an alert that a Hypocenter made: it is left out, lest incidents be made of
    /// incidents.
    fn ignored_own(&mut self) {}

    /// A record, or one alert of it, cannot be read. Nothing else is lost.
    fn rejected(&mut self, rejection: &Rejection<'_>);

    /// One event has been decided, and all it caused handed over, `nanos` after its record was in
    /// the process.
    fn timed(&mut self, _nanos: u64) {}
}

/// One step of a traced engine: an event, or deadlines up to one published version.
#[derive(Clone, Copy, Debug)]
pub struct Stepped<'a> {
    /// The engine's time: log time of the event, or the deadline.
    pub now: Timestamp,
    /// What was weighed.
    pub weighed: &'a [Weighed],
}

/// A version of an incident, and the input that caused it.
#[derive(Clone, Copy, Debug)]
pub struct Version<'a> {
    /// The incident.
    pub incident: IncidentId,
    /// Its version.
    pub version: u64,
    /// The shard.
    pub shard: &'a Shard,
    /// Position of the record that caused it, or of the latest one when time did.
    pub position: u64,
    /// When that record was in the process; `None` when time caused it.
    pub since: Option<Instant>,
    /// Version of the table of rules' durations in use; `None` without one.
    pub holds: Option<u64>,
}

/// Something that cannot be read.
#[derive(Clone, Copy)]
pub struct Rejection<'a> {
    /// The shard.
    pub shard: &'a Shard,
    /// Position of the record.
    pub position: u64,
    /// Short class of the error, from a fixed set.
    pub class: &'static str,
    /// What is wrong, where, and how to mend it.
    pub reason: &'a dyn fmt::Display,
    /// The record as received.
    pub payload: &'a [u8],
}

/// What every shard of a process has in common.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Parameters.
    pub policy: Policy,
    /// Dependency graph.
    pub topology: Topology,
    /// Seed of the hash tables; changes no decision.
    pub seed: HashSeed,
    /// What the decoder accepts.
    pub decode: Options,
    /// How long conditions must hold before alerts fire.
    pub holds: Holds,
}

/// One engine and its place in the input, and the decoder that feeds it.
pub struct ShardRunner {
    decoder: Decoder,
    scratch: Scratch,
    lane: Lane,
}

/// One engine and its place in the input.
struct Lane {
    shard: Shard,
    engine: Engine,
    decisions: Decisions,
    holds: HoldReader,
    clock: LogClock,
    /// Whether every record there is has been read.
    caught_up: bool,
    /// Records before this only rebuild state: their outputs went out before a restart.
    quiet_before: u64,
    /// Whether what they rebuilt is still to be told.
    is_restoring: bool,
    position: u64,
    now: Timestamp,
    /// Events without a log time, whose own times had to serve.
    untimed: u64,
    rejected: u64,
    offsets: Offsets,
    traced: bool,
    /// Who is told what the engine is told, and keeps snapshots.
    keeper: Option<Keeper>,
    /// What the engine had counted before a restart.
    before: Stats,
}

impl ShardRunner {
    /// A shard without state. Outputs caused by records before `quiet_before` are not told.
    #[must_use]
    pub fn new(setup: &Setup, shard: Shard, quiet_before: u64) -> Self {
        let (policy, topology) = (setup.policy.clone(), setup.topology.clone());
        let lane = Lane {
            engine: Engine::new(policy, topology, &shard.to_string(), setup.seed),
            shard,
            decisions: Decisions::new(),
            holds: setup.holds.reader(),
            clock: LogClock::default(),
            caught_up: false,
            quiet_before,
            is_restoring: quiet_before > 0,
            position: 0,
            now: Timestamp::MIN,
            untimed: 0,
            rejected: 0,
            offsets: Offsets::default(),
            traced: false,
            keeper: None,
            before: Stats::default(),
        };
        Self { decoder: Decoder::new(setup.decode.clone()), scratch: Scratch::default(), lane }
    }

    /// A shard with the state that it had at a snapshot, of which further ones are kept. Outputs
    /// caused by records before `quiet_before` are not told.
    #[must_use]
    pub fn begin(
        setup: &Setup,
        shard: Shard,
        quiet_before: u64,
        begin: Begin,
        listener: &mut dyn Listener,
    ) -> Self {
        let mut runner = Self::new(setup, shard, quiet_before);
        let lane = &mut runner.lane;
        lane.keeper = begin.keeper;
        if let Some((engine, place)) = begin.restored {
            (lane.before, lane.now) = (*engine.stats(), engine.now());
            lane.engine = engine;
            lane.clock = LogClock::with(place.delay);
            lane.is_restoring = true;
            if let Some(last) = place.next.checked_sub(1) {
                lane.position = last;
                lane.offsets.decided(last);
            }
            let is_other = !lane.engine.topology().is(begin.graph.topology());
            if is_other && let Err(error) = runner.exchange_topology(&begin.graph, listener) {
                unreachable!("a snapshot is used if the graph comes after its own: {error}");
            }
        }
        runner
    }

    /// From now on, records are decoded so.
    pub fn exchange_decoder(&mut self, options: &Options) {
        self.decoder = Decoder::new(options.clone());
    }

    /// From the next record on, alerts are placed on another graph.
    ///
    /// # Errors
    /// Why the graph does not fit; nothing is changed then.
    pub fn exchange_topology(
        &mut self,
        next: &Arc<Snapshot>,
        listener: &mut dyn Listener,
    ) -> Result<(), SnapshotError> {
        let at = self.lane.exchange(listener, |engine, now, decisions| {
            engine.set_topology(Arc::clone(next), now, decisions)
        })?;
        if let Some(keeper) = &mut self.lane.keeper {
            keeper.placed_on(Arc::clone(next), at);
        }
        Ok(())
    }

    /// From the next record on, alerts are read by another mapping and other words for kinds.
    ///
    /// # Errors
    /// That the policy differs in more than these; nothing is changed then.
    pub fn exchange_mapping(
        &mut self,
        next: &Policy,
        listener: &mut dyn Listener,
    ) -> Result<(), OtherParameters> {
        let at = self.lane.exchange(listener, |engine, now, decisions| {
            engine.set_mapping(next.clone(), now, decisions)
        })?;
        if let Some(keeper) = &mut self.lane.keeper {
            keeper.mapped_by(next.clone(), at);
        }
        Ok(())
    }

    /// Whether what came before a restart has been told, and every record there is has been read.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.lane.caught_up && !self.lane.is_restoring
    }

    /// Version of the table of rules' durations in use; `None` without one.
    #[must_use]
    pub fn holds(&self) -> Option<u64> {
        self.lane.holds.version()
    }

    /// From now on, tells by [`Listener::stepped`] what is weighed for each decision.
    pub fn start_trace(&mut self) {
        self.lane.traced = true;
        self.lane.engine.start_trace();
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.lane.engine
    }

    /// The shard.
    #[must_use]
    pub fn shard(&self) -> &Shard {
        &self.lane.shard
    }

    /// Position of the latest record.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.lane.position
    }

    /// Log time, as far as it has come; `None` before the first event.
    #[must_use]
    pub fn now(&self) -> Option<Timestamp> {
        (self.lane.now > Timestamp::MIN).then_some(self.lane.now)
    }

    /// Events of recordings that do not say when they were received.
    #[must_use]
    pub fn untimed(&self) -> u64 {
        self.lane.untimed
    }

    /// Records and single alerts that could not be read.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.lane.rejected
    }

    /// Everything before this position need not be read again: it is decided, what it caused has
    /// arrived, and where snapshots are kept, one covers it.
    pub fn safe(&mut self) -> u64 {
        let safe = self.lane.offsets.safe();
        self.lane.keeper.as_ref().map_or(safe, |keeper| safe.min(keeper.covered()))
    }

    /// What the engine has counted in this process.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.lane.engine.stats().since(&self.lane.before)
    }

    /// Who keeps snapshots.
    #[must_use]
    pub fn keeper(&self) -> Option<&Keeper> {
        self.lane.keeper.as_ref()
    }

    /// Goes on with snapshots, at wall time `now`, once all that was sent is noted in
    /// [`Self::offsets`].
    pub fn keep(&mut self, now: Timestamp) {
        let place = self.lane.place(now);
        if let Lane { keeper: Some(keeper), offsets, engine, .. } = &mut self.lane {
            keeper.settle(offsets, engine, place);
        }
    }

    /// Takes a last snapshot, if all outputs have arrived, and waits for it at most `timeout`.
    pub fn keep_last(&mut self, now: Timestamp, timeout: Duration) {
        let place = self.lane.place(now);
        if let Lane { keeper: Some(keeper), offsets, engine, .. } = &mut self.lane {
            keeper.finish(offsets, engine, place, timeout);
        }
    }

    /// What may be committed.
    pub fn offsets(&mut self) -> &mut Offsets {
        &mut self.lane.offsets
    }

    /// Notes that no record is waiting: time may pass.
    pub fn caught_up(&mut self) {
        self.lane.caught_up = true;
    }

    /// The wall clock was set: log time is unknown until the next record says what it is.
    pub fn clock_stepped(&mut self) {
        self.lane.clock = LogClock::default();
    }

    /// Lets time pass in an idle shard, as far as log time has surely come by wall time `now`.
    pub fn tick(&mut self, now: Timestamp, listener: &mut dyn Listener) {
        self.lane.tick(now, listener);
    }

    /// Decodes a record, applies its events, and tells what they decide.
    pub fn record(&mut self, record: &Record<'_>, arrived: Timestamp, listener: &mut dyn Listener) {
        let since = Instant::now();
        let Self { decoder, lane, .. } = self;
        lane.begin(record.position, record.time, arrived, listener);
        let payload = record.payload;
        let outcome = decoder.decode(payload, &mut |decoded| match decoded {
            Ok(decoded) => {
                lane.take(&decoded.event, record.time.or(decoded.received_at), since, listener);
            }
            Err(refused) => lane.reject(payload, refused.reason.class(), &refused, listener),
        });
        if let Err(error) = outcome {
            lane.reject(payload, error.class(), &error, listener);
        }
        lane.offsets.decided(record.position);
    }

    /// Applies the events of a body that is decoded already, and tells what they decide.
    pub fn batch(&mut self, arrival: &Arrival<'_>, now: Timestamp, listener: &mut dyn Listener) {
        let Self { scratch, lane, .. } = self;
        let &Arrival { position, time, received, batch, .. } = arrival;
        lane.begin(position, Some(time), now, listener);
        batch.each(scratch, &mut |event| lane.take(event, Some(time), received, listener));
        for rejected @ Rejected { reason, .. } in &batch.rejected {
            lane.reject(&[], reason.class(), rejected, listener);
        }
        lane.offsets.decided(position);
    }
}

impl Lane {
    /// A record is here, at wall time `arrived`.
    fn begin(
        &mut self,
        position: u64,
        time: Option<Timestamp>,
        arrived: Timestamp,
        listener: &mut dyn Listener,
    ) {
        self.restored(position, listener);
        self.position = position;
        self.caught_up = false;
        if let Some(time) = time {
            self.clock.note(time, arrived);
        }
    }

    fn place(&self, now: Timestamp) -> Place {
        Place { next: self.offsets.next(), delay: self.clock.delay(), wall: now.as_nanos() }
    }

    /// Once the next record is one whose outputs go out, tells what those before it rebuilt.
    fn restored(&mut self, next: u64, listener: &mut dyn Listener) {
        if self.is_restoring && next >= self.quiet_before {
            self.is_restoring = false;
            let holds = self.holds.version();
            listener.restored(&self.engine, &self.shard, holds);
        }
    }

    fn reject(
        &mut self,
        payload: &[u8],
        class: &'static str,
        reason: &dyn fmt::Display,
        listener: &mut dyn Listener,
    ) {
        self.rejected += 1;
        if self.position < self.quiet_before {
            return;
        }
        let (shard, position) = (&self.shard, self.position);
        listener.rejected(&Rejection { shard, position, class, reason, payload });
    }

    /// When an event happened at the latest, by its own word.
    fn claimed_time(&self, event: &AlertEvent<'_>) -> Timestamp {
        let ended = event.ends_at.filter(|&end| Some(end) > event.starts_at && is_over(event));
        ended.or(event.starts_at).unwrap_or(self.now)
    }

    /// Applies an event at its log time, a recording's own, or, for bare alerts in a file, the
    /// alert's latest claim.
    fn take(
        &mut self,
        event: &AlertEvent<'_>,
        time: Option<Timestamp>,
        since: Instant,
        listener: &mut dyn Listener,
    ) {
        if is_own(event) {
            return listener.ignored_own();
        }
        self.untimed += u64::from(time.is_none());
        let time = time.unwrap_or_else(|| self.claimed_time(event));
        let held = self.holds.table().held(event.labels);
        let event = &AlertEvent { held, ..*event };
        self.now = self.now.max(time);
        self.advance(time, Some(since), listener);
        self.decisions.clear();
        self.engine.apply(Seq(self.position), event, time, &mut self.decisions);
        if let Some(keeper) = &mut self.keeper {
            keeper.applied(Seq(self.position), event, time);
        }
        self.tell(Some(since), listener);
        listener.timed(u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }

    fn tick(&mut self, now: Timestamp, listener: &mut dyn Listener) {
        let Some(passed) = self.clock.passed(now).filter(|_| self.caught_up) else {
            return;
        };
        self.restored(self.position + 1, listener);
        if self.engine.next_deadline().is_some_and(|deadline| deadline <= passed) {
            if let Some(keeper) = &mut self.keeper {
                keeper.advanced(passed);
            }
            self.advance(passed, None, listener);
        }
    }

    fn advance(&mut self, to: Timestamp, since: Option<Instant>, listener: &mut dyn Listener) {
        loop {
            self.decisions.clear();
            let progress = self.engine.advance(to, &mut self.decisions);
            self.tell(since, listener);
            if progress == Progress::Done {
                break;
            }
        }
    }

    /// Changes the engine between two records, as of the latest one's time, which is returned.
    fn exchange<E>(
        &mut self,
        listener: &mut dyn Listener,
        change: impl FnOnce(&mut Engine, Timestamp, &mut Decisions) -> Result<(), E>,
    ) -> Result<Timestamp, E> {
        let now = self.engine.now();
        self.decisions.clear();
        change(&mut self.engine, now, &mut self.decisions)?;
        self.tell(None, listener);
        Ok(now)
    }

    fn tell(&mut self, since: Option<Instant>, listener: &mut dyn Listener) {
        // What a record caused before the restart went out then; what time causes now did not.
        let is_quiet = since.is_some() && self.position < self.quiet_before;
        if self.traced {
            let weighed = self.engine.take_trace();
            if !is_quiet {
                listener.stepped(&Stepped { now: self.engine.now(), weighed: &weighed });
            }
        }
        if is_quiet {
            return;
        }
        for decision in self.decisions.as_slice() {
            listener.decided(decision);
            if let &Decision::Published { incident, version } = decision {
                let (shard, position) = (&self.shard, self.position);
                let holds = self.holds.version();
                let version = Version { incident, version, shard, position, since, holds };
                listener.published(&self.engine, &version);
            }
        }
    }
}

fn is_over(event: &AlertEvent<'_>) -> bool {
    event.status == Some(hypocenter_engine::Status::Resolved)
}
