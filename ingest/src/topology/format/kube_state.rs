//! What runs where, from series of kube-state-metrics, by way of Prometheus.

use std::collections::BTreeMap;

use hypocenter_engine::{EdgeKind, EntityKind};

use super::vector::Sample;
use super::{Draft, FormatError, vector};
use crate::topology::layer::{Id, Layer, is_placeholder};

pub(super) fn read(pieces: &[&[u8]], mut draft: Draft) -> Result<Layer, FormatError> {
    let mut owners = BTreeMap::new();
    for piece in pieces {
        for sample in vector::read(piece)? {
            if sample.flows() {
                series(&sample, &mut draft, &mut owners);
            } else {
                draft.skipped.idle += 1;
            }
        }
    }
    for (pod, Owner { place: (cluster, namespace), name, .. }) in owners {
        let owner = draft.thing(EntityKind::Workload, (&cluster, &namespace), &name);
        draft.edge(owner, Some(pod), EdgeKind::RunsOn);
    }
    Ok(draft.finish())
}

/// The owners of pods.
type Owners = BTreeMap<Id, Owner>;

struct Owner {
    /// Cluster and namespace.
    place: (String, String),
    name: String,
    /// Whether it was told outright.
    is_told: bool,
}

/// The labels say which series it is, also where a recording rule or a sum has taken its name.
fn series(sample: &Sample<'_>, draft: &mut Draft, owners: &mut Owners) {
    let (cluster, namespace) = (sample.get("cluster"), sample.get("namespace"));
    let place = (cluster, namespace);
    let node = Some(sample.get("node")).filter(|node| !is_placeholder(node));
    let node = node.and_then(|node| draft.thing(EntityKind::Node, (cluster, ""), node));
    if sample.has("pod") {
        let pod = draft.thing(EntityKind::Pod, place, sample.get("pod"));
        if node.is_some() {
            draft.edge(pod, node, EdgeKind::RunsOn);
        }
        if sample.has("persistentvolumeclaim") {
            let claim = sample.get("persistentvolumeclaim");
            let volume = draft.thing(EntityKind::Volume, place, claim);
            draft.edge(pod, volume, EdgeKind::StoresIn);
        }
        let (owner, is_told) = owner(sample);
        if let (Some(pod), Some(name)) = (pod, owner)
            && owners.get(&pod).is_none_or(|known| is_told && !known.is_told)
        {
            let place = (cluster.to_owned(), namespace.to_owned());
            owners.insert(pod, Owner { place, name: name.to_owned(), is_told });
        }
    }
    for label in
        ["label_topology_kubernetes_io_zone", "label_failure_domain_beta_kubernetes_io_zone"]
    {
        let zone = Some(sample.get(label)).filter(|zone| !is_placeholder(zone));
        if let Some(zone) = zone {
            let zone = draft.thing(EntityKind::Zone, (cluster, ""), zone);
            draft.edge(node, zone, EdgeKind::InZone);
        }
    }
}

/// The workload that keeps a pod: by the rule that says so, else by who created it. Deployments
/// create theirs by replica sets, whose names are the deployment's and a hash.
fn owner<'s>(sample: &'s Sample<'_>) -> (Option<&'s str>, bool) {
    let told = sample.get("workload");
    if !is_placeholder(told) {
        return (Some(told), true);
    }
    let labels = |a: &'static str, b: &'static str| (sample.get(a), sample.get(b));
    let (kind, name) = match labels("created_by_kind", "created_by_name") {
        ("", _) => labels("owner_kind", "owner_name"),
        created => created,
    };
    match kind {
        _ if is_placeholder(name) => (None, false),
        "" | "Node" => (None, false),
        "ReplicaSet" => (Some(without_hash(name)), false),
        _ => (Some(name), false),
    }
}

/// The name of a replica set without its hash.
pub(super) fn without_hash(name: &str) -> &str {
    let is_hash = |text: &str| {
        (5..=10).contains(&text.len())
            && text.bytes().all(|b| b"bcdfghjklmnpqrstvwxz0123456789".contains(&b))
    };
    name.rsplit_once('-').filter(|(_, hash)| is_hash(hash)).map_or(name, |(name, _)| name)
}
