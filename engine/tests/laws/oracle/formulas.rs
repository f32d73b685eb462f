//! The figures of docs/model.md, each computed from the list of what was seen, and from nothing
//! that was computed before. When a formula of the model changes, it changes here and nowhere else.

use std::collections::{BTreeMap, BTreeSet};

use hypocenter_engine::{Breach, Code, Kind, PolicySpec, Side};

use crate::support::Event;
use crate::world::Graph;

/// One observation: a new alert, or a worse value of a known one.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Seen {
    pub(super) rule: String,
    pub(super) kind: Kind,
    pub(super) entity: String,
    pub(super) caller: Option<String>,
    /// What stands for the fallback labels, outside the graph.
    pub(super) group: Option<String>,
    pub(super) strength: f64,
    /// By how much a delay is over its limit.
    pub(super) excess: Option<f64>,
    /// Which of the incidents that became one saw it. For grouping an entity that alerted in two
    /// of them counts in each.
    pub(super) part: usize,
}

/// Where a rule was seen, its name, and the caller on an edge.
type Rule<'s> = (usize, &'s str, &'s Option<String>);

/// Policy and graph.
pub(super) struct Model {
    pub(super) spec: PolicySpec,
    pub(super) graph: Graph,
}

fn kind_of(rule: &str) -> Kind {
    match rule {
        "LatencyHigh" => Kind::Latency,
        "DiskFull" => Kind::Saturation,
        "ErrorsHigh" => Kind::Error,
        "EdgeLatencyHigh" => Kind::Edge,
        "ClientLatencyHigh" => Kind::Client,
        "TrafficLow" => Kind::Traffic,
        "PodCrash" => Kind::Crash,
        "Watchdog" => Kind::Meta,
        _ => Kind::Other,
    }
}

fn is_delay(kind: Kind) -> bool {
    matches!(kind, Kind::Latency | Kind::Edge | Kind::Client)
}

fn is_cause(kind: Kind) -> bool {
    matches!(kind, Kind::Saturation | Kind::Crash)
}

/// How many times over its limit.
fn times_over(Breach { value, threshold, side }: Breach, kind: Kind) -> f64 {
    let times = match side {
        Side::Above => value / threshold,
        // A share of successes: of the error budget, which is a thousandth at least.
        Side::Below if kind == Kind::Error => (1.0 - value) / (1.0 - threshold).max(0.001),
        Side::Below => threshold / value.max(threshold / 10.0),
    };
    times.max(1.0)
}

/// The square root of a share.
fn agreement(complaining: usize, all: usize) -> f64 {
    (complaining as f64 / all.max(1) as f64).min(1.0).sqrt()
}

impl Model {
    pub(super) fn seen(&self, event: &Event) -> Seen {
        let rule = event.label("alertname");
        let (kind, ranking) = (kind_of(rule), &self.spec.ranking);
        let entity = event.label("service").to_owned();
        let strength = event.breach.map_or(ranking.strength_by_severity[1], |breach| {
            let logarithm = times_over(breach, kind).ln();
            let strength = ranking.strength_base + ranking.strength_per_ln * logarithm;
            strength.min(ranking.strength_max)
        });
        let above = event.breach.filter(|b| b.side == Side::Above && is_delay(kind));
        let grouped = !self.spec.labels.fallback.is_empty() && !self.knows(&entity);
        Seen {
            rule: rule.to_owned(),
            kind,
            caller: (kind == Kind::Edge).then(|| event.label("source").to_owned()),
            group: grouped.then(|| format!("cluster={}", event.label("rack"))),
            entity,
            strength,
            excess: above.map(|b| (b.value - b.threshold).max(0.0)),
            part: 0,
        }
    }

    pub(super) fn knows(&self, entity: &str) -> bool {
        self.graph.below.contains_key(entity)
    }

    fn dependencies(&self, entity: &str) -> usize {
        self.graph.below.get(entity).map_or(0, BTreeSet::len)
    }

