//! The threads that ask the sources of the graph, and the one that makes a graph of their answers.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use hypocenter_engine::{Policy, Snapshot, Topology};

use super::merge::{Layers, Trust};
use super::source::SourceSpec;
use super::{Format, Layer, Places, export};
use crate::backoff::Backoff;
use crate::clock;
use crate::metrics::{ClientCounters, Metrics};
use crate::pipeline::{Pipeline, Remote};

/// The first pause after a failure.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// How long a start waits for the first answers, so that the first alerts find a graph.
const FIRST_MAX: Duration = Duration::from_secs(5);
/// A source is stale when it has not answered for so many refreshes.
const STALE_AFTER: u32 = 3;

/// Keeps the graph as its sources tell it. Dropping it ends its threads after the requests under
/// way.
#[derive(Debug)]
pub struct GraphWatch {
    head: Head,
    fix: Sender<Topology>,
    waiting: Option<Waiting>,
    _stop: Sender<()>,
}

/// A keeper before its thread, and what it will hear.
type Waiting = (Keeper, Receiver<News>, Receiver<Topology>, Receiver<()>);

/// The graph made last.
type Head = Arc<Mutex<Topology>>;

/// What a source has to say.
#[derive(Debug)]
enum News {
    Told(usize, Layer),
    Failed(usize),
}

impl GraphWatch {
    /// Starts to ask, and waits a moment for the first answers. `fixed` is the graph of
    /// `topology.file`. Until a source answers, the graph last written to `cache` serves.
    ///
    /// # Errors
    /// Why a file of `tls_config` cannot be used, or there can be no thread.
    pub fn start(
        sources: &[SourceSpec],
        (fixed, cache): (&Topology, Option<&Path>),
        policy: &Policy,
        metrics: &Metrics,
    ) -> Result<Self, String> {
        let (stop, stopped) = bounded(0);
        let (tell, told) = unbounded();
        let (fix, is_fixed) = unbounded();
        for (number, source) in sources.iter().enumerate() {
            let asker = Asker {
                number,
                client: source.client().map_err(|why| format!("{}: {why}", source.name))?,
                counters: metrics.client("topology", &source.name),
                source: source.clone(),
                tell: tell.clone(),
            };
            let stopped: Receiver<()> = stopped.clone();
            spawn(format!("graph-{number}"), move || asker.run(&stopped))?;
        }
        let mut keeper = Keeper::new(sources, fixed, policy, metrics);
        keeper.cache = cache.map(Path::to_owned);
        keeper.begin(&told);
        let head = Arc::clone(&keeper.head);
        let waiting = Some((keeper, told, is_fixed, stopped));
        Ok(Self { head, fix, waiting, _stop: stop })
    }

    /// The graph made last.
    #[must_use]
    pub fn topology(&self) -> Topology {
        locked(&self.head).clone()
    }

    /// From now on, every new graph is put in place in this pipeline, whose first one is that of
    /// [`Self::topology`].
    ///
    /// # Errors
    /// That there can be no thread.
    pub fn follow(&mut self, remote: Remote) -> Result<(), String> {
        let Some((mut keeper, told, fixed, stopped)) = self.waiting.take() else { return Ok(()) };
        keeper.remote = Some(remote);
        spawn("graph".to_owned(), move || keeper.run(&told, &fixed, &stopped))
    }

    /// Takes another graph of `topology.file`.
    pub fn fix(&self, fixed: Topology) {
        // Without a reader the process ends.
        self.fix.send(fixed).ok();
    }
}

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let spawned = thread::Builder::new().name(name).spawn(run);
    spawned.map(drop).map_err(|error| format!("no thread for the graph: {error}"))
}

fn locked(head: &Head) -> std::sync::MutexGuard<'_, Topology> {
    head.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks one source.
struct Asker {
    number: usize,
    source: SourceSpec,
    client: Option<crate::http_client::Client>,
    counters: Arc<ClientCounters>,
    tell: Sender<News>,
}

