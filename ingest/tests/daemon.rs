//! The daemon from outside: `hypocenter run` on standard input and output.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);

struct Daemon {
    child: Child,
    stdin: Option<ChildStdin>,
    records: Receiver<Value>,
    logs: Receiver<String>,
    address: String,
}

impl Daemon {
    fn start(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("hypocenter.yml");
        std::fs::write(&file, config).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_hypocenter"))
            .args(["run", "--web.listen-address", "127.0.0.1:0", "--config.file"])
            .arg(&file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (record, records) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines() {
                record.send(serde_json::from_str(&line.unwrap()).unwrap()).ok();
            }
        });
        let (log, logs) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || {
            for line in stderr.lines() {
                log.send(line.unwrap()).ok();
            }
        });
        let stdin = child.stdin.take();
        let mut daemon = Self { child, stdin, records, logs, address: String::new() };
        let serving = daemon.log("serving metrics");
        let (_, address) = serving.split_once("address=").unwrap();
        daemon.address = address.split_whitespace().next().unwrap().trim_matches('"').to_owned();
        // The file has been read once the daemon says where it serves.
        drop(dir);
        daemon
    }

    /// The next log line that has this text.
    fn log(&self, text: &str) -> String {
        loop {
            let line = self.logs.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no {text:?}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    fn send(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(line.as_bytes()).unwrap();
        stdin.write_all(b"\n").unwrap();
    }

    fn record(&self) -> Value {
        self.records.recv_timeout(PATIENCE).expect("an incident record")
    }

    /// Status and body of a GET.
    fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let host = &self.address;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    /// Waits until `/metrics` has this line.
    fn metric(&self, line: &str) {
        for _ in 0..300 {
            if self.get("/metrics").1.lines().any(|l| l == line) {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        panic!("no {line:?} in:\n{}", self.get("/metrics").1);
    }

    fn terminate(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let time = jiff::Timestamp::from_millisecond(since.as_millis() as i64).unwrap();
    time.to_string()
}

fn firing(service: &str) -> String {
    let labels = json!({"alertname": "ErrorRateHigh", "service": service, "severity": "critical"});
    json!([{"labels": labels, "startsAt": now()}]).to_string()
}

#[test]
fn alerts_in_incidents_out_and_bad_input_loses_nothing_else() {
    let mut daemon = Daemon::start("times: {settle_for: 10m}\n");
    assert_eq!(daemon.get("/-/healthy").0, 200);
    daemon.send(&firing("orders"));
    let first = daemon.record();
    assert_eq!(first["root_cause"]["entity"], "orders");
    assert_eq!((first["version"].as_u64(), first["phase"].as_str()), (Some(1), Some("open")));
    assert_eq!(daemon.get("/-/ready").0, 200);
    let bad = [
        r#"{"labels": "#,
        r#""text""#,
        r#"[{"labels": {"alertname": 7}}]"#,
        r#"[{"labels": {}}]"#,
        r#"[{"labels": {"alertname": "x"}, "startsAt": "yesterday"}]"#,
        r#"[{"labels": {"alertname": "x"}, "startsAt": "2026-01-02T00:00:00Z", "endsAt": "2026-01-01T00:00:00Z"}]"#,
    ];
    for line in bad {
        daemon.send(line);
    }
    let big = "x".repeat(1 << 20);
    daemon.send(&json!([{"labels": {"alertname": big}}]).to_string());
    daemon.send(&firing("billing"));
    let second = daemon.record();
    assert_eq!(second["root_cause"]["entity"], "billing", "what follows bad input is not lost");
    let warning = daemon.log("cannot read input");
    assert!(warning.contains("position=2") && warning.contains("level=warn"), "{warning}");
    daemon.metric("hypocenter_records_total 9");
    daemon.metric("hypocenter_events_accepted_total 2");
    daemon.metric(r#"hypocenter_events_rejected_total{reason="label_limit"} 1"#);
    daemon.metric(r#"hypocenter_records_rejected_total{reason="json"} 1"#);
    daemon.terminate();
    daemon.log("exiting gracefully");
    assert!(daemon.child.wait().unwrap().success());
}

#[test]
fn time_decides_in_an_idle_daemon_within_a_second() {
    let mut daemon = Daemon::start("times: {settle_for: 1s}\n");
    daemon.send(&firing("orders"));
    let opened = daemon.record();
    let settled = daemon.record();
    assert_eq!(settled["phase"], "settled");
    let at = |record: &Value| -> jiff::Timestamp {
        record["updated"].as_str().unwrap().parse().unwrap()
    };
    // Decided as of its deadline, however late the daemon looked.
    let span = at(&settled).duration_since(at(&opened));
    assert_eq!(span, jiff::SignedDuration::from_secs(1));
}

#[test]
fn the_end_of_input_drains_and_ends() {
    let mut daemon = Daemon::start("");
    daemon.send(&firing("orders"));
    daemon.stdin = None;
    assert_eq!(daemon.record()["root_cause"]["entity"], "orders");
    daemon.log("exiting gracefully");
    assert!(daemon.child.wait().unwrap().success());
}

#[test]
fn a_reader_of_standard_output_that_leaves_ends_the_daemon() {
    let alert = firing("orders");
    let script = format!("echo '{alert}'; sleep 1; echo '{}'; sleep 30", firing("billing"));
    let output = Command::new("bash")
        .args([
            "-c",
            "(eval \"$1\") | \"$2\" run --web.listen-address 127.0.0.1:0 | head -n 1; \
                      echo ${PIPESTATUS[1]} >&2",
            "-",
            &script,
        ])
        .arg(env!("CARGO_BIN_EXE_hypocenter"))
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("its reader has gone"), "{stderr}");
    assert!(stderr.ends_with("1\n"), "exit 1: {stderr}");
}

#[test]
fn a_replay_never_writes_over_what_it_reads() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("alerts.jsonl");
    std::fs::write(&file, firing("orders")).unwrap();
    for flag in ["--output", "--members"] {
        let output = Command::new(env!("CARGO_BIN_EXE_hypocenter"))
            .arg("replay")
            .args([&file, std::path::Path::new(flag), &dir.path().join(".").join("alerts.jsonl")])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{flag}");
        assert!(String::from_utf8(output.stderr).unwrap().contains("would overwrite"), "{flag}");
        assert!(std::fs::read_to_string(&file).unwrap().contains("orders"), "{flag}");
    }
}

/// What is wrong, where, and how to mend it; and the exit code.
#[test]
fn what_cannot_be_started_says_why() {
    let table = [
        ("inpt: {}\n", 3, "did you mean"),
        ("topology: {file: /nonexistent/graph.yml}\n", 3, "/nonexistent/graph.yml"),
        (
            "input: {type: file, paths: [/nonexistent/alerts.jsonl]}\n",
            5,
            "/nonexistent/alerts.jsonl",
        ),
        ("outputs: [{type: file, path: /nonexistent/out.jsonl}]\n", 5, "directory does not exist"),
        ("input: {type: kafka, brokers: ['127.0.0.1:1'], startup_timeout: 1s}\n", 5, "127.0.0.1:1"),
    ];
    for (config, code, text) in table {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("hypocenter.yml");
        std::fs::write(&file, config).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_hypocenter"))
            .args(["run", "--web.listen-address", "127.0.0.1:0", "--config.file"])
            .arg(&file)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{config}{stderr}");
        assert!(stderr.contains("error: ") && stderr.contains(text), "{config}{stderr}");
    }
}
