//! The dependency graph as the simple rules see it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde::Deserialize;

/// Callers and callees by name. An entity that calls itself says nothing: such edges are left out.
#[derive(Debug, Default)]
pub(super) struct Graph {
    callees: BTreeMap<String, BTreeSet<String>>,
    callers: BTreeMap<String, BTreeSet<String>>,
    none: BTreeSet<String>,
}

#[derive(Deserialize)]
struct RawTopology {
    edges: Vec<RawEdge>,
}

#[derive(Deserialize)]
struct RawEdge {
    from: String,
    to: String,
}

impl Graph {
    /// Reads a `topology.json`.
    pub(super) fn parse(topology: &[u8]) -> Result<Self> {
        let raw: RawTopology = serde_json::from_slice(topology).context("topology.json")?;
        let mut graph = Self::default();
        for RawEdge { from, to } in raw.edges {
            if from != to {
                graph.callees.entry(from.clone()).or_default().insert(to.clone());
                graph.callers.entry(to).or_default().insert(from);
            }
        }
        Ok(graph)
    }

    /// What an entity calls.
    pub(super) fn callees(&self, entity: &str) -> &BTreeSet<String> {
        self.callees.get(entity).unwrap_or(&self.none)
    }

    /// What calls an entity.
    pub(super) fn callers(&self, entity: &str) -> &BTreeSet<String> {
        self.callers.get(entity).unwrap_or(&self.none)
    }

    /// What calls an entity, with the entity's name as this graph holds it; `None` when nothing does.
    pub(super) fn callers_of(&self, entity: &str) -> Option<(&str, &BTreeSet<String>)> {
        self.callers.get_key_value(entity).map(|(name, callers)| (name.as_str(), callers))
    }

    /// The entities at most `hops` calls away in either direction, itself among them.
    pub(super) fn within<'a>(&'a self, entity: &'a str, hops: u32) -> BTreeSet<&'a str> {
        let mut near = BTreeSet::from([entity]);
        let mut edge = near.clone();
        for _ in 0..hops {
            let next = edge.iter().flat_map(|at| self.callees(at).union(self.callers(at)));
            edge = next.map(String::as_str).filter(|at| !near.contains(at)).collect();
            near.extend(&edge);
        }
        near
    }
}
