//! What a change of the graph costs, measured: run in release mode, by `.ci/run topology`.
//!
//! Not part of the usual tests: figures depend on the machine, and are printed and not asserted.

#![expect(clippy::disallowed_methods, reason = "the size is the caller's choice")]
#![expect(clippy::disallowed_types, reason = "this measures time")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use hypocenter_engine::{
    AlertEvent, Decisions, Engine, HashSeed, LabelLimits, Labels, Policy, Progress, Seq, Snapshot,
    Span, Timestamp, Topology, TopologyBuilder,
};

/// A small generator of numbers, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % bound
    }
}

fn name(number: usize) -> String {
    format!("service/shop/service-{number:06}")
}

/// Each entity depends on ten earlier ones, often on the same few; the last thousand differ from
/// one generation to the next.
fn builder(entities: usize, edges: usize, generation: usize) -> TopologyBuilder {
    let mut numbers = Numbers(7);
    let mut builder = TopologyBuilder::new();
    let per_entity = edges / entities;
    for from in 1..entities {
        for _ in 0..per_entity {
            let near = from.min(1 + numbers.below(1000));
            let to = if numbers.below(4) == 0 { numbers.below(near) } else { from - near };
            builder.edge(&name(from), &name(to));
        }
        if from + 1000 >= entities {
            builder.edge(&name(from), &format!("pod/shop/p-{from}-{generation}"));
        }
    }
    builder
}

struct Load {
    engine: Engine,
    said: Decisions,
    seq: u64,
    numbers: Numbers,
    entities: usize,
}

impl Load {
    /// One event; how long it took, and the longest that this thread was kept from running while
    /// it did nothing at all for as long.
    fn event(&mut self) -> Duration {
        self.seq += 1;
        let now = Timestamp::from_millis(1_800_000_000_000).plus(Span::from_millis(self.seq * 5));
        let entity = name(self.numbers.below(self.entities / 50) * 50);
        let rule = format!("Latency{}", self.numbers.below(3));
        let mut pairs = vec![("alertname", rule.as_str()), ("service", entity.as_str())];
        let labels = Labels::canonical(&mut pairs, &LabelLimits::default()).expect("valid");
        let ends_at = Some(now.plus(Span::from_secs(120)));
        let event = AlertEvent {
            labels,
            starts_at: Some(now),
            ends_at,
            held: Span::ZERO,
            status: None,
            breach: None,
        };
        let began = Instant::now();
        self.said.clear();
        while self.engine.advance(now, &mut self.said) == Progress::More {
            self.said.clear();
        }
        self.engine.apply(Seq(self.seq), &event, now, &mut self.said);
        began.elapsed()
    }

    fn run(&mut self, events: usize) -> Vec<Duration> {
        (0..events).map(|_| self.event()).collect()
    }
}

fn shown(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    format!(
        "p50 {:?}, p99.9 {:?}, p99.99 {:?}, worst {:?}",
        at(0.5),
        at(0.999),
        at(0.9999),
        at(1.0)
    )
}

#[test]
#[ignore = "measures; needs release mode"]
fn a_change_of_the_graph_under_load() {
    let number = |name: &str, usual: usize| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
    };
    let (entities, edges) = (number("SWAP_ENTITIES", 20_000), number("SWAP_EDGES", 200_000));
    let events = number("SWAP_EVENTS", 200_000);
    let policy = Policy::default();
    let began = Instant::now();
    let (first, _) = builder(entities, edges, 0).build();
    let built = began.elapsed();
    let snapshot = Snapshot::new(first, &policy);
    let ready = began.elapsed();
    let (bytes, all) = (snapshot.bytes(), snapshot.topology().edges());
    println!(
        "topology: {} entities, {all} dependencies: built in {built:?}, with walks in {ready:?}, {} bytes a dependency",
        snapshot.topology().len(),
        bytes / all
    );
    let mut graph = Arc::new(snapshot);
    let engine = Engine::on(policy.clone(), Arc::clone(&graph), "swap/0", HashSeed(1));
    let mut load = Load { engine, said: Decisions::new(), seq: 0, numbers: Numbers(3), entities };
    load.run(events / 4);
    println!("topology: without a change: {}", shown(load.run(events)));
    let (mut swaps, mut times, mut kept) = (Vec::new(), Vec::new(), Vec::<Arc<Snapshot>>::new());
    for generation in 1..=4 {
        // Made on another thread as the daemon does, beside the events.
        let (before, policy) = (graph.topology().clone(), policy.clone());
        let maker = std::thread::spawn(move || {
            let began = Instant::now();
            let (next, _) = builder(entities, edges, generation).build_after(&before);
            (Arc::new(Snapshot::new(next, &policy)), began.elapsed())
        });
        while !maker.is_finished() {
            times.extend(load.run(100));
        }
        let (next, took) = maker.join().expect("made");
        kept.push(std::mem::replace(&mut graph, Arc::clone(&next)));
        let now = load.engine.now();
        let (live, began) = (load.engine.incidents_live(), Instant::now());
        load.said.clear();
        load.engine.set_topology(next, now, &mut load.said).expect("it fits");
        swaps.push(began.elapsed());
        println!(
            "topology: made in {took:?}, exchanged in {:?} under {live} incidents",
            began.elapsed()
        );
        times.extend(load.run(events / 4));
    }
    println!("topology: while it is made and after: {}", shown(times));
    // The machine's own stalls: a thread that does nothing but look at the clock.
    let (mut last, mut gaps) = (Instant::now(), Vec::new());
    for _ in 0..events * 4 {
        let now = Instant::now();
        gaps.push(now - last);
        last = now;
    }
    println!("topology: the machine's own stalls: {}", shown(gaps));
    assert!(
        graph.topology().comes_after(&Topology::default())
            || load.engine.stats().topology_changes == 4
    );
}
