//! Cilium Hubble's flows: its metric by way of Prometheus, or the flows themselves.

use hypocenter_engine::EdgeKind;
use serde::Deserialize;

use super::{Draft, FormatError, vector};
use crate::topology::layer::is_placeholder;

pub(super) fn read(bytes: &[u8], draft: &mut Draft) -> Result<(), FormatError> {
    let is_flows = bytes.windows(6).take(4096).any(|window| window == b"\"flow\"");
    if is_flows { flows(bytes, draft) } else { metric(bytes, draft) }
}

fn metric(bytes: &[u8], draft: &mut Draft) -> Result<(), FormatError> {
    let samples = vector::read(bytes)?;
    if !samples.is_empty() && samples.iter().all(|sample| !sample.has("source_workload")) {
        return Err(FormatError::new(
            "Hubble's series have no label source_workload; run Cilium with the metric \
             flow:labelsContext=source_namespace,source_workload,destination_namespace,\
             destination_workload",
        ));
    }
    for sample in samples {
        if !sample.flows() {
            draft.skipped.idle += 1;
            continue;
        }
        let end = |end: &str| {
            let labels = ["namespace", "workload"].map(|label| format!("{end}_{label}"));
            labels.map(|label| sample.get(&label).to_owned())
        };
        let ([a, from], [b, to]) = (end("source"), end("destination"));
        let from = draft.peer((sample.get("source_cluster"), &a), &from, None);
        let to = draft.peer((sample.get("destination_cluster"), &b), &to, None);
        draft.edge(from, to, EdgeKind::Calls);
    }
    Ok(())
}

#[derive(Deserialize)]
struct Line {
    flow: Flow,
}

#[derive(Deserialize)]
struct Flow {
    verdict: Option<String>,
    is_reply: Option<bool>,
    source: Option<End>,
    destination: Option<End>,
}

#[derive(Deserialize)]
struct End {
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    cluster_name: String,
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default)]
    workloads: Vec<Workload>,
}

#[derive(Deserialize)]
struct Workload {
    name: String,
}

impl End {
    /// Its workload; older versions know its labels only. `reserved:world` and the like have none.
    fn name(&self) -> &str {
        let labelled = |name: &str| {
            let label = self.labels.iter().find_map(|label| label.strip_prefix(name));
            label.and_then(|rest| rest.strip_prefix('='))
        };
        let workload = self.workloads.first().map(|workload| &*workload.name);
        workload
            .filter(|name| !is_placeholder(name))
            .or_else(|| labelled("k8s:app.kubernetes.io/name"))
            .or_else(|| labelled("k8s:app"))
            .or_else(|| labelled("k8s:k8s-app"))
            .unwrap_or_default()
    }
}

fn flows(bytes: &[u8], draft: &mut Draft) -> Result<(), FormatError> {
    for (at, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let Line { flow } = serde_json::from_slice(line)
            .map_err(|error| FormatError::new(format!("line {}: {error}", at + 1)))?;
        // What was dropped is no dependency that works, and an answer is none at all.
        if flow.is_reply == Some(true) {
            draft.skipped.replies += 1;
            continue;
        }
        if flow.verdict.as_deref().is_some_and(|verdict| verdict != "FORWARDED") {
            draft.skipped.idle += 1;
            continue;
        }
        let mut end = |end: &Option<End>| {
            let end = end.as_ref()?;
            draft.peer((&end.cluster_name, &end.namespace), end.name(), None)
        };
        let (from, to) = (end(&flow.source), end(&flow.destination));
        draft.edge(from, to, EdgeKind::Calls);
    }
    Ok(())
}
