//! `explain` through the binary: the chain of a decision from its recorded input.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

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
    let heads = ["ROOT CAUSE  ", "WHY NOT", "HOW THE CANDIDATE CAME ABOUT", "ALERTS, and how"];
    let places: Vec<usize> = heads.iter().map(|head| out.find(head).unwrap()).collect();
    assert!(places.is_sorted(), "{out}");
    let alert = record["members"]["listed"][1]["fingerprint"].as_str().unwrap();
    let (code, out, _) = explain(&[id, "--alert", alert]);
    assert_eq!(code, 0);
    for part in ["dedup", "mapping  rule service says", "join     ", "in the score"] {
        assert!(out.contains(part), "{part}: {out}");
    }
    assert!(out.contains("streams/prom-a.jsonl.gz:"), "the place in the recording: {out}");
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
