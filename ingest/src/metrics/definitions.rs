//! The table of all metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::snapshot::{ByLabel, ShardSnapshot};
use super::{ClientCounters, Samples, SinkCounters, Value, Values, process};
use crate::feedback::{Precision, Standing};
use crate::intake::IntakeCounters;
use crate::state::Progress;

/// One metric.
#[derive(Debug)]
pub struct Definition {
    /// Full name.
    pub name: &'static str,
    /// Type.
    pub kind: Type,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
    pub(super) read: fn(&Values) -> Samples,
}

/// Type of a metric.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Type {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in buckets.
    Histogram,
}

const fn metric(
    name: &'static str,
    kind: Type,
    labels: &'static [&'static str],
    help: &'static str,
    read: fn(&Values) -> Samples,
) -> Definition {
    Definition { name, kind, labels, help, read }
}

use Type::{Counter, Gauge, Histogram};

/// Every metric, in the order in which they are shown.
#[rustfmt::skip]
pub const DEFINITIONS: &[Definition] = &[
    metric("hypocenter_build_info", Gauge, &["version"], "Always 1; says which release this is.",
        |_| labelled(&[env!("CARGO_PKG_VERSION")], 1)),
    metric("hypocenter_policy_info", Gauge, &["hash"], "Always 1; the hash of all parameters of the engine.",
        |v| labelled(&[&format!("{:016x}", v.info.policy_hash)], 1)),
    metric("hypocenter_topology_info", Gauge, &["version"], "Always 1; the hash of the dependency graph.",
        |v| labelled(&[&format!("{:016x}", v.info.topology_version)], 1)),
    metric("hypocenter_topology_entities", Gauge, &[], "Entities in the dependency graph.",
        |v| int(v.info.topology_entities)),
    metric("hypocenter_topology_dependencies", Gauge, &[], "Dependencies in the dependency graph.",
        |v| int(v.info.topology_dependencies)),
    metric("hypocenter_topology_stale", Gauge, &[], "1 while some source of the dependency graph has not answered for three refreshes.",
        |v| int(v.snapshot.topology_stale.into())),
    metric("hypocenter_records_total", Counter, &[], "Input records read.",
        |v| int(v.snapshot.records)),
    metric("hypocenter_records_rejected_total", Counter, &["reason"], "Input records rejected as a whole.",
        |v| by_label(&v.snapshot.records_rejected)),
    metric("hypocenter_dead_letters_total", Counter, &[], "Rejected records written to the dead-letter topic.",
        |v| int(v.snapshot.dead_letters)),
    metric("hypocenter_events_accepted_total", Counter, &[], "Alert events that changed something.",
        |v| int(v.snapshot.events_accepted)),
    metric("hypocenter_events_repeated_total", Counter, &[], "Alert events that said again what was known.",
        |v| int(v.snapshot.events_repeated)),
    metric("hypocenter_events_rejected_total", Counter, &["reason"], "Alert events rejected as invalid.",
        |v| by_label(&v.snapshot.events_rejected)),
    metric("hypocenter_events_suppressed_total", Counter, &["reason"], "Alert events accepted but not correlated.",
        |v| by_label(&v.snapshot.events_suppressed)),
    metric("hypocenter_events_shed_total", Counter, &["limit"], "Alert events shed because a limit was reached.",
        |v| by_label(&v.snapshot.events_shed)),
    metric("hypocenter_incidents_opened_total", Counter, &[], "Incidents opened.",
        |v| int(v.snapshot.incidents_opened)),
    metric("hypocenter_incidents_merged_total", Counter, &[], "Incidents that ended in another one.",
        |v| int(v.snapshot.incidents_merged)),
    metric("hypocenter_incidents_resolved_total", Counter, &[], "Incidents resolved.",
        |v| int(v.snapshot.incidents_resolved)),
    metric("hypocenter_incidents_reranked_total", Counter, &[], "Changes of an incident's root-cause candidate.",
        |v| int(v.snapshot.incidents_reranked)),
    metric("hypocenter_clock_clamped_total", Counter, &[], "Events whose log time lay before one already passed; only after these can a replay differ.",
        |v| int(v.snapshot.clock_clamped)),
    metric("hypocenter_incidents_open", Gauge, &[], "Incidents open now.",
        |v| int(v.snapshot.incidents_open)),
    metric("hypocenter_alerts_live", Gauge, &[], "Alerts remembered now, firing and lately resolved.",
        |v| int(v.snapshot.alerts_live)),
    metric("hypocenter_decision_latency_seconds", Histogram, &[], "From the complete record in the process to its decisions in the sinks' queues, for each event.",
        |v| vec![(vec![], Value::Latency(v.snapshot.latency.clone()))]),
    metric("hypocenter_outputs_sent_total", Counter, &["sink"], "Incident records that a sink has taken.",
        |v| by_sink(v, |c| &c.sent)),
    metric("hypocenter_outputs_acknowledged_total", Counter, &["sink"], "Incident records that are delivered, or refused for good.",
        |v| by_sink(v, |c| &c.acknowledged)),
    metric("hypocenter_outputs_failed_total", Counter, &["sink"], "Incident records that the receiver refused for good; they are lost to it.",
        |v| by_sink(v, |c| &c.refused)),
    metric("hypocenter_output_retries_total", Counter, &["sink"], "Attempts to deliver that failed and were repeated.",
        |v| by_sink(v, |c| &c.retries)),
    metric("hypocenter_client_requests_total", Counter, &["client", "peer"], "HTTP requests sent to a neighbour.",
        |v| by_client(v, |c| Some(Value::Int(c.requests.load(Ordering::Relaxed))))),
    metric("hypocenter_client_failures_total", Counter, &["client", "peer"], "HTTP requests that a neighbour did not answer, or not with success.",
        |v| by_client(v, |c| Some(Value::Int(c.failures.load(Ordering::Relaxed))))),
    metric("hypocenter_client_last_success_timestamp_seconds", Gauge, &["client", "peer"], "When a neighbour last answered with success, in seconds since 1970; absent before the first time.",
        |v| by_client(v, ClientCounters::last_success)),
    metric("hypocenter_source_position", Gauge, &["input", "partition"], "Position of the next record to read.",
        |v| by_shard(v, |s| Some(Value::Int(s.position)))),
    metric("hypocenter_source_committed_position", Gauge, &["input", "partition"], "Position before which every output is acknowledged and committed.",
        |v| by_shard(v, |s| Some(Value::Int(s.committed)))),
    metric("hypocenter_source_log_timestamp_seconds", Gauge, &["input", "partition"], "Log time of the last record read, in seconds since 1970.",
        |v| by_shard(v, |s| s.log_time.map(Value::Float))),
    metric("hypocenter_snapshot_position", Gauge, &["input", "partition"], "Position before which a snapshot on disk covers everything.",
        |v| by_keeper(v, |s| Some(Value::Int(s.covered)))),
    metric("hypocenter_snapshot_timestamp_seconds", Gauge, &["input", "partition"], "When the state was that of the latest snapshot, in seconds since 1970; absent before the first one.",
        |v| by_keeper(v, |s| s.taken_at.map(|at| Value::Float(at.as_millis() as f64 / 1e3)))),
    metric("hypocenter_snapshot_size_bytes", Gauge, &["input", "partition"], "Size of the latest snapshot.",
        |v| by_keeper(v, |s| s.taken_at.map(|_| Value::Int(s.bytes)))),
    metric("hypocenter_snapshot_duration_seconds", Gauge, &["input", "partition"], "How long the latest snapshot took to write. Deciding does not wait for it.",
        |v| by_keeper(v, |s| s.taken_at.map(|_| Value::Float(s.seconds)))),
    metric("hypocenter_snapshots_total", Counter, &["input", "partition"], "Snapshots taken.",
        |v| by_keeper(v, |s| Some(Value::Int(s.written)))),
    metric("hypocenter_snapshots_failed_total", Counter, &["input", "partition"], "Snapshots that could not be taken; nothing past the last good one is committed.",
        |v| by_keeper(v, |s| Some(Value::Int(s.failed)))),
    metric("hypocenter_snapshot_loads_total", Counter, &["result"], "Shards that began with a snapshot (loaded) or without one (none), and files that could not be used (refused).",
        |v| v.snapshot.snapshot_loads.map(|l| by_word(vec![("loaded", l.loaded), ("none", l.none), ("refused", l.refused)])).unwrap_or_default()),
    metric("hypocenter_alerts_received_total", Counter, &["status"], "Alerts accepted over HTTP.",
        |v| by_intake(v, |c| c.alerts().to_vec())),
    metric("hypocenter_alerts_truncated_total", Counter, &[], "Alerts that an Alertmanager left out of its webhook: its max_alerts is set.",
        |v| one(v.intake.as_ref().map(|(c, _)| Value::Int(c.truncated())))),
    metric("hypocenter_http_bodies_refused_total", Counter, &["reason"], "Bodies posted to us and refused as a whole.",
        |v| by_intake(v, |c| c.refusals())),
    metric("hypocenter_http_queue_bodies", Gauge, &[], "Bodies accepted over HTTP and not yet decided.",
        |v| one(v.intake.as_ref().map(|(_, q)| Value::Int(q.size().0)))),
    metric("hypocenter_http_queue_bytes", Gauge, &[], "Bytes of these.",
        |v| one(v.intake.as_ref().map(|(_, q)| Value::Int(q.size().1)))),
    metric("hypocenter_http_queue_capacity_bodies", Gauge, &[], "Bodies that may wait; one more is answered by 503.",
        |v| one(v.intake.as_ref().map(|(_, q)| Value::Int(q.limits().bodies_max as u64)))),
    metric("hypocenter_http_queue_capacity_bytes", Gauge, &[], "Bytes that may wait.",
        |v| one(v.intake.as_ref().map(|(_, q)| Value::Int(q.limits().bytes_max as u64)))),
    metric("hypocenter_http_request_duration_seconds", Histogram, &["handler", "method", "code"], "From the header of a request to its answer, for each request.",
        |v| v.http.requests().into_iter().map(|((handler, method, code), latency)| {
            (vec![handler.to_owned(), method.to_owned(), code.to_string()], Value::Latency(latency))
        }).collect()),
    metric("hypocenter_http_connections", Gauge, &[], "Connections that are open.",
        |v| int(v.http.connections())),
    metric("hypocenter_http_connections_closed_total", Counter, &["reason"], "Connections that were closed on the client.",
        |v| by_word(v.http.closings())),
    metric("hypocenter_readable_bytes", Gauge, &["what"], "Memory of what can be read over HTTP, about.",
        |v| by_readable(v, |(bytes, _)| bytes)),
    metric("hypocenter_readable_left_out_total", Counter, &["what"], "Incidents and posted alerts that cannot be read, for the memory for them is used up.",
        |v| by_readable(v, |(_, left_out)| left_out)),
    metric("hypocenter_config_last_reload_successful", Gauge, &[], "Whether the configuration was good, and in force, when it was last read.",
        |v| one(v.reload.map(|r| Value::Int(r.was_good.into())))),
    metric("hypocenter_config_last_reload_success_timestamp_seconds", Gauge, &[], "When it last was, in seconds since 1970.",
        |v| one(v.reload.map(|r| Value::Int(r.good_at)))),
    metric("hypocenter_feedback_judgements_total", Counter, &["verdict"], "Verdicts in the feedback log, overruled ones included; of the files that are kept.",
        |v| feedback(v, |f| vec![(vec!["confirm".to_owned()], Value::Int(f.confirmations)), (vec!["reject".to_owned()], Value::Int(f.rejections))])),
    metric("hypocenter_feedback_duplicates_total", Counter, &[], "Verdicts that came again.",
        |v| feedback(v, |f| int(f.duplicates))),
    metric("hypocenter_feedback_refused_total", Counter, &[], "Verdicts that could not be understood.",
        |v| feedback(v, |f| int(f.refused))),
    metric("hypocenter_feedback_damaged_lines", Gauge, &[], "Lines of the feedback log that cannot be read.",
        |v| feedback(v, |f| int(f.damaged_lines))),
    metric("hypocenter_feedback_judged", Gauge, &["window"], "Verdicts within the window, the latest of each incident and person.",
        |v| by_window(v, |p| Some(Value::Int(p.judged)))),
    metric("hypocenter_feedback_precision_ratio", Gauge, &["window"], "Share of these that confirm the candidate; absent while there are none.",
        |v| by_window(v, |p| p.ratio.map(Value::Float))),
    metric("hypocenter_feedback_burn_rate", Gauge, &["window"], "Share rejected over the share that the objective allows: 1 spends exactly the error budget.",
        |v| by_window(v, |p| Some(Value::Float(p.burn_rate)))),
    metric("hypocenter_feedback_error_budget_remaining_ratio", Gauge, &[], "What is left of the error budget of the whole window: 1 untouched, below 0 overspent.",
        |v| feedback(v, |f| one(Some(Value::Float(f.budget_remaining))))),
    metric("hypocenter_feedback_objective_ratio", Gauge, &[], "Least share of judged candidates that is to be confirmed.",
        |v| feedback(v, |f| one(Some(Value::Float(f.objective))))),
    metric("process_start_time_seconds", Gauge, &[], "When the process started, in seconds since 1970.",
        |v| int(v.info.started)),
    metric("process_cpu_seconds_total", Counter, &[], "CPU time used by this process.",
        |_| one(process::cpu_seconds().map(Value::Float))),
    metric("process_resident_memory_bytes", Gauge, &[], "Memory of this process that is in RAM.",
        |_| one(process::resident_bytes().map(Value::Int))),
    metric("process_open_fds", Gauge, &[], "Open file descriptors.",
        |_| one(process::open_fds().map(Value::Int))),
];

