//! How an observation becomes evidence: the one place where an incident's figures change.
//!
//! Likelihoods (for grouping) and scores (for ranking) are sums over symptoms. A symptom that
//! changes is taken out of the sums, changed, and put back, so that the sums depend on the
//! symptoms alone and not on the order in which they came.

use crate::hypotheses::{Hypothesis, Sums};
use crate::incident::{Incident, Member};
use crate::limits::HYPOTHESES_MAX;
use crate::model::{Entity, Link, Model, Observation};
use crate::planted::planted;
use crate::score::{Score, power};
use crate::symptom::{Own, Starved, Symptom, agreement};
use crate::time::Timestamp;
use crate::walk::Relation;

/// Roots that came into and fell out of an incident's table.
#[derive(Debug, Default)]
pub(crate) struct Turnover {
    pub(crate) admitted: Vec<Entity>,
    pub(crate) dropped: Vec<Entity>,
}

/// The terms of one candidate's score. They sum to it exactly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Its own strongest alert.
    pub(crate) own: Option<Own>,
    /// Several of its callees are slow from it.
    pub(crate) starved: Option<Starved>,
    /// What it would explain, if its dependents agreed.
    pub(crate) explained: Score,
    /// Less, as far as they do not; only for a silent candidate. Never positive.
    pub(crate) disagreement: Score,
    /// Less, as far as something alerts that it does not explain; only for a silent candidate.
    /// Never positive.
    pub(crate) unexplained: Score,
    /// The price of having no alert of its own. Never positive.
    pub(crate) silent: Score,
    /// Direct dependents that alert, of all there are.
    pub(crate) complaining: (u32, u32),
    /// Share of what alerts that it explains.
    pub(crate) coverage: f64,
}

impl Terms {
    pub(crate) fn total(&self) -> Score {
        let own = self.own.map_or(Score::ZERO, |own| own.score);
        let starved = self.starved.map_or(Score::ZERO, |starved| starved.score);
        own + starved + self.explained + self.disagreement + self.unexplained + self.silent
    }

    /// Whether anything at all speaks for the candidate.
    fn speaks(&self) -> bool {
        self.own.is_some() || self.starved.is_some() || self.explained > Score::ZERO
    }
}

impl Incident {
    /// Takes in a new or worse observation of `member`.
    pub(crate) fn observe(
        &mut self,
        model: Model<'_>,
        seen: &Observation,
        links: &[Link],
        member: u32,
        onset: Timestamp,
        turnover: &mut Turnover,
    ) {
        self.hypotheses.reserve(links.len());
        for link in links {
            if self.hypotheses.get(link.root).is_none() {
                self.admit(model, link.root, (link.prior, link.prior), link.nameable);
                turnover.admitted.push(link.root);
            }
        }
        let (entity, pull_before) = (seen.subject.entity, self.pull);
        let at = self.symptom_at(entity);
        if self.symptoms[at].note_rule(seen) {
            self.newest = self.newest.max(onset);
            self.raise_likelihoods(model, seen, links, at);
        }
        let audible = !self.symptoms[at].is_alerting()
            || seen.subject.kind.is_delay()
            || seen.subject.kind.is_cause();
        self.change_symptom(model, at, audible, |symptom| symptom.take(model, seen, member));
        if let Some(caller) = seen.subject.caller {
            let at = self.symptom_at(caller);
            self.symptoms[at].take_slow_callee(entity, seen.strength);
        }
        if self.pull == pull_before {
            for link in links {
                self.rescore(model, link.root);
            }
        } else {
            // What one root does not explain counts against it.
            self.rescore_all(model);
        }
        // Before there is a candidate the first alert's own entity is one, whatever its price.
        let keep = self.candidate.unwrap_or(entity);
        self.hypotheses.settle(Some(keep), &mut turnover.dropped);
    }

    /// Adds a root to the table, with what the symptoms so far say of it.
    fn admit(
        &mut self,
        model: Model<'_>,
        entity: Entity,
        (prior, likelihood): (Score, Score),
        nameable: bool,
    ) {
        let bound = model.claim_bound();
        let claim = self.symptom(entity).map_or(Score::ZERO, |s| s.claim(bound));
        let sums = self.sums(model, entity);
        self.hypotheses.push(Hypothesis {
            entity,
            prior,
            likelihood: likelihood + claim,
            sums,
            score: Score::WORST,
            nameable,
        });
    }

