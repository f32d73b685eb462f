//! A configuration as a tree of keys that can be changed and written again.

use anyhow::{Result, bail};
use hypocenter::yaml::{Node, Value, parse};

/// A section with its keys in order, or a value as it is written.
#[derive(Clone, PartialEq, Debug)]
pub enum Tree {
    /// A value or list, as it is written on one line.
    Leaf(String),
    /// Keys and what is below them.
    Section(Vec<(String, Tree)>),
}

impl Tree {
    /// Reads YAML text. Comments are lost.
    ///
    /// # Errors
    /// When it is not valid YAML.
    pub fn parse(text: &str) -> Result<Self> {
        let mut problems = Vec::new();
        let node = parse(text, &mut problems);
        match (node, problems.first()) {
            (Some(node), None) => Ok(Self::of(&node)),
            (_, Some(problem)) => bail!("{problem}"),
            (None, None) => bail!("is not valid YAML"),
        }
    }

    fn of(node: &Node) -> Self {
        match &node.value {
            Value::Map(entries) if !entries.is_empty() => {
                Self::Section(entries.iter().map(|e| (e.key.clone(), Self::of(&e.node))).collect())
            }
            _ => Self::Leaf(flow(node)),
        }
    }

    /// The value at a path of keys joined by dots.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&str> {
        match self {
            Self::Leaf(text) => path.is_empty().then_some(text.as_str()),
            Self::Section(entries) => {
                let (key, rest) = path.split_once('.').unwrap_or((path, ""));
                entries.iter().find(|(name, _)| name == key)?.1.get(rest)
            }
        }
    }

    /// Sets the value at a path; sections that are missing are made.
    pub fn set(&mut self, path: &str, text: &str) {
        let (key, rest) = match path.split_once('.') {
            Some((key, rest)) => (key, Some(rest)),
            None => (path, None),
        };
        if !matches!(self, Self::Section(_)) {
            *self = Self::Section(Vec::new());
        }
        let Self::Section(entries) = self else { return };
        let at = entries.iter().position(|(name, _)| name == key).unwrap_or_else(|| {
            entries.push((key.to_owned(), Self::Section(Vec::new())));
            entries.len() - 1
        });
        match rest {
            Some(rest) => entries[at].1.set(rest, text),
            None => entries[at].1 = Self::Leaf(text.to_owned()),
        }
    }

    /// The paths of all values, in order.
    #[must_use]
    pub fn leaves(&self) -> Vec<(String, String)> {
        match self {
            Self::Leaf(text) => vec![(String::new(), text.clone())],
            Self::Section(entries) => {
                let below = |(key, tree): &(String, Self)| {
                    let join = |(path, text): (String, String)| match path.as_str() {
                        "" => (key.clone(), text),
                        path => (format!("{key}.{path}"), text),
                    };
                    tree.leaves().into_iter().map(join).collect::<Vec<_>>()
                };
                entries.iter().flat_map(below).collect()
            }
        }
    }

    /// Keeps the sections that `wanted` names, of the top level.
    pub fn retain(&mut self, wanted: &[&str]) {
        if let Self::Section(entries) = self {
            entries.retain(|(key, _)| wanted.contains(&key.as_str()));
        }
    }

    /// As YAML, one value a line.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        self.render_into(0, &mut text);
        text
    }

    fn render_into(&self, depth: usize, text: &mut String) {
        let Self::Section(entries) = self else { return };
        for (key, tree) in entries {
            let indent = "  ".repeat(depth);
            match tree {
                Self::Leaf(value) => *text += &format!("{indent}{key}: {value}\n"),
                Self::Section(_) => {
                    *text += &format!("{indent}{key}:\n");
                    tree.render_into(depth + 1, text);
                }
            }
        }
    }
}

/// A value as flow YAML, on one line.
fn flow(node: &Node) -> String {
    let join = |parts: Vec<String>| parts.join(", ");
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Plain(text) => text.clone(),
        // A JSON string is a YAML string in double quotes.
        Value::Quoted(text) => format!("{text:?}").replace("\\'", "'"),
        Value::List(nodes) => format!("[{}]", join(nodes.iter().map(flow).collect())),
        Value::Map(entries) => {
            let pair = |e: &hypocenter::yaml::Entry| format!("{}: {}", e.key, flow(&e.node));
            format!("{{{}}}", join(entries.iter().map(pair).collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use hypocenter::config::{Config, DEFAULT_YML};

    use super::*;

    #[test]
    fn the_reference_manual_survives_being_written_again() {
        let tree = Tree::parse(DEFAULT_YML).expect("valid");
        let text = tree.render();
        assert_eq!(Tree::parse(&text).expect("valid"), tree, "{text}");
        let hash = |text: &str| Config::parse(text).expect(text).policy.hash();
        assert_eq!(hash(&text), Config::default().policy.hash());
    }

    #[test]
    fn values_are_found_and_set_by_path() {
        let mut tree = Tree::parse("a: {b: 1, c: [x, \"y z\"]}\n").expect("valid");
        assert_eq!((tree.get("a.b"), tree.get("a.d"), tree.get("a")), (Some("1"), None, None));
        tree.set("a.b", "2");
        tree.set("d.e.f", "3");
        assert_eq!(tree.render(), "a:\n  b: 2\n  c: [x, \"y z\"]\nd:\n  e:\n    f: 3\n");
        let paths: Vec<String> = tree.leaves().into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["a.b", "a.c", "d.e.f"]);
    }
}
