//! Crashes at any point: what is said after them is what an undisturbed run says.
//!
//! The pipeline, the standby and the files are the real ones; source and sink are in memory, so
//! that every run is the same but for how far the standby has come.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hypocenter::metrics::Metrics;
use hypocenter::outbox::Outbox;
use hypocenter::pipeline::Pipeline;
use hypocenter::replay::Player;
use hypocenter::shard::{Setup, ShardRunner};
use hypocenter::sink::{Cause, Outgoing, Sink, SinkError};
use hypocenter::source::{Assignment, Input, Polled, Record, Resume, Shard, Source, SourceError};
use hypocenter::state::{Loads, Store};
use hypocenter_engine::{Snapshot, Timestamp, Topology, TopologyBuilder};

#[expect(dead_code, reason = "other tests use the rest")]
mod common;

/// What outlives a crash.
#[derive(Default)]
struct World {
    committed: Mutex<u64>,
    /// Bodies that have arrived, by incident and version.
    said: Mutex<BTreeMap<(String, u64), Vec<u8>>>,
}

/// A partition; it breaks off after so many polls, as a process does that is killed.
struct Log<'a> {
    lines: &'a [&'a str],
    world: Arc<World>,
    store: Option<Arc<Store>>,
    next: Option<u64>,
    polls_left: usize,
}

fn shard() -> Shard {
    Shard { input: "replay".to_owned(), partition: 0 }
}

impl Source for Log<'_> {
    fn poll(
        &mut self,
        _timeout: Duration,
        each: &mut dyn FnMut(Input<'_>),
    ) -> Result<Polled, SourceError> {
        let shard = shard();
        let next = match self.next {
            Some(next) => next,
            None => {
                let committed = *self.world.committed.lock().unwrap();
                let may = |next: u64| next <= committed;
                let store = self.store.as_ref();
                let start = store.and_then(|store| store.resume(&shard, &may)).unwrap_or(1);
                let committed = (committed > 0).then_some(committed);
                let assignment = Assignment { shard: shard.clone(), committed, start: Some(start) };
                each(Input::Assigned(&assignment));
                start
            }
        };
        if self.polls_left == 0 {
            let (what, why) = ("killed".to_owned(), String::new());
            return Err(SourceError { what, why });
        }
        self.polls_left -= 1;
        let read = self.lines.iter().zip(1..).skip(next as usize - 1).take(7);
        let mut after = next;
        for (line, position) in read {
            let payload = line.as_bytes();
            each(Input::Record(Record { shard: &shard, position, time: None, payload }));
            after = position + 1;
        }
        self.next = Some(after);
        Ok(if after == next { Polled::End } else { Polled::Busy })
    }

    fn commit(&mut self, _shard: &Shard, next: u64) {
        let mut committed = self.world.committed.lock().unwrap();
        *committed = next.max(*committed);
    }

    fn close(&mut self) {}
}

/// A record on its way: lost when the process is killed.
struct Waiting {
    key: (String, u64),
    body: Vec<u8>,
    cause: Cause,
}

/// Lets a record arrive when three more are on their way.
struct Receiver {
    world: Arc<World>,
    waiting: Vec<Waiting>,
    lag: usize,
}

impl Sink for Receiver {
    fn send(&mut self, record: &Outgoing<'_>) -> Result<(), SinkError> {
        let key = (record.incident.to_owned(), record.version);
        let (body, cause) = (record.body.to_vec(), record.cause.clone());
        self.waiting.push(Waiting { key, body, cause });
        Ok(())
    }

    fn acknowledged(&mut self, each: &mut dyn FnMut(Cause)) -> Result<(), SinkError> {
        let arrived = self.waiting.len().saturating_sub(self.lag);
        let mut said = self.world.said.lock().unwrap();
        for Waiting { key, body, cause } in self.waiting.drain(..arrived) {
            if let Some(before) = said.insert(key, body.clone()) {
                assert_eq!(before, body, "a version is said in one way");
            }
            each(cause);
        }
        Ok(())
    }

    fn flush(&mut self, _timeout: Duration) -> bool {
        self.lag = 0;
        true
    }
}

/// One life of a process; whether it came to the end of its input.
fn live(
    world: &Arc<World>,
    lines: &[&str],
    dir: Option<&Path>,
    polls: usize,
    seed: u64,
) -> (bool, Loads) {
    live_under(common::setup(seed), world, lines, dir, polls)
}

/// The same under another setup; its graph comes after that of the last life.
fn live_under(
    mut setup: Setup,
    world: &Arc<World>,
    lines: &[&str],
    dir: Option<&Path>,
    polls: usize,
) -> (bool, Loads) {
    let mut open = |dir: &Path| {
        let store = Store::open(dir, Duration::ZERO).unwrap();
        let before = store.last_graph();
        if let Some(before) = before.filter(|graph| !graph.is(&setup.topology)) {
            setup.topology = after(&setup.topology, &before);
        }
        let graph = Snapshot::new(setup.topology.clone(), &setup.policy);
        store.exchange(setup.policy.clone(), Arc::new(graph));
        Arc::new(store)
    };
    let store = dir.map(&mut open);
    let sink = Receiver { world: Arc::clone(world), waiting: Vec::new(), lag: 3 };
    let mut pipeline = Pipeline::new(setup, Outbox::new(vec![Box::new(sink)]), Metrics::default());
    if let Some(store) = &store {
        pipeline = pipeline.with_snapshots(Arc::clone(store));
    }
    let (world, given) = (Arc::clone(world), store.clone());
    let mut log = Log { lines, world, store: given, next: None, polls_left: polls };
    let ended = pipeline.run(&mut log, &Arc::new(AtomicBool::new(false))).is_ok();
    (ended, store.map(|store| store.loads()).unwrap_or_default())
}