    /// What all symptoms above a root come to.
    pub(crate) fn sums(&self, model: Model<'_>, entity: Entity) -> Sums {
        let own = self.symptom(entity);
        let own_pull = own.map_or(Score::ZERO, |own| own.counted);
        let mut sums = Sums { covered: own_pull, ..Sums::default() };
        if self.alerting == 0 {
            return sums;
        }
        for (at, hops) in self.symptoms_above(model, entity) {
            let symptom = &self.symptoms[at];
            sums.explained += symptom.explained_by(model, (entity, own), hops);
            sums.quietly += symptom.quietly_explained(model, entity, hops);
            if model.is_host(entity) && symptom.burns() {
                sums.workloads.add(model.workload(symptom.entity));
            }
            sums.covered += symptom.counted;
            sums.complaining += u32::from(hops == 1);
        }
        sums
    }

    /// The grouping's side of a new rule: how well each root explains it, and what it claims.
    fn raise_likelihoods(
        &mut self,
        model: Model<'_>,
        seen: &Observation,
        links: &[Link],
        at: usize,
    ) {
        let weight = model.policy.spec.weights.of(seen.subject.kind);
        let bound = model.claim_bound();
        let symptom = &mut self.symptoms[at];
        // A weak alert claims less.
        let sure = seen.strength.to_f64().min(1.0);
        let before = symptom.claim(bound);
        symptom.claims += Score::from_f64(weight.claim * sure);
        let claimed = symptom.claim(bound) - before;
        // An entity counts once as a symptom, however many of its rules fire.
        let before = symptom.pull;
        symptom.pull = before.max(Score::from_f64(weight.pull));
        let after = symptom.pull;
        self.hypotheses.explain(links, before, after);
        if let Some(own) = self.hypotheses.get_mut(seen.subject.entity) {
            own.likelihood += claimed;
        }
    }

    /// Takes a symptom out of all sums, changes it, and puts it back. `audible`: the change may
    /// also alter what the entity itself can explain.
    fn change_symptom(
        &mut self,
        model: Model<'_>,
        at: usize,
        audible: bool,
        change: impl FnOnce(&mut Symptom),
    ) {
        let (was_alerting, burnt) = (self.symptoms[at].is_alerting(), self.symptoms[at].burns());
        self.add_explained(model, at, audible, |sum, part| sum - part);
        self.pull -= self.symptoms[at].counted;
        change(&mut self.symptoms[at]);
        let symptom = &mut self.symptoms[at];
        symptom.counted = if symptom.is_alerting() { symptom.pull } else { Score::ZERO };
        self.pull += symptom.counted;
        self.add_explained(model, at, audible, |sum, part| sum + part);
        if !burnt && self.symptoms[at].burns() {
            self.burn(model, at);
        }
        if !was_alerting && self.symptoms[at].is_alerting() {
            self.alerting += 1;
            let node = self.symptoms[at].entity.node();
            let reach = node.map_or(&[][..], |node| model.walks.reach(node));
            for entry in reach.iter().filter(|r| r.relation == Relation::Below(1)) {
                if let Some(root) = self.hypotheses.get_mut(Entity::inside(entry.root)) {
                    root.sums.complaining += 1;
                }
            }
        }
    }

    /// Tells the hosts below an entity that a workload on them is in trouble.
    fn burn(&mut self, model: Model<'_>, at: usize) {
        let entity = self.symptoms[at].entity;
        let hops_max = model.policy.spec.ranking.hops_max;
        let reach = entity.node().map_or(&[][..], |node| model.walks.reach(node));
        for entry in reach {
            let root = Entity::inside(entry.root);
            let is_below =
                matches!(entry.relation, Relation::Below(hops @ 1..) if hops <= hops_max);
            if is_below
                && model.is_host(root)
                && let Some(root) = self.hypotheses.get_mut(root)
            {
                root.sums.workloads.add(model.workload(entity));
            }
        }
    }

