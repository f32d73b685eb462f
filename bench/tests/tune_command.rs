//! `hypocenter-bench tune` through its binary, on data so small that a search takes a moment.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hypocenter::config::Config;

mod common;

use common::scratch;

fn tune(args: &[&str]) -> (bool, String, String) {
    let command =
        Command::new(env!("CARGO_BIN_EXE_hypocenter-bench")).arg("tune").args(args).output();
    let Output { status, stdout, stderr } = command.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.success(), text(stdout), text(stderr))
}

/// A case of a system: what alerts how much, and what is at fault. `lb` calls `web`
/// and `api`, which call `db`.
fn case(root: &Path, system: &str, alerts: &[(&str, &str)], root_cause: &str) {
    let event = |(service, value): &(&str, &str)| {
        format!(
            r#"{{"ts_ms":1000,"status":"firing","labels":{{"alertname":"HighLatency","service":"{service}"}},"annotations":{{"value":"{value}","threshold":">1"}},"startsAt":"1970-01-01T00:00:01Z","fingerprint":"{service}"}}"#
        )
    };
    let case = root.join(system).join("one");
    fs::create_dir_all(&case).unwrap();
    let alerts: Vec<String> = alerts.iter().map(event).collect();
    fs::write(case.join("alerts.jsonl"), alerts.join("\n")).unwrap();
    let topology = r#"{"nodes":["lb","web","api","db"],"edges":[
        {"from":"lb","to":"web"},{"from":"lb","to":"api"},
        {"from":"web","to":"db"},{"from":"api","to":"db"}]}"#;
    fs::write(case.join("topology.json"), topology).unwrap();
    let truth = format!(r#"{{"root_causes":["{root_cause}"],"fault_kind":"cpu"}}"#);
    fs::write(case.join("truth.json"), truth).unwrap();
    fs::write(root.join(system).join("split.json"), r#"{"dev":["one"]}"#).unwrap();
}

/// Two systems in which a cause is silent, so that its price matters.
fn data(name: &str) -> PathBuf {
    let dir = scratch(name);
    for system in ["ada", "bob"] {
        case(&dir, system, &[("web", "20"), ("api", "20")], "db");
    }
    dir
}

#[test]
fn what_serves_all_systems_is_found_and_carries_over() {
    let dir = data("tune_found");
    let (cases, file) = (dir.to_str().unwrap(), dir.join("policy.yml"));
    let fixed = ["--cases", cases, "--parameter", "ranking.", "--objective", "top1=1"];
    let start = ["--policy", dir.join("start.yml").to_str().unwrap().to_owned().leak()];
    fs::write(dir.join("start.yml"), "ranking: {silent_price: 3}\nlabels: {tenant: team}\n")
        .unwrap();
    let output = ["--output", file.to_str().unwrap()];
    let (ok, out, err) = tune(&[&fixed[..], &start, &output].concat());
    assert!(ok, "{err}");
    let row = |name: &str| {
        out.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{out}"))
    };
    assert!(row("| as they are |").contains("| 0.0000 | 0.000 |"), "{out}");
    assert!(row("| picked on other systems |").contains("| 1.0000 | 1.000 |"), "{out}");
    assert!(row("| ada |").contains("| 0.0000 | 1.0000 |"), "{out}");
    let text = fs::read_to_string(&file).unwrap();
    for part in
        ["# command: hypocenter-bench tune --cases", "# data: ", "# seed: 1", "# working tree: "]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let config = Config::parse(&text).unwrap();
    assert_eq!(config.policy.spec().labels.tenant.as_deref(), Some("team"), "the start is kept");
    assert!(config.policy.spec().ranking.silent_price < 3.0);
    let (_, again, _) = tune(&[&fixed[..], &start, &output].concat());
    assert_eq!(out, again, "a search is repeatable");
}

#[test]
fn what_harms_a_system_is_not_picked_unless_it_may() {
    let dir = scratch("tune_harm");
    // Silence must be cheap for two of them, and dear for the third.
    for system in ["ada", "bob"] {
        case(&dir, system, &[("web", "20"), ("api", "20")], "db");
    }
    case(&dir, "eve", &[("web", "20"), ("api", "20")], "api");
    let fixed = ["--cases", dir.to_str().unwrap(), "--objective", "top1=1", "--method", "grid"];
    let start = dir.join("start.yml");
    fs::write(&start, "ranking: {silent_price: 3}\n").unwrap();
    let axis = ["--axis", "ranking.silent_price=0,3", "--policy", start.to_str().unwrap()];
    let picked = |args: &[&str]| {
        let (ok, out, err) = tune(&[&fixed[..], &axis, args].concat());
        assert!(ok, "{err}");
        out.lines().find(|line| line.starts_with("| picked on this data")).unwrap().to_owned()
    };
    assert!(picked(&[]).contains("| 0.3333 |"), "{}", picked(&[]));
    assert!(picked(&["--may-harm"]).contains("| 0.6667 |"), "{}", picked(&["--may-harm"]));
}

#[test]
fn sensitivity_front_and_random_search_print_what_they_promise() {
    let dir = data("tune_prints");
    let fixed = ["--cases", dir.to_str().unwrap(), "--parameter", "ranking.silent"];
    let (ok, out, err) = tune(&[&fixed[..], &["--method", "sensitivity"]].concat());
    assert!(ok, "{err}");
    assert!(out.contains("\n| ranking.silent_price | 0.5 | "), "{out}");
    let random = ["--method", "random", "--evaluations", "5", "--front"];
    let (ok, out, err) = tune(&[&fixed[..], &random].concat());
    assert!(ok, "{err}");
    assert!(
        out.contains("| objective | µs for each event |") && out.contains("```yaml\n# A policy")
    );
}

#[test]
fn score_says_what_tuning_gets_on_systems_left_out() {
    let dir = data("tune_score");
    let output = Command::new(env!("CARGO_BIN_EXE_hypocenter-bench"))
        .args(["score", "--leave-one-out", "--cases", dir.to_str().unwrap()])
        .output()
        .unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{out}");
    for row in ["| as they are |", "| picked on other systems |", "| ada |", "| bob |"] {
        assert!(out.contains(&format!("\n{row}")), "{row}: {out}");
    }
}

#[test]
fn wrong_use_is_told() {
    let dir = data("tune_wrong");
    let cases = ["--cases", dir.to_str().unwrap()];
    for (args, expected) in [
        (&["--parameter", "nothing."][..], "nothing."),
        (&["--method", "grid"], "--axis"),
        (&["--axis", "ranking.decay=0.5"], "--method grid"),
        (&["--method", "grid", "--axis", "ranking.decoy=1"], "ranking.decoy"),
        (&["--objective", "speed=1"], "speed"),
    ] {
        let (ok, _, err) = tune(&[&cases[..], args].concat());
        assert!(!ok && err.contains(expected), "{args:?}: {err}");
    }
}
