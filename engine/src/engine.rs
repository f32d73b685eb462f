//! The engine: all control flow, and no arithmetic. Stages are called from here and never call
//! each other or back.

use std::collections::VecDeque;

use crate::alerts::{Alert, AlertKey, Alerts, Place, State};
use crate::decision::{Decision, Decisions, Episode, IncidentId, RerankCause, Suppressor};
use crate::event::{AlertEvent, Breach, Seq, Side, Status};
use crate::evidence::Turnover;
use crate::grouping::{Matches, are_one};
use crate::hash::Fnv;
use crate::incident::{Incident, IncidentKey, Member, Opening, Phase};
use crate::incidents::Incidents;
use crate::kind::Kind;
use crate::limits::Limit;
use crate::model::{Link, Model, Observation};
use crate::policy::Policy;
use crate::score::Score;
use crate::stats::Stats;
use crate::subject::{Severity, Subject};
use crate::symbol::Symbols;
use crate::table::HashSeed;
use crate::time::Timestamp;
use crate::timers::{Owner, Timers};
use crate::topology::Topology;
use crate::view::IncidentView;
use crate::walk::Walks;

/// A deterministic state machine: alert events and time in, decisions out.
///
/// It does no I/O and reads no clock. The same calls with the same arguments give the same
/// decisions, whatever the [`HashSeed`]. The caller's part: `seq` strictly increases, and the
/// decisions are read before the next call.
#[derive(Debug)]
pub struct Engine {
    policy: Policy,
    topology: Topology,
    walks: Walks,
    seed: HashSeed,
    shard: u32,
    symbols: Symbols,
    alerts: Alerts,
    incidents: Incidents,
    timers: Timers,
    now: Timestamp,
    seq: Seq,
    stats: Stats,
    /// Incidents that changed in this step, in that order.
    changed: Vec<IncidentKey>,
    /// Incidents that ended, in that order: they can be read for a while.
    ended: VecDeque<IncidentKey>,
    // Memory that is used again from event to event.
    links: Vec<Link>,
    matches: Matches,
    turnover: Turnover,
}

/// Whether [`Engine::advance`] is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "call `advance` again while it says `More`"]
pub enum Progress {
    /// Something was decided: read it and call again.
    More,
    /// Nothing is due any more.
    Done,
}

impl Engine {
    /// An engine without alerts. `shard` is the input partition: it keeps ids of different
    /// partitions apart.
    #[must_use]
    pub fn new(policy: Policy, topology: Topology, shard: u32, seed: HashSeed) -> Self {
        let spec = policy.spec();
        let walks = Walks::new(&topology, &spec.grouping, spec.ranking.hops_max);
        Self {
            walks,
            topology,
            policy,
            seed,
            shard,
            symbols: Symbols::new(seed),
            alerts: Alerts::new(seed),
            incidents: Incidents::new(seed),
            timers: Timers::default(),
            now: Timestamp::MIN,
            seq: Seq::default(),
            stats: Stats::default(),
            changed: Vec::new(),
            ended: VecDeque::new(),
            links: Vec::new(),
            matches: Matches::default(),
            turnover: Turnover::default(),
        }
    }

    /// Applies one event at log time `now`; deadlines that are due by then come first. Call
    /// [`Engine::advance`] until it is done before, to read each version that they publish.
    ///
    /// Never fails and never blocks. `now` is clamped to the latest time seen.
    pub fn apply(
        &mut self,
        seq: Seq,
        event: &AlertEvent<'_>,
        now: Timestamp,
        decisions: &mut Decisions,
    ) {
        while self.advance(now, decisions) == Progress::More {}
        self.begin_step();
        if now < self.now {
            self.stats.clock_clamped += 1;
        }
        self.now = self.now.max(now);
        self.seq = seq;
        self.stats.events += 1;
        let hash = self
            .alerts
            .hash(event.labels.pairs(), &self.policy.spec.labels.replica);
        match (self.alerts.find(hash), self.is_resolved(event)) {
            (Some(key), true) => self.resolve_known(key, event, decisions),
            (Some(key), false) => self.fire_known(key, event, decisions),
            (None, true) => {
                self.stats.resolves_unknown += 1;
                let fingerprint = self.fingerprint(event);
                decisions.push(Decision::ResolvedUnknown { fingerprint });
            }
            (None, false) => self.fire_new(hash, event, decisions),
        }
        self.publish(decisions);
    }

