//! The engine over a scenario, in this process.

use std::collections::BTreeMap;

use hypocenter_engine::{
    AlertEvent, Breach, Decision, Decisions, Engine, Episode, HashSeed, IncidentId, LabelLimits,
    Labels, Policy, Progress, Seq, Side, Span, Status,
};

use super::scenario::{Alert, Scenario, instant, text};
use crate::score::predictions::MemberLine;

/// How long a firing message promises to hold: Prometheus says four times its repeat interval.
pub(super) const HOLDS_MS: i64 = 240_000;

/// What the engine made of a scenario.
#[derive(Debug)]
pub struct Outcome {
    /// Where each alert instance ended up, and which candidate was named, in the order of the
    /// scenario's instances.
    pub lines: Vec<MemberLine>,
    /// Alerts whose topology changed under them and could not be told so.
    pub swaps_left_out: usize,
}

/// Where alerts ended up, by what was decided.
#[derive(Default)]
struct Book {
    places: BTreeMap<Episode, Option<IncidentId>>,
    merged: BTreeMap<IncidentId, IncidentId>,
    candidates: BTreeMap<IncidentId, String>,
}

/// Plays all events at their times of arrival, and the time up to the last of them.
#[must_use]
pub fn play(scenario: &Scenario, policy: &Policy) -> Outcome {
    let mut engine = Engine::new(policy.clone(), scenario.graph.topology(), "synth/0", HashSeed(0));
    let mut book = Book::default();
    let mut out = Decisions::new();
    for (seq, event) in (1..).zip(&scenario.events) {
        let instance = &scenario.instances[event.instance];
        let alert = &scenario.alerts[instance.alert];
        let now = instant(event.at);
        loop {
            out.clear();
            let progress = engine.advance(now, &mut out);
            book.note(&engine, &out);
            if progress == Progress::Done {
                break;
            }
        }
        let mut pairs = alert.pairs();
        let labels = Labels::canonical(&mut pairs, &LabelLimits::default())
            .expect("generated labels are few and short");
        let ends = if event.resolved { instance.ends } else { event.at + HOLDS_MS };
        out.clear();
        engine.apply(
            Seq(seq),
            &AlertEvent {
                labels,
                starts_at: Some(instant(instance.starts)),
                ends_at: Some(instant(ends)),
                held: Span::ZERO,
                status: Some(if event.resolved { Status::Resolved } else { Status::Firing }),
                breach: Some(Breach {
                    value: event.value,
                    threshold: alert.threshold,
                    side: alert.side,
                }),
            },
            now,
            &mut out,
        );
        book.note(&engine, &out);
    }
    Outcome {
        lines: book.lines(scenario),
        swaps_left_out: usize::from(scenario.changed_graph.is_some()),
    }
}

impl Book {
    fn note(&mut self, engine: &Engine, decisions: &Decisions) {
        for &decision in decisions.as_slice() {
            match decision {
                Decision::Opened { incident, alert, .. } | Decision::Joined { incident, alert } => {
                    self.places.insert(alert, Some(incident));
                }
                Decision::Suppressed { alert, .. } => {
                    self.places.insert(alert, None);
                }
                Decision::Merged { incident, into } => {
                    self.merged.insert(incident, into);
                }
                Decision::Published { incident, .. } => {
                    let view = engine.incident(incident);
                    if let Some(root) = view.and_then(|view| view.root_cause()) {
                        self.candidates.insert(incident, root.entity.to_owned());
                    }
                }
                _ => {}
            }
        }
    }

    fn lines(&self, scenario: &Scenario) -> Vec<MemberLine> {
        let fingerprints: Vec<_> = scenario.alerts.iter().map(Alert::fingerprint).collect();
        let line = |instance: &super::scenario::Instance| {
            let fingerprint = fingerprints[instance.alert];
            let episode = Episode { fingerprint, starts_at: instant(instance.starts) };
            let incident = self.places.get(&episode).copied().flatten().map(|id| self.survivor(id));
            MemberLine {
                fingerprint: fingerprint.to_string(),
                starts_at: text(instance.starts),
                incident: incident.map(|id| id.to_string()),
                root: incident.and_then(|id| self.candidates.get(&id).cloned()),
                confidence: None,
            }
        };
        scenario.instances.iter().map(line).collect()
    }

    /// The incident that this one went into in the end.
    fn survivor(&self, mut id: IncidentId) -> IncidentId {
        while let Some(&into) = self.merged.get(&id) {
            id = into;
        }
        id
    }
}

/// The sign that a threshold is written with.
pub(super) fn sign(side: Side) -> char {
    match side {
        Side::Above => '>',
        Side::Below => '<',
    }
}
