//! Secrets of every kind, in every place that they may be in, while everything fails: none of them
//! is in anything that people or machines read.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const CANARY: &str = "c4n4ry";

/// Everything that fails at once, but Kafka, which is waited for at the start.
fn by_http() -> String {
    format!(
        "log: {{level: debug}}
outputs:
  - type: webhook
    url: http://{CANARY}:{CANARY}@127.0.0.1:9/{CANARY}?token={CANARY}
    timeout: 1s
    http_config:
      basic_auth: {{username: u, password: {CANARY}}}
      proxy_url: 'http://u:{CANARY}@127.0.0.1:9'
  - type: webhook
    url: http://127.0.0.1:9/
    timeout: 1s
    http_config:
      authorization: {{credentials_file: secret}}
      http_headers: {{X-Key: {{secrets: [{CANARY}], files: [secret]}}}}
  - type: alertmanager
    urls: ['http://{CANARY}:{CANARY}@127.0.0.1:9']
    alerts_min: 1
    http_config: {{authorization: {{credentials: {CANARY}}}}}
neighbours:
  rules:
    urls: ['http://u:{CANARY}@127.0.0.1:9']
    http_config: {{basic_auth: {{username: u, password_file: secret}}}}
feedback: {{file: feedback.jsonl, token_file: secret}}
"
    )
}

fn by_kafka() -> String {
    format!(
        "log: {{level: debug}}
outputs:
  - type: kafka
    brokers: ['127.0.0.1:9']
    properties:
      security.protocol: SASL_PLAINTEXT
      sasl.mechanism: PLAIN
      sasl.username: u
      sasl.password: {CANARY}
      ssl.key.password: {CANARY}
      debug: all
"
    )
}

/// What `check config` and `run` show, the latter until all of `failures` were said.
fn observe(config: &str, failures: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hypocenter.yml");
    fs::write(&file, config).unwrap();
    fs::write(dir.path().join("secret"), CANARY.repeat(3)).unwrap();
    let hypocenter = || Command::new(env!("CARGO_BIN_EXE_hypocenter"));
    let check = hypocenter().args(["check", "config"]).arg(&file).output().unwrap();
    let mut seen = check.stdout;
    seen.extend(check.stderr);
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&seen));

    let mut child = hypocenter()
        .args(["run", "--web.listen-address", "127.0.0.1:0", "--config.file"])
        .arg(&file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let log = thread::spawn(move || {
        let (mut all, mut part) = (Vec::new(), [0; 4096]);
        while let Ok(read @ 1..) = stderr.read(&mut part) {
            all.extend_from_slice(&part[..read]);
            tell.send(all.clone()).ok();
        }
        all
    });
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"{\"labels\":{\"alertname\":\"A\",\"service\":\"s\"}}\n").unwrap();
    stdin.flush().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut text = String::new();
    while !failures.iter().all(|failure| text.contains(failure)) {
        assert!(Instant::now() < deadline, "{text}");
        if let Ok(all) = told.recv_timeout(Duration::from_secs(1)) {
            text = String::from_utf8_lossy(&all).into_owned();
        }
    }
    let (_, address) = text.split_once("serving metrics and health\" address=").unwrap();
    let address = address.split_whitespace().next().unwrap();
    for path in ["/metrics", "/-/ready", "/config", "/api/v1/status"] {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").unwrap();
        stream.read_to_end(&mut seen).ok();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    seen.extend(log.join().unwrap());
    child.stdout.take().unwrap().read_to_end(&mut seen).unwrap();
    String::from_utf8_lossy(&seen).into_owned()
}

#[test]
fn no_secret_is_in_logs_metrics_or_summaries() {
    let http = ["cannot deliver", "does not take alerts", "rules of Prometheus"];
    for (config, failures) in [(by_http(), &http[..]), (by_kafka(), &["no answer yet"])] {
        let seen = observe(&config, failures);
        assert!(seen.contains("hypocenter_build_info"), "{seen}");
        let leaks: Vec<&str> = seen.lines().filter(|line| line.contains(CANARY)).collect();
        assert!(leaks.is_empty(), "{}", leaks.join("\n"));
    }
}
