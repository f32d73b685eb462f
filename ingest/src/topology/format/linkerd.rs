//! Linkerd's requests and connections, by way of Prometheus.

use hypocenter_engine::{EdgeKind, EntityKind};

use super::vector::Sample;
use super::{Draft, FormatError, vector};
use crate::topology::layer::is_placeholder;

/// What a resource is, stands in the name of its label.
const RESOURCES: [&str; 8] = [
    "deployment",
    "statefulset",
    "daemonset",
    "k8s_job",
    "cronjob",
    "replicaset",
    "replicationcontroller",
    "pod",
];

pub(super) fn read(bytes: &[u8], draft: &mut Draft) -> Result<(), FormatError> {
    for sample in vector::read(bytes)? {
        if sample.has("direction") && sample.get("direction") != "outbound" {
            draft.skipped.replies += 1;
            continue;
        }
        if !sample.flows() {
            draft.skipped.idle += 1;
            continue;
        }
        let from = draft.peer(("", sample.get("namespace")), resource(&sample, ""), None);
        let (namespace, name, kind) = destination(&sample);
        let to = draft.peer(("", namespace), name, kind);
        draft.edge(from, to, EdgeKind::Calls);
    }
    Ok(())
}

fn resource<'s>(sample: &'s Sample<'_>, prefix: &str) -> &'s str {
    let found = RESOURCES.iter().map(|name| sample.get(&format!("{prefix}{name}")));
    found.into_iter().find(|value| !is_placeholder(value)).unwrap_or_default()
}

/// Namespace, name and kind of what is called. Outside the mesh there is only the authority, as in
/// `voting.emojivoto.svc.cluster.local:8080`.
fn destination<'s>(sample: &'s Sample<'_>) -> (&'s str, &'s str, Option<EntityKind>) {
    let name = resource(sample, "dst_");
    if !name.is_empty() {
        return (sample.get("dst_namespace"), name, None);
    }
    let authority = sample.get("authority");
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let mut parts = host.split('.');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(name), Some(namespace), None | Some("svc")) => (namespace, name, None),
        (_, Some(_), _) => ("", host, Some(EntityKind::External)),
        _ => (sample.get("dst_namespace"), host, None),
    }
}