impl Asker {
    fn run(&self, stopped: &Receiver<()>) {
        let mut backoff = Backoff::new(PAUSE_MIN, self.source.refresh.max(PAUSE_MIN));
        let mut pause = Duration::ZERO;
        loop {
            match stopped.recv_timeout(pause) {
                Err(RecvTimeoutError::Timeout) => {}
                _ => return,
            }
            ClientCounters::count(&self.counters.requests);
            let now = clock::wall();
            let (news, next) = match self.source.fetch(self.client.as_ref(), now.as_millis()) {
                Ok(layer) => {
                    self.counters.note_success(now);
                    if backoff.failures() > 0 {
                        tracing::info!(source = self.source.name, "the graph is told again");
                    }
                    backoff.succeeded();
                    (News::Told(self.number, layer), self.source.refresh)
                }
                Err(why) => {
                    ClientCounters::count(&self.counters.failures);
                    let next = backoff.failed();
                    // The first failure, and then ever fewer: 1, 2, 4, 8, ...
                    if backoff.failures().is_power_of_two() {
                        let (source, attempts) = (&self.source.name, backoff.failures());
                        tracing::warn!(source, attempts, why, "no graph; the last one is kept");
                    }
                    (News::Failed(self.number), next)
                }
            };
            if self.tell.send(news).is_err() {
                return;
            }
            pause = next;
        }
    }
}

/// Makes a graph of what the sources tell.
#[derive(Debug)]
struct Keeper {
    sources: Vec<SourceSpec>,
    layers: Layers,
    /// When each source was last believed.
    good_at: Vec<Option<Instant>>,
    policy: Policy,
    metrics: Metrics,
    cache: Option<PathBuf>,
    began: Instant,
    head: Head,
    remote: Option<Remote>,
    /// Graphs that engines may still hold. They are dropped here: freeing a large one takes longer
    /// than an engine may wait.
    retired: Vec<Arc<Snapshot>>,
    is_stale: bool,
}

/// The layers that are no source's.
const FILE: &str = "topology.file";
const CACHE: &str = "topology.cache";

impl Keeper {
    fn new(sources: &[SourceSpec], fixed: &Topology, policy: &Policy, metrics: &Metrics) -> Self {
        let mut keeper = Self {
            sources: sources.to_vec(),
            layers: Layers::default(),
            good_at: vec![None; sources.len()],
            policy: policy.clone(),
            metrics: metrics.clone(),
            cache: None,
            began: Instant::now(),
            head: Arc::new(Mutex::new(fixed.clone())),
            remote: None,
            retired: Vec::new(),
            is_stale: false,
        };
        keeper.fix(fixed);
        keeper
    }

    /// Takes the graph of a file, which means what it leaves out.
    fn fix(&mut self, fixed: &Topology) {
        self.layers.remove(FILE);
        if !fixed.is_empty() {
            let told = self.layers.update(FILE, Layer::of(fixed), Trust::default(), 0);
            assert!(told.is_ok(), "a first layer is believed");
        }
    }

    /// Waits for the first answers, and makes the first graph.
    fn begin(&mut self, told: &Receiver<News>) {
        let deadline = Instant::now() + FIRST_MAX;
        let mut heard = vec![false; self.sources.len()];
        while !heard.iter().all(|heard| *heard) {
            let Ok(news) = told.recv_deadline(deadline) else { break };
            let (News::Told(number, _) | News::Failed(number)) = &news;
            heard[*number] = true;
            self.take(news);
        }
        if self.good_at.iter().any(Option::is_none) {
            self.read_cache();
        }
        self.put();
    }

