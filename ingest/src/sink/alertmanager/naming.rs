//! The labels of the alerts that Hypocenter posts. They are identity: none of them may change as
//! long as the incident, its candidate and its severity stay the same.

use hypocenter_engine::AlertEvent;
use regex::Regex;

use super::incident::Incident;
use super::table::Labels;
use crate::config::AlertmanagerOutput;

/// The label that marks our own alerts: what has it is never correlated.
pub const OWN_LABEL: &str = "generated_by";
/// Its value.
pub const OWN_VALUE: &str = "hypocenter";

/// How alerts are named.
#[derive(Clone, Debug)]
pub struct Naming {
    alertname: String,
    /// The alert for each affected entity; `None`: there is none.
    member_alertname: Option<String>,
    members_max: usize,
    /// Incidents with fewer alerts are not told of.
    pub(super) alerts_min: usize,
    tenant_label: Option<String>,
    /// Labels of every alert.
    labels: Labels,
    /// Labels that are parts of an entity's name, by named groups; the first match counts.
    entity_labels: Vec<Regex>,
}

impl Naming {
    /// As the configuration says.
    #[must_use]
    pub fn new(output: &AlertmanagerOutput, tenant_label: Option<&str>) -> Self {
        Self {
            alertname: output.alertname.clone(),
            member_alertname: output.members.then(|| output.member_alertname.clone()),
            members_max: output.members_max,
            alerts_min: output.alerts_min,
            tenant_label: tenant_label.map(str::to_owned),
            labels: output.labels.clone(),
            entity_labels: output.entity_labels.iter().map(|pattern| pattern.0.clone()).collect(),
        }
    }

    /// The labels of the incident's alert.
    pub(super) fn root_labels(&self, incident: &Incident, severity: &str) -> Labels {
        let mut labels = self.labels_of(incident, &incident.root_cause.candidate.entity);
        labels.insert("alertname".to_owned(), self.alertname.clone());
        labels.insert("severity".to_owned(), severity.to_owned());
        labels
    }

    /// The labels of the alerts for entities that are affected and are not the candidate. None
    /// while the candidate is a guess: nothing may be inhibited for a guess. `None` when there is
    /// no room for all of them.
    pub(super) fn member_labels(&self, incident: &Incident, room: usize) -> Option<Vec<Labels>> {
        let Some(alertname) = &self.member_alertname else {
            return Some(Vec::new());
        };
        if incident.root_cause.low_confidence {
            return Some(Vec::new());
        }
        if incident.impact.affected.len().min(self.members_max) > room {
            return None;
        }
        let root = self.labels_of(incident, &incident.root_cause.candidate.entity);
        let labels_of = |entity: &String| {
            let mut labels = self.labels_of(incident, entity);
            // An inhibit rule compares these labels: where they are the root's, so is the alert.
            let differs = |(name, value): (&String, &String)| {
                name != "entity" && root.get(name) != Some(value)
            };
            if !labels.iter().any(differs) {
                return None;
            }
            labels.insert("alertname".to_owned(), alertname.clone());
            labels.insert("severity".to_owned(), "none".to_owned());
            Some(labels)
        };
        let affected = incident.impact.affected.iter();
        Some(affected.filter_map(labels_of).take(self.members_max).collect())
    }

    fn labels_of(&self, incident: &Incident, entity: &str) -> Labels {
        let mut labels = Labels::new();
        let patterns = &self.entity_labels;
        if let Some((pattern, parts)) = patterns.iter().find_map(|p| Some((p, p.captures(entity)?)))
        {
            for name in pattern.capture_names().flatten() {
                if let Some(part) = parts.name(name).filter(|part| !part.is_empty()) {
                    labels.insert(name.to_owned(), part.as_str().to_owned());
                }
            }
        }
        labels.extend(self.labels.clone());
        if let (Some(label), false) = (&self.tenant_label, incident.tenant.is_empty()) {
            labels.insert(label.clone(), incident.tenant.clone());
        }
        labels.insert("entity".to_owned(), entity.to_owned());
        labels.insert("incident_id".to_owned(), incident.incident.clone());
        labels.insert(OWN_LABEL.to_owned(), OWN_VALUE.to_owned());
        labels
    }
}

/// Whether an event is about an alert that a Hypocenter made.
#[must_use]
pub fn is_own(event: &AlertEvent<'_>) -> bool {
    event.labels.get(OWN_LABEL) == Some(OWN_VALUE)
}
