//! Worlds drawn at random, the same in every run: graph, policy, script.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use hypocenter_engine::{Breach, Policy, PolicySpec, Side, Span, Status, Topology};
use proptest::prelude::*;

use crate::support::{Detail, Event, Player, graph, policy};

pub(crate) const EPOCH: i64 = 1_700_000_000_000;
const DAY: i64 = 86_400_000;

/// One case: a graph, what is peculiar about its policy, and what comes in.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) nodes: usize,
    shape: Shape,
    /// Further edges, among them loops and edges given twice.
    edges: Vec<(usize, usize)>,
    pub(crate) tweak: Tweak,
    steps: Vec<Step>,
}

/// What a graph looks like before its further edges are drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    /// No edges at all.
    Loose,
    /// Each entity depends on the next one.
    Chain,
    /// All depend on the first one.
    Hub,
    /// The first one depends on all.
    Star,
    /// A chain whose end depends on its beginning.
    Cycle,
    /// Two chains that do not touch.
    Parts,
    /// Each entity depends on the one that stands at half its number.
    Tree,
}

impl Shape {
    fn edges(self, nodes: usize) -> Vec<(usize, usize)> {
        let pairs = (1..nodes).map(|n| match self {
            Self::Loose => (n, n),
            Self::Chain | Self::Cycle => (n - 1, n),
            Self::Hub => (n, 0),
            Self::Star => (0, n),
            Self::Parts if n == nodes / 2 => (n, n),
            Self::Parts => (n - 1, n),
            Self::Tree => (n, n / 2),
        });
        let closing = (self == Self::Cycle).then_some((nodes - 1, 0));
        pairs.chain(closing).filter(|(a, b)| a != b).collect()
    }
}

/// A case that fails is shown as a story, in the form that `tests/stories` reads.
impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}\n  \"{}\"", self.tweak, self.edges_text("n").trim())?;
        self.events("n", "").iter().try_for_each(|event| writeln!(f, "  {}", line(event)))
    }
}

