//! What no small graph shows: chance must not percolate through a large one.

use hypocenter_engine::{
    AlertEvent, Decisions, Engine, HashSeed, LabelLimits, Labels, Policy, Progress, Seq, Span,
    Status, Timestamp, Topology, TopologyBuilder,
};

const ENTITIES: usize = 10_000;

/// A small generator of numbers, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % bound
    }
}

fn name(number: usize) -> String {
    format!("service-{number:05}")
}

/// Preferential attachment: each entity depends on up to four earlier ones, chosen in proportion
/// to how many depend on them already. The largest hub comes with it.
fn graph(seed: u64) -> (Topology, usize) {
    let mut numbers = Numbers(seed);
    let mut builder = TopologyBuilder::new();
    let mut chosen = vec![0];
    let mut dependents = vec![0; ENTITIES];
    for from in 1..ENTITIES {
        for _ in 0..=numbers.below(4) {
            let to = match numbers.below(5) {
                0 | 1 => numbers.below(from),
                _ => chosen[numbers.below(chosen.len())],
            };
            builder.edge(&name(from), &name(to));
            chosen.push(to);
            dependents[to] += 1;
        }
    }
    let hub = (0..ENTITIES).max_by_key(|&n| dependents[n]).expect("not empty");
    (builder.build().0, hub)
}

/// Plays one latency alert on each entity at its time, in milliseconds; sizes of all incidents,
/// largest first.
fn play(topology: Topology, alerts: &mut [(u64, usize)]) -> Vec<usize> {
    alerts.sort_unstable();
    let mut engine = Engine::new(Policy::default(), topology, "scale/0", HashSeed(3));
    let mut out = Decisions::new();
    let start = Timestamp::from_millis(1_800_000_000_000);
    let mut end = start;
    for (seq, &(at, entity)) in alerts.iter().enumerate() {
        let (now, service) = (start.plus(Span::from_millis(at)), name(entity));
        let mut pairs =
            vec![("alertname", "LatencyHigh"), ("service", &service), ("severity", "warning")];
        let labels = Labels::canonical(&mut pairs, &LabelLimits::default()).expect("valid");
        let event = AlertEvent {
            labels,
            starts_at: Some(now),
            held: Span::ZERO,
            ends_at: Some(Timestamp::MAX),
            status: Some(Status::Firing),
            breach: None,
        };
        while engine.advance(now, &mut out) == Progress::More {}
        out.clear();
        engine.apply(Seq(seq as u64), &event, now, &mut out);
        end = now;
    }
    assert!(engine.now() == end);
    engine.check();
    let live = engine.incidents().filter(|incident| !incident.phase().is_final());
    let mut sizes: Vec<usize> = live.map(|incident| incident.member_counts().0).collect();
    sizes.sort_unstable_by_key(|&size| std::cmp::Reverse(size));
    sizes
}

/// E8, E10: five per cent of a large graph alert by chance within ten minutes, the hub among them.
#[test]
fn chance_does_not_percolate() {
    for seed in 1..=3 {
        let (topology, hub) = graph(seed);
        let mut numbers = Numbers(seed ^ 99);
        let mut alerts: Vec<(u64, usize)> = (0..ENTITIES / 20)
            .map(|_| (numbers.below(600_000) as u64, numbers.below(ENTITIES)))
            .collect();
        alerts.push((300_000, hub));
        let sizes = play(topology, &mut alerts);
        assert!(sizes[0] <= 5, "seed {seed}: largest incidents {:?}", &sizes[..5]);
    }
}
