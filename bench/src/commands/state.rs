//! `state`: how fast the state of an engine with many alerts is saved and restored.

use std::fmt::Write;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use clap::Args;
use hypocenter_engine::{
    AlertEvent, Decisions, Engine, HashSeed, LabelLimits, Labels, Policy, Progress, Seq, Span,
    Status, Timestamp, TopologyBuilder,
};

/// Which state to make, and how often to measure.
#[derive(Args, Clone, Debug)]
pub struct StateArgs {
    /// Alerts that fire.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    alerts: u32,
    /// Entities that they are about; each depends on the one of half its number.
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..))]
    entities: u32,
    /// Leave the graph out.
    #[arg(long)]
    no_topology: bool,
    /// How often to save and restore; the medians are printed.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

/// Makes the state, saves and restores it, and says how long that took.
///
/// # Errors
/// When an engine is not restored as it was.
pub fn state(args: &StateArgs) -> Result<String> {
    let mut builder = TopologyBuilder::new();
    for number in 1..if args.no_topology { 0 } else { args.entities } {
        builder.edge(&name(number), &name(number / 2));
    }
    let (topology, _) = builder.build();
    let mut engine = Engine::new(Policy::default(), topology, "bench/0", HashSeed(7));
    fill(&mut engine, args);
    let mut bytes = Vec::new();
    let (mut saving, mut restoring) = (Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        bytes.clear();
        let began = Instant::now();
        // Memory takes everything.
        engine.save::<anyhow::Error>(b"", &mut |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        saving.push(began.elapsed());
        let began = Instant::now();
        let restored = Engine::restore(&bytes, Policy::default(), engine.snapshot(), "bench/0")?;
        restoring.push(began.elapsed());
        if restored.footprint() != engine.footprint() {
            return Err(anyhow!("the restored engine holds something else"));
        }
    }
    let (size, mut text) = (bytes.len() as f64 / 1e6, String::new());
    let (alerts, incidents) = (engine.alerts_live(), engine.incidents_live());
    writeln!(text, "{alerts} alerts in {incidents} incidents: {size:.0} MB")?;
    for (what, times) in [("saved", &mut saving), ("restored", &mut restoring)] {
        let time = median(times).as_secs_f64();
        writeln!(text, "{what}: {:.0} ms, {:.0} MB/s", time * 1e3, size / time)?;
    }
    Ok(text)
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn name(number: u32) -> String {
    format!("service-{number:06}")
}

fn fill(engine: &mut Engine, args: &StateArgs) {
    let mut decisions = Decisions::new();
    let start = Timestamp::from_millis(1_800_000_000_000);
    for number in 0..args.alerts {
        let (rule, service) =
            (format!("Rule{}Latency", number / args.entities), name(number % args.entities));
        let instance = format!("10.0.{}.{}:9090", number / 256 % 256, number % 256);
        let mut pairs = vec![
            ("alertname", rule.as_str()),
            ("instance", instance.as_str()),
            ("service", service.as_str()),
            ("severity", "critical"),
        ];
        let Ok(labels) = Labels::canonical(&mut pairs, &LabelLimits::default()) else { continue };
        let now = start.plus(Span::from_millis(u64::from(number) / 10));
        let event = AlertEvent {
            labels,
            starts_at: Some(now),
            ends_at: Some(Timestamp::MAX),
            held: Span::ZERO,
            status: Some(Status::Firing),
            breach: None,
        };
        decisions.clear();
        while engine.advance(now, &mut decisions) == Progress::More {}
        engine.apply(Seq(u64::from(number)), &event, now, &mut decisions);
    }
}
