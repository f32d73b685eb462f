//! What a replay comes to: where every alert went, and what was said last of every incident.

use std::collections::BTreeMap;

use hypocenter_engine::{Decision, Engine, Episode, IncidentId, IncidentView, Phase, Suppressor};

/// Where one firing of an alert ended up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// In this incident, which may have been merged since: see [`Outcome::survivor`].
    Incident(IncidentId),
    /// In none.
    Suppressed(Suppressor),
}

/// What was said last of an incident.
#[derive(Clone, PartialEq, Debug)]
pub struct Said {
    /// How many versions were published.
    pub versions: u64,
    /// Where it was in its life.
    pub phase: Phase,
    /// The candidate's entity; empty when there is none.
    pub root: String,
    /// The candidate's confidence, 0 to 1.
    pub confidence: f64,
    /// Whether that is below the policy's threshold.
    pub low_confidence: bool,
}

/// Gathers decisions and versions.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    places: BTreeMap<Episode, Place>,
    merged: BTreeMap<IncidentId, IncidentId>,
    said: BTreeMap<IncidentId, Said>,
}

impl Outcome {
    /// Takes note of a decision.
    pub fn decided(&mut self, decision: &Decision) {
        match *decision {
            Decision::Opened { incident, alert, .. } | Decision::Joined { incident, alert } => {
                self.places.insert(alert, Place::Incident(incident));
            }
            Decision::Suppressed { alert, by } => {
                self.places.insert(alert, Place::Suppressed(by));
            }
            Decision::Merged { incident, into } => {
                self.merged.insert(incident, into);
            }
            _ => {}
        }
    }

    /// Takes note of a version that is due.
    pub fn published(&mut self, engine: &Engine, incident: IncidentId) {
        if let Some(view) = engine.incident(incident) {
            self.said.insert(incident, Said::of(&view));
        }
    }

    /// Where every firing of an alert ended up, by fingerprint and start; merged incidents are
    /// followed.
    pub fn places(&self) -> impl Iterator<Item = (Episode, Place)> {
        self.places.iter().map(|(&episode, &place)| match place {
            Place::Incident(id) => (episode, Place::Incident(self.survivor(id))),
            suppressed @ Place::Suppressed(_) => (episode, suppressed),
        })
    }

    /// What was said last of an incident.
    #[must_use]
    pub fn said(&self, incident: IncidentId) -> Option<&Said> {
        self.said.get(&incident)
    }

    /// The incident that this one went into in the end; itself, when it was not merged.
    #[must_use]
    pub fn survivor(&self, mut incident: IncidentId) -> IncidentId {
        while let Some(&into) = self.merged.get(&incident) {
            incident = into;
        }
        incident
    }
}

impl Said {
    fn of(view: &IncidentView<'_>) -> Self {
        let root = view.root_cause();
        Self {
            versions: view.version(),
            phase: view.phase(),
            root: root.map_or(String::new(), |root| root.entity.to_owned()),
            confidence: root.map_or(0.0, |root| root.confidence.to_f64()),
            low_confidence: view.is_low_confidence(),
        }
    }
}