    /// Decides what is due by `now`, up to and including one published version. Calling it early
    /// or twice is harmless.
    pub fn advance(&mut self, now: Timestamp, decisions: &mut Decisions) -> Progress {
        self.begin_step();
        while let Some((at, owner)) = self.timers.take_due(now) {
            // What falls due is decided as of its deadline, however late the call.
            self.now = self.now.max(at);
            match owner {
                Owner::Alert(key) => self.alert_due(key, at, decisions),
                Owner::Incident(key) => self.incident_due(key, at, decisions),
            }
            if !self.changed.is_empty() {
                self.publish(decisions);
                return Progress::More;
            }
        }
        Progress::Done
    }

    /// When [`Engine::advance`] next has something to do. It may turn out to be nothing.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    /// One incident: live, or ended less than `retain_for` ago.
    #[must_use]
    pub fn incident(&self, id: IncidentId) -> Option<IncidentView<'_>> {
        let incident = self.incidents.find(id)?;
        Some(IncidentView::new(self.model(), incident))
    }

    /// All incidents that can be read, in no useful order.
    pub fn incidents(&self) -> impl Iterator<Item = IncidentView<'_>> {
        self.incidents
            .iter()
            .map(|incident| IncidentView::new(self.model(), incident))
    }

    /// The candidates if these incidents were one, best first, with their scores: the answer to
    /// "suppose all this is one fault". Incidents merged into another are left out.
    #[must_use]
    pub fn explain_together(&self, ids: &[IncidentId]) -> Vec<(&str, Score)> {
        let mut parts: Vec<&Incident> = ids.iter().filter_map(|&id| self.incidents.find(id)).collect();
        parts.retain(|incident| incident.phase != Phase::Merged);
        parts.sort_by_key(|incident| incident.order);
        let Some(first) = parts.first() else { return Vec::new() };
        let mut whole = Incident::new(&Opening {
            key: first.key,
            id: first.id,
            order: first.order,
            tenant: first.tenant,
            now: self.now,
            onset: first.onset,
            seq: first.first_seq,
            refused: None,
            seed: self.seed,
        });
        for part in parts {
            whole.absorb(self.model(), part, &mut Turnover::default());
        }
        let ranked = whole.hypotheses.ranked(self.model());
        ranked.iter().map(|root| (self.model().name(root.entity), root.score)).collect()
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The graph in force.
    #[must_use]
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The latest time the engine has been told.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Alerts remembered, firing and lately resolved.
    #[must_use]
    pub fn alerts_live(&self) -> u32 {
        self.alerts.len()
    }

    /// Incidents that are not over.
    #[must_use]
    pub fn incidents_live(&self) -> u32 {
        self.incidents.len() - self.ended.len() as u32
    }

    fn model(&self) -> Model<'_> {
        Model {
            policy: &self.policy,
            topology: &self.topology,
            walks: &self.walks,
            symbols: &self.symbols,
        }
    }

    fn fingerprint(&self, event: &AlertEvent<'_>) -> crate::label::Fingerprint {
        event
            .labels
            .fingerprint_without(&self.policy.spec.labels.replica)
    }

    fn is_resolved(&self, event: &AlertEvent<'_>) -> bool {
        match event.status {
            Some(status) => status == Status::Resolved,
            None => event.ends_at.is_some_and(|end| end <= self.now),
        }
    }
}

// === an event of a known alert

impl Engine {
    fn fire_known(&mut self, key: AlertKey, event: &AlertEvent<'_>, decisions: &mut Decisions) {
        let (until, timeout) = self.end_of(event);
        let starts_at = event.starts_at.unwrap_or(self.now);
        let Some(alert) = self.alerts.get_mut(key) else {
            return;
        };
        match &mut alert.state {
            State::Firing {
                until: old,
                timeout: old_timeout,
            } => {
                // An explicit end is never shortened by another firing event.
                if *old_timeout || until > *old {
                    (*old, *old_timeout) = (until, timeout);
                }
                self.note_repeat(key, event, decisions);
            }
            State::Resolved { at } if starts_at > *at => {
                self.begin_episode(key, event, starts_at, decisions);
            }
            state @ State::Resolved { .. } => {
                // It goes on: a replica still sees it, or the resolve overtook it.
                *state = State::Firing { until, timeout };
                let (place, at) = (alert.place, until);
                self.arm_alert(key, at);
                if let Place::Member(incident, member) = place {
                    self.member_fires_again(incident, member);
                }
                self.note_repeat(key, event, decisions);
            }
        }
    }

