//! A slow and obvious second engine: every figure computed anew from the list of what was seen,
//! with floating point, from docs/model.md and the policy.
//!
//! Which incident takes an alert, and which incidents become one, depends on what the stream so far
//! has shown to be usual. That memory is not kept here a second time: each such decision of the
//! engine is taken as given when it lies between two bounds, one as if every late alert were by
//! chance and one as if none were. Where nothing comes late the two are one. All that follows from
//! these decisions (members, life, candidates, scores, terms, confidence) is computed anew.
//!
//! It is compared with the engine after each step. Where two answers are equally good within
//! [`NEAR`], it takes the engine's. It says nothing of tables that overflow: worlds are roomy, and
//! a case ends where a root leads to more incidents than the engine keeps in mind.

mod alerts;
mod compare;
mod formulas;
mod incidents;

use std::collections::BTreeMap;

use hypocenter_engine::{
    Decision, Decisions, Engine, Fingerprint, HashSeed, IncidentId, PolicySpec, Progress, Span,
    Timestamp,
};

use proptest::prelude::*;

use crate::harness::law;
use crate::support::Event;
use crate::world::{EPOCH, Graph, World, end, roomy_worlds, storms};

use alerts::Alert;
use formulas::Model;
use incidents::Incident;

/// Figures of the engine are millionths, and sums of some dozens of them.
const NEAR: f64 = 5e-5;

/// The second engine.
struct Oracle {
    model: Model,
    now: i64,
    alerts: BTreeMap<Fingerprint, Alert>,
    incidents: BTreeMap<IncidentId, Incident>,
    opened: usize,
    heard: usize,
    /// How often an alert was alone when its incident was over, and how often it was not.
    habits: BTreeMap<Fingerprint, (u32, u32)>,
    /// Incidents to be published in this step.
    changed: Vec<IncidentId>,
    /// The engine has forgotten by its bounds what this one still knows.
    lost: bool,
}

fn millis(span: Span) -> i64 {
    span.as_nanos() / 1_000_000
}

impl Oracle {
    fn new(spec: PolicySpec, graph: Graph) -> Self {
        Self {
            model: Model { spec, graph },
            now: i64::MIN,
            alerts: BTreeMap::new(),
            incidents: BTreeMap::new(),
            opened: 0,
            heard: 0,
            habits: BTreeMap::new(),
            changed: Vec::new(),
            lost: false,
        }
    }

    /// Gives every incident that changed in this step its next version.
    fn publish(&mut self) {
        self.changed.sort();
        self.changed.dedup();
        for id in self.changed.drain(..) {
            let incident = self.incidents.get_mut(&id).expect("it changed");
            incident.version += 1;
        }
    }

    /// What falls due up to a time, in the order of time.
    fn pass(&mut self, engine: &Engine, to: i64, said: &[Decision]) {
        loop {
            let alerts = self.alerts.iter().filter_map(|(&name, a)| Some((self.due(a)?, Ok(name))));
            let incidents =
                self.incidents.iter().filter_map(|(&id, i)| Some((i.due(&self.model)?, Err(id))));
            let next = alerts.chain(incidents).filter(|&(at, _)| at <= to).min();
            let Some((at, who)) = next else { break };
            self.now = self.now.max(at);
            match who {
                Ok(name) => self.alert_due(engine, name, at, said),
                Err(id) => self.incident_due(id, at),
            }
            self.publish();
        }
        self.now = self.now.max(to);
    }
}

/// Plays a world in both engines, comparing after each step.
fn compare(world: &World, events: &[Event]) {
    let mut spec = world.policy().spec().clone();
    // Not at the same moment as an expiry: which one is first is nobody's promise.
    spec.times.flap_steady = Span::from_millis(301_777);
    let policy = hypocenter_engine::Policy::new(spec.clone()).expect("valid");
    let mut engine = Engine::new(policy.clone(), world.topology("n"), "test/0", HashSeed(1));
    let mut oracle = Oracle::new(spec, Graph::of(&world.edges_text("n")));
    let mut said = Decisions::new();
    let last = Event { now: end(events), ..events[0].clone() };
    for (at, event) in events.iter().chain([&last]).enumerate() {
        // One deadline after the other, so that both are seen at each.
        loop {
            let due = engine.next_deadline().map_or(event.now, |at| at.as_millis());
            let to = due.min(event.now);
            said.clear();
            while engine.advance(Timestamp::from_millis(to), &mut said) == Progress::More {}
            oracle.pass(&engine, to, said.as_slice());
            if oracle.lost {
                return;
            }
            oracle.check(&engine);
            if to == event.now {
                break;
            }
        }
        if at == events.len() {
            break;
        }
        said.clear();
        event.apply(&mut engine, at as u64, &mut said);
        oracle.apply(&engine, event.fingerprint(&policy), event, said.as_slice());
        if oracle.lost {
            return;
        }
        oracle.check(&engine);
    }
}

#[test]
pub(crate) fn s11_the_engine_is_the_slow_and_obvious_model() {
    law(
        "S11, E1 to E16: after each step identity, grouping, candidate, scores and life are the model's",
        roomy_worlds(),
        |world: World| compare(&world, &world.events_of_teams()),
    );
}

#[test]
pub(crate) fn s11_in_a_storm_as_well() {
    law(
        "S11, E8, E11, E15: many alerts at once, with merges, are grouped and ranked as the model says",
        storms(),
        |world: World| compare(&world, &world.events_of_teams()),
    );
}

/// Wait, start and end of an event, the latter two relative to it.
type Times = (i64, Option<i64>, Option<i64>);

fn times() -> impl Strategy<Value = Vec<Times>> {
    let waits = prop_oneof![Just(0), 1..5_000i64, 5_000..100_000i64, 100_000..1_500_000i64];
    let offset = prop_oneof![
        Just(None),
        Just(Some(0)),
        (-5_000..5_000i64).prop_map(Some),
        (-2_000_000..400_000i64).prop_map(Some)
    ];
    prop::collection::vec((waits, offset.clone(), offset), 40)
}

#[test]
pub(crate) fn s11_at_times_of_any_kind() {
    law(
        "S11, E2 to E5: the same with starts and ends anywhere in the past and the future",
        (roomy_worlds(), times(), 1..4usize),
        |(world, times, entities): (World, Vec<Times>, usize)| {
            let mut now = EPOCH;
            let mut events = world.events_of_teams();
            for (event, &(wait, starts, ends)) in events.iter_mut().zip(&times) {
                now += wait;
                event.now = now;
                (event.starts, event.ends) = (starts.map(|by| now + by), ends.map(|by| now + by));
                // Few alerts, so that most events are about known ones.
                for (name, value) in &mut event.labels {
                    if name == "service" {
                        let number: usize = value[1..].parse().expect("a number");
                        *value = format!("n{:02}", number % entities);
                    }
                }
            }
            compare(&world, &events);
        },
    );
}
