//! An event of an alert that is known: mostly a repeat.

use super::Engine;
use super::reading::{excess, ratio};
use crate::alerts::{AlertKey, Place, State};
use crate::decision::{Decision, Decisions, RerankCause};
use crate::event::{AlertEvent, Breach};
use crate::incident::IncidentKey;
use crate::planted::planted;
use crate::time::{Span, Timestamp};

impl Engine {
    pub(super) fn fire_known(
        &mut self,
        key: AlertKey,
        event: &AlertEvent<'_>,
        decisions: &mut Decisions,
    ) {
        let (until, timeout) = self.end_of(event);
        let starts_at = event.starts_at.unwrap_or(self.now);
        let Some(alert) = self.alerts.get_mut(key) else {
            return;
        };
        let earlier = starts_at < alert.starts_at;
        match &mut alert.state {
            State::Firing { until: old, timeout: old_timeout } => {
                // An explicit end is never shortened by another firing event.
                if planted!(TimeoutNotRefreshed: !timeout, *old_timeout || until > *old) {
                    (*old, *old_timeout) = (until, timeout);
                    if until < alert.timer_at {
                        self.arm_alert(key, until);
                    }
                }
                if earlier {
                    self.note_earlier_start(key, starts_at);
                }
                self.note_repeat(key, event, decisions);
            }
            &mut State::Resolved { at } => {
                let begins = starts_at > at && starts_at != alert.starts_at;
                let over = |incident| {
                    let incident = self.incidents.get(incident);
                    incident.is_none_or(|incident| incident.phase.is_final())
                };
                match alert.place {
                    // What fires belongs to an incident that lives.
                    Place::Member(incident, _) if begins || over(incident) => {
                        self.begin_episode(key, event, starts_at, decisions);
                    }
                    Place::Suppressed(_) if begins => {
                        self.begin_episode(key, event, starts_at, decisions);
                    }
                    place => {
                        if earlier {
                            self.note_earlier_start(key, starts_at);
                        }
                        self.go_on(key, place, event, decisions);
                    }
                }
            }
        }
    }

    /// Another replica saw it earlier: the episode keeps its name, the incident its true onset.
    fn note_earlier_start(&mut self, key: AlertKey, starts_at: Timestamp) {
        let held = self.alerts.get(key).map_or(Span::ZERO, |alert| alert.held);
        let onset = self.onset(starts_at).minus(held);
        if let Some(Place::Member(incident, _)) = self.alerts.get(key).map(|alert| alert.place)
            && let Some(incident) = self.incidents.get_mut(incident)
        {
            incident.onset = incident.onset.min(onset);
        }
    }

    /// A replica still sees it, or the resolve overtook it.
    fn go_on(
        &mut self,
        key: AlertKey,
        place: Place,
        event: &AlertEvent<'_>,
        decisions: &mut Decisions,
    ) {
        let (until, timeout) = self.end_of(event);
        if let Some(alert) = self.alerts.get_mut(key) {
            alert.state = State::Firing { until, timeout };
        }
        self.arm_alert(key, until);
        if let Place::Member(incident, member) = place {
            self.member_fires_again(incident, member);
        }
        self.note_repeat(key, event, decisions);
    }

    pub(super) fn resolve_known(
        &mut self,
        key: AlertKey,
        event: &AlertEvent<'_>,
        decisions: &mut Decisions,
    ) {
        let now = self.now;
        let Some(alert) = self.alerts.get_mut(key) else {
            return;
        };
        let of_before = event.ends_at.is_some_and(|end| end < alert.starts_at);
        if !alert.is_firing() || planted!(OldResolveEnds: false, of_before) {
            // What it says of another episode's value is nothing to this one.
            self.count_repeat(key, decisions);
            return;
        }
        let at = event.ends_at.map_or(now, |end| end.min(now));
        self.stats.resolves += 1;
        self.end_episode(key, at, false, decisions);
    }

    /// The hot path: the alert is known and goes on as before.
    pub(super) fn note_repeat(
        &mut self,
        key: AlertKey,
        event: &AlertEvent<'_>,
        decisions: &mut Decisions,
    ) {
        self.count_repeat(key, decisions);
        if let Some(breach) = event.breach {
            self.note_worse(key, breach, decisions);
        }
    }

    fn count_repeat(&mut self, key: AlertKey, decisions: &mut Decisions) {
        self.stats.repeats += 1;
        let Some(alert) = self.alerts.get(key) else {
            return;
        };
        let (episode, place) = (alert.episode(), alert.place);
        decisions.push(Decision::Repeated { alert: episode });
        if let Place::Member(incident, _) = place
            && let Some(incident) = self.incidents.get_mut(incident)
        {
            incident.events += 1;
            incident.repeats += 1;
        }
    }

    /// Only the worst value ever seen of an alert counts.
    fn note_worse(&mut self, key: AlertKey, breach: Breach, decisions: &mut Decisions) {
        let place = self.alerts.get(key).map(|alert| alert.place);
        if let Some(Place::Member(incident, _)) = place {
            self.renew(incident, decisions);
        }
        let Some(alert) = self.alerts.get_mut(key) else {
            return;
        };
        let Place::Member(incident, member) = alert.place else {
            return;
        };
        let subject = alert.subject;
        let (ratio, excess) = (ratio(breach, subject.kind), excess(breach, subject.kind));
        // Strength grows with the ratio: most repeats need no logarithm.
        if ratio <= alert.ratio && excess <= alert.excess {
            return;
        }
        alert.ratio = alert.ratio.max(ratio);
        let (strength, worst) = (alert.strength, alert.excess);
        let seen = self.observation(subject, Some(breach));
        let is_worse = seen.strength > strength || seen.excess > worst;
        if !is_worse {
            return;
        }
        if let Some(alert) = self.alerts.get_mut(key) {
            alert.strength = alert.strength.max(seen.strength);
            alert.excess = if seen.excess > alert.excess { seen.excess } else { alert.excess };
        }
        let onset = self.incidents.get(incident).map_or(self.now, |i| i.newest);
        self.link(&seen);
        self.observe(incident, &seen, member, onset, RerankCause::WorseAlert, decisions);
    }

    pub(super) fn member_fires_again(&mut self, key: IncidentKey, member: u32) {
        if let Some(incident) = self.incidents.get_mut(key) {
            incident.note_firing(member);
        }
    }
}
