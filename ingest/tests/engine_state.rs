//! The upgrade rule of snapshots: the present version's bytes are committed, and whatever else was
//! ever written is refused.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use hypocenter::replay::Player;
use hypocenter::shard::{Setup, ShardRunner};
use hypocenter::source::{Record, Shard};
use hypocenter_engine::{Engine, STATE_VERSION, Snapshot, StateError, Timestamp, TopologyBuilder};

#[expect(dead_code, reason = "other tests use the rest")]
mod common;

fn golden(version: u32) -> PathBuf {
    common::fixtures().join(format!("golden/engine-state-{version}.gz"))
}

fn read(path: &PathBuf) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

fn saved(engine: &Engine) -> Vec<u8> {
    let mut bytes = Vec::new();
    let piece = &mut |piece: &[u8]| bytes.write_all(piece);
    engine.save(b"golden", piece).unwrap();
    bytes
}

fn graph(setup: &Setup) -> Arc<Snapshot> {
    Arc::new(Snapshot::new(setup.topology.clone(), &setup.policy))
}

/// A shard after so many lines of a recording.
fn runner(lines: &str, until: usize) -> ShardRunner {
    let shard = Shard { input: "alerts".to_owned(), partition: 0 };
    let mut runner = ShardRunner::new(&common::setup(7), shard.clone(), 0);
    let mut player = Player::new(Vec::new());
    for (position, line) in (1..).zip(lines.lines().take(until)) {
        let (shard, payload) = (&shard, line.as_bytes());
        let record = Record { shard, position, time: None, payload };
        runner.record(&record, Timestamp::MIN, &mut player);
    }
    runner
}

#[test]
fn the_committed_snapshot_is_what_is_written_and_read() {
    let lines = common::stream("prom-a");
    let engine = runner(&lines, lines.lines().count() * 2 / 3);
    let bytes = saved(engine.engine());
    let file = golden(STATE_VERSION);
    let meant = |bytes: &[u8]| {
        let header = Engine::state_header(bytes).unwrap();
        (header.policy, header.topology, header.made_by)
    };
    // Under other defaults other things are decided: that is no other format.
    let is_other = !file.exists() || meant(&read(&file)) != meant(&bytes);
    if std::env::var_os("BLESS").is_some() && is_other {
        let mut gz = GzEncoder::new(File::create(&file).unwrap(), Compression::best());
        gz.write_all(&bytes).unwrap();
        gz.finish().unwrap();
    }
    let committed = read(&file);
    assert_eq!(meant(&committed), meant(&bytes), "other defaults, or a release: BLESS=1");
    assert!(
        committed == bytes,
        "snapshots are no longer those of version {STATE_VERSION}: what is in them, or what it \
         means, has changed. Raise STATE_VERSION in engine/src/state.rs, so that older ones \
         are refused, and run this test with BLESS=1; a version that no release has had need not \
         be kept in fixtures/golden"
    );
    let setup = common::setup(7);
    let graph = graph(&setup);
    let restored = Engine::restore(&committed, setup.policy, &graph, "alerts/0").unwrap();
    restored.check();
    assert!(saved(&restored) == bytes, "saved again");
    assert!(restored.incidents_live() > 0 && restored.alerts_live() > 100, "it says something");
}

#[test]
fn older_snapshots_are_refused() {
    let setup = common::setup(7);
    for entry in fs::read_dir(common::fixtures().join("golden")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let version = name.strip_prefix("engine-state-").and_then(|n| n.strip_suffix(".gz"));
        let Some(version) = version.map(|version| version.parse().unwrap()) else { continue };
        let (policy, graph) = (setup.policy.clone(), graph(&setup));
        let read = Engine::restore(&read(&golden(version)), policy, &graph, "alerts/0");
        match version {
            STATE_VERSION => assert!(read.is_ok()),
            found => assert_eq!(read.err(), Some(StateError::OtherVersion { found })),
        }
    }
}

#[test]
fn a_snapshot_of_something_else_is_refused() {
    let lines = common::stream("prom-a");
    let bytes = saved(runner(&lines, 50).engine());
    let setup = common::setup(7);
    let (graph, policy) = (graph(&setup), setup.policy);
    let refused = |bytes: &[u8], shard: &str| {
        Engine::restore(bytes, policy.clone(), &graph, shard).err().unwrap()
    };
    assert_eq!(refused(&bytes, "alerts/1"), StateError::Other { what: "shard" });
    assert_eq!(refused(b"", "alerts/0"), StateError::Alien);
    assert_eq!(refused(b"{\"alerts\":[]}", "alerts/0"), StateError::Alien);
    assert_eq!(refused(&bytes[..5], "alerts/0"), StateError::Truncated { at: 5 });
    let mut doubled = bytes.clone();
    doubled.extend_from_slice(&bytes);
    assert!(matches!(refused(&doubled, "alerts/0"), StateError::Damaged { .. }));
    // The graph comes with it: another one only is not shared.
    let other = TopologyBuilder::new().build().0;
    let other = Arc::new(Snapshot::new(other, &policy));
    let restored = Engine::restore(&bytes, policy.clone(), &other, "alerts/0").unwrap();
    assert_eq!(restored.topology().version(), graph.topology().version());
    let mut spec = policy.spec().clone();
    spec.times.retain_for = hypocenter_engine::Span::from_secs(1);
    let other = hypocenter_engine::Policy::new(spec).unwrap();
    let error = Engine::restore(&bytes, other, &graph, "alerts/0").err().unwrap();
    assert_eq!(error, StateError::Other { what: "policy" });
}
