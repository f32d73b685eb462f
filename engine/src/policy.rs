//! Every parameter of the engine: written down in a [`PolicySpec`], checked into a [`Policy`].

mod check;

use crate::hash::Fnv;
use crate::kind::{Kind, KindWords};
use crate::limits::Limits;
use crate::mapping::{Mapping, MappingError, MappingSpec};
use crate::score::{Score, ln};
use crate::time::Span;

/// All parameters, as given. [`Default`] is the one set meant for every system.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct PolicySpec {
    /// Which labels mean what.
    pub labels: LabelRoles,
    /// How alerts are mapped to entities.
    pub mapping: MappingSpec,
    /// Words that give an alert its kind.
    pub kinds: KindWords,
    /// Weights by kind.
    pub weights: KindWeights,
    /// Lengths of time.
    pub times: Times,
    /// Which alerts are explained together.
    pub grouping: Grouping,
    /// Which entity is held to be the cause.
    pub ranking: Ranking,
    /// Maxima.
    pub limits: Limits,
}

/// Which labels mean what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LabelRoles {
    /// Dropped before identity is computed, so that an HA pair sends one alert and not two.
    pub replica: Vec<String>,
    /// Tenants never influence each other. `None`: there is one tenant.
    pub tenant: Option<String>,
    /// On an alert about one edge, the label that names the calling entity.
    pub caller: Vec<String>,
    /// Names the metric behind an alert; delays are compared per metric.
    pub metric: String,
    /// Severity: `critical`, `warning`, `info` and others.
    pub severity: String,
    /// Alerts on unknown entities are grouped when all of these labels are set and equal.
    /// Empty: only alerts on the same entity are.
    pub fallback: Vec<String>,
}

impl Default for LabelRoles {
    fn default() -> Self {
        let list = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect();
        Self {
            replica: list(&["prometheus_replica", "__replica__"]),
            tenant: None,
            caller: list(&["source", "source_workload", "client"]),
            metric: "metric".to_owned(),
            severity: "severity".to_owned(),
            fallback: Vec::new(),
        }
    }
}

/// What an alert of one kind is worth.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct KindWeight {
    /// Ranking: evidence against its own entity, per unit of strength.
    pub own: f64,
    /// Ranking: what it asks the entity's dependencies to explain, per unit of strength.
    pub symptom: f64,
    /// Grouping: log-likelihood (nats) for its own entity being the root.
    pub claim: f64,
    /// Grouping: how much it counts as a symptom of a root elsewhere, 0 to 1.
    pub pull: f64,
}

/// Weights by kind, in the order of [`Kind::index`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct KindWeights([KindWeight; Kind::COUNT]);

impl KindWeights {
    /// The weights of a kind.
    #[must_use]
    pub const fn of(&self, kind: Kind) -> KindWeight {
        self.0[kind.index()]
    }

    /// Replaces the weights of a kind.
    pub const fn set(&mut self, kind: Kind, weight: KindWeight) {
        self.0[kind.index()] = weight;
    }
}

impl Default for KindWeights {
    fn default() -> Self {
        let weight = |own, symptom, claim, pull| KindWeight { own, symptom, claim, pull };
        let mut weights = Self([weight(0.0, 0.0, 0.0, 0.0); Kind::COUNT]);
        for (kind, value) in [
            (Kind::Saturation, weight(2.0, 0.0, 3.0, 0.6)),
            (Kind::Crash, weight(2.0, 0.0, 3.0, 0.6)),
            (Kind::Error, weight(2.0, 2.0, 0.3, 1.0)),
            (Kind::Latency, weight(1.0, 1.0, 0.3, 1.0)),
            (Kind::Edge, weight(1.0, 1.0, 0.3, 0.8)),
            (Kind::Client, weight(0.3, 1.0, -0.5, 0.6)),
            (Kind::Traffic, weight(0.2, 0.2, -1.0, 0.5)),
            (Kind::Other, weight(1.0, 1.0, 0.0, 0.5)),
            (Kind::Blind, weight(0.001, 0.0, 0.0, 0.3)),
        ] {
            weights.set(kind, value);
        }
        weights
    }
}

