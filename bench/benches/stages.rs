//! What each stage of an event's way costs: decoding, a repeat, a new alert, an expiry.
//!
//! `cargo bench -p hypocenter-bench`; with `-- --test` each runs once, small, so that none rots.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use hypocenter::wire::{Decoder, Options};
use hypocenter_engine::{
    AlertEvent, Decisions, Engine, HashSeed, LabelLimits, Labels, Policy, Progress, Seq, Span,
    Status, Timestamp, Topology, TopologyBuilder,
};

/// Entities of the graph: each depends on up to four earlier ones, so that some become hubs.
const ENTITIES: usize = 10_000;
/// Alerts that are live while repeats come.
const LIVE: usize = 100_000;
/// Alerts of a storm.
const STORM: usize = 1_000;

/// A small generator of numbers, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

fn entity(number: usize) -> String {
    format!("service-{number:05}")
}

fn topology() -> Topology {
    let mut numbers = Numbers(1);
    let mut builder = TopologyBuilder::new();
    (0..ENTITIES).for_each(|number| builder.node(&entity(number)));
    for number in 1..ENTITIES {
        for _ in 0..numbers.below(5) {
            // Squaring prefers low numbers: the hubs.
            let at = numbers.below(number) * numbers.below(number) / number;
            builder.edge(&entity(number), &entity(at));
        }
    }
    builder.build().0
}

/// The labels of alert `number`, ten of them, sorted.
fn labels(number: usize) -> Vec<(String, String)> {
    let pair = |name: &str, value: String| (name.to_owned(), value);
    vec![
        pair("alertname", format!("HighLatency{}", number / ENTITIES)),
        pair("cluster", "eu-1".to_owned()),
        pair("container", "app".to_owned()),
        pair("instance", format!("10.0.{}.{}:9090", number / 256 % 256, number % 256)),
        pair("job", "kubernetes-pods".to_owned()),
        pair("namespace", "shop".to_owned()),
        pair("pod", format!("pod-{number:06}-x7k2p")),
        pair("service", entity(number % ENTITIES)),
        pair("severity", "critical".to_owned()),
        pair("team", "orders".to_owned()),
    ]
}

fn with_event<R>(
    labels: &[(String, String)],
    at: Timestamp,
    f: impl FnOnce(&AlertEvent<'_>) -> R,
) -> R {
    let mut pairs: Vec<(&str, &str)> =
        labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let labels = Labels::canonical(&mut pairs, &LabelLimits::default()).expect("valid");
    let (starts_at, status) = (Some(at), Some(Status::Firing));
    f(&AlertEvent { labels, starts_at, ends_at: None, held: Span::ZERO, status, breach: None })
}

fn engine(topology: &Topology) -> Engine {
    Engine::new(Policy::default(), topology.clone(), "test/0", HashSeed(7))
}

/// One alert of about 600 bytes as Prometheus sends it.
fn body(alerts: usize) -> Vec<u8> {
    let alert = |number: usize| {
        let labels: Vec<String> =
            labels(number).iter().map(|(n, v)| format!("\"{n}\":\"{v}\"")).collect();
        format!(
            "{{\"annotations\":{{\"summary\":\"p99 latency of {} is 1.52s\",\"value\":\"1.52\",\
             \"threshold\":\">1\"}},\"endsAt\":\"2026-11-22T06:34:24.785Z\",\
             \"startsAt\":\"2026-11-22T06:30:04.785Z\",\
             \"generatorURL\":\"http://prometheus.example:9090/graph?g0.expr=latency+%3E+1\",\
             \"labels\":{{{}}}}}",
            entity(number),
            labels.join(",")
        )
    };
    format!("[{}]", (0..alerts).map(alert).collect::<Vec<_>>().join(",")).into_bytes()
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    for alerts in [1, 50] {
        let body = body(alerts);
        let mut decoder = Decoder::new(Options::default());
        group.throughput(Throughput::Elements(alerts as u64));
        group.bench_function(format!("{alerts} alerts, {} bytes", body.len()), |b| {
            b.iter(|| {
                let mut count = 0;
                let outcome = decoder.decode(black_box(&body), &mut |alert| {
                    count += usize::from(black_box(alert).is_ok());
                });
                assert!(outcome.is_ok() && count == alerts);
            });
        });
    }
    group.finish();
}

fn start() -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000)
}

/// A repeat of one of many live alerts, which began over a day.
fn repeat(c: &mut Criterion) {
    let all: Vec<_> = (0..LIVE).map(labels).collect();
    let mut live = engine(&topology());
    let mut out = Decisions::new();
    for (number, alert) in all.iter().enumerate() {
        let at = start().plus(Span::from_millis(number as u64 * 86_400_000 / LIVE as u64));
        with_event(alert, at, |event| {
            let event = AlertEvent { ends_at: Some(Timestamp::MAX), ..*event };
            out.clear();
            live.apply(Seq(number as u64), &event, at, &mut out);
        });
    }
    let (mut numbers, end) = (Numbers(2), start().plus(Span::from_secs(86_400)));
    let mut group = c.benchmark_group("engine");
    group.throughput(Throughput::Elements(1));
    group.bench_function(format!("repeat, {LIVE} live"), |b| {
        b.iter_batched(
            || &all[numbers.below(LIVE)],
            |alert| {
                with_event(alert, start(), |event| {
                    out.clear();
                    live.apply(Seq(LIVE as u64), event, end, &mut out);
                });
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

/// New alerts of a storm: a thousand in ten seconds, anywhere in the graph.
fn new(c: &mut Criterion) {
    let (topology, all) = (topology(), (0..LIVE).map(labels).collect::<Vec<_>>());
    let mut out = Decisions::new();
    let mut group = c.benchmark_group("engine");
    group.throughput(Throughput::Elements(STORM as u64)).sample_size(20);
    group.bench_function(format!("new, storm of {STORM} on {ENTITIES} entities"), |b| {
        b.iter_batched(
            || (engine(&topology), Numbers(3)),
            |(mut engine, mut numbers)| {
                for number in 0..STORM {
                    let at = start().plus(Span::from_millis(number as u64 * 10));
                    with_event(&all[numbers.below(LIVE)], at, |event| {
                        out.clear();
                        engine.apply(Seq(number as u64), event, at, &mut out);
                    });
                }
                engine
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

/// Alerts that are unheard of for longer than the timeout.
fn expiry(c: &mut Criterion) {
    let (topology, all) = (topology(), (0..STORM).map(labels).collect::<Vec<_>>());
    let mut out = Decisions::new();
    let mut group = c.benchmark_group("engine");
    group.throughput(Throughput::Elements(STORM as u64)).sample_size(20);
    group.bench_function(format!("expiry of {STORM}"), |b| {
        b.iter_batched(
            || {
                let mut engine = engine(&topology);
                for (number, alert) in all.iter().enumerate() {
                    with_event(alert, start(), |event| {
                        out.clear();
                        engine.apply(Seq(number as u64), event, start(), &mut out);
                    });
                }
                engine
            },
            |mut engine| {
                let late = start().plus(Span::from_secs(301));
                let mut expired = Decisions::new();
                while engine.advance(late, &mut expired) == Progress::More {}
                assert_eq!(engine.stats().expired, STORM as u64);
                engine
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, decode, repeat, new, expiry);
criterion_main!(benches);
