//! Large graphs: chance, a hub that fails, two faults at once.

use super::graph::Graph;
use super::numbers::Numbers;
use super::rules::{Trouble, named};
use super::scenario::{Instance, Scenario, minutes, seconds};
use super::stream::{Telling, tell};
use crate::score::data::Origin;

/// The size of a graph.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Size {
    pub(super) services: usize,
    /// At least so many depend directly on its largest hub.
    pub(super) hub: usize,
}

/// What is usual on something that suffers.
pub(super) const SYMPTOMS: [&str; 4] =
    ["HighRequestLatency", "HighErrorRate", "GrpcErrorsHigh", "UpstreamTimeouts"];
/// What is usual on something that is at fault.
pub(super) const CAUSES: [&str; 4] =
    ["HighRequestLatency", "HighErrorRate", "ThreadPoolExhausted", "ConnectionsSaturated"];
/// What fires now and then for no reason that matters.
pub(super) const CHANCE: [&str; 6] = [
    "HighRequestLatency",
    "HighErrorRate",
    "UpstreamTimeouts",
    "TrafficLow",
    "ContainerCpuHigh",
    "ConsumerLagHigh",
];
/// How many hubs alert by chance where hubs do.
const HUBS: usize = 5;
/// Everything that a fault causes is there within this time.
const FAULT_SECONDS: f64 = 120.0;
/// Dependents that alert of each of two faults.
const TWO_FAULTS_DEPENDENTS: usize = 8;

/// An alert of one of these rules on an entity.
pub(super) fn raise(
    scenario: &mut Scenario,
    rules: &[&str],
    (entity, starts, origin): (usize, i64, Origin),
    numbers: &mut Numbers,
) {
    let rule = named(numbers.pick(rules));
    let trouble =
        Trouble { delay: numbers.log_uniform(2.0, 6.0), failing: numbers.uniform(10.0, 80.0) };
    let Some(reading) = rule.reads(trouble, numbers) else {
        unreachable!("{} sees so much trouble", rule.name);
    };
    let alert = rule.on(&scenario.graph, entity, None, reading);
    let alert = scenario.alert(alert);
    let ends = starts + minutes(numbers.uniform(10.0, 20.0));
    scenario.fires(Instance { alert, starts, ends, worst: reading.worst, origin });
}

/// Some per cent of all services alert within ten minutes, each for reasons of its own, and, when
/// `hubs`, the largest hubs among them.
pub(super) fn chance(size: Size, per_cent: usize, hubs: bool, seed: u64) -> Scenario {
    let with = if hubs { "-hubs" } else { "" };
    let mut numbers = Numbers::new("chance", seed);
    let mut scenario = begin(size, format!("chance-{per_cent}{with}"), seed);
    let all: Vec<usize> = (0..size.services).collect();
    let mut entities = numbers.some(size.services * per_cent / 100, &all);
    if hubs {
        entities.extend(scenario.graph.hubs(HUBS));
        entities.sort_unstable();
        entities.dedup();
    }
    for entity in entities {
        let starts = seconds(numbers.uniform(0.0, 600.0));
        raise(&mut scenario, &CHANCE, (entity, starts, Origin::Noise), &mut numbers);
    }
    tell(&mut scenario, Telling::Once, &mut numbers);
    scenario
}

/// The largest hub fails, and all that depend on it directly alert in random order; the hub itself
/// somewhere among them, or not at all.
pub(super) fn hub(size: Size, silent: bool, seed: u64) -> Scenario {
    let kind = if silent { "hub-silent" } else { "hub" };
    let mut numbers = Numbers::new(kind, seed);
    let mut scenario = begin(size, kind.to_owned(), seed);
    let root = scenario.graph.hubs(1)[0];
    let dependents = scenario.graph.callers[root].clone();
    fault(&mut scenario, root, &dependents, !silent, &mut numbers);
    tell(&mut scenario, Telling::Once, &mut numbers);
    scenario
}

/// Two services with 8 to 40 dependents fail at once; 8 of each one's dependents alert, none of
/// which depends on the other one.
pub(super) fn two_faults(size: Size, seed: u64, draw: u64) -> Scenario {
    let mut numbers = Numbers::new("two-faults", seed.wrapping_mul(1 << 20).wrapping_add(draw));
    let mut scenario = begin(size, format!("two-faults-{draw:02}"), seed);
    let graph = &scenario.graph;
    let is_root =
        |&entity: &usize| (TWO_FAULTS_DEPENDENTS..=40).contains(&graph.callers[entity].len());
    let roots: Vec<usize> = (0..graph.len()).filter(is_root).collect();
    let (one, other) = loop {
        let pair = numbers.some(2, &roots);
        let apart = |a: usize, b: usize| !graph.dependencies(a, 4).contains_key(&b);
        if let &[a, b] = pair.as_slice()
            && apart(a, b)
            && apart(b, a)
            && own_dependents(graph, a, b).len() >= TWO_FAULTS_DEPENDENTS
            && own_dependents(graph, b, a).len() >= TWO_FAULTS_DEPENDENTS
        {
            break (a, b);
        }
    };
    for (root, not) in [(one, other), (other, one)] {
        let dependents = own_dependents(&scenario.graph, root, not);
        let dependents = numbers.some(TWO_FAULTS_DEPENDENTS, &dependents);
        fault(&mut scenario, root, &dependents, true, &mut numbers);
    }
    tell(&mut scenario, Telling::Once, &mut numbers);
    scenario
}

fn own_dependents(graph: &Graph, of: usize, not: usize) -> Vec<usize> {
    let mut list = graph.callers[of].clone();
    list.retain(|dependent| !graph.callees[*dependent].contains(&not));
    list
}

fn fault(
    scenario: &mut Scenario,
    root: usize,
    dependents: &[usize],
    alerts: bool,
    numbers: &mut Numbers,
) {
    let origin = Origin::Incident(scenario.fault([root]));
    let mut when = || seconds(60.0) + seconds(numbers.uniform(0.0, FAULT_SECONDS));
    let times: Vec<(usize, i64)> = dependents.iter().map(|&entity| (entity, when())).collect();
    let own = when();
    for (entity, starts) in times {
        raise(scenario, &SYMPTOMS, (entity, starts, origin), numbers);
    }
    if alerts {
        raise(scenario, &CAUSES, (root, own, origin), numbers);
    }
}

pub(super) fn begin(size: Size, kind: String, seed: u64) -> Scenario {
    let graph = Graph::attachment(size.services, size.hub, seed);
    let name = format!("{kind}-{}-{seed}", size.services);
    Scenario { name, graph, ..Scenario::default() }
}
