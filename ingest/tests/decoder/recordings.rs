//! Everything that a real Prometheus and a real Alertmanager sent decodes, with their fingerprints.

use std::collections::HashSet;
use std::time::Duration;

use crate::common::{Owned, decode, decode_with, read, recording};
use hypocenter::source::file::FileSource;
use hypocenter::source::{Input, Polled, Source as _};
use hypocenter::wire::{Decoder, Options, Shape};
use hypocenter_engine::{Status, Timestamp};
use serde_json::Value;

const PROMETHEUS: [(&str, usize); 15] = [
    ("01-first-firing-after-start", 1),
    ("02-watchdog-single", 1),
    ("03-watchdog-resend", 1),
    ("04-unicode-template-quotes", 2),
    ("05-certificate-empty-annotation", 1),
    ("06-largest-batch-64", 64),
    ("07-first-resolved", 1),
    ("08-mixed-firing-resolved", 31),
    ("09-resolved-resend", 1),
    ("10-refire-new-startsAt", 1),
    ("11-ha-replica-a", 5),
    ("12-ha-replica-b", 1),
    ("13-replica-label-not-dropped", 12),
    ("14-default-flags-batch", 64),
    ("15-after-prometheus-restart", 1),
];

const WEBHOOK: [(&str, usize, u64); 16] = [
    ("01-by-service-firing", 4, 0),
    ("02-by-service-mixed", 46, 0),
    ("03-by-service-resolved", 14, 0),
    ("04-by-alertname-large", 70, 0),
    ("05-max-alerts-truncated", 10, 176),
    ("06-all-labels-critical", 1, 0),
    ("07-no-group-bearer", 4, 0),
    ("08-send-resolved-false", 4, 0),
    ("09-repeat-interval-first", 1, 0),
    ("10-repeat-interval-again", 1, 0),
    ("11-retry-attempt-1", 2, 0),
    ("11-retry-attempt-2", 2, 0),
    ("11-retry-attempt-3", 2, 0),
    ("11-retry-attempt-4", 2, 0),
    ("12-ha-duplicate-first", 1, 0),
    ("13-ha-duplicate-second", 1, 0),
];

/// The alerts of a body, as a plain JSON parser sees them.
fn plain(body: &[u8]) -> Vec<Value> {
    match serde_json::from_slice(body).expect("JSON") {
        Value::Array(alerts) => alerts,
        mut object => match object["alerts"].take() {
            Value::Array(alerts) => alerts,
            other => panic!("no alerts: {other}"),
        },
    }
}

/// All alerts of a body, which must all be accepted, and equal to what a plain parser sees.
fn accepted(body: &[u8]) -> (Shape, u64, Vec<Owned>) {
    let (summary, alerts) = decode(body).expect("a good body");
    let alerts: Vec<_> = alerts.into_iter().map(|a| a.expect("a good alert")).collect();
    let plain = plain(body);
    assert_eq!(alerts.len(), plain.len());
    for (alert, plain) in alerts.iter().zip(&plain) {
        let labels = plain["labels"].as_object().expect("labels");
        assert_eq!(alert.labels.len(), labels.len());
        for (name, value) in &alert.labels {
            assert_eq!(labels[name], value.as_str());
        }
        assert_eq!(alert.stated.as_deref(), plain["fingerprint"].as_str());
        if let Some(stated) = &alert.stated {
            assert_eq!(*stated, alert.fingerprint);
        }
        let status = match plain["status"].as_str() {
            Some("firing") => Some(Status::Firing),
            Some("resolved") => Some(Status::Resolved),
            _ => None,
        };
        assert_eq!(alert.status, status);
        assert!(alert.starts_at.is_some());
    }
    (summary.shape, summary.truncated, alerts)
}

#[test]
fn prometheus_bodies() {
    for (name, count) in PROMETHEUS {
        let (shape, _, alerts) = accepted(&read(&format!("prometheus/{name}.json")));
        assert_eq!((shape, alerts.len()), (Shape::Alerts, count), "{name}");
        assert!(alerts.iter().all(|a| a.ends_at > a.starts_at), "{name}");
    }
}

#[test]
fn webhook_bodies() {
    for (name, count, left_out) in WEBHOOK {
        let (shape, truncated, alerts) = accepted(&read(&format!("webhook/{name}.json")));
        assert_eq!((shape, alerts.len()), (Shape::Webhook, count), "{name}");
        assert_eq!(truncated, left_out, "{name}");
        for alert in alerts {
            assert!(alert.stated.is_some(), "{name}");
            let is_open = alert.ends_at.is_none();
            assert_eq!(is_open, alert.status == Some(Status::Firing), "{name}");
        }
    }
}

