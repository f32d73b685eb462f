//! Scenarios as files, in the form of the recorded storms: `hypocenter replay` reads them, and
//! `hypocenter-bench score --storms`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::graph::Graph;
use super::play::{ends_at, sign};
use super::scenario::{Event, Scenario, fault_name, instant, text};
use crate::score::data::Origin;

/// Writes `DIR/NAME/` with `alerts.jsonl`, `topology.json`, `truth.json` and
/// `alerts.truth.jsonl`.
///
/// # Errors
/// When a file cannot be written.
pub fn write(scenario: &Scenario, dir: &Path) -> Result<()> {
    let folder = dir.join(&scenario.name);
    fs::create_dir_all(&folder).with_context(|| format!("make the folder {}", folder.display()))?;
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| format!("write {}", path.display()))
    };
    put("alerts.jsonl", &alerts(scenario)?)?;
    put("topology.json", topology(&scenario.graph).to_string().as_bytes())?;
    if let Some((_, graph)) = &scenario.changed_graph {
        put("topology.changed.json", topology(graph).to_string().as_bytes())?;
    }
    put("truth.json", truth(scenario).to_string().as_bytes())?;
    put("alerts.truth.jsonl", &rows(scenario)?)
}

/// The events, a line each, as the scorer and `hypocenter replay` read them.
pub(super) fn alerts(scenario: &Scenario) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let fingerprints: Vec<String> =
        scenario.alerts.iter().map(|alert| alert.fingerprint().to_string()).collect();
    for event in &scenario.events {
        let fingerprint = &fingerprints[scenario.instances[event.instance].alert];
        writeln!(bytes, "{}", line(scenario, event, fingerprint))?;
    }
    Ok(bytes)
}

fn line(scenario: &Scenario, event: &Event, fingerprint: &str) -> Value {
    let instance = &scenario.instances[event.instance];
    let alert = &scenario.alerts[instance.alert];
    let labels: Map<String, Value> =
        alert.labels.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    json!({
        "ts_ms": instant(event.at).as_millis(),
        "status": if event.resolved { "resolved" } else { "firing" },
        "labels": labels,
        "annotations": {
            "value": event.value.to_string(),
            "threshold": format!("{}{}", sign(alert.side), alert.threshold),
        },
        "startsAt": text(instance.starts),
        "endsAt": text(ends_at(scenario, event)),
        "fingerprint": fingerprint,
    })
}

/// `nodes` and `edges`, as a topology file has them.
pub(super) fn topology(graph: &Graph) -> Value {
    let edges: Vec<Value> =
        graph.edges().map(|(from, to)| json!({"from": from, "to": to})).collect();
    json!({"nodes": graph.names, "edges": edges})
}

fn truth(scenario: &Scenario) -> Value {
    let incidents = scenario.causes.iter().enumerate().map(|(number, causes)| {
        let causes: Vec<&str> =
            causes.iter().map(|&cause| scenario.graph.names[cause].as_str()).collect();
        json!({
            "id": fault_name(number),
            "root_causes": causes,
            "instances": scenario.members_of(number).count(),
        })
    });
    let changed = scenario.changed_graph.as_ref().map(|(at, _)| text(*at));
    json!({
        "incidents": incidents.collect::<Vec<_>>(),
        "decoys": scenario.decoys,
        "topology_changed_at": changed,
    })
}

fn rows(scenario: &Scenario) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for row in scenario.truth().truth {
        let label = match row.origin {
            Origin::Incident(number) => fault_name(number),
            Origin::Noise | Origin::Uncertain => "noise".to_owned(),
        };
        let fields = BTreeMap::from([
            ("fingerprint", Value::from(row.fingerprint)),
            ("startsAt", row.starts_at.into()),
            ("service", row.service.into()),
            ("label", label.into()),
            ("excluded", (row.origin == Origin::Uncertain).into()),
        ]);
        writeln!(bytes, "{}", serde_json::to_string(&fields)?)?;
    }
    Ok(bytes)
}