    fn run(&mut self, told: &Receiver<News>, fixed: &Receiver<Topology>, stopped: &Receiver<()>) {
        loop {
            let mut is_news = false;
            crossbeam_channel::select! {
                recv(told) -> news => match news {
                    Ok(news) => is_news |= self.take(news),
                    Err(_) => return,
                },
                recv(fixed) -> fixed => {
                    let Ok(fixed) = fixed else { return };
                    self.fix(&fixed);
                    is_news = true;
                }
                recv(stopped) -> _ => return,
                default(Duration::from_secs(1)) => {}
            }
            while let Ok(news) = told.try_recv() {
                is_news |= self.take(news);
            }
            if is_news {
                self.put();
            }
            self.note_stale();
        }
    }

    /// Takes what a source tells. Whether the graph may be another one now.
    fn take(&mut self, news: News) -> bool {
        let News::Told(number, layer) = news else { return false };
        let source = &self.sources[number];
        let now = clock::wall().as_millis() / 1000;
        if self.layers.updated(&source.name).is_none() && layer.skipped.all() > 0 {
            let (source, left_out) = (&source.name, layer.skipped.to_string());
            tracing::info!(source, left_out, "what is no part of a graph");
        }
        match self.layers.update(&source.name, layer, source.trust, now) {
            Ok(()) => {
                self.good_at[number] = Some(Instant::now());
                if self.good_at.iter().all(Option::is_some) {
                    // All have answered: what was kept from before is no longer needed.
                    self.layers.remove(CACHE);
                }
                true
            }
            Err(refusal) => {
                let (source, why) = (&source.name, refusal.to_string());
                tracing::warn!(source, why, "no graph; the last one is kept");
                false
            }
        }
    }

    /// Puts the graph of all layers in place, if it is another one.
    fn put(&mut self) {
        self.retired.retain(|graph| Arc::strong_count(graph) > 1);
        let merged = self.layers.merged();
        for (name, several) in &merged.ambiguous {
            tracing::debug!(%name, several = several.len(), "a name of several entities");
        }
        let before = locked(&self.head).clone();
        let (topology, _) = merged.build_after(&before);
        if topology.version() == before.version() {
            return;
        }
        let (entities, dependencies) = (topology.len(), topology.edges());
        let version = format!("{:016x}", topology.version());
        tracing::info!(entities, dependencies, version, "topology");
        if let Some(remote) = &self.remote {
            let graph = Arc::new(Snapshot::new(topology.clone(), &self.policy));
            self.retired.push(Arc::clone(&graph));
            // If it is not made now, it is made later, or the next graph comes after this one too.
            if let Err(why) =
                remote.change(Box::new(move |pipeline| pipeline.exchange_graph(graph)))
            {
                tracing::warn!(why, "the graph is not in force yet");
            }
            self.metrics.describe_anew(&self.policy, &topology);
        }
        *locked(&self.head) = topology;
        if let Some(file) = &self.cache
            && let Err(error) = write(file, &export::json(&merged.layer))
        {
            tracing::warn!("{}: {error}; a restart begins without this graph", file.display());
        }
    }

    fn read_cache(&mut self) {
        let Some(file) = self.cache.as_deref().filter(|file| file.exists()) else { return };
        let read = std::fs::read(file).map_err(|error| error.to_string()).and_then(|bytes| {
            let layer = Format::Native.read(&bytes, &Places::default());
            layer.map_err(|error| error.to_string())
        });
        match read {
            Ok(layer) => {
                let entities = layer.entities.len();
                tracing::warn!(entities, "not all sources answer; the graph of before serves");
                drop(self.layers.update(CACHE, layer, Trust::default(), 0));
            }
            Err(why) => tracing::warn!("{}: {why}; it is not used", file.display()),
        }
    }

    fn note_stale(&mut self) {
        let is_stale = self.sources.iter().zip(&self.good_at).any(|(source, good_at)| {
            let since = good_at.unwrap_or(self.began).elapsed();
            since > source.refresh * STALE_AFTER + source.timeout
        });
        if is_stale == self.is_stale {
            return;
        }
        if let Some(remote) = &self.remote {
            let flag = move |pipeline: &mut Pipeline| {
                pipeline.set_topology_stale(is_stale);
                Ok(())
            };
            if remote.change(Box::new(flag)).is_ok() {
                self.is_stale = is_stale;
            }
        }
    }
}

