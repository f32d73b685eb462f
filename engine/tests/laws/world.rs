//! Worlds drawn at random, the same in every run: graph, policy, script.

use hypocenter_engine::{Breach, Policy, PolicySpec, Side, Span, Status, Topology};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use crate::support::{Detail, Event, Player, graph, policy};

pub(crate) const EPOCH: i64 = 1_700_000_000_000;
const DAY: i64 = 86_400_000;

/// One case: a graph, what is peculiar about its policy, and what comes in.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) nodes: usize,
    pub(crate) edges: Vec<(usize, usize)>,
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
    pub(crate) fn policy(&self) -> Policy {
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

    pub(crate) fn topology(&self, prefix: &str) -> Topology {
        graph(&self.edges_text(prefix))
    }

    pub(crate) fn edges_text(&self, prefix: &str) -> String {
        let edge = |&(a, b): &(usize, usize)| {
            format!("{prefix}{:02}>{prefix}{:02} ", a % self.nodes, b % self.nodes)
        };
        let crowd = if self.tweak.crowd { 70 } else { 0 };
        let caller = |n| format!("{prefix}-c{n}>{prefix}00 ");
        self.edges.iter().map(edge).chain((0..crowd).map(caller)).collect()
    }

    /// The script, about entities with this prefix. Two of them are never in the graph.
    pub(crate) fn events(&self, prefix: &str, team: &str) -> Vec<Event> {
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
            let start = [None, Some(0), Some(0), Some(-2), Some(-40), Some(-800), Some(90)];
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
                labels: labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
                starts: start[step.start].map(|s: i64| now + s * 1000),
                ends: end.map(|s: i64| now + s * 1000),
                status,
                breach: breach.map(|value| Breach {
                    value,
                    threshold: 1.0,
                    side: if value < 1.0 { Side::Below } else { Side::Above },
                }),
            }
        };
        self.steps.iter().map(event).collect()
    }

    pub(crate) fn player(&self, seed: u64) -> Player {
        player(self.policy(), self.topology("n"), seed)
    }

    /// Everything that is said of the script, to the end of all incidents.
    pub(crate) fn play(&self, events: &[Event]) -> Player {
        let mut player = self.player(1);
        player.play(events);
        player.advance(end(events));
        player
    }
}

pub(crate) fn player(policy: Policy, topology: Topology, seed: u64) -> Player {
    let mut player = Player::new(policy, topology, seed);
    player.epoch = EPOCH;
    player.detail = Detail::Full;
    player.by_seed = true;
    player
}

pub(crate) fn end(events: &[Event]) -> i64 {
    events.last().map_or(EPOCH, |event| event.now) + DAY
}

pub(crate) fn worlds(tight: bool) -> impl Strategy<Value = World> {
    let tweak = (
        2..5u8,
        prop_oneof![Just(600), Just(60)],
        prop_oneof![Just(120), Just(10)],
        prop_oneof![Just(900), Just(50)],
        1..5u8,
        prop_oneof![Just(64usize), Just(64), Just(3)],
        prop_oneof![Just(0.3), Just(0.05), Just(0.9)],
        any::<bool>(),
        (any::<bool>(), prop_oneof![Just(false), Just(false), Just(false), Just(true)]),
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
    let step = step.prop_map(|(wait, rule, entity, caller, said, start, breach, replica)| Step {
        wait,
        rule,
        entity,
        caller,
        // Most events say that an alert fires.
        said: said.saturating_sub(4),
        start,
        breach,
        replica,
    });
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
pub(crate) fn law<S: Strategy>(worlds: S, check: impl Fn(S::Value)) {
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