    /// How expected an alert is under each root that could explain it.
    fn expected(&self, seen: &Seen) -> BTreeMap<String, f64> {
        let g = &self.spec.grouping;
        let mut roots: BTreeMap<String, f64> = BTreeMap::new();
        for (root, hops) in self.graph.reach(&seen.entity, g.hops_max) {
            roots.insert(root, g.decay.powi(i32::from(hops)));
        }
        for root in self.graph.dependents(&seen.entity) {
            roots.entry(root).or_insert(g.dependent_weight);
        }
        roots.extend(seen.group.clone().map(|group| (group, g.fallback_weight)));
        if let Some(caller) = &seen.caller {
            let expected = roots.entry(caller.clone()).or_insert(g.caller_weight);
            *expected = expected.max(g.caller_weight);
        }
        roots
    }

    /// The same as a logarithm, with what the kind says of its own entity.
    fn weight(&self, seen: &Seen, root: &str, expected: f64) -> f64 {
        // A weak alert says it less.
        let claim = self.spec.weights.of(seen.kind).claim * seen.strength.min(1.0);
        let said = if root == seen.entity { claim } else { -claim };
        expected.ln() + said.min(0.0)
    }

    /// How much better than a leak a root explains an alert.
    fn explained(&self, expected: f64) -> f64 {
        let leak = self.spec.grouping.leak;
        ((leak + (1.0 - leak) * expected) / leak).ln()
    }

    /// `ln(1/Z)`.
    pub(super) fn price(&self, root: &str) -> f64 {
        let g = &self.spec.grouping;
        if root.contains('=') {
            return -(2.0_f64.ln());
        }
        if !self.knows(root) {
            return 0.0;
        }
        let audience: f64 = self
            .graph
            .below
            .keys()
            .filter_map(|name| self.graph.reach(name, g.hops_max).get(root).copied())
            .map(|hops| g.decay.powi(i32::from(hops)))
            .sum();
        -(audience + self.dependencies(root) as f64 * g.dependent_weight).ln()
    }

    /// The roots that an incident considers, with their log-likelihoods.
    pub(super) fn likelihoods(&self, all: &[Seen]) -> BTreeMap<String, f64> {
        let mut roots: BTreeMap<String, f64> = BTreeMap::new();
        let mut pulls: BTreeMap<(usize, &str), f64> = BTreeMap::new();
        let mut claims: BTreeMap<&str, BTreeMap<Rule<'_>, f64>> = BTreeMap::new();
        for seen in all {
            let weights = self.spec.weights.of(seen.kind);
            // What a rule claims is what it claimed when it was first seen.
            let claimed = claims.entry(&seen.entity).or_default();
            let sure = seen.strength.min(1.0);
            claimed.entry((seen.part, &seen.rule, &seen.caller)).or_insert(weights.claim * sure);
            // An entity counts once, however many of its rules fire: a further one counts for what
            // it adds, to the roots that it speaks of.
            let pull = pulls.entry((seen.part, &seen.entity)).or_insert(0.0);
            let more = (weights.pull - *pull).max(0.0);
            *pull += more;
            for (root, expected) in self.expected(seen) {
                let likelihood = roots.entry(root.clone()).or_insert_with(|| self.price(&root));
                *likelihood += more * self.explained(expected);
            }
        }
        let bound = self.spec.grouping.claim_max;
        for (entity, claimed) in claims {
            let claim: f64 = claimed.values().sum();
            *roots.get_mut(entity).expect("a root") += claim.clamp(-bound, bound);
        }
        roots
    }

    /// Log-likelihood ratio of one root for both against two roots. `near` is the decay in time, by
    /// root; of no root for who is a member already.
    pub(super) fn ratio(&self, seen: &Seen, all: &[Seen], near: impl Fn(&str) -> f64) -> f64 {
        let expected = self.expected(seen);
        let weight = |root: &str| Some(self.weight(seen, root, *expected.get(root)?));
        let alone = expected.keys().map(|root| weight(root).expect("known") + self.price(root));
        let alone = alone.fold(f64::NEG_INFINITY, f64::max);
        let likelihoods = self.likelihoods(all);
        let best = likelihoods.values().copied().fold(f64::NEG_INFINITY, f64::max);
        let one = |(root, likelihood): (&String, &f64)| {
            Some(likelihood - best + weight(root)? - alone + near(root))
        };
        let mut ratio = likelihoods.iter().filter_map(one).fold(f64::NEG_INFINITY, f64::max);
        let member = |other: &Seen| {
            other.entity == seen.entity || (seen.group.is_some() && other.group == seen.group)
        };
        if all.iter().any(member) {
            ratio = ratio.max(near(""));
        }
        ratio
    }