    fn resolve_known(&mut self, key: AlertKey, event: &AlertEvent<'_>, decisions: &mut Decisions) {
        let now = self.now;
        let Some(alert) = self.alerts.get_mut(key) else {
            return;
        };
        let of_before = event.ends_at.is_some_and(|end| end < alert.starts_at);
        if !alert.is_firing() || of_before {
            self.note_repeat(key, event, decisions);
            return;
        }
        let at = event.ends_at.map_or(now, |end| end.min(now));
        self.stats.resolves += 1;
        self.end_episode(key, at, false, decisions);
    }

    /// The hot path: the alert is known and goes on as before.
    fn note_repeat(&mut self, key: AlertKey, event: &AlertEvent<'_>, decisions: &mut Decisions) {
        self.stats.repeats += 1;
        let Some(alert) = self.alerts.get(key) else {
            return;
        };
        let (episode, place, firing) = (alert.episode(), alert.place, alert.is_firing());
        decisions.push(Decision::Repeated { alert: episode });
        if let Place::Member(incident, _) = place {
            if let Some(incident) = self.incidents.get_mut(incident) {
                incident.events += 1;
                incident.repeats += 1;
            }
            if firing && event.breach.is_some() {
                self.note_worse(key, event, decisions);
            }
        }
    }

    /// Only the worst value ever seen of an alert counts.
    fn note_worse(&mut self, key: AlertKey, event: &AlertEvent<'_>, decisions: &mut Decisions) {
        let Some(alert) = self.alerts.get(key) else {
            return;
        };
        let seen = self.observation(alert.subject, event.breach);
        let worse = seen.strength > alert.strength || seen.excess > alert.excess;
        let Place::Member(incident, member) = alert.place else {
            return;
        };
        if !worse {
            return;
        }
        if let Some(alert) = self.alerts.get_mut(key) {
            alert.strength = alert.strength.max(seen.strength);
            alert.excess = if seen.excess > alert.excess {
                seen.excess
            } else {
                alert.excess
            };
        }
        let onset = self.incidents.get(incident).map_or(self.now, |i| i.newest);
        self.observe(
            incident,
            &seen,
            member,
            onset,
            RerankCause::WorseAlert,
            decisions,
        );
    }

    fn member_fires_again(&mut self, key: IncidentKey, member: u32) {
        if let Some(incident) = self.incidents.get_mut(key) {
            incident.members[member as usize].firing = true;
            incident.firing += 1;
        }
    }
}

// === a new alert, and a new episode of a known one

impl Engine {
    fn fire_new(&mut self, hash: u64, event: &AlertEvent<'_>, decisions: &mut Decisions) {
        if self.alerts.len() >= self.policy.spec.limits.alerts_max && !self.evict() {
            self.stats.shed += 1;
            decisions.push(Decision::Shed {
                seq: self.seq,
                limit: Limit::Alerts,
            });
            return;
        }
        let labels = event.labels;
        let subject = Subject::of(labels, &self.policy, &self.topology, &mut self.symbols);
        self.stats.unmapped += u64::from(subject.mapped_by.is_none());
        self.stats.outside_topology += u64::from(subject.entity.node().is_none());
        let tenant = self
            .policy
            .spec
            .labels
            .tenant
            .as_deref()
            .and_then(|name| labels.get(name));
        let tenant = self.symbols.hold(tenant.unwrap_or_default());
        let (until, timeout) = self.end_of(event);
        let starts_at = event.starts_at.unwrap_or(self.now);
        let seen = self.observation(subject, event.breach);
        let key = self.alerts.insert(Alert {
            hash,
            fingerprint: self.fingerprint(event),
            tenant,
            subject,
            state: State::Firing { until, timeout },
            starts_at,
            place: Place::Suppressed(Suppressor::Meta),
            strength: seen.strength,
            excess: seen.excess,
            onsets: VecDeque::new(),
            flapping_until: Timestamp::MIN,
            timer_at: Timestamp::MAX,
        });
        self.arm_alert(key, until);
        let chronic = self.now.since(starts_at) > self.policy.spec.times.chronic_after;
        self.place(key, &seen, chronic, decisions);
    }

