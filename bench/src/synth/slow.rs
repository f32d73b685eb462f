//! Incidents that develop slowly: minutes from hop to hop, rules that wait, and a cause that
//! speaks late or never.

use std::collections::BTreeMap;

use super::decoys;
use super::layered::{Landscape, Role, landscape};
use super::numbers::Numbers;
use super::rules::{RULES, Reading, Rule, Trouble, Watches};
use super::scenario::{Instance, Scenario, minutes, seconds};
use super::stream::{Telling, evaluated, tell};
use crate::score::data::Origin;

/// What the cause says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cause {
    /// Its alert fires 5 to 15 minutes after the first of its symptoms.
    AlertsLate,
    /// It never raises an alert.
    Silent,
}

/// Failure is followed over so many hops.
const HOPS_MAX: u8 = 4;
/// How likely the trouble of an entity spreads to one that depends on it, by distance from the
/// cause.
const SPREADS: [f64; HOPS_MAX as usize] = [0.9, 0.6, 0.4, 0.2];
/// How likely an entity in trouble has rules at all for what it suffers from.
const WATCHED: f64 = 0.85;
/// Where the part of the stream begins that the fault is in: chronic alerts and flapping ones
/// have gone on for long by then.
const FAULT_AT_MINUTES: f64 = 45.0;
/// How often drawing is tried again before the conditions of a solvable case are met.
const DRAWS_MAX: u64 = 10_000;

/// A case that is being drawn.
pub(super) struct Case {
    pub(super) numbers: Numbers,
    pub(super) land: Landscape,
    pub(super) scenario: Scenario,
    pub(super) root: usize,
    pub(super) fault_at: i64,
    pub(super) repaired_at: i64,
    /// When each entity in trouble got into it, and its distance from the cause.
    pub(super) suffering: BTreeMap<usize, (i64, u8)>,
    /// The second at which each entity's rules are evaluated.
    phases: BTreeMap<usize, i64>,
}

/// One incident with two or three decoys, drawn until an engineer could solve it.
pub(super) fn slow(cause: Cause, name: &str, seed: u64) -> Scenario {
    for draw in 0..DRAWS_MAX {
        let numbers = Numbers::new(name, seed.wrapping_mul(DRAWS_MAX).wrapping_add(draw));
        if let Some(mut case) = Case::draw(cause, numbers)
            && case.is_solvable()
        {
            tell(&mut case.scenario, Telling::Repeating, &mut case.numbers);
            case.scenario.graph = case.land.graph;
            case.scenario.name = format!("{name}-{seed:03}");
            return case.scenario;
        }
    }
    unreachable!("{name} {seed}: about one draw in ten is a solvable case")
}

impl Case {
    fn draw(cause: Cause, mut numbers: Numbers) -> Option<Self> {
        let services = numbers.log_uniform(30.0, 200.0) as usize;
        let land = landscape(services, &mut numbers);
        let graph = &land.graph;
        let is_root = |&entity: &usize| {
            graph.callers[entity].len() >= 3 && land.roles[entity] != Role::Gateway
        };
        let roots: Vec<usize> = (0..graph.len()).filter(is_root).collect();
        let root = numbers.pick(&roots);
        let fault_at = minutes(FAULT_AT_MINUTES) + numbers.between(0, minutes(1.0));
        let repaired_at = fault_at + seconds(numbers.uniform(30.0, 60.0) * 60.0);
        let mut case = Self {
            numbers,
            land,
            scenario: Scenario::default(),
            root,
            fault_at,
            repaired_at,
            suffering: BTreeMap::new(),
            phases: BTreeMap::new(),
        };
        case.scenario.fault([root]);
        case.spread();
        case.symptoms();
        if cause == Cause::AlertsLate {
            case.late_cause()?;
        }
        decoys::add(&mut case)?;
        Some(case)
    }

    /// Trouble goes from entity to entity against the dependencies, at 10 s to 5 min for each hop.
    fn spread(&mut self) {
        self.suffering.insert(self.root, (self.fault_at, 0));
        let mut front = vec![self.root];
        for hop in 1..=HOPS_MAX {
            let mut next = Vec::new();
            for from in front {
                let began = self.suffering[&from].0;
                for caller in self.land.graph.callers[from].clone() {
                    let spreads = self.numbers.chance(SPREADS[usize::from(hop) - 1]);
                    if spreads && !self.suffering.contains_key(&caller) {
                        let delay = seconds(self.numbers.log_uniform(10.0, 300.0));
                        self.suffering.insert(caller, (began + delay, hop));
                        next.push(caller);
                    }
                }
            }
            front = next;
        }
    }

    /// The alerts of those that suffer.
    fn symptoms(&mut self) {
        let slow = self.numbers.chance(0.7);
        let failing = !slow || self.numbers.chance(0.5);
        let trouble = Trouble {
            delay: if slow { self.numbers.log_uniform(0.3, 4.0) } else { 0.05 },
            failing: if failing { self.numbers.log_uniform(5.0, 80.0) } else { 0.5 },
        };
        for (entity, (began, hops)) in self.suffering.clone() {
            if entity == self.root || !self.numbers.chance(WATCHED) {
                continue;
            }
            // Others answer some requests, and some are tried again: it thins out.
            let left = 0.85_f64.powi(i32::from(hops) - 1);
            let trouble = Trouble { delay: trouble.delay * left, failing: trouble.failing * left };
            let recovers =
                self.repaired_at + seconds(self.numbers.log_uniform(10.0, 120.0)) * i64::from(hops);
            for rule in RULES {
                let has_it = rule.suits(self.land.roles[entity])
                    && self.numbers.chance(likely(rule.watches));
                let hold = minutes(rule.hold(&mut self.numbers));
                let reading = rule.reads(trouble, &mut self.numbers);
                if let (true, Some(reading)) = (has_it, reading) {
                    self.symptom(rule, entity, (began, hold, recovers), reading);
                }
            }
        }
    }

