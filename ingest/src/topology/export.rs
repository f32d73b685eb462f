//! A graph as text for other tools: every form but Mermaid can be read back.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::layer::Layer;
use hypocenter_engine::{EdgeKind, EntityKind};

/// As a topology file in JSON.
#[must_use]
pub fn json(layer: &Layer) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let nodes = layer.entities.iter().map(|(name, kind)| {
        if *kind == EntityKind::of(name) {
            return format!("    {}", quoted(name));
        }
        format!("    {{\"id\": {}, \"kind\": \"{}\"}}", quoted(name), kind.name())
    });
    let nodes: Vec<String> = nodes.collect();
    let edges = layer.edges.iter().map(|((from, to), kind)| {
        let kind = match kind {
            EdgeKind::Calls => String::new(),
            kind => format!(", \"kind\": \"{}\"", kind.name()),
        };
        format!("    {{\"from\": {}, \"to\": {}{kind}}}", quoted(from), quoted(to))
    });
    let edges: Vec<String> = edges.collect();
    let list = |items: Vec<String>| match items.is_empty() {
        true => "[]".to_owned(),
        false => format!("[\n{}\n  ]", items.join(",\n")),
    };
    format!(
        "{{\n  \"version\": 1,\n  \"nodes\": {},\n  \"edges\": {}\n}}\n",
        list(nodes),
        list(edges)
    )
}

/// As a graph of Graphviz.
#[must_use]
pub fn dot(layer: &Layer) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\\\""));
    let mut text = String::from("digraph topology {\n");
    for (name, kind) in &layer.entities {
        match *kind == EntityKind::of(name) {
            true => writeln!(text, "  {};", quoted(name)),
            false => writeln!(text, "  {} [kind={}];", quoted(name), kind.name()),
        }
        .expect("a string takes all");
    }
    for ((from, to), kind) in &layer.edges {
        let kind = match kind {
            EdgeKind::Calls => String::new(),
            kind => format!(" [kind={}]", kind.name()),
        };
        writeln!(text, "  {} -> {}{kind};", quoted(from), quoted(to)).expect("a string takes all");
    }
    text.push_str("}\n");
    text
}

/// As a flow chart of Mermaid, for documents.
#[must_use]
pub fn mermaid(layer: &Layer) -> String {
    let mut text = String::from("flowchart TD\n");
    let ids: BTreeMap<&str, usize> =
        layer.entities.keys().enumerate().map(|(at, name)| (&**name, at)).collect();
    for (name, at) in &ids {
        let name = name.replace('"', "#quot;");
        writeln!(text, "  n{at}[\"{name}\"]").expect("a string takes all");
    }
    for ((from, to), kind) in &layer.edges {
        let (Some(from), Some(to)) = (ids.get(&**from), ids.get(&**to)) else {
            continue;
        };
        let label = match kind {
            EdgeKind::Calls => String::new(),
            kind => format!("|{}|", kind.name()),
        };
        writeln!(text, "  n{from} -->{label} n{to}").expect("a string takes all");
    }
    text
}
