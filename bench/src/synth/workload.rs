//! The one workload of all speed measurements: a landscape of services with power-law hubs, a
//! population of alerts that fire, and what comes while somebody measures.
//!
//! Everything follows from a seed. A [`Message`] is small and says what arrives; its labels and
//! its JSON are written when they are needed, so that ten million alerts need no memory here.

mod message;
mod mixes;

pub use message::{Labelled, Message};
pub use mixes::{Messages, Mix};

use std::fmt;

use hypocenter_engine::{Side, Topology};

use super::graph::Graph;
use super::numbers::Numbers;
use super::rules::named;
use super::scale::{CAUSES, CHANCE, SYMPTOMS};

/// Milliseconds in which each alert that fires is told of once, as by Prometheus.
const ROUND_MS: i64 = 60_000;
/// How long a firing message promises to hold, in milliseconds.
const HOLDS_MS: i64 = 240_000;
/// The population begins to fire over a day.
const FILL_MS: i64 = 86_400_000;
/// Part of what is drawn for the population that has fired for long: chronic alerts.
const STANDING: f64 = 0.95;
/// Part that is alone; the rest are faults, of up to [`RESIDENT_FAULT`] alerts each.
const ALONE: f64 = 0.04;
const RESIDENT_FAULT: usize = 50;
/// An end that does not come, in milliseconds.
const NEVER_MS: i64 = 365 * 86_400_000;

/// The size of a workload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    /// Services of the graph, at least 100.
    pub services: usize,
    /// Alerts that fire when measuring begins, at least 1.
    pub live: usize,
    /// Everything follows from it.
    pub seed: u64,
}

/// A drawn workload.
#[derive(Clone, Debug)]
pub struct Workload {
    size: Size,
    graph: Graph,
    /// Services with enough callers to bring others down.
    roots: Vec<usize>,
    /// The population, in the order in which it comes.
    residents: Vec<Resident>,
    /// Coprime to the number of live alerts: strides through them as if in random order.
    stride: usize,
    /// Undoes the stride.
    unstride: usize,
}

/// An alert of the population.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Resident {
    entity: u32,
    rule: u8,
    /// It fired before anybody looked.
    is_standing: bool,
    /// When it is first told of, in milliseconds from the workload's beginning.
    told_ms: u32,
}

/// What a rule says, which never changes.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Rule {
    name: &'static str,
    threshold: f64,
    side: Side,
    worst: f64,
}

impl Workload {
    /// Draws one.
    #[must_use]
    pub fn new(size: Size) -> Self {
        let graph = Graph::attachment(size.services, size.services / 50, size.seed);
        let is_root = |&entity: &usize| (8..=400).contains(&graph.callers[entity].len());
        let roots = (0..graph.len()).filter(is_root).collect();
        let (stride, unstride) = stride(size.live);
        let mut workload = Self { size, graph, roots, residents: Vec::new(), stride, unstride };
        workload.settle();
        workload
    }

    /// Its size.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// The graph, for an engine.
    #[must_use]
    pub fn topology(&self) -> Topology {
        self.graph.topology()
    }

    /// The same as a topology file.
    #[must_use]
    pub fn topology_json(&self) -> String {
        super::write::topology(&self.graph).to_string()
    }

    /// The messages by which the population comes to fire, one for each alert, over a day.
    #[must_use]
    pub fn fill(&self, mix: Mix) -> Messages<'_> {
        Messages::fill(self, mix)
    }

    /// What comes then. It does not end, unless everything has been resolved.
    #[must_use]
    pub fn measured(&self, mix: Mix) -> Messages<'_> {
        Messages::measured(self, mix)
    }

    /// When measuring begins, in nanoseconds from the workload's beginning.
    #[must_use]
    pub fn begins(&self) -> i64 {
        FILL_MS * 1_000_000
    }

    /// By when all that fires is over if nothing more is heard.
    #[must_use]
    pub fn silent_by(&self) -> i64 {
        self.begins() + (ROUND_MS + HOLDS_MS) * 1_000_000
    }

    /// A number for what is drawn: the graph, and the first messages of a mix in full.
    #[must_use]
    pub fn hash(&self, mix: Mix) -> u64 {
        let mut text = Vec::new();
        for (from, to) in self.graph.edges() {
            text.extend_from_slice(from.as_bytes());
            text.extend_from_slice(to.as_bytes());
        }
        let mut hash = fold(FNV, &text);
        let size = self.size;
        let [services, live] = [size.services, size.live].map(|n| (n as u64).to_le_bytes());
        hash = fold(hash, &[services, live, size.seed.to_le_bytes()].concat());
        for message in self.fill(mix).take(1_000).chain(self.measured(mix).take(1_000)) {
            text.clear();
            message.write_json(self, 0, &mut text);
            hash = fold(fold(hash, &text), &message.at.to_le_bytes());
        }
        hash
    }

    /// The name of an entity.
    fn name(&self, entity: usize) -> &str {
        &self.graph.names[entity]
    }

    /// Draws the population: most of it has fired for long, some alerts are alone, and the rest
    /// came in faults.
    fn settle(&mut self) {
        let mut numbers = Numbers::new("residents", self.size.seed);
        let live = self.size.live;
        let mut residents = Vec::with_capacity(live);
        while residents.len() < live {
            let told_ms = (residents.len() as u64 * FILL_MS as u64 / live as u64) as u32;
            let place = numbers.unit();
            let single = Resident {
                entity: numbers.below(self.size.services) as u32,
                rule: numbers.below(CHANCE.len()) as u8,
                is_standing: place < STANDING,
                told_ms,
            };
            if place < STANDING + ALONE {
                residents.push(single);
                continue;
            }
            for (after, (entity, rule)) in (0..).zip(self.fault(RESIDENT_FAULT, &mut numbers)) {
                let (entity, rule) = (entity as u32, rule as u8);
                let told_ms = (told_ms + after).min(FILL_MS as u32);
                residents.push(Resident { entity, rule, is_standing: false, told_ms });
            }
        }
        residents.truncate(live);
        // Faults of a large population overlap.
        residents.sort_by_key(|resident| resident.told_ms);
        self.residents = residents;
    }

    /// A root fails: it alerts somewhere among those that depend on it, so many at most. Entities
    /// and rules.
    fn fault(&self, most: usize, numbers: &mut Numbers) -> Vec<(usize, usize)> {
        let root = numbers.pick(&self.roots);
        let mut above = self.graph.dependents(root, 2);
        above.remove(&root);
        let above: Vec<usize> = above.into_keys().collect();
        let symptoms = CHANCE.len();
        let mut alerts = Vec::new();
        for entity in numbers.some(most, &above) {
            alerts.push((entity, symptoms + numbers.below(SYMPTOMS.len())));
        }
        let cause = symptoms + SYMPTOMS.len() + numbers.below(CAUSES.len());
        alerts.insert(numbers.below(alerts.len() + 1), (root, cause));
        alerts
    }
}

