//! `run`: the daemon.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use hypocenter_engine::{HashSeed, Topology};
use tracing::{info, warn};

use super::replay::decode_options;
use super::{Exit, Failure, load_config, load_holds, load_topology};
use crate::admin::{Admin, Guarded};
use crate::cli::RunArgs;
use crate::clock;
use crate::config::{Config, Feedback as FeedbackConfig, Input, KafkaInput, OffsetReset, Output};
use crate::feedback::http::TOKEN_BYTES_MIN;
use crate::feedback::topic::Reader;
use crate::feedback::{Feedback, Log};
use crate::logging;
use crate::metrics::{Info, Metrics};
use crate::neighbours::Holds;
use crate::neighbours::watch::Watch;
use crate::outbox::Outbox;
use crate::pipeline::{Pipeline, PipelineError};
use crate::shard::Setup;
use crate::sink::alertmanager::AlertmanagerSink;
use crate::sink::file::FileSink;
use crate::sink::kafka::{KafkaSink, KafkaSinkConfig};
use crate::sink::stdout::StdoutSink;
use crate::sink::webhook::{WebhookOptions, WebhookSink};
use crate::sink::{Sink, SinkError};
use crate::source::file::{FileSource, LINE_BYTES_MAX};
use crate::source::kafka::{FirstStart, KafkaSource, KafkaSourceConfig};
use crate::source::several::Several;
use crate::source::stdin::StdinSource;
use crate::source::{Source, SourceError};

/// Does what `run` asks for.
///
/// # Errors
/// [`Failure`] with the exit code.
pub fn run(args: &RunArgs) -> Result<(), Failure> {
    let mut config = load_config(&args.common)?;
    if let Some(address) = args.web_listen_address {
        config.web.listen_address = address;
    }
    logging::init(config.log);
    let stop = stop_on_signals()?;
    let metrics = Metrics::default();
    let feedback = feedback(&config.feedback, &metrics)?;
    let guarded = guarded(&config.feedback, feedback.as_ref())?;
    let _reader = feedback_reader(&config.feedback, feedback.as_ref())?;
    let admin = Admin::start_with(config.web.listen_address, metrics.clone(), guarded)
        .map_err(|error| Failure::new(Exit::Runtime, error))?;
    info!(address = %admin.address(), "serving metrics and health");
    let ready = admin.readiness();
    let outcome = setup(&config)
        .and_then(|setup| serve(&config, setup, &metrics, &stop, &|state| ready.set(state)));
    admin.stop();
    if outcome.is_ok() {
        info!("exiting gracefully");
    }
    outcome.map(drop)
}

/// Reads, decides and writes under a configuration until the input ends or `stop` is set.
/// Decision latencies are returned, in nanoseconds. `ready` hears when it is, and is not.
///
/// # Errors
/// [`Failure`] with the exit code.
pub fn serve(
    config: &Config,
    setup: Setup,
    metrics: &Metrics,
    stop: &Arc<AtomicBool>,
    ready: &dyn Fn(bool),
) -> Result<Histogram<u64>, Failure> {
    describe(metrics, &setup);
    let outbox = outbox(config, metrics).map_err(|e| Failure::new(Exit::Unavailable, e))?;
    let mut source = source(&config.input).map_err(|e| Failure::new(Exit::Unavailable, e))?;
    let _watch = watch_rules(config, &setup, metrics)?;
    ready(true);
    let mut pipeline = Pipeline::new(setup, outbox, metrics.clone());
    let outcome = pipeline.run(source.as_mut(), stop);
    ready(false);
    let failed = |error| {
        let exit = match error {
            PipelineError::Source(_) => Exit::Unavailable,
            PipelineError::Sink(_) | PipelineError::Drain { .. } => Exit::Runtime,
        };
        Failure::new(exit, error)
    };
    outcome.map_err(failed)?;
    Ok(pipeline.outbox().latency().clone())
}

fn setup(config: &Config) -> Result<Setup, Failure> {
    let (topology, found) = load_topology(config.topology_file.as_deref())?;
    let (entities, dependencies) = (topology.len(), topology.edges());
    match found {
        None => warn!("no topology: alerts are grouped by their own entity alone"),
        Some(found) if found.report.is_clean() => info!(entities, dependencies, "topology"),
        Some(_) => {
            warn!(entities, dependencies, "topology has faults; `check topology` lists them");
        }
    }
    let holds = load_holds(&config.neighbours.rules)?;
    Ok(Setup { holds, ..setup_with(config, topology) })
}

