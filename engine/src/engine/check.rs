//! Invariants of the whole state, each recomputed from what it summarises.

use super::Engine;
use super::holders::Holders;
use crate::alerts::{Alert, AlertKey, Place, State};
use crate::hypotheses::Hypothesis;
use crate::incident::{Incident, IncidentKey};
use crate::limits::{HYPOTHESES_MAX, LIVE_PER_ENTITY_MAX};
use crate::model::Entity;
use crate::symbol::Symbol;
use crate::timers::Owner;

impl Engine {
    /// Asserts every invariant of the state. For tests and simulation: O(n), and not for the hot
    /// path. Between any two calls it holds.
    ///
    /// # Panics
    /// When the engine is wrong.
    pub fn check(&self) {
        self.check_counts();
        self.alerts.check();
        self.incidents.check();
        for (key, alert) in self.alerts.iter() {
            self.check_alert(key, alert);
        }
        for incident in self.incidents.iter() {
            self.check_incident(incident);
            self.check_roots(incident);
        }
        let holders = Holders::of(self).expect("a text that is held is in the table");
        self.world.symbols.check(&holders.0);
        self.check_considering();
    }

    fn check_counts(&self) {
        let limits = self.world.policy.spec.limits;
        let stats = &self.stats;
        assert!(stats.is_balanced(), "every event is told once: {stats:?}");
        assert!(self.alerts.len() <= limits.alerts_max, "alerts are bounded");
        assert!(self.incidents.len() <= limits.incidents_max, "incidents are bounded");
        let live = u64::from(self.incidents_live());
        let over = stats.merged + stats.resolved;
        assert_eq!(stats.opened + stats.reopened, over + live, "an incident lives or ends");
        let ended = self.incidents.iter().filter(|i| i.phase.is_final()).count();
        assert_eq!(ended, self.ended.len(), "what is over is in the queue");
        for &key in &self.ended {
            let over = self.incidents.get(key).map(|i| i.phase.is_final());
            assert_eq!(over, Some(true), "what is in the queue is over");
        }
        assert!(self.changed.is_empty(), "every change is published");
        let turnover = &self.turnover;
        assert!(
            turnover.admitted.is_empty() && turnover.dropped.is_empty(),
            "every root that came or went is noted"
        );
    }

    fn check_alert(&self, key: AlertKey, alert: &Alert) {
        let due = match alert.state {
            State::Firing { until, .. } => {
                assert!(until >= self.now, "what fires has not ended: {alert:?}");
                until
            }
            State::Resolved { .. } => self.forget_at(key),
        };
        assert!(alert.timer_at <= due, "an alert is looked at in time: {alert:?}");
        assert!(
            self.timers.has(alert.timer_at, Owner::Alert(key)),
            "its deadline is armed: {alert:?}"
        );
        let onsets = usize::from(self.world.policy.spec.grouping.flap_onsets);
        assert!(alert.onsets.len() <= onsets, "onsets are bounded");
        if !alert.is_firing() {
            return;
        }
        if let Place::Member(incident, member) = alert.place {
            let Some(incident) = self.incidents.get(incident) else {
                panic!("a firing alert's incident is in the table: {alert:?}");
            };
            assert!(!incident.phase.is_final(), "and not over: {alert:?}");
            let member = &incident.members[member as usize];
            assert!(member.firing && member.alert == key, "it fires there");
            assert_eq!(member.episode, alert.episode(), "with this episode");
            assert_eq!(incident.tenant, alert.tenant, "of the same tenant");
        }
    }

