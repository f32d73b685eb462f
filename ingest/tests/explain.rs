//! `explain` through the binary: the chain of a decision from its recorded input.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use hypocenter::kafka_mock::EmbeddedCluster;
use hypocenter::replay::Player;
use hypocenter::shard::ShardRunner;
use hypocenter::source::{Record, Shard};
use hypocenter_engine::Timestamp;
use serde_json::Value;

#[expect(dead_code, reason = "each test binary uses a part of it")]
mod common;

const INCIDENT: &str = "inc-1m80z734x39nx31t";

fn hypocenter(args: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_hypocenter"))
        .args(args)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/recordings"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn explain(args: &[&str]) -> (i32, String, String) {
    let from = ["--topology", "topology.json", "--from", "streams/prom-a.jsonl.gz"];
    hypocenter(&[&["explain"], args, &from].concat())
}

fn records(args: &[&str]) -> Vec<Value> {
    let recording = ["--quiet", "--topology", "topology.json", "streams/prom-a.jsonl.gz"];
    let (code, out, err) = hypocenter(&[&["replay"], args, &recording].concat());
    assert_eq!(code, 0, "{err}");
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The last record of the incident with the most members.
fn largest(records: &[Value]) -> &Value {
    records.iter().max_by_key(|r| (r["members"]["count"].as_u64(), r["version"].as_u64())).unwrap()
}

#[test]
fn the_chain_leads_from_the_input_to_the_published_record() {
    let records = records(&[]);
    let record = largest(&records);
    let id = record["incident"].as_str().unwrap();
    let (code, out, err) = explain(&[id, "--format", "json"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let found: Value = serde_json::from_str(&out).unwrap();
    let last = records.iter().rfind(|r| r["incident"] == id).unwrap();
    assert_eq!(&found["record"], last, "the very record that a replay writes");
    let versions = records.iter().filter(|r| r["incident"] == id).count();
    assert_eq!(found["history"].as_array().unwrap().len(), versions);
    let alerts = found["alerts"].as_array().unwrap();
    assert_eq!(alerts.len() as u64, last["members"]["count"].as_u64().unwrap());
    for alert in alerts {
        assert!(!alert["labels"].as_object().unwrap().is_empty());
        let steps = alert["steps"].as_array().unwrap();
        let placed = steps.iter().find(|step| step["incident"].is_string()).unwrap();
        assert!(placed["weighed"]["mapped_by"].is_string());
        assert!(placed["position"].as_u64().unwrap() > 0);
        if placed["what"] == "joined" {
            let alternatives = placed["weighed"]["alternatives"].as_array().unwrap();
            let joined = alternatives.iter().find(|one| one["verdict"] == "joins").unwrap();
            assert!(joined["ratio"].as_f64() >= placed["weighed"]["threshold"].as_f64());
        }
    }
}

#[test]
fn people_read_the_answer_first_and_one_alert_in_full() {
    let records = records(&[]);
    let record = largest(&records);
    let id = record["incident"].as_str().unwrap();
    let (code, out, _) = explain(&[id]);
    assert_eq!(code, 0);
    let heads = [
        "ROOT CAUSE  ",
        "WHY NOT",
        "HOW IT REACHES THE OTHERS",
        "HOW THE CANDIDATE CAME ABOUT",
        "ALERTS, and how",
    ];
    let places: Vec<usize> = heads.iter().map(|head| out.find(head).unwrap()).collect();
    assert!(places.is_sorted(), "{out}");
    let alert = record["members"]["listed"][1]["fingerprint"].as_str().unwrap();
    let (code, out, _) = explain(&[id, "--alert", alert]);
    assert_eq!(code, 0);
    for part in ["dedup", "mapping  rule service says", "join     ", "path    ", "in the score"] {
        assert!(out.contains(part), "{part}: {out}");
    }
    assert!(out.contains("streams/prom-a.jsonl.gz:"), "the place in the recording: {out}");
}

#[test]
fn every_alert_has_its_path_from_the_candidate_or_the_reason_why_not() {
    let (_, out, _) = explain(&[INCIDENT]);
    assert!(
        out.contains("\n  cart > checkout > frontend\n") || out.contains("\n  cart > frontend\n")
    );
    let without = "email: no path leads there; checkout explains both, but is the less likely";
    assert!(out.contains(without), "{out}");
    let (_, out, _) = explain(&[INCIDENT, "--format", "json"]);
    let found: Value = serde_json::from_str(&out).unwrap();
    for alert in found["alerts"].as_array().unwrap() {
        let path = &alert["path"];
        assert!(path["path"].is_array() != path["no_path"].is_object(), "{path}");
        assert_eq!(path["entity"], alert["labels"]["service"]);
    }
}

#[test]
fn an_incident_that_was_merged_leads_to_the_one_it_went_into() {
    let recording = ["--topology", "topology.json", "streams/webhook.jsonl.gz"];
    let (_, out, _) = hypocenter(&[&["replay", "--quiet"][..], &recording].concat());
    let mut records = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let merged = records.find(|record| record["phase"] == "merged").expect("it holds a merge");
    let (id, into) =
        (merged["incident"].as_str().unwrap(), merged["merged_into"].as_str().unwrap());
    let of = |args: &[&str]| {
        let from = ["--topology", "topology.json", "--from", "streams/webhook.jsonl.gz"];
        let (code, out, err) = hypocenter(&[&["explain", id], args, &from].concat());
        assert_eq!(code, 0, "{err}");
        out
    };
    let found: Value = serde_json::from_str(&of(&["--format", "json"])).unwrap();
    assert_eq!((found["asked"].as_str(), found["incident"].as_str()), (Some(id), Some(into)));
    let merges = found["merges"].as_array().unwrap();
    assert!(merges.iter().any(|m| m["incident"] == id && m["into"] == into), "{merges:?}");
    assert!(of(&[]).contains(&format!("You asked for {id}, which went into this one.")));
}

#[test]
fn what_is_not_there_is_said_with_what_to_do() {
    let (code, out, err) = explain(&["inc-0000000000000000"]);
    assert_eq!((code, out.as_str()), (3, ""));
    assert!(err.contains("no incident inc-0000000000000000 among the "), "{err}");
    assert!(err.contains("--shard"), "{err}");
    let (code, _, err) = explain(&[INCIDENT, "--alert", "0123456789abcdef"]);
    assert_eq!(code, 3);
    assert!(err.contains("no alert 0123456789abcdef in inc-"), "{err}");
    let (code, _, err) = explain(&[INCIDENT, "--since", "1h"]);
    assert_eq!(code, 2, "{err}");
    let (code, _, err) = hypocenter(&["explain", INCIDENT, "--from", "kafka"]);
    assert_eq!(code, 2);
    assert!(err.contains("--config.file"), "{err}");
}

#[test]
fn labels_cannot_command_the_terminal_and_the_shard_names_the_incident() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("alerts.jsonl");
    let alert = r#"{"labels":{"alertname":"Latency\u001b[2J\u202e","service":"a\nb"},"annotations":{},"startsAt":"2026-01-01T00:00:00Z"}"#;
    fs::write(&file, format!("{alert}\n")).unwrap();
    let file = file.to_str().unwrap();
    let (_, out, _) = hypocenter(&["replay", "--quiet", file]);
    let record: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    let id = record["incident"].as_str().unwrap();
    let (code, out, _) = hypocenter(&["explain", id, "--from", file]);
    assert_eq!(code, 0);
    assert!(out.contains("Latency\\u{1b}[2J\\u{202e}"), "{out}");
    assert!(out.chars().all(|c| c == '\n' || !c.is_control()), "{out:?}");
    let (code, _, _) = hypocenter(&["explain", id, "--from", file, "--shard", "alerts/3"]);
    assert_eq!(code, 3, "another shard gives another id");
}

/// The ids of the incidents that records of one partition lead to.
fn ids(shard: &Shard, records: &[(Timestamp, String)]) -> Vec<String> {
    let mut runner = ShardRunner::new(&common::setup(0), shard.clone(), 0);
    let mut out = Vec::new();
    let mut player = Player::new(&mut out);
    for ((time, payload), position) in records.iter().zip(0..) {
        let record = Record { shard, position, time: Some(*time), payload: payload.as_bytes() };
        runner.record(&record, Timestamp::MIN, &mut player);
    }
    player.finish().unwrap();
    drop(player);
    let records = String::from_utf8(out).unwrap();
    let id = |line| {
        serde_json::from_str::<Value>(line).unwrap()["incident"].as_str().unwrap().to_owned()
    };
    records.lines().map(id).collect()
}

#[test]
fn a_topic_is_read_without_the_group_and_each_partition_by_itself() {
    let cluster = EmbeddedCluster::start(&[("alerts", 2)]).unwrap();
    let record = |n: i64, service: &str| {
        let at = Timestamp::from_millis(1_790_000_000_000 + n * 1_000);
        let alert = format!(
            r#"{{"labels":{{"alertname":"Latency","service":"{service}"}},"annotations":{{}},"startsAt":"2026-09-21T14:13:{:02}Z"}}"#,
            20 + n
        );
        (at, alert)
    };
    let first = vec![record(0, "cart"), record(1, "checkout")];
    let second = vec![record(2, "postgres")];
    cluster.produce_recorded("alerts", 0, first.clone()).unwrap();
    cluster.produce_recorded("alerts", 1, second.clone()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("c.yml");
    let brokers = cluster.bootstrap_servers().unwrap();
    let topology = common::fixtures().join("recordings/topology.json");
    let text = format!(
        "input: {{type: kafka, brokers: [\"{brokers}\"], topics: [alerts]}}\n\
         topology: {{file: {:?}}}\n",
        topology.canonicalize().unwrap()
    );
    fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    for (partition, records) in [(0, &first), (1, &second)] {
        let shard = Shard { input: "alerts".to_owned(), partition };
        let id = ids(&shard, records).remove(0);
        // Twice: nothing is committed, so the second reads it all again.
        for _ in 0..2 {
            let args = ["explain", &id, "--config.file", config, "--format", "json"];
            let (code, out, err) = hypocenter(&[&args[..], &["--from", "kafka"]].concat());
            assert_eq!(code, 0, "{err}");
            let found: Value = serde_json::from_str(&out).unwrap();
            assert_eq!(found["record"]["provenance"]["partition"], partition);
            assert_eq!(found["alerts"].as_array().unwrap().len(), records.len());
            let step = &found["alerts"][0]["steps"][0];
            assert_eq!(step["input"], format!("alerts/{partition}"));
        }
    }
    // All of it is older than a minute.
    let args = ["explain", INCIDENT, "--config.file", config, "--since", "1m", "--from", "kafka"];
    let (code, _, err) = hypocenter(&args);
    assert_eq!(code, 3);
    assert!(err.contains("among the 0 of this input"), "{err}");
}
