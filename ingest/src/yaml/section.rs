//! The keys of one section, taken one by one.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::reader::{Reader, shown};
use super::{At, Entry, Node, Value};
use crate::duration;

/// One section: its keys are taken one by one.
#[derive(Debug)]
pub struct Section<'n, 'r> {
    reader: &'r Reader,
    path: &'r str,
    at: At,
    left: Vec<&'n Entry>,
    known: Vec<String>,
}

impl<'n, 'r> Section<'n, 'r> {
    pub(super) fn new(reader: &'r Reader, path: &'r str, at: At, entries: &'n [Entry]) -> Self {
        let left = entries.iter().collect();
        let known = Vec::new();
        Self { reader, path, at, left, known }
    }

    /// The path of a key of this section.
    #[must_use]
    pub fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Notes a problem with a key of this section, at its value or at the section.
    pub fn problem(&self, key: &str, what: impl Into<String>) {
        let path = self.path(key);
        let at = self.reader.given(&path).map_or(self.at, |(at, _)| at);
        self.reader.problem(Some(at), &path, what);
    }

    /// Notes a problem with one of the keys of [`Section::take_rest`].
    pub fn problem_at(&self, entry: &Entry, what: impl Into<String>) {
        self.reader.problem(Some(entry.node.at), &self.path(&entry.key), what);
    }

    /// Notes a problem at a place below this section, whose path is given in full.
    pub fn problem_below(&self, at: Option<At>, path: &str, what: impl Into<String>) {
        self.reader.problem(at.or(Some(self.at)), path, what);
    }

    /// Whether a problem with a key, or below it, has been noted.
    #[must_use]
    pub fn has_problem(&self, key: &str) -> bool {
        self.reader.has_problem(&self.path(key))
    }

