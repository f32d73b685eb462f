//! `hypocenter-bench score` through its binary.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

mod common;

use common::scratch;

fn bench(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hypocenter-bench"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args(args)
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn row<'t>(table: &'t str, name: &str) -> Vec<&'t str> {
    let line = table.lines().find(|line| line.starts_with(&format!("| {name}")));
    line.unwrap_or_else(|| panic!("no {name} in {table}")).split('|').map(str::trim).collect()
}

#[test]
fn a_policy_file_is_scored_and_json_says_what_the_tables_say() {
    let dir = scratch("score_policy");
    let (policy, json) = (dir.join("policy.yml"), dir.join("figures.json"));
    fs::write(&policy, "ranking: {silent_price: 100, hops_max: 1}\n").unwrap();
    let (policy, json) = (policy.to_str().unwrap(), json.to_str().unwrap());
    let default = text(&bench(&["score"]));
    let given = text(&bench(&["score", "--policy", policy, "--json", json]));
    assert_ne!(row(&default, "**hypocenter**"), row(&given, "**hypocenter**"));
    assert_eq!(row(&default, "all in one"), row(&given, "all in one"), "rules have no policy");
    let json: Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    let top1 = json["figures"]["mean"]["top1"].as_f64().unwrap();
    let shown = row(&given, "**hypocenter**");
    assert!(shown.iter().any(|cell| cell.starts_with(&format!("{top1:.3}/"))), "{shown:?} {top1}");
    assert_eq!(json["data"].as_str().unwrap().len(), 16);
    assert!(json.get("ablation").is_none());
    assert_eq!(json["figures"]["storms"].as_object().unwrap().len(), 25);
}

/// Rows of the README's tables are rows of what the command prints.
#[test]
fn the_readme_shows_what_score_prints() {
    let printed = text(&bench(&["score"]));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(&file).unwrap();
    let (before, rest) = readme.split_once("## How good it is\n").unwrap();
    let (section, after) = rest.split_once("\n## ").unwrap();
    let cells = |line: &str| line.matches('|').count();
    let name = |line: &str| line.split('|').nth(1).unwrap_or_default().to_owned();
    // Of each row the one of the same name and width that is printed.
    let shown = |line: &str| {
        let of = |row: &&str| name(row) == name(line) && cells(row) == cells(line);
        match line.starts_with('|') {
            true => printed.lines().find(of).unwrap_or_else(|| panic!("no {line}")).to_owned(),
            false => line.to_owned(),
        }
    };
    let expected = section.split('\n').map(shown).collect::<Vec<_>>().join("\n");
    if std::env::var_os("BLESS").is_some() && section != expected {
        let text = format!("{before}## How good it is\n{expected}\n## {after}");
        return fs::write(&file, text).unwrap();
    }
    let hint = "run BLESS=1 cargo test -p hypocenter-bench --test score_command";
    assert_eq!(section, expected, "{hint}");
}

/// Whoever changes the model and loses one of these figures must see it here.
#[test]
fn the_default_policy_is_as_good_as_required() {
    let printed = text(&bench(&["score", "--require"]));
    assert_eq!(row(&printed, "storms, fragments per incident")[4], "yes", "{printed}");
    let dir = scratch("score_require");
    let policy = dir.join("policy.yml");
    fs::write(&policy, "grouping: {join_ratio: 0.95}\n").unwrap();
    let worse = bench(&["score", "--require", "--policy", policy.to_str().unwrap()]);
    assert!(!worse.status.success());
    let said = String::from_utf8(worse.stderr).unwrap();
    assert!(said.contains("required and not met: "), "{said}");
    assert!(said.contains("storms, fragments per incident is "), "{said}");
    let elsewhere = bench(&["score", "--require", "--cases", "fixtures/eval/dev.tar.gz"]);
    assert!(!elsewhere.status.success(), "required is something of the project's data alone");
}

#[test]
fn a_policy_that_is_not_valid_is_refused_with_its_places() {
    let dir = scratch("score_invalid");
    let policy = dir.join("policy.yml");
    fs::write(&policy, "ranking:\n  silent_prize: 1\ngrouping:\n  decay: 2\n").unwrap();
    let output = bench(&["score", "--policy", policy.to_str().unwrap()]);
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("policy.yml:2:3: ranking.silent_prize"), "{said}");
    assert!(said.contains("grouping.decay"), "{said}");
}

/// A case in which a faint alert of `db` explains a loud one of `web`, which calls it.
fn one_case(root: &Path) {
    let event = |service: &str, value: &str| {
        format!(
            r#"{{"ts_ms":1000,"status":"firing","labels":{{"alertname":"HighLatency","service":"{service}"}},"annotations":{{"value":"{value}","threshold":">1"}},"startsAt":"1970-01-01T00:00:01Z","fingerprint":"{service}"}}"#
        )
    };
    let case = root.join("shop/one");
    fs::create_dir_all(&case).unwrap();
    let alerts = [event("web", "20"), event("db", "10")].join("\n");
    fs::write(case.join("alerts.jsonl"), alerts).unwrap();
    let topology = r#"{"nodes":["lb","web","db"],
        "edges":[{"from":"lb","to":"web"},{"from":"web","to":"db"}]}"#;
    fs::write(case.join("topology.json"), topology).unwrap();
    let truth = r#"{"root_causes":["db"],"fault_kind":"cpu"}"#;
    fs::write(case.join("truth.json"), truth).unwrap();
    fs::write(root.join("shop/split.json"), r#"{"dev":["one"],"heldout":[]}"#).unwrap();
}

#[test]
fn ablation_has_a_line_for_each_mechanism_and_marks_what_does_nothing() {
    let dir = scratch("score_ablate");
    one_case(&dir);
    let table = text(&bench(&["score", "--ablate", "--cases", dir.to_str().unwrap()]));
    assert_eq!(table.lines().count(), hypocenter_bench::score::ablation::ALL.len() + 3);
    // No entity is silent here, so nothing changes when none may be.
    row(&table, "ranking: no silent candidates (no difference) |");
    assert_eq!(row(&table, "nothing switched off |")[2..4], ["1.000", "1.000"], "{table}");
    assert_eq!(row(&table, "ranking: kinds alike (no difference) |")[4], "–", "no storms");
    let base = row(&table, "nothing switched off |");
    assert_ne!(row(&table, "ranking: no EXPLAINS |")[2..], base[2..], "{table}");
}

#[test]
fn calibration_counts_every_case_and_every_incident_once() {
    let dir = scratch("score_calibration");
    let json = dir.join("figures.json");
    let table = text(&bench(&["score", "--calibration", "--json", json.to_str().unwrap()]));
    assert!(table.starts_with("| confidence of | answers | right |"), "{table}");
    let json: Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    let populations = json["calibration"]["populations"].as_array().unwrap();
    let count = |at: usize| populations[at]["count"].as_u64().unwrap();
    assert_eq!(count(0) + count(1) + count(2), count(3));
    // Of 121 cases, some raise no alert and have no answer.
    assert!((100..=121).contains(&count(0)), "{}", count(0));
    for population in populations {
        let bins = population["bins"].as_array().unwrap();
        let sum: u64 = bins.iter().map(|bin| bin["count"].as_u64().unwrap()).sum();
        assert_eq!(Some(sum), population["count"].as_u64());
    }
    assert_eq!(json["calibration"]["without_confidence"], 0);
}
