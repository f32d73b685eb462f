//! `run`: the daemon.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use hypocenter_engine::{HashSeed, Snapshot, Topology, TopologyBuilder};
use signal_hook::consts::SIGHUP;
use tracing::{info, warn};

use super::outputs::outbox;
use super::reload::Reloader;
use super::replay::decode_options;
use super::servers::Servers;
use super::{Exit, Failure, load_holds, load_topology, verdicts};
use crate::board::Board;
use crate::cli::RunArgs;
use crate::clock;
use crate::config::{Config, Input, KafkaInput, OffsetReset, State, TopologyConfig};
use crate::logging;
use crate::metrics::{Info, Metrics};
use crate::neighbours::Holds;
use crate::pipeline::{Changes, Pipeline, PipelineError, remote};
use crate::shard::Setup;
use crate::source::file::{FileSource, LINE_BYTES_MAX};
use crate::source::http::{HttpSource, Queue};
use crate::source::kafka::{FirstStart, KafkaSource, KafkaSourceConfig};
use crate::source::several::Several;
use crate::source::stdin::StdinSource;
use crate::source::{Resume, Source, SourceError};
use crate::state::Store;
use crate::topology::watch::GraphWatch;
use crate::topology_file::TopologyFile;
use crate::wire::Options;

/// Does what `run` asks for.
///
/// # Errors
/// [`Failure`] with the exit code.
pub fn run(args: &RunArgs) -> Result<(), Failure> {
    let config = Reloader::load(args)?;
    let level = logging::init(config.log);
    let stop = stop_on_signals()?;
    let metrics = Metrics::default();
    let reloader = Reloader::new(args, &metrics, level);
    reload_on_signal(&reloader)?;
    let by_request = Arc::clone(&reloader);
    let feedback = verdicts::open(&config.feedback, &metrics)?;
    let _reader = verdicts::read_topic(&config.feedback, feedback.as_ref())?;
    let guarded = verdicts::guard(&config.feedback, feedback)?;
    let reload = Arc::new(move || by_request.reload());
    let servers = Servers::start(&config, &metrics, reload, guarded)?;
    let ready = servers.readiness();
    let outcome = setup(&config).and_then(|mut setup| {
        let store = store(&config, &mut setup)?;
        let (remote, changes) = remote();
        let graph = watch_graph(&config, &mut setup, &metrics)?;
        if let (Some(store), Some(_)) = (&store, &graph) {
            let first = Snapshot::new(setup.topology.clone(), &setup.policy);
            store.exchange(setup.policy.clone(), Arc::new(first));
        }
        reloader.runs(&config, &setup, remote, servers.posted().cloned(), graph)?;
        let inlet = Inlet {
            changes: Some(changes),
            store,
            queue: servers.queue().cloned(),
            board: Some(servers.board().clone()),
            ready: &|state| ready.set(state),
        };
        serve(&config, setup, &metrics, &stop, inlet)
    });
    servers.stop();
    if outcome.is_ok() {
        info!("exiting gracefully");
    }
    outcome.map(drop)
}

/// What the servers and the pipeline have to do with each other.
pub struct Inlet<'a> {
    /// What is posted to us.
    pub queue: Option<Queue>,
    /// Where readers see what is decided.
    pub board: Option<Board>,
    /// What is asked of the running pipeline.
    pub changes: Option<Changes>,
    /// Where snapshots are kept.
    pub store: Option<Arc<Store>>,
    /// Hears when the pipeline is ready, and is not.
    pub ready: &'a dyn Fn(bool),
}

impl Default for Inlet<'_> {
    fn default() -> Self {
        Self { queue: None, board: None, changes: None, store: None, ready: &|_| () }
    }
}

/// Reads, decides and writes under a configuration until the input ends or `stop` is set.
/// Decision latencies are returned, in nanoseconds.
///
/// # Errors
/// [`Failure`] with the exit code.
pub fn serve(
    config: &Config,
    setup: Setup,
    metrics: &Metrics,
    stop: &Arc<AtomicBool>,
    inlet: Inlet<'_>,
) -> Result<Histogram<u64>, Failure> {
    describe(metrics, &setup);
    let mut outbox = outbox(config, metrics).map_err(|e| Failure::new(Exit::Unavailable, e))?;
    if let Some(board) = &inlet.board {
        outbox = outbox.with_board(board.clone());
    }
    let store = inlet.store.as_ref();
    let mut source =
        source(&config.input, &inlet, store).map_err(|e| Failure::new(Exit::Unavailable, e))?;
    (inlet.ready)(true);
    let mut pipeline = Pipeline::new(setup, outbox, metrics.clone());
    if let Some(store) = inlet.store {
        pipeline = pipeline.with_snapshots(store);
    }
    if let Some(changes) = inlet.changes {
        pipeline = pipeline.with_changes(changes);
    }
    let outcome = pipeline.run(source.as_mut(), stop);
    (inlet.ready)(false);
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
        None if !config.topology.sources.is_empty() => {}
        None => warn!("no topology: alerts are grouped by their own entity alone"),
        Some(found) if found.report.is_clean() => info!(entities, dependencies, "topology"),
        Some(_) => {
            warn!(entities, dependencies, "topology has faults; `check topology` lists them");
        }
    }
    let holds = load_holds(&config.neighbours.rules)?;
    Ok(Setup { holds, ..setup_with(config, topology) })
}