    fn begin_episode(
        &mut self,
        key: AlertKey,
        event: &AlertEvent<'_>,
        starts_at: Timestamp,
        decisions: &mut Decisions,
    ) {
        let (until, timeout) = self.end_of(event);
        let Some(alert) = self.alerts.get(key) else {
            return;
        };
        let seen = self.observation(alert.subject, event.breach);
        if let Some(alert) = self.alerts.get_mut(key) {
            alert.state = State::Firing { until, timeout };
            alert.starts_at = starts_at;
            alert.strength = seen.strength;
            alert.excess = seen.excess;
        }
        self.arm_alert(key, until);
        self.place(key, &seen, false, decisions);
    }

    /// Finds the incident that a new episode belongs to.
    fn place(&mut self, key: AlertKey, seen: &Observation, chronic: bool, out: &mut Decisions) {
        let (now, times) = (self.now, self.policy.spec.times);
        let onsets = self.policy.spec.grouping.flap_onsets;
        let Some(alert) = self.alerts.get_mut(key) else {
            return;
        };
        let flapping = alert.note_onset(now, times.flap_window, onsets, times.flap_hold);
        let (episode, tenant, before) = (alert.episode(), alert.tenant, alert.place);
        let by = if seen.subject.kind == Kind::Meta {
            Some(Suppressor::Meta)
        } else if chronic {
            Some(Suppressor::Chronic)
        } else if flapping {
            Some(Suppressor::Flapping)
        } else {
            None
        };
        if let Some(by) = by {
            if let (Suppressor::Flapping, Place::Member(incident, _)) = (by, before) {
                if let Some(incident) = self.incidents.get_mut(incident) {
                    incident.flaps += 1;
                }
            }
            self.suppress(key, episode, by, out);
            return;
        }
        let oldest = now.minus(times.lateness);
        self.stats.late += u64::from(episode.starts_at < oldest);
        let onset = episode.starts_at.clamp(oldest, now);
        self.model_links(seen);
        let model = Model {
            policy: &self.policy,
            topology: &self.topology,
            walks: &self.walks,
            symbols: &self.symbols,
        };
        self.matches
            .find(model, &self.incidents, tenant, seen, &self.links, onset);
        match self.matches.best() {
            Ok(incident) => self.join(key, incident, seen, onset, out),
            Err(refused) => self.open(key, seen, onset, refused, out),
        }
    }

    fn suppress(&mut self, key: AlertKey, alert: Episode, by: Suppressor, out: &mut Decisions) {
        self.stats.suppressed[by as usize] += 1;
        if let Some(alert) = self.alerts.get_mut(key) {
            alert.place = Place::Suppressed(by);
        }
        out.push(Decision::Suppressed { alert, by });
    }