    /// The same for two incidents.
    pub(super) fn merge_ratio(&self, a: &[Seen], b: &[Seen]) -> f64 {
        let best =
            |all: &[Seen]| self.likelihoods(all).into_values().fold(f64::NEG_INFINITY, f64::max);
        (best(&Self::joined(a, b)) - best(a) - best(b)).min(0.0)
    }

    /// What two incidents saw, as one.
    pub(super) fn joined(a: &[Seen], b: &[Seen]) -> Vec<Seen> {
        let parts = a.iter().map(|seen| seen.part + 1).max().unwrap_or_default();
        let theirs = b.iter().map(|seen| Seen { part: seen.part + parts, ..seen.clone() });
        a.iter().cloned().chain(theirs).collect()
    }

    /// The part to which a further observation belongs: where its rule is known, else where its
    /// entity counts most.
    pub(super) fn part_of(&self, seen: &Seen, all: &[Seen]) -> usize {
        let pull = |other: &&Seen| {
            let known = (&other.rule, &other.caller) == (&seen.rule, &seen.caller);
            (known, (self.spec.weights.of(other.kind).pull * 1e6) as i64, usize::MAX - other.part)
        };
        let same = all.iter().filter(|other| other.entity == seen.entity);
        same.max_by_key(pull).map_or(0, |other| other.part)
    }

    /// `ln` of a ratio that falls to zero over a window, in milliseconds.
    pub(super) fn nearness(gap: i64, window: i64) -> f64 {
        let left = 1.0 - gap as f64 / window as f64;
        if left > 0.0 { left.ln() } else { f64::NEG_INFINITY }
    }

    /// The strongest alert of each kind on an entity.
    fn strengths(&self, all: &[Seen], entity: &str) -> BTreeMap<Kind, f64> {
        let mut strengths: BTreeMap<Kind, f64> = BTreeMap::new();
        let mut callers: BTreeMap<&String, f64> = BTreeMap::new();
        for seen in all.iter().filter(|seen| seen.entity == entity) {
            if let Some(caller) = &seen.caller {
                let worst = callers.entry(caller).or_insert(0.0);
                *worst = worst.max(seen.strength);
            } else {
                let worst = strengths.entry(seen.kind).or_insert(0.0);
                *worst = worst.max(seen.strength);
            }
        }
        if !callers.is_empty() {
            let known = self.graph.dependents(entity);
            let others = callers.keys().filter(|caller| !known.contains(**caller)).count();
            let worst = callers.values().copied().fold(0.0, f64::max);
            let agreed = agreement(callers.len(), known.len() + others);
            strengths.insert(Kind::Edge, worst * agreed);
        }
        strengths
    }

    fn delay(all: &[Seen], entity: &str) -> Option<f64> {
        let own = all.iter().filter(|seen| seen.entity == entity);
        own.filter_map(|seen| seen.excess).reduce(f64::max)
    }

    /// What a root so many hops below an alerting entity explains of its symptom.
    fn explains(&self, all: &[Seen], entity: &str, root: &str, hops: u8) -> f64 {
        let roots = self.strengths(all, root);
        let audible = !roots.is_empty() && !roots.keys().any(|&kind| is_cause(kind));
        let delays = (Self::delay(all, entity), Self::delay(all, root));
        let diluted = match delays {
            (Some(mine), Some(theirs)) if audible => {
                let share = if mine > 0.0 { theirs / mine } else { f64::INFINITY };
                (self.spec.ranking.slack * share).min(1.0)
            }
            _ => 1.0,
        };
        let part = |(kind, strength): (Kind, f64)| {
            let limit = if is_delay(kind) { diluted } else { 1.0 };
            strength * self.spec.weights.of(kind).symptom * limit
        };
        let most = self.strengths(all, entity).into_iter().map(part).fold(0.0, f64::max);
        most * self.spec.ranking.decay.powi(i32::from(hops))
    }

