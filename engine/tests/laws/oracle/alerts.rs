//! What an alert is, and what an event does to it: E2 to E5.

use hypocenter_engine::{Decision, Engine, Fingerprint, IncidentId, Phase, Status};

use super::formulas::Seen;
use super::{Oracle, millis};
use crate::support::Event;

/// Where an alert's latest episode was put.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Incident(IncidentId),
    Flapping,
    Aside,
}

#[derive(Clone, Debug)]
pub(super) struct Alert {
    pub(super) tenant: String,
    pub(super) seen: Seen,
    pub(super) firing: bool,
    /// While it fires: when it ends by itself. Afterwards: when it ended.
    end: i64,
    /// When it last ended, also while it fires again.
    pub(super) ended: Option<i64>,
    /// Which of the alerts ever heard of it is: one that was forgotten comes as another.
    pub(super) nr: usize,
    /// Whether that end is a guess.
    guessed: bool,
    pub(super) starts: i64,
    /// How long the condition had held by then.
    pub(super) held: i64,
    pub(super) place: Place,
    onsets: Vec<i64>,
    flapping_until: i64,
}

impl Oracle {
    /// When something happens to an alert by the passing of time.
    pub(super) fn due(&self, alert: &Alert) -> Option<i64> {
        let times = &self.model.spec.times;
        if !alert.firing {
            return Some((alert.end + millis(times.flap_window)).max(alert.flapping_until));
        }
        let steady = alert.onsets.last().map(|onset| onset + millis(times.flap_steady));
        let steady = steady.filter(|&at| alert.place == Place::Flapping && at > self.now);
        Some(steady.map_or(alert.end, |at| at.min(alert.end)))
    }

    pub(super) fn alert_due(
        &mut self,
        engine: &Engine,
        name: Fingerprint,
        at: i64,
        said: &[Decision],
    ) {
        let alert = self.alerts[&name].clone();
        if !alert.firing {
            self.alerts.remove(&name);
        } else if alert.end <= at {
            self.end_episode(name, at);
        } else {
            self.assign(engine, name, &alert.seen, said);
        }
    }

    fn end_episode(&mut self, name: Fingerprint, end: i64) {
        let now = self.now;
        let alert = self.alerts.get_mut(&name).expect("known");
        (alert.firing, alert.end, alert.ended) = (false, end, Some(end));
        if let Place::Incident(id) = alert.place {
            let incident = self.incidents.get_mut(&id).expect("known");
            incident.members.insert(name, false);
            incident.quiet_since = incident.quiet_since.max(now);
        }
    }

    fn lives(&self, id: IncidentId) -> bool {
        !self.incidents[&id].phase.is_final()
    }

    pub(super) fn apply(
        &mut self,
        engine: &Engine,
        name: Fingerprint,
        event: &Event,
        said: &[Decision],
    ) {
        let now = self.now;
        let resolved = match event.status {
            Some(status) => status == Status::Resolved,
            None => event.ends.is_some_and(|end| end <= now),
        };
        if resolved {
            self.resolve(name, event, said);
        } else {
            self.fire(engine, name, event, said);
        }
        self.publish();
    }

    fn resolve(&mut self, name: Fingerprint, event: &Event, said: &[Decision]) {
        let now = self.now;
        let Some(alert) = self.alerts.get(&name) else {
            assert_eq!(said, [Decision::ResolvedUnknown { fingerprint: name }]);
            return;
        };
        let of_before = event.ends.is_some_and(|end| end < alert.starts);
        if !alert.firing || of_before {
            assert!(matches!(said, [Decision::Repeated { .. }]), "{said:?}");
            return;
        }
        assert!(matches!(said, [Decision::Resolved { expired: false, .. }]), "{said:?}");
        self.end_episode(name, event.ends.map_or(now, |end| end.min(now)));
    }