    fn open(
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
        if self.incidents.len() >= self.policy.spec.limits.incidents_max {
            out.push(Decision::Shed {
                seq: self.seq,
                limit: Limit::Incidents,
            });
            self.suppress(key, episode, Suppressor::Overflow, out);
            return;
        }
        let id = self.incident_id(tenant, episode);
        let (incident, order) = self.incidents.reserve();
        self.symbols.hold_again(tenant);
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
        }));
        self.stats.opened += 1;
        self.stats.refused += u64::from(refused.is_some());
        out.push(Decision::Opened {
            incident: id,
            alert: episode,
            refused,
        });
        self.add_member(key, incident, seen, onset, out);
    }

    fn join(
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
        out.push(Decision::Joined {
            incident: id,
            alert,
        });
        self.add_member(key, incident, seen, onset, out);
        let mut joined = incident;
        let others: Vec<IncidentKey> = self.matches.others(incident).collect();
        for other in others {
            joined = self.try_merge(joined, other, onset, out);
        }
    }

    fn add_member(
        &mut self,
        key: AlertKey,
        into: IncidentKey,
        seen: &Observation,
        onset: Timestamp,
        out: &mut Decisions,
    ) {
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
                let known = &mut incident.members[member as usize];
                (known.episode, known.firing) = (episode, true);
                member
            }
            _ => {
                seen.subject.hold(&mut self.symbols);
                let subject = seen.subject;
                incident.members.push(Member {
                    alert: key,
                    episode,
                    subject,
                    firing: true,
                });
                (incident.members.len() - 1) as u32
            }
        };
        alert.place = Place::Member(into, member);
        incident.firing += 1;
        incident.events += 1;
        incident.onset = incident.onset.min(onset);
        self.stats.placed += 1;
        self.touch(into);
        self.observe(into, seen, member, onset, RerankCause::NewAlert, out);
    }

    fn model_links(&mut self, seen: &Observation) {
        let mut links = std::mem::take(&mut self.links);
        self.model().links(seen, &mut links);
        self.links = links;
    }

    /// Makes an observation evidence of an incident, and chooses its candidate anew.
    fn observe(
        &mut self,
        key: IncidentKey,
        seen: &Observation,
        member: u32,
        onset: Timestamp,
        cause: RerankCause,
        out: &mut Decisions,
    ) {
        self.model_links(seen);
        let model = Model {
            policy: &self.policy,
            topology: &self.topology,
            walks: &self.walks,
            symbols: &self.symbols,
        };
        let Some(incident) = self.incidents.get_mut(key) else {
            return;
        };
        incident.observe(model, seen, &self.links, member, onset, &mut self.turnover);
        self.note_turnover(key);
        self.choose(key, cause, out);
    }

    fn note_turnover(&mut self, key: IncidentKey) {
        let Some(tenant) = self.incidents.get(key).map(|i| i.tenant) else {
            return;
        };
        for root in self.turnover.admitted.drain(..) {
            self.incidents.consider(tenant, root, key);
        }
        for root in self.turnover.dropped.drain(..) {
            self.incidents.disregard(tenant, root, key);
        }
    }

    fn choose(&mut self, key: IncidentKey, cause: RerankCause, out: &mut Decisions) {
        let model = Model {
            policy: &self.policy,
            topology: &self.topology,
            walks: &self.walks,
            symbols: &self.symbols,
        };
        let Some(incident) = self.incidents.get_mut(key) else {
            return;
        };
        let (first, second) = incident.hypotheses.leaders(model);
        let before = std::mem::replace(&mut incident.candidate, first);
        incident.runner_up = second;
        if before == first {
            return;
        }
        incident.reranked_at = self.now;
        if before.is_some() {
            incident.rerank_cause = Some(cause);
            incident.phase = Phase::Open;
            self.stats.reranked += 1;
            out.push(Decision::Reranked {
                incident: incident.id,
                cause,
            });
        }
        self.touch(key);
    }

    /// Merges two incidents when one root explains both. The one that goes on is returned.
    fn try_merge(
        &mut self,
        a: IncidentKey,
        b: IncidentKey,
        onset: Timestamp,
        out: &mut Decisions,
    ) -> IncidentKey {
        let model = Model {
            policy: &self.policy,
            topology: &self.topology,
            walks: &self.walks,
            symbols: &self.symbols,
        };
        let (Some(first), Some(second)) = (self.incidents.get(a), self.incidents.get(b)) else {
            return a;
        };
        if !are_one(model, first, second, onset) {
            return a;
        }
        let (older, younger) = if first.order < second.order {
            (a, b)
        } else {
            (b, a)
        };
        let Some((survivor, loser)) = self.incidents.get_pair(older, younger) else {
            return a;
        };
        let members_before = survivor.members.len() as u32;
        survivor.absorb(model, loser, &mut self.turnover);
        let (into, ended) = (survivor.id, loser.id);
        for (at, member) in loser.members.iter().enumerate() {
            member.subject.hold(&mut self.symbols);
            if let Some(alert) = self.alerts.get_mut(member.alert) {
                if alert.place == Place::Member(younger, at as u32) {
                    alert.place = Place::Member(older, members_before + at as u32);
                }
            }
        }
        self.stats.merged += 1;
        out.push(Decision::Merged {
            incident: ended,
            into,
        });
        self.note_turnover(older);
        self.end_incident(younger, Phase::Merged, Some(into));
        self.touch(older);
        self.choose(older, RerankCause::Merge, out);
        older
    }
}

