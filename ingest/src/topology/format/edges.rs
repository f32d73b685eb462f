//! Edges as records of a compacted topic, or one a line: `{"from": "a", "to": "b"}`.

use std::collections::BTreeMap;

use hypocenter_engine::EdgeKind;
use serde::Deserialize;

use super::csv::{edge_kind, entity_kind, named};
use super::{Draft, FormatError};
use crate::topology::layer::{Layer, Places};

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Edge {
    from: String,
    to: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    from_kind: String,
    #[serde(default)]
    to_kind: String,
}

impl Edge {
    fn add(&self, draft: &mut Draft) -> Result<(), String> {
        let kind: EdgeKind = edge_kind(&self.kind)?;
        let (a, b) = (entity_kind(&self.from_kind)?, entity_kind(&self.to_kind)?);
        let from = named(draft, &self.from, a);
        let to = named(draft, &self.to, b);
        draft.edge(from, to, kind);
        Ok(())
    }
}

pub(super) fn read(bytes: &[u8], draft: &mut Draft) -> Result<(), FormatError> {
    for (at, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let told = |what: String| FormatError::new(format!("line {}: {what}", at + 1));
        let edge: Edge = serde_json::from_slice(line).map_err(|error| told(error.to_string()))?;
        edge.add(draft).map_err(told)?;
    }
    Ok(())
}

/// What a compacted topic says by now: the latest record of each key counts, and one without a
/// value takes its edge away.
#[derive(Default)]
pub struct EdgeTopic {
    edges: BTreeMap<Vec<u8>, Edge>,
}

impl EdgeTopic {
    /// Takes a record.
    ///
    /// # Errors
    /// What is wrong with it; the edge of its key stays as it was.
    pub fn apply(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), FormatError> {
        let Some(value) = value else {
            self.edges.remove(key);
            return Ok(());
        };
        let edge: Edge =
            serde_json::from_slice(value).map_err(|error| FormatError::json(&error, value))?;
        // Tried now, so that what is kept can be read.
        edge.add(&mut Draft::default()).map_err(FormatError::new)?;
        self.edges.insert(key.to_vec(), edge);
        Ok(())
    }

    /// The graph of what is there.
    #[must_use]
    pub fn layer(&self, places: &Places) -> Layer {
        let mut draft = Draft::new(places);
        for edge in self.edges.values() {
            if edge.add(&mut draft).is_err() {
                draft.skipped.unreadable += 1;
            }
        }
        draft.finish()
    }

    /// How many edges are there.
    #[must_use]
    pub fn len(&self) -> usize {
        self.edges.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.edges.is_empty()
    }
}
