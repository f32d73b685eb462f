//! A new alert, or a new episode of a known one: which incident it belongs to.

use super::Engine;
use crate::alerts::{Alert, AlertKey, Place, State};
use crate::decision::{Decision, Decisions, Episode, IncidentId, RerankCause, Suppressor};
use crate::directory::Found;
use crate::event::AlertEvent;
use crate::grouping::{Joint, Newcomer, joint};
use crate::incident::{Incident, IncidentKey, Member, Opening, Phase};
use crate::kind::Kind;
use crate::limits::Limit;
use crate::model::Observation;
#[cfg(feature = "planted")]
use crate::planted::in_hash_order;
use crate::planted::planted;
use crate::policy::Times;
use crate::subject::Subject;
use crate::time::Timestamp;

impl Engine {
    pub(super) fn fire_new(
        &mut self,
        hash: u64,
        event: &AlertEvent<'_>,
        decisions: &mut Decisions,
    ) {
        if self.alerts.len() >= self.world.policy.spec.limits.alerts_max && !self.evict() {
            self.stats.shed += planted!(ShedUncounted: 0, 1);
            decisions.push(Decision::Shed { seq: self.seq, limit: Limit::Alerts });
            return;
        }
        let (world, labels) = (&mut self.world, event.labels);
        let subject = Subject::of(labels, &world.policy, &world.graph.topology, &mut world.symbols);
        self.stats.unmapped += u64::from(subject.mapped_by.is_none());
        self.stats.ambiguous += u64::from(subject.found == Found::Ambiguous);
        self.stats.outside_topology += u64::from(!self.world.model().in_graph(subject.entity));
        let tenant =
            self.world.policy.spec.labels.tenant.as_deref().and_then(|name| labels.get(name));
        let tenant = planted!(TenantIgnored: None, tenant).unwrap_or_default();
        let tenant = self.world.symbols.hold(tenant);
        let (until, timeout) = self.end_of(event);
        let starts_at = event.starts_at.unwrap_or(self.now);
        let seen = self.observation(subject, event.breach);
        let key = self.alerts.insert(Alert {
            generation: 0,
            hash,
            fingerprint: self.fingerprint(event),
            tenant,
            subject,
            state: State::Firing { until, timeout },
            starts_at,
            held: event.held,
            ended: Timestamp::MIN,
            place: Place::Suppressed(Suppressor::Meta),
            ratio: f64::NEG_INFINITY,
            strength: seen.strength,
            excess: seen.excess,
            onsets: Vec::new(),
            flapping_until: Timestamp::MIN,
            timer_at: Timestamp::MAX,
            resolved_nr: 0,
        });
        self.arm_alert(key, until);
        let chronic = self.now.since(starts_at) > self.world.policy.spec.times.chronic_after;
        self.place(key, &seen, chronic, decisions);
    }

    pub(super) fn begin_episode(
        &mut self,
        key: AlertKey,
        event: &AlertEvent<'_>,
        starts_at: Timestamp,
        decisions: &mut Decisions,
    ) {
        let (until, timeout) = self.end_of(event);
        self.renew_subject(key);
        let Some(alert) = self.alerts.get(key) else {
            return;
        };
        let seen = self.observation(alert.subject, event.breach);
        if let Some(alert) = self.alerts.get_mut(key) {
            alert.state = State::Firing { until, timeout };
            alert.starts_at = starts_at;
            alert.held = event.held;
            alert.ratio = f64::NEG_INFINITY;
            alert.strength = seen.strength;
            alert.excess = seen.excess;
        }
        self.arm_alert(key, until);
        self.place(key, &seen, false, decisions);
    }

