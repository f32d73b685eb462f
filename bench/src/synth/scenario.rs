//! A scenario: what happens, what is said of it, and what is true.

use std::collections::{BTreeMap, BTreeSet};

use hypocenter_engine::{Fingerprint, LabelLimits, Labels, Side, Timestamp};

use super::graph::Graph;
use crate::score::data::{Origin, Storm, TrueIncident, TruthRow};

/// When every scenario begins, in milliseconds since the Unix epoch: a Friday morning in 2027.
pub(super) const EPOCH_MS: i64 = 1_800_000_000_000;

/// One alert rule on one entity: everything that does not change from firing to firing.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Alert {
    pub(super) entity: usize,
    /// Sorted by name.
    pub(super) labels: Vec<(String, String)>,
    pub(super) threshold: f64,
    pub(super) side: Side,
}

impl Alert {
    /// Its identity, which a replica label would not change.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let mut pairs = self.pairs();
        let labels = Labels::canonical(&mut pairs, &LabelLimits::default());
        labels.expect("generated labels are few and short").fingerprint()
    }

    pub(super) fn pairs(&self) -> Vec<(&str, &str)> {
        self.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}

/// One firing of one alert. Times are milliseconds from the scenario's beginning.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Instance {
    pub(super) alert: usize,
    pub(super) starts: i64,
    pub(super) ends: i64,
    /// The worst value of the metric while it fires.
    pub(super) worst: f64,
    pub(super) origin: Origin,
}

/// One message about one firing, as it arrives.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Event {
    pub(super) at: i64,
    pub(super) instance: usize,
    pub(super) resolved: bool,
    pub(super) value: f64,
}

/// A drawn scenario.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    /// Kind and seed.
    pub(super) name: String,
    pub(super) graph: Graph,
    /// The graph as it is from a moment on, if it changes on the way.
    pub(super) changed_graph: Option<(i64, Graph)>,
    pub(super) alerts: Vec<Alert>,
    pub(super) by_labels: BTreeMap<Vec<(String, String)>, usize>,
    pub(super) instances: Vec<Instance>,
    /// In order of arrival.
    pub(super) events: Vec<Event>,
    /// The same as they would have arrived without delay, if some are late.
    pub(super) in_order: Option<Vec<Event>>,
    /// The causes of each fault, by number.
    pub(super) causes: Vec<BTreeSet<usize>>,
    /// What was put in to mislead, by name.
    pub(super) decoys: Vec<&'static str>,
}

impl Scenario {
    /// Its name, which is also that of its folder.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many messages it has.
    #[must_use]
    pub fn events(&self) -> usize {
        self.events.len()
    }

    /// Adds a fault; its number.
    pub(super) fn fault(&mut self, causes: impl IntoIterator<Item = usize>) -> usize {
        self.causes.push(causes.into_iter().collect());
        self.causes.len() - 1
    }

    /// The alert with these labels, which is added when it is new.
    pub(super) fn alert(&mut self, alert: Alert) -> usize {
        let next = self.alerts.len();
        let at = *self.by_labels.entry(alert.labels.clone()).or_insert(next);
        if at == next {
            self.alerts.push(alert);
        }
        at
    }

    /// Adds a firing; its number.
    pub(super) fn fires(&mut self, instance: Instance) -> usize {
        self.instances.push(instance);
        self.instances.len() - 1
    }

    /// Alert instances that belong to a fault.
    pub(super) fn members_of(&self, fault: usize) -> impl Iterator<Item = usize> {
        let is_member = move |instance: &Instance| instance.origin == Origin::Incident(fault);
        (0..self.instances.len()).filter(move |&at| is_member(&self.instances[at]))
    }

    /// The entity of an alert instance.
    pub(super) fn entity_of(&self, instance: usize) -> usize {
        self.alerts[self.instances[instance].alert].entity
    }

    /// What the scorer needs to know of it.
    #[must_use]
    pub fn truth(&self) -> Storm {
        let fingerprints: Vec<String> =
            self.alerts.iter().map(|alert| alert.fingerprint().to_string()).collect();
        let row = |instance: &Instance| TruthRow {
            fingerprint: fingerprints[instance.alert].clone(),
            starts_at: text(instance.starts),
            at_ms: EPOCH_MS + instance.starts,
            service: self.graph.names[self.alerts[instance.alert].entity].clone(),
            origin: instance.origin,
        };
        let incident = |(number, causes): (usize, &BTreeSet<usize>)| TrueIncident {
            id: fault_name(number),
            system: None,
            root_causes: causes.iter().map(|&cause| self.graph.names[cause].clone()).collect(),
        };
        Storm {
            name: self.name.clone(),
            alerts: Vec::new(),
            topology: Vec::new(),
            truth: self.instances.iter().map(row).collect(),
            incidents: self.causes.iter().enumerate().map(incident).collect(),
        }
    }
}

/// What a fault is called in the truth.
pub(super) fn fault_name(number: usize) -> String {
    format!("fault-{number}")
}

/// The point in time so many milliseconds after the beginning.
pub(super) fn instant(ms: i64) -> Timestamp {
    Timestamp::from_millis(EPOCH_MS + ms)
}

/// The same as RFC 3339.
pub(super) fn text(ms: i64) -> String {
    hypocenter::record::rfc3339(instant(ms))
}

/// Seconds as milliseconds.
pub(super) fn seconds(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

/// Minutes as milliseconds.
pub(super) fn minutes(minutes: f64) -> i64 {
    seconds(minutes * 60.0)
}