/// Writes a file so that whoever reads it finds the old or the new one.
fn write(file: &Path, text: &str) -> std::io::Result<()> {
    let new = file.with_extension("new");
    std::fs::write(&new, text)?;
    std::fs::rename(&new, file)
}

#[cfg(test)]
mod tests {
    use hypocenter_engine::HashSeed;

    use super::*;
    use crate::http_client::tests::{TestServer, answer};
    use crate::neighbours::Holds;
    use crate::outbox::Outbox;
    use crate::pipeline::remote;
    use crate::shard::Setup;
    use crate::topology::source::From;
    use crate::wire::Options;

    fn links(pairs: &[(&str, &str)]) -> String {
        let link =
            |(a, b): &(&str, &str)| format!(r#"{{"parent":"{a}","child":"{b}","callCount":1}}"#);
        let links: Vec<String> = pairs.iter().map(link).collect();
        answer("200 OK", &format!("[{}]", links.join(",")))
    }

    #[test]
    fn the_graph_follows_its_source_and_outlives_it() {
        let text = Arc::new(Mutex::new(links(&[("a", "b"), ("b", "c"), ("c", "d"), ("d", "e")])));
        let told = Arc::clone(&text);
        let server = TestServer::start(move |_, _| told.lock().expect("not poisoned").clone());
        let mut source = SourceSpec::new(Format::Zipkin, From::Url(server.url()));
        source.refresh = Duration::from_millis(40);
        source.timeout = Duration::from_millis(100);
        let dir = tempfile::tempdir().expect("a directory");
        let cache = dir.path().join("graph.json");
        let (metrics, policy, fixed) = (Metrics::default(), Policy::default(), Topology::empty());
        let start = |source: &SourceSpec| {
            let sources = std::slice::from_ref(source);
            GraphWatch::start(sources, (&fixed, Some(&cache)), &policy, &metrics).expect("started")
        };
        let mut watch = start(&source);
        let setup = Setup {
            policy: policy.clone(),
            topology: watch.topology(),
            seed: HashSeed(1),
            decode: Options::default(),
            holds: Holds::default(),
        };
        assert_eq!(setup.topology.edges(), 4, "the start waits for the first answer");
        let (remote, changes) = remote();
        watch.follow(remote).expect("a thread");
        let pipeline = Pipeline::new(setup, Outbox::new(Vec::new()), metrics.clone());
        let mut pipeline = pipeline.with_changes(changes);
        let mut until = |what: &str, is_so: &dyn Fn(&Pipeline) -> bool| {
            let deadline = Instant::now() + Duration::from_secs(20);
            while !is_so(&pipeline) {
                assert!(Instant::now() < deadline, "{what}");
                pipeline.make_changes();
                thread::sleep(Duration::from_millis(5));
            }
        };
        *text.lock().expect("not poisoned") =
            links(&[("a", "b"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "f")]);
        until("the change is known", &|pipeline| pipeline.topology().edges() == 5);
        for bad in [answer("500 No", ""), answer("200 OK", "<html>"), links(&[("a", "b")])] {
            let seen = server.seen().len();
            *text.lock().expect("not poisoned") = bad;
            until("it was asked", &|_| server.seen().len() > seen + 1);
            until("and kept", &|pipeline| pipeline.topology().edges() == 5);
        }
        until("it is known to be stale", &|pipeline| pipeline.is_topology_stale());
        let mut builder = hypocenter_engine::TopologyBuilder::new();
        builder.edge("f", "g");
        watch.fix(builder.build().0);
        until("what the file says is added", &|pipeline| pipeline.topology().edges() == 6);
        drop(watch);
        // A start without the source: the graph of before serves.
        source.from = From::Url("http://127.0.0.1:1".to_owned());
        assert_eq!(start(&source).topology().edges(), 6);
    }
}
