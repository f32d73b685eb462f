//! `demo`: a recorded outage through an embedded Kafka broker and the daemon's own pipeline.
//!
//! It knows the recording and its dependency graph, and nothing of what went wrong in it.

mod report;

use std::io::{self, IsTerminal, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use hypocenter_engine::Timestamp;
use indicatif::{ProgressBar, ProgressStyle};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use serde::Deserialize;

use super::{Exit, Failure, print, run};
use crate::cli::DemoArgs;
use crate::config::{Config, Input, KafkaInput, KafkaOutput, Log, LogLevel, Output};
use crate::kafka_mock::EmbeddedCluster;
use crate::logging;
use crate::metrics::{Metrics, Snapshot};
use crate::topology_file::TopologyFile;

/// Every request that a real Prometheus sent during an outage of a small shop.
const RECORDING: &[u8] = include_bytes!("../../../fixtures/recordings/streams/prom-a.jsonl.gz");
/// The shop's dependency graph.
const TOPOLOGY: &str = include_str!("../../../fixtures/recordings/topology.json");
const ALERTS: &str = "alerts";
const INCIDENTS: &str = "incidents";
/// Longest wait for everything to arrive.
const PATIENCE: Duration = Duration::from_secs(60);

/// Does what `demo` asks for.
///
/// # Errors
/// [`Failure`] with the exit code.
pub fn demo(args: &DemoArgs) -> Result<(), Failure> {
    let quiet = Log { level: LogLevel::Error, ..Log::default() };
    logging::init(super::log_of(args.log, quiet));
    let requests = recording()?;
    let cluster = EmbeddedCluster::start(&[(ALERTS, 1), (INCIDENTS, 1)]).map_err(failed)?;
    let brokers = cluster.bootstrap_servers().map_err(failed)?;
    let count = requests.len() as u64;
    eprintln!(
        "An embedded Kafka broker listens on {brokers}. {count} recorded requests of a real \
         Prometheus go to topic {ALERTS:?}; the daemon's pipeline reads them and writes topic \
         {INCIDENTS:?}.",
    );
    cluster.produce_recorded(ALERTS, 0, requests).map_err(failed)?;
    let started = Instant::now();
    let metrics = Metrics::default();
    let stop = Arc::new(AtomicBool::new(false));
    let pipeline = {
        let (config, metrics, stop) = (config(&brokers), metrics.clone(), Arc::clone(&stop));
        let topology = TopologyFile::parse(TOPOLOGY)
            .map_err(|problems| Failure::new(Exit::Invalid, format!("{problems:?}")))?
            .topology;
        thread::spawn(move || {
            let setup = run::setup_with(&config, topology);
            run::serve(&config, setup, &metrics, &stop, run::Inlet::default())
        })
    };
    let arrived = watch(&metrics, count, || pipeline.is_finished());
    stop.store(true, Ordering::Relaxed);
    let latency = pipeline
        .join()
        .map_err(|_| Failure::new(Exit::Runtime, "the pipeline's thread panicked"))??;
    if !arrived {
        let what = format!("not every input was decided within {} s", PATIENCE.as_secs());
        return Err(Failure::new(Exit::Runtime, what));
    }
    let records = read_all(&brokers)?;
    let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let report = report::Report {
        records: &records,
        counters: &metrics.snapshot(),
        latency: &latency,
        elapsed: started.elapsed(),
        colour,
    };
    print(&report.to_string())
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Runtime, error)
}

/// One line of the recording: a request as it was received.
#[derive(Deserialize)]
struct Request {
    t: f64,
    body: String,
}

fn recording() -> Result<Vec<(Timestamp, String)>, Failure> {
    let mut text = String::new();
    GzDecoder::new(RECORDING).read_to_string(&mut text).map_err(failed)?;
    let request = |line: &str| -> Result<(Timestamp, String), Failure> {
        let request: Request = serde_json::from_str(line).map_err(failed)?;
        Ok((Timestamp::from_millis((request.t * 1e3) as i64), request.body))
    };
    text.lines().map(request).collect()
}

/// The daemon's configuration: all defaults but for the broker.
fn config(brokers: &str) -> Config {
    let brokers = vec![brokers.to_owned()];
    Config {
        input: Input::Kafka(KafkaInput {
            brokers: brokers.clone(),
            topics: vec![ALERTS.to_owned()],
            group: "demo".to_owned(),
            // The mock broker cannot look positions up by time; there is nothing to rebuild.
            replay_window: Duration::ZERO,
            ..KafkaInput::default()
        }),
        outputs: vec![Output::Kafka(KafkaOutput {
            brokers,
            topic: INCIDENTS.to_owned(),
            ..KafkaOutput::default()
        })],
        ..Config::default()
    }
}

/// Shows progress until every input is decided and what it caused has arrived. Whether it has.
fn watch(metrics: &Metrics, count: u64, is_finished: impl Fn() -> bool) -> bool {
    let bar =
        if io::stderr().is_terminal() { ProgressBar::new(count) } else { ProgressBar::hidden() };
    let style = "{bar:40} {pos}/{len} requests  {msg}";
    bar.set_style(ProgressStyle::with_template(style).unwrap_or(ProgressStyle::default_bar()));
    let until = Instant::now() + PATIENCE;
    let mut arrived = false;
    while !arrived && !is_finished() && Instant::now() < until {
        thread::sleep(Duration::from_millis(20));
        let Snapshot { records, shards, events_accepted, incidents_opened, .. } =
            metrics.snapshot();
        bar.set_position(records);
        bar.set_message(format!("{events_accepted} events, {incidents_opened} incidents opened"));
        arrived = shards.iter().any(|shard| shard.committed >= count);
    }
    bar.finish_and_clear();
    arrived
}

/// Every record of the incidents topic, read by a client of its own.
fn read_all(brokers: &str) -> Result<Vec<serde_json::Value>, Failure> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "demo-reader")
        .create()
        .map_err(failed)?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(INCIDENTS, 0, Offset::Beginning).map_err(failed)?;
    consumer.assign(&list).map_err(failed)?;
    let (_, end) = consumer.fetch_watermarks(INCIDENTS, 0, PATIENCE).map_err(failed)?;
    let mut records = Vec::new();
    let until = Instant::now() + PATIENCE;
    let mut next = 0;
    while next < end && Instant::now() < until {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let message = message.map_err(failed)?;
        next = message.offset() + 1;
        let payload = message.payload().unwrap_or_default();
        records.push(serde_json::from_slice(payload).map_err(failed)?);
    }
    Ok(records)
}