    fn check_incident(&self, incident: &Incident) {
        let spec = &self.world.policy.spec;
        let id = incident.id;
        let firing = incident.members.iter().filter(|m| m.firing).count();
        if !incident.phase.is_final() {
            assert_eq!(incident.firing as usize, firing, "{id} counts what fires");
            for (at, member) in incident.members.iter().enumerate() {
                let place = self.alerts.get(member.alert).map(|a| (a.is_firing(), a.place));
                let here = Place::Member(incident.key, at as u32);
                let fires_here = place == Some((true, here));
                assert_eq!(member.firing, fires_here, "{id}: a member fires where it is");
            }
            let times = &spec.times;
            let due = incident.next_deadline(times.settle_for, times.quiet_for);
            assert!(incident.timer_at <= due, "{id} is looked at in time");
            assert!(
                self.timers.has(incident.timer_at, Owner::Incident(incident.key)),
                "{id}: its deadline is armed"
            );
        }
        let turn = self.world.turn;
        let before = turn.wrapping_sub(1);
        let is_stale = self.world.before.is_some() && incident.turn == before;
        assert!(incident.turn == turn || is_stale, "{id} is on this graph or the one before");
        assert!(incident.version > 0, "{id} is published");
        assert!(incident.onset <= incident.newest, "{id}: onsets are a span");
        let members = incident.members.len();
        assert!(
            (1..=spec.limits.members_max as usize).contains(&members),
            "{id}: members are bounded"
        );
        assert_eq!(incident.by_entity.len(), incident.symptoms.len(), "{id}");
        let alerting = incident.symptoms.iter().filter(|s| s.is_alerting()).count();
        assert_eq!(incident.alerting as usize, alerting, "{id} counts entities");
        let pull: crate::Score = incident.symptoms.iter().map(|s| s.counted).sum();
        assert_eq!(incident.pull, pull, "{id} sums the pull of all");
        for (at, symptom) in incident.symptoms.iter().enumerate() {
            assert_eq!(incident.by_entity.get(&symptom.entity), Some(&(at as u32)));
            symptom.check(members);
            let here =
                |m: &&crate::incident::Member| m.firing && m.subject.entity == symptom.entity;
            let fires = incident.members.iter().filter(here).count();
            assert!(incident.phase.is_final() || symptom.firing as usize == fires, "{id}: firing");
        }
    }

    /// The figures of each root are those that its incident's symptoms give.
    fn check_roots(&self, incident: &Incident) {
        let (id, model) = (incident.id, self.world.model_of(incident));
        let roots = &incident.hypotheses;
        assert!((1..=HYPOTHESES_MAX).contains(&roots.len()), "{id}: roots");
        let best = roots.iter().map(|root| root.likelihood).max();
        assert_eq!(best, Some(roots.best_likelihood()), "{id}: best likelihood");
        for (at, root) in roots.iter().enumerate() {
            let first = roots.iter().position(|r| r.entity == root.entity);
            assert_eq!(first, Some(at), "{id}: a root stands once");
            let name = model.name(root.entity);
            assert_eq!(root.sums, incident.sums(model, root.entity), "{id}: {name}");
            let score = incident.score_of(model, root);
            assert_eq!(root.score, score, "{id}: score of {name}");
        }
        let ranked: Vec<Entity> = roots.ranked(model).iter().map(|r| r.entity).collect();
        assert!(incident.candidate.is_some(), "{id} has a candidate");
        assert_eq!(incident.candidate, ranked.first().copied(), "{id}: the best");
        assert_eq!(incident.runner_up, ranked.get(1).copied(), "{id}: the next");
    }

    /// The index from roots to live incidents holds what the incidents say. Beyond the maximum
    /// per root older ones are left out.
    fn check_considering(&self) {
        let live = || self.incidents.iter().filter(|i| !i.phase.is_final());
        let mut pairs: Vec<(Symbol, Entity, IncidentKey)> = Vec::new();
        for incident in live() {
            let pair = |root: &Hypothesis| (incident.tenant, root.entity, incident.key);
            pairs.extend(incident.hypotheses.iter().map(pair));
        }
        let mut keys = 0;
        let mut listed = 0;
        for &(tenant, root, key) in &pairs {
            let list = self.incidents.considering(tenant, root);
            assert!(list.len() <= LIVE_PER_ENTITY_MAX, "incidents per root");
            listed += usize::from(list.contains(&key));
            if list.first() == Some(&key) {
                keys += 1;
            }
            let once = |key: &IncidentKey| list.iter().filter(|&k| k == key).count() == 1;
            assert!(list.iter().all(once), "an incident is listed once");
            for &other in list {
                let incident = self.incidents.get(other);
                let considers = incident.is_some_and(|i| {
                    !i.phase.is_final() && i.tenant == tenant && i.hypotheses.get(root).is_some()
                });
                assert!(considers, "a listed incident lives and considers the root");
            }
        }
        assert_eq!(keys, self.incidents.roots_considered(), "no root is left over");
        if self.stats.opened <= LIVE_PER_ENTITY_MAX as u64 {
            assert_eq!(listed, pairs.len(), "every root leads to its incidents");
        }
    }
}
