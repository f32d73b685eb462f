//! What the passing of time decides.

use super::Engine;
use crate::alerts::{AlertKey, Place, State};
use crate::decision::{Decision, Decisions};
use crate::incident::{IncidentKey, Phase};
use crate::model::Entity;
use crate::planted::planted;
use crate::time::Timestamp;
use crate::timers::Owner;

impl Engine {
    pub(super) fn alert_due(&mut self, key: AlertKey, at: Timestamp, out: &mut Decisions) {
        let Some(alert) = self.alerts.get_mut(key) else {
            return;
        };
        if alert.timer_at != at {
            return;
        }
        alert.timer_at = Timestamp::MAX;
        match alert.state {
            State::Firing { until, .. } if until <= at => {
                self.stats.expired += 1;
                self.end_episode(key, until, true, out);
            }
            State::Firing { until, .. } => {
                match alert.steady_at(self.world.policy.spec.times.flap_steady) {
                    Some(steady) if steady <= at => self.place_steady(key, out),
                    Some(steady) => self.arm_alert(key, steady),
                    None => {}
                }
                self.arm_alert(key, until);
            }
            State::Resolved { .. } => {
                let forget = self.forget_at(key);
                if forget <= at { self.forget(key) } else { self.arm_alert(key, forget) }
            }
        }
    }

    pub(super) fn end_episode(
        &mut self,
        key: AlertKey,
        at: Timestamp,
        expired: bool,
        out: &mut Decisions,
    ) {
        let now = self.now;
        let Some(alert) = self.alerts.get_mut(key) else {
            return;
        };
        alert.state = State::Resolved { at };
        alert.ended = at;
        let (episode, place) = (alert.episode(), alert.place);
        out.push(Decision::Resolved { alert: episode, expired });
        self.alerts.note_resolved(key);
        if let Place::Member(incident, member) = place {
            if let Some(incident) = self.incidents.get_mut(incident) {
                incident.events += u64::from(!expired);
                incident.note_quiet(member, now);
            }
            self.arm_incident(incident);
        }
        let forget = self.forget_at(key);
        self.arm_alert(key, forget);
    }

    /// A resolved alert is remembered for as long as its past onsets matter.
    pub(super) fn forget_at(&self, key: AlertKey) -> Timestamp {
        let Some(alert) = self.alerts.get(key) else {
            return Timestamp::MIN;
        };
        let State::Resolved { at } = alert.state else {
            return Timestamp::MAX;
        };
        at.plus(self.world.policy.spec.times.flap_window).max(alert.flapping_until)
    }

    pub(super) fn forget(&mut self, key: AlertKey) {
        if let Some(alert) = self.alerts.remove(key) {
            alert.subject.release(&mut self.world.symbols);
            planted!(TextHeldForEver: (), self.world.symbols.release(alert.tenant));
        }
    }

    pub(super) fn evict(&mut self) -> bool {
        let Some(key) = self.alerts.evictable() else {
            return false;
        };
        self.stats.evicted += 1;
        self.forget(key);
        true
    }

    /// Makes sure that an alert is looked at by `at`. An earlier timer is not moved.
    pub(super) fn arm_alert(&mut self, key: AlertKey, at: Timestamp) {
        let Some(alert) = self.alerts.get_mut(key) else {
            return;
        };
        if at < alert.timer_at {
            alert.timer_at = at;
            self.timers.set(at, Owner::Alert(key));
        }
    }

    pub(super) fn incident_due(&mut self, key: IncidentKey, at: Timestamp, out: &mut Decisions) {
        let times = self.world.policy.spec.times;
        let Some(incident) = self.incidents.get_mut(key) else {
            return;
        };
        if incident.timer_at != at || incident.phase.is_final() {
            return;
        }
        incident.timer_at = Timestamp::MAX;
        let id = incident.id;
        if incident.firing == 0 && incident.quiet_since.plus(times.quiet_for) <= at {
            self.stats.resolved += 1;
            out.push(Decision::Closed { incident: id });
            self.end_incident(key, Phase::Resolved);
            return;
        }
        if incident.phase == Phase::Open && incident.reranked_at.plus(times.settle_for) <= at {
            incident.phase = Phase::Settled;
            out.push(Decision::Settled { incident: id });
            self.touch(key);
        }
        self.arm_incident(key);
    }

    pub(super) fn arm_incident(&mut self, key: IncidentKey) {
        let times = self.world.policy.spec.times;
        let Some(incident) = self.incidents.get_mut(key) else {
            return;
        };
        let at = incident.next_deadline(times.settle_for, times.quiet_for);
        if at < incident.timer_at && !incident.phase.is_final() {
            incident.timer_at = at;
            self.timers.set(at, Owner::Incident(key));
        }
    }

    /// Ends an incident. It can still be read for a while.
    pub(super) fn end_incident(&mut self, key: IncidentKey, phase: Phase) {
        let Some(incident) = self.incidents.get_mut(key) else {
            return;
        };
        incident.phase = phase;
        let tenant = incident.tenant;
        if phase == Phase::Resolved {
            // What was alone says less the next time.
            let alone = incident.alerting == 1;
            for member in &incident.members {
                if let Some(alert) = self.alerts.get(member.alert) {
                    self.background.note_habit(alert.hash, alone);
                }
            }
        }
        for root in self.roots_of(key) {
            self.incidents.disregard(tenant, root, key);
        }
        self.touch(key);
        self.ended.push_back(key);
    }

    /// Opens an incident again that was resolved, because a member of it fires anew.
    pub(super) fn reopen(&mut self, key: IncidentKey, out: &mut Decisions) {
        let Some(incident) = self.incidents.get_mut(key) else {
            return;
        };
        if incident.phase != Phase::Resolved {
            return;
        }
        incident.phase = Phase::Open;
        incident.reranked_at = self.now;
        let (incident, tenant) = (incident.id, incident.tenant);
        self.stats.reopened += 1;
        out.push(Decision::Reopened { incident });
        for root in self.roots_of(key) {
            self.incidents.consider(tenant, root, key);
        }
        // It ended lately, so it stands near the end.
        if let Some(at) = self.ended.iter().rposition(|&ended| ended == key) {
            self.ended.remove(at);
        }
    }

    fn roots_of(&self, key: IncidentKey) -> Vec<Entity> {
        let incident = self.incidents.get(key);
        incident.map_or(Vec::new(), |i| i.hypotheses.iter().map(|h| h.entity).collect())
    }
}
