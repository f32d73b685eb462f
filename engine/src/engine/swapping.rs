//! Another graph: alerts are placed on it from now on, and live incidents are taken over one by
//! one, so that no event waits for all of them.

use std::sync::Arc;

use super::Engine;
use crate::alerts::{AlertKey, Place};
use crate::decision::{Decisions, RerankCause};
use crate::incident::IncidentKey;
use crate::model::Link;
use crate::policy::Policy;
use crate::snapshot::{Snapshot, SnapshotError};
use crate::subject::Subject;
use crate::symbol::{Symbol, Symbols};
use crate::time::Timestamp;
use crate::topology::Topology;

/// Parameters that a running engine cannot exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("more than the mapping and the words for kinds differs: that takes a new engine")]
pub struct OtherParameters;

/// Incidents taken over to a new graph with each event, and slots looked at for them.
const RENEWED_PER_EVENT: usize = 4;
const SLOTS_PER_EVENT: usize = 64;

impl Engine {
    /// Places alerts on another graph from log time `at` on, between two events. Call
    /// [`Engine::advance`] until it is done before, as for [`Engine::apply`].
    ///
    /// Known alerts stay where they are. Live incidents are taken over a few with each event, and
    /// each before it changes: its evidence is weighed anew under the new graph, and a version is
    /// published when that makes another entity the candidate. Those that are not yet taken over
    /// when the graph changes again are taken over first, within this call.
    ///
    /// The same calls at the same positions give the same decisions.
    ///
    /// # Errors
    /// When the snapshot does not fit; nothing is changed then.
    pub fn set_topology(
        &mut self,
        next: Arc<Snapshot>,
        at: Timestamp,
        decisions: &mut Decisions,
    ) -> Result<(), SnapshotError> {
        if !next.is_for(&self.world.policy) {
            return Err(SnapshotError::OtherPolicy);
        }
        if !next.topology.comes_after(self.topology()) {
            return Err(SnapshotError::NotAfter);
        }
        self.pass_all(at, decisions);
        self.now = self.now.max(at);
        while self.world.before.is_some() {
            self.renew_some(decisions);
        }
        let is_same = next.topology.version() == self.topology().version();
        let before = std::mem::replace(&mut self.world.graph, next);
        if !is_same {
            self.world.before = Some(before);
            self.world.turn += 1;
            self.renewed_slots = 0;
            self.stats.topology_changes += 1;
            if self.incidents.len() == 0 {
                self.world.before = None;
            }
        }
        self.publish(decisions);
        Ok(())
    }

    /// Reads new alerts by another mapping and other words for kinds from log time `at` on, between
    /// two events. Call [`Engine::advance`] until it is done before, as for [`Engine::apply`].
    ///
    /// Known alerts stay where they are until they are forgotten. All other parameters are in the
    /// figures of live incidents and must stay as they are.
    ///
    /// The same calls at the same positions give the same decisions.
    ///
    /// # Errors
    /// When something else differs; nothing is changed then.
    pub fn set_mapping(
        &mut self,
        next: Policy,
        at: Timestamp,
        decisions: &mut Decisions,
    ) -> Result<(), OtherParameters> {
        let mut spec = next.spec().clone();
        let ours = self.world.policy.spec();
        spec.mapping.clone_from(&ours.mapping);
        spec.kinds.clone_from(&ours.kinds);
        if spec != *ours {
            return Err(OtherParameters);
        }
        self.pass_all(at, decisions);
        self.now = self.now.max(at);
        self.world.policy = next;
        self.publish(decisions);
        Ok(())
    }

    /// Takes a few incidents over to the graph in force.
    pub(super) fn renew_some(&mut self, out: &mut Decisions) {
        if self.world.before.is_none() {
            return;
        }
        let mut renewed = 0;
        for _ in 0..SLOTS_PER_EVENT {
            if self.renewed_slots == self.incidents.slots() {
                self.world.before = None;
                return;
            }
            if let Some(key) = self.incidents.in_slot(self.renewed_slots) {
                renewed += usize::from(self.renew(key, out));
            }
            self.renewed_slots += 1;
            if renewed == RENEWED_PER_EVENT {
                return;
            }
        }
    }

    /// Takes over the incidents that consider a root which could explain what is to be placed.
    pub(super) fn renew_considering(&mut self, tenant: Symbol, out: &mut Decisions) {
        if self.world.before.is_none() {
            return;
        }
        let considering = |link: &Link| self.incidents.considering(tenant, link.root).to_vec();
        let mut keys: Vec<IncidentKey> = self.links.iter().flat_map(considering).collect();
        keys.sort_by_key(|&key| self.incidents.get(key).map(|incident| incident.order));
        keys.dedup();
        for key in keys {
            self.renew(key, out);
        }
    }

    /// Takes an incident over to the graph in force. Whether that was still to be done.
    pub(super) fn renew(&mut self, key: IncidentKey, out: &mut Decisions) -> bool {
        let turn = self.world.turn;
        let Some(incident) = self.incidents.get_mut(key).filter(|i| i.turn != turn) else {
            return false;
        };
        incident.turn = turn;
        let is_over = incident.phase.is_final();
        let (topology, symbols) = (&self.world.graph.topology, &self.world.symbols);
        let mut unnamed = Vec::new();
        for (at, member) in (0..).zip(&mut incident.members) {
            take_over(&mut member.subject, topology, symbols, &mut unnamed);
            if let Some(alert) = self.alerts.get_mut(member.alert)
                && alert.place == Place::Member(key, at)
            {
                take_over(&mut alert.subject, topology, symbols, &mut unnamed);
            }
        }
        incident.regraph(self.world.model(), &mut self.turnover);
        if is_over {
            // Nobody is told any more; who reads it, reads it under the graph in force.
            let model = self.world.model();
            (incident.candidate, incident.runner_up) = incident.hypotheses.leaders(model);
            self.turnover.admitted.clear();
            self.turnover.dropped.clear();
        } else {
            self.note_turnover(key);
            self.choose(key, RerankCause::Topology, out);
        }
        for text in unnamed {
            self.world.symbols.release(text);
        }
        true
    }

    /// Lets an alert that is to be placed again be about an entity of the graph in force, if that
    /// has its name by now.
    pub(super) fn renew_subject(&mut self, key: AlertKey) {
        let mut unnamed = Vec::new();
        if let Some(alert) = self.alerts.get_mut(key) {
            let (topology, symbols) = (&self.world.graph.topology, &self.world.symbols);
            take_over(&mut alert.subject, topology, symbols, &mut unnamed);
        }
        for text in unnamed {
            self.world.symbols.release(text);
        }
    }
}

/// Makes a subject one of this graph. The texts that it no longer names go to `unnamed`.
fn take_over(
    subject: &mut Subject,
    topology: &Topology,
    symbols: &Symbols,
    unnamed: &mut Vec<Symbol>,
) {
    let within = subject.within(topology, symbols);
    for (old, new) in [(Some(subject.entity), Some(within.entity)), (subject.caller, within.caller)]
    {
        if old != new {
            unnamed.extend(old.and_then(|entity| entity.symbol()));
        }
    }
    *subject = within;
}
