//! The dependency graph from a file: YAML or JSON, told apart by the first character.
//!
//! ```yaml
//! version: 1                      # optional
//! nodes: [frontend, {id: cart, kind: service}]  # optional; those without an edge must be here
//! edges:
//!   - {from: frontend, to: cart, kind: calls}   # from depends on to; the kind is optional
//! ```
//!
//! The same in JSON. Names are compared as they are written, upper and lower case included. What
//! is odd but usable (a circle, an edge given twice) is reported, not refused.

mod json;
mod report;
#[cfg(test)]
mod tests;
mod yaml;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use hypocenter_engine::{EdgeKind, EntityKind, Topology, TopologyBuilder, TopologyReport};

use crate::file_error::FileError;
pub use report::findings;

use crate::text_file;
use crate::yaml::Problem;

/// Largest topology file, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// A topology that was read, and what was odd about it.
#[derive(Clone, Debug)]
pub struct TopologyFile {
    /// The graph.
    pub topology: Topology,
    /// What was wrong, and was repaired or lived with.
    pub report: TopologyReport,
    /// Names that differ in case or surrounding spaces only: likely the same entity.
    pub lookalikes: Vec<Vec<String>>,
    /// How it is written.
    pub format: Format,
}

/// How a topology file is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// JSON: the first character is `{` or `[`.
    Json,
    /// YAML: anything else.
    Yaml,
}

/// What both readers produce.
#[derive(Debug, Default)]
struct Parts<'t> {
    nodes: Option<Vec<NodePart<'t>>>,
    edges: Option<Vec<EdgePart<'t>>>,
}

#[derive(Debug)]
struct NodePart<'t> {
    id: Cow<'t, str>,
    kind: Option<EntityKind>,
}

#[derive(Debug)]
struct EdgePart<'t> {
    from: Cow<'t, str>,
    to: Cow<'t, str>,
    kind: EdgeKind,
}

impl TopologyFile {
    /// Reads a file.
    ///
    /// # Errors
    /// That it cannot be read, or what is wrong in it: all of it in YAML, the first in JSON.
    pub fn load(file: &Path) -> Result<Self, FileError> {
        Self::load_after(file, &Topology::empty())
    }

    /// Reads a file, as the graph that comes after `before` in a running engine.
    ///
    /// # Errors
    /// As [`TopologyFile::load`].
    pub fn load_after(file: &Path, before: &Topology) -> Result<Self, FileError> {
        let text = text_file::read(file, FILE_BYTES_MAX)
            .map_err(|what| FileError::new(file, vec![Problem::new(None, "", what)]))?;
        Self::parse_after(&text, before).map_err(|problems| FileError::new(file, problems))
    }

    /// Reads a text.
    ///
    /// # Errors
    /// What is wrong in it: all of it in YAML, the first in JSON.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        Self::parse_after(text, &Topology::empty())
    }

    fn parse_after(text: &str, before: &Topology) -> Result<Self, Vec<Problem>> {
        let format = match text.trim_start().chars().next() {
            None => return Err(vec![Problem::new(None, "", EMPTY)]),
            Some('{' | '[') => Format::Json,
            Some(_) => Format::Yaml,
        };
        let parts = match format {
            Format::Json => json::read(text).map_err(|problem| vec![problem])?,
            Format::Yaml => yaml::read(text)?,
        };
        if parts.nodes.is_none() && parts.edges.is_none() {
            return Err(vec![Problem::new(None, "", EMPTY)]);
        }
        let mut builder = TopologyBuilder::new();
        for node in parts.nodes.iter().flatten() {
            match node.kind {
                Some(kind) => builder.typed_node(&node.id, kind),
                None => builder.node(&node.id),
            }
        }
        for edge in parts.edges.iter().flatten() {
            builder.typed_edge(&edge.from, &edge.to, edge.kind);
        }
        let (topology, report) = builder.build_after(before);
        let lookalikes = lookalikes(&topology);
        Ok(Self { topology, report, lookalikes, format })
    }
}

const EMPTY: &str = "holds no topology; write `edges: [{from: a, to: b}]` where a depends on b, or \
                     run without a topology by leaving topology.file out";

fn lookalikes(topology: &Topology) -> Vec<Vec<String>> {
    let mut by_fold: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for name in topology.names() {
        let fold = name.trim().to_lowercase();
        by_fold.entry(fold).or_default().push(name);
    }
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    by_fold.into_values().filter(|names| names.len() > 1).map(owned).collect()
}
