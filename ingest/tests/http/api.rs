//! What readers get.

use std::io::{BufRead, BufReader, Write};

use serde_json::{Value, json};

use crate::common::{Daemon, JSON, alert, connect, request};

fn incidents(daemon: &Daemon, query: &str) -> Vec<Value> {
    let answer = daemon.read(&format!("/api/v1/incidents{query}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["incidents"].as_array().unwrap().clone()
}

fn wait_for(daemon: &Daemon, count: usize) {
    daemon.until("/api/v1/incidents", |answer| {
        answer.json()["incidents"].as_array().is_some_and(|list| list.len() == count)
    });
}

#[test]
fn an_ha_pair_is_one_alert_and_one_incident_with_honest_counters() {
    let daemon = Daemon::start();
    for replica in ["a", "b"] {
        let labels =
            json!({"alertname": "Down", "service": "redis", "prometheus_replica": replica});
        let body = json!([{"labels": labels, "annotations": {"who": replica}}]).to_string();
        assert_eq!(daemon.post("/api/v2/alerts", body.as_bytes()).status, 200);
    }
    let alerts = daemon.get("/api/v2/alerts").json();
    assert_eq!(alerts.as_array().unwrap().len(), 1, "at once, without the pipeline: {alerts}");
    assert_eq!(alerts[0]["labels"], json!({"alertname": "Down", "service": "redis"}));
    assert_eq!(alerts[0]["annotations"]["who"], "b");
    daemon.until("/metrics", |answer| {
        answer.text().contains("\nhypocenter_events_repeated_total 1\n")
    });
    assert_eq!(daemon.metric("hypocenter_events_accepted_total"), 2.0);
    assert_eq!(daemon.metric("hypocenter_incidents_opened_total"), 1.0);
    assert_eq!(incidents(&daemon, "").len(), 1);
}

#[test]
fn groups_are_incidents() {
    let daemon = Daemon::start();
    for service in ["cart", "checkout", "elsewhere"] {
        assert_eq!(daemon.post("/api/v2/alerts", &alert(service)).status, 200);
    }
    wait_for(&daemon, 2);
    let groups = daemon.get("/api/v2/alerts/groups").json();
    let of = |service: &str| {
        let has = |group: &&Value| {
            let alerts = group["alerts"].as_array().unwrap();
            alerts.iter().any(|alert| alert["labels"]["service"] == service)
        };
        groups.as_array().unwrap().iter().find(has).unwrap()
    };
    assert_eq!(groups.as_array().unwrap().len(), 2, "{groups}");
    assert_eq!(of("cart"), of("checkout"), "one explains the other");
    assert_eq!(of("cart")["labels"]["root_cause"], "cart");
    assert_ne!(of("elsewhere")["labels"]["incident"], of("cart")["labels"]["incident"]);
    let filtered =
        daemon.get("/api/v2/alerts/groups?filter=service%3D~%22e.*%22&active=true").json();
    assert_eq!(filtered.as_array().unwrap().len(), 1);
    let shown = |query: &str| {
        daemon.get(&format!("/api/v2/alerts?{query}")).json().as_array().unwrap().len()
    };
    assert_eq!(shown("filter=service%3Dcart"), 1);
    assert_eq!(shown("filter=service%21%3Dcart&filter=service%21%3Dcheckout"), 1);
    assert_eq!(shown("active=false"), 0);
    assert_eq!(shown("silenced=true&inhibited=false&unprocessed=true"), 3);
    assert_eq!(shown("receiver=other"), 0);
    assert_eq!(daemon.get("/api/v2/alerts?filter=%7Bbad").status, 400);
}

#[test]
fn tools_find_what_they_expect_of_an_alertmanager() {
    let daemon = Daemon::start();
    let status = daemon.get("/api/v2/status").json();
    assert_eq!(status["cluster"]["status"], "disabled");
    assert!(status["config"]["original"].as_str().unwrap().contains("receiver: hypocenter"));
    for field in ["branch", "buildDate", "buildUser", "goVersion", "revision", "version"] {
        assert!(status["versionInfo"][field].is_string(), "{field}");
    }
    assert_eq!(daemon.get("/api/v2/receivers").json(), json!([{"name": "hypocenter"}]));
    assert_eq!(daemon.get("/api/v2/silences").json(), json!([]));
    let refused = daemon.post("/api/v2/silences", b"{}");
    assert_eq!(refused.status, 400);
    assert!(refused.json().as_str().unwrap().contains("Alertmanager"), "{}", refused.text());
    let id = "/api/v2/silence/00000000-0000-0000-0000-000000000000";
    assert_eq!(daemon.get(id).status, 404);
    assert_eq!(request(daemon.intake, "DELETE", id, "", b"").status, 404);
    // Grafana tells implementations apart by this.
    assert_eq!(daemon.get("/alertmanager/api/v2/status").status, 404);
    assert_eq!(daemon.get("/metrics").status, 404, "not where alerts are posted");
    for method in ["DELETE", "OPTIONS", "PUT"] {
        let refused = request(daemon.intake, method, "/api/v2/alerts", "", b"");
        assert_eq!(refused.status, 405);
        assert!(refused.text().contains("[GET,POST]"), "{}", refused.text());
        assert!(!refused.head.to_ascii_lowercase().contains("access-control"), "no CORS");
    }
    assert_eq!(daemon.read("/api/v2/status").status, 200, "readers may ask here as well");
    assert_eq!(request(daemon.web, "POST", "/api/v2/alerts", JSON, b"[]").status, 405);
}

#[test]
fn incidents_can_be_listed_filtered_and_paged() {
    let daemon = Daemon::start();
    for service in ["a", "b", "c"] {
        let labels = json!({"alertname": "Down", "service": service, "severity": "critical"});
        let body = json!([{"labels": labels}]).to_string();
        assert_eq!(daemon.post("/api/v2/alerts", body.as_bytes()).status, 200);
    }
    wait_for(&daemon, 3);
    let all = incidents(&daemon, "");
    let first = daemon.read("/api/v1/incidents?limit=2").json();
    assert_eq!(first["incidents"].as_array().unwrap()[..], all[..2]);
    let next = first["next"].as_str().unwrap();
    let rest = daemon.read(&format!("/api/v1/incidents?limit=2&before={next}")).json();
    assert_eq!(rest["incidents"].as_array().unwrap()[..], all[2..]);
    assert_eq!(rest["next"], Value::Null);
    assert_eq!(incidents(&daemon, "?phase=open&severity=critical").len(), 3);
    assert_eq!(incidents(&daemon, "?phase=resolved").len(), 0);
    assert_eq!(incidents(&daemon, "?root_cause=b&root_cause=c").len(), 2);
    let id = all[0]["incident"].as_str().unwrap();
    assert_eq!(daemon.read(&format!("/api/v1/incidents/{id}")).json(), all[0]);
    assert_eq!(daemon.read("/api/v1/incidents/inc-0").status, 404);
    assert_eq!(daemon.read("/api/v1/incidents/..%2f..%2fetc%2fpasswd").status, 404);
    for query in ["limit=0", "limit=x", "phase=closed", "nonsense=1"] {
        let refused = daemon.read(&format!("/api/v1/incidents?{query}"));
        assert_eq!(refused.status, 400, "{query}");
        assert!(refused.json()["message"].is_string());
    }
}

/// A reader of the stream.
struct Stream(BufReader<std::net::TcpStream>);

impl Stream {
    fn open(daemon: &Daemon, last: Option<&str>) -> Self {
        let mut stream = connect(daemon.web);
        let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        write!(stream, "GET /api/v1/stream HTTP/1.1\r\nHost: x\r\n{last}\r\n").unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            assert_ne!(reader.read_line(&mut line).unwrap(), 0);
        }
        let mut stream = Self(reader);
        assert!(stream.next_with("retry:").contains("2000"));
        stream
    }

    /// The next line that begins like this, without that.
    fn next_with(&mut self, begin: &str) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "the stream ended");
            if let Some(rest) = line.strip_prefix(begin) {
                return rest.trim().to_owned();
            }
        }
    }

    fn incident(&mut self) -> (String, Value) {
        let id = self.next_with("id:");
        assert_eq!(self.next_with("event:"), "incident");
        (id, serde_json::from_str(&self.next_with("data:")).unwrap())
    }
}

