//! YAML as a tree in which every key and value knows its place, and what is wrong with it.
//!
//! Built from parser events rather than with a loader: so depth is bounded, aliases (and with them
//! their bombs) are refused, and duplicate keys are found. [`reader`] turns the tree into values.

pub mod reader;
pub mod section;
mod tree;

use std::fmt;

pub use tree::parse;

/// A place in a file, from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct At {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

/// Something wrong in a file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Problem {
    /// Where; `None` when it concerns the whole file.
    pub at: Option<At>,
    /// The keys that lead there, such as `outputs[0].url`; may be empty.
    pub path: String,
    /// What was given, what is allowed, how to mend it.
    pub what: String,
}

impl Problem {
    /// A problem at a place.
    #[must_use]
    pub fn new(at: Option<At>, path: &str, what: impl Into<String>) -> Self {
        let (path, what) = (path.to_owned(), what.into());
        Self { at, path, what }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = self.at {
            write!(f, "{}:{}: ", at.line, at.column)?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.what)
    }
}

/// A value with its place.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// Where it starts.
    pub at: At,
    /// What it is.
    pub value: Value,
}

/// What a value is. Plain text is not yet a number or a truth value: the reader knows what it wants.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// Nothing, `null` or `~`.
    Null,
    /// Text without quotes.
    Plain(String),
    /// Text in quotes, or a block of text.
    Quoted(String),
    /// A list.
    List(Vec<Node>),
    /// Keys and values, in order, each key once.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key is.
    pub at: At,
    /// The value.
    pub node: Node,
}

impl Node {
    /// What was given, for messages.
    #[must_use]
    pub fn shown(&self) -> String {
        let short = |text: &str| {
            let mut chars = text.chars();
            let head: String = chars.by_ref().take(60).collect();
            let dots = if chars.next().is_some() { "..." } else { "" };
            format!("{head}{dots}")
        };
        match &self.value {
            Value::Null => "empty".to_owned(),
            Value::Plain(text) | Value::Quoted(text) if text.is_empty() => "empty".to_owned(),
            Value::Plain(text) => short(text),
            Value::Quoted(text) => format!("{:?}", short(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a section of keys and values".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