#[test]
fn alertmanager_answers_decode_too_with_all_280_fingerprints() {
    let mut count = 0;
    for seconds in [60, 130, 210, 270] {
        let (_, _, alerts) = accepted(&read(&format!("api/alerts-t{seconds}.json")));
        count += alerts.iter().filter(|a| a.stated.is_some()).count();
    }
    assert_eq!(count, 280);
}

/// Alerts, distinct alerts, first and last receive time of a recorded stream.
fn replay(name: &str) -> (u32, usize, Timestamp, Timestamp) {
    let path = recording(name).to_str().expect("UTF-8").to_owned();
    let mut source = FileSource::open(vec![path]).expect("readable");
    let mut decoder = Decoder::new(Options::default());
    let (mut count, mut distinct) = (0, HashSet::new());
    let (mut first, mut last) = (Timestamp::MAX, Timestamp::MIN);
    let mut each = |input: Input<'_>| {
        let Input::Record(record) = input else {
            return;
        };
        let (summary, alerts) = decode_with(&mut decoder, record.payload).expect("a good line");
        count += summary.accepted;
        for alert in alerts {
            let alert = alert.expect("a good alert");
            let at = alert.received_at.expect("recorded");
            (first, last) = (first.min(at), last.max(at));
            if let Some(stated) = alert.stated {
                assert_eq!(stated, alert.fingerprint);
            }
            distinct.insert(alert.fingerprint);
        }
    };
    while source.poll(Duration::ZERO, &mut each).expect("readable") != Polled::End {}
    let progress = source.progress();
    assert_eq!(progress.total_bytes(), Some(progress.bytes_read()));
    (count, distinct.len(), first, last)
}

#[test]
fn recorded_streams() {
    let (alerts, distinct, first, last) = replay("streams/prom-a.jsonl.gz");
    assert_eq!((alerts, distinct), (9849, 186));
    assert_eq!(first, Timestamp::from_nanos(1_795_329_004_790_313_000));
    assert!(last.since(first).as_secs_f64() > 380.0);
    let (alerts, distinct, ..) = replay("streams/prom-b.jsonl.gz");
    assert_eq!((alerts, distinct), (1139, 186));
    let (alerts, ..) = replay("streams/webhook.jsonl.gz");
    assert_eq!(alerts, 7897);
}

/// The cases where the decoder differs from Alertmanager on purpose: `docs/decoder.md`.
const DIFFERENT: [&str; 10] = [
    "startsAt format ",
    "label name with dash",
    "UTF-8 label name",
    "invalid UTF-8 byte",
    "lone surrogate escape",
    "schema-invalid one + good one",
    "one bad one good in a batch",
    "generatorURL not a URL",
    "bad annotation name",
    "trailing data",
];

/// Cases about the request and not about its body.
const NOT_THE_BODY: [&str; 2] = ["no content-type", "text/plain"];

#[test]
fn alertmanager_accepts_and_refuses_the_same_but_for_known_differences() {
    let cases: Vec<Value> = serde_json::from_slice(&read("post-alerts.json")).expect("JSON");
    assert_eq!(cases.len(), 59);
    let mut different = Vec::new();
    for case in &cases {
        let name = case["case"].as_str().expect("a name");
        if NOT_THE_BODY.contains(&name) {
            continue;
        }
        let body: Vec<u8> = match &case["bytes"] {
            Value::Array(bytes) => bytes.iter().map(|b| b.as_u64().expect("byte") as u8).collect(),
            _ => case["body"].as_str().expect("a body").into(),
        };
        let outcome = decode(&body);
        let accepted = matches!(&outcome, Ok((summary, _)) if summary.rejected == 0);
        if accepted != (case["status"] == 200) || DIFFERENT.contains(&name) {
            different.push(name);
        } else if let Ok((_, alerts)) = outcome {
            same_as_stored(name, &alerts, &case["stored"]);
        }
    }
    different.sort_unstable();
    let mut expected = DIFFERENT;
    expected.sort_unstable();
    assert_eq!(different, expected);
}

/// Alertmanager's answer afterwards has the same identity, and the same start if one was given.
fn same_as_stored<E>(name: &str, alerts: &[Result<Owned, E>], stored: &Value) {
    let (Some(Ok(last)), Some(stored)) = (alerts.last(), stored.get(0)) else {
        return;
    };
    assert_eq!(stored["fingerprint"], last.fingerprint.as_str(), "{name}");
    if let (Some(start), false) = (last.starts_at, name.starts_with("merge")) {
        let text = stored["startsAt"].as_str().expect("a time");
        let stored = hypocenter::wire::time::parse(text).expect("a time");
        assert_eq!(stored.map(Timestamp::as_millis), Some(start.as_millis()), "{name}");
    }
}
