//! The engine against a slow and obvious model of identity, repeats, episodes and their ends.
//!
//! The model knows nothing of grouping: it is told which incidents open, merge and close, and
//! says of each event whether it is a repeat, a resolve, or a new episode, and what expires when.

mod support;

use std::collections::BTreeMap;

use hypocenter_engine::{
    Decision, Decisions, Engine, Fingerprint, HashSeed, IncidentId, Progress, Span, Status,
    Suppressor, Timestamp,
};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use support::{Event, graph, policy};

const TIMEOUT: i64 = 300_000;
const FLAP_WINDOW: i64 = 900_000;
const FLAP_HOLD: i64 = 400_000;
const FLAP_ONSETS: usize = 3;
const CHRONIC: i64 = 600_000;

/// What is said of one alert at one time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Said {
    Repeated,
    Resolved,
    Expired,
    Unknown,
    Placed,
    Suppressed,
}

#[derive(Clone, Debug)]
struct Alert {
    firing: bool,
    /// While it fires: when it ends by itself. Afterwards: when it ended.
    end: i64,
    /// Whether that end is a guess.
    guessed: bool,
    starts: i64,
    incident: Option<IncidentId>,
    onsets: Vec<i64>,
    flapping_until: i64,
}

#[derive(Default)]
struct Model {
    alerts: BTreeMap<Fingerprint, Alert>,
    /// Merged incidents, and where they went; those that are over have no incident.
    moved: BTreeMap<IncidentId, Option<IncidentId>>,
}

impl Model {
    fn lives(&self, incident: Option<IncidentId>) -> bool {
        match incident {
            None => true,
            Some(id) => match self.moved.get(&id) {
                None => true,
                Some(Some(into)) => self.lives(Some(*into)),
                Some(None) => false,
            },
        }
    }

    /// What ends by itself up to `now`, in the order of time.
    fn pass(&mut self, now: i64) -> Vec<(i64, Fingerprint, Said)> {
        let mut told = Vec::new();
        for (&name, alert) in &mut self.alerts {
            if alert.firing && alert.end <= now {
                alert.firing = false;
                told.push((alert.end, name, Said::Expired));
            }
        }
        self.alerts.retain(|_, alert| {
            alert.firing || (alert.end + FLAP_WINDOW).max(alert.flapping_until) > now
        });
        told.sort();
        told
    }

    /// What is said of an event. Whether a new episode is placed is for `begin` to say.
    fn take(&mut self, name: Fingerprint, event: &Event) -> Said {
        let now = event.now;
        let resolved = match event.status {
            Some(status) => status == Status::Resolved,
            None => event.ends.is_some_and(|end| end <= now),
        };
        let (end, guessed) = match event.ends {
            Some(end) if end > now => (end, false),
            _ => (now + TIMEOUT, true),
        };
        let starts = event.starts.unwrap_or(now);
        let lives = self.alerts.get(&name).is_some_and(|alert| self.lives(alert.incident));
        let Some(alert) = self.alerts.get_mut(&name) else {
            if resolved {
                return Said::Unknown;
            }
            let alert = Alert {
                firing: true,
                end,
                guessed,
                starts,
                incident: None,
                onsets: Vec::new(),
                flapping_until: i64::MIN,
            };
            self.alerts.insert(name, alert);
            let chronic = now - starts > CHRONIC;
            return self.begin(name, now, chronic || is_meta(event));
        };
        if resolved {
            let of_before = event.ends.is_some_and(|end| end < alert.starts);
            if !alert.firing || of_before {
                return Said::Repeated;
            }
            alert.firing = false;
            alert.end = event.ends.map_or(now, |end| end.min(now));
            return Said::Resolved;
        }
        if alert.firing {
            if alert.guessed || end > alert.end {
                (alert.end, alert.guessed) = (end, guessed);
            }
            return Said::Repeated;
        }
        let anew = starts > alert.end && starts != alert.starts;
        alert.firing = true;
        (alert.end, alert.guessed) = (end, guessed);
        if anew || !lives {
            alert.starts = starts;
            return self.begin(name, now, is_meta(event));
        }
        Said::Repeated
    }

    fn begin(&mut self, name: Fingerprint, now: i64, aside: bool) -> Said {
        let alert = self.alerts.get_mut(&name).expect("it was just put there");
        alert.incident = None;
        alert.onsets.push(now);
        alert.onsets.retain(|&at| now - at <= FLAP_WINDOW);
        if alert.onsets.len() >= FLAP_ONSETS {
            alert.flapping_until = alert.flapping_until.max(now + FLAP_HOLD);
        }
        let flapping = alert.flapping_until > now;
        if flapping {
            alert.flapping_until = alert.flapping_until.max(now + FLAP_HOLD / 2);
        }
        if aside || flapping { Said::Suppressed } else { Said::Placed }
    }

    /// Learns from the engine what the model does not decide.
    fn learn(&mut self, decisions: &Decisions) {
        for decision in decisions.as_slice() {
            match *decision {
                Decision::Opened { incident, alert, .. } | Decision::Joined { incident, alert } => {
                    let known = self.alerts.get_mut(&alert.fingerprint);
                    known.expect("a known alert").incident = Some(incident);
                }
                Decision::Merged { incident, into } => {
                    self.moved.insert(incident, Some(into));
                }
                Decision::Closed { incident } => {
                    self.moved.insert(incident, None);
                }
                Decision::Reopened { incident } => {
                    self.moved.remove(&incident);
                }
                _ => {}
            }
        }
    }
}

fn is_meta(event: &Event) -> bool {
    event.label("alertname") == "Watchdog"
}