    /// Finds the incident that a new episode belongs to.
    pub(super) fn place(
        &mut self,
        key: AlertKey,
        seen: &Observation,
        chronic: bool,
        out: &mut Decisions,
    ) {
        let (now, times) = (self.now, self.world.policy.spec.times);
        let onsets = self.world.policy.spec.grouping.flap_onsets;
        let Some(alert) = self.alerts.get_mut(key) else {
            return;
        };
        let flapping = alert.note_onset(now, times.flap_window, onsets, times.flap_hold);
        let (episode, before, tenant) = (alert.episode(), alert.place, alert.tenant);
        self.watch(tenant, seen.subject.entity);
        let by = if seen.subject.kind == Kind::Meta {
            Some(Suppressor::Meta)
        } else if chronic {
            Some(Suppressor::Chronic)
        } else if planted!(FlapperPlaced: false, flapping) {
            Some(Suppressor::Flapping)
        } else {
            None
        };
        if let Some(by) = by {
            if let (Suppressor::Flapping, Place::Member(incident, _)) = (by, before)
                && let Some(incident) = self.incidents.get_mut(incident)
            {
                incident.flaps += 1;
            }
            self.suppress(key, episode, by, out);
            return;
        }
        self.stats.late += u64::from(episode.starts_at < self.onset(episode.starts_at));
        self.assign(key, seen, out);
        let placed = self.alerts.get(key).map(|alert| alert.place);
        self.stats.placed += u64::from(matches!(placed, Some(Place::Member(..))));
    }

    /// Puts an alert into the incident that explains it, or into one of its own.
    fn assign(&mut self, key: AlertKey, seen: &Observation, out: &mut Decisions) {
        let Some(alert) = self.alerts.get(key) else {
            return;
        };
        let onset = self.onset(alert.starts_at).minus(alert.held);
        let (tenant, episode, hash) = (alert.tenant, alert.episode(), alert.hash);
        let home = self.home(key, onset);
        self.link(seen);
        self.renew_considering(tenant, out);
        self.gather_coincidences(tenant, seen, onset, out);
        self.link(seen);
        self.around = self.surroundings(tenant, seen.subject.entity, onset);
        let habit_weight = self.world.policy.spec.grouping.habit_weight;
        let habit = self.background.habit(hash, habit_weight);
        let model = self.world.model();
        let (links, around) = (&self.links, self.around);
        let newcomer = Newcomer { seen, links, tenant, onset, around, habit };
        self.matches.find(model, &self.incidents, &newcomer);
        if let Some(trace) = &mut self.trace {
            let all = self.matches.all.as_deref().unwrap_or_default();
            let all = (all, home);
            trace.placed(model, &self.incidents, episode, (self.now, onset), seen, all);
        }
        match self.matches.best() {
            Ok(incident) => self.join(key, incident, seen, onset, out),
            Err(refused) => match home {
                Some(incident) => {
                    self.reopen(incident, out);
                    self.join(key, incident, seen, onset, out);
                }
                None => self.open(key, seen, onset, refused, out),
            },
        }
    }

    /// The incident to which an alert that fires anew goes back when nothing explains it better:
    /// its own, also one that was resolved, but none that is frozen, and only soon after it ended.
    fn home(&self, key: AlertKey, onset: Timestamp) -> Option<IncidentKey> {
        let alert = self.alerts.get(key)?;
        let Place::Member(incident, _) = alert.place else {
            return None;
        };
        let Times { max_duration, reopen_within, refire_within, .. } = self.world.policy.spec.times;
        let since = onset.since(alert.ended);
        // One alert that comes and goes alone is not kept together by coming again.
        let is_home = |i: &&Incident| match i.phase {
            Phase::Merged => false,
            Phase::Resolved => i.alerting > 1 && since <= reopen_within,
            Phase::Open | Phase::Settled => i.alerting > 1 && since <= refire_within,
        };
        let home = self.incidents.get(incident).filter(is_home)?;
        home.refuses(onset, (u32::MAX, max_duration)).is_none().then_some(incident)
    }

    /// Places a flapping alert that has fired without a break for so long that it is not flapping.
    pub(super) fn place_steady(&mut self, key: AlertKey, out: &mut Decisions) {
        if self.incidents.len() >= self.world.policy.spec.limits.incidents_max {
            return;
        }
        self.renew_subject(key);
        let Some(alert) = self.alerts.get(key) else {
            return;
        };
        let Alert { subject, strength, excess, .. } = *alert;
        self.stats.steadied += 1;
        self.assign(key, &Observation { subject, strength, excess }, out);
    }

    pub(super) fn suppress(
        &mut self,
        key: AlertKey,
        alert: Episode,
        by: Suppressor,
        out: &mut Decisions,
    ) {
        self.stats.suppressed[by as usize] += 1;
        if let Some(alert) = self.alerts.get_mut(key) {
            alert.place = Place::Suppressed(by);
        }
        out.push(Decision::Suppressed { alert, by });
        let steady = self.world.policy.spec.times.flap_steady;
        if let Some(at) = self.alerts.get(key).and_then(|alert| alert.steady_at(steady)) {
            self.arm_alert(key, at);
        }
    }

