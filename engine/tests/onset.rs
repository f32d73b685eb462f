//! The onset of an alert lies before its start by as long as its condition had held.

use hypocenter_engine::{
    AlertEvent, Decision, Decisions, Engine, HashSeed, IncidentId, LabelLimits, Labels, Policy,
    Progress, Seq, Span, Status, Timestamp, Topology, TopologyBuilder,
};

struct Story {
    engine: Engine,
    seq: u64,
}

impl Story {
    fn new(topology: Topology) -> Self {
        Self { engine: Engine::new(Policy::default(), topology, "onset/0", HashSeed(1)), seq: 0 }
    }

    /// An alert that fires at `at` seconds after its condition has held for `held` seconds. The
    /// incident that it joins or opens.
    fn fires(&mut self, service: &str, at: u32, held: u32) -> Option<IncidentId> {
        let mut pairs = vec![("alertname", "HighErrorRate"), ("service", service)];
        let labels = Labels::canonical(&mut pairs, &LabelLimits::default()).expect("valid");
        let now = time(at);
        let event = AlertEvent {
            labels,
            starts_at: Some(now),
            ends_at: Some(Timestamp::MAX),
            held: Span::from_secs(held),
            status: Some(Status::Firing),
            breach: None,
        };
        let mut out = Decisions::new();
        while self.engine.advance(now, &mut out) == Progress::More {}
        out.clear();
        self.seq += 1;
        self.engine.apply(Seq(self.seq), &event, now, &mut out);
        self.engine.check();
        out.as_slice().iter().find_map(|decision| match *decision {
            Decision::Opened { incident, .. } | Decision::Joined { incident, .. } => Some(incident),
            _ => None,
        })
    }
}

fn time(seconds: u32) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000).plus(Span::from_secs(seconds))
}

fn shop() -> Topology {
    let mut builder = TopologyBuilder::new();
    builder.edge("checkout", "payment");
    builder.build().0
}

#[test]
fn a_cause_that_had_to_hold_for_long_joins_the_symptoms_that_it_made() {
    // Both conditions began at second 0. The symptom's rule waits a minute, the cause's five.
    let mut known = Story::new(shop());
    let symptom = known.fires("checkout", 60, 60);
    assert_eq!(known.fires("payment", 300, 300), symptom);
    let view = known.engine.incident(symptom.expect("opened")).expect("there");
    assert_eq!(view.onset(), time(0));
    assert_eq!(view.opened(), time(60));
    // Without it they look four minutes apart.
    let mut unknown = Story::new(shop());
    let symptom = unknown.fires("checkout", 60, 0);
    assert_ne!(unknown.fires("payment", 300, 0), symptom);
}

#[test]
fn alerts_that_begin_at_once_and_did_not_are_kept_apart() {
    let mut story = Story::new(shop());
    let now = story.fires("checkout", 600, 0);
    assert_ne!(story.fires("payment", 600, 300), now);
}

#[test]
fn identity_is_not_touched() {
    let (mut with, mut without) = (Story::new(shop()), Story::new(shop()));
    assert_eq!(with.fires("checkout", 60, 60), without.fires("checkout", 60, 0));
}

#[test]
fn any_length_is_taken() {
    let mut story = Story::new(shop());
    let first = story.fires("checkout", 60, u32::MAX).expect("opened");
    assert!(story.engine.incident(first).expect("there").onset() < time(0));
    story.fires("payment", 61, u32::MAX);
}