/// Asks the sources of the graph, if there are any besides its file; what they answer at once is
/// the graph that the engines begin with.
fn watch_graph(
    config: &Config,
    setup: &mut Setup,
    metrics: &Metrics,
) -> Result<Option<GraphWatch>, Failure> {
    let TopologyConfig { sources, cache } = &config.topology;
    if sources.is_empty() {
        return Ok(None);
    }
    let fixed = (&setup.topology, cache.as_deref());
    let watch = GraphWatch::start(sources, fixed, &config.policy, metrics)
        .map_err(|why| Failure::new(Exit::Unavailable, why))?;
    setup.topology = watch.topology();
    Ok(Some(watch))
}

/// What a configuration and a graph come to.
#[must_use]
pub fn setup_with(config: &Config, topology: Topology) -> Setup {
    let decode = decoding(config);
    // Senders must not be able to guess the key of the hash tables. It changes no decision.
    let seed = HashSeed(clock::wall().as_nanos() as u64 ^ u64::from(std::process::id()) << 32);
    Setup { policy: config.policy.clone(), topology, seed, decode, holds: Holds::default() }
}

/// What the decoder accepts of this input.
pub(super) fn decoding(config: &Config) -> Options {
    let mut decode = decode_options(config);
    if matches!(config.input, Input::File { .. }) {
        decode.body_bytes_max = LINE_BYTES_MAX;
    }
    decode
}

pub(super) fn describe(metrics: &Metrics, setup: &Setup) {
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    metrics.describe(Info {
        policy_hash: setup.policy.hash(),
        topology_version: setup.topology.version(),
        topology_entities: setup.topology.len() as u64,
        topology_dependencies: setup.topology.edges() as u64,
        started: started.as_secs(),
    });
}

/// Reads the configuration again at each SIGHUP, on a thread of its own.
fn reload_on_signal(reloader: &Arc<Reloader>) -> Result<(), Failure> {
    let failed = |error| Failure::new(Exit::Runtime, format!("signal {SIGHUP}: {error}"));
    let mut signals = signal_hook::iterator::Signals::new([SIGHUP]).map_err(failed)?;
    let reloader = Arc::clone(reloader);
    // Not joined: it waits for signals until the process ends.
    std::thread::Builder::new()
        .name("reload".to_owned())
        .spawn(move || {
            for _ in signals.forever() {
                // Told in the log and the metrics.
                drop(reloader.reload());
            }
        })
        .map_err(failed)?;
    Ok(())
}

fn stop_on_signals() -> Result<Arc<AtomicBool>, Failure> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let failed = |error| Failure::new(Exit::Runtime, format!("signal {signal}: {error}"));
        // The second of its kind ends the process at once.
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop))
            .map_err(failed)?;
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(failed)?;
    }
    Ok(stop)
}

/// Where snapshots are kept, if they are. The graph becomes one that comes after that of the newest
/// snapshot, so that engines change over from theirs to it.
fn store(config: &Config, setup: &mut Setup) -> Result<Option<Arc<Store>>, Failure> {
    let State { dir, interval } = &config.state;
    let Some(dir) = dir else {
        return Ok(None);
    };
    let unavailable = |error| Failure::new(Exit::Unavailable, error);
    let store = Store::open(dir, *interval).map_err(unavailable)?;
    if let Some(before) = store.last_graph() {
        setup.topology = match &config.topology_file {
            _ if before.version() == setup.topology.version() => before,
            Some(file) => {
                let found = TopologyFile::load_after(file, &before);
                found.map_err(|error| Failure::new(Exit::Invalid, error))?.topology
            }
            None => TopologyBuilder::new().build_after(&before).0,
        };
    }
    let graph = Snapshot::new(setup.topology.clone(), &setup.policy);
    store.exchange(setup.policy.clone(), Arc::new(graph));
    Ok(Some(Arc::new(store)))
}

fn source(
    input: &Input,
    inlet: &Inlet<'_>,
    store: Option<&Arc<Store>>,
) -> Result<Box<dyn Source>, SourceError> {
    match input {
        Input::File { paths } if paths.as_slice() == [PathBuf::from("-")] => {
            Ok(Box::new(StdinSource::new(clock::wall, LINE_BYTES_MAX)?))
        }
        Input::File { paths } => {
            let names = paths.iter().map(|path: &PathBuf| name(path)).collect();
            Ok(Box::new(FileSource::open(names)?))
        }
        Input::Http(http) => {
            let new = || Queue::new(http.queue, clock::wall);
            Ok(Box::new(HttpSource::new(inlet.queue.clone().unwrap_or_else(new))))
        }
        Input::Kafka(kafka) => {
            let mut sources: Vec<Box<dyn Source>> = Vec::new();
            for topic in &kafka.topics {
                let mut config = kafka_config(kafka, topic);
                config.resume = store.map(|store| Arc::clone(store) as Arc<dyn Resume>);
                sources.push(Box::new(KafkaSource::new(config)?));
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
