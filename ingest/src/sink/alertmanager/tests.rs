use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::*;
use crate::config::Pattern;
use crate::http_client::tests::{Seen, TestServer, answer};
use crate::record::rfc3339;
use crate::sink::Outgoing;
use crate::wire::time;

const LONG: Duration = Duration::from_secs(20);

fn shard() -> Shard {
    Shard { input: "alerts".to_owned(), partition: 0 }
}

/// A record of an incident as the pipeline makes it, of now, with changes.
fn record(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let now = rfc3339(clock::wall());
    let mut record = json!({
        "incident": "i1", "version": 1, "phase": "open", "tenant": "", "severity": "warning",
        "onset": "2026-11-22T10:41:02Z", "opened": now, "updated": now,
        "root_cause": {"entity": "postgres", "kind": "saturation", "alertname": "PoolExhausted",
                       "confidence": 0.834, "low_confidence": false},
        "runner_up": {"entity": "redis", "kind": null, "alertname": null, "confidence": 0.1},
        "evidence": [{"text": "its own saturation alert, a cause in itself"},
                     {"text": "checkout depends on it and complains"}],
        "why_not": [{"entity": "redis", "text": "it has no alert of its own"}],
        "impact": {"entities": 3, "affected": ["postgres", "checkout", "cart"],
                   "top_most": ["cart"], "top_most_count": 4},
        "members": {"count": 7, "firing": 5},
        "dedup": {"events": 40, "repeats": 33},
        "degraded": [],
    });
    change(&mut record);
    serde_json::to_vec(&record).expect("JSON")
}

fn send(sink: &mut AlertmanagerSink, position: u64, body: &[u8]) {
    let cause = Cause { shard: shard(), position };
    sink.send(&Outgoing { incident: "", version: position, body, headers: &[], cause })
        .expect("taken");
}

fn output(urls: &[String]) -> AlertmanagerOutput {
    AlertmanagerOutput { urls: urls.to_vec(), ..AlertmanagerOutput::default() }
}

fn start(output: &AlertmanagerOutput) -> (AlertmanagerSink, Metrics) {
    let metrics = Metrics::default();
    let sink = AlertmanagerSink::start(output, Some("cluster"), None, &metrics).expect("started");
    (sink, metrics)
}

/// Alertmanager's memory: the last that was posted for each label set.
fn state(server: &TestServer) -> BTreeMap<String, Value> {
    let mut state = BTreeMap::new();
    for (head, body) in server.seen() {
        assert!(head.starts_with("POST /api/v2/alerts HTTP/1.1\r\n"), "{head}");
        let alerts: Vec<Value> = serde_json::from_str(&body).expect("a list of alerts");
        for alert in alerts {
            state.insert(alert["labels"].to_string(), alert);
        }
    }
    state
}

fn is_firing(alert: &Value) -> bool {
    let end = alert["endsAt"].as_str().expect("an end");
    time::parse(end).expect("a time").expect("set") > clock::wall()
}

/// The firing alerts as `alertname/entity`.
fn firing(server: &TestServer) -> Vec<String> {
    let name = |alert: &Value| {
        let labels = &alert["labels"];
        format!("{}/{}", labels["alertname"], labels["entity"]).replace('"', "")
    };
    let mut names: Vec<String> =
        state(server).values().filter(|alert| is_firing(alert)).map(name).collect();
    names.sort();
    names
}

