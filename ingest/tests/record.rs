//! The incident record: its published schema, and that every record follows it.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use hypocenter::record;

mod common;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn the_published_schema_is_the_code_s() {
    let published = root().join("docs/incident.schema.json");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&published, record::schema()).unwrap();
    }
    let text = fs::read_to_string(&published).unwrap();
    assert_eq!(text, record::schema(), "run BLESS=1 cargo test -p hypocenter --test record");
}

#[test]
fn every_record_of_every_recording_follows_the_schema() {
    let schema = serde_json::from_str(&record::schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut records = 0;
    for stream in ["prom-a", "prom-b", "webhook"] {
        let replayed = common::replay(&common::stream(stream), 0);
        for line in replayed.lines() {
            let record = serde_json::from_str(line).unwrap();
            let errors: Vec<String> = validator
                .iter_errors(&record)
                .map(|e| format!("{}: {e}", e.instance_path()))
                .collect();
            assert!(errors.is_empty(), "{errors:?}\n{line}");
            records += 1;
        }
    }
    assert!(records > 300, "{records}");
}

#[test]
fn evidence_sums_to_the_score_and_versions_count_up() {
    let mut versions = std::collections::BTreeMap::new();
    for line in common::replay(&common::stream("prom-a"), 0).lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let version = record["version"].as_u64().unwrap();
        let seen = versions.insert(record["incident"].as_str().unwrap().to_owned(), version);
        assert_eq!(version, seen.unwrap_or(0) + 1, "{line}");
        let terms = record["evidence"].as_array().unwrap();
        let sum: f64 = terms.iter().map(|term| term["contribution"].as_f64().unwrap()).sum();
        let score = record["root_cause"]["score"].as_f64().unwrap();
        assert!((sum - score).abs() < 1e-9, "{sum} is not {score}: {line}");
    }
}

/// One entry for each affected entity, in the same order; along dependencies where there are any.
#[test]
fn paths_lead_from_the_candidate_to_what_is_affected() {
    let topology = fs::read_to_string(root().join("fixtures/recordings/topology.json")).unwrap();
    let topology: serde_json::Value = serde_json::from_str(&topology).unwrap();
    let edges: BTreeSet<(&str, &str)> = topology["edges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|edge| (edge["from"].as_str().unwrap(), edge["to"].as_str().unwrap()))
        .collect();
    let mut reasons = BTreeSet::new();
    for line in common::replay(&common::stream("prom-a"), 0).lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let list = record["paths"].as_array().unwrap();
        let entities: Vec<_> = list.iter().map(|path| path["entity"].clone()).collect();
        assert_eq!(serde_json::Value::from(entities), record["impact"]["affected"], "{line}");
        for path in list {
            let Some(stops) = path["path"].as_array() else {
                reasons.insert(path["no_path"]["code"].as_str().unwrap().to_owned());
                continue;
            };
            assert!(path["no_path"].is_null());
            assert_eq!(stops.first(), Some(&record["root_cause"]["entity"]));
            assert_eq!(stops.last(), Some(&path["entity"]));
            let names: Vec<&str> = stops.iter().map(|stop| stop.as_str().unwrap()).collect();
            assert!(names.windows(2).all(|pair| edges.contains(&(pair[1], pair[0]))), "{names:?}");
        }
    }
    let expected = ["CANDIDATE_DEPENDS_ON_IT", "OTHER_ROOT"];
    assert_eq!(reasons, expected.map(str::to_owned).into());
}

#[test]
fn the_recorded_faults_are_named_and_the_noise_stays_out() {
    let replayed = common::replay(&common::stream("prom-a"), 0);
    let mut latest = std::collections::BTreeMap::new();
    for line in replayed.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        latest.insert(record["incident"].as_str().unwrap().to_owned(), record);
    }
    let mut large: Vec<_> = latest.values().filter(|r| r["phase"] != "merged").collect();
    large.sort_by_key(|r| std::cmp::Reverse(r["members"]["count"].as_u64()));
    let truth = fs::read_to_string(root().join("fixtures/recordings/ground-truth.json")).unwrap();
    let truth: serde_json::Value = serde_json::from_str(&truth).unwrap();
    for (record, fault) in large.iter().zip(truth["incidents"].as_array().unwrap()) {
        assert_eq!(record["root_cause"]["entity"], fault["root_service"]);
        let noise = ["Watchdog", "CertificateExpiresSoon", "NodeFilesystemAlmostFull"];
        for member in record["members"]["listed"].as_array().unwrap() {
            let name = member["alertname"].as_str().unwrap();
            assert!(!noise.contains(&name), "{name} was drawn in");
            assert!(
                name != "PodNotReady" || member["entity"] != "ads",
                "the flapping pod was drawn in"
            );
        }
    }
}
