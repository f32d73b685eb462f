//! The chain of a decision as data: what is printed, and what `--format json` writes.

use std::collections::{BTreeMap, BTreeSet};

use hypocenter_engine::{Fingerprint, IncidentId, IncidentView, Placement, Score, Verdict};
use serde::Serialize;
use serde_json::Value;

use super::collect::Collector;
use crate::record::rfc3339;

/// Version of the shape of the JSON.
const SCHEMA_VERSION: u32 = 1;
/// Members told of, unless one is asked for.
const MEMBERS_TOLD: usize = 200;

/// Why an incident is what it is.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Explanation {
    /// Version of this shape.
    pub schema_version: u32,
    /// The incident that was asked for.
    pub asked: String,
    /// The incident that is explained: the same, or the one that it went into.
    pub incident: String,
    /// How incidents went into one another on the way to this one, in order.
    pub merges: Vec<Merge>,
    /// The latest record.
    pub record: Value,
    /// Its versions.
    pub history: Vec<Moment>,
    /// Its alerts, in the order in which they came; or the one that was asked for.
    pub alerts: Vec<AlertChain>,
    /// Alerts that are left out of this list.
    pub alerts_left_out: usize,
    /// Incidents that were compared with it, and not merged.
    pub kept_apart: Vec<Apart>,
}

/// An incident that went into an older one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Merge {
    /// The younger one.
    pub incident: String,
    /// The older one.
    pub into: String,
    /// When.
    pub at: String,
}

/// One version of an incident.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Moment {
    /// The version.
    pub version: u64,
    /// Log time.
    pub at: String,
    /// Position of the record that caused it, or of the one before the deadline that did.
    pub position: u64,
    /// Where it was in its life.
    pub phase: &'static str,
    /// The candidate.
    pub root: String,
    /// Its confidence.
    pub confidence: f64,
    /// Its score.
    pub score: f64,
    /// Why the candidate last changed.
    pub rerank_cause: Option<&'static str>,
    /// How many alerts it had.
    pub members: usize,
}

/// What happened to one alert.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct AlertChain {
    /// The alert.
    pub fingerprint: String,
    /// Its labels when it was first seen, those that identity leaves out included.
    pub labels: BTreeMap<String, String>,
    /// What became of its events, in order; repeats in a row are one step.
    pub steps: Vec<Step>,
    /// How the trouble came from the candidate to its entity, as in the record; null beyond the
    /// entities that the record tells of.
    pub path: Option<Value>,
    /// What it adds to the candidate's score: the terms that speak of its entity.
    pub evidence: Vec<Value>,
}

/// What became of an event, or of several repeats in a row, or of an alert when its time was up.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Step {
    /// `opened`, `joined`, `suppressed`, `repeated`, `resolved`, `expired`, `resolved_unknown`.
    pub what: &'static str,
    /// Log time, of the first of several.
    pub at: String,
    /// Where the record came from.
    pub input: String,
    /// Its position.
    pub position: u64,
    /// How many.
    pub times: u64,
    /// Log time of the last.
    pub last: String,
    /// Position of the last.
    pub last_position: u64,
    /// The incident, for `opened` and `joined`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// `startsAt` of the episode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<String>,
    /// Why it was suppressed, or the limit that kept it out of the incident that explains it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// How the incident was chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weighed: Option<Weighing>,
}

/// How an incident was chosen.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Weighing {
    /// The entity that the alert is about.
    pub entity: String,
    /// Whether it is in the graph.
    pub in_topology: bool,
    /// The mapping rule that named it.
    pub mapped_by: Option<String>,
    /// The kind of alert.
    pub kind: &'static str,
    /// How far over its limit.
    pub strength: f64,
    /// The onset that counts.
    pub onset: String,
    /// Least likelihood ratio to join.
    pub threshold: f64,
    /// The incidents that were weighed, most likely first.
    pub alternatives: Vec<Weighed>,
}

