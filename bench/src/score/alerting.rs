//! The alerting entities of a case, and what the simple rules ask about them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::data::Case;
use super::files::json_lines;
use super::graph::Graph;

/// PageRank: the chance to follow a dependency rather than to start again.
const FOLLOW: f64 = 0.85;
/// PageRank: rounds; far more than graphs of this size need to settle.
const ROUNDS: usize = 100;

/// The alerting entities of a case.
pub(super) struct Alerting {
    pub(super) seen: BTreeMap<String, Seen>,
    pub(super) graph: Graph,
}

/// What was seen of one entity.
pub(super) struct Seen {
    pub(super) fingerprints: BTreeSet<String>,
    pub(super) events: usize,
    pub(super) first_ms: i64,
    pub(super) breach: f64,
}

#[derive(Deserialize)]
struct RawEvent {
    ts_ms: i64,
    status: String,
    labels: RawLabels,
    annotations: RawAnnotations,
    fingerprint: String,
}

#[derive(Deserialize)]
struct RawLabels {
    service: String,
}

#[derive(Deserialize)]
struct RawAnnotations {
    value: String,
    threshold: String,
}

impl Alerting {
    pub(super) fn read(case: &Case) -> Result<Self> {
        let events: Vec<RawEvent> = json_lines(&case.alerts, "alerts.jsonl")?;
        let mut seen = BTreeMap::new();
        for event in events.into_iter().filter(|event| event.status == "firing") {
            let breach = event.annotations.breach()?;
            let one = seen.entry(event.labels.service).or_insert(Seen {
                fingerprints: BTreeSet::new(),
                events: 0,
                first_ms: event.ts_ms,
                breach: 0.0,
            });
            one.fingerprints.insert(event.fingerprint);
            one.events += 1;
            one.first_ms = one.first_ms.min(event.ts_ms);
            one.breach = one.breach.max(breach);
        }
        Ok(Self { seen, graph: Graph::parse(&case.topology)? })
    }

    pub(super) fn has_alerting_callee(&self, entity: &str) -> bool {
        self.graph.callees(entity).iter().any(|callee| self.seen.contains_key(callee))
    }

    /// Where a walk along alerting entities is found in the end, when it starts, and starts again,
    /// at an entity by its number of distinct alerts.
    pub(super) fn page_rank(&self) -> BTreeMap<&str, f64> {
        let total: usize = self.seen.values().map(|seen| seen.fingerprints.len()).sum();
        let weigh = |seen: &Seen| seen.fingerprints.len() as f64 / total as f64;
        let start: BTreeMap<&str, f64> =
            self.seen.iter().map(|(entity, seen)| (entity.as_str(), weigh(seen))).collect();
        let mut rank = start.clone();
        for _ in 0..ROUNDS {
            let mut next: BTreeMap<&str, f64> = start.keys().map(|entity| (*entity, 0.0)).collect();
            let mut stuck = 0.0;
            for (entity, mass) in &rank {
                let callees = self.graph.callees(entity).iter();
                let callees: Vec<_> =
                    callees.filter(|callee| self.seen.contains_key(*callee)).collect();
                if callees.is_empty() {
                    stuck += mass;
                }
                for callee in &callees {
                    *next.entry(callee.as_str()).or_insert(0.0) += mass / callees.len() as f64;
                }
            }
            for (entity, mass) in &mut next {
                *mass = (1.0 - FOLLOW) * start[entity] + FOLLOW * (*mass + stuck * start[entity]);
            }
            rank = next;
        }
        rank
    }
}

impl RawAnnotations {
    /// How far the value is beyond its threshold; 1 is just at it.
    fn breach(&self) -> Result<f64> {
        let number = |text: &str| -> Result<f64> {
            text.trim().parse().with_context(|| format!("annotation {text:?} is no number"))
        };
        let value = number(&self.value)?;
        if let Some(limit) = self.threshold.strip_prefix('>') {
            let limit = number(limit)?;
            return Ok(if limit > 0.0 { value / limit } else { f64::INFINITY });
        }
        let limit = self.threshold.strip_prefix('<');
        let limit = limit.with_context(|| {
            format!("annotation threshold {:?}: begin it with > or <", self.threshold)
        })?;
        let limit = number(limit)?;
        Ok((limit - value) / limit.abs().max(1e-9) + 1.0)
    }
}

/// The longest chain of callers above an entity that meets nothing twice.
pub(super) struct Depth<'a> {
    graph: &'a Graph,
    known: BTreeMap<&'a str, usize>,
}

impl<'a> Depth<'a> {
    pub(super) fn new(graph: &'a Graph) -> Self {
        Self { graph, known: BTreeMap::new() }
    }

    /// `below` is the chain down to the entity first asked for.
    pub(super) fn of(&mut self, entity: &str, below: &mut Vec<&'a str>) -> usize {
        if let Some(depth) = self.known.get(entity) {
            return *depth;
        }
        let Some((entity, callers)) = self.graph.callers_of(entity) else {
            return 0;
        };
        let mut depth = 0;
        for caller in callers.iter().filter(|caller| *caller != entity) {
            if !below.contains(&caller.as_str()) {
                below.push(entity);
                depth = depth.max(1 + self.of(caller, below));
                below.pop();
            }
        }
        if below.is_empty() {
            self.known.insert(entity, depth);
        }
        depth
    }
}