/// Lengths of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Times {
    /// An alert without an end is over this long after its last event.
    pub resolve_timeout: Span,
    /// How far an onset may lie before now and still count as such.
    pub lateness: Span,
    /// Without a change of candidate for this long, an incident is settled.
    pub settle_for: Span,
    /// With no member firing for this long, an incident is resolved.
    pub quiet_for: Span,
    /// An incident that is over can be read for this long.
    pub retain_for: Span,
    /// Incidents younger than this may still be merged.
    pub merge_window: Span,
    /// An incident takes no more alerts when this much older than the alert's onset.
    pub max_duration: Span,
    /// An alert that fires again this soon after it ended stays in its incident, when nothing
    /// explains it better.
    pub refire_within: Span,
    /// The same once the incident is resolved, which is opened again then.
    pub reopen_within: Span,
    /// Onsets of one alert are counted over this long.
    pub flap_window: Span,
    /// A flapping alert is suppressed for this long, and half as long again at each onset.
    pub flap_hold: Span,
    /// A flapping alert that fires for this long without a break is placed after all.
    pub flap_steady: Span,
    /// An alert that has fired for longer than this when first seen is part of the scenery.
    pub chronic_after: Span,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            resolve_timeout: Span::from_secs(300),
            lateness: Span::from_secs(600),
            settle_for: Span::from_secs(60),
            quiet_for: Span::from_secs(120),
            retain_for: Span::from_secs(3600),
            merge_window: Span::from_secs(180),
            max_duration: Span::from_secs(2700),
            refire_within: Span::from_secs(30),
            reopen_within: Span::from_secs(150),
            flap_window: Span::from_secs(900),
            flap_hold: Span::from_secs(3600),
            flap_steady: Span::from_secs(300),
            chronic_after: Span::from_secs(600),
        }
    }
}

/// Which alerts are explained together: one root for both, or one each?
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Grouping {
    /// Longest dependency chain from an alert to its root.
    pub hops_max: u8,
    /// Most entities in one walk, nearest first.
    pub reach_max: usize,
    /// An alert one dependency further from the root is this much less expected.
    pub decay: f64,
    /// And this much less for each entity on the way to the root that does not alert, up to the
    /// nearest that does.
    pub silent_hop: f64,
    /// How expected an alert is on a direct dependency of the root: load passes downwards.
    pub dependent_weight: f64,
    /// How expected an edge alert is when its caller is the root.
    pub caller_weight: f64,
    /// How expected an alert is that the root does not explain.
    pub leak: f64,
    /// Least likelihood ratio of "one root for both" against "two roots" to join, and to merge.
    pub join_ratio: f64,
    /// The ratio falls to zero, linearly, this long after the incident's last new evidence.
    pub window: Span,
    /// An incident that goes on may take late alerts for this long after its last new evidence,
    /// and fragments of itself that began this long before or after: real incidents develop over
    /// minutes, and a cause that goes on goes on causing.
    pub late_window: Span,
    /// A late alert counts this much, divided by how likely an entity begins to alert by chance
    /// within `late_window`: where little else happens it belongs to what goes on.
    pub late_weight: f64,
    /// Alerting entities from which on an incident is surely no chance; with fewer, it takes late
    /// alerts by the fifth power of the share.
    pub real_entities: u32,
    /// Over this long it is counted how often entities begin to alert.
    pub background_window: Span,
    /// An alert that was alone in its incident before says less: each time alone counts this many
    /// times as much as once with others.
    pub habit_weight: f64,
    /// Dependents of one root that begin to alert within this long may be a coincidence.
    pub coincidence_window: Span,
    /// From these odds on, in nats, they are not, and their incidents become one.
    pub coincidence_min: f64,
    /// Bound of what an entity's own alerts may claim, either way, in nats.
    pub claim_max: f64,
    /// Onsets within the flap window from which on an alert is flapping.
    pub flap_onsets: u8,
    /// How expected an alert is on an entity outside the graph that shares the fallback labels.
    pub fallback_weight: f64,
}

