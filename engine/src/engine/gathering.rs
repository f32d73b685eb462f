//! What the stream as a whole tells: what is usual, what is a coincidence, and which fragments are
//! parts of one incident.

use super::Engine;
use crate::background::{PartName, Surroundings, Tenant, coincidence};
use crate::decision::Decisions;
use crate::grouping::{Joint, beyond, fragment};
use crate::hash::Fnv;
use crate::incident::IncidentKey;
use crate::model::{Entity, Observation};
#[cfg(feature = "planted")]
use crate::planted::in_hash_order;
use crate::planted::planted;
use crate::score::{Score, ln};
use crate::symbol::Symbol;
use crate::time::Timestamp;
use crate::topology::Node;

/// Fewer dependents at once are never called a coincidence.
const COINCIDENCE_MIN: usize = 3;
/// An incident that explains itself this much better by another root stays apart, in nats.
const SLACK: f64 = 0.5;
/// A root that is less likely than the best one by no more than this may be the cause, in nats.
const LIKELY: f64 = 1.0;

impl Engine {
    /// The part of the graph that an entity is in, as its tenant sees it, and the size of that
    /// part; `None` outside the graph.
    fn part(&self, tenant: Symbol, entity: Entity) -> Option<((Tenant, PartName), u32)> {
        let (part, size) = self.topology().part(entity.node()?)?;
        let mut hash = Fnv::new();
        hash.write(self.world.symbols.text(tenant).as_bytes());
        Some(((hash.finish(), part), size))
    }

    /// Notes that something was heard of an entity's part of the graph.
    pub(super) fn watch(&mut self, tenant: Symbol, entity: Entity) {
        if let Some((at, _)) = self.part(tenant, entity) {
            self.background.watch(at, self.now);
        }
    }

    /// What is usual around an entity; `None` outside the graph.
    pub(super) fn surroundings(
        &self,
        tenant: Symbol,
        entity: Entity,
        onset: Timestamp,
    ) -> Option<Surroundings> {
        let (at, size) = self.part(tenant, entity)?;
        let span = self.world.policy.spec.grouping.background_window;
        Some(self.background.surroundings(at, size, (onset, self.now), span))
    }

    /// Notes that an entity began to alert.
    pub(super) fn note_beginning(&mut self, tenant: Symbol, entity: Entity, onset: Timestamp) {
        if let Some((at, _)) = self.part(tenant, entity) {
            self.background.note(at, onset, self.now);
        }
    }

    /// Makes one incident of those that coincide with an alert under one root, before the alert
    /// is placed: then it finds that incident.
    pub(super) fn gather_coincidences(
        &mut self,
        tenant: Symbol,
        seen: &Observation,
        onset: Timestamp,
        out: &mut Decisions,
    ) {
        let entity = seen.subject.entity;
        let Some(node) = entity.node() else { return };
        let Some((part, size)) = self.part(tenant, entity) else { return };
        let span = self.world.policy.spec.grouping.coincidence_window;
        let began = self.background.began(part, onset, span) + 1;
        for at in 0..self.topology().dependencies(node).len() {
            let root = self.topology().dependencies(node)[at];
            let is_host = self.topology().kind(root).is_host();
            // Its own trouble says nothing of what it depends on, but of what it runs on.
            if seen.subject.kind.is_cause() && !is_host {
                continue;
            }
            let dependents = self.topology().dependents(root).len();
            if dependents <= COINCIDENCE_MIN {
                continue;
            }
            let list = self.background.note_dependent((part.0, root), entity, onset, span);
            if list.len() < COINCIDENCE_MIN {
                continue;
            }
            let alerting: Vec<Entity> = list.iter().map(|&(entity, _)| entity).collect();
            if is_host && !self.are_several_workloads(&alerting) {
                continue;
            }
            let elsewhere = (began.saturating_sub(alerting.len()) + 1) as f64;
            let chance = elsewhere / f64::from(size.saturating_sub(dependents as u32).max(1));
            let mut odds = coincidence(alerting.len(), dependents, chance);
            if self.alerts_lately(tenant, root, onset) {
                // That it has a fault is no supposition then.
                odds -= ln(chance.min(1.0));
            }
            if odds >= self.world.policy.spec.grouping.coincidence_min {
                self.gather(tenant, (root, odds), &alerting, onset, out);
            }
        }
    }

    fn are_several_workloads(&self, entities: &[Entity]) -> bool {
        let model = self.world.model();
        let mut workloads = entities.iter().map(|&entity| model.workload(entity));
        let first = workloads.next();
        workloads.any(|workload| Some(workload) != first)
    }

