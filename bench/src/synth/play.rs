//! The engine over a scenario, in this process.

use std::collections::BTreeMap;

use hypocenter::outcome::{Outcome, Place};
use hypocenter_engine::{
    AlertEvent, Breach, Decision, Decisions, Engine, Episode, HashSeed, LabelLimits, Labels,
    Policy, Progress, Seq, Side, Span, Status, Timestamp,
};

use super::scenario::{Event, Scenario, instant, text};
use crate::score::predictions::MemberLine;

/// How long a firing message promises to hold: Prometheus says four times its repeat interval.
const HOLDS_MS: i64 = 240_000;

/// What the engine made of a scenario: where each alert instance ended up, and which candidate was
/// named, in the order of the scenario's instances.
///
/// `None` when the graph changes on the way: an engine keeps the graph that it was made with.
#[must_use]
pub fn play(scenario: &Scenario, policy: &Policy) -> Option<Vec<MemberLine>> {
    scenario.changed_graph.is_none().then(|| play_as(scenario, &scenario.events, policy))
}

/// The same with other messages about the same alerts.
pub(super) fn play_as(scenario: &Scenario, events: &[Event], policy: &Policy) -> Vec<MemberLine> {
    let mut run = Run {
        engine: Engine::new(policy.clone(), scenario.graph.topology(), "synth/0", HashSeed(0)),
        decisions: Decisions::new(),
        outcome: Outcome::default(),
    };
    for (seq, event) in (1..).zip(events) {
        run.advance(instant(event.at));
        run.apply(Seq(seq), scenario, event);
    }
    run.lines(scenario)
}

struct Run {
    engine: Engine,
    decisions: Decisions,
    outcome: Outcome,
}

impl Run {
    fn advance(&mut self, now: Timestamp) {
        loop {
            self.decisions.clear();
            let progress = self.engine.advance(now, &mut self.decisions);
            self.note();
            if progress == Progress::Done {
                break;
            }
        }
    }

    fn apply(&mut self, seq: Seq, scenario: &Scenario, event: &Event) {
        let instance = &scenario.instances[event.instance];
        let alert = &scenario.alerts[instance.alert];
        let mut pairs = alert.pairs();
        let labels = Labels::canonical(&mut pairs, &LabelLimits::default())
            .expect("generated labels are few and short");
        let (threshold, side) = (alert.threshold, alert.side);
        let event_of_alert = AlertEvent {
            labels,
            starts_at: Some(instant(instance.starts)),
            ends_at: Some(instant(ends_at(scenario, event))),
            held: Span::ZERO,
            status: Some(if event.resolved { Status::Resolved } else { Status::Firing }),
            breach: Some(Breach { value: event.value, threshold, side }),
        };
        self.decisions.clear();
        self.engine.apply(seq, &event_of_alert, instant(event.at), &mut self.decisions);
        self.note();
    }

    fn note(&mut self) {
        for decision in self.decisions.as_slice() {
            self.outcome.decided(decision);
            if let &Decision::Published { incident, .. } = decision {
                self.outcome.published(&self.engine, incident);
            }
        }
    }

    fn lines(&self, scenario: &Scenario) -> Vec<MemberLine> {
        let places: BTreeMap<Episode, Place> = self.outcome.places().collect();
        let fingerprints: Vec<_> = scenario.alerts.iter().map(|a| a.fingerprint()).collect();
        let lines = scenario.instances.iter().map(|instance| {
            let fingerprint = fingerprints[instance.alert];
            let episode = Episode { fingerprint, starts_at: instant(instance.starts) };
            let incident = match places.get(&episode) {
                Some(&Place::Incident(incident)) => Some(incident),
                Some(Place::Suppressed(_)) | None => None,
            };
            let said = incident.and_then(|incident| self.outcome.said(incident));
            MemberLine {
                fingerprint: fingerprint.to_string(),
                starts_at: text(instance.starts),
                incident: incident.map(|incident| incident.to_string()),
                root: said.map(|said| said.root.clone()),
                confidence: said.map(|said| said.confidence),
            }
        });
        lines.collect()
    }
}

/// `endsAt` of a message: when it ended, or until when it holds.
pub(super) fn ends_at(scenario: &Scenario, event: &Event) -> i64 {
    match event.resolved {
        true => scenario.instances[event.instance].ends,
        false => event.at + HOLDS_MS,
    }
}

/// The sign that a threshold is written with.
pub(super) fn sign(side: Side) -> char {
    match side {
        Side::Above => '>',
        Side::Below => '<',
    }
}
