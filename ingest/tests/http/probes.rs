//! What a real Alertmanager answered and stored, we answer and store, but for the differences that
//! `docs/decoder.md` lists.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use hypocenter::api::{Alertmanager, Turns};
use hypocenter::board::{Board, BoardLimits};
use hypocenter::book::Book;
use hypocenter::http::{Limits, Options, Router, Security, Server};
use hypocenter::intake::{Intake, IntakeCounters};
use hypocenter::source::http::{Queue, QueueLimits};
use hypocenter_engine::{Span, Timestamp};
use serde_json::{Value, json};

use crate::common::{JSON, recording, request};

static NOW: AtomicI64 = AtomicI64::new(0);

fn now() -> Timestamp {
    Timestamp::from_millis(NOW.load(Ordering::Relaxed))
}

fn time(text: &Value) -> Timestamp {
    let text = text.as_str().expect("a time");
    hypocenter::wire::time::parse(text).expect("a time").expect("set")
}

/// An intake at the recorded time, with the recorded `resolve_timeout`; what is queued stays there.
fn server() -> Server {
    let queue = Queue::new(QueueLimits::default(), now);
    let book = Book::new(&[], Span::from_secs(4), 1 << 20);
    let limits =
        BoardLimits { bytes_max: 1 << 20, changes_max: 10, retain_for: Span::from_secs(9) };
    let api = Alertmanager::new(Arc::clone(&book), Board::new(limits, 1), Turns::default(), now);
    let counters: Arc<IntakeCounters> = Arc::default();
    let intake = Intake::new(queue, &hypocenter::wire::Options::default(), now, counters, book);
    let options = Options {
        name: "probes",
        addresses: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        router: intake.routes(api.routes(Router::default())),
        security: Security::none(),
        limits: Limits::default(),
        counters: Arc::default(),
    };
    Server::start(options, "the test").unwrap()
}

/// Case, the status given here, alerts stored here; each has its reason in `docs/decoder.md`.
const DIFFERENT: [(&str, u16, usize); 11] = [
    ("startsAt format ", 200, 1),
    ("label name with dash", 200, 1),
    ("UTF-8 label name", 200, 1),
    ("invalid UTF-8 byte", 400, 0),
    ("lone surrogate escape", 400, 0),
    ("one bad one good in a batch", 200, 1),
    ("schema-invalid one + good one", 422, 1),
    ("generatorURL not a URL", 200, 1),
    ("bad annotation name", 200, 1),
    ("trailing data", 400, 0),
    ("label value is number", 400, 0),
];

#[test]
fn status_and_stored_alerts_are_alertmanagers() {
    let server = server();
    let address = server.addresses()[0];
    let cases: Vec<Value> = serde_json::from_slice(&recording("post-alerts.json")).unwrap();
    assert_eq!(cases.len(), 59);
    for case in &cases {
        let name = case["case"].as_str().unwrap();
        NOW.store(time(&case["at"]).as_millis(), Ordering::Relaxed);
        let body: Vec<u8> = match &case["bytes"] {
            Value::Array(bytes) => bytes.iter().map(|b| b.as_u64().unwrap() as u8).collect(),
            _ => case["body"].as_str().unwrap().into(),
        };
        let headers = match name {
            "no content-type" => "",
            "text/plain" => "Content-Type: text/plain\r\n",
            "json charset" => "Content-Type: application/json; charset=utf-8\r\n",
            "gzip body" => "Content-Type: application/json\r\nContent-Encoding: gzip\r\n",
            _ => JSON,
        };
        let answer = request(address, "POST", "/api/v2/alerts", headers, &body);
        let different = DIFFERENT.iter().find(|(known, ..)| *known == name);
        let status = different.map_or(case["status"].as_u64().unwrap() as u16, |d| d.1);
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
        assert_eq!(answer.body.is_empty(), status == 200, "{name}");
        let Some(probe) = probe_of(&body) else { continue };
        let filter = format!("/api/v2/alerts?filter=t%3D%22{probe}%22");
        let stored = request(address, "GET", &filter, "", b"").json();
        match different {
            Some((.., count)) => assert_eq!(stored.as_array().unwrap().len(), *count, "{name}"),
            None => same(name, &stored, case.get("stored").unwrap_or(&json!([]))),
        }
    }
}

/// The value of the label `t`, by which each case is told.
fn probe_of(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let (_, rest) = text.split_once("\"t\":")?;
    Some(rest.trim_start().trim_start_matches('"').split('"').next()?.to_owned())
}

