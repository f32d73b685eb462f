//! A trace watches and decides nothing, and tells what the decisions come from.

mod support;

use hypocenter_engine::{
    Decision, Decisions, Engine, HashSeed, PolicySpec, Progress, Score, Span, Status, Timestamp,
    Verdict, Weighed,
};
use support::{Event, graph, policy};

fn event(now: i64, alertname: &str, service: &str) -> Event {
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Event {
        now,
        labels: vec![
            label("alertname", alertname),
            label("service", service),
            label("severity", "critical"),
        ],
        starts: Some(now),
        ends: None,
        status: None,
        breach: None,
        held: 0,
    }
}

/// A storm with joins, merges, repeats and strangers: dependents of a hub complain, each for
/// itself at first, and then the hub says that it is the cause.
fn storm() -> Vec<Event> {
    let mut events = Vec::new();
    for round in 0..12 {
        let at = 1_000 * round;
        let dependent = format!("s{}", round % 6);
        events.push(event(at, "HighLatency", &dependent));
        events.push(event(at, &format!("Errors{round}"), &dependent));
        events.push(event(at + 200_000 * (round % 2), "Unreachable", "stranger"));
    }
    events.push(event(12_000, "PoolExhausted", "hub"));
    events.push(event(13_000, "HighLatency", "s7"));
    events.sort_by_key(|event| event.now);
    events
}

fn engine() -> Engine {
    engine_with(|_| {})
}

fn engine_with(change: fn(&mut PolicySpec)) -> Engine {
    let dependents: Vec<String> = (0..12).map(|n| format!("s{n}>hub")).collect();
    Engine::new(policy(change), graph(&dependents.join(" ")), "test/0", HashSeed(1))
}

/// All decisions, and what was weighed for each event.
fn play(engine: &mut Engine) -> Vec<(Vec<Decision>, Vec<Weighed>)> {
    let mut told = Vec::new();
    let mut decisions = Decisions::new();
    for (seq, event) in storm().iter().enumerate() {
        loop {
            decisions.clear();
            let done = engine.advance(Timestamp::from_millis(event.now), &mut decisions);
            told.push((decisions.as_slice().to_vec(), engine.take_trace()));
            if done == Progress::Done {
                break;
            }
        }
        decisions.clear();
        event.apply(engine, seq as u64, &mut decisions);
        told.push((decisions.as_slice().to_vec(), engine.take_trace()));
    }
    told
}

#[test]
fn tracing_changes_no_decision_and_is_empty_when_off() {
    let (mut plain, mut traced) = (engine(), engine());
    traced.start_trace();
    let (plain, traced) = (play(&mut plain), play(&mut traced));
    assert!(plain.iter().all(|(_, weighed)| weighed.is_empty()));
    let decisions = |told: &[(Vec<Decision>, _)]| -> Vec<Decision> {
        told.iter().flat_map(|(decisions, _)| decisions.clone()).collect()
    };
    assert_eq!(decisions(&plain), decisions(&traced));
    let mut again = engine();
    again.start_trace();
    assert_eq!(play(&mut again), traced, "the same input gives the same trace");
}

#[test]
fn every_placement_is_weighed_and_the_weights_say_what_was_decided() {
    let mut engine = engine();
    engine.start_trace();
    let (mut opened, mut joined, mut merged) = (0, 0, 0);
    for (decisions, weighed) in play(&mut engine) {
        for decision in &decisions {
            let placement = |alert| {
                weighed.iter().find_map(|one| match one {
                    Weighed::Placement(placement) if placement.alert == alert => Some(placement),
                    _ => None,
                })
            };
            match *decision {
                Decision::Opened { alert, .. } => {
                    let placement = placement(alert).expect("weighed");
                    let none = |one: &Verdict| *one != Verdict::Joins;
                    assert!(placement.alternatives.iter().all(|one| none(&one.verdict)));
                    opened += 1;
                }
                Decision::Joined { incident, alert } => {
                    let placement = placement(alert).expect("weighed");
                    let joins: Vec<_> = placement
                        .alternatives
                        .iter()
                        .filter(|one| one.verdict == Verdict::Joins)
                        .collect();
                    assert_eq!(joins.len(), 1);
                    assert_eq!(joins[0].incident, incident);
                    assert!(joins[0].ratio >= placement.threshold);
                    joined += 1;
                }
                Decision::Merged { incident, into } => {
                    let pair = |first, second| [first, second] == [incident, into];
                    assert!(weighed.iter().any(|one| match one {
                        Weighed::Comparison(one) =>
                            one.merged
                                && (pair(one.first, one.second) || pair(one.second, one.first)),
                        Weighed::Placement(_) => false,
                    }));
                    merged += 1;
                }
                _ => {}
            }
        }
        for one in &weighed {
            if let Weighed::Placement(placement) = one {
                let ratios: Vec<Score> = placement.alternatives.iter().map(|a| a.ratio).collect();
                assert!(ratios.is_sorted_by(|a, b| a >= b), "most likely first: {ratios:?}");
                for one in &placement.alternatives {
                    assert!(one.decay <= Score::ZERO, "time only takes away: {one:?}");
                }
            }
        }
    }
    assert!(
        opened > 1 && joined > 5 && merged > 0,
        "opened {opened}, joined {joined}, merged {merged}"
    );
}

#[test]
fn an_alert_that_goes_back_says_so() {
    let mut engine = engine_with(|spec| spec.times.reopen_within = Span::from_secs(600));
    engine.start_trace();
    let mut decisions = Decisions::new();
    let resolved = |now| Event {
        ends: Some(now),
        status: Some(Status::Resolved),
        ..event(now, "PoolExhausted", "hub")
    };
    let other = event(1_001_000, "HighLatency", "s1");
    let list = [
        event(1_000_000, "PoolExhausted", "hub"),
        Event { ends: Some(1_011_000), ..other },
        resolved(1_010_000),
        event(1_300_000, "PoolExhausted", "hub"),
    ];
    for (seq, event) in list.iter().enumerate() {
        decisions.clear();
        event.apply(&mut engine, seq as u64, &mut decisions);
    }
    let reopened = decisions.as_slice().iter().find_map(|decision| match *decision {
        Decision::Reopened { incident } => Some(incident),
        _ => None,
    });
    let weighed = engine.take_trace();
    let Some(Weighed::Placement(placement)) = weighed.last() else {
        panic!("weighed: {weighed:?}");
    };
    let back = placement.alternatives.iter().find(|one| one.verdict == Verdict::GoesBack);
    assert_eq!(back.map(|one| one.incident), reopened);
    assert!(reopened.is_some());
}