/// An event as a line of a story.
pub(crate) fn line(event: &Event) -> String {
    let secs = |at: i64| (at - EPOCH) as f64 / 1000.0;
    let resolves = event.status == Some(Status::Resolved);
    let verb = if resolves { "resolve" } else { "fire" };
    let (name, entity) = (event.label("alertname"), event.label("service"));
    let mut line = format!("{} {verb} {name} {entity}", secs(event.now));
    let mut time = |name: &str, at: Option<i64>, usual: Option<i64>| {
        if at != usual {
            let at = at.map_or("-".to_owned(), |at| secs(at).to_string());
            line += &format!(" {name}={at}");
        }
    };
    time("start", event.starts, (!resolves).then_some(event.now));
    time("end", event.ends, resolves.then_some(event.now));
    if event.status == Some(Status::Firing) {
        line += " as=firing";
    }
    if let Some(Breach { value, threshold, side }) = event.breach {
        let word = if side == Side::Above { "value" } else { "below" };
        line += &format!(" {word}={value}/{threshold}");
    }
    for (name, value) in &event.labels {
        if !["alertname", "service"].contains(&name.as_str()) && !value.is_empty() {
            line += &format!(" {name}={value}");
        }
    }
    line
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Tweak {
    /// Small tables, so that all limits are met.
    pub(crate) tight: bool,
    flap_onsets: u8,
    lateness: u32,
    quiet_for: u32,
    merge_window: u32,
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
    team: usize,
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
            spec.times.merge_window = Span::from_secs(t.merge_window);
            spec.times.max_duration = Span::from_secs(t.max_duration);
            spec.times.flap_hold = Span::from_secs(400);
            spec.labels.tenant = Some("team".to_owned());
            if t.fallback {
                spec.labels.fallback = vec!["rack".to_owned()];
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
        let shaped = self.shape.edges(self.nodes);
        shaped.iter().chain(&self.edges).map(edge).chain((0..crowd).map(caller)).collect()
    }

    /// The script, about entities with this prefix. Two of them are never in the graph.
    pub(crate) fn events(&self, prefix: &str, team: &str) -> Vec<Event> {
        self.events_of(prefix, |_| team)
    }

    /// The same script with three tenants.
    pub(crate) fn events_of_teams(&self) -> Vec<Event> {
        self.events_of("n", |step| ["", "red", "blue"][step.team])
    }

    fn events_of<'t>(&self, prefix: &str, team: impl Fn(&Step) -> &'t str) -> Vec<Event> {
        let mut now = EPOCH;
        let event = |step: &Step| {
            now += WAITS[step.wait] * 1000;
            let name = |n: usize| format!("{prefix}{:02}", n % (self.nodes + 2));
            let rule = RULES[step.rule];
            let mut labels = vec![
                ("alertname", rule.to_owned()),
                ("service", name(step.entity)),
                ("rack", format!("{prefix}-cluster")),
                ("team", team(step).to_owned()),
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
                // As if some rules waited before they fire.
                held: [0, 0, 30_000, 0, 0, 300_000, 0, 10_000, 0][step.rule],
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

/// Worlds whose tables hold everything, that of the roots included.
pub(crate) fn roomy_worlds() -> impl Strategy<Value = World> {
    worlds(false).prop_map(|mut world| {
        (world.tweak.crowd, world.tweak.reach_max) = (false, 64);
        world
    })
}

/// Worlds in which many entities alert at once and nothing ends: incidents merge here.
pub(crate) fn storms() -> impl Strategy<Value = World> {
    let alerts = prop::collection::vec((0..4usize, 0..9usize, 0..3usize), 4..24);
    (roomy_worlds(), alerts, 4..9usize, 0..5usize, any::<bool>()).prop_map(
        |(mut world, alerts, nodes, shape, young)| {
            world.nodes = nodes;
            world.shape = [Shape::Hub, Shape::Tree, Shape::Chain, Shape::Cycle, Shape::Star][shape];
            world.edges.truncate(4);
            world.tweak = Tweak {
                flap_onsets: 4,
                lateness: 600,
                quiet_for: 120,
                merge_window: if young { 180 } else { 8 },
                max_duration: 900,
                hops_max: 4,
                ..world.tweak
            };
            let step = |&(wait, entity, rule): &(usize, usize, usize)| Step {
                // None to four seconds, and symptoms more often than causes.
                wait: [0, 3, 4, 5][wait],
                rule: [0, 0, 1][rule],
                entity,
                caller: 0,
                said: 1,
                start: 1,
                breach: rule,
                replica: false,
                team: 0,
            };
            world.steps = alerts.iter().map(step).collect();
            world
        },
    )
}

fn tweaks(tight: bool) -> impl Strategy<Value = Tweak> {
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
    tweak.prop_map(
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
                merge_window: 180,
                max_duration,
                hops_max,
                reach_max: reach,
                join_ratio: ratio,
                fallback,
                crowd,
            }
        },
    )
}

/// Worlds of any kind; `tight`: also such that meet every limit.
pub(crate) fn worlds(tight: bool) -> impl Strategy<Value = World> {
    let step = (
        0..10usize,
        0..9usize,
        0..12usize,
        0..12usize,
        0..11usize,
        0..7usize,
        0..5usize,
        (any::<bool>(), 0..3usize),
    );
    let step = step.prop_map(|(wait, rule, entity, caller, said, start, breach, who)| Step {
        wait,
        rule,
        entity,
        caller,
        // Most events say that an alert fires.
        said: said.saturating_sub(4),
        start,
        breach,
        replica: who.0,
        team: who.1,
    });
    let shape = prop_oneof![
        Just(Shape::Loose),
        Just(Shape::Loose),
        Just(Shape::Chain),
        Just(Shape::Hub),
        Just(Shape::Star),
        Just(Shape::Cycle),
        Just(Shape::Parts),
        Just(Shape::Tree),
    ];
    let edges = prop::collection::vec((0..10usize, 0..10usize), 0..16);
    let steps = prop::collection::vec(step, 1..40);
    (2..9usize, shape, edges, tweaks(tight), steps)
        .prop_map(|(nodes, shape, edges, tweak, steps)| World { nodes, shape, edges, tweak, steps })
}

/// A firing alert without numbers that begins when it is said.
pub(crate) fn alert(now: i64, name: &str, entity: &str) -> Event {
    let labels = [("alertname", name), ("service", entity)];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Event { now, labels, starts: Some(now), ends: None, status: None, breach: None, held: 0 }
}

/// What is told, without the times of telling: those depend on when one asks.
pub(crate) fn untimed(told: &[String]) -> Vec<&str> {
    told.iter().map(|line| line.split_once(' ').map_or("", |(_, text)| text)).collect()
}

/// The part of what is told that names alerts of one prefix or tenant.
pub(crate) fn about<'t>(told: &'t [String], mark: &str) -> Vec<&'t str> {
    let is = |line: &&&str| line.lines().next().is_some_and(|first| first.contains(mark));
    untimed(told).iter().filter(is).copied().collect()
}

/// Two scripts as one, in the order of time; of equal times the first script's first, or last.
pub(crate) fn interleave(a: &[Event], b: &[Event], a_first: bool) -> Vec<Event> {
    let mut all: Vec<(i64, bool, Event)> = Vec::new();
    all.extend(a.iter().map(|e| (e.now, !a_first, e.clone())));
    all.extend(b.iter().map(|e| (e.now, a_first, e.clone())));
    all.sort_by_key(|&(now, last, _)| (now, last));
    all.into_iter().map(|(.., event)| event).collect()
}

/// The dependency graph of a world as sets, found anew from its edges.
pub(crate) struct Graph {
    pub(crate) below: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    pub(crate) fn of(text: &str) -> Self {
        let mut below: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in text.split_whitespace().filter_map(|word| word.split_once('>')) {
            below.entry(to.to_owned()).or_default();
            let list = below.entry(from.to_owned()).or_default();
            if from != to {
                list.insert(to.to_owned());
            }
        }
        Self { below }
    }

    /// What an entity depends on within so many hops, itself included, with the distance.
    pub(crate) fn reach(&self, from: &str, hops: u8) -> BTreeMap<String, u8> {
        let mut found = BTreeMap::from([(from.to_owned(), 0)]);
        let mut edge = vec![from.to_owned()];
        for hop in 1..=hops {
            let next: BTreeSet<String> =
                edge.iter().filter_map(|n| self.below.get(n)).flatten().cloned().collect();
            edge = next.into_iter().filter(|n| !found.contains_key(n)).collect();
            found.extend(edge.iter().map(|n| (n.clone(), hop)));
        }
        found
    }

    /// What depends on an entity directly.
    pub(crate) fn dependents(&self, on: &str) -> BTreeSet<String> {
        let depends = |(_, list): &(&String, &BTreeSet<String>)| list.contains(on);
        self.below.iter().filter(depends).map(|(name, _)| name.clone()).collect()
    }
}