/// What the engine says of alerts.
fn said(decisions: &Decisions) -> Vec<(Option<Fingerprint>, Said)> {
    let one = |decision: &Decision| {
        let (alert, said) = match *decision {
            Decision::Opened { alert, .. } | Decision::Joined { alert, .. } => {
                (alert.fingerprint, Said::Placed)
            }
            Decision::Repeated { alert } => (alert.fingerprint, Said::Repeated),
            Decision::Resolved { alert, expired } => {
                let said = if expired { Said::Expired } else { Said::Resolved };
                (alert.fingerprint, said)
            }
            Decision::ResolvedUnknown { fingerprint } => (fingerprint, Said::Unknown),
            Decision::Suppressed { alert, by } => {
                assert_ne!(by, Suppressor::Overflow, "the tables are large enough");
                (alert.fingerprint, Said::Suppressed)
            }
            _ => return None,
        };
        Some((Some(alert), said))
    };
    decisions.as_slice().iter().filter_map(one).collect()
}

/// Wait, alert, start, end, status, and whether the other replica sends it.
type Drawn = (i64, usize, Option<i64>, Option<i64>, Option<Status>, bool);

fn events() -> impl Strategy<Value = Vec<Event>> {
    let waits = prop_oneof![Just(0), 1..5_000i64, 5_000..100_000i64, 100_000..1_500_000i64];
    let offset = prop_oneof![
        Just(None),
        Just(Some(0)),
        (-5_000..5_000i64).prop_map(Some),
        (-2_000_000..400_000i64).prop_map(Some)
    ];
    let status = prop_oneof![
        Just(None),
        Just(None),
        Just(Some(Status::Firing)),
        Just(Some(Status::Resolved))
    ];
    let event = (waits, 0..4usize, offset.clone(), offset, status, any::<bool>());
    prop::collection::vec(event, 1..80).prop_map(|list| {
        let mut now = 1_700_000_000_000;
        let event = |(wait, alert, starts, ends, status, replica): Drawn| {
            now += wait;
            let names = ["LatencyHigh", "DiskFull", "ErrorsHigh", "Watchdog"];
            let name = names[alert];
            let mut labels = vec![
                ("alertname".to_owned(), name.to_owned()),
                ("service".to_owned(), ["a", "b", "c", "a"][alert].to_owned()),
            ];
            if replica {
                labels.push(("__replica__".to_owned(), "b".to_owned()));
            }
            Event {
                now,
                labels,
                starts: starts.map(|by: i64| now + by),
                ends: ends.map(|by: i64| now + by),
                status,
                breach: None,
            }
        };
        list.into_iter().map(event).collect()
    })
}

/// E2, E3, E4: what is said of each event, and when alerts expire, is what the model says.
#[test]
fn identity_and_episodes_follow_the_model() {
    let config =
        ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[3; 32]);
    let result = TestRunner::new_with_rng(config, rng).run(&events(), |events| {
        // That a steady flapper is placed after all is left to the stories.
        let policy = policy(|spec| {
            spec.times.flap_hold = Span::from_millis(FLAP_HOLD as u64);
            spec.times.flap_steady = Span::from_secs(30 * 86_400);
        });
        let mut engine = Engine::new(policy.clone(), graph("a>b b>c"), "test/0", HashSeed(5));
        let mut model = Model::default();
        let mut decisions = Decisions::new();
        for (at, event) in events.iter().enumerate() {
            // Time passes to each end in turn, so that the engine tells when.
            loop {
                let due = engine.next_deadline().map(Timestamp::as_millis);
                let to = due.map_or(event.now, |due| due.min(event.now));
                let mut expired = model.pass(to);
                let mut progress = Progress::More;
                while progress == Progress::More {
                    decisions.clear();
                    progress = engine.advance(Timestamp::from_millis(to), &mut decisions);
                    for (name, said) in said(&decisions) {
                        let found =
                            expired.iter().position(|&(_, n, s)| (Some(n), s) == (name, said));
                        prop_assert!(found.is_some(), "{said:?} at {to}");
                        expired.swap_remove(found.expect("checked"));
                    }
                    model.learn(&decisions);
                }
                prop_assert_eq!(expired, vec![]);
                if to == event.now {
                    break;
                }
            }
            let name = event.fingerprint(&policy);
            let expected = model.take(name, event);
            decisions.clear();
            event.apply(&mut engine, at as u64, &mut decisions);
            prop_assert_eq!(said(&decisions), vec![(Some(name), expected)], "{:?}", event);
            model.learn(&decisions);
            engine.check();
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// An HA pair that disagrees makes one alert end and go on for weeks: nothing may grow with that.
#[test]
fn a_pair_that_disagrees_holds_no_memory() {
    let mut engine = Engine::new(policy(|_| {}), graph("a>b"), "test/0", HashSeed(5));
    let mut decisions = Decisions::new();
    let labels = vec![
        ("alertname".to_owned(), "DiskFull".to_owned()),
        ("service".to_owned(), "a".to_owned()),
    ];
    let mut most = 0;
    for round in 0..1000 {
        let now = 1_700_000_000_000 + round * 30_000;
        let event = Event {
            now,
            labels: labels.clone(),
            starts: Some(1_700_000_000_000),
            ends: None,
            status: Some([Status::Firing, Status::Resolved][round as usize % 2]),
            breach: None,
        };
        decisions.clear();
        event.apply(&mut engine, round as u64, &mut decisions);
        engine.check();
        most = most.max(engine.footprint().timers);
    }
    assert_eq!(engine.stats().resolves, 500);
    assert!(most < 10, "{most} deadlines for one alert");
}