/// What a configuration and a graph come to.
#[must_use]
pub fn setup_with(config: &Config, topology: Topology) -> Setup {
    let mut decode = decode_options(config);
    if matches!(config.input, Input::File { .. }) {
        decode.body_bytes_max = LINE_BYTES_MAX;
    }
    // Senders must not be able to guess the key of the hash tables. It changes no decision.
    let seed = HashSeed(clock::wall().as_nanos() as u64 ^ u64::from(std::process::id()) << 32);
    Setup { policy: config.policy.clone(), topology, seed, decode, holds: Holds::default() }
}

/// Asks Prometheus for its rules from now on, if there is one to ask.
fn watch_rules(
    config: &Config,
    setup: &Setup,
    metrics: &Metrics,
) -> Result<Option<Watch>, Failure> {
    let rules = &config.neighbours.rules;
    if rules.urls.is_empty() {
        return Ok(None);
    }
    let watch = Watch::start(rules, &setup.holds, metrics);
    watch.map(Some).map_err(|why| Failure::new(Exit::Unavailable, why))
}

fn describe(metrics: &Metrics, setup: &Setup) {
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    metrics.describe(Info {
        policy_hash: setup.policy.hash(),
        topology_version: setup.topology.version(),
        topology_entities: setup.topology.len() as u64,
        topology_dependencies: setup.topology.edges() as u64,
        started: started.as_secs(),
    });
}

/// The feedback log, if one is configured; shown in the metrics.
fn feedback(config: &FeedbackConfig, metrics: &Metrics) -> Result<Option<Arc<Feedback>>, Failure> {
    let Some(file) = &config.file else {
        return Ok(None);
    };
    let log = Log::new(file, config.bounds);
    let feedback = Feedback::open(log, config.objective)
        .map_err(|error| Failure::new(Exit::Unavailable, error))?;
    let feedback = Arc::new(feedback);
    metrics.watch_feedback(Arc::clone(&feedback));
    info!(file = %file.display(), "keeping feedback");
    Ok(Some(feedback))
}

/// The feedback log for HTTP clients, if there is a token for them.
fn guarded(
    config: &FeedbackConfig,
    feedback: Option<&Arc<Feedback>>,
) -> Result<Option<Guarded>, Failure> {
    let Some((file, feedback)) = config.token_file.as_ref().zip(feedback) else {
        return Ok(None);
    };
    let token = read_token(file)?;
    Ok(Some(Guarded { feedback: Arc::clone(feedback), token: token.into() }))
}

/// The token in a file; white space around it does not count.
///
/// # Errors
/// [`Failure`] when it cannot be read, or is too short.
pub(super) fn read_token(file: &Path) -> Result<String, Failure> {
    let failed = |what: String| Failure::new(Exit::Invalid, format!("{}: {what}", file.display()));
    let text = crate::text_file::read(file, 4096).map_err(failed)?;
    let token = text.trim();
    if token.len() < TOKEN_BYTES_MIN || token.contains(char::is_whitespace) {
        let what = format!("must hold one token of at least {TOKEN_BYTES_MIN} characters");
        return Err(failed(what));
    }
    Ok(token.to_owned())
}

fn feedback_reader(
    config: &FeedbackConfig,
    feedback: Option<&Arc<Feedback>>,
) -> Result<Option<Reader>, Failure> {
    let Some((kafka, feedback)) = config.kafka.as_ref().zip(feedback) else {
        return Ok(None);
    };
    let mut source = KafkaSourceConfig::new(&kafka.brokers.join(","), &kafka.topic, &kafka.group);
    // There is no state to rebuild.
    source.replay_window = std::time::Duration::ZERO;
    source.properties.extend(kafka.properties.clone());
    let source =
        KafkaSource::new(source).map_err(|error| Failure::new(Exit::Unavailable, error))?;
    let reader = Reader::start(Box::new(source), Arc::clone(feedback))
        .map_err(|error| Failure::new(Exit::Runtime, format!("no thread for feedback: {error}")))?;
    Ok(Some(reader))
}