fn same(name: &str, ours: &Value, theirs: &Value) {
    let (ours, theirs) = (ours.as_array().unwrap(), theirs.as_array().unwrap());
    assert_eq!(ours.len(), theirs.len(), "{name}: {ours:?}");
    for (ours, theirs) in ours.iter().zip(theirs) {
        for field in ["labels", "annotations", "fingerprint"] {
            assert_eq!(ours[field], theirs[field], "{name}: {field}");
        }
        for field in ["startsAt", "endsAt"] {
            // The same moment: Alertmanager keeps a sender's offset, here it is always UTC.
            assert_eq!(time(&ours[field]), time(&theirs[field]), "{name}: {field}");
        }
    }
}

#[test]
fn every_recorded_body_is_accepted_through_its_door() {
    let daemon = crate::common::Daemon::start();
    let index: Value = serde_json::from_slice(&recording("index.json")).unwrap();
    let names: Vec<String> = ["prometheus", "webhook"]
        .iter()
        .flat_map(|folder| {
            let path = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"))
                .join("../fixtures/recordings")
                .join(folder);
            let files = std::fs::read_dir(path).unwrap();
            files.map(move |file| {
                format!("{folder}/{}", file.unwrap().file_name().to_str().unwrap())
            })
        })
        .filter(|name| !name.contains("timeline"))
        .collect();
    assert_eq!(names.len(), 31, "{index}");
    let mut alerts = 0;
    for name in &names {
        let body = recording(name);
        let door = if name.starts_with("webhook") { "/webhook" } else { "/api/v2/alerts" };
        let answer = daemon.post(door, &body);
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{name}: {}", answer.text());
        let other = if door == "/webhook" { "/api/v2/alerts" } else { "/webhook" };
        assert_eq!(daemon.post(other, &body).status, 400, "{name} at the wrong door");
        let parsed: Value = serde_json::from_slice(&body).unwrap();
        alerts += parsed.get("alerts").unwrap_or(&parsed).as_array().unwrap().len();
    }
    daemon.until("/metrics", |answer| {
        answer.text().contains(&format!("\nhypocenter_events_accepted_total {alerts}\n"))
    });
    assert_eq!(daemon.metric("hypocenter_alerts_received_total") as usize, alerts);
    assert_eq!(daemon.metric("hypocenter_events_rejected_total"), 0.0);
    assert_eq!(daemon.metric("hypocenter_alerts_truncated_total"), 176.0);
    assert_eq!(daemon.metric("hypocenter_http_bodies_refused_total{reason=\"shape\"}"), 31.0);
}

#[test]
fn records_of_the_event_recorder_are_read() {
    let daemon = crate::common::Daemon::start();
    let labels = json!({"labels": [{"key": "alertname", "value": "Down"}, {"key": "service", "value": "cart"}]});
    let at = |secs: u64| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        jiff::Timestamp::from_second((since.as_secs() + secs) as i64).unwrap().to_string()
    };
    let (starts, ends) = (at(0), at(240));
    let alert = |resolved: bool| {
        json!({"fingerprint": "1", "name": "Down", "labels": labels, "annotations": {"labels": []},
            "startsAt": starts, "endsAt": ends, "resolved": resolved})
    };
    let record =
        |data: Value| json!({"@timestamp": "2026-01-01T00:00:01Z", "instance": "a", "data": data});
    let created = record(json!({"alertCreated": {"alert": alert(false)}}));
    let resolved =
        record(json!({"alertResolved": {"alert": {"hash": "1", "details": alert(true)}}}));
    let silence = record(json!({"silenceCreated": {"silence": {"id": "x"}}}));
    assert_eq!(daemon.post("/webhook", created.to_string().as_bytes()).status, 200);
    // The second Alertmanager of a pair, which sends batches.
    let batch = json!([created, silence]).to_string();
    assert_eq!(daemon.post("/webhook", batch.as_bytes()).status, 200);
    let answer = daemon.until("/api/v1/incidents", |answer| {
        answer.json()["incidents"].as_array().is_some_and(|list| !list.is_empty())
    });
    assert_eq!(answer.json()["incidents"].as_array().unwrap().len(), 1);
    assert_eq!(answer.json()["incidents"][0]["root_cause"]["entity"], "cart");
    assert_eq!(daemon.post("/webhook", resolved.to_string().as_bytes()).status, 200);
    daemon.until("/metrics", |answer| {
        answer.text().contains("hypocenter_alerts_received_total{status=\"resolved\"} 1")
    });
    let records = daemon.finish();
    assert_eq!(records.len(), 1, "a repeat and a resolve publish nothing yet: {records:?}");
}