    /// Adds to (or takes from) the sums: what the entities below explain of this symptom, and,
    /// when `audible`, what this entity explains of the symptoms above it.
    fn add_explained(
        &mut self,
        model: Model<'_>,
        at: usize,
        audible: bool,
        add: fn(Score, Score) -> Score,
    ) {
        let (entity, counted) = (self.symptoms[at].entity, self.symptoms[at].counted);
        if let Some(own) = self.hypotheses.get_mut(entity) {
            own.sums.covered = add(own.sums.covered, counted);
        }
        let Some(node) = entity.node() else { return };
        let hops_max = model.policy.spec.ranking.hops_max;
        if self.symptoms[at].is_alerting() {
            for entry in model.walks.reach(node) {
                let Relation::Below(hops @ 1..) = entry.relation else {
                    continue;
                };
                let root = Entity::inside(entry.root);
                if hops <= hops_max && self.hypotheses.get(root).is_some() {
                    let symptom = &self.symptoms[at];
                    let part = symptom.explained_by(model, (root, self.symptom(root)), hops);
                    let quietly = symptom.quietly_explained(model, root, hops);
                    if let Some(root) = self.hypotheses.get_mut(root) {
                        root.sums.explained = add(root.sums.explained, part);
                        root.sums.quietly = add(root.sums.quietly, quietly);
                        root.sums.covered = add(root.sums.covered, counted);
                    }
                }
            }
        }
        if audible {
            let sum: Score = self
                .symptoms_above(model, entity)
                .map(|(at_above, hops)| {
                    let own = Some(&self.symptoms[at]);
                    self.symptoms[at_above].explained_by(model, (entity, own), hops)
                })
                .sum();
            if let Some(own) = self.hypotheses.get_mut(entity) {
                own.sums.explained = add(own.sums.explained, sum);
            }
        }
    }

