//! Istio's requests and TCP connections, by way of Prometheus.

use hypocenter_engine::EdgeKind;

use super::vector::Sample;
use super::{Draft, FormatError, vector};
use crate::topology::layer::is_placeholder;

pub(super) fn read(bytes: &[u8], draft: &mut Draft) -> Result<(), FormatError> {
    for sample in vector::read(bytes)? {
        if !sample.flows() {
            draft.skipped.idle += 1;
            continue;
        }
        let first = |labels: &[&str]| first(&sample, labels);
        let from = first(&["source_canonical_service", "source_app", "source_workload"]);
        let namespace = first(&["source_workload_namespace"]);
        let from = draft.peer((sample.get("source_cluster"), namespace), from, None);
        let to = first(&["destination_service_name", "destination_workload"]);
        // The full name of a service inside; that of a host outside is its name.
        let is_inside = to.contains(".svc.");
        let to = to.split_once('.').filter(|_| is_inside).map_or(to, |(name, _)| name);
        let namespace = first(&["destination_service_namespace", "destination_workload_namespace"]);
        let to = draft.peer((sample.get("destination_cluster"), namespace), to, None);
        draft.edge(from, to, EdgeKind::Calls);
    }
    Ok(())
}

/// The first of some labels that says something.
fn first<'s>(sample: &'s Sample<'_>, labels: &[&str]) -> &'s str {
    let found = labels.iter().map(|label| sample.get(label));
    found.into_iter().find(|value| !is_placeholder(value)).unwrap_or_default()
}
