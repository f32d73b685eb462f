//! What this Hypocenter told an Alertmanager before it was started again.
//!
//! One that was killed leaves its alerts behind, for as long as `endsAt` is ahead. The new one decides
//! anew, and where it comes to another candidate, both alerts would stand side by side. So each peer
//! is asked once for the alerts that carry our name, and those that an incident of ours contradicts
//! are ended. All others are left alone: they may be right, and end by themselves if nobody repeats
//! them. Those of other Hypocenters are never touched.

use std::collections::{BTreeMap, BTreeSet};

use hypocenter_engine::Timestamp;
use serde::Deserialize;

use super::table::Labels;
use crate::wire::time;

/// The annotation that says which Hypocenter posts an alert.
pub(super) const REPORTER: &str = "reporter";
/// Most alerts of a former life that are remembered.
const ALERTS_MAX: usize = 10_000;

/// An alert as Alertmanager shows it, as far as it matters.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    labels: Labels,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    starts_at: String,
}

/// One incident of a former life.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Former {
    /// Its alerts, and since when they fire.
    pub(super) alerts: BTreeMap<Labels, Timestamp>,
    /// Its candidate and all that was affected.
    pub(super) entities: BTreeSet<String>,
}

/// Incidents of a former life, by id.
#[derive(Debug, Default)]
pub(super) struct FormerLife {
    pub(super) incidents: BTreeMap<String, Former>,
    alerts: usize,
}

/// Reads those alerts out of Alertmanager's answer that `reporter` posted.
///
/// # Errors
/// That this is no such answer.
pub(super) fn read(
    body: &[u8],
    reporter: &str,
) -> Result<Vec<(Labels, Timestamp, String)>, String> {
    let shown: Vec<Shown> = serde_json::from_slice(body)
        .map_err(|error| format!("is not what Alertmanager answers about alerts: {error}"))?;
    let is_ours = |alert: &Shown| {
        alert.annotations.get(REPORTER).is_some_and(|told| told == reporter)
            && alert.labels.contains_key("incident_id")
    };
    let ours = shown.into_iter().filter(is_ours);
    let read = ours.filter_map(|mut alert| {
        let starts_at = time::parse(&alert.starts_at).ok().flatten()?;
        Some((alert.labels, starts_at, alert.annotations.remove("affected").unwrap_or_default()))
    });
    Ok(read.collect())
}

impl FormerLife {
    /// Remembers alerts that a peer shows. Whether there was room for all.
    pub(super) fn add(&mut self, alerts: Vec<(Labels, Timestamp, String)>) -> bool {
        for (labels, starts_at, affected) in alerts {
            if self.alerts >= ALERTS_MAX {
                return false;
            }
            let id = labels.get("incident_id").cloned().unwrap_or_default();
            let former = self.incidents.entry(id).or_default();
            former.entities.extend(labels.get("entity").cloned());
            let names = affected.split(", ").filter(|name| !name.is_empty());
            former.entities.extend(names.map(str::to_owned));
            self.alerts += usize::from(former.alerts.insert(labels, starts_at).is_none());
        }
        true
    }

    /// Takes out the incidents that are the one with this id, or have an entity in common with it.
    pub(super) fn take<'e>(
        &mut self,
        id: &str,
        entities: impl Iterator<Item = &'e String> + Clone,
    ) -> Vec<(String, Former)> {
        let is_it = |(known, former): (&String, &Former)| {
            known == id || entities.clone().any(|entity| former.entities.contains(entity))
        };
        let found = self.incidents.iter().filter(|&pair| is_it(pair));
        let ids: Vec<String> = found.map(|(id, _)| id.clone()).collect();
        let take = |id: String| {
            let former = self.incidents.remove(&id)?;
            self.alerts -= former.alerts.len();
            Some((id, former))
        };
        ids.into_iter().filter_map(take).collect()
    }
}
