//! `explain`: why an incident is what it is, re-derived from its recorded input.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hypocenter_engine::{HashSeed, Timestamp, Topology};

use super::replay::decode_options;
use super::run::kafka_config;
use super::{Exit, Failure, load_config, load_holds, load_topology, print};
use crate::cli::{ExplainArgs, Format};
use crate::clock;
use crate::config::{Config, Input as ConfigInput};
use crate::explain::{Collector, Explanation};
use crate::logging;
use crate::shard::{Setup, ShardRunner};
use crate::source::file::{FileSource, LINE_BYTES_MAX};
use crate::source::kafka::once;
use crate::source::{Input, Polled, Record, Shard, Source};

/// Does what `explain` asks for.
///
/// # Errors
/// [`Failure`] with the exit code; [`Exit::Invalid`] when there is no such incident or alert.
pub fn explain(args: &ExplainArgs) -> Result<(), Failure> {
    let config = load_config(&args.common)?;
    logging::init(config.log);
    let (topology, _) = load_topology(config.topology_file.as_deref())?;
    let collector = match args.from.as_slice() {
        [kafka] if kafka == Path::new("kafka") => from_kafka(&config, topology, args.since)?,
        _ if args.since.is_some() => {
            return Err(Failure::new(Exit::Usage, "--since goes with --from kafka"));
        }
        files => from_files(&config, topology, files, args.shard.as_ref())?,
    };
    for text in collector.rejections() {
        eprintln!("warning: {text}");
    }
    let found = Explanation::of(&collector, &args.incident, args.alert.as_deref())
        .map_err(|error| Failure::new(Exit::Invalid, error))?;
    match args.format {
        Format::Text => print(&found.to_string()),
        Format::Json => match serde_json::to_string_pretty(&found) {
            Ok(text) => print(&(text + "\n")),
            Err(error) => unreachable!("an explanation is JSON: {error}"),
        },
    }
}

fn traced(setup: &Setup, shard: &Shard) -> ShardRunner {
    let mut runner = ShardRunner::new(setup, shard.clone(), 0);
    runner.start_trace();
    runner
}

fn setup(
    config: &Config,
    topology: Topology,
    body_bytes_max: usize,
) -> Result<(Setup, Collector), Failure> {
    let mut decode = decode_options(config);
    decode.body_bytes_max = body_bytes_max;
    let replica = config.policy.spec().labels.replica.clone();
    let collector = Collector::new(decode.clone(), replica);
    let (policy, holds) = (config.policy.clone(), load_holds(&config.neighbours.rules)?);
    Ok((Setup { policy, topology, seed: HashSeed(0), decode, holds }, collector))
}

fn from_files(
    config: &Config,
    topology: Topology,
    files: &[PathBuf],
    shard: Option<&Shard>,
) -> Result<Collector, Failure> {
    // A line of a file may be as long as the file source reads, whatever a network body may be.
    let (setup, mut collector) = setup(config, topology, LINE_BYTES_MAX)?;
    let names = files.iter().map(|file| file.to_string_lossy().into_owned()).collect();
    let mut source = FileSource::open(names).map_err(|e| Failure::new(Exit::Unavailable, e))?;
    let progress = source.progress();
    let mut runner: Option<ShardRunner> = None;
    loop {
        let polled = source.poll(Duration::ZERO, &mut |input| match input {
            Input::Assigned(assignment) => {
                runner = Some(traced(&setup, shard.unwrap_or(&assignment.shard)));
            }
            Input::Record(record) => {
                if let Some(runner) = &mut runner {
                    let (file, line) = progress.place(record.position).unwrap_or_default();
                    collector.look(&file, line, record.payload);
                    let shard = runner.shard().clone();
                    let record = Record { shard: &shard, ..record };
                    runner.record(&record, clock::wall(), &mut collector);
                }
            }
            Input::Batch(_) | Input::CaughtUp(_) | Input::Revoked(_) | Input::Lost(_) => {}
        });
        match polled {
            Ok(Polled::End) => return Ok(collector),
            Ok(_) => {}
            // What was read before the damage counts, and so do the files after it.
            Err(error) => eprintln!("warning: {error}"),
        }
    }
}

fn from_kafka(
    config: &Config,
    topology: Topology,
    since: Option<Duration>,
) -> Result<Collector, Failure> {
    let ConfigInput::Kafka(kafka) = &config.input else {
        let what = "--from kafka reads the topics of the configuration, whose input is not kafka; \
                    name the daemon's with --config.file";
        return Err(Failure::new(Exit::Usage, what));
    };
    let (setup, mut collector) = setup(config, topology, config.accept.body_bytes_max)?;
    let since = since.map(|since| {
        let millis = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(clock::wall().as_millis().saturating_sub(millis))
    });
    let mut runners: BTreeMap<Shard, ShardRunner> = BTreeMap::new();
    for topic in &kafka.topics {
        let mut each = |record: &Record<'_>| {
            let runner =
                runners.entry(record.shard.clone()).or_insert_with(|| traced(&setup, record.shard));
            collector.look(&record.shard.to_string(), record.position, record.payload);
            runner.record(record, clock::wall(), &mut collector);
        };
        once::read(&kafka_config(kafka, topic), since, &mut each)
            .map_err(|error| Failure::new(Exit::Unavailable, error))?;
    }
    Ok(collector)
}
