//! Laws: what holds for every graph, every script of alerts and every policy.
//!
//! The cases are the same in every run. `PROPTEST_CASES` asks for more of them, `LAWS_SEED` for
//! others.

#![expect(
    clippy::disallowed_methods,
    reason = "the number of cases is the caller's choice"
)]

mod support;

use std::collections::BTreeMap;

use hypocenter_engine::{Breach, Footprint, Policy, PolicySpec, Side, Span, Status, Topology};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use support::{Detail, Event, Player, graph, policy};

const EPOCH: i64 = 1_700_000_000_000;
const DAY: i64 = 86_400_000;

/// One case: a graph, what is peculiar about its policy, and what comes in.
#[derive(Clone, Debug)]
struct World {
    nodes: usize,
    edges: Vec<(usize, usize)>,
    tweak: Tweak,
    steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug)]
struct Tweak {
    /// Small tables, so that all limits are met.
    tight: bool,
    flap_onsets: u8,
    lateness: u32,
    quiet_for: u32,
    max_duration: u32,
    hops_max: u8,
    reach_max: usize,
    join_ratio: f64,
    fallback: bool,
    /// Seventy more dependents of the first entity: more than any table of roots holds.
    crowd: bool,
}

/// One event, in numbers that shrink well.
#[derive(Clone, Copy, Debug)]
struct Step {
    wait: usize,
    rule: usize,
    entity: usize,
    caller: usize,
    said: usize,
    start: usize,
    breach: usize,
    replica: bool,
}

const RULES: [&str; 9] = [
    "LatencyHigh",
    "DiskFull",
    "ErrorsHigh",
    "EdgeLatencyHigh",
    "ClientLatencyHigh",
    "TrafficLow",
    "PodCrash",
    "Strange",
    "Watchdog",
];
/// Seconds between events. Zero often: bursts.
const WAITS: [i64; 10] = [0, 0, 0, 1, 4, 15, 31, 70, 125, 700];

impl World {
    fn policy(&self) -> Policy {
        let t = self.tweak;
        policy(|spec: &mut PolicySpec| {
            spec.grouping.flap_onsets = t.flap_onsets;
            spec.grouping.hops_max = t.hops_max;
            spec.ranking.hops_max = t.hops_max.min(3);
            spec.grouping.reach_max = t.reach_max;
            spec.grouping.join_ratio = t.join_ratio;
            spec.times.lateness = Span::from_secs(t.lateness);
            spec.times.quiet_for = Span::from_secs(t.quiet_for);
            spec.times.max_duration = Span::from_secs(t.max_duration);
            spec.times.flap_hold = Span::from_secs(400);
            spec.labels.tenant = Some("team".to_owned());
            if t.fallback {
                spec.labels.fallback = vec!["cluster".to_owned()];
            }
            if t.tight {
                spec.limits.alerts_max = 5;
                spec.limits.incidents_max = 3;
                spec.limits.members_max = 2;
            }
        })
    }

    fn topology(&self, prefix: &str) -> Topology {
        graph(&self.edges_text(prefix))
    }

    fn edges_text(&self, prefix: &str) -> String {
        let edge = |&(a, b): &(usize, usize)| {
            format!(
                "{prefix}{:02}>{prefix}{:02} ",
                a % self.nodes,
                b % self.nodes
            )
        };
        let crowd = if self.tweak.crowd { 70 } else { 0 };
        let caller = |n| format!("{prefix}-c{n}>{prefix}00 ");
        self.edges
            .iter()
            .map(edge)
            .chain((0..crowd).map(caller))
            .collect()
    }

