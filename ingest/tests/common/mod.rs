//! Replays for tests: the recordings through the engine, in memory.

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use flate2::read::GzDecoder;
use hypocenter::neighbours::Holds;
use hypocenter::replay::Player;
use hypocenter::shard::{Setup, ShardRunner};
use hypocenter::source::{Record, Shard};
use hypocenter::topology_file::TopologyFile;
use hypocenter::wire::Options;
use hypocenter_engine::{HashSeed, Policy, Timestamp};

pub(crate) fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// The lines of a recorded stream.
pub(crate) fn stream(name: &str) -> String {
    let file = fixtures().join(format!("recordings/streams/{name}.jsonl.gz"));
    let mut text = String::new();
    GzDecoder::new(fs::File::open(file).unwrap()).read_to_string(&mut text).unwrap();
    text
}

pub(crate) fn setup(seed: u64) -> Setup {
    let file = fixtures().join("recordings/topology.json");
    let topology = TopologyFile::load(&file).unwrap().topology;
    let (policy, decode) = (Policy::default(), Options::default());
    Setup { policy, topology, seed: HashSeed(seed), decode, holds: Holds::default() }
}

/// Every incident record that the lines of a recording lead to, one a line.
pub(crate) fn replay(lines: &str, seed: u64) -> String {
    replay_under(&setup(seed), lines)
}

/// The same under another setup.
pub(crate) fn replay_under(setup: &Setup, lines: &str) -> String {
    let shard = Shard { input: "replay".to_owned(), partition: 0 };
    let mut runner = ShardRunner::new(setup, shard.clone(), 0);
    let mut out = Vec::new();
    let mut player = Player::new(&mut out);
    for (line, position) in lines.lines().zip(1..) {
        let payload = line.as_bytes();
        let record = Record { shard: &shard, position, time: None, payload };
        runner.record(&record, Timestamp::MIN, &mut player);
    }
    player.finish().unwrap();
    assert!(runner.engine().stats().is_balanced(), "{:?}", runner.engine().stats());
    drop(player);
    String::from_utf8(out).unwrap()
}