// === time

impl Engine {
    fn alert_due(&mut self, key: AlertKey, at: Timestamp, out: &mut Decisions) {
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
            State::Firing { until, .. } => self.arm_alert(key, until),
            State::Resolved { .. } => {
                let forget = self.forget_at(key);
                if forget <= at {
                    self.forget(key)
                } else {
                    self.arm_alert(key, forget)
                }
            }
        }
    }

    fn end_episode(&mut self, key: AlertKey, at: Timestamp, expired: bool, out: &mut Decisions) {
        let now = self.now;
        let Some(alert) = self.alerts.get_mut(key) else {
            return;
        };
        alert.state = State::Resolved { at };
        let (episode, place) = (alert.episode(), alert.place);
        out.push(Decision::Resolved {
            alert: episode,
            expired,
        });
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
    fn forget_at(&self, key: AlertKey) -> Timestamp {
        let Some(alert) = self.alerts.get(key) else {
            return Timestamp::MIN;
        };
        let State::Resolved { at } = alert.state else {
            return Timestamp::MAX;
        };
        at.plus(self.policy.spec.times.flap_window)
            .max(alert.flapping_until)
    }

    fn forget(&mut self, key: AlertKey) {
        if let Some(alert) = self.alerts.remove(key) {
            alert.subject.release(&mut self.symbols);
            self.symbols.release(alert.tenant);
        }
    }

    fn evict(&mut self) -> bool {
        let Some(key) = self.alerts.evictable() else {
            return false;
        };
        self.stats.evicted += 1;
        self.forget(key);
        true
    }

    /// Makes sure that an alert is looked at by `at`. An earlier timer is not moved.
    fn arm_alert(&mut self, key: AlertKey, at: Timestamp) {
        let Some(alert) = self.alerts.get_mut(key) else {
            return;
        };
        if at < alert.timer_at {
            alert.timer_at = at;
            self.timers.set(at, Owner::Alert(key));
        }
    }

    fn incident_due(&mut self, key: IncidentKey, at: Timestamp, out: &mut Decisions) {
        let times = self.policy.spec.times;
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
            self.end_incident(key, Phase::Resolved, None);
            return;
        }
        if incident.phase == Phase::Open && incident.reranked_at.plus(times.settle_for) <= at {
            incident.phase = Phase::Settled;
            out.push(Decision::Settled { incident: id });
            self.touch(key);
        }
        self.arm_incident(key);
    }

    fn arm_incident(&mut self, key: IncidentKey) {
        let times = self.policy.spec.times;
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
    fn end_incident(&mut self, key: IncidentKey, phase: Phase, into: Option<IncidentId>) {
        let Some(incident) = self.incidents.get_mut(key) else {
            return;
        };
        incident.phase = phase;
        incident.into = into;
        let tenant = incident.tenant;
        let roots: Vec<_> = incident.hypotheses.iter().map(|h| h.entity).collect();
        for root in roots {
            self.incidents.disregard(tenant, root, key);
        }
        self.touch(key);
        self.ended.push_back(key);
    }
}

// === a step: between two calls

impl Engine {
    /// Forgets incidents that ended long enough ago, or early when the table is full.
    fn begin_step(&mut self) {
        let (times, max) = (self.policy.spec.times, self.policy.spec.limits.incidents_max);
        while let Some(&key) = self.ended.front() {
            let ended = self.incidents.get(key).map_or(Timestamp::MIN, |i| i.updated);
            if self.now.since(ended) <= times.retain_for && self.incidents.len() < max {
                break;
            }
            self.ended.pop_front();
            if let Some(incident) = self.incidents.remove(key) {
                for member in &incident.members {
                    member.subject.release(&mut self.symbols);
                }
                self.symbols.release(incident.tenant);
            }
        }
    }

    /// Notes that an incident has changed in a way that its readers must hear of.
    fn touch(&mut self, key: IncidentKey) {
        if !self.changed.contains(&key) {
            self.changed.push(key);
        }
    }

