//! What the sink reads out of an incident record, and what it makes of it for people.

use hypocenter_engine::Timestamp;
use serde::Deserialize;

use crate::wire::time;

/// The fields of a record that matter here; `docs/incident.schema.json` describes all.
#[derive(Deserialize)]
pub(super) struct Incident {
    pub(super) incident: String,
    pub(super) phase: String,
    pub(super) tenant: String,
    pub(super) severity: String,
    pub(super) onset: String,
    pub(super) opened: String,
    pub(super) updated: String,
    pub(super) root_cause: RootCause,
    pub(super) runner_up: Option<Candidate>,
    pub(super) evidence: Vec<Term>,
    pub(super) why_not: Vec<Lost>,
    pub(super) impact: Impact,
    pub(super) members: Members,
    pub(super) dedup: Dedup,
    pub(super) degraded: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct RootCause {
    #[serde(flatten)]
    pub(super) candidate: Candidate,
    pub(super) low_confidence: bool,
}

#[derive(Deserialize)]
pub(super) struct Candidate {
    pub(super) entity: String,
    pub(super) kind: Option<String>,
    pub(super) alertname: Option<String>,
    pub(super) confidence: f64,
}

#[derive(Deserialize)]
pub(super) struct Term {
    pub(super) text: String,
}

#[derive(Deserialize)]
pub(super) struct Lost {
    pub(super) entity: String,
    pub(super) text: String,
}

#[derive(Deserialize)]
pub(super) struct Impact {
    pub(super) entities: usize,
    pub(super) affected: Vec<String>,
    pub(super) top_most: Vec<String>,
    pub(super) top_most_count: usize,
}

#[derive(Deserialize)]
pub(super) struct Members {
    pub(super) count: usize,
    pub(super) firing: usize,
}

#[derive(Deserialize)]
pub(super) struct Dedup {
    pub(super) events: u64,
    pub(super) repeats: u64,
}

/// Reasons that are given in a description.
const REASONS: usize = 3;

impl Incident {
    /// Whether no further version will come.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.phase.as_str(), "resolved" | "merged")
    }

    /// When it was opened, and when it got this version.
    pub(super) fn times(&self) -> Option<(Timestamp, Timestamp)> {
        let read = |text| time::parse(text).ok().flatten();
        Some((read(&self.opened)?, read(&self.updated)?))
    }

    /// Its candidate, and all that is affected.
    pub(super) fn entities(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.root_cause.candidate.entity).chain(&self.impact.affected)
    }

    /// The annotations of the incident's alert: names and texts.
    pub(super) fn annotations(&self) -> Vec<(&'static str, String)> {
        let candidate = &self.root_cause.candidate;
        let mut list = vec![
            ("summary", self.summary()),
            ("description", self.description()),
            ("candidate", candidate.entity.clone()),
            ("confidence", format!("{:.2}", candidate.confidence)),
            ("phase", self.phase.clone()),
            ("onset", self.onset.clone()),
            ("alerts", self.members.count.to_string()),
            ("entities", self.impact.entities.to_string()),
            ("affected", self.impact.affected.join(", ")),
        ];
        if let Some(runner_up) = &self.runner_up {
            list.push(("runner_up", runner_up.entity.clone()));
        }
        list
    }

    fn summary(&self) -> String {
        let entity = &self.root_cause.candidate.entity;
        let size = format!(
            "{} on {}",
            counted(self.members.count, "alert", "alerts"),
            counted(self.impact.entities, "entity", "entities")
        );
        if self.root_cause.low_confidence {
            format!("No clear root cause for {size}; the best guess is {entity}")
        } else {
            format!("{entity} is the likely root cause of {size}")
        }
    }

    /// What somebody woken at night wants to know, in that order, a line each.
    fn description(&self) -> String {
        let RootCause { candidate, low_confidence } = &self.root_cause;
        let shown = match (&candidate.alertname, &candidate.kind) {
            (Some(alert), Some(kind)) if kind != "other" => format!("shown by {alert} ({kind})"),
            (Some(alert), _) => format!("shown by {alert}"),
            (None, _) => "which has no alert of its own".to_owned(),
        };
        let low = if *low_confidence { ", which is low: look further than here" } else { "" };
        let percent = candidate.confidence * 100.0;
        let mut lines = vec![format!(
            "Candidate: {}, {shown}. Confidence {percent:.0} %{low}.",
            candidate.entity
        )];
        let reasons: Vec<&str> =
            self.evidence.iter().take(REASONS).map(|term| term.text.as_str()).collect();
        if !reasons.is_empty() {
            lines.push(format!("Why: {}.", reasons.join("; ")));
        }
        if let Some(runner_up) = &self.runner_up {
            let percent = runner_up.confidence * 100.0;
            let lost = self.why_not.iter().find(|lost| lost.entity == runner_up.entity);
            let why = lost.map(|lost| format!(": {}", lost.text)).unwrap_or_default();
            lines.push(format!("Runner-up: {} ({percent:.0} %){why}.", runner_up.entity));
        }
        let impact = &self.impact;
        if !impact.top_most.is_empty() {
            let more = impact.top_most_count.saturating_sub(impact.top_most.len());
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            lines.push(format!("Felt at: {}{more}.", impact.top_most.join(", ")));
        }
        let Dedup { events, repeats } = self.dedup;
        lines.push(format!(
            "Since {}; {} of {} still fire; {events} events, {repeats} of them repeats.",
            self.onset,
            self.members.firing,
            counted(self.members.count, "alert", "alerts"),
        ));
        if !self.degraded.is_empty() {
            lines.push(format!("Decided without all it takes: {}.", self.degraded.join(", ")));
        }
        lines.join("\n")
    }
}

fn counted(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}
