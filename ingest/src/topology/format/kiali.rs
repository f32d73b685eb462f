//! Kiali's graph: `GET /kiali/api/namespaces/graph`.

use std::collections::BTreeMap;

use hypocenter_engine::{EdgeKind, EntityKind};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Draft, FormatError};

#[derive(Deserialize)]
struct Answer {
    elements: Option<Box<RawValue>>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Elements {
    #[serde(default)]
    nodes: Vec<Element<Node>>,
    #[serde(default)]
    edges: Vec<Element<Edge>>,
}

#[derive(Deserialize)]
struct Element<T> {
    data: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    id: String,
    node_type: String,
    #[serde(default)]
    cluster: String,
    #[serde(default)]
    namespace: String,
    service: Option<String>,
    app: Option<String>,
    workload: Option<String>,
    #[serde(default)]
    is_inaccessible: bool,
    #[serde(default)]
    is_service_entry: serde_json::Value,
}

#[derive(Deserialize)]
struct Edge {
    source: String,
    target: String,
}

pub(super) fn read(bytes: &[u8], draft: &mut Draft) -> Result<(), FormatError> {
    let answer: Answer =
        serde_json::from_slice(bytes).map_err(|error| FormatError::json(&error, bytes))?;
    if let Some(error) = answer.error {
        return Err(FormatError::new(format!("Kiali says: {error}")));
    }
    let elements = answer.elements.ok_or_else(|| FormatError::new("has no `elements`"))?;
    if !elements.get().starts_with('{') {
        return Err(FormatError::new("elements: must be an object with `nodes` and `edges`"));
    }
    let elements: Elements = serde_json::from_str(elements.get())
        .map_err(|error| FormatError::new(format!("elements: {error}")))?;
    let mut ids = BTreeMap::new();
    for Element { data: node } in &elements.nodes {
        // A box groups others, and what may not be seen has no name.
        let is_peer = !matches!(node.node_type.as_str(), "box" | "unknown" | "aggregate");
        if !is_peer || node.is_inaccessible {
            continue;
        }
        let name = [&node.service, &node.app, &node.workload].into_iter().flatten().next();
        let outside = !node.is_service_entry.is_null();
        let kind = outside.then_some(EntityKind::External);
        let name = name.map_or("", |name| name);
        if let Some(id) = draft.peer((&node.cluster, &node.namespace), name, kind) {
            ids.insert(&node.id, id);
        }
    }
    for Element { data: edge } in &elements.edges {
        let (from, to) = (ids.get(&edge.source).copied(), ids.get(&edge.target).copied());
        if from.is_some() && from == to {
            // A service and its workload, which have one name here.
            continue;
        }
        draft.edge(from, to, EdgeKind::Calls);
    }
    Ok(())
}
