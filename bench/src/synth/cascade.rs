//! Several faults in a large landscape, each spreading hop by hop, with alerts that are missing
//! and alerts that mean nothing.

use std::collections::BTreeMap;

use super::numbers::Numbers;
use super::scale::{CAUSES, CHANCE, SYMPTOMS, Size, begin, raise};
use super::scenario::{Scenario, minutes, seconds};
use super::stream::{Telling, tell};
use crate::score::data::Origin;

/// Faults in one scenario.
const FAULTS: usize = 3;
/// A fault begins this long after the one before, in minutes.
const APART_MINUTES: f64 = 4.0;
/// How likely trouble spreads to a dependent, by distance from the cause.
const SPREADS: [f64; 3] = [0.8, 0.3, 0.1];
/// How likely one in trouble raises an alert.
const WATCHED: f64 = 0.7;
/// How likely the cause raises one.
const CAUSE_WATCHED: f64 = 0.8;
/// Share of all services that alert for no reason, over the whole time.
const CHANCE_SHARE: f64 = 0.005;
/// Those at fault have so many direct dependents.
const DEPENDENTS: std::ops::RangeInclusive<usize> = 10..=400;

/// Three faults, four minutes apart, at services with dozens to hundreds of dependents. Each hop
/// takes 5 s to 1 min; a symptom is its first fault's.
pub(super) fn cascade(size: Size, seed: u64) -> Scenario {
    let mut numbers = Numbers::new("cascade", seed);
    let mut scenario = begin(size, "cascade".to_owned(), seed);
    let is_root = |&entity: &usize| DEPENDENTS.contains(&scenario.graph.callers[entity].len());
    let roots: Vec<usize> = (0..size.services).filter(is_root).collect();
    let mut taken = BTreeMap::new();
    for (number, root) in numbers.some(FAULTS, &roots).into_iter().enumerate() {
        let fault = scenario.fault([root]);
        let began = minutes(APART_MINUTES * (number as f64 + 1.0));
        for (entity, (at, _)) in spread(&scenario, root, began, &mut numbers) {
            let watched = if entity == root { CAUSE_WATCHED } else { WATCHED };
            let alerts = numbers.chance(watched);
            if taken.insert(entity, fault).is_none() && alerts {
                let rules: &[&str] = if entity == root { &CAUSES } else { &SYMPTOMS };
                let origin = Origin::Incident(fault);
                raise(&mut scenario, rules, (entity, at, origin), &mut numbers);
            }
        }
    }
    let end = APART_MINUTES * (FAULTS as f64 + 2.0);
    for _ in 0..(size.services as f64 * CHANCE_SHARE) as usize {
        let entity = numbers.below(size.services);
        let starts = minutes(numbers.uniform(0.0, end));
        if taken.insert(entity, FAULTS).is_none() {
            raise(&mut scenario, &CHANCE, (entity, starts, Origin::Noise), &mut numbers);
        }
    }
    tell(&mut scenario, Telling::Once, &mut numbers);
    scenario
}

/// Who gets into trouble, when, and at which distance.
fn spread(
    scenario: &Scenario,
    root: usize,
    began: i64,
    numbers: &mut Numbers,
) -> BTreeMap<usize, (i64, usize)> {
    let mut reached = BTreeMap::from([(root, (began, 0))]);
    let mut front = vec![root];
    for (hop, spreads) in SPREADS.into_iter().enumerate() {
        let mut next = Vec::new();
        for from in front {
            let began = reached[&from].0;
            for &caller in &scenario.graph.callers[from] {
                let delay = seconds(numbers.log_uniform(5.0, 60.0));
                if numbers.chance(spreads) && !reached.contains_key(&caller) {
                    reached.insert(caller, (began + delay, hop + 1));
                    next.push(caller);
                }
            }
        }
        front = next;
    }
    reached
}