    fn publish(&mut self, out: &mut Decisions) {
        let mut changed = std::mem::take(&mut self.changed);
        for key in changed.drain(..) {
            if let Some(incident) = self.incidents.get_mut(key) {
                incident.version += 1;
                incident.updated = self.now;
                incident.last_seq = self.seq;
                self.stats.published += 1;
                let (incident, version) = (incident.id, incident.version);
                out.push(Decision::Published { incident, version });
            }
            self.arm_incident(key);
        }
        self.changed = changed;
    }

    fn end_of(&self, event: &AlertEvent<'_>) -> (Timestamp, bool) {
        match event.ends_at {
            // A firing webhook alert may carry an end that has passed: it fires all the same.
            Some(end) if end > self.now => (end, false),
            _ => (self.now.plus(self.policy.spec.times.resolve_timeout), true),
        }
    }

    fn observation(&self, subject: Subject, breach: Option<Breach>) -> Observation {
        let model = self.model();
        let by_severity = self.policy.spec.ranking.strength_by_severity;
        let strength = match breach {
            Some(breach) => model.strength(ratio(breach, subject.kind)),
            None => Score::from_f64(match subject.severity {
                Severity::Critical => by_severity[0],
                Severity::Warning | Severity::None => by_severity[1],
                Severity::Info => by_severity[2],
            }),
        };
        let excess = breach
            .filter(|b| b.side == Side::Above && subject.kind.is_delay())
            .map(|b| (b.value - b.threshold).max(0.0));
        Observation {
            subject,
            strength,
            excess,
        }
    }

    /// Derived from tenant, first episode and partition: a replay gives the same.
    fn incident_id(&self, tenant: crate::symbol::Symbol, first: Episode) -> IncidentId {
        let mut hash = Fnv::new();
        hash.write(self.symbols.text(tenant).as_bytes());
        hash.write(&first.fingerprint.0.to_le_bytes());
        hash.write(&first.starts_at.as_nanos().to_le_bytes());
        hash.write(&self.shard.to_le_bytes());
        let mut id = IncidentId(mix(hash.finish()));
        while self.incidents.find(id).is_some() {
            id = IncidentId(id.0.wrapping_add(1));
        }
        id
    }

    /// How long the engine's own memory lasts, for tests and metrics.
    #[must_use]
    pub fn footprint(&self) -> Footprint {
        Footprint {
            alerts: self.alerts.len() as usize,
            incidents: self.incidents.len() as usize,
            timers: self.timers.len(),
            texts: self.symbols.len(),
            text_bytes: self.symbols.bytes(),
            roots_considered: self.incidents.roots_considered(),
            walk_bytes: self.walks.bytes(),
        }
    }
}

/// How many things the engine holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Footprint {
    /// Alerts, firing and lately resolved.
    pub alerts: usize,
    /// Incidents.
    pub incidents: usize,
    /// Deadlines, stale ones included.
    pub timers: usize,
    /// Distinct texts.
    pub texts: usize,
    /// Bytes of text.
    pub text_bytes: usize,
    /// Roots that some incident considers.
    pub roots_considered: usize,
    /// Bytes of precomputed walks.
    pub walk_bytes: usize,
}

/// How many times over the limit. For success shares: of the error budget.
fn ratio(breach: Breach, kind: Kind) -> f64 {
    let Breach {
        value,
        threshold,
        side,
    } = breach;
    // A limit of zero or less has no ratio: as much as ten times over.
    const NO_RATIO: f64 = 10.0;
    match side {
        Side::Above if threshold > 0.0 => (value / threshold).max(1.0),
        Side::Above => NO_RATIO,
        Side::Below if kind == Kind::Error && threshold > 0.0 && threshold <= 100.0 => {
            // 97 % against 99 % is three times the error budget, not two per cent off.
            let top = if threshold <= 1.0 { 1.0 } else { 100.0 };
            ((top - value) / (top - threshold).max(top / 1000.0)).max(1.0)
        }
        Side::Below => (threshold / value.max(threshold / NO_RATIO)).max(1.0),
    }
}

/// Spreads the bits of a hash (the finaliser of SplitMix64).
const fn mix(hash: u64) -> u64 {
    let mut z = hash;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