/// One incident that was weighed.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Weighed {
    /// The incident.
    pub incident: String,
    /// The root that explains both best; null when the entity is a member already, or shares the
    /// fallback labels.
    pub root: Option<String>,
    /// Likelihood ratio of one root for both against two: 1 is even.
    pub ratio: f64,
    /// What distance in time takes from it, as a factor.
    pub nearness: f64,
    /// `joins`, `second`, `unlikely`, `too_late`, `refused`, `goes_back`.
    pub verdict: &'static str,
    /// The limit, when it was refused.
    pub limit: Option<&'static str>,
}

/// Two incidents that were compared and not made one.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Apart {
    /// The other one.
    pub incident: String,
    /// Log time of the last comparison.
    pub at: String,
    /// Likelihood ratio of one root for both; null when a limit forbade it first.
    pub ratio: Option<f64>,
    /// The limit: `merge_window` or `members_max`.
    pub limit: Option<&'static str>,
}

/// What was asked for is not there.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotFound {
    /// No such incident.
    #[error(
        "no incident {asked} among the {count} of this input; its id depends on the first alert, \
         the tenant and the shard, so read the input that the daemon read, under its policy and \
         topology (its record's `provenance` names them; for a recording of a partition, give \
         --shard INPUT/PARTITION)"
    )]
    Incident {
        /// The id.
        asked: String,
        /// How many there are.
        count: usize,
    },
    /// No such alert in the incident.
    #[error("no alert {asked} in {incident}; it has {}", known.join(", "))]
    Alert {
        /// The fingerprint.
        asked: String,
        /// The incident.
        incident: String,
        /// Fingerprints that it has, the first of them.
        known: Vec<String>,
    },
}

impl Moment {
    pub(super) fn of(view: &IncidentView<'_>, position: u64) -> Self {
        let root = view.root_cause();
        Self {
            version: view.version(),
            at: rfc3339(view.updated()),
            position,
            phase: view.phase().name(),
            root: root.map_or(String::new(), |root| root.entity.to_owned()),
            confidence: root.map_or(0.0, |root| root.confidence.to_f64()),
            score: root.map_or(0.0, |root| root.score.to_f64()),
            rerank_cause: view.rerank_cause().map(|cause| cause.name()),
            members: view.member_counts().0,
        }
    }
}

impl Weighing {
    pub(super) fn of(placement: &Placement) -> Self {
        let alternatives = placement.alternatives.iter().map(|one| Weighed {
            incident: one.incident.to_string(),
            root: one.root.clone(),
            ratio: factor(one.ratio),
            nearness: factor(one.decay),
            verdict: one.verdict.name(),
            limit: match one.verdict {
                Verdict::Refused(limit) => Some(limit.name()),
                _ => None,
            },
        });
        Self {
            entity: placement.entity.clone(),
            in_topology: placement.in_topology,
            mapped_by: placement.mapped_by.clone(),
            kind: placement.kind.name(),
            strength: placement.strength.to_f64(),
            onset: rfc3339(placement.onset),
            threshold: factor(placement.threshold),
            alternatives: alternatives.collect(),
        }
    }
}

/// A likelihood ratio from its logarithm.
fn factor(ln: Score) -> f64 {
    if ln <= Score::WORST { 0.0 } else { ln.to_f64().exp() }
}