#[test]
fn the_stream_tells_every_version_and_can_be_resumed() {
    let daemon = Daemon::start();
    let mut stream = Stream::open(&daemon, None);
    assert_eq!(daemon.post("/api/v2/alerts", &alert("a")).status, 200);
    let (first, record) = stream.incident();
    assert_eq!(
        (record["root_cause"]["entity"].as_str(), record["version"].as_u64()),
        (Some("a"), Some(1))
    );
    assert_eq!(daemon.post("/api/v2/alerts", &alert("b")).status, 200);
    let (second, record) = stream.incident();
    assert_eq!(record["root_cause"]["entity"], "b");
    drop(stream);
    assert_eq!(Stream::open(&daemon, Some(&first)).incident(), (second, record), "what was missed");
    let mut other = Stream::open(&daemon, Some("1-1"));
    assert_eq!(other.next_with("event:"), "lost", "a number of another process");
    let lost: Value = serde_json::from_str(&other.next_with("data:")).unwrap();
    assert_eq!(lost["read"], "/api/v1/incidents");
}

#[test]
fn what_was_accepted_is_decided_before_the_end() {
    let daemon = Daemon::start();
    for n in 0..50 {
        assert_eq!(daemon.post("/api/v2/alerts", &alert(&format!("s{n}"))).status, 200);
    }
    assert_eq!(daemon.finish().len(), 50);
}
