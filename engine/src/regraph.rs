//! An incident under another graph: its figures are computed anew from its members.

use crate::evidence::Turnover;
use crate::hypotheses::{Hypotheses, Hypothesis, Sums};
use crate::incident::Incident;
use crate::model::{Entity, Link, Model, Observation};
use crate::score::Score;
use crate::symbol::Symbol;
use crate::symptom::Symptom;

impl Incident {
    /// Computes all figures anew under the graph of `model`. The subjects of members are those
    /// under this graph already, and the texts that they named before are still held.
    pub(crate) fn regraph(&mut self, model: Model<'_>, turnover: &mut Turnover) {
        let roots: Vec<Entity> = self.hypotheses.iter().map(|root| root.entity).collect();
        let within = |entity: Entity| entity.within(model.topology, model.symbols);
        self.candidate = self.candidate.map(within);
        self.runner_up = self.runner_up.map(within);
        self.place_symptoms(model);
        self.find_roots(model, self.candidate);
        if self.hypotheses.leaders(model).0.is_none() {
            // What the candidate was is no longer below or at any member.
            self.find_roots(model, None);
        }
        let found: Vec<Entity> = self.hypotheses.iter().map(|root| root.entity).collect();
        turnover.admitted.extend(found.iter().filter(|root| !roots.contains(root)));
        turnover.dropped.extend(roots.iter().filter(|root| !found.contains(root)));
    }

    /// Puts symptoms to the entities of this graph. Two names of one entity become one.
    fn place_symptoms(&mut self, model: Model<'_>) {
        let members: Vec<u32> = (0..self.members.len() as u32).collect();
        let symptoms = std::mem::take(&mut self.symptoms);
        self.by_entity.clear();
        for symptom in symptoms {
            let symptom = symptom.within(model);
            let at = self.symptom_at(symptom.entity);
            let ours = &mut self.symptoms[at];
            ours.absorb(model, &symptom, &members);
            ours.claims += symptom.claims;
        }
        (self.alerting, self.pull) = (0, Score::ZERO);
        for symptom in &mut self.symptoms {
            let is_alerting = symptom.is_alerting();
            symptom.counted = if is_alerting { symptom.pull } else { Score::ZERO };
            self.alerting += u32::from(is_alerting);
            self.pull += symptom.counted;
        }
    }

    /// Fills the table of roots from the members, in the order in which they joined, as when they
    /// did. `keep` stays in the table once it is met; without it, the first member's entity does.
    fn find_roots(&mut self, model: Model<'_>, keep: Option<Entity>) {
        let mut pulls = vec![Score::ZERO; self.symptoms.len()];
        let mut rules: Vec<Vec<(Symbol, Option<Entity>)>> = vec![Vec::new(); self.symptoms.len()];
        let mut links: Vec<Link> = Vec::new();
        let mut dropped = Vec::new();
        self.hypotheses = Hypotheses::default();
        let first = self.members.first().map(|member| member.subject.entity);
        for at in 0..self.members.len() {
            let subject = self.members[at].subject;
            let symptom = self.symptom_at(subject.entity);
            let rule = (subject.rule, subject.caller);
            if rules[symptom].contains(&rule) {
                continue;
            }
            rules[symptom].push(rule);
            model.links(&Observation { subject, strength: Score::ONE, excess: None }, &mut links);
            for link in &links {
                self.suppose(model, link);
            }
            let before = pulls[symptom];
            let pull = Score::from_f64(model.policy.spec.weights.of(subject.kind).pull);
            pulls[symptom] = before.max(pull);
            self.hypotheses.explain(&links, before, pulls[symptom]);
            let kept = keep.filter(|&root| self.hypotheses.get(root).is_some()).or(first);
            self.hypotheses.settle(kept, &mut dropped);
        }
        for at in 0..self.hypotheses.len() {
            let root = self.hypotheses.nth(at).entity;
            let sums = self.sums(model, root);
            if let Some(root) = self.hypotheses.get_mut(root) {
                root.sums = sums;
            }
        }
        self.rescore_all(model);
    }

    /// Adds a root to the table, without what the symptoms say of it.
    fn suppose(&mut self, model: Model<'_>, link: &Link) {
        if self.hypotheses.get(link.root).is_some() {
            return;
        }
        let bound = model.claim_bound();
        let claim = self.symptom(link.root).map_or(Score::ZERO, |symptom| symptom.claim(bound));
        self.hypotheses.push(Hypothesis {
            entity: link.root,
            prior: link.prior,
            likelihood: link.prior + claim,
            sums: Sums::default(),
            score: Score::WORST,
            nameable: link.nameable,
        });
    }
}

impl Symptom {
    /// The same, about entities of the graph of `model` where it has their names by now.
    fn within(&self, model: Model<'_>) -> Self {
        let mut symptom = self.clone();
        symptom.rename(|entity| entity.within(model.topology, model.symbols));
        symptom
    }
}
