//! What one incident knows of one entity that alerts in it, and what that says to its
//! dependencies.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::kind::Kind;
use crate::limits::PER_SYMPTOM_MAX;
use crate::model::{Entity, Model, Observation};
use crate::planted::planted;
use crate::score::Score;
use crate::symbol::Symbol;

/// One entity's alerts in one incident, the worst of each sort. Resolved alerts keep their peak.
#[derive(Clone, Debug, BorshDeserialize, BorshSerialize)]
pub(crate) struct Symptom {
    pub(crate) entity: Entity,
    /// Strongest alert by kind; an edge alert enters by way of `callers`.
    strengths: [Score; Kind::COUNT],
    /// The member that shows each kind best.
    shown_by: [u32; Kind::COUNT],
    /// Callers that find this entity slow.
    callers: Vec<(Entity, Score)>,
    /// Callees that this entity finds slow.
    callees: Vec<(Entity, Score)>,
    /// Largest delay over the limit, by metric, in the metric's unit.
    delays: Vec<(Option<Symbol>, f64)>,
    /// Rules seen here, with the caller of an edge rule: each is new evidence once.
    rules: Vec<(Symbol, Option<Entity>)>,
    /// What its own alerts claim for it, in nats, all together; see [`Symptom::claim`].
    pub(crate) claims: Score,
    /// How much it counts as a symptom of a root elsewhere.
    pub(crate) pull: Score,
    /// What of the pull is in the sums of the roots below.
    pub(crate) counted: Score,
    /// Members on this entity that fire now.
    pub(crate) firing: u32,
}

/// The strongest alert of an entity as evidence against itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Own {
    pub(crate) kind: Kind,
    pub(crate) strength: Score,
    /// Strength times the kind's weight.
    pub(crate) score: Score,
    /// The member that shows it.
    pub(crate) member: u32,
}

/// Several callees are slow from one entity.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Starved {
    /// Strength of the slowest.
    pub(crate) worst: Score,
    pub(crate) score: Score,
    pub(crate) slow: u32,
    /// All its callees.
    pub(crate) callees: u32,
}

impl Symptom {
    pub(crate) fn new(entity: Entity) -> Self {
        Self {
            entity,
            strengths: [Score::ZERO; Kind::COUNT],
            shown_by: [0; Kind::COUNT],
            callers: Vec::new(),
            callees: Vec::new(),
            delays: Vec::new(),
            rules: Vec::new(),
            claims: Score::ZERO,
            pull: Score::ZERO,
            counted: Score::ZERO,
            firing: 0,
        }
    }

    /// Whether the entity has an alert of its own here, and is not only named as a caller.
    pub(crate) fn is_alerting(&self) -> bool {
        self.strengths.iter().any(|&s| s > Score::ZERO)
    }

    /// What its own alerts claim for it, in nats, bounded. Only the sum is, and not each step, so
    /// that their order does not matter.
    pub(crate) fn claim(&self, bound: Score) -> Score {
        self.claims.clamp(-bound, bound)
    }

    /// Notes a rule. Whether it is new here.
    pub(crate) fn note_rule(&mut self, seen: &Observation) -> bool {
        let rule = (seen.subject.rule, seen.subject.caller);
        if self.rules.contains(&rule) {
            return planted!(RuleCountedAgain: true, false);
        }
        if self.rules.len() < PER_SYMPTOM_MAX {
            self.rules.push(rule);
        }
        true
    }

    /// Takes in the alert of `member`.
    pub(crate) fn take(&mut self, model: Model<'_>, seen: &Observation, member: u32) {
        let kind = seen.subject.kind.index();
        let mut strength = seen.strength;
        if let Some(excess) = seen.excess.filter(|_| seen.subject.kind.is_delay()) {
            raise(&mut self.delays, seen.subject.metric, excess, |a, b| a < b);
        }
        if let Some(caller) = seen.subject.caller {
            raise(&mut self.callers, caller, seen.strength, |a, b| a < b);
            strength = self.edge_strength(model);
        }
        // A further complaining caller may also make the agreement, and the strength, larger.
        if strength > self.strengths[kind] {
            self.strengths[kind] = strength;
            self.shown_by[kind] = member;
        }
    }