impl Default for Grouping {
    fn default() -> Self {
        Self {
            hops_max: 4,
            reach_max: 64,
            decay: 0.8,
            silent_hop: 0.3,
            dependent_weight: 0.2,
            caller_weight: 0.3,
            leak: 0.02,
            join_ratio: 0.35,
            window: Span::from_secs(80),
            late_window: Span::from_secs(600),
            late_weight: 0.25,
            real_entities: 3,
            background_window: Span::from_secs(1800),
            habit_weight: 6.0,
            coincidence_window: Span::from_secs(300),
            coincidence_min: 5.0,
            claim_max: 4.0,
            flap_onsets: 3,
            fallback_weight: 0.8,
        }
    }
}

/// Which entity is held to be the cause. Units of scores: one full latency alert is 1.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Ranking {
    /// A symptom is explained by entities at most this many dependencies below it.
    pub hops_max: u8,
    /// A dependency further away explains this much less.
    pub decay: f64,
    /// Strength of an alert just over its limit.
    pub strength_base: f64,
    /// Added per natural logarithm of value over limit.
    pub strength_per_ln: f64,
    /// Strength limit.
    pub strength_max: f64,
    /// Strength of an alert without numbers, by severity: critical, warning, info.
    pub strength_by_severity: [f64; 3],
    /// Weight of the suspicion that a caller with several slow callees is starved itself.
    pub starved_weight: f64,
    /// A dependency explains a delay up to this many times its own: calls per request.
    pub slack: f64,
    /// Weight of own evidence on an entity that nobody calls.
    pub entry_weight: f64,
    /// What any alert asks, at least, of the machine that its entity runs on, per unit of strength.
    pub host_weight: f64,
    /// Price of naming an entity without an alert of its own.
    pub silent_price: f64,
    /// The decay beyond the first dependency, for such an entity: what lies on the way alerts.
    pub silent_decay: f64,
    /// It must explain all that alerts: to this power goes the share that it does.
    pub silent_coverage: f64,
    /// Scores this far apart differ by a factor e in confidence.
    pub temperature: f64,
    /// Score of "none of these" among the candidates.
    pub none_score: f64,
    /// A confidence below this is marked low.
    pub low_confidence: f64,
}

impl Default for Ranking {
    fn default() -> Self {
        Self {
            hops_max: 4,
            decay: 0.7,
            strength_base: 0.5,
            strength_per_ln: 0.5,
            strength_max: 2.0,
            strength_by_severity: [1.2, 0.7, 0.35],
            starved_weight: 0.5,
            slack: 3.0,
            entry_weight: 0.3,
            host_weight: 1.0,
            silent_price: 0.5,
            silent_decay: 0.98,
            silent_coverage: 2.0,
            temperature: 0.35,
            none_score: 1.0,
            low_confidence: 0.4,
        }
    }
}

/// A parameter outside its bounds.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A number that is out of range.
    #[error("{field} is {given}, allowed is {allowed}")]
    OutOfRange {
        /// The parameter, as in the configuration.
        field: &'static str,
        /// What was given.
        given: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A mapping rule that cannot be used.
    #[error(transparent)]
    Mapping(#[from] MappingError),
}

/// All parameters, checked, with what is computed from them once.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(crate) spec: PolicySpec,
    pub(crate) mapping: Mapping,
    pub(crate) logs: Logs,
    hash: u64,
}