fn await_that(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn fine() -> TestServer {
    TestServer::start(|_, _| answer("200 OK", ""))
}

#[test]
fn an_incident_is_one_alert_at_every_peer() {
    let peers = [fine(), fine()];
    let mut output = output(&[peers[0].url(), format!("{}/", peers[1].url())]);
    output.incident_url = Some("https://h.example/i/{incident}".to_owned());
    output.labels.insert("team".to_owned(), "sre".to_owned());
    let (mut sink, metrics) = start(&output);
    send(&mut sink, 1, &record(|r| r["tenant"] = json!("eu")));
    assert!(sink.flush(LONG));
    let mut acknowledged = Vec::new();
    sink.acknowledged(&mut |cause| acknowledged.push(cause.position)).expect("alive");
    assert_eq!(acknowledged, [1]);
    for peer in &peers {
        let state = state(peer);
        assert_eq!(state.len(), 1);
        let alert = state.values().next().expect("one");
        assert_eq!(
            alert["labels"],
            json!({"alertname": "IncidentRootCause", "incident_id": "i1", "entity": "postgres",
                   "service": "postgres", "severity": "warning", "cluster": "eu", "team": "sre",
                   "generated_by": "hypocenter"})
        );
        assert_eq!(alert["generatorURL"], "https://h.example/i/i1");
        let end = alert["endsAt"].as_str().expect("an end");
        let end = time::parse(end).expect("a time").expect("set");
        let ahead = end.since(clock::wall()).as_secs_f64();
        assert!((230.0..=240.0).contains(&ahead), "four refreshes ahead: {ahead}");
        let annotations = &alert["annotations"];
        assert_eq!(
            annotations["summary"],
            "postgres is the likely root cause of 7 alerts on 3 entities"
        );
        assert_eq!(
            annotations["description"],
            "Candidate: postgres, shown by PoolExhausted (saturation). Confidence 83 %.\n\
             Why: its own saturation alert, a cause in itself; checkout depends on it and \
             complains.\n\
             Runner-up: redis (10 %): it has no alert of its own.\n\
             Felt at: cart and 3 more.\n\
             Since 2026-11-22T10:41:02Z; 5 of 7 alerts still fire; 40 events, 33 of them repeats."
        );
        assert_eq!(annotations["affected"], "postgres, checkout, cart");
    }
    let text = metrics.render(crate::metrics::Exposition::Text);
    for peer in &peers {
        let url = peer.url();
        let line =
            format!("hypocenter_client_requests_total{{client=\"alertmanager\",peer=\"{url}\"}} 1");
        assert!(text.contains(&line), "{text}");
    }
}

#[test]
fn labels_stand_while_figures_change() {
    let peer = fine();
    let (mut sink, _) = start(&output(&[peer.url()]));
    let opened = rfc3339(clock::wall());
    let version = |change: &dyn Fn(&mut Value)| {
        record(|r| {
            r["opened"] = json!(opened);
            change(r);
        })
    };
    send(&mut sink, 1, &version(&|_| {}));
    send(
        &mut sink,
        2,
        &version(&|r| {
            r["phase"] = json!("settled");
            r["members"]["count"] = json!(9);
            r["root_cause"]["confidence"] = json!(0.95);
            r["severity"] = json!("info");
        }),
    );
    assert!(sink.flush(LONG));
    let found = state(&peer);
    assert_eq!(found.len(), 1, "{found:?}");
    let alert = found.values().next().expect("one");
    assert_eq!(
        (&alert["annotations"]["alerts"], &alert["startsAt"]),
        (&json!("9"), &json!(opened))
    );
}

#[test]
fn another_candidate_ends_the_old_alert_and_begins_a_new_one_in_one_request() {
    let peer = fine();
    let mut output = output(&[peer.url()]);
    output.members = true;
    let (mut sink, _) = start(&output);
    send(&mut sink, 1, &record(|_| {}));
    assert!(sink.flush(LONG));
    assert_eq!(
        firing(&peer),
        ["IncidentMember/cart", "IncidentMember/checkout", "IncidentRootCause/postgres"]
    );
    send(&mut sink, 2, &record(|r| r["root_cause"]["entity"] = json!("cart")));
    assert!(sink.flush(LONG));
    assert_eq!(
        firing(&peer),
        ["IncidentMember/checkout", "IncidentMember/postgres", "IncidentRootCause/cart"]
    );
    let seen = peer.seen();
    assert_eq!(seen.len(), 2);
    let alerts: Vec<Value> = serde_json::from_str(&seen[1].1).expect("a list");
    let first_firing = alerts.iter().position(is_firing).expect("some");
    assert!(alerts[first_firing..].iter().all(is_firing), "what is over comes first");
    // A guess inhibits nothing.
    send(
        &mut sink,
        3,
        &record(|r| {
            r["root_cause"]["entity"] = json!("cart");
            r["root_cause"]["low_confidence"] = json!(true);
        }),
    );
    assert!(sink.flush(LONG));
    assert_eq!(firing(&peer), ["IncidentRootCause/cart"]);
    send(&mut sink, 4, &record(|r| r["phase"] = json!("merged")));
    assert!(sink.flush(LONG));
    assert_eq!(firing(&peer), [""; 0]);
}

#[test]
fn a_higher_severity_is_another_alert_and_a_lower_one_is_not() {
    let peer = fine();
    let (mut sink, _) = start(&output(&[peer.url()]));
    for (position, severity) in [(1, "warning"), (2, "critical"), (3, "info")] {
        send(&mut sink, position, &record(|r| r["severity"] = json!(severity)));
    }
    assert!(sink.flush(LONG));
    let state = state(&peer);
    let firing: Vec<_> = state.values().filter(|alert| is_firing(alert)).collect();
    assert_eq!(firing.len(), 1);
    assert_eq!(firing[0]["labels"]["severity"], "critical");
}

#[test]
fn entities_give_labels_by_the_first_pattern() {
    let peer = fine();
    let mut output = output(&[peer.url()]);
    output.members = true;
    output.entity_labels = ["node/(?<node>.+)", "(?<namespace>[^/]+)/(?<service>.+)"]
        .map(|text| Pattern::new(text).expect("a pattern"))
        .to_vec();
    let (mut sink, _) = start(&output);
    send(
        &mut sink,
        1,
        &record(|r| {
            r["root_cause"]["entity"] = json!("shop/db");
            r["impact"]["affected"] = json!(["shop/db", "shop/web", "node/n1", "odd"]);
        }),
    );
    assert!(sink.flush(LONG));
    let state = state(&peer);
    let labels = |entity: &str| {
        let of = |alert: &&Value| alert["labels"]["entity"] == entity;
        state.values().find(of).map(|alert| alert["labels"].clone())
    };
    let root = labels("shop/db").expect("the root");
    assert_eq!((&root["namespace"], &root["service"]), (&json!("shop"), &json!("db")));
    assert_eq!(labels("shop/web").expect("a member")["service"], "web");
    assert_eq!(labels("node/n1").expect("a member")["node"], "n1");
    assert_eq!(labels("odd"), None, "an alert that no rule could tell from others is not posted");
}

#[test]
fn small_incidents_are_their_own_alert() {
    let peer = fine();
    let (mut sink, _) = start(&output(&[peer.url()]));
    send(&mut sink, 1, &record(|r| r["members"]["count"] = json!(1)));
    send(
        &mut sink,
        2,
        &record(|r| {
            r["members"]["count"] = json!(1);
            r["phase"] = json!("resolved");
        }),
    );
    assert!(sink.flush(LONG));
    assert!(state(&peer).is_empty());
}

#[test]
fn everything_is_posted_again_and_what_is_over_for_a_while() {
    let peer = fine();
    let mut output = output(&[peer.url()]);
    output.refresh = Duration::from_millis(100);
    output.resolve_for = Duration::from_millis(600);
    let (mut sink, _) = start(&output);
    send(&mut sink, 1, &record(|_| {}));
    await_that("it is posted again", || peer.seen().len() > 3);
    assert_eq!(firing(&peer), ["IncidentRootCause/postgres"]);
    send(&mut sink, 2, &record(|r| r["phase"] = json!("resolved")));
    assert!(sink.flush(LONG));
    assert_eq!(firing(&peer), [""; 0]);
    let before = peer.seen().len();
    await_that("the end is posted again", || peer.seen().len() > before + 1);
    let ends: std::collections::BTreeSet<String> = peer.seen()[before..]
        .iter()
        .map(|(_, body)| {
            serde_json::from_str::<Value>(body).expect("JSON")[0]["endsAt"].to_string()
        })
        .collect();
    assert_eq!(ends.len(), 1, "the end stays what it was: {ends:?}");
    await_that("it is forgotten", || locked(&sink.shared.table).since(0).is_empty());
}

#[test]
fn a_peer_that_fails_or_hangs_holds_up_nobody_and_gets_everything_when_it_is_back() {
    let is_down = Arc::new(AtomicBool::new(true));
    let down = Arc::clone(&is_down);
    let failing = TestServer::start(move |_, _| match down.load(Ordering::Relaxed) {
        true => answer("500 Internal Server Error", "no"),
        false => answer("200 OK", ""),
    });
    let hanging = TestServer::start(|_, _| "hang".to_owned());
    let gone = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = gone.local_addr().expect("bound");
    drop(gone);
    let good = fine();
    let urls = [failing.url(), hanging.url(), format!("http://{address}"), good.url()];
    let mut output = output(&urls);
    output.refresh = Duration::from_millis(500);
    let (mut sink, metrics) = start(&output);
    let started = Instant::now();
    for number in 0..5_000 {
        let id = format!("i{}", number % 7);
        send(&mut sink, number, &record(|r| r["incident"] = json!(id)));
    }
    assert!(started.elapsed() < LONG, "the pipeline goes on");
    await_that("the good peer knows all", || state(&good).len() == 7);
    await_that("the failing one was asked", || failing.seen().len() > 1);
    is_down.store(false, Ordering::Relaxed);
    let back = TestServer::on(TcpListener::bind(address).expect("free again"), None, |_, _| {
        answer("200 OK", "")
    });
    await_that("the one that is back knows all", || state(&back).len() == 7);
    // Of the failing one only what came after its recovery counts.
    await_that("the failing one knows all", || {
        failing.seen().last().is_some_and(|(_, body)| body.matches("incident_id").count() == 7)
    });
    let text = metrics.render(crate::metrics::Exposition::Text);
    let failures = format!(
        "hypocenter_client_failures_total{{client=\"alertmanager\",peer=\"{}\"}}",
        failing.url()
    );
    let line = text.lines().find(|line| line.starts_with(&failures)).expect("counted");
    assert!(!line.ends_with(" 0"), "{line}");
}

#[test]
fn refused_alerts_do_not_stop_the_others() {
    let peer = TestServer::start(|_, body| match body.contains("\"i0\"") {
        true => answer("400 Bad Request", "invalid label set"),
        false => answer("200 OK", ""),
    });
    let (mut sink, _) = start(&output(&[peer.url()]));
    send(&mut sink, 1, &record(|r| r["incident"] = json!("i0")));
    assert!(sink.flush(LONG));
    send(&mut sink, 2, &record(|_| {}));
    assert!(sink.flush(LONG), "a refusal is no failure to be repeated at once");
    assert_eq!(sink.counters.refused.load(Ordering::Relaxed), 1);
    assert_eq!(peer.seen().len(), 2);
}

#[test]
fn history_is_not_posted_before_its_newest_state_is_known() {
    let peer = fine();
    let (mut sink, _) = start(&output(&[peer.url()]));
    let old = |id: &str, phase: &str| {
        record(|r| {
            r["incident"] = json!(id);
            r["phase"] = json!(phase);
            r["opened"] = json!("2026-01-01T00:00:00Z");
            r["updated"] = json!("2026-01-01T00:10:00Z");
        })
    };
    // What a restart finds again, and what was missed while down.
    for body in [old("over", "resolved"), old("open", "open")] {
        sink.restore(&shard(), &body).expect("taken");
    }
    send(&mut sink, 2, &old("missed", "open"));
    sink.flush(LONG);
    assert!(state(&peer).is_empty());
    let mut acknowledged = 0;
    sink.acknowledged(&mut |_| acknowledged += 1).expect("alive");
    assert_eq!(acknowledged, 1, "what is found again is not acknowledged again");
    sink.caught_up(&shard()).expect("taken");
    assert!(sink.flush(LONG));
    let told: Vec<String> = state(&peer)
        .values()
        .filter(|alert| is_firing(alert))
        .map(|alert| alert["labels"]["incident_id"].to_string())
        .collect();
    assert_eq!(told, ["\"missed\"", "\"open\""]);
    // Somebody else has the shard: nothing of it is told any more, not even that it is over.
    sink.released(&shard()).expect("taken");
    let before = peer.seen().len();
    assert!(sink.flush(LONG));
    assert_eq!(peer.seen().len(), before);
    assert!(locked(&sink.shared.table).since(0).is_empty());
}

#[test]
fn the_table_is_bounded() {
    let naming = Naming::new(
        &AlertmanagerOutput { members: true, members_max: 1_000, ..AlertmanagerOutput::default() },
        None,
    );
    let affected: Vec<String> = (0..100).map(|n| format!("s{n}")).collect();
    let mut table = Table::default();
    let mut refused = [0, 0];
    let body = record(|r| r["impact"]["affected"] = json!(affected));
    let mut incident: Incident = serde_json::from_slice(&body).expect("a record");
    for number in 0..10_020 {
        incident.incident = number.to_string();
        match table.apply(&shard(), &incident, &naming, clock::wall()) {
            Applied::Done => {}
            Applied::Full => refused[0] += 1,
            Applied::WithoutMembers => refused[1] += 1,
        }
    }
    assert_eq!(refused, [20, 10_000 - 50]);
    let alerts: usize = table.since(0).iter().map(|entry| entry.alerts.len()).sum();
    assert_eq!(alerts, 10_000 + 5_000);
}

#[test]
fn dropping_the_sink_ends_its_threads() {
    let peer = TestServer::start(|_, _| answer("500 No", ""));
    let (mut sink, _) = start(&output(&[peer.url(), "http://127.0.0.1:9".to_owned()]));
    send(&mut sink, 1, &record(|_| {}));
    sink.flush(Duration::from_millis(50));
    let shared = Arc::clone(&sink.shared);
    drop(sink);
    await_that("threads end", || Arc::strong_count(&shared) == 1);
}

/// Every record that the pipeline can make has the fields that are read here.
#[test]
fn real_records_are_read() {
    let text = include_str!("../../../../docs/record.md");
    let (_, rest) = text.split_once("```json\n").expect("an example");
    let example = rest.split_once("```").expect("its end").0;
    let incident: Incident = serde_json::from_str(example).expect("an incident");
    assert!(incident.times().is_some());
    assert!(!incident.annotations().is_empty());
}

#[test]
fn what_was_told_before_a_restart_ends_where_it_is_contradicted() {
    let alert = |reporter: &str, incident: &str, entity: &str, affected: &str| {
        json!({
            "labels": {"alertname": "IncidentRootCause", "generated_by": "hypocenter",
                       "entity": entity, "incident_id": incident},
            "annotations": {"reporter": reporter, "affected": affected},
            "startsAt": "2026-11-22T10:41:02.000Z", "endsAt": "2099-01-01T00:00:00.000Z",
            "fingerprint": "00", "receivers": [], "status": {"state": "active"},
        })
    };
    let mut member = alert("me", "old", "cart", "");
    member["labels"]["alertname"] = json!("IncidentMember");
    let shown = json!([
        alert("me", "i1", "cart", "postgres, cart"),
        alert("me", "old", "checkout", "checkout, frontend"),
        member,
        alert("me", "elsewhere", "kafka", "kafka, billing"),
        alert("somebody else", "i1", "cart", "postgres, cart"),
        {"labels": {"alertname": "NotOurs"}, "startsAt": "2026-11-22T10:41:02.000Z"},
    ]);
    // Answers that are none do no harm: it asks again with the next thing to tell.
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let server = TestServer::start(move |head, _| match head.starts_with("GET ") {
        true if asked.fetch_add(1, Ordering::Relaxed) == 0 => answer("500 No", "no"),
        true => answer("200 OK", &shown.to_string()),
        false => answer("200 OK", ""),
    });
    let metrics = Metrics::default();
    let mut sink = AlertmanagerSink::start(&output(&[server.url()]), None, Some("me"), &metrics)
        .expect("started");
    send(&mut sink, 1, &record(|_| ()));
    let posted = || {
        let posts = server.seen().into_iter().filter(|(head, _)| head.starts_with("POST "));
        let mut all: Vec<Value> = Vec::new();
        posts.for_each(|(_, body)| {
            all.extend(serde_json::from_str::<Vec<Value>>(&body).expect("a list"));
        });
        all
    };
    let ended = || {
        let mut ended: Vec<String> = posted()
            .iter()
            .filter(|alert| !is_firing(alert))
            .map(|alert| {
                format!("{}/{}", alert["labels"]["incident_id"], alert["labels"]["entity"])
            })
            .map(|name| name.replace('"', ""))
            .collect();
        ended.sort();
        ended.dedup();
        ended
    };
    await_that("they end", || ended().len() >= 3);
    assert_eq!(ended(), ["i1/cart", "old/cart", "old/checkout"]);
    let current: Vec<Value> = posted().into_iter().filter(is_firing).collect();
    assert!(!current.is_empty());
    for alert in current {
        assert_eq!(
            (&alert["labels"]["entity"], &alert["annotations"]["reporter"]),
            (&json!("postgres"), &json!("me"))
        );
    }
    let asked: Vec<Seen> =
        server.seen().into_iter().filter(|(head, _)| head.starts_with("GET ")).collect();
    assert!(asked[0].0.contains("filter=generated_by%3D%22hypocenter%22"), "{}", asked[0].0);
    assert_eq!(asked.len(), 2, "once it has been answered it is not asked again");
}