    /// Gives entities other names, also those that it names as callers and callees.
    pub(crate) fn rename(&mut self, to: impl Fn(Entity) -> Entity) {
        self.entity = to(self.entity);
        for list in [&mut self.callers, &mut self.callees] {
            for (entity, strength) in std::mem::take(list) {
                raise(list, to(entity), strength, |a, b| a < b);
            }
        }
        for (_, caller) in &mut self.rules {
            *caller = caller.map(&to);
        }
    }

    /// Takes in that calls from here to `callee` are slow.
    pub(crate) fn take_slow_callee(&mut self, callee: Entity, strength: Score) {
        raise(&mut self.callees, callee, strength, |a, b| a < b);
    }

    /// Takes in all of another incident's symptom of the same entity. `members`: the numbers here
    /// of the other one's members.
    pub(crate) fn absorb(&mut self, model: Model<'_>, other: &Self, members: &[u32]) {
        for &(metric, excess) in &other.delays {
            raise(&mut self.delays, metric, excess, |a, b| a < b);
        }
        for &(caller, strength) in &other.callers {
            raise(&mut self.callers, caller, strength, |a, b| a < b);
        }
        for &(callee, strength) in &other.callees {
            raise(&mut self.callees, callee, strength, |a, b| a < b);
        }
        for &rule in &other.rules {
            if !self.rules.contains(&rule) && self.rules.len() < PER_SYMPTOM_MAX {
                self.rules.push(rule);
            }
        }
        for kind in Kind::ALL.map(Kind::index) {
            if other.strengths[kind] > self.strengths[kind] {
                self.strengths[kind] = other.strengths[kind];
                self.shown_by[kind] = members[other.shown_by[kind] as usize];
            }
        }
        if !self.callers.is_empty() {
            let edge = Kind::Edge.index();
            self.strengths[edge] = self.strengths[edge].max(self.edge_strength(model));
        }
        self.pull = self.pull.max(other.pull);
        self.firing += other.firing;
    }

    /// A slow service is slow for all its callers: the worst edge, as far as the callers agree.
    fn edge_strength(&self, model: Model<'_>) -> Score {
        let known = model.dependents(self.entity);
        // What a caller depends on is a shorter list than who depends on this entity.
        let outside = |caller: Entity| {
            self.entity.node().is_none_or(|node| !model.dependencies(caller).contains(&node))
        };
        let extra = self.callers.iter().filter(|(caller, _)| outside(*caller)).count();
        let worst = self.callers.iter().map(|&(_, s)| s).max().unwrap_or_default();
        worst.times(agreement(self.callers.len(), known.len() + extra))
    }

    /// The strongest own evidence.
    pub(crate) fn own(&self, model: Model<'_>) -> Option<Own> {
        let entry =
            model.dependents(self.entity).is_empty() && !model.dependencies(self.entity).is_empty();
        let spec = &model.policy.spec;
        let own = |kind: Kind| {
            let at_door = if entry && !kind.is_cause() { spec.ranking.entry_weight } else { 1.0 };
            let strength = self.strengths[kind.index()];
            let score = strength.times(spec.weights.of(kind).own * at_door);
            Own { kind, strength, score, member: self.shown_by[kind.index()] }
        };
        Kind::ALL
            .into_iter()
            .filter(|kind| self.strengths[kind.index()] > Score::ZERO)
            .map(own)
            // The first of equals: `max_by_key` would take the last.
            .reduce(|best, next| if next.score > best.score { next } else { best })
    }

    /// The suspicion that this entity is starved: many different callees are slow from here.
    pub(crate) fn starved(&self, model: Model<'_>) -> Option<Starved> {
        let slow = self.callees.len();
        if slow < 2 {
            return None;
        }
        let callees = model.dependencies(self.entity).len().max(slow);
        let worst = self.callees.iter().map(|&(_, s)| s).max().unwrap_or_default();
        let weight = model.policy.spec.ranking.starved_weight * agreement(slow, callees);
        let (slow, callees) = (slow as u32, callees as u32);
        Some(Starved { worst, score: worst.times(weight), slow, callees })
    }

    /// Asserts that its lists are bounded and point at members.
    pub(crate) fn check(&self, members: usize) {
        assert!(self.is_within(members));
        let longest = [self.callers.len(), self.callees.len(), self.delays.len(), self.rules.len()];
        assert!(longest.iter().all(|&len| len <= PER_SYMPTOM_MAX));
    }