/// Logarithms of the grouping's weights: the hot path only adds.
#[derive(Clone, Debug)]
pub(crate) struct Logs {
    /// `ln w` by hops below.
    pub(crate) below: Vec<Score>,
    /// `ln (leak + (1 - leak) w) - ln leak` by hops below.
    pub(crate) explained_below: Vec<Score>,
    pub(crate) silent_hop: Score,
    pub(crate) dependent: Score,
    pub(crate) explained_dependent: Score,
    pub(crate) caller: Score,
    pub(crate) explained_caller: Score,
    pub(crate) fallback: Score,
    pub(crate) explained_fallback: Score,
    pub(crate) join_ratio: Score,
    /// `decay^hops` of the ranking.
    pub(crate) rank_decay: Vec<f64>,
    /// The same for a silent candidate, up to the hops of the grouping.
    pub(crate) silent_decay: Vec<f64>,
}

impl Policy {
    /// Checks a specification.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn new(spec: PolicySpec) -> Result<Self, Vec<PolicyError>> {
        let mut errors = check::all(&spec);
        let mapping = Mapping::new(&spec.mapping);
        match mapping {
            Ok(mapping) if errors.is_empty() => {
                let mut hash = Fnv::new();
                // The debug form names every field, so that no parameter can be forgotten.
                hash.write(format!("{spec:?}").as_bytes());
                let logs = Logs::new(&spec.grouping, &spec.ranking);
                Ok(Self { hash: hash.finish(), logs, mapping, spec })
            }
            Ok(_) => Err(errors),
            Err(mapping) => {
                errors.extend(mapping.into_iter().map(PolicyError::from));
                Err(errors)
            }
        }
    }

    /// Hash of all parameters.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The parameters.
    #[must_use]
    pub fn spec(&self) -> &PolicySpec {
        &self.spec
    }
}

impl Default for Policy {
    fn default() -> Self {
        match Self::new(PolicySpec::default()) {
            Ok(policy) => policy,
            Err(errors) => unreachable!("the default policy is valid: {errors:?}"),
        }
    }
}

impl Logs {
    fn new(grouping: &Grouping, ranking: &Ranking) -> Self {
        let leak = grouping.leak;
        let plain = |w: f64| Score::from_f64(ln(w));
        let explained = |w: f64| Score::from_f64(ln(leak + (1.0 - leak) * w) - ln(leak));
        let powers = |base: f64, n: u8| {
            let mut list = vec![1.0];
            for at in 0..usize::from(n) {
                list.push(list[at] * base);
            }
            list
        };
        let below = powers(grouping.decay, grouping.hops_max);
        let mut silent = powers(ranking.silent_decay, grouping.hops_max);
        silent.iter_mut().for_each(|w| *w *= ranking.decay / ranking.silent_decay);
        Self {
            explained_below: below.iter().map(|&w| explained(w)).collect(),
            below: below.iter().map(|&w| plain(w)).collect(),
            silent_hop: plain(grouping.silent_hop),
            dependent: plain(grouping.dependent_weight),
            explained_dependent: explained(grouping.dependent_weight),
            caller: plain(grouping.caller_weight),
            explained_caller: explained(grouping.caller_weight),
            fallback: plain(grouping.fallback_weight),
            explained_fallback: explained(grouping.fallback_weight),
            join_ratio: plain(grouping.join_ratio),
            rank_decay: powers(ranking.decay, ranking.hops_max),
            silent_decay: silent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_its_hash_follows_every_change() {
        let default = Policy::default();
        let mut spec = PolicySpec::default();
        spec.ranking.slack = 2.0;
        assert_ne!(Policy::new(spec).expect("valid").hash(), default.hash());
    }

    #[test]
    fn all_mistakes_are_reported_at_once() {
        let mut spec = PolicySpec::default();
        spec.grouping.decay = 1.0;
        spec.ranking.temperature = f64::NAN;
        spec.limits.alerts_max = 0;
        spec.ranking.strength_base = 0.0;
        spec.mapping.own.push(crate::mapping::MappingRule::default());
        let errors = Policy::new(spec).expect_err("invalid");
        let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(text.len(), 5, "{text:?}");
        assert_eq!(text[0], "grouping.decay is 1, allowed is more than 0, less than 1");
        assert!(text[4].contains("mapping.own_rules[0]: has no name"), "{text:?}");
    }
}