fn one(value: Option<Value>) -> Samples {
    value.map(|value| (Vec::new(), value)).into_iter().collect()
}

fn int(value: u64) -> Samples {
    one(Some(Value::Int(value)))
}

fn labelled(labels: &[&str], value: u64) -> Samples {
    let labels = labels.iter().map(|&label| label.to_owned()).collect();
    vec![(labels, Value::Int(value))]
}

fn by_label(counters: &ByLabel) -> Samples {
    counters.iter().map(|(label, count)| (vec![label.to_owned()], Value::Int(count))).collect()
}

fn by_word(counters: Vec<(&'static str, u64)>) -> Samples {
    counters.into_iter().map(|(word, n)| (vec![word.to_owned()], Value::Int(n))).collect()
}

fn by_intake(values: &Values, read: fn(&IntakeCounters) -> Vec<(&'static str, u64)>) -> Samples {
    values.intake.as_ref().map(|(c, _)| by_word(read(c))).unwrap_or_default()
}

fn by_readable(values: &Values, read: fn((u64, u64)) -> u64) -> Samples {
    let named = ["incidents", "alerts"].into_iter().zip(values.readable);
    named
        .filter_map(|(what, size)| Some((vec![what.to_owned()], Value::Int(read(size?)))))
        .collect()
}

fn by_sink(values: &Values, of: fn(&SinkCounters) -> &AtomicU64) -> Samples {
    let read = |counters: &Arc<SinkCounters>| Value::Int(of(counters).load(Ordering::Relaxed));
    values.sinks.iter().map(|(name, counters)| (vec![name.clone()], read(counters))).collect()
}

fn by_client(values: &Values, of: fn(&ClientCounters) -> Option<Value>) -> Samples {
    let read = |((client, peer), counters): (&(&str, String), &Arc<ClientCounters>)| {
        Some((vec![(*client).to_owned(), peer.clone()], of(counters)?))
    };
    values.clients.iter().filter_map(read).collect()
}

impl ClientCounters {
    fn last_success(&self) -> Option<Value> {
        let millis = self.last_success.load(Ordering::Relaxed);
        (millis > 0).then_some(Value::Float(millis as f64 / 1e3))
    }
}

fn feedback(values: &Values, of: fn(&Standing) -> Samples) -> Samples {
    values.feedback.as_ref().map(of).unwrap_or_default()
}

fn by_window(values: &Values, of: fn(&Precision) -> Option<Value>) -> Samples {
    let windows = values.feedback.iter().flat_map(|standing| &standing.windows);
    windows.filter_map(|window| Some((vec![window.window.clone()], of(window)?))).collect()
}

fn by_shard(values: &Values, of: fn(&ShardSnapshot) -> Option<Value>) -> Samples {
    values
        .snapshot
        .shards
        .iter()
        .filter_map(|s| Some((vec![s.input.clone(), s.partition.to_string()], of(s)?)))
        .collect()
}

fn by_keeper(values: &Values, of: fn(&Progress) -> Option<Value>) -> Samples {
    let shards = values.snapshot.shards.iter();
    shards
        .filter_map(|s| {
            let value = of(s.snapshots.as_ref()?)?;
            Some((vec![s.input.clone(), s.partition.to_string()], value))
        })
        .collect()
}

/// The reference of all metrics, in Markdown: the content of `docs/metrics.md`.
#[must_use]
pub fn reference() -> String {
    let mut text = "# Metrics\n\nServed on `/metrics` as Prometheus text, or as OpenMetrics to those \
                    who ask for it. This file is\nchecked against `ingest/src/metrics/definitions.rs` \
                    by a test.\n\n| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n"
        .to_owned();
    for metric in DEFINITIONS {
        let kind = match metric.kind {
            Counter => "counter",
            Gauge => "gauge",
            Histogram => "histogram",
        };
        let labels: Vec<String> = metric.labels.iter().map(|l| format!("`{l}`")).collect();
        let (name, labels, help) = (metric.name, labels.join(", "), metric.help);
        text.push_str(&format!("| `{name}` | {kind} | {labels} | {help} |\n"));
    }
    text
}
