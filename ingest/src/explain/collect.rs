//! What a traced replay says, kept by alert and by incident.

use std::collections::BTreeMap;

use hypocenter_engine::{Decision, Engine, Fingerprint, IncidentId, Placement, Timestamp, Weighed};
use serde_json::Value;

use crate::record::{IncidentRecord, rfc3339};
use crate::shard::{Listener, Rejection, Stepped, Version};
use crate::wire::{Decoder, Options};

use super::chain::{Merge, Moment, Step, Weighing};

/// Rejections that are kept to be shown.
const REJECTIONS_SHOWN: usize = 10;

/// Listens to a replay.
pub struct Collector {
    decoder: Decoder,
    replica: Vec<String>,
    now: Timestamp,
    position: u64,
    input: String,
    /// Placements of this step whose decision is still to come.
    pending: Vec<Placement>,
    pub(super) alerts: BTreeMap<Fingerprint, AlertStory>,
    pub(super) incidents: BTreeMap<IncidentId, IncidentStory>,
    pub(super) merges: Vec<(IncidentId, Merge)>,
    pub(super) comparisons: Vec<(Timestamp, hypocenter_engine::Comparison)>,
    rejections: Vec<String>,
}

/// One alert.
#[derive(Debug, Default)]
pub(super) struct AlertStory {
    pub(super) labels: Vec<(String, String)>,
    pub(super) steps: Vec<Step>,
    pub(super) incidents: Vec<IncidentId>,
}

/// One incident.
#[derive(Debug, Default)]
pub(super) struct IncidentStory {
    pub(super) moments: Vec<Moment>,
    /// Its latest record.
    pub(super) record: Value,
}

impl Collector {
    /// A collector of a replay whose decoder has these options, under a policy that drops these
    /// labels.
    #[must_use]
    pub fn new(options: Options, replica: Vec<String>) -> Self {
        Self {
            decoder: Decoder::new(options),
            replica,
            now: Timestamp::MIN,
            position: 0,
            input: String::new(),
            pending: Vec::new(),
            alerts: BTreeMap::new(),
            incidents: BTreeMap::new(),
            merges: Vec::new(),
            comparisons: Vec::new(),
            rejections: Vec::new(),
        }
    }

    /// Takes note of the labels in a record, which decisions do not carry. Call it before the
    /// record is played.
    pub fn look(&mut self, input: &str, position: u64, payload: &[u8]) {
        let Self { decoder, replica, alerts, .. } = self;
        self.position = position;
        if self.input != input {
            input.clone_into(&mut self.input);
        }
        let outcome = decoder.decode(payload, &mut |decoded| {
            let Ok(decoded) = decoded else { return };
            let labels = decoded.event.labels;
            let story = alerts.entry(labels.fingerprint_without(replica)).or_default();
            if story.labels.is_empty() {
                let own = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
                story.labels = labels.pairs().iter().map(own).collect();
            }
        });
        // What cannot be read is told by the replay itself.
        drop(outcome);
    }

    /// What could not be read, the first of them, each with its place.
    #[must_use]
    pub fn rejections(&self) -> &[String] {
        &self.rejections
    }

    /// How many incidents there were.
    #[must_use]
    pub fn incident_count(&self) -> usize {
        self.incidents.len()
    }

    fn step(&mut self, alert: Fingerprint, what: &'static str) -> &mut Step {
        let (at, position, input) = (rfc3339(self.now), self.position, &self.input);
        let steps = &mut self.alerts.entry(alert).or_default().steps;
        let repeats = |step: &Step| what == "repeated" && step.what == "repeated";
        if !steps.last().is_some_and(repeats) {
            let (first, input) = (at.clone(), input.clone());
            steps.push(Step { what, at: first, input, position, ..Step::default() });
        }
        let at_end = steps.len() - 1;
        let step = &mut steps[at_end];
        step.times += 1;
        step.last = at;
        step.last_position = position;
        step
    }

    fn placed(
        &mut self,
        alert: hypocenter_engine::Episode,
        incident: IncidentId,
        what: &'static str,
    ) {
        let at = self.pending.iter().position(|placement| placement.alert == alert);
        let weighed = at.map(|at| Weighing::of(&self.pending.remove(at)));
        let step = self.step(alert.fingerprint, what);
        step.incident = Some(incident.to_string());
        step.starts_at = Some(rfc3339(alert.starts_at));
        step.weighed = weighed;
        let story = self.alerts.entry(alert.fingerprint).or_default();
        if !story.incidents.contains(&incident) {
            story.incidents.push(incident);
        }
    }
}

impl Listener for Collector {
    fn stepped(&mut self, step: &Stepped<'_>) {
        self.now = step.now;
        self.pending.clear();
        for weighed in step.weighed {
            match weighed {
                Weighed::Placement(placement) => self.pending.push(placement.clone()),
                Weighed::Comparison(comparison) => {
                    self.comparisons.push((step.now, *comparison));
                }
            }
        }
    }

    fn decided(&mut self, decision: &Decision) {
        match *decision {
            Decision::Opened { incident, alert, refused } => {
                self.placed(alert, incident, "opened");
                let step = self.alerts.entry(alert.fingerprint).or_default().steps.last_mut();
                if let Some(step) = step {
                    step.reason = refused.map(|limit| limit.name());
                }
            }
            Decision::Joined { incident, alert } => self.placed(alert, incident, "joined"),
            Decision::Repeated { alert } => drop(self.step(alert.fingerprint, "repeated").times),
            Decision::Resolved { alert, expired } => {
                let what = if expired { "expired" } else { "resolved" };
                self.step(alert.fingerprint, what);
            }
            Decision::ResolvedUnknown { fingerprint } => {
                self.step(fingerprint, "resolved_unknown");
            }
            Decision::Suppressed { alert, by } => {
                let step = self.step(alert.fingerprint, "suppressed");
                step.reason = Some(by.name());
                step.starts_at = Some(rfc3339(alert.starts_at));
            }
            Decision::Merged { incident, into } => {
                let at = rfc3339(self.now);
                let merge = Merge { incident: incident.to_string(), into: into.to_string(), at };
                self.merges.push((incident, merge));
            }
            _ => {}
        }
    }

    fn published(&mut self, engine: &Engine, version: &Version<'_>) {
        let Some(view) = engine.incident(version.incident) else {
            return;
        };
        let record = IncidentRecord::new(engine, &view, version.shard);
        let story = self.incidents.entry(version.incident).or_default();
        story.moments.push(Moment::of(&view, version.position));
        story.record = match serde_json::to_value(&record) {
            Ok(record) => record,
            Err(error) => unreachable!("a record is JSON: {error}"),
        };
    }

    fn rejected(&mut self, rejection: &Rejection<'_>) {
        if self.rejections.len() < REJECTIONS_SHOWN {
            let Rejection { shard, position, class, reason, .. } = rejection;
            self.rejections.push(format!("{}:{position}: {class}: {reason}", shard.input));
        }
    }
}
