//! What the pipeline counts.

use hypocenter_engine::{Limit, Stats, Suppressor};

use super::Latency;
use crate::state::{Loads, Progress};

/// Why an alert may be rejected; counted from the start, so that a rate has its first zero.
const REJECTED: &[&str] = &[
    "not_an_object",
    "no_labels",
    "label_type",
    "labels_empty",
    "label_name_empty",
    "label_limit",
    "time",
    "ends_before_start",
    "status",
    "receive_time",
];
/// Why a whole record may be rejected.
const RECORD_REJECTED: &[&str] =
    &["empty", "too_large", "compressed", "encoding", "too_deep", "json", "shape"];
/// Why an accepted event may be left out of correlation.
const SUPPRESSED: &[&str] = &["flapping", "chronic", "meta", "overflow", OWN];
/// The reason of those that are about alerts of a Hypocenter.
pub const OWN: &str = "own";

/// Counters by the value of one label. Values are fixed words, never text from outside.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ByLabel(Vec<(&'static str, u64)>);

impl ByLabel {
    /// Counters that start at zero.
    #[must_use]
    pub fn new(values: &[&'static str]) -> Self {
        Self(values.iter().map(|value| (*value, 0)).collect())
    }

    /// Sets the number of a label value.
    pub fn set(&mut self, value: &'static str, number: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == value) {
            Some((_, count)) => *count = number,
            None => self.0.push((value, number)),
        }
    }

    /// Adds to one of them; a new value is added to the list.
    pub fn add(&mut self, value: &'static str, number: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == value) {
            Some((_, count)) => *count += number,
            None => self.0.push((value, number)),
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.0.iter().copied()
    }
}

/// Everything the pipeline counts. Plain numbers: it owns them and publishes copies.
#[derive(Clone, PartialEq, Debug)]
pub struct Snapshot {
    /// Input records read.
    pub records: u64,
    /// Input records rejected as a whole, by reason.
    pub records_rejected: ByLabel,
    /// Records handed to the dead-letter topic.
    pub dead_letters: u64,
    /// Alert events read and applied; all below but the rejected ones are among them.
    pub events_accepted: u64,
    /// Alert events that said again what was known.
    pub events_repeated: u64,
    /// Alert events rejected, by reason.
    pub events_rejected: ByLabel,
    /// Alert events accepted but not correlated, by reason.
    pub events_suppressed: ByLabel,
    /// Alert events shed, by the limit that stood in the way.
    pub events_shed: ByLabel,
    /// Incidents opened.
    pub incidents_opened: u64,
    /// Incidents that ended in another one.
    pub incidents_merged: u64,
    /// Incidents resolved.
    pub incidents_resolved: u64,
    /// Changes of an incident's candidate.
    pub incidents_reranked: u64,
    /// Events whose log time lay before one already passed.
    pub clock_clamped: u64,
    /// Incidents open now.
    pub incidents_open: u64,
    /// Alerts remembered now.
    pub alerts_live: u64,
    /// Whether some source of the graph has not answered for long.
    pub topology_stale: bool,
    /// How snapshots turned out at the start; `None` where none are kept.
    pub snapshot_loads: Option<Loads>,
    /// Decision latency of every event.
    pub latency: Latency,
    /// The input's shards.
    pub shards: Vec<ShardSnapshot>,
}

impl Default for Snapshot {
    fn default() -> Self {
        let limits = [Limit::Alerts, Limit::Incidents, Limit::Members, Limit::Duration];
        Self {
            records: 0,
            records_rejected: ByLabel::new(RECORD_REJECTED),
            dead_letters: 0,
            events_accepted: 0,
            events_repeated: 0,
            events_rejected: ByLabel::new(REJECTED),
            events_suppressed: ByLabel::new(SUPPRESSED),
            events_shed: ByLabel::new(&limits.map(Limit::name)),
            incidents_opened: 0,
            incidents_merged: 0,
            incidents_resolved: 0,
            incidents_reranked: 0,
            clock_clamped: 0,
            incidents_open: 0,
            alerts_live: 0,
            topology_stale: false,
            snapshot_loads: None,
            latency: Latency::default(),
            shards: Vec::new(),
        }
    }
}

impl Snapshot {
    /// Takes over the engines' counters.
    pub fn take(&mut self, stats: &Stats) {
        self.events_accepted = stats.events;
        self.events_repeated = stats.repeats;
        for by in Suppressor::ALL {
            self.events_suppressed.set(by.name(), stats.suppressed_by(by));
        }
        self.events_shed.set(Limit::Alerts.name(), stats.shed);
        self.incidents_opened = stats.opened;
        self.incidents_merged = stats.merged;
        self.incidents_resolved = stats.resolved;
        self.incidents_reranked = stats.reranked;
        self.clock_clamped = stats.clock_clamped;
    }

    /// Counts something that could not be read: a record as a whole, or one alert of it.
    pub fn reject(&mut self, class: &'static str) {
        if RECORD_REJECTED.contains(&class) {
            self.records_rejected.add(class, 1);
        } else {
            self.events_rejected.add(class, 1);
        }
    }
}

/// How far one shard has been read.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ShardSnapshot {
    /// Topic or file.
    pub input: String,
    /// Partition.
    pub partition: u32,
    /// Position of the next record to read.
    pub position: u64,
    /// Position up to which outputs are acknowledged and committed.
    pub committed: u64,
    /// Log time of the last record, in seconds since 1970.
    pub log_time: Option<f64>,
    /// How far snapshots have come; `None` where none are kept.
    pub snapshots: Option<Progress>,
}

/// What changes only when the configuration is read again.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Info {
    /// Hash of the policy.
    pub policy_hash: u64,
    /// Hash of the topology.
    pub topology_version: u64,
    /// Entities in the topology.
    pub topology_entities: u64,
    /// Dependencies in the topology.
    pub topology_dependencies: u64,
    /// When the process started, in seconds since 1970.
    pub started: u64,
}