fn stop_on_signals() -> Result<Arc<AtomicBool>, Failure> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let stop = Arc::new(AtomicBool::new(false));
    // There is no reload yet; who asks for one must not end the process by it.
    let ignored = Arc::new(AtomicBool::new(false));
    let failed = |error| Failure::new(Exit::Runtime, format!("signal {SIGHUP}: {error}"));
    signal_hook::flag::register(SIGHUP, ignored).map_err(failed)?;
    for signal in [SIGINT, SIGTERM] {
        let failed = |error| Failure::new(Exit::Runtime, format!("signal {signal}: {error}"));
        // The second of its kind ends the process at once.
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop))
            .map_err(failed)?;
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(failed)?;
    }
    Ok(stop)
}

fn outbox(config: &Config, metrics: &Metrics) -> Result<Outbox, SinkError> {
    let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
    for output in &config.outputs {
        sinks.push(match output {
            Output::Stdout => Box::new(StdoutSink::new(metrics.sink("stdout"))),
            Output::File { path } => Box::new(FileSink::open(path, metrics.sink("file"))?),
            Output::Webhook(webhook) => {
                let mut options = WebhookOptions::new(&webhook.url, webhook.timeout);
                options.http = webhook.http.clone();
                Box::new(WebhookSink::start(&options, metrics.sink("webhook"))?)
            }
            Output::Alertmanager(output) => {
                let tenant = config.policy.spec().labels.tenant.as_deref();
                Box::new(AlertmanagerSink::start(output, tenant, metrics)?)
            }
            Output::Kafka(kafka) => {
                let mut sink = KafkaSinkConfig::new(&kafka.brokers.join(","), &kafka.topic);
                sink.properties.extend(kafka.properties.clone());
                Box::new(KafkaSink::new(sink)?.counted(metrics.sink("kafka")))
            }
        });
    }
    let outbox = Outbox::new(sinks);
    let Input::Kafka(input) = &config.input else {
        return Ok(outbox);
    };
    let Some(topic) = &input.dead_letter_topic else {
        return Ok(outbox);
    };
    let mut sink = KafkaSinkConfig::new(&input.brokers.join(","), topic);
    sink.properties.extend(input.properties.clone());
    Ok(outbox.with_dead_letters(KafkaSink::new(sink)?, topic.clone()))
}

fn source(input: &Input) -> Result<Box<dyn Source>, SourceError> {
    match input {
        Input::File { paths } if paths.as_slice() == [PathBuf::from("-")] => {
            Ok(Box::new(StdinSource::new(clock::wall, LINE_BYTES_MAX)?))
        }
        Input::File { paths } => {
            let names = paths.iter().map(|path: &PathBuf| name(path)).collect();
            Ok(Box::new(FileSource::open(names)?))
        }
        Input::Kafka(kafka) => {
            let mut sources: Vec<Box<dyn Source>> = Vec::new();
            for topic in &kafka.topics {
                sources.push(Box::new(KafkaSource::new(kafka_config(kafka, topic))?));
            }
            match sources.pop() {
                Some(only) if sources.is_empty() => Ok(only),
                last => Ok(Box::new(Several::new(sources.into_iter().chain(last).collect()))),
            }
        }
    }
}

fn name(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// How to read one topic of a Kafka input.
pub(super) fn kafka_config(kafka: &KafkaInput, topic: &str) -> KafkaSourceConfig {
    let mut config = KafkaSourceConfig::new(&kafka.brokers.join(","), topic, &kafka.group);
    config.replay_window = kafka.replay_window;
    config.commit_interval = kafka.commit_interval;
    config.startup_timeout = kafka.startup_timeout;
    config.first_start = match kafka.offset_reset {
        OffsetReset::Earliest => FirstStart::Earliest,
        OffsetReset::Latest => FirstStart::Latest,
        OffsetReset::Error => FirstStart::Error,
    };
    config.properties.extend(kafka.properties.clone());
    if let Some(id) = &kafka.group_instance_id {
        // Each topic is a member of the group of its own, and no two may share an instance id.
        let id = if kafka.topics.len() > 1 { format!("{id}-{topic}") } else { id.clone() };
        config.properties.insert("group.instance.id".to_owned(), id);
    }
    config
}
