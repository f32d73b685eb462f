//! Recorded alerts through the same engine, on their own clock, as fast as it goes.

use std::io::{self, Write};

use hdrhistogram::Histogram;
use hypocenter_engine::{Decision, Engine};
use serde::Serialize;

use crate::outcome::{Outcome, Place};
use crate::record::{IncidentRecord, rfc3339};
use crate::shard::{Listener, Rejection, Version};

/// What a replay says of itself when it is done.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Records of incidents written.
    pub records: u64,
    /// Records and single alerts that could not be read.
    pub rejected: u64,
    /// Decision latency of every event, in nanoseconds.
    pub latency: Histogram<u64>,
}

/// Writes records, and remembers where every alert went.
pub struct Player<W> {
    output: W,
    failure: Option<io::Error>,
    first_rejections: Vec<String>,
    outcome: Outcome,
    body: Vec<u8>,
    summary: Summary,
}

/// One alert instance and where it ended up: a line of the `--members` file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct MemberLine {
    /// The alert.
    pub fingerprint: String,
    /// Start of the episode.
    #[serde(rename = "startsAt")]
    pub starts_at: String,
    /// The incident; null when the alert was suppressed.
    pub incident: Option<String>,
    /// Its candidate.
    pub root: Option<String>,
}

/// Rejections that are kept to be shown.
const REJECTIONS_SHOWN: usize = 10;
/// Longest latency that the histogram tells apart: a minute.
const LATENCY_MAX_NANOS: u64 = 60_000_000_000;

/// An empty histogram of latencies: 1 ns to a minute, to three digits.
#[must_use]
pub fn latency_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MAX_NANOS, 3)
        .unwrap_or_else(|_| unreachable!("the bounds are constant and valid"))
}

impl<W: Write> Player<W> {
    /// A player that writes one record a line.
    #[must_use]
    pub fn new(output: W) -> Self {
        Self {
            output,
            failure: None,
            first_rejections: Vec::new(),
            outcome: Outcome::default(),
            body: Vec::new(),
            summary: Summary { records: 0, rejected: 0, latency: latency_histogram() },
        }
    }

    /// Flushes the output.
    ///
    /// # Errors
    /// The first error of the output, if there was one.
    pub fn finish(&mut self) -> io::Result<()> {
        match self.failure.take() {
            Some(error) => Err(error),
            None => self.output.flush(),
        }
    }

    /// Whether the output has failed: nothing more is written.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Counts and latencies.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// What could not be read, the first of them, each with its place.
    #[must_use]
    pub fn rejections(&self) -> &[String] {
        &self.first_rejections
    }

    /// Where every alert instance ended up, by fingerprint and start.
    pub fn members(&self) -> impl Iterator<Item = MemberLine> {
        self.outcome.places().map(|(episode, place)| {
            let incident = match place {
                Place::Incident(id) => Some(id),
                Place::Suppressed(_) => None,
            };
            let said = incident.and_then(|id| self.outcome.said(id));
            MemberLine {
                fingerprint: episode.fingerprint.to_string(),
                starts_at: rfc3339(episode.starts_at),
                incident: incident.map(|id| id.to_string()),
                root: said.map(|said| said.root.clone()),
            }
        })
    }

    /// Where everything went.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }
}

impl<W: Write> Listener for Player<W> {
    fn decided(&mut self, decision: &Decision) {
        self.outcome.decided(decision);
    }

    fn published(&mut self, engine: &Engine, version: &Version<'_>) {
        let Some(view) = engine.incident(version.incident) else {
            return;
        };
        let record = IncidentRecord::new(engine, &view, version.shard).with_rules(version.holds);
        self.outcome.published(engine, version.incident);
        self.body.clear();
        if let Err(error) = serde_json::to_writer(&mut self.body, &record) {
            unreachable!("a record is JSON: {error}");
        }
        self.body.push(b'\n');
        if self.failure.is_none() {
            self.failure = self.output.write_all(&self.body).err();
        }
        self.summary.records += 1;
    }

    fn rejected(&mut self, rejection: &Rejection<'_>) {
        self.summary.rejected += 1;
        if self.first_rejections.len() < REJECTIONS_SHOWN {
            let Rejection { shard, position, class, reason, .. } = rejection;
            let place = &shard.input;
            self.first_rejections.push(format!("{place}:{position}: {class}: {reason}"));
        }
    }

    fn timed(&mut self, nanos: u64) {
        self.summary.latency.saturating_record(nanos);
    }
}