    pub(super) fn open(
        &mut self,
        key: AlertKey,
        seen: &Observation,
        onset: Timestamp,
        refused: Option<Limit>,
        out: &mut Decisions,
    ) {
        let Some(alert) = self.alerts.get(key) else {
            return;
        };
        let (episode, tenant) = (alert.episode(), alert.tenant);
        if self.incidents.len() >= self.world.policy.spec.limits.incidents_max {
            out.push(Decision::Shed { seq: self.seq, limit: Limit::Incidents });
            self.suppress(key, episode, Suppressor::Overflow, out);
            return;
        }
        let id = self.incident_id(tenant, episode);
        let (incident, order) = self.incidents.reserve();
        self.world.symbols.hold_again(tenant);
        self.incidents.insert(Incident::new(&Opening {
            key: incident,
            id,
            order,
            tenant,
            now: self.now,
            onset,
            seq: self.seq,
            refused,
            seed: self.seed,
            turn: self.world.turn,
        }));
        self.stats.opened += 1;
        self.stats.refused += u64::from(refused.is_some());
        out.push(Decision::Opened { incident: id, alert: episode, refused });
        self.add_member(key, incident, seen, onset, out);
    }

    pub(super) fn join(
        &mut self,
        key: AlertKey,
        incident: IncidentKey,
        seen: &Observation,
        onset: Timestamp,
        out: &mut Decisions,
    ) {
        let Some(alert) = self.alerts.get(key).map(Alert::episode) else {
            return;
        };
        let Some(id) = self.incidents.get(incident).map(|i| i.id) else {
            return;
        };
        out.push(Decision::Joined { incident: id, alert });
        self.add_member(key, incident, seen, onset, out);
        let mut joined = incident;
        let others: Vec<IncidentKey> = self.matches.others(incident).collect();
        for other in planted!(HashOrderShows: in_hash_order(others, self.seed), others) {
            joined = self.try_merge(joined, other, onset, out);
        }
        self.take_fragments(joined, out);
    }

    pub(super) fn add_member(
        &mut self,
        key: AlertKey,
        into: IncidentKey,
        seen: &Observation,
        onset: Timestamp,
        out: &mut Decisions,
    ) {
        self.renew(into, out);
        let Some(alert) = self.alerts.get_mut(key) else {
            return;
        };
        let Some(incident) = self.incidents.get_mut(into) else {
            return;
        };
        let episode = alert.episode();
        // An alert that fires again and comes back is the same member.
        let member = match alert.place {
            Place::Member(before, member) if before == into => {
                incident.flaps += 1;
                incident.members[member as usize].episode = episode;
                member
            }
            _ => {
                seen.subject.hold(&mut self.world.symbols);
                let subject = seen.subject;
                incident.members.push(Member { alert: key, episode, subject, firing: false });
                (incident.members.len() - 1) as u32
            }
        };
        alert.place = Place::Member(into, member);
        incident.note_firing(member);
        incident.events += 1;
        incident.onset = incident.onset.min(onset);
        self.touch(into);
        self.observe(into, seen, member, onset, RerankCause::NewAlert, out);
    }

    /// Lists the roots that could explain an observation.
    pub(super) fn link(&mut self, seen: &Observation) {
        let mut links = std::mem::take(&mut self.links);
        self.world.model().links(seen, &mut links);
        self.links = links;
    }

    /// Makes an observation, whose links are at hand, evidence of an incident, and chooses the
    /// candidate anew.
    pub(super) fn observe(
        &mut self,
        key: IncidentKey,
        seen: &Observation,
        member: u32,
        onset: Timestamp,
        cause: RerankCause,
        out: &mut Decisions,
    ) {
        let model = self.world.model();
        let Some(incident) = self.incidents.get_mut(key) else {
            return;
        };
        let (tenant, alerting) = (incident.tenant, incident.alerting);
        incident.observe(model, seen, &self.links, member, onset, &mut self.turnover);
        let began = incident.alerting > alerting;
        self.note_turnover(key);
        self.choose(key, cause, out);
        if began {
            self.note_beginning(tenant, seen.subject.entity, onset);
        }
    }

