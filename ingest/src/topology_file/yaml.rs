//! Topology from YAML, with every mistake at its place.

use std::borrow::Cow;

use hypocenter_engine::{EdgeKind, EntityKind};

use super::{EdgePart, NodePart, Parts};
use crate::yaml::reader::Reader;
use crate::yaml::section::text_of;
use crate::yaml::{Node, Problem, Value};

pub(super) fn read(text: &str) -> Result<Parts<'static>, Vec<Problem>> {
    let reader = Reader::default();
    let Some(root) = reader.parse(text) else {
        return Err(reader.into_problems());
    };
    let mut parts = Parts::default();
    reader.section(&root, "", |s| {
        let mut version = 1;
        s.whole("version", 1..=1, &mut version);
        let mut nodes = Vec::new();
        let found = s.list("nodes", |reader, item, path| {
            nodes.extend(node(reader, item, path));
        });
        parts.nodes = found.map(|_| nodes);
        let mut edges = Vec::new();
        let found = s.list("edges", |reader, item, path| {
            edges.extend(edge(reader, item, path));
        });
        parts.edges = found.map(|_| edges);
    });
    let problems = reader.into_problems();
    if problems.is_empty() { Ok(parts) } else { Err(problems) }
}

fn node(reader: &Reader, item: &Node, path: &str) -> Option<NodePart<'static>> {
    match &item.value {
        Value::Map(_) => {
            let mut id = String::new();
            let mut kind: Option<EntityKind> = None;
            reader.section(item, path, |s| {
                s.text("id", &mut id);
                s.choice("kind", &EntityKind::ALL.map(|kind| (kind.name(), Some(kind))), &mut kind);
                if id.is_empty() && !s.has_problem("id") {
                    s.problem("id", "is missing; it names the entity");
                }
            });
            Some(NodePart { id: Cow::Owned(id), kind })
        }
        _ => {
            let id = Cow::Owned(name(reader, item, path, "a name, or {id: name}")?);
            Some(NodePart { id, kind: None })
        }
    }
}

fn edge(reader: &Reader, item: &Node, path: &str) -> Option<EdgePart<'static>> {
    if !matches!(item.value, Value::Map(_)) {
        let what = format!("is {}, must be an edge such as {{from: a, to: b}}", item.shown());
        reader.problem(Some(item.at), path, what);
        return None;
    }
    let (mut from, mut to, mut kind) = (String::new(), String::new(), EdgeKind::default());
    reader.section(item, path, |s| {
        for (key, end) in [("from", &mut from), ("to", &mut to)] {
            s.text(key, end);
            if end.is_empty() && !s.has_problem(key) {
                s.problem(key, "is missing; an edge is {from: a, to: b}, where a depends on b");
            }
        }
        s.choice("kind", &EdgeKind::ALL.map(|kind| (kind.name(), kind)), &mut kind);
    });
    Some(EdgePart { from: Cow::Owned(from), to: Cow::Owned(to), kind })
}

fn name(reader: &Reader, item: &Node, path: &str, allowed: &str) -> Option<String> {
    let text = text_of(item).map(str::to_owned);
    if text.is_none() {
        let what = format!("is {}, must be {allowed}", item.shown());
        reader.problem(Some(item.at), path, what);
    }
    text
}
