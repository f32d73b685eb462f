//! Every alert of kube-prometheus is about the right entity, in three dialects of labels.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use hypocenter_engine::{LabelLimits, Labels, Mapping, MappingSpec};
use serde_json::Value;

fn lines() -> Vec<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/mapping/dialects.jsonl");
    let text = fs::read_to_string(file).expect("the fixture");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn pairs(line: &Value) -> Vec<(&str, &str)> {
    let labels = line["labels"].as_object().expect("an object");
    labels.iter().map(|(name, value)| (name.as_str(), value.as_str().expect("text"))).collect()
}

/// What the default mapping makes of labels: what they mean, and of which entity.
fn mapped<'a>(mapping: &Mapping, mut pairs: Vec<(&'a str, &'a str)>) -> (String, String, String) {
    let labels = Labels::canonical(&mut pairs, &LabelLimits::default()).expect("valid");
    match mapping.entity(labels) {
        Some(mapped) => {
            let entity = mapped.entity.to_string();
            let entity = if entity.is_empty() { "-".to_owned() } else { entity };
            (mapped.action.name().to_owned(), entity, mapped.rule.to_owned())
        }
        None => ("none".to_owned(), "none".to_owned(), "none".to_owned()),
    }
}

#[test]
fn every_alert_of_kube_prometheus_is_about_the_right_entity() {
    let mapping = Mapping::new(&MappingSpec::default()).expect("valid");
    let mut wrong = Vec::new();
    let mut names = BTreeSet::new();
    let lines = lines();
    for line in &lines {
        let (action, entity, rule) = mapped(&mapping, pairs(line));
        names.insert(line["labels"]["alertname"].as_str().expect("text"));
        if action != line["action"] || entity != line["entity"] {
            let (dialect, labels) = (&line["dialect"], &line["labels"]);
            wrong.push(format!(
                "{dialect}: by {rule}: {action} {entity}, not {} {}: {labels}\n",
                line["action"], line["entity"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), lines.len(), wrong.concat());
    assert_eq!((names.len(), lines.len()), (139, 417));
}

#[test]
fn no_alert_about_something_else_is_taken_for_the_exporter() {
    let mapping = Mapping::new(&MappingSpec::default()).expect("valid");
    for line in lines().iter().filter(|line| line["labels"]["job"] == "kube-state-metrics") {
        let (_, entity, rule) = mapped(&mapping, pairs(line));
        assert!(!entity.contains("kube-state-metrics"), "by {rule}: {line}");
    }
}

#[test]
fn the_order_of_labels_changes_nothing() {
    let mapping = Mapping::new(&MappingSpec::default()).expect("valid");
    for line in lines() {
        let forward = pairs(&line);
        for turn in 0..forward.len() {
            let mut turned = forward.clone();
            turned.rotate_left(turn);
            turned.reverse();
            assert_eq!(mapped(&mapping, turned), mapped(&mapping, forward.clone()), "{line}");
        }
    }
}

#[test]
fn the_table_is_what_the_facts_make() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/mapping-table");
    match Command::new("python3").arg(script).arg("--check").output() {
        Ok(done) => assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr)),
        Err(error) => println!("SKIPPED: python3: {error}"),
    }
}
