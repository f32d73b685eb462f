//! Lists as `kubectl get pods,services,nodes,endpointslices,replicasets -A -o json` prints them.

use std::collections::BTreeMap;

use hypocenter_engine::{EdgeKind, EntityKind};
use serde::Deserialize;

use super::kube_state::without_hash;
use super::{Draft, FormatError};
use crate::topology::layer::{Id, Layer};

#[derive(Deserialize)]
struct Answer {
    kind: String,
    items: Option<Vec<Object>>,
    message: Option<String>,
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    kind: String,
    metadata: Metadata,
    #[serde(default)]
    spec: serde_json::Value,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    owner_references: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    kind: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    target_ref: Option<Named>,
}

/// Namespace and name.
type Key = (String, String);

#[derive(Default)]
struct Found {
    /// By pod: its labels, and what it is a part of (itself, if of nothing).
    pods: BTreeMap<Key, (BTreeMap<String, String>, Option<Id>)>,
    /// By replica set: the deployment that keeps it.
    sets: BTreeMap<Key, String>,
}

pub(super) fn read(pieces: &[&[u8]], mut draft: Draft) -> Result<Layer, FormatError> {
    let mut objects = Vec::new();
    for piece in pieces {
        let answer: Answer =
            serde_json::from_slice(piece).map_err(|error| FormatError::json(&error, piece))?;
        let Some(items) = answer.items else {
            let (kind, message) = (answer.kind, answer.message.unwrap_or_default());
            let what = format!("is a {kind}, not a list of objects: {message}");
            return Err(FormatError::new(what.trim_end_matches([':', ' '])));
        };
        let kind = answer.kind.strip_suffix("List").unwrap_or_default().to_owned();
        objects.extend(items.into_iter().map(|mut object| {
            if object.kind.is_empty() {
                object.kind.clone_from(&kind);
            }
            object
        }));
    }
    let mut found = Found::default();
    for object in objects.iter().filter(|object| object.kind == "ReplicaSet") {
        let owner = object.metadata.owner_references.first();
        if let Some(owner) = owner.filter(|owner| owner.kind == "Deployment") {
            found.sets.insert(object.metadata.key(), owner.name.clone());
        }
    }
    for object in &objects {
        match object.kind.as_str() {
            "Pod" => pod(object, &mut draft, &mut found),
            "Node" => node(object, &mut draft),
            _ => {}
        }
    }
    for object in &objects {
        match object.kind.as_str() {
            "Service" => service(object, &mut draft, &found),
            "EndpointSlice" => endpoints(object, &mut draft, &found),
            _ => {}
        }
    }
    Ok(draft.finish())
}

impl Metadata {
    fn key(&self) -> Key {
        (self.namespace.clone(), self.name.clone())
    }
}

fn pod(object: &Object, draft: &mut Draft, found: &mut Found) {
    let Metadata { name, namespace, labels, owner_references } = &object.metadata;
    let place = ("", namespace.as_str());
    let Some(pod) = draft.thing(EntityKind::Pod, place, name) else { return };
    if let Some(node) = object.spec["nodeName"].as_str() {
        let node = draft.thing(EntityKind::Node, ("", ""), node);
        draft.edge(Some(pod), node, EdgeKind::RunsOn);
    }
    for volume in object.spec["volumes"].as_array().into_iter().flatten() {
        if let Some(claim) = volume["persistentVolumeClaim"]["claimName"].as_str() {
            let volume = draft.thing(EntityKind::Volume, place, claim);
            draft.edge(Some(pod), volume, EdgeKind::StoresIn);
        }
    }
    let owner = owner_references.first().and_then(|owner| {
        let name = match owner.kind.as_str() {
            // A static pod is kept by its machine.
            "Node" => return None,
            "ReplicaSet" => found
                .sets
                .get(&(namespace.clone(), owner.name.clone()))
                .map_or(without_hash(&owner.name), |name| name),
            _ => &owner.name,
        };
        draft.thing(EntityKind::Workload, place, name)
    });
    if let Some(owner) = owner {
        draft.edge(Some(owner), Some(pod), EdgeKind::RunsOn);
    }
    found.pods.insert(object.metadata.key(), (labels.clone(), owner.or(Some(pod))));
}

fn node(object: &Object, draft: &mut Draft) {
    let node = draft.thing(EntityKind::Node, ("", ""), &object.metadata.name);
    let labels = ["topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"];
    let zone = labels.iter().find_map(|label| object.metadata.labels.get(*label));
    if let Some(zone) = zone {
        let zone = draft.thing(EntityKind::Zone, ("", ""), zone);
        draft.edge(node, zone, EdgeKind::InZone);
    }
}

fn service(object: &Object, draft: &mut Draft, found: &Found) {
    let Metadata { name, namespace, .. } = &object.metadata;
    let Some(selector) = object.spec["selector"].as_object().filter(|s| !s.is_empty()) else {
        return;
    };
    let selected = found.pods.iter().filter(|((space, _), (labels, _))| {
        let is_same = |(key, value): (&String, &serde_json::Value)| {
            labels.get(key).map(String::as_str) == value.as_str()
        };
        space == namespace && selector.iter().all(is_same)
    });
    run_on(selected.filter_map(|(_, (_, owner))| *owner), (namespace, name), draft);
}

fn endpoints(object: &Object, draft: &mut Draft, found: &Found) {
    let Metadata { namespace, labels, .. } = &object.metadata;
    let Some(name) = labels.get("kubernetes.io/service-name") else { return };
    let pods = object.endpoints.iter().filter_map(|endpoint| endpoint.target_ref.as_ref());
    let owners = pods
        .filter(|target| target.kind == "Pod")
        .filter_map(|target| found.pods.get(&(namespace.clone(), target.name.clone()))?.1);
    run_on(owners, (namespace, name), draft);
}

/// A service runs on each of these, told once.
fn run_on(owners: impl Iterator<Item = Id>, (namespace, name): (&str, &str), draft: &mut Draft) {
    let mut owners: Vec<Id> = owners.collect();
    owners.sort_unstable();
    owners.dedup();
    for owner in owners {
        let service = draft.peer(("", namespace), name, None);
        draft.edge(service, Some(owner), EdgeKind::RunsOn);
    }
}