    /// The value of a key, if it is given.
    pub fn take(&mut self, key: &str) -> Option<&'n Node> {
        let path = self.path(key);
        self.known.push(key.to_owned());
        self.reader.asked(&path);
        let at = self.left.iter().position(|entry| entry.key == key)?;
        let node = &self.left.remove(at).node;
        self.reader.found(path, node);
        Some(node)
    }

    /// The section at one of the keys of [`Section::take_rest`].
    pub fn below(&self, entry: &Entry, read: impl FnOnce(&mut Section<'_, '_>)) {
        self.reader.section(&entry.node, &self.path(&entry.key), read);
    }

    /// All keys that are left, for sections whose keys the user chooses.
    pub fn take_rest(&mut self) -> Vec<&'n Entry> {
        std::mem::take(&mut self.left)
    }

    /// A section below.
    pub fn section(&mut self, key: &str, read: impl FnOnce(&mut Section<'_, '_>)) {
        if let Some(node) = self.take(key) {
            self.reader.section(node, &self.path(key), read);
        } else {
            // Read as if empty, so that its keys are known; they change nothing.
            let node = Node { at: self.at, value: Value::Null };
            self.reader.section(&node, &self.path(key), read);
        }
    }

    /// A list, each element with its path; `None` when it is not given.
    pub fn list(&mut self, key: &str, mut each: impl FnMut(&Reader, &Node, &str)) -> Option<usize> {
        let node = self.take(key)?;
        let Value::List(nodes) = &node.value else {
            self.wrong(key, node, "a list, as in [a, b]");
            return None;
        };
        for (at, node) in nodes.iter().enumerate() {
            each(self.reader, node, &format!("{}[{at}]", self.path(key)));
        }
        Some(nodes.len())
    }

    /// Text that must not be empty.
    pub fn text(&mut self, key: &str, into: &mut String) {
        if let Some(node) = self.take(key) {
            match text_of(node) {
                Some(text) => text.clone_into(into),
                None => self.wrong(key, node, "text"),
            }
        }
    }

    /// Text that may be left out, or be `null`.
    pub fn optional(&mut self, key: &str, into: &mut Option<String>) {
        let Some(node) = self.take(key) else { return };
        match (&node.value, text_of(node)) {
            (Value::Null, _) => *into = None,
            (_, Some(text)) => *into = Some(text.to_owned()),
            (_, None) => self.wrong(key, node, "text, or null"),
        }
    }

    /// A list of text.
    pub fn texts(&mut self, key: &str, into: &mut Vec<String>) {
        let mut list = Vec::new();
        let found = self.list(key, |reader, node, path| match text_of(node) {
            Some(text) => list.push(text.to_owned()),
            None => reader.problem(
                Some(node.at),
                path,
                format!("is {}, must be text", shown(path, node)),
            ),
        });
        if found.is_some() {
            *into = list;
        }
    }

    /// A list of text at one of the keys of [`Section::take_rest`].
    pub fn texts_of(&mut self, entry: &'n Entry, into: &mut Vec<String>) {
        self.left.push(entry);
        self.texts(&entry.key, into);
    }

    /// One of some words.
    pub fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)], into: &mut T) {
        let Some(node) = self.take(key) else { return };
        let text = text_of(node).unwrap_or_default();
        match choices.iter().find(|(name, _)| *name == text) {
            Some((_, value)) => *into = *value,
            None => {
                let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
                self.wrong(key, node, &format!("one of {}", names.join(", ")));
            }
        }
    }

    /// A number with or without a fraction. Not-a-number and the infinities are refused.
    pub fn float(&mut self, key: &str, into: &mut f64) {
        let Some(node) = self.take(key) else { return };
        match plain(node).and_then(|text| text.parse::<f64>().ok()) {
            Some(number) if number.is_finite() => *into = number,
            _ => self.wrong(key, node, "a number"),
        }
    }

    /// A number within bounds.
    pub fn float_in(&mut self, key: &str, range: RangeInclusive<f64>, into: &mut f64) {
        let mut number = *into;
        self.float(key, &mut number);
        if range.contains(&number) {
            *into = number;
        } else {
            let (low, high) = (range.start(), range.end());
            self.problem(key, format!("is {number}, allowed is {low} to {high}"));
        }
    }

    /// A whole number within bounds.
    pub fn whole<T>(&mut self, key: &str, range: RangeInclusive<T>, into: &mut T)
    where
        T: Copy + PartialOrd + FromStr + Display,
    {
        let Some(node) = self.take(key) else { return };
        let (low, high) = (range.start(), range.end());
        let Some(text) = plain(node).filter(|text| is_whole(text)) else {
            return self.wrong(key, node, &format!("a whole number, {low} to {high}"));
        };
        match text.parse::<T>() {
            Ok(number) if range.contains(&number) => *into = number,
            _ => self.problem(key, format!("is {text}, allowed is {low} to {high}")),
        }
    }

    /// A Prometheus duration.
    pub fn duration(&mut self, key: &str, into: &mut Duration) {
        let Some(node) = self.take(key) else { return };
        let Some(text) = text_of(node) else {
            return self.wrong(key, node, "a duration such as 30s, 5m or 1h30m");
        };
        match duration::parse(text) {
            Ok(value) => *into = value,
            Err(what) => {
                self.problem(key, format!("is {}, {}", shown(&self.path(key), node), and(&what)))
            }
        }
    }

    fn wrong(&self, key: &str, node: &Node, allowed: &str) {
        let hint = match &node.value {
            Value::Quoted(text) if text.parse::<f64>().is_ok() => "; take the quotes away",
            Value::Plain(_) if allowed.starts_with("a list") => "; put it in brackets",
            _ => "",
        };
        let what = format!("is {}, must be {allowed}{hint}", shown(&self.path(key), node));
        self.reader.problem(Some(node.at), &self.path(key), what);
    }

    /// Notes the keys that are left as unknown.
    pub(super) fn finish(self) {
        for entry in &self.left {
            let near = nearest(&entry.key, &self.known);
            let what = match near {
                Some(near) => format!("is not a known key; did you mean \"{near}\"?"),
                None if self.known.is_empty() => "is not a known key; none is allowed here".into(),
                None => {
                    let mut known = self.known.clone();
                    known.sort();
                    format!("is not a known key; there are {}", known.join(", "))
                }
            };
            self.reader.problem(Some(entry.at), &self.path(&entry.key), what);
        }
    }
}

/// Joins a reason to "is X, ".
fn and(what: &str) -> String {
    if what.starts_with("must") { what.to_owned() } else { format!("which {what}") }
}

/// The text of a scalar, in quotes or not; `None` for everything else and for empty text.
#[must_use]
pub fn text_of(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Plain(text) | Value::Quoted(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

fn plain(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Plain(text) => Some(text),
        _ => None,
    }
}

fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// The known key that a mistyped one probably stands for.
#[must_use]
pub fn nearest<'k>(key: &str, known: &'k [String]) -> Option<&'k str> {
    known
        .iter()
        .map(|k| (strsim::jaro_winkler(&key.to_lowercase(), k), k.as_str()))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, k)| k)
}
