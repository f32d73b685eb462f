use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::*;
use crate::source::http::QueueLimits;
use crate::state::{Loads, Progress};

fn filled() -> (Metrics, tempfile::TempDir) {
    let metrics = Metrics::default();
    let mut snapshot = Snapshot { records: 7, ..Snapshot::default() };
    snapshot.events_rejected.add("time", 2);
    snapshot.latency.record(900);
    snapshot.latency.record(1_000);
    snapshot.latency.record(1_001);
    snapshot.latency.record(60_000_000_000);
    snapshot.shards.push(ShardSnapshot {
        input: "a\"b\\c\n".to_owned(),
        partition: 3,
        position: 10,
        log_time: Some(1.5),
        snapshots: Some(Progress { taken_at: Some(Timestamp::MIN), ..Progress::default() }),
        ..ShardSnapshot::default()
    });
    snapshot.snapshot_loads = Some(Loads::default());
    assert!(metrics.publish(&snapshot));
    SinkCounters::count(&metrics.sink("webhook").sent);
    let queue = Queue::new(QueueLimits::default(), clock::wall);
    drop(metrics.intake(&queue));
    metrics.reloaded(true);
    let retain_for = hypocenter_engine::Span::from_secs(1);
    let limits = crate::board::BoardLimits { bytes_max: 1, changes_max: 1, retain_for };
    let book = Book::new(&[], retain_for, 1);
    metrics.readable(&Board::new(limits, 1), Some(&book));
    let (get, ok) = (hyper::Method::GET, hyper::StatusCode::OK);
    metrics.http().request("/metrics", &get, ok, std::time::Duration::from_millis(1));
    let client = metrics.client("alertmanager", "http://am-0:9093");
    ClientCounters::count(&client.requests);
    client.note_success(Timestamp::from_millis(1_500));
    let dir = tempfile::tempdir().expect("a directory");
    metrics.watch_feedback(judged(dir.path()));
    (metrics, dir)
}

/// One verdict, taken now.
fn judged(dir: &Path) -> Arc<Feedback> {
    use crate::feedback::{Bounds, Judgement, Log, Objective, Verdict, Via};
    let log = Log::new(&dir.join("feedback.jsonl"), Bounds::default());
    let objective = Objective { share: 0.8, window: std::time::Duration::from_secs(86_400) };
    let feedback = Feedback::open(log, objective).expect("opened");
    let judgement = Judgement {
        at_ms: clock::wall().as_millis(),
        incident: "inc-0123456789abcdef".to_owned(),
        verdict: Verdict::Confirm,
        entity: None,
        who: "ada".to_owned(),
        key: None,
        note: None,
        via: Via::File,
    };
    feedback.take(judgement).expect("stored");
    Arc::new(feedback)
}

/// Checks the text format by its grammar; returns the names of the samples.
pub(crate) fn check_text(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut family = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            family = rest.split(' ').next().expect("a name").to_owned();
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert_eq!(name, family, "HELP comes before TYPE");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a value");
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        assert!(labels.ends_with('}'), "{line}");
        assert!(name.starts_with(&family), "{line} is not of {family}");
        let fine = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(name.chars().all(fine), "{line}");
        names.insert(name.to_owned());
    }
    names
}

#[test]
fn both_forms_have_every_metric() {
    let (metrics, _dir) = filled();
    let text = metrics.render(Exposition::Text);
    let names = check_text(&text);
    for definition in DEFINITIONS {
        let name = match definition.kind {
            Type::Histogram => format!("{}_bucket", definition.name),
            _ => definition.name.to_owned(),
        };
        assert!(names.contains(&name), "{name} is missing in {text}");
    }
    for line in [
        "hypocenter_records_total 7",
        "hypocenter_events_rejected_total{reason=\"time\"} 2",
        "hypocenter_events_shed_total{limit=\"alerts\"} 0",
        "hypocenter_decision_latency_seconds_bucket{le=\"0.000001\"} 2",
        "hypocenter_decision_latency_seconds_bucket{le=\"0.000002\"} 3",
        "hypocenter_decision_latency_seconds_bucket{le=\"+Inf\"} 4",
        "hypocenter_decision_latency_seconds_count 4",
        "hypocenter_outputs_sent_total{sink=\"webhook\"} 1",
        "hypocenter_client_last_success_timestamp_seconds{client=\"alertmanager\",peer=\"http://am-0:9093\"} 1.5",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\nis not in\n{text}");
    }
    let open = metrics.render(Exposition::OpenMetrics);
    assert!(open.ends_with("# EOF\n"));
    assert!(open.contains("# TYPE hypocenter_records counter\n"));
    assert!(open.contains("# UNIT process_cpu_seconds seconds\n"));
}

#[test]
fn no_series_is_given_twice() {
    let (metrics, _dir) = filled();
    for _ in 0..2 {
        SinkCounters::count(&metrics.sink("webhook").sent);
    }
    let text = metrics.render(Exposition::Text);
    let mut series = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, _) = line.rsplit_once(' ').expect("a value");
        assert!(series.insert(name), "{name} twice");
    }
    assert!(text.contains("outputs_sent_total{sink=\"webhook-3\"} 1\n"), "{text}");
}

#[test]
fn a_scrape_does_not_hold_the_pipeline_up() {
    let metrics = Metrics::default();
    let scrape = locked(&metrics.shared.snapshot);
    assert!(!metrics.publish(&Snapshot::default()));
    drop(scrape);
    assert!(metrics.publish(&Snapshot::default()));
}

#[test]
fn names_follow_the_conventions() {
    let mut seen = BTreeSet::new();
    for d in DEFINITIONS {
        assert!(seen.insert(d.name), "{} twice", d.name);
        assert_eq!(d.name.ends_with("_total"), d.kind == Type::Counter, "{}", d.name);
        assert!(d.name.starts_with("hypocenter_") || d.name.starts_with("process_"));
        assert!(d.help.ends_with('.'), "{}", d.name);
    }
}

/// Run with `BLESS=1` to write the file anew.
#[test]
fn the_reference_is_up_to_date() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, reference()).expect("written");
    }
    let text = fs::read_to_string(&file).expect("docs/metrics.md");
    assert_eq!(text, reference(), "run BLESS=1 cargo test to write docs/metrics.md anew");
}