    fn fire(&mut self, engine: &Engine, name: Fingerprint, event: &Event, said: &[Decision]) {
        let (now, times) = (self.now, self.model.spec.times);
        let (end, guessed) = match event.ends {
            Some(end) if end > now => (end, false),
            _ => (now + millis(times.resolve_timeout), true),
        };
        let starts = event.starts.unwrap_or(now);
        let seen = self.model.seen(event);
        let Some(alert) = self.alerts.get(&name) else {
            let alert = Alert {
                tenant: event.label("team").to_owned(),
                seen: seen.clone(),
                firing: true,
                end,
                ended: None,
                nr: self.heard,
                guessed,
                starts,
                held: event.held,
                place: Place::Aside,
                onsets: Vec::new(),
                flapping_until: i64::MIN,
            };
            self.alerts.insert(name, alert);
            self.heard += 1;
            let chronic = now - starts > millis(times.chronic_after);
            self.begin(engine, name, &seen, chronic, said);
            return;
        };
        let anew = !alert.firing && starts > alert.end && starts != alert.starts;
        let over = !alert.firing && matches!(alert.place, Place::Incident(id) if !self.lives(id));
        let alert = self.alerts.get_mut(&name).expect("known");
        if anew || over {
            (alert.firing, alert.end, alert.guessed) = (true, end, guessed);
            (alert.starts, alert.held, alert.seen) = (starts, event.held, seen.clone());
            self.begin(engine, name, &seen, false, said);
            return;
        }
        if !alert.firing || alert.guessed || end > alert.end {
            (alert.end, alert.guessed) = (end, guessed);
        }
        alert.firing = true;
        let (place, earlier, held) = (alert.place, starts < alert.starts, alert.held);
        assert!(matches!(said.first(), Some(Decision::Repeated { .. })), "{said:?}");
        let Place::Incident(id) = place else { return };
        let onset = self.onset(starts) - held;
        let incident = self.incidents.get_mut(&id).expect("known");
        incident.members.insert(name, true);
        if earlier {
            incident.onset = incident.onset.min(onset);
        }
        if event.breach.is_some() {
            self.worse(engine, name, &seen, id);
        }
    }

    /// Only the worst value of an episode counts.
    fn worse(&mut self, engine: &Engine, name: Fingerprint, seen: &Seen, id: IncidentId) {
        let alert = self.alerts.get_mut(&name).expect("known");
        let known = &mut alert.seen;
        if seen.strength > known.strength || seen.excess > known.excess {
            known.strength = known.strength.max(seen.strength);
            known.excess = if seen.excess > known.excess { seen.excess } else { known.excess };
            self.observe(engine, id, seen, None);
        }
    }

    /// An announced start as an onset.
    pub(super) fn onset(&self, starts: i64) -> i64 {
        starts.clamp(self.now - millis(self.model.spec.times.lateness), self.now)
    }

    /// A new episode begins.
    fn begin(
        &mut self,
        engine: &Engine,
        name: Fingerprint,
        seen: &Seen,
        chronic: bool,
        said: &[Decision],
    ) {
        let (now, times) = (self.now, self.model.spec.times);
        let onsets = usize::from(self.model.spec.grouping.flap_onsets);
        let alert = self.alerts.get_mut(&name).expect("known");
        alert.onsets.push(now);
        alert.onsets.retain(|&at| now - at <= millis(times.flap_window));
        if alert.onsets.len() >= onsets {
            alert.flapping_until = alert.flapping_until.max(now + millis(times.flap_hold));
        }
        let flapping = alert.flapping_until > now;
        if flapping {
            alert.flapping_until = alert.flapping_until.max(now + millis(times.flap_hold) / 2);
        }
        let meta = seen.kind == hypocenter_engine::Kind::Meta;
        if meta || chronic || flapping {
            alert.place = if meta || chronic { Place::Aside } else { Place::Flapping };
            assert!(matches!(said, [Decision::Suppressed { .. }]), "{said:?}");
            return;
        }
        self.assign(engine, name, seen, said);
    }

    /// The incident of an alert, if it is not one that was merged.
    pub(super) fn home(&self, name: Fingerprint) -> Option<IncidentId> {
        match self.alerts[&name].place {
            Place::Incident(id) if self.incidents[&id].phase != Phase::Merged => Some(id),
            _ => None,
        }
    }
}
