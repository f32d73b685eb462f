//! `diff` through the binary: kinds of difference, gates, exit codes.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn diff(dir: &Path, a: &str, b: &str, args: &[&str]) -> (i32, String, String) {
    let write = |name: &str, text: &str| {
        let path: PathBuf = dir.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (a, b) = (write("a.yml", a), write("b.yml", b));
    let fixed = ["diff", "--config", &a, "--config", &b, "--topology", "topology.json"];
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_hypocenter"))
        .args(fixed)
        .args(args)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/recordings"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

const FILE: &str = "streams/prom-a.jsonl.gz";

#[test]
fn the_same_configuration_does_not_differ() {
    let dir = tempfile::tempdir().unwrap();
    let (code, out, err) = diff(dir.path(), "", "log: {level: debug}", &[FILE]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("other members 0, split 0, merged 0, mixed 0, only A 0, only B 0"));
}

#[test]
fn splits_and_suppressions_are_told_with_their_members() {
    let dir = tempfile::tempdir().unwrap();
    let strict = "grouping: {join_ratio: 0.999, late_weight: 0}\ntimes: {flap_window: 1ms}";
    let (code, out, _) = diff(dir.path(), "", strict, &["--format", "json", FILE]);
    assert_eq!(code, 4);
    let there: Value = serde_json::from_str(&out).unwrap();
    assert!(there["count"]["split"].as_u64().unwrap() > 0, "{}", there["count"]);
    assert!(!there["placed_by_b_only"].as_array().unwrap().is_empty(), "flappers are placed");
    for group in there["groups"].as_array().unwrap() {
        let members = |side: &str| -> Vec<String> {
            let incidents = group[side].as_array().unwrap().iter();
            let members = incidents.flat_map(|one| one["members"].as_array().unwrap());
            members.map(|m| m["fingerprint"].as_str().unwrap().to_owned()).collect()
        };
        match group["kind"].as_str().unwrap() {
            "split" => assert!(group["a"].as_array().unwrap().len() == 1),
            "only_b" => assert!(members("a").is_empty() && !members("b").is_empty()),
            _ => assert!(!members("a").is_empty() && !members("b").is_empty()),
        }
    }
    let (_, out, _) = diff(dir.path(), strict, "", &["--format", "json", FILE]);
    let back: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(there["count"]["split"], back["count"]["merged"], "seen from the other side");
    assert_eq!(there["count"]["only_b"], back["count"]["only_a"]);
    assert_eq!(there["placed_by_b_only"], back["placed_by_a_only"]);
    assert_eq!(
        (&there["a"]["incidents"], &there["b"]["incidents"]),
        (&back["b"]["incidents"], &back["a"]["incidents"])
    );
}

#[test]
fn gates_bound_what_may_differ() {
    let dir = tempfile::tempdir().unwrap();
    // The ranking alone: no member moves, candidates may.
    let base = "grouping: {late_weight: 0}\n";
    let ranking =
        format!("{base}kinds: {{weights: {{saturation: {{own: 0}}, error: {{own: 20}}}}}}");
    let run = |args: &[&str]| diff(dir.path(), base, &ranking, &[args, &[FILE]].concat());
    let (code, out, err) = run(&["--format", "json"]);
    let found: Value = serde_json::from_str(&out).unwrap();
    let changed = found["candidates_changed"].as_u64().unwrap();
    assert!(changed > 0, "{out}");
    assert_eq!(code, 4);
    assert!(err.contains("groups of incidents"), "{err}");
    let (_, out, _) = run(&[]);
    assert!(out.contains("\nB - A  noise: incidents +0, of one alert +0, records "), "{out}");
    assert_eq!(run(&["--max-candidates", &changed.to_string()]).0, 0);
    let (code, _, err) = run(&["--max-candidates", &(changed - 1).to_string()]);
    assert_eq!(code, 4);
    assert!(err.contains(&format!("{changed} candidates differ")), "{err}");
    assert_eq!(run(&["--max-more-incidents", "0"]).0, 0, "only what is bounded is looked at");
    assert_eq!(run(&["--max-changed", "100%"]).0, 0);
    assert_eq!(run(&["--max-changed", "0%"]).0, 4);
}

#[test]
fn wrong_use_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let code = |args: &[&str]| diff(dir.path(), "", "", args).0;
    assert_eq!(code(&["-"]), 2);
    assert_eq!(code(&["--max-changed", "lots", FILE]), 2);
    assert_eq!(code(&["--config", "third.yml", FILE]), 2);
    assert_eq!(code(&["nowhere.jsonl"]), 5);
    assert_eq!(diff(dir.path(), "", "grouping: {decay: 7}", &[FILE]).0, 3);
}
