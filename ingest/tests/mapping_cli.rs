//! `mapping test` and `mapping suggest`, from outside.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

fn hypocenter(dir: &Path, args: &[&str], input: &str) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hypocenter"))
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("runs");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("written");
    let done = child.wait_with_output().expect("ends");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (done.status.code().expect("a code"), text(done.stdout), text(done.stderr))
}

fn json(line: &str) -> serde_json::Value {
    serde_json::from_str(line).expect("JSON")
}

#[test]
fn a_test_tells_the_rule_the_entity_and_why_not_the_others() {
    let dir = tempfile::tempdir().expect("a directory");
    let line = "mapping test alertname=KubeNodeNotReady node=w1 job=kube-state-metrics pod=ksm-0 \
                service=ksm";
    let (code, out, err) = hypocenter(dir.path(), &line.split_whitespace().collect::<Vec<_>>(), "");
    assert_eq!((code, err.as_str()), (0, ""));
    let expected = "\
labels   alertname=KubeNodeNotReady job=kube-state-metrics node=w1 pod=ksm-0 service=ksm
hidden   job, pod, service: they name the exporter
rule     kube-node
entity   node/w1 (node)
before
  heartbeat        alertname is \"KubeNodeNotReady\", not Watchdog|DeadMansSwitch
";
    assert!(out.starts_with(expected), "{out}");
    let (code, _, err) = hypocenter(dir.path(), &["mapping", "test", "service"], "");
    assert_eq!(code, 2);
    assert!(err.contains("\"service\" is no label; write NAME=VALUE"), "{err}");
}

#[test]
fn alerts_are_read_from_standard_input_in_every_shape() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("t.yml"), "edges: [{from: Orders, to: db}]\n").expect("written");
    let args = ["mapping", "test", "--format", "json", "--topology", "t.yml", "-"];
    for input in [
        r#"{"service": "orders-svc"}"#,
        r#"{"labels": {"service": "orders-svc"}}"#,
        r#"[{"labels": {"service": "orders-svc"}, "startsAt": "2026-11-22T06:00:00Z"}]"#,
    ] {
        let (code, out, err) = hypocenter(dir.path(), &args, input);
        assert_eq!((code, err.as_str()), (0, ""), "{input}");
        let answer = json(&out);
        assert_eq!(answer["rule"], "service");
        assert_eq!(answer["entity"], "orders-svc");
        assert_eq!((&answer["resolved"], &answer["found"]), (&"Orders".into(), &"folded".into()));
    }
    let two = "{\"service\": \"db\"}\n{\"alertname\": \"Watchdog\"}\n";
    let (code, out, _) = hypocenter(dir.path(), &args, two);
    assert_eq!(code, 0);
    let lines: Vec<_> = out.lines().map(json).collect();
    assert_eq!(lines[0]["found"], "exact");
    assert_eq!((&lines[1]["action"], &lines[1]["entity"]), (&"heartbeat".into(), &().into()));
    for (input, expected) in [
        ("", "holds no alert"),
        ("{\"labels\": 1}", "alert 1: "),
        ("{}", "alert 1: "),
        ("nonsense", "alert 1: "),
    ] {
        let (code, _, err) = hypocenter(dir.path(), &args, input);
        assert_eq!(code, 3, "{input}");
        assert!(err.contains(expected), "{input}: {err}");
    }
}

#[test]
fn what_is_suggested_maps_what_was_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let alert = |labels: &str| format!("{{\"labels\": {{{labels}}}}}\n");
    let recording = [
        alert(r#""alertname": "Disk.Full", "hostname": "web-1", "severity": "critical""#),
        alert(r#""alertname": "LoadHigh", "hostname": "web-2", "severity": "warning""#),
        alert(r#""alertname": "Lag \"x\"", "queue_name": "mails", "severity": "warning""#),
        alert(r#""alertname": "Odd", "severity": "warning""#),
        alert(r#""alertname": "Fine", "service": "orders""#),
    ];
    fs::write(dir.path().join("r.jsonl"), recording.concat()).expect("written");
    let (code, out, err) = hypocenter(dir.path(), &["mapping", "suggest", "r.jsonl"], "");
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("# 5 alerts, 4 of which no rule maps.\n"), "{out}");
    assert!(out.contains("# no label names the subject: 1 alert of 1 name"), "{out}");
    fs::write(dir.path().join("c.yml"), &out).expect("written");
    let with = ["mapping", "suggest", "--config.file", "c.yml", "r.jsonl"];
    let (code, again, err) = hypocenter(dir.path(), &with, "");
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(again.starts_with("# 5 alerts, 1 of which no rule maps.\n"), "{again}");
    let test = ["mapping", "test", "--config.file", "c.yml", "--format", "json", "-"];
    for (line, entity) in [(0, "node/web-1"), (1, "node/web-2"), (2, "queue/mails")] {
        let (_, out, _) = hypocenter(dir.path(), &test, &recording[line]);
        assert_eq!(json(&out)["entity"], entity, "{out}");
    }
    let (code, _, _) = hypocenter(dir.path(), &["mapping", "suggest", "none.jsonl"], "");
    assert_eq!(code, 5);
}

#[test]
fn a_pod_outside_the_graph_is_the_service_that_its_alert_names_unless_that_is_the_exporter() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("t.yml"), "edges: [{from: shop, to: cart}]\n").expect("written");
    let args = ["mapping", "test", "--format", "json", "--topology", "t.yml", "-"];
    for (job, resolved, found) in
        [("shop", "cart", "owner"), ("kubelet", "pod/cart-one", "outside")]
    {
        let input = format!(
            r#"{{"alertname": "CPUThrottlingHigh", "job": "{job}", "pod": "cart-one", "service": "cart"}}"#
        );
        let (code, out, err) = hypocenter(dir.path(), &args, &input);
        assert_eq!((code, err.as_str()), (0, ""), "{input}");
        let answer = json(&out);
        assert_eq!(answer["entity"], "pod/cart-one", "{answer}");
        assert_eq!((&answer["resolved"], &answer["found"]), (&resolved.into(), &found.into()));
    }
}