    fn alerts_lately(&self, tenant: Symbol, root: Node, onset: Timestamp) -> bool {
        let span = self.world.policy.spec.grouping.coincidence_window;
        let root = Entity::inside(root);
        self.incidents.considering(tenant, root).iter().any(|&key| {
            self.incidents.get(key).is_some_and(|incident| {
                incident.symptom(root).is_some_and(|symptom| symptom.is_alerting())
                    && onset.since(incident.newest) <= span
            })
        })
    }

    /// Makes one incident of those whose entities coincide under a root, and its own.
    fn gather(
        &mut self,
        tenant: Symbol,
        (root, odds): (Node, f64),
        alerting: &[Entity],
        onset: Timestamp,
        out: &mut Decisions,
    ) {
        let root = Entity::inside(root);
        let mut keys: Vec<IncidentKey> = Vec::new();
        for &entity in alerting.iter().chain([&root]) {
            for &key in self.incidents.considering(tenant, entity) {
                if !keys.contains(&key) && self.may_gather(key, entity, root, onset) {
                    keys.push(key);
                }
            }
        }
        keys.sort_by_key(|&key| self.incidents.get(key).map(|incident| incident.order));
        let keys = planted!(HashOrderShows: in_hash_order(keys, self.seed), keys);
        let Some((&first, others)) = keys.split_first() else { return };
        for &other in others {
            let (Some(a), Some(b)) = (self.incidents.get(first), self.incidents.get(other)) else {
                continue;
            };
            let verdict = beyond(self.world.model(), a, b);
            let verdict = verdict.unwrap_or(Joint::One(Score::from_f64(odds)));
            if let Some(trace) = &mut self.trace {
                trace.compared(a.id, b.id, verdict);
            }
            if matches!(verdict, Joint::One(_)) {
                self.merge(first, other, out);
            }
        }
        let considers = self.incidents.get(first).is_some_and(|i| i.hypotheses.get(root).is_some());
        if !others.is_empty() && considers {
            // Many fragments have pushed it off the list of this root.
            self.incidents.disregard(tenant, root, first);
            self.incidents.consider(tenant, root, first);
        }
    }

    fn may_gather(&self, key: IncidentKey, entity: Entity, root: Entity, onset: Timestamp) -> bool {
        let span = self.world.policy.spec.grouping.coincidence_window;
        self.incidents.get(key).is_some_and(|incident| {
            incident.symptom(entity).is_some_and(|symptom| symptom.is_alerting())
                && onset.since(incident.newest) <= span
                && incident.hypotheses.get(root).is_some_and(|h| {
                    let best = incident.hypotheses.best_likelihood();
                    // What a crash claims for its own entity is no objection to its machine.
                    let is_host = self.world.model().is_host(root);
                    is_host || h.likelihood - h.prior + Score::from_f64(SLACK) >= best
                })
        })
    }

    /// Takes in the fragments that a likely root of an incident explains, or its candidate.
    pub(super) fn take_fragments(&mut self, into: IncidentKey, out: &mut Decisions) {
        let (Some(around), Some(incident)) = (self.around, self.incidents.get(into)) else {
            return;
        };
        let real = self.world.policy.spec.grouping.real_entities;
        let tenant = incident.tenant;
        let likely = incident.hypotheses.best_likelihood() - Score::from_f64(LIKELY);
        let is_root =
            |entity, likelihood| likelihood >= likely || incident.candidate == Some(entity);
        let mut fragments: Vec<(IncidentKey, Entity)> = Vec::new();
        for root in incident.hypotheses.iter().filter(|h| is_root(h.entity, h.likelihood)) {
            for &key in self.incidents.considering(tenant, root.entity) {
                let is_known = key == into || fragments.iter().any(|&(known, _)| known == key);
                let is_small = self.incidents.get(key).is_some_and(|other| other.alerting < real);
                if is_small && !is_known {
                    fragments.push((key, root.entity));
                }
            }
        }
        let mut into = into;
        for (key, root) in fragments {
            self.renew(key, out);
            let model = self.world.model();
            let (Some(a), Some(b)) = (self.incidents.get(into), self.incidents.get(key)) else {
                continue;
            };
            let verdict = fragment(model, a, b, root, around);
            if let Some(trace) = &mut self.trace {
                trace.compared(a.id, b.id, verdict);
            }
            if matches!(verdict, Joint::One(_)) {
                into = self.merge(into, key, out);
            }
        }
    }
}