/// The rules of the workload by number: those of the population come first.
fn rule(number: usize) -> Rule {
    let names = [&CHANCE[..], &SYMPTOMS[..], &CAUSES[..]];
    let name = names.iter().copied().flatten().nth(number % RULES).copied().unwrap_or(CHANCE[0]);
    // Readings that lie over the limit of each such rule.
    let (threshold, side, worst) = match name {
        "HighRequestLatency" => (0.5, Side::Above, 1.52),
        "TrafficLow" => (120.0, Side::Below, 18.0),
        "ConsumerLagHigh" => (1_000.0, Side::Above, 8_200.0),
        "ContainerCpuHigh" | "ThreadPoolExhausted" | "ConnectionsSaturated" => {
            (85.0, Side::Above, 97.0)
        }
        _ => (2.0, Side::Above, 23.0),
    };
    Rule { name: named(name).name, threshold, side, worst }
}

const RULES: usize = CHANCE.len() + SYMPTOMS.len() + CAUSES.len();

/// About the golden section of `live`, coprime to it, and its inverse.
fn stride(live: usize) -> (usize, usize) {
    let near = (live as f64 * 0.618) as usize;
    let found = (near.max(1)..).find_map(|stride| Some((stride, inverse(stride, live)?)));
    found.unwrap_or((1, 1))
}

/// What `number` must be multiplied with to give 1 modulo `modulus`, if anything does.
fn inverse(number: usize, modulus: usize) -> Option<usize> {
    let (mut a, mut b) = (number as i128, modulus as i128);
    let (mut of_a, mut of_b) = (1_i128, 0_i128);
    while b != 0 {
        let times = a / b;
        (a, b) = (b, a - times * b);
        (of_a, of_b) = (of_b, of_a - times * of_b);
    }
    (a == 1).then(|| of_a.rem_euclid(modulus as i128) as usize)
}

const FNV: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a.
pub(crate) fn fold(hash: u64, bytes: &[u8]) -> u64 {
    let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(hash, step)
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} live alerts on {} services, seed {}", self.live, self.services, self.seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hypocenter::wire::{Decoder, Options};

    const SIZE: Size = Size { services: 500, live: 300, seed: 1 };

    #[test]
    fn every_alert_of_the_population_fires_once_and_is_repeated_once_a_round() {
        let workload = Workload::new(SIZE);
        let text = |message: Message| {
            let mut text = Vec::new();
            message.labelled(&workload).write(&mut text);
            text
        };
        let mut fill: Vec<_> = workload.fill(Mix::Duplicates).map(text).collect();
        let round = workload.measured(Mix::Duplicates).take(SIZE.live);
        let mut round: Vec<_> = round.map(text).collect();
        assert_ne!(fill, round, "in another order");
        fill.sort();
        round.sort();
        assert_eq!(fill, round);
        fill.dedup();
        assert_eq!(fill.len(), SIZE.live, "no two are the same");
    }

    #[test]
    fn messages_are_in_order_of_time_and_can_be_decoded() {
        let workload = Workload::new(SIZE);
        let mut decoder = Decoder::new(Options::default());
        for mix in Mix::ALL {
            let mut last = i64::MIN;
            let all = workload.fill(mix).chain(workload.measured(mix).take(2_000));
            for (number, message) in all.enumerate() {
                assert!(message.at >= last, "{mix:?}: message {number} goes back in time");
                last = message.at;
                let mut body = Vec::new();
                message.write_json(&workload, 0, &mut body);
                let mut labels = Vec::new();
                let seen = decoder.decode(&body, &mut |decoded| {
                    let event = decoded.expect("valid").event;
                    labels.extend(event.labels.pairs().iter().map(|(n, v)| format!("{n}={v};")));
                });
                assert_eq!(seen.map(|summary| summary.accepted), Ok(1));
                let mut expected = Vec::new();
                message.labelled(&workload).write(&mut expected);
                assert_eq!(labels.concat().into_bytes(), expected);
            }
        }
    }

    #[test]
    fn the_hash_tells_seeds_sizes_and_mixes_apart() {
        let hash = |size, mix| Workload::new(size).hash(mix);
        let here = hash(SIZE, Mix::Duplicates);
        assert_eq!(here, hash(SIZE, Mix::Duplicates));
        assert_ne!(here, hash(SIZE, Mix::Storm));
        assert_ne!(here, hash(Size { seed: 2, ..SIZE }, Mix::Duplicates));
        assert_ne!(here, hash(Size { live: 301, ..SIZE }, Mix::Duplicates));
    }
}
