//! One shard: one engine, fed by the records of one input partition, in order.
//!
//! Run to completion: a record is decoded, applied and told of before the next one is looked at.

use std::fmt;
use std::time::Instant;

use hypocenter_engine::{
    Decision, Decisions, Engine, HashSeed, IncidentId, Policy, Progress, Seq, Timestamp, Topology,
};

use crate::clock::LogClock;
use crate::offsets::Offsets;
use crate::source::{Record, Shard};
use crate::wire::{Decoded, Decoder, Options};

/// Who hears what a shard decides.
pub trait Listener {
    /// Every decision, in order.
    fn decided(&mut self, _decision: &Decision) {}

    /// A version of an incident is due: read it from the engine now.
    fn published(&mut self, engine: &Engine, version: &Version<'_>);

    /// A record, or one alert of it, cannot be read. Nothing else is lost.
    fn rejected(&mut self, rejection: &Rejection<'_>);

    /// One event has been decided, and all it caused handed over, `nanos` after its record was in
    /// the process.
    fn timed(&mut self, _nanos: u64) {}
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
}

/// One engine and its place in the input.
pub struct ShardRunner {
    shard: Shard,
    engine: Engine,
    decoder: Decoder,
    decisions: Decisions,
    clock: LogClock,
    /// Whether every record there is has been read.
    caught_up: bool,
    /// Records before this only rebuild state: their outputs went out before a restart.
    quiet_before: u64,
    position: u64,
    now: Timestamp,
    events: u64,
    rejected: u64,
    /// What may be committed.
    pub offsets: Offsets,
}

impl ShardRunner {
    /// A shard without state. Outputs caused by records before `quiet_before` are not told.
    #[must_use]
    pub fn new(setup: &Setup, shard: Shard, quiet_before: u64) -> Self {
        let (policy, topology) = (setup.policy.clone(), setup.topology.clone());
        Self {
            engine: Engine::new(policy, topology, shard.partition, setup.seed),
            decoder: Decoder::new(setup.decode.clone()),
            shard,
            decisions: Decisions::new(),
            clock: LogClock::default(),
            caught_up: false,
            quiet_before,
            position: 0,
            now: Timestamp::MIN,
            events: 0,
            rejected: 0,
            offsets: Offsets::default(),
        }
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The shard.
    #[must_use]
    pub fn shard(&self) -> &Shard {
        &self.shard
    }

    /// Position of the latest record.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Alerts refused, and bodies.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.rejected
    }

    /// Decodes a record, applies its events, and tells what they decide.
    pub fn record(&mut self, record: &Record<'_>, arrived: Timestamp, listener: &mut dyn Listener) {
        let since = Instant::now();
        self.position = record.position;
        self.caught_up = false;
        if let Some(time) = record.time {
            self.clock.note(time, arrived);
        }
        // The decoder lends out its buffers while the engine is at work: they part for a while.
        let mut decoder = std::mem::replace(&mut self.decoder, Decoder::new(Options::default()));
        let outcome = decoder.decode(record.payload, &mut |decoded| match decoded {
            Ok(decoded) => {
                self.apply(record, &decoded, since, listener);
                let nanos = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
                listener.timed(nanos);
            }
            Err(refused) => {
                let class = refused.reason.class();
                self.reject(record, class, &refused, listener);
            }
        });
        self.decoder = decoder;
        if let Err(error) = outcome {
            self.reject(record, error.class(), &error, listener);
        }
        self.offsets.decided(record.position);
    }

    fn reject(
        &mut self,
        record: &Record<'_>,
        class: &'static str,
        reason: &dyn fmt::Display,
        listener: &mut dyn Listener,
    ) {
        self.rejected += 1;
        let (shard, position, payload) = (record.shard, record.position, record.payload);
        listener.rejected(&Rejection { shard, position, class, reason, payload });
    }

    fn apply(
        &mut self,
        record: &Record<'_>,
        decoded: &Decoded<'_>,
        since: Instant,
        listener: &mut dyn Listener,
    ) {
        let event = &decoded.event;
        // Log time; a recording's own; or, for bare alerts in a file, the alert's latest claim.
        let claimed = || event.ends_at.filter(|&end| Some(end) > event.starts_at && is_over(event));
        let time = record
            .time
            .or(decoded.received_at)
            .or_else(claimed)
            .or(event.starts_at)
            .unwrap_or(self.now);
        self.now = self.now.max(time);
        self.events += 1;
        self.advance(time, Some(since), listener);
        self.decisions.clear();
        self.engine.apply(Seq(record.position), event, time, &mut self.decisions);
        self.tell(Some(since), listener);
    }

    /// Notes that no record is waiting: time may pass.
    pub fn caught_up(&mut self) {
        self.caught_up = true;
    }

    /// Lets time pass in an idle shard, as far as log time has surely come by wall time `now`.
    pub fn tick(&mut self, now: Timestamp, listener: &mut dyn Listener) {
        let Some(passed) = self.clock.passed(now).filter(|_| self.caught_up) else { return };
        if self.engine.next_deadline().is_some_and(|deadline| deadline <= passed) {
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

    fn tell(&mut self, since: Option<Instant>, listener: &mut dyn Listener) {
        if self.position < self.quiet_before {
            return;
        }
        for decision in self.decisions.as_slice() {
            listener.decided(decision);
            if let &Decision::Published { incident, version } = decision {
                let (shard, position) = (&self.shard, self.position);
                let version = Version { incident, version, shard, position, since };
                listener.published(&self.engine, &version);
            }
        }
    }
}

fn is_over(event: &hypocenter_engine::AlertEvent<'_>) -> bool {
    event.status == Some(hypocenter_engine::Status::Resolved)
}
