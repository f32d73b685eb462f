//! Driving an engine with messages: as records through a shard, or as events by hand.

use hypocenter::neighbours::{HoldTable, Holds};
use hypocenter::shard::{Listener, Rejection, Setup, ShardRunner, Version};
use hypocenter::source::{Record, Shard};
use hypocenter::wire::Options;
use hypocenter_engine::{
    AlertEvent, Decision, Decisions, Engine, HashSeed, Policy, Progress, Seq, Topology,
};

use rustix::time::{ClockId, clock_gettime};

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

/// Times a step and counts its allocations. It is the time for which this thread had a processor:
/// that others had it meanwhile says nothing of the step.
fn timed(step: impl FnOnce()) -> Cost {
    let (calls, began) = (allocations::calls(), processor_nanos());
    step();
    let nanos = processor_nanos() - began;
    Cost { nanos, allocations: allocations::calls() - calls }
}

fn processor_nanos() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
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
        // Texts lie one after the other, as in a body that was just decoded.
        let mut text = String::with_capacity(messages.len() * 256);
        let mut spans = Vec::with_capacity(messages.len() * 11);
        let mut ends = Vec::with_capacity(messages.len());
        for message in messages {
            for (name, value) in message.labelled(workload).pairs() {
                let begin = text.len();
                text.push_str(name);
                let middle = text.len();
                text.push_str(value);
                spans.push((begin, middle, text.len()));
            }
            ends.push(spans.len());
        }
        let mut begin = 0;
        let mut pairs: Vec<Vec<(&str, &str)>> = Vec::with_capacity(messages.len());
        for end in ends {
            let slice = |&(a, b, c): &(usize, usize, usize)| (&text[a..b], &text[b..c]);
            pairs.push(spans[begin..end].iter().map(slice).collect());
            begin = end;
        }
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