    pub(super) fn note_turnover(&mut self, key: IncidentKey) {
        let Some(tenant) = self.incidents.get(key).map(|i| i.tenant) else {
            return;
        };
        for root in self.turnover.admitted.drain(..) {
            // One that fell out again at once must not push another incident off the list.
            if !self.turnover.dropped.contains(&root) {
                self.incidents.consider(tenant, root, key);
            }
        }
        for root in self.turnover.dropped.drain(..) {
            self.incidents.disregard(tenant, root, key);
        }
    }

    pub(super) fn choose(&mut self, key: IncidentKey, cause: RerankCause, out: &mut Decisions) {
        let model = self.world.model();
        let Some(incident) = self.incidents.get_mut(key) else {
            return;
        };
        let (first, second) = incident.hypotheses.leaders(model);
        let before = std::mem::replace(&mut incident.candidate, first);
        incident.runner_up = second;
        if before == first {
            return;
        }
        incident.reranked_at = planted!(SettleClockKept: incident.reranked_at, self.now);
        if before.is_some() {
            incident.rerank_cause = Some(cause);
            incident.phase = Phase::Open;
            self.stats.reranked += 1;
            out.push(Decision::Reranked { incident: incident.id, cause });
        }
        self.touch(key);
    }

    /// Lets a merged incident, and all that went into it before, name the one that goes on: nobody
    /// has to follow more than one step.
    fn point(&mut self, from: IncidentKey, to: IncidentKey, into: IncidentId) {
        let moved = self.incidents.get_mut(from).map(|i| std::mem::take(&mut i.taken_in));
        let mut moved = planted!(MergedChain: Vec::new(), moved.unwrap_or_default());
        moved.push(from);
        for &key in &moved {
            if let Some(merged) = self.incidents.get_mut(key) {
                merged.into = Some(into);
                self.touch(key);
            }
        }
        if let Some(incident) = self.incidents.get_mut(to) {
            incident.taken_in.extend(moved);
        }
    }

    /// Merges two incidents when one root explains both. The one that goes on is returned.
    pub(super) fn try_merge(
        &mut self,
        a: IncidentKey,
        b: IncidentKey,
        onset: Timestamp,
        out: &mut Decisions,
    ) -> IncidentKey {
        self.renew(a, out);
        self.renew(b, out);
        let model = self.world.model();
        let (Some(first), Some(second)) = (self.incidents.get(a), self.incidents.get(b)) else {
            return a;
        };
        let verdict = joint(model, first, second, onset);
        if let Some(trace) = &mut self.trace {
            trace.compared(first.id, second.id, verdict);
        }
        if !matches!(verdict, Joint::One(_)) {
            return a;
        }
        self.merge(a, b, out)
    }

    /// Makes two incidents one. The one that goes on is returned.
    pub(super) fn merge(
        &mut self,
        a: IncidentKey,
        b: IncidentKey,
        out: &mut Decisions,
    ) -> IncidentKey {
        self.renew(a, out);
        self.renew(b, out);
        let model = self.world.model();
        let (Some(first), Some(second)) = (self.incidents.get(a), self.incidents.get(b)) else {
            return a;
        };
        let a_first =
            planted!(YoungerSurvives: first.order > second.order, first.order < second.order);
        let (older, younger) = if a_first { (a, b) } else { (b, a) };
        let Some((survivor, loser)) = self.incidents.get_pair(older, younger) else {
            return a;
        };
        let members_before = survivor.members.len() as u32;
        let members = survivor.absorb(model, loser, &mut self.turnover);
        let (into, ended) = (survivor.id, loser.id);
        for ((at, member), &here) in loser.members.iter().enumerate().zip(&members) {
            if here >= members_before {
                member.subject.hold(&mut self.world.symbols);
            }
            if let Some(alert) = self.alerts.get_mut(member.alert)
                && alert.place == Place::Member(younger, at as u32)
            {
                alert.place = Place::Member(older, here);
            }
        }
        self.stats.merged += 1;
        out.push(Decision::Merged { incident: ended, into });
        self.note_turnover(older);
        self.end_incident(younger, Phase::Merged);
        self.point(younger, older, into);
        self.touch(older);
        planted!(MergedNotRanked: (), self.choose(older, RerankCause::Merge, out));
        older
    }
}