    /// All entities that it names.
    pub(crate) fn entities(&self) -> impl Iterator<Item = Entity> {
        let lists = self.callers.iter().chain(&self.callees).map(|&(entity, _)| entity);
        [self.entity].into_iter().chain(lists).chain(self.rules.iter().filter_map(|rule| rule.1))
    }

    /// Whether it is shown by the first `members` members of its incident.
    pub(crate) fn is_within(&self, members: usize) -> bool {
        self.shown_by.iter().all(|&at| (at as usize) < members)
    }

    /// What this entity's symptom asks `root` to explain, at most.
    pub(crate) fn asks(&self, model: Model<'_>, root: Entity) -> Score {
        let weight = weight_before(model, root);
        let asked = |kind: Kind| self.strengths[kind.index()].times(weight(kind));
        Kind::ALL.into_iter().map(asked).max().unwrap_or_default()
    }

    /// What `root`, silent and `hops` below it, would explain of this entity's symptom.
    pub(crate) fn quietly_explained(&self, model: Model<'_>, root: Entity, hops: u8) -> Score {
        self.asks(model, root).times(model.policy.logs.silent_decay[usize::from(hops)])
    }

    /// Whether it says more than that less is seen.
    pub(crate) fn burns(&self) -> bool {
        let mut kinds = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Blind);
        kinds.any(|kind| self.strengths[kind.index()] > Score::ZERO)
    }

    /// How much of this entity's symptom `root`, `hops` below it and with this symptom of its own,
    /// would explain.
    pub(crate) fn explained_by(
        &self,
        model: Model<'_>,
        (root, own): (Entity, Option<&Self>),
        hops: u8,
    ) -> Score {
        let weight = weight_before(model, root);
        let limit = own.map_or(1.0, |own| self.dilution(model, own));
        let asked = |kind: Kind| {
            let part = if kind.is_delay() { limit } else { 1.0 };
            self.strengths[kind.index()].times(weight(kind) * part)
        };
        let most = Kind::ALL.into_iter().map(asked).max().unwrap_or_default();
        most.times(model.policy.logs.rank_decay[usize::from(hops)])
    }

    /// A dependency one millisecond over its limit cannot make its caller 300 ms slower.
    fn dilution(&self, model: Model<'_>, root: &Self) -> f64 {
        let causes = root.strengths[Kind::Saturation.index()] > Score::ZERO
            || root.strengths[Kind::Crash.index()] > Score::ZERO;
        if causes || !root.is_alerting() {
            return 1.0;
        }
        let mut share: Option<f64> = None;
        for (metric, mine) in &self.delays {
            let theirs = root.delays.iter().find(|(m, _)| m == metric);
            if let Some((_, theirs)) = theirs {
                let ratio = if *mine > 0.0 { theirs / mine } else { f64::INFINITY };
                share = Some(share.map_or(ratio, |s| s.max(ratio)));
            }
        }
        let share = planted!(DilutionIgnored: None, share);
        share.map_or(1.0, |s: f64| (model.policy.spec.ranking.slack * s).min(1.0))
    }
}

/// What a symptom of each kind asks of `root`. That something crashed needs no explanation by what
/// it calls, but it may have one in the machine that it ran on.
fn weight_before(model: Model<'_>, root: Entity) -> impl Fn(Kind) -> f64 + use<'_> {
    let spec = &model.policy.spec;
    let is_host = model.is_host(root);
    move |kind| {
        let symptom = spec.weights.of(kind).symptom;
        match kind {
            Kind::Blind | Kind::Meta => symptom,
            _ if is_host => symptom.max(spec.ranking.host_weight),
            _ => symptom,
        }
    }
}

/// Those that complain among those that could, under a square root.
pub(crate) fn agreement(complaining: usize, all: usize) -> f64 {
    (complaining as f64 / all.max(1) as f64).min(1.0).sqrt()
}

/// Keeps the larger value per key, in a bounded list.
fn raise<K: PartialEq, V: Copy>(list: &mut Vec<(K, V)>, key: K, value: V, less: fn(V, V) -> bool) {
    if let Some((_, old)) = list.iter_mut().find(|(k, _)| *k == key) {
        if less(*old, value) {
            *old = value;
        }
    } else if list.len() < PER_SYMPTOM_MAX {
        list.push((key, value));
    }
}