/// The same graph, as one that comes after another.
fn after(graph: &Topology, before: &Topology) -> Topology {
    let mut builder = TopologyBuilder::new();
    graph.names().for_each(|name| builder.node(name));
    graph.all_edges().for_each(|(from, to, kind)| builder.typed_edge(from, to, kind));
    builder.build_after(before).0
}

/// A small generator of numbers, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % bound
    }
}

#[test]
fn after_any_crashes_everything_is_said_and_nothing_otherwise() {
    let text = common::stream("prom-a");
    let lines: Vec<&str> = text.lines().collect();
    let undisturbed = Arc::<World>::default();
    assert!(live(&undisturbed, &lines, None, usize::MAX, 1).0);
    let expected = undisturbed.said.lock().unwrap();
    let (mut loaded, mut crashes) = (0, 0);
    for seed in 1..=3 {
        let (mut numbers, dir) = (Numbers(seed), tempfile::tempdir().unwrap());
        let world = Arc::<World>::default();
        loop {
            // The seed of the hash tables is another one in every process.
            let life = 1 + numbers.below(lines.len() / 20);
            let (ended, loads) = live(&world, &lines, Some(dir.path()), life, numbers.0);
            assert_eq!(loads.refused, 0);
            loaded += loads.loaded;
            if ended {
                break;
            }
            crashes += 1;
        }
        let said = world.said.lock().unwrap();
        assert!(*said == *expected, "seed {seed}: {} of {}", said.len(), expected.len());
        assert_eq!(*world.committed.lock().unwrap(), lines.len() as u64 + 1);
    }
    assert!(crashes > 20 && loaded > crashes / 2, "{loaded} of {crashes} began with a snapshot");
}

#[test]
fn a_damaged_snapshot_is_put_aside_and_the_one_before_it_is_used() {
    let text = common::stream("prom-a");
    let lines: Vec<&str> = text.lines().collect();
    let dir = tempfile::tempdir().unwrap();
    let world = Arc::<World>::default();
    // Ends in peace twice, and so leaves two snapshots.
    for end in [lines.len() / 3, lines.len() / 2] {
        assert!(live(&world, &lines[..end], Some(dir.path()), usize::MAX, 1).0);
    }
    let names = |extension: &str| {
        let mut names: Vec<_> = fs::read_dir(dir.path().join("replay-0"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|found| found == extension))
            .collect();
        names.sort();
        names
    };
    let newest = names("snapshot").pop().unwrap();
    let mut bytes = fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&newest, bytes).unwrap();
    let (ended, loads) = live(&world, &lines, Some(dir.path()), usize::MAX, 1);
    assert!(ended);
    assert_eq!((loads.loaded, loads.refused), (1, 1), "{:?}", names("snapshot"));
    assert_eq!(names("damaged"), [newest.with_extension("damaged")]);
    let undisturbed = Arc::<World>::default();
    assert!(live(&undisturbed, &lines, None, usize::MAX, 1).0);
    assert!(*world.said.lock().unwrap() == *undisturbed.said.lock().unwrap());
}

#[test]
fn the_state_outlives_a_change_of_the_graph_between_two_lives() {
    let text = common::stream("prom-a");
    let lines: Vec<&str> = text.lines().collect();
    let half = lines.len() / 2;
    let mut other = common::setup(1);
    let mut builder = TopologyBuilder::new();
    builder.edge("frontend", "checkout");
    builder.edge("checkout", "redis");
    other.topology = builder.build().0;

    let (world, dir) = (Arc::<World>::default(), tempfile::tempdir().unwrap());
    assert!(live(&world, &lines[..half], Some(dir.path()), usize::MAX, 1).0);
    let (ended, loads) = live_under(other.clone(), &world, &lines, Some(dir.path()), usize::MAX);
    assert!(ended);
    assert_eq!((loads.loaded, loads.refused), (1, 0));

    // One process that is given the other graph at the same place.
    let setup = common::setup(1);
    let mut out = Vec::new();
    let mut player = Player::new(&mut out);
    let mut runner = ShardRunner::new(&setup, shard(), 0);
    for (position, line) in (1..).zip(&lines) {
        if position == half as u64 + 1 {
            let graph = after(&other.topology, &setup.topology);
            let graph = Arc::new(Snapshot::new(graph, &setup.policy));
            runner.exchange_topology(&graph, &mut player).unwrap();
        }
        let (shard, payload) = (&shard(), line.as_bytes());
        let record = Record { shard, position, time: None, payload };
        runner.record(&record, Timestamp::MIN, &mut player);
    }
    player.finish().unwrap();
    drop(player);
    let expected: BTreeSet<Vec<u8>> =
        out.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).filter(|l| !l.is_empty()).collect();
    let said = world.said.lock().unwrap();
    assert!(said.values().cloned().collect::<BTreeSet<_>>() == expected);
}

#[test]
fn one_process_uses_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Store::open(dir.path(), Duration::from_secs(1));
    let first = open().unwrap();
    let error = open().err().unwrap().to_string();
    assert!(error.contains("another process uses it"), "{error}");
    drop(first);
    assert!(open().is_ok());
}
