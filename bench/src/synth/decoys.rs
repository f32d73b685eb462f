//! What misleads: alerts that have nothing to do with the fault, and a dependency that could have.

use super::graph::Graph;
use super::rules::{Rule, Trouble, named};
use super::scenario::{Instance, minutes, seconds};
use super::slow::Case;
use super::stream::evaluated;
use crate::score::data::Origin;

/// The decoys.
pub(super) const NAMES: [&str; 4] = ["chronic", "flapper", "blip", "quiet-dependency"];
/// What the added dependency is called.
const QUIET: &str = "feature-flags";
/// Rules that people leave firing; for every role one at least.
const CHRONIC: [&str; 5] = [
    "ContainerCpuHigh",
    "ContainerMemoryHigh",
    "DiskAlmostFull",
    "HighRequestLatency",
    "ConsumerLagHigh",
];
/// Rules whose limit the usual value touches.
const FLAPPING: [&str; 5] = [
    "UpstreamTimeouts",
    "HighRequestLatency",
    "ContainerCpuHigh",
    "GrpcErrorsHigh",
    "QueryLatencyHigh",
];
/// Rules that see a short disturbance.
const SHORT: [&str; 4] =
    ["ConnectionsSaturated", "ContainerCpuHigh", "QueryLatencyHigh", "HighErrorRate"];
/// Anything further away cannot be blamed.
const HOPS_MAX: u8 = 4;

/// Adds two or three. `None` when the graph has no place for one.
pub(super) fn add(case: &mut Case) -> Option<()> {
    let count = case.numbers.between(2, 3) as usize;
    let mut chosen = case.numbers.some(count, &NAMES);
    // The graph is changed before places in it are looked for.
    chosen.sort_by_key(|&name| (name != "quiet-dependency", name));
    for &name in &chosen {
        match name {
            "chronic" => chronic(case)?,
            "flapper" => flapper(case)?,
            "blip" => blip(case)?,
            _ => quiet_dependency(case)?,
        }
    }
    case.scenario.decoys = chosen;
    Some(())
}

/// An alert that has fired since long before the fault, and goes on, on an entity that is well:
/// every other time one that could be blamed.
fn chronic(case: &mut Case) -> Option<()> {
    let entity = bystander(case)?;
    let rule = rule_of(case, entity, &CHRONIC);
    // Hours before the stream begins, or within it.
    let before = match case.numbers.chance(0.6) {
        true => case.fault_at + minutes(case.numbers.uniform(60.0, 3_000.0)),
        false => minutes(case.numbers.uniform(25.0, 40.0)),
    };
    let fires = (case.fault_at - before, case.repaired_at + minutes(30.0));
    noise(case, rule, entity, &[fires])
}

/// An alert that comes and goes every few minutes, before, during and after.
fn flapper(case: &mut Case) -> Option<()> {
    let entity = bystander(case)?;
    let rule = rule_of(case, entity, &FLAPPING);
    let mut at = case.fault_at - minutes(case.numbers.uniform(20.0, 40.0));
    let mut fires = Vec::new();
    while at < case.repaired_at + minutes(10.0) {
        let ends = at + seconds(case.numbers.uniform(60.0, 180.0));
        fires.push((at, ends));
        at = ends + seconds(case.numbers.uniform(60.0, 240.0));
    }
    noise(case, rule, entity, &fires)
}

/// A short alert deep down, while the incident goes on, on something that at most a third of those
/// who suffer depend on.
fn blip(case: &mut Case) -> Option<()> {
    let graph = &case.land.graph;
    let sufferers = case.sufferers();
    let is_place = |&entity: &usize| {
        let above = graph.dependents(entity, HOPS_MAX);
        let shared = sufferers.iter().filter(|sufferer| above.contains_key(sufferer)).count();
        !case.suffering.contains_key(&entity)
            && graph.callees[entity].len() <= 1
            && (1..=sufferers.len() / 3).contains(&shared)
    };
    let places: Vec<usize> = (0..graph.len()).filter(is_place).collect();
    let entity = case.numbers.pick(some(&places)?);
    let rule = rule_of(case, entity, &SHORT);
    let starts = case.fault_at + minutes(case.numbers.uniform(2.0, 20.0));
    let ends = starts + seconds(case.numbers.uniform(60.0, 180.0));
    noise(case, rule, entity, &[(starts, ends)])
}

/// A further thing, without alerts, on which most but not all of those who suffer depend, and
/// perhaps some that are well.
fn quiet_dependency(case: &mut Case) -> Option<()> {
    let sufferers = case.sufferers();
    let share = case.numbers.uniform(0.6, 0.85);
    let count = (sufferers.len() as f64 * share).ceil() as usize;
    let dependents = case.numbers.some(count.min(sufferers.len().checked_sub(1)?), &sufferers);
    let quiet = case.land.graph.add(QUIET.to_owned());
    case.land.roles.push(super::layered::Role::Store);
    for dependent in dependents {
        case.land.graph.link(dependent, quiet);
    }
    for _ in 0..case.numbers.between(0, 2) {
        let well = case.numbers.below(quiet);
        if !case.suffering.contains_key(&well) && !case.land.graph.callees[well].is_empty() {
            case.land.graph.link(well, quiet);
        }
    }
    // Somebody suffers who cannot have it from there.
    let above = case.land.graph.dependents(quiet, HOPS_MAX);
    sufferers.iter().any(|sufferer| !above.contains_key(sufferer)).then_some(())
}

/// An entity that is well: every other time one that a sufferer depends on, if there is one.
fn bystander(case: &mut Case) -> Option<usize> {
    let graph = &case.land.graph;
    let well =
        |entity: &usize| !case.suffering.contains_key(entity) && graph.names[*entity] != QUIET;
    let all: Vec<usize> = (0..graph.len()).filter(well).collect();
    let near: Vec<usize> = near(graph, &case.sufferers()).into_iter().filter(well).collect();
    let from = if case.numbers.chance(0.5) && !near.is_empty() { near } else { all };
    Some(case.numbers.pick(some(&from)?))
}

/// One of these rules that such an entity has.
fn rule_of(case: &mut Case, entity: usize, names: &[&str]) -> &'static Rule {
    let role = case.land.roles[entity];
    let suits: Vec<&'static Rule> =
        names.iter().map(|name| named(name)).filter(|rule| rule.suits(role)).collect();
    case.numbers.pick(&suits)
}

/// What these depend on directly.
fn near(graph: &Graph, entities: &[usize]) -> Vec<usize> {
    entities.iter().flat_map(|&entity| graph.callees[entity].iter().copied()).collect()
}

fn some(list: &[usize]) -> Option<&[usize]> {
    (!list.is_empty()).then_some(list)
}

/// Firings of one alert that belong to nothing. `None` when it fires for another reason already.
fn noise(case: &mut Case, rule: &Rule, entity: usize, fires: &[(i64, i64)]) -> Option<()> {
    let reading = rule.reads(Trouble { delay: 1.5, failing: 15.0 }, &mut case.numbers)?;
    let phase = case.phase(entity);
    let known = case.scenario.alerts.len();
    let alert = case.scenario.alert(rule.on(&case.land.graph, entity, None, reading));
    for &(starts, ends) in fires {
        let (starts, ends) = (evaluated(starts, phase), evaluated(ends, phase));
        let (worst, origin) = (reading.worst, Origin::Noise);
        case.scenario.fires(Instance { alert, starts, ends, worst, origin });
    }
    (alert == known).then_some(())
}