impl Explanation {
    /// What is known of an incident; with `alert`, of that alert of it alone.
    ///
    /// # Errors
    /// [`NotFound`] when there is no such incident, or no such alert in it.
    pub fn of(collector: &Collector, asked: &str, alert: Option<&str>) -> Result<Self, NotFound> {
        let ids = || collector.incidents.keys();
        let Some(&first) = ids().find(|id| id.to_string() == asked) else {
            let count = collector.incidents.len();
            return Err(NotFound::Incident { asked: asked.to_owned(), count });
        };
        let survivor = survivor(collector, first);
        let all = absorbed(collector, survivor);
        let story = &collector.incidents[&survivor];
        let mut members: Vec<(&Fingerprint, &super::collect::AlertStory)> = collector
            .alerts
            .iter()
            .filter(|(_, story)| story.incidents.iter().any(|id| all.contains(id)))
            .collect();
        members.sort_by_key(|(fingerprint, story)| (&story.steps[0].at, **fingerprint));
        if let Some(asked) = alert {
            let known = members.iter().take(20).map(|(fp, _)| fp.to_string()).collect();
            members.retain(|(fingerprint, _)| fingerprint.to_string() == asked);
            if members.is_empty() {
                let (asked, incident) = (asked.to_owned(), survivor.to_string());
                return Err(NotFound::Alert { asked, incident, known });
            }
        }
        let told = members.len().min(MEMBERS_TOLD);
        let chain = |&(fingerprint, story): &(&Fingerprint, &super::collect::AlertStory)| {
            AlertChain::of(*fingerprint, story, &collector.incidents[&survivor].record)
        };
        let merges = collector.merges.iter().filter(|(id, _)| all.contains(id));
        Ok(Self {
            schema_version: SCHEMA_VERSION,
            asked: asked.to_owned(),
            incident: survivor.to_string(),
            merges: merges.map(|(_, merge)| merge.clone()).collect(),
            record: story.record.clone(),
            history: story.moments.clone(),
            alerts: members[..told].iter().map(chain).collect(),
            alerts_left_out: members.len() - told,
            kept_apart: kept_apart(collector, &all),
        })
    }
}

fn survivor(collector: &Collector, mut id: IncidentId) -> IncidentId {
    let into = |id: IncidentId| {
        let (_, merge) = collector.merges.iter().find(|(from, _)| *from == id)?;
        collector.incidents.keys().find(|other| other.to_string() == merge.into).copied()
    };
    while let Some(next) = into(id) {
        id = next;
    }
    id
}

/// The incident, and all that went into it.
fn absorbed(collector: &Collector, survivor: IncidentId) -> BTreeSet<IncidentId> {
    let mut all = BTreeSet::from([survivor]);
    // An incident is merged before what it went into is: from the last merge back, once is enough.
    for (from, merge) in collector.merges.iter().rev() {
        if all.iter().any(|id| id.to_string() == merge.into) {
            all.insert(*from);
        }
    }
    all
}

/// The incidents that stayed apart, by the last comparison with each.
fn kept_apart(collector: &Collector, all: &BTreeSet<IncidentId>) -> Vec<Apart> {
    let mut apart = BTreeMap::new();
    for (at, comparison) in collector.comparisons.iter().filter(|(_, c)| !c.merged) {
        let other = match (all.contains(&comparison.first), all.contains(&comparison.second)) {
            (true, false) => comparison.second,
            (false, true) => comparison.first,
            _ => continue,
        };
        let ratio = comparison.ratio.map(factor);
        let (incident, at, limit) = (other.to_string(), rfc3339(*at), comparison.refused);
        apart.insert(other, Apart { incident, at, ratio, limit });
    }
    apart.into_values().collect()
}

impl AlertChain {
    fn of(fingerprint: Fingerprint, story: &super::collect::AlertStory, record: &Value) -> Self {
        let weighed = story.steps.iter().rev().find_map(|step| step.weighed.as_ref());
        let entity = weighed.map_or("", |weighed| weighed.entity.as_str());
        let candidate = &record["root_cause"];
        let is_shown = candidate["fingerprint"] == fingerprint.to_string();
        let speaks = |term: &&Value| match term["entity"].as_str() {
            Some(of) => of == entity,
            None => is_shown && term["code"] == "OWN_ALERT",
        };
        let terms = record["evidence"].as_array();
        let mut paths = record["paths"].as_array().into_iter().flatten();
        Self {
            fingerprint: fingerprint.to_string(),
            labels: story.labels.iter().cloned().collect(),
            steps: story.steps.clone(),
            path: paths.find(|path| path["entity"] == entity).cloned(),
            evidence: terms.into_iter().flatten().filter(speaks).cloned().collect(),
        }
    }
}