    /// Alerting symptoms above an entity within the reach of the ranking, with their distance.
    pub(crate) fn symptoms_above<'i>(
        &'i self,
        model: Model<'i>,
        entity: Entity,
    ) -> Box<dyn Iterator<Item = (usize, u8)> + 'i> {
        let above = entity.node().map_or(&[][..], |node| model.walks.above(node));
        let alerting = |&(at, _): &(usize, u8)| self.symptoms[at].is_alerting();
        if self.symptoms.len() < above.len() {
            let hops = move |(at, symptom): (usize, &Symptom)| {
                model.hops(symptom.entity, entity).map(|hops| (at, hops))
            };
            Box::new(self.symptoms.iter().enumerate().filter_map(hops).filter(alerting))
        } else {
            let found = |&(node, hops): &(u32, u8)| {
                self.by_entity.get(&Entity::inside(node)).map(|&at| (at as usize, hops))
            };
            Box::new(above.iter().filter_map(found).filter(alerting))
        }
    }

    /// The terms of one root's score.
    pub(crate) fn terms(&self, model: Model<'_>, root: &Hypothesis) -> Terms {
        let symptom = self.symptom(root.entity);
        let own = symptom.and_then(|s| s.own(model));
        let dependents = model.dependents(root.entity).len();
        let mut terms = Terms {
            own,
            starved: symptom.and_then(|s| s.starved(model)),
            explained: root.sums.explained,
            disagreement: Score::ZERO,
            unexplained: Score::ZERO,
            silent: Score::ZERO,
            complaining: (root.sums.complaining, dependents as u32),
            coverage: 1.0,
        };
        if !self.is_shared(model, root) {
            terms.explained = Score::ZERO;
        }
        if own.is_none() {
            self.doubt(model, root, &mut terms);
        }
        terms
    }

    /// Whether a root may explain what is above it: a host does only if several distinct workloads
    /// on it are in trouble. One alone has its trouble from elsewhere.
    pub(crate) fn is_shared(&self, model: Model<'_>, root: &Hypothesis) -> bool {
        !model.is_host(root.entity) || root.sums.workloads.are_several()
    }

    /// What is asked of a root without an alert of its own, which any quiet entity could be.
    fn doubt(&self, model: Model<'_>, root: &Hypothesis, terms: &mut Terms) {
        let ranking = &model.policy.spec.ranking;
        let (complaining, dependents) = terms.complaining;
        terms.explained = if self.is_shared(model, root) { root.sums.quietly } else { Score::ZERO };
        // It is believed as far as its dependents agree,
        if planted!(DisagreementIgnored: false, dependents > 0) {
            let believed = agreement(complaining as usize, dependents as usize);
            terms.disagreement = terms.explained.times(believed) - terms.explained;
        }
        // as far as it explains all that alerts,
        if self.pull > Score::ZERO {
            terms.coverage = root.sums.covered.to_f64() / self.pull.to_f64();
            let agreed = terms.explained + terms.disagreement;
            let share = power(terms.coverage, ranking.silent_coverage);
            terms.unexplained = agreed.times(share) - agreed;
        }
        // and at a price.
        terms.silent = planted!(SilentFree: Score::ZERO, -Score::from_f64(ranking.silent_price));
    }

    pub(crate) fn rescore_all(&mut self, model: Model<'_>) {
        for at in 0..self.hypotheses.len() {
            let root = self.hypotheses.nth(at);
            let score = self.score_of(model, &root);
            self.hypotheses.set_score(at, score);
        }
    }

    fn rescore(&mut self, model: Model<'_>, entity: Entity) {
        let Some(&root) = self.hypotheses.get(entity) else {
            return;
        };
        let score = self.score_of(model, &root);
        if let Some(root) = self.hypotheses.get_mut(entity) {
            root.score = score;
        }
    }

    /// The score of a root: the sum of its terms, if anything speaks for it.
    pub(crate) fn score_of(&self, model: Model<'_>, root: &Hypothesis) -> Score {
        let terms = self.terms(model, root);
        if root.nameable && terms.speaks() { terms.total() } else { Score::WORST }
    }

    /// Takes in all members and symptoms of another incident, which stays as it is. Where each of
    /// its members is here.
    pub(crate) fn absorb(
        &mut self,
        model: Model<'_>,
        other: &Self,
        turnover: &mut Turnover,
    ) -> Vec<u32> {
        let members: Vec<u32> = other.members.iter().map(|&member| self.take_in(member)).collect();
        for theirs in other.hypotheses.iter() {
            match self.hypotheses.get_mut(theirs.entity) {
                Some(ours) => ours.likelihood += theirs.likelihood - theirs.prior,
                None => {
                    let Hypothesis { entity, prior, likelihood, nameable, .. } = *theirs;
                    self.admit(model, entity, (prior, likelihood), nameable);
                    turnover.admitted.push(entity);
                }
            }
        }
        let bound = model.claim_bound();
        for theirs in &other.symptoms {
            let at = self.symptom_at(theirs.entity);
            self.change_symptom(model, at, true, |s| s.absorb(model, theirs, &members));
            let ours = &mut self.symptoms[at];
            let apart = ours.claim(bound) + theirs.claim(bound);
            ours.claims += theirs.claims;
            let excess = ours.claim(bound) - apart;
            if let Some(own) = self.hypotheses.get_mut(theirs.entity) {
                own.likelihood += excess;
            }
        }
        self.rescore_all(model);
        self.hypotheses.settle(self.candidate, &mut turnover.dropped);
        assert!(self.hypotheses.len() <= HYPOTHESES_MAX, "the table of roots is bounded");
        self.onset = self.onset.min(other.onset);
        self.newest = self.newest.max(other.newest);
        self.firing += other.firing;
        self.quiet_since = self.quiet_since.max(other.quiet_since);
        self.first_seq = self.first_seq.min(other.first_seq);
        self.events += other.events;
        self.repeats += other.repeats;
        self.flaps += other.flaps;
        members
    }

    /// Takes in a member of another incident. An alert that is a member of both stays one.
    fn take_in(&mut self, theirs: Member) -> u32 {
        // Seldom do both know the entity: only then it is worth a look at each member.
        let known = self.by_entity.get(&theirs.subject.entity).is_some();
        let place = || self.members.iter().position(|ours| ours.alert == theirs.alert);
        match known.then(place).flatten() {
            Some(at) => {
                let ours = &mut self.members[at];
                if theirs.firing || (theirs.episode > ours.episode && !ours.firing) {
                    (ours.episode, ours.firing) = (theirs.episode, theirs.firing);
                }
                at as u32
            }
            None => {
                self.members.push(theirs);
                (self.members.len() - 1) as u32
            }
        }
    }

    /// The likelihood of the best root for both incidents, against the best of each.
    pub(crate) fn merge_ratio(&self, model: Model<'_>, other: &Self) -> Score {
        let bound = model.claim_bound();
        let excess = |entity: Entity| {
            let claims =
                |incident: &Self| incident.symptom(entity).map_or(Score::ZERO, |s| s.claims);
            let (ours, theirs) = (claims(self), claims(other));
            let bounded = |claims: Score| claims.clamp(-bound, bound);
            bounded(ours + theirs) - bounded(ours) - bounded(theirs)
        };
        let ours = self.hypotheses.iter().map(|h| {
            let theirs = other.hypotheses.get(h.entity).map_or(h.prior, |t| t.likelihood);
            h.likelihood + theirs - h.prior + excess(h.entity)
        });
        let theirs = other.hypotheses.iter().map(|h| {
            let ours = self.hypotheses.get(h.entity).map_or(h.prior, |o| o.likelihood);
            h.likelihood + ours - h.prior + excess(h.entity)
        });
        let both = ours.chain(theirs).max().unwrap_or(Score::WORST);
        let apart = self.hypotheses.best_likelihood() + other.hypotheses.best_likelihood();
        (both - apart).min(Score::ZERO)
    }
}
