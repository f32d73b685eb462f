//! A replay gives the same bytes: twice, with another hash seed, in debug and in release, and
//! however alerts are put into batches.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Write;
use std::fs;
use std::process::Command;

use hypocenter::neighbours::{HoldTable, Holds};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

mod common;

fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

/// The hash is committed, so the debug and the release build are held to the same one: this test
/// runs in debug, and the gate compares the output of the release binary with the same file.
#[test]
fn the_same_recording_gives_the_committed_bytes() {
    let golden = common::fixtures().join("golden/replay-prom-a.sha256");
    let lines = common::stream("prom-a");
    let replayed = common::replay(&lines, 0);
    let hash = sha256(&replayed);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&golden, format!("{hash}  -\n")).unwrap();
    }
    let committed = fs::read_to_string(&golden).unwrap();
    assert_eq!(committed, format!("{hash}  -\n"), "a change of behaviour: BLESS=1 if it is meant");
    assert_eq!(hash, sha256(&common::replay(&lines, 0)), "twice");
    for seed in [1, 42, u64::MAX] {
        assert_eq!(hash, sha256(&common::replay(&lines, seed)), "hash seed {seed}");
    }
}

/// Records without the input positions, which count batches and not alerts.
fn without_positions(records: &str) -> String {
    let strip = |line: &str| {
        let mut record: Value = serde_json::from_str(line).unwrap();
        let provenance = record["provenance"].as_object_mut().unwrap();
        provenance.remove("first");
        provenance.remove("last");
        record.to_string() + "\n"
    };
    records.lines().map(strip).collect()
}

/// The alerts of a recording in batches of at most `size`, each alert with its receive time.
fn batched(lines: &str, size: usize) -> String {
    let mut alerts = Vec::new();
    for line in lines.lines() {
        let request: Value = serde_json::from_str(line).unwrap();
        let body: Value = serde_json::from_str(request["body"].as_str().unwrap()).unwrap();
        for alert in body.as_array().unwrap() {
            let mut alert = alert.clone();
            alert["ts_ms"] = json!((request["t"].as_f64().unwrap() * 1e3) as i64);
            alerts.push(alert);
        }
    }
    alerts.chunks(size).map(|batch| json!(batch).to_string() + "\n").collect()
}

#[test]
fn batches_of_1_7_and_64_give_the_same_records() {
    let lines = common::stream("prom-a");
    let one_by_one = without_positions(&common::replay(&batched(&lines, 1), 0));
    assert!(one_by_one.lines().count() > 200);
    for size in [7, 64] {
        let together = without_positions(&common::replay(&batched(&lines, size), 0));
        assert_eq!(sha256(&one_by_one), sha256(&together), "batches of {size}");
    }
}

/// The durations that the recorded Prometheus had, by the way of the file that `run` writes.
#[test]
fn durations_of_rules_move_onsets_and_are_part_of_the_replayable_input() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rules.yml");
    fs::write(&file, "rules: [{alert: PostgresSlowQueries, for: 3s, interval: 1s}]\n").unwrap();
    let lines = common::stream("prom-a");
    let plain = common::replay(&lines, 0);
    let mut setup = common::setup(0);
    let table = HoldTable::load(&file).unwrap();
    let version = format!("{:016x}", table.version());
    setup.holds = Holds::with(table);
    let held = common::replay_under(&setup, &lines);
    setup.holds = Holds::with(HoldTable::load(&file).unwrap());
    setup.seed = hypocenter_engine::HashSeed(9);
    assert_eq!(common::replay_under(&setup, &lines), held, "the same table, the same bytes");
    assert_ne!(held, plain);
    for line in held.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        assert_eq!(record["provenance"]["rules"], version);
    }
    assert!(plain.contains("\"rules\":null"));
}

/// The README shows the beginning of what its first command prints, the first incident included.
#[test]
fn the_readme_shows_what_the_demo_prints() {
    let demo = Command::new(env!("CARGO_BIN_EXE_hypocenter")).arg("demo").output().unwrap();
    assert!(demo.status.success(), "{}", String::from_utf8_lossy(&demo.stderr));
    let printed = String::from_utf8(demo.stdout).unwrap();
    let parts: Vec<&str> = printed.splitn(3, "\n\n").collect();
    let shown = format!("{}\n\n{}\n", parts[0], parts[1]);
    let file = common::fixtures().join("../README.md");
    let readme = fs::read_to_string(&file).unwrap();
    let (before, rest) = readme.split_once("```text\n").unwrap();
    let (block, after) = rest.split_once("```").unwrap();
    if std::env::var_os("BLESS").is_some() && block != shown {
        fs::write(&file, format!("{before}```text\n{shown}```{after}")).unwrap();
        return;
    }
    assert_eq!(block, shown, "run BLESS=1 cargo test -p hypocenter --test replay");
}