    /// The same for a root without an alert of its own: what lies on the way alerts.
    fn quietly_explains(&self, all: &[Seen], entity: &str, hops: u8) -> f64 {
        let part = |(kind, strength): (Kind, f64)| strength * self.spec.weights.of(kind).symptom;
        let most = self.strengths(all, entity).into_iter().map(part).fold(0.0, f64::max);
        most * self.spec.ranking.decay * self.spec.ranking.silent_decay.powi(i32::from(hops) - 1)
    }

    /// How much an entity's symptoms count, however many they are.
    fn pull(&self, all: &[Seen], entity: &str) -> f64 {
        let own = all.iter().filter(|seen| seen.entity == entity);
        own.map(|seen| self.spec.weights.of(seen.kind).pull).fold(0.0, f64::max)
    }

    /// The terms of one candidate, by code and by the entity explained.
    fn terms(&self, all: &[Seen], root: &str) -> BTreeMap<(&'static str, String), f64> {
        let (ranking, mut terms) = (&self.spec.ranking, BTreeMap::new());
        let dependents = self.graph.dependents(root);
        let entry = self.knows(root) && dependents.is_empty() && self.dependencies(root) > 0;
        let own = |(kind, strength): (Kind, f64)| {
            let door = if entry && !is_cause(kind) { ranking.entry_weight } else { 1.0 };
            strength * self.spec.weights.of(kind).own * door
        };
        let own = self.strengths(all, root).into_iter().map(own).reduce(f64::max);
        let alerting: BTreeSet<&String> = all.iter().map(|seen| &seen.entity).collect();
        let (mut explained, mut complaining, mut covered) = (0.0, 0, 0.0);
        for &entity in &alerting {
            let hops = self.graph.reach(entity, ranking.hops_max).get(root).copied();
            if let Some(hops) = hops.filter(|&hops| hops > 0) {
                let part = match own {
                    Some(_) => self.explains(all, entity, root, hops),
                    None => self.quietly_explains(all, entity, hops),
                };
                explained += part;
                covered += self.pull(all, entity);
                complaining += usize::from(hops == 1);
                terms.insert((Code::Explains.name(), entity.clone()), part);
            }
        }
        let slow: BTreeMap<&String, f64> = all
            .iter()
            .filter(|seen| seen.caller.as_deref() == Some(root))
            .fold(BTreeMap::new(), |mut slow, seen| {
                let worst = slow.entry(&seen.entity).or_insert(0.0_f64);
                *worst = worst.max(seen.strength);
                slow
            });
        let mut starved = None;
        if slow.len() >= 2 {
            let worst = slow.values().copied().fold(0.0, f64::max);
            let callees = self.dependencies(root).max(slow.len());
            starved = Some(worst * ranking.starved_weight * agreement(slow.len(), callees));
        }
        if own.is_none() && starved.is_none() && explained < 5e-7 {
            return BTreeMap::new();
        }
        if own.is_none() {
            terms.insert((Code::Silent.name(), String::new()), -ranking.silent_price);
            let mut believed = explained;
            if !dependents.is_empty() {
                believed *= agreement(complaining, dependents.len());
                terms.insert((Code::Disagreement.name(), String::new()), believed - explained);
            }
            let pull: f64 = alerting.iter().map(|entity| self.pull(all, entity)).sum();
            if pull > 0.0 {
                let less = believed * ((covered / pull).powf(ranking.silent_coverage) - 1.0);
                terms.insert((Code::Unexplained.name(), String::new()), less);
            }
        }
        terms.extend(own.map(|own| ((Code::OwnAlert.name(), String::new()), own)));
        terms.extend(starved.map(|score| ((Code::StarvedCaller.name(), String::new()), score)));
        terms
    }

    /// All candidates with the terms of their scores.
    pub(super) fn candidates(
        &self,
        all: &[Seen],
    ) -> BTreeMap<String, BTreeMap<(&'static str, String), f64>> {
        let roots: BTreeSet<String> = all
            .iter()
            .flat_map(|seen| self.expected(seen).into_keys())
            .filter(|root| !root.contains('='))
            .collect();
        let terms = roots.into_iter().map(|root| {
            let terms = self.terms(all, &root);
            (root, terms)
        });
        terms.filter(|(_, terms)| !terms.is_empty()).collect()
    }
}