    /// One alert of one that suffers. Its condition begins, holds for the rule's `for`, is seen by
    /// the next evaluation, and ends with the repair or before.
    fn symptom(
        &mut self,
        rule: &'static Rule,
        entity: usize,
        (began, hold, recovers): (i64, i64, i64),
        reading: Reading,
    ) {
        let (mut about, mut caller) = (entity, None);
        if rule.watches == Watches::Edge {
            // Told of the callee that makes it slow. On the cause itself it would be the alert
            // that the cause is said not to have yet.
            let callees = self.land.graph.callees[entity].iter().copied();
            let slow = callees.filter(|callee| self.suffering.contains_key(callee));
            let Some(callee) = slow.filter(|&callee| callee != self.root).min() else {
                return;
            };
            (about, caller) = (callee, Some(entity));
        }
        let phase = self.phase(entity);
        let starts = evaluated(began, phase) + hold;
        // A quarter is over long before the repair: traffic moves away, retries help.
        let ends = match self.numbers.chance(0.25) {
            true => starts + seconds(self.numbers.uniform(180.0, 600.0)),
            false => recovers,
        };
        let ends = evaluated(ends.min(recovers), phase);
        if ends <= starts {
            return;
        }
        let alert = rule.on(&self.land.graph, about, caller, reading);
        let alert = self.scenario.alert(alert);
        let origin = Origin::Incident(0);
        self.scenario.fires(Instance { alert, starts, ends, worst: reading.worst, origin });
    }

    /// The cause's own alert, 5 to 15 minutes after its first symptom. `None` without symptoms, or
    /// when it would be repaired by then.
    fn late_cause(&mut self) -> Option<()> {
        let first = self.scenario.instances.iter().map(|instance| instance.starts).min()?;
        let phase = self.phase(self.root);
        let starts = evaluated(first + seconds(self.numbers.uniform(300.0, 840.0)), phase);
        let role = self.land.roles[self.root];
        let own = |rule: &&Rule| {
            let of_itself = matches!(
                rule.watches,
                Watches::Latency | Watches::Errors | Watches::Saturation | Watches::Crash
            );
            of_itself && rule.suits(role)
        };
        let rules: Vec<&Rule> = RULES.iter().filter(own).collect();
        let trouble = Trouble { delay: 3.0, failing: 40.0 };
        for (at, rule) in self.numbers.some(2, &rules).into_iter().enumerate() {
            // Often one of its rules is all that fires.
            if at > 0 && self.numbers.chance(0.6) {
                break;
            }
            let reading = rule.reads(trouble, &mut self.numbers)?;
            let starts = starts + minutes(self.numbers.between(0, 3) as f64) * at as i64;
            let ends = evaluated(self.repaired_at, phase);
            if ends < starts + minutes(3.0) {
                return None;
            }
            let alert = rule.on(&self.land.graph, self.root, None, reading);
            let alert = self.scenario.alert(alert);
            let origin = Origin::Incident(0);
            self.scenario.fires(Instance { alert, starts, ends, worst: reading.worst, origin });
        }
        Some(())
    }

    pub(super) fn phase(&mut self, entity: usize) -> i64 {
        let phase = self.numbers.between(0, 59_999);
        *self.phases.entry(entity).or_insert(phase)
    }

    /// Entities that raise an alert of the incident, without the cause.
    pub(super) fn sufferers(&self) -> Vec<usize> {
        let mut list: Vec<usize> =
            self.scenario.members_of(0).map(|member| self.scenario.entity_of(member)).collect();
        list.sort_unstable();
        list.dedup();
        list.retain(|&entity| entity != self.root);
        list
    }

    /// Whether one who sees the graph and all alerts could tell the cause.
    ///
    /// Some entities complain, most of those that call the cause among them; nothing but the cause
    /// and what it depends on itself is below all of them; and of what it depends on, each thing
    /// has another caller that is well.
    fn is_solvable(&self) -> bool {
        let graph = &self.land.graph;
        let sufferers = self.sufferers();
        let callers = &graph.callers[self.root];
        let complaining = callers.iter().filter(|caller| sufferers.contains(caller)).count();
        if !(3..=40).contains(&sufferers.len())
            || complaining < 2
            || complaining * 2 < callers.len()
        {
            return false;
        }
        let below_all = (0..graph.len()).filter(|&entity| {
            let above = graph.dependents(entity, HOPS_MAX);
            sufferers.iter().all(|sufferer| above.contains_key(sufferer))
        });
        let own = graph.dependencies(self.root, HOPS_MAX);
        let is_well = |entity: &usize| !self.suffering.contains_key(entity);
        for entity in below_all {
            let told_apart = own.contains_key(&entity) && graph.callers[entity].iter().any(is_well);
            if entity != self.root && !told_apart {
                return false;
            }
        }
        true
    }
}

/// How often a rule of this sort is there and sees what it should.
fn likely(watches: Watches) -> f64 {
    match watches {
        Watches::Latency | Watches::Availability => 0.6,
        Watches::Errors => 0.45,
        Watches::Traffic | Watches::Outgoing => 0.25,
        Watches::Edge => 0.2,
        Watches::Saturation | Watches::Backlog => 0.05,
        // Those that suffer do not crash of it.
        Watches::Crash => 0.0,
    }
}