    /// The script, about entities with this prefix. Two of them are never in the graph.
    fn events(&self, prefix: &str, team: &str) -> Vec<Event> {
        let mut now = EPOCH;
        let event = |step: &Step| {
            now += WAITS[step.wait] * 1000;
            let name = |n: usize| format!("{prefix}{:02}", n % (self.nodes + 2));
            let rule = RULES[step.rule];
            let mut labels = vec![
                ("alertname", rule.to_owned()),
                ("service", name(step.entity)),
                ("cluster", format!("{prefix}-cluster")),
                ("team", team.to_owned()),
            ];
            if rule.starts_with("Edge") {
                labels.push(("source", name(step.caller)));
            }
            if step.replica {
                labels.push(("prometheus_replica", "b".to_owned()));
            }
            let start = [
                None,
                Some(0),
                Some(0),
                Some(-2),
                Some(-40),
                Some(-800),
                Some(90),
            ];
            let (status, end) = [
                (None, None),
                (None, Some(200)),
                (Some(Status::Firing), Some(-1)),
                (None, Some(35)),
                (Some(Status::Resolved), None),
                (None, Some(0)),
                (None, Some(-30)),
            ][step.said];
            let breach = [None, Some(1.1), Some(3.0), Some(40.0), Some(0.5)][step.breach];
            Event {
                now,
                labels: labels
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect(),
                starts: start[step.start].map(|s: i64| now + s * 1000),
                ends: end.map(|s: i64| now + s * 1000),
                status,
                breach: breach.map(|value| Breach {
                    value,
                    threshold: 1.0,
                    side: if value < 1.0 {
                        Side::Below
                    } else {
                        Side::Above
                    },
                }),
            }
        };
        self.steps.iter().map(event).collect()
    }

    fn player(&self, seed: u64) -> Player {
        player(self.policy(), self.topology("n"), seed)
    }

    /// Everything that is said of the script, to the end of all incidents.
    fn play(&self, events: &[Event]) -> Player {
        let mut player = self.player(1);
        player.play(events);
        player.advance(end(events));
        player
    }
}

fn player(policy: Policy, topology: Topology, seed: u64) -> Player {
    let mut player = Player::new(policy, topology, seed);
    player.epoch = EPOCH;
    player.detail = Detail::Full;
    player.by_seed = true;
    player
}

fn end(events: &[Event]) -> i64 {
    events.last().map_or(EPOCH, |event| event.now) + DAY
}

fn worlds(tight: bool) -> impl Strategy<Value = World> {
    let tweak = (
        2..5u8,
        prop_oneof![Just(600), Just(60)],
        prop_oneof![Just(120), Just(10)],
        prop_oneof![Just(900), Just(50)],
        1..5u8,
        prop_oneof![Just(64usize), Just(64), Just(3)],
        prop_oneof![Just(0.3), Just(0.05), Just(0.9)],
        any::<bool>(),
        (
            any::<bool>(),
            prop_oneof![Just(false), Just(false), Just(false), Just(true)],
        ),
    );
    let tweak = tweak.prop_map(
        move |(
            flap_onsets,
            lateness,
            quiet_for,
            max_duration,
            hops_max,
            reach,
            ratio,
            fallback,
            (small, crowd),
        )| {
            Tweak {
                tight: tight && small,
                flap_onsets,
                lateness,
                quiet_for,
                max_duration,
                hops_max,
                reach_max: reach,
                join_ratio: ratio,
                fallback,
                crowd,
            }
        },
    );
    let step = (
        0..10usize,
        0..9usize,
        0..12usize,
        0..12usize,
        0..11usize,
        0..7usize,
        0..5usize,
        any::<bool>(),
    );
    let step = step.prop_map(
        |(wait, rule, entity, caller, said, start, breach, replica)| Step {
            wait,
            rule,
            entity,
            caller,
            // Most events say that an alert fires.
            said: said.saturating_sub(4),
            start,
            breach,
            replica,
        },
    );
    let edges = prop::collection::vec((0..10usize, 0..10usize), 0..16);
    let steps = prop::collection::vec(step, 1..40);
    (2..9usize, edges, tweak, steps).prop_map(|(nodes, edges, tweak, steps)| World {
        nodes,
        edges,
        tweak,
        steps,
    })
}

