//! Driving an engine with messages: as records through a shard, or as events by hand.

use std::time::Instant;

use hypocenter::neighbours::{HoldTable, Holds};
use hypocenter::shard::{Listener, Rejection, Setup, ShardRunner, Version};
use hypocenter::source::{Record, Shard};
use hypocenter::wire::Options;
use hypocenter_engine::{
    AlertEvent, Decision, Decisions, Engine, HashSeed, Policy, Progress, Seq, Topology,
};

use super::allocations;
use crate::synth::workload::{Message, Workload, fold};

/// Decisions of a batch for which there is room from the beginning.
const LOG: usize = 64 << 10;

/// What one batch cost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    pub(super) nanos: u64,
    pub(super) allocations: u64,
}

/// Takes messages to decisions.
pub(super) trait Driver {
    /// Applies messages; only that is timed, and not how they are written.
    fn apply(&mut self, workload: &Workload, messages: &[Message]) -> Cost;

    /// Lets time pass up to so many nanoseconds from the workload's beginning.
    fn pass(&mut self, to: i64) -> Cost;

    fn engine(&self) -> &Engine;

    /// Folds what was decided since the last call into a hash, and forgets it.
    fn take_hash(&mut self, hash: u64) -> u64;
}

/// Times a step and counts its allocations.
fn timed(step: impl FnOnce()) -> Cost {
    let (calls, began) = (allocations::calls(), Instant::now());
    step();
    let nanos = began.elapsed().as_nanos() as u64;
    Cost { nanos, allocations: allocations::calls() - calls }
}

fn take(decisions: &mut Vec<Decision>, hash: u64) -> u64 {
    use std::fmt::Write as _;
    let mut text = String::new();
    let mut hash = hash;
    for decision in decisions.drain(..) {
        text.clear();
        let fine = write!(text, "{decision:?}");
        debug_assert!(fine.is_ok(), "writing to memory");
        hash = fold(hash, text.as_bytes());
    }
    hash
}

/// The engine alone: events that are decoded already.
pub(super) struct Alone {
    engine: Engine,
    decisions: Decisions,
    log: Vec<Decision>,
    seq: u64,
}

impl Alone {
    pub(super) fn new(policy: &Policy, topology: &Topology, seed: HashSeed) -> Self {
        let engine = Engine::new(policy.clone(), topology.clone(), "bench/0", seed);
        Self { engine, decisions: Decisions::new(), log: Vec::with_capacity(LOG), seq: 0 }
    }
}

impl Driver for Alone {
    fn apply(&mut self, workload: &Workload, messages: &[Message]) -> Cost {
        let labelled: Vec<_> = messages.iter().map(|m| m.labelled(workload)).collect();
        let mut pairs: Vec<_> = labelled.iter().map(|labels| labels.pairs()).collect();
        let events: Vec<(AlertEvent<'_>, _)> = messages
            .iter()
            .zip(&mut pairs)
            .map(|(message, pairs)| (message.event(pairs), message.time(0)))
            .collect();
        let Self { engine, decisions, log, seq } = self;
        timed(|| {
            for (event, now) in &events {
                *seq += 1;
                decisions.clear();
                engine.apply(Seq(*seq), event, *now, decisions);
                log.extend_from_slice(decisions.as_slice());
            }
        })
    }

    fn pass(&mut self, to: i64) -> Cost {
        let Self { engine, decisions, log, .. } = self;
        timed(|| {
            loop {
                decisions.clear();
                let progress = engine.advance(Message::instant(to), decisions);
                log.extend_from_slice(decisions.as_slice());
                if progress == Progress::Done {
                    break;
                }
            }
        })
    }

    fn engine(&self) -> &Engine {
        &self.engine
    }

    fn take_hash(&mut self, hash: u64) -> u64 {
        take(&mut self.log, hash)
    }
}

/// The way of a record in the daemon: bytes are decoded, applied and told of, one after the other.
pub(super) struct Decoded {
    runner: ShardRunner,
    shard: Shard,
    log: Log,
    bodies: Vec<u8>,
    position: u64,
}

/// Hears what is decided, and makes no records of it.
struct Log {
    decisions: Vec<Decision>,
    rejected: Option<String>,
}

impl Listener for Log {
    fn decided(&mut self, decision: &Decision) {
        self.decisions.push(*decision);
    }

    fn published(&mut self, _: &Engine, _: &Version<'_>) {}

    fn rejected(&mut self, rejection: &Rejection<'_>) {
        self.rejected.get_or_insert_with(|| rejection.reason.to_string());
    }
}

impl Decoded {
    pub(super) fn new(policy: &Policy, topology: &Topology, seed: HashSeed) -> Self {
        let shard = Shard { input: "bench".to_owned(), partition: 0 };
        let setup = Setup {
            policy: policy.clone(),
            topology: topology.clone(),
            seed,
            decode: Options::default(),
            holds: Holds::with(HoldTable::shipped()),
        };
        let runner = ShardRunner::new(&setup, shard.clone(), 0);
        let log = Log { decisions: Vec::with_capacity(LOG), rejected: None };
        Self { runner, shard, log, bodies: Vec::with_capacity(1 << 20), position: 0 }
    }
}

impl Driver for Decoded {
    fn apply(&mut self, workload: &Workload, messages: &[Message]) -> Cost {
        self.bodies.clear();
        let mut records = Vec::with_capacity(messages.len());
        let mut begin = 0;
        for message in messages {
            message.write_json(workload, 0, &mut self.bodies);
            records.push((begin..self.bodies.len(), message.time(0)));
            begin = self.bodies.len();
        }
        let Self { runner, shard, log, bodies, position } = self;
        let cost = timed(|| {
            for (range, time) in &records {
                *position += 1;
                let payload = &bodies[range.clone()];
                let record = Record { shard, position: *position, time: Some(*time), payload };
                runner.record(&record, *time, log);
            }
        });
        assert!(log.rejected.is_none(), "a message was refused: {:?}", log.rejected);
        cost
    }

    fn pass(&mut self, to: i64) -> Cost {
        // A tick stays half a second behind what it is told.
        let now = Message::instant(to + 500_000_000);
        let Self { runner, log, .. } = self;
        timed(|| {
            runner.caught_up();
            runner.tick(now, log);
        })
    }

    fn engine(&self) -> &Engine {
        self.runner.engine()
    }

    fn take_hash(&mut self, hash: u64) -> u64 {
        take(&mut self.log.decisions, hash)
    }
}
