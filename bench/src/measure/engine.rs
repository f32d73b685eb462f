//! The engine in this process: what an event costs, by number of live alerts, size of the graph,
//! and what comes.

use hypocenter_engine::{HashSeed, Policy};
use serde::{Deserialize, Serialize};

use super::allocations;
use super::drive::{Alone, Decoded, Driver};
use super::machine::Machine;
use super::quantiles::{Batches, PerEvent};
use crate::synth::workload::{Mix, Size, Workload};

/// Messages in a batch: few enough to stay in a core's cache, and enough to time.
const BATCH: usize = 512;
/// Batches before measuring: buffers have grown by then.
const WARM_UP: usize = 16;
/// Steps in which time passes in an expiry wave, in nanoseconds.
const STEP: i64 = 100_000_000;

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Case {
    /// The workload's size.
    pub size: Size,
    /// What comes.
    pub mix: Mix,
    /// Whether messages are bytes that must be decoded first.
    pub decode: bool,
    /// Messages that are measured, at least.
    pub events: u64,
}

/// What was found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Row {
    /// Alerts that fire when measuring begins.
    pub live: usize,
    /// Services of the graph.
    pub services: usize,
    /// What comes.
    pub mix: String,
    /// From bytes to decisions, or the engine alone.
    pub decode: bool,
    /// Messages measured; in an expiry wave, alerts that expired.
    pub events: u64,
    /// Nanoseconds for each.
    pub ns: PerEvent,
    /// Calls to the allocator for each.
    pub allocations: f64,
    /// Heap that the engine holds for each live alert, in bytes, before measuring.
    pub bytes_per_alert: f64,
    /// Nanoseconds for each alert while the population came, the mean.
    pub fill_ns: f64,
    /// Incidents before measuring.
    pub incidents: u32,
    /// Hash of the workload.
    pub workload: String,
    /// Hash of all decisions: another one is another behaviour.
    pub decisions: String,
}

/// A run: where, and what was found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Run {
    /// Which command made it.
    pub command: String,
    /// When, in RFC 3339.
    pub at: String,
    /// Where.
    pub machine: Machine,
    /// The workload's seed.
    pub seed: u64,
    /// The policy's hash.
    pub policy: String,
    /// All cases.
    pub rows: Vec<Row>,
}

impl Row {
    /// Messages that one core decides in a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        1e9 / self.ns.p50.max(1.0)
    }
}

/// Measures one case. The policy must have room for its alerts.
#[must_use]
pub fn measure(case: &Case, workload: &Workload, policy: &Policy) -> Row {
    let topology = workload.topology();
    let seed = HashSeed(case.size.seed);
    let mut driver: Box<dyn Driver> = match case.decode {
        true => Box::new(Decoded::new(policy, &topology, seed)),
        false => Box::new(Alone::new(policy, &topology, seed)),
    };
    let empty = allocations::live_bytes();
    let mut run =
        Measuring { driver: &mut *driver, workload, hash: 0, batches: Batches::default() };
    let fill_ns = run.fill(case.mix);
    let held = allocations::live_bytes() - empty;
    let engine = run.driver.engine();
    let (live, incidents) = (engine.alerts_live(), engine.incidents_live());
    let allocations = match case.mix {
        Mix::ExpiryWave => run.expire(),
        mix => run.messages(mix, case.events),
    };
    Row {
        live: case.size.live,
        services: case.size.services,
        mix: case.mix.name().to_owned(),
        decode: case.decode,
        events: run.batches.events(),
        ns: run.batches.per_event(),
        allocations: allocations as f64 / run.batches.events().max(1) as f64,
        bytes_per_alert: held as f64 / f64::from(live.max(1)),
        fill_ns,
        incidents,
        workload: format!("{:016x}", workload.hash(case.mix)),
        decisions: format!("{:016x}", run.hash),
    }
}

struct Measuring<'d, 'w> {
    driver: &'d mut dyn Driver,
    workload: &'w Workload,
    hash: u64,
    batches: Batches,
}

impl Measuring<'_, '_> {
    /// Lets the population come; nanoseconds for each alert.
    fn fill(&mut self, mix: Mix) -> f64 {
        let mut nanos = 0;
        let mut messages = self.workload.fill(mix);
        loop {
            let batch: Vec<_> = messages.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                break;
            }
            nanos += self.driver.apply(self.workload, &batch).nanos;
            self.hash = self.driver.take_hash(self.hash);
        }
        nanos as f64 / self.workload.size().live as f64
    }

    /// Measures messages; calls to the allocator.
    fn messages(&mut self, mix: Mix, events: u64) -> u64 {
        let mut allocations = 0;
        // A wave ends with the population: its beginning is measured too.
        let warm_up = if mix == Mix::ResolveWave { 0 } else { WARM_UP };
        let mut messages = self.workload.measured(mix);
        for number in 0.. {
            let batch: Vec<_> = messages.by_ref().take(BATCH).collect();
            if batch.is_empty() || self.batches.events() >= events {
                break;
            }
            let cost = self.driver.apply(self.workload, &batch);
            self.hash = self.driver.take_hash(self.hash);
            if number >= warm_up {
                self.batches.note(cost.nanos, batch.len() as u64);
                allocations += cost.allocations;
            }
        }
        allocations
    }

    /// Lets time pass until everything is over; calls to the allocator.
    fn expire(&mut self) -> u64 {
        let (mut allocations, mut nanos, mut expired) = (0, 0, 0);
        let mut now = self.workload.begins();
        while now < self.workload.silent_by() {
            now += STEP;
            let before = self.driver.engine().stats().expired;
            let cost = self.driver.pass(now);
            self.hash = self.driver.take_hash(self.hash);
            nanos += cost.nanos;
            allocations += cost.allocations;
            expired += self.driver.engine().stats().expired - before;
            if expired >= BATCH as u64 {
                self.batches.note(nanos, expired);
                (nanos, expired) = (0, 0);
            }
        }
        self.batches.note(nanos, expired);
        allocations
    }
}
