//! Whether the parts of a restored state agree: every place that is named is there, and every count
//! that is kept is right. Less than `Engine::check` asks, which knows what each figure must be, and
//! enough that nothing can be out of its table.

use super::Engine;
use crate::alerts::{Alert, AlertKey, Place};
use crate::engine::holders::Holders;
use crate::incident::Incident;
use crate::limits::HYPOTHESES_MAX;
use crate::model::Entity;
use crate::timers::Owner;
use crate::topology::Topology;

type Verdict = Result<(), &'static str>;

fn ensure(is: bool, what: &'static str) -> Verdict {
    if is { Ok(()) } else { Err(what) }
}

impl Engine {
    pub(super) fn verify(&self) -> Verdict {
        ensure(self.stats.is_balanced(), "events are counted once each")?;
        let nodes = self.topology().numbers();
        let before = self.world.before.as_ref().map(|before| &before.topology);
        ensure(
            before.is_none_or(|b| self.topology().comes_after(b) && b.numbers() <= nodes),
            "a graph comes after the one before it",
        )?;
        ensure(self.renewed_slots <= self.incidents.slots(), "incidents are taken over once")?;
        for (key, alert) in self.alerts.iter() {
            self.verify_alert(key, alert)?;
        }
        for incident in self.incidents.iter() {
            self.verify_incident(incident)?;
        }
        let ended = self.incidents.iter().filter(|i| i.phase.is_final()).count();
        let over = |&key| self.incidents.get(key).is_some_and(|i| i.phase.is_final());
        ensure(
            self.ended.len() == ended
                && self.ended.iter().all(|key| self.incidents.has_slot(*key))
                && self.ended.iter().all(over),
            "what is over is in the queue",
        )?;
        let has_slot = |owner| match owner {
            Owner::Alert(key) => self.alerts.has_slot(key),
            Owner::Incident(key) => self.incidents.has_slot(key),
        };
        ensure(self.timers.owners().all(has_slot), "deadlines are of those that are there")?;
        ensure(self.background.is_within(nodes), "what is usual is about the graph")?;
        self.world.symbols.verify(&Holders::of(self)?)
    }

    fn verify_alert(&self, key: AlertKey, alert: &Alert) -> Verdict {
        for entity in alert.subject.entities() {
            self.verify_entity(self.topology(), entity)?;
        }
        let Place::Member(incident, member) = alert.place else {
            return Ok(());
        };
        ensure(self.incidents.has_slot(incident), "an alert's incident is in the table")?;
        let found = self.incidents.get(incident);
        let member = found.map(|incident| incident.members.get(member as usize));
        ensure(member.is_none_or(|m| m.is_some()), "a member is in its incident")?;
        let fires = |m: &crate::incident::Member| m.firing && m.alert == key;
        let is_placed = member.flatten().is_some_and(fires)
            && found.is_some_and(|incident| !incident.phase.is_final());
        ensure(!alert.is_firing() || is_placed, "what fires does so in its incident")
    }

    fn verify_incident(&self, incident: &Incident) -> Verdict {
        let (members, symptoms) = (&incident.members, &incident.symptoms);
        let graph = self.world.model_of(incident).topology;
        for member in members {
            ensure(self.alerts.has_slot(member.alert), "a member is in the table")?;
            for entity in member.subject.entities() {
                self.verify_entity(graph, entity)?;
            }
        }
        ensure(!members.is_empty(), "an incident has members")?;
        ensure(incident.by_entity.len() == symptoms.len(), "an entity has one symptom")?;
        let known = |entity: &Entity| incident.by_entity.get(entity).is_some();
        ensure(
            members.iter().all(|member| known(&member.subject.entity)),
            "every member's entity alerts",
        )?;
        for symptom in symptoms {
            symptom.entities().try_for_each(|entity| self.verify_entity(graph, entity))?;
            ensure(symptom.is_within(members.len()), "a symptom is shown by members")?;
        }
        if !incident.phase.is_final() {
            self.verify_firing(incident)?;
        }
        let roots = &incident.hypotheses;
        ensure((1..=HYPOTHESES_MAX).contains(&roots.len()), "roots are bounded")?;
        for entity in roots.iter().map(|root| root.entity).chain(incident.named()) {
            self.verify_entity(graph, entity)?;
        }
        ensure(
            incident.taken_in.iter().all(|&key| self.incidents.has_slot(key)),
            "what was taken in is in the table",
        )
    }

    /// A count of what fires that is too small would be taken below zero.
    fn verify_firing(&self, incident: &Incident) -> Verdict {
        let mut firing = vec![0_u32; incident.symptoms.len()];
        for (at, member) in incident.members.iter().enumerate().filter(|(_, m)| m.firing) {
            if let Some(&symptom) = incident.by_entity.get(&member.subject.entity) {
                firing[symptom as usize] += 1;
            }
            let here = Place::Member(incident.key, at as u32);
            let is_here = |alert: &Alert| alert.is_firing() && alert.place == here;
            let alert = self.alerts.get(member.alert);
            ensure(alert.is_some_and(is_here), "a member fires where it is")?;
        }
        let counted = incident.symptoms.iter().zip(&firing);
        let all: u32 = firing.iter().sum();
        ensure(
            incident.firing == all && counted.into_iter().all(|(s, &count)| s.firing == count),
            "what fires is counted",
        )
    }

    fn verify_entity(&self, graph: &Topology, entity: Entity) -> Verdict {
        let (nodes, texts) = (graph.numbers(), self.world.symbols.slots());
        let is_there = match (entity.node(), entity.symbol()) {
            (Some(node), _) => (node as usize) < nodes,
            (None, text) => text.is_some_and(|text| text.index() < texts),
        };
        ensure(is_there, "an entity has a name")
    }
}