/// Tries a law on worlds that are the same in every run.
fn law<S: Strategy>(worlds: S, check: impl Fn(S::Value)) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let config = ProptestConfig {
        cases: number("PROPTEST_CASES").unwrap_or(100) as u32,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&number("LAWS_SEED").unwrap_or(1_u64).to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let result = TestRunner::new_with_rng(config, rng).run(&worlds, |world| {
        check(world);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// What is told, without the times of telling: those depend on when one asks.
fn untimed(told: &[String]) -> Vec<&str> {
    told.iter()
        .map(|line| line.split_once(' ').map_or("", |(_, text)| text))
        .collect()
}

/// The part of what is told that names alerts of one prefix or tenant.
fn about<'t>(told: &'t [String], mark: &str) -> Vec<&'t str> {
    let is = |line: &&&str| {
        line.lines()
            .next()
            .is_some_and(|first| first.contains(mark))
    };
    untimed(told).iter().filter(is).copied().collect()
}

/// Two scripts as one, in the order of time; of equal times the first script's first, or last.
fn interleave(a: &[Event], b: &[Event], a_first: bool) -> Vec<Event> {
    let mut all: Vec<(i64, bool, Event)> = Vec::new();
    all.extend(a.iter().map(|e| (e.now, !a_first, e.clone())));
    all.extend(b.iter().map(|e| (e.now, a_first, e.clone())));
    all.sort_by_key(|&(now, last, _)| (now, last));
    all.into_iter().map(|(.., event)| event).collect()
}

/// E7, and "the same calls give the same decisions": also under another hash seed.
#[test]
fn the_same_script_gives_the_same_text() {
    law(worlds(true), |world| {
        let events = world.events("n", "");
        let first = world.play(&events);
        assert_eq!(first.told, world.play(&events).told);
        let mut other = world.player(0x9e37_79b9);
        other.play(&events);
        other.advance(end(&events));
        assert_eq!(first.told, other.told, "the hash seed shows");
    });
}

/// E1, E14, E15, E17 by way of `Engine::check` and the checks of the player, which run after each
/// step of each law; and the sums of what is counted.
#[test]
fn every_event_is_told_and_counted_once() {
    law(worlds(true), |world| {
        let events = world.events("n", "");
        let player = world.play(&events);
        let stats = player.engine.stats();
        assert_eq!(stats.events, events.len() as u64);
        let told = |word: &str| {
            let lines = untimed(&player.told);
            lines.iter().filter(|line| line.starts_with(word)).count() as u64
        };
        assert_eq!(told("opened "), stats.opened);
        assert_eq!(told("merged "), stats.merged);
        assert_eq!(told("closed "), stats.resolved);
        assert_eq!(told("published "), stats.published);
        assert_eq!(told("reranked "), stats.reranked);
        assert_eq!(told("repeated "), stats.repeats);
        assert_eq!(told("expired "), stats.expired);
        assert_eq!(told("opened ") + told("joined "), stats.placed);
        assert_eq!(told("shed alerts"), stats.shed);
        assert_eq!(stats.opened, stats.merged + stats.resolved, "all are over");
    });
}

/// E7: when time is told, between two events, changes nothing that is decided or published.
#[test]
fn it_does_not_matter_how_often_time_is_told() {
    law(worlds(true), |world| {
        let events = world.events("n", "");
        let usual = world.play(&events);
        let mut often = world.player(1);
        for (at, event) in events.iter().enumerate() {
            often.step(event);
            let next = events.get(at + 1).map_or(end(&events), |e| e.now);
            for part in 1..=3 {
                // Also a little back.
                often.advance(event.now + (next - event.now) * part / 3);
                often.advance(event.now);
            }
            while let Some(due) = often.engine.next_deadline() {
                if due.as_millis() > next {
                    break;
                }
                often.advance(due.as_millis().max(event.now));
            }
        }
        often.advance(end(&events));
        assert_eq!(untimed(&usual.told), untimed(&often.told));
        // Without being told in between the same is decided; only the reader is late.
        let mut never = world.player(1);
        never.detail = Detail::Version;
        events.iter().for_each(|event| never.apply(event));
        never.advance(end(&events));
        let heads = |told: &[String]| -> Vec<String> {
            let head = |line: &&str| line.split(" None ").next().unwrap_or_default().to_owned();
            let cut = |line: String| {
                line.split(" Some(\"#")
                    .next()
                    .unwrap_or_default()
                    .to_owned()
            };
            untimed(told).iter().map(head).map(cut).collect()
        };
        assert_eq!(heads(&usual.told), heads(&never.told));
    });
}

/// E2 and E3: an event that comes twice is a repeat, and publishes nothing.
#[test]
fn a_doubled_event_changes_no_version() {
    law(worlds(false), |world| {
        let events = world.events("n", "");
        let doubled: Vec<Event> = events.iter().flat_map(|e| [e.clone(), e.clone()]).collect();
        let decided = |events: &[Event]| -> Vec<String> {
            let mut player = world.player(1);
            player.detail = Detail::Short;
            player.play(events);
            player.advance(end(events));
            let told = untimed(&player.told).into_iter();
            let counted = |line: &&str| {
                line.starts_with("repeated ") || line.starts_with("resolved_unknown ")
            };
            told.filter(|line| !counted(line))
                .map(str::to_owned)
                .collect()
        };
        assert_eq!(decided(&events), decided(&doubled));
    });
}

/// E8: what cannot be connected does not touch. Neither the presence of another component nor the
/// order of simultaneous events of two components shows in either.
#[test]
fn unrelated_components_do_not_touch() {
    law((worlds(false), worlds(false)), |(a, b)| {
        let (ours, theirs) = (a.events("n", ""), b.events("m", ""));
        let both = || graph(&(a.edges_text("n") + &b.edges_text("m")));
        let play = |events: &[Event]| {
            let mut player = player(a.policy(), both(), 1);
            player.play(events);
            player.advance(end(&ours).max(end(&theirs)));
            player
        };
        let first = play(&interleave(&ours, &theirs, true));
        let last = play(&interleave(&ours, &theirs, false));
        assert_eq!(about(&first.told, "@n"), about(&last.told, "@n"));
        assert_eq!(about(&first.told, "@m"), about(&last.told, "@m"));
        let alone = a.play(&ours);
        assert_eq!(untimed(&alone.told), about(&first.told, "@n"));
    });
}

/// E13: tenants in one engine are as if each had its own, also on the same entities.
#[test]
fn tenants_do_not_touch() {
    law((worlds(false), worlds(false)), |(a, b)| {
        let (ours, theirs) = (a.events("n", "red"), b.events("n", "blue"));
        let play = |events: &[Event]| {
            let mut player = a.player(1);
            player.play(events);
            player.advance(end(&ours).max(end(&theirs)));
            player.told
        };
        let both = play(&interleave(&ours, &theirs, true));
        assert_eq!(untimed(&play(&ours)), about(&both, "/red"));
        assert_eq!(untimed(&play(&theirs)), about(&both, "/blue"));
    });
}

/// Names mean nothing but their order: a renaming that keeps it renames the output.
#[test]
fn names_are_names() {
    law(worlds(true), |world| {
        let events = world.events("n", "");
        let plain = world.play(&events);
        let rename = |text: &str| {
            let mut text = text.to_owned();
            for n in 0..world.nodes + 2 {
                text = text.replace(&format!("n{n:02}"), &format!("zz-{n:02}-q"));
            }
            text
        };
        let renamed: Vec<Event> = events
            .iter()
            .map(|event| {
                let mut event = event.clone();
                for (_, value) in &mut event.labels {
                    *value = rename(value);
                }
                event
            })
            .collect();
        let mut other = player(world.policy(), graph(&rename(&world.edges_text("n"))), 1);
        other.play(&renamed);
        other.advance(end(&events));
        let expected: Vec<String> = plain.told.iter().map(|line| rename(line)).collect();
        assert_eq!(expected, other.told);
    });
}

/// E5: only differences of times matter.
#[test]
fn a_shift_of_all_times_shifts_all_times() {
    law(
        (worlds(true), -400_000_000..400_000_000i64),
        |(world, by)| {
            let events = world.events("n", "");
            let shifted: Vec<Event> = events
                .iter()
                .map(|event| Event {
                    now: event.now + by,
                    starts: event.starts.map(|at| at + by),
                    ends: event.ends.map(|at| at + by),
                    ..event.clone()
                })
                .collect();
            let mut other = world.player(1);
            other.epoch += by;
            other.play(&shifted);
            other.advance(end(&shifted));
            assert_eq!(world.play(&events).told, other.told);
        },
    );
}

/// E17: when all is over and time has passed, nothing is held.
#[test]
fn in_the_end_nothing_is_held() {
    law(worlds(true), |world| {
        let player = world.play(&world.events("n", ""));
        let held = player.engine.footprint();
        let nothing = Footprint {
            walk_bytes: held.walk_bytes,
            ..Footprint::default()
        };
        assert_eq!(held, nothing);
        assert_eq!(player.engine.next_deadline(), None);
    });
}

/// E6: one fault, all onsets within half the window, delivered in any order within `lateness`:
/// the same alerts end up together, under the same candidate.
///
/// What this does not cover: two faults at once, onsets further apart than the window, symptoms
/// that no common root explains within `hops_max`, more than eight symptoms that each opened an
/// incident of their own before the cause came (a root leads to its eight newest incidents), and
/// delivery so late that an incident is too old to be merged, or resolved, in between. There
/// grouping is greedy and the order shows.
#[test]
fn one_fault_in_any_order_is_one_incident() {
    let tree = prop::collection::vec(0..10usize, 1..7);
    let cases = (tree, prop::collection::vec(0..1000usize, 8), 0..4usize);
    law(cases, |(parents, keys, rule)| {
        // Entity 0 is the cause; each other one depends on an earlier one, at most two hops away.
        let mut depth = vec![0];
        let mut edges = String::new();
        for (at, parent) in parents.iter().enumerate() {
            let mut parent = parent % (at + 1);
            if depth[parent] == 2 {
                parent = 0;
            }
            depth.push(depth[parent] + 1);
            edges += &format!("n{:02}>n{parent:02} ", at + 1);
        }
        let rule = ["DiskFull", "PodCrash", "ErrorsHigh", "LatencyHigh"][rule];
        let alert = |n: usize| {
            let name = if n == 0 { rule } else { "LatencyHigh" };
            let breach = Breach {
                value: if n == 0 { 4.0 } else { 2.0 },
                threshold: 1.0,
                side: Side::Above,
            };
            Event {
                now: 0,
                labels: vec![
                    ("alertname".to_owned(), name.to_owned()),
                    ("service".to_owned(), format!("n{n:02}")),
                ],
                starts: Some(EPOCH + 5000 * n as i64),
                ends: None,
                status: None,
                breach: Some(breach),
            }
        };
        let outcome = |order: &[usize]| {
            let mut player = player(Policy::default(), graph(&edges), 1);
            for (at, &n) in order.iter().enumerate() {
                let now = EPOCH + 40_000 + 2000 * at as i64;
                player.step(&Event { now, ..alert(n) });
            }
            let mut groups = BTreeMap::new();
            for view in player.engine.incidents().filter(|v| !v.phase().is_final()) {
                let mut members: Vec<String> =
                    view.members().map(|m| m.entity.to_owned()).collect();
                members.sort();
                groups.insert(members, view.root_cause().map(|c| c.entity.to_owned()));
            }
            groups
        };
        let sorted: Vec<usize> = (0..=parents.len()).collect();
        let mut order = sorted.clone();
        order.sort_by_key(|&n| (keys[n], n));
        let expected = outcome(&sorted);
        assert_eq!(expected.len(), 1, "{edges}");
        assert_eq!(expected, outcome(&order), "{edges} {order:?}");
    });
}
