//! Parser events to tree.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::{At, Entry, Node, Problem, Value};

/// Deepest nesting that is read.
const DEPTH_MAX: usize = 32;

/// Reads one document. Syntax errors end it with `None`; duplicate keys are only reported. An
/// empty document is [`Value::Null`].
pub fn parse(text: &str, problems: &mut Vec<Problem>) -> Option<Node> {
    let mut tree = Tree { open: Vec::new(), root: None, problems };
    match tree.build(text) {
        Ok(()) => {
            Some(tree.root.unwrap_or(Node { at: At { line: 1, column: 1 }, value: Value::Null }))
        }
        Err(problem) => {
            problems.push(problem);
            None
        }
    }
}

struct Tree<'p> {
    open: Vec<Open>,
    root: Option<Node>,
    problems: &'p mut Vec<Problem>,
}

/// A list or map that is not yet at its end.
struct Open {
    at: At,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        seen: BTreeMap<String, At>,
        /// The key that waits for its value, and whether the pair is to be kept.
        key: Option<(String, At, bool)>,
    },
}

impl Tree<'_> {
    fn build(&mut self, text: &str) -> Result<(), Problem> {
        let mut parser = Parser::new_from_str(text);
        let mut documents = 0;
        loop {
            let (event, span) = match parser.next_event() {
                None => return Ok(()),
                Some(Ok(next)) => next,
                Some(Err(error)) => return Err(syntax(text, &error)),
            };
            let at = place(span);
            let fail = |what: &str| Err(Problem::new(Some(at), "", what));
            match event {
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents > 1 {
                        return fail("a second document starts here; one is allowed");
                    }
                }
                Event::Alias(_) => {
                    return fail("is an alias (*name); write the value out instead");
                }
                Event::Scalar(_, _, _, Some(_))
                | Event::SequenceStart(_, Some(_))
                | Event::MappingStart(_, Some(_)) => {
                    return fail("has a tag (!name); leave it out");
                }
                Event::Scalar(text, style, _, None) => {
                    self.scalar(at, text.into_owned(), style)?;
                }
                Event::SequenceStart(_, None) => self.open(at, OpenKind::List(Vec::new()))?,
                Event::MappingStart(_, None) => self.open(
                    at,
                    OpenKind::Map { entries: Vec::new(), seen: BTreeMap::new(), key: None },
                )?,
                Event::SequenceEnd | Event::MappingEnd => self.close()?,
                Event::StreamEnd => return Ok(()),
                Event::Nothing | Event::StreamStart | Event::DocumentEnd => {}
            }
        }
    }

    fn open(&mut self, at: At, kind: OpenKind) -> Result<(), Problem> {
        if self.wants_key() {
            return Err(Problem::new(Some(at), "", "a key must be plain text"));
        }
        if self.open.len() >= DEPTH_MAX {
            let what = format!("is nested deeper than {DEPTH_MAX} levels");
            return Err(Problem::new(Some(at), "", what));
        }
        self.open.push(Open { at, kind });
        Ok(())
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { kind: OpenKind::Map { key: None, .. }, .. }))
    }

    fn scalar(&mut self, at: At, text: String, style: ScalarStyle) -> Result<(), Problem> {
        if let Some(Open { kind: OpenKind::Map { seen, key, .. }, .. }) = self.open.last_mut()
            && key.is_none()
        {
            let first = *seen.entry(text.clone()).or_insert(at);
            *key = Some((text, at, first == at));
            if first != at {
                self.duplicate(at, first);
            }
            return Ok(());
        }
        let value = match style {
            ScalarStyle::Plain => match text.as_str() {
                "" | "~" | "null" | "Null" | "NULL" => Value::Null,
                _ => Value::Plain(text),
            },
            _ => Value::Quoted(text),
        };
        self.place(Node { at, value })
    }

    /// Reports the key that was just read.
    fn duplicate(&mut self, at: At, first: At) {
        let what = format!("is given twice, first in line {}; keep one", first.line);
        let path = self.path();
        self.problems.push(Problem::new(Some(at), &path, what));
    }

    /// The keys that lead to the innermost open map.
    fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.open {
            match &open.kind {
                OpenKind::List(nodes) => path.push_str(&format!("[{}]", nodes.len())),
                OpenKind::Map { key: None, .. } => {}
                OpenKind::Map { key: Some((key, ..)), .. } => {
                    let dot = if path.is_empty() { "" } else { "." };
                    path.push_str(&format!("{dot}{key}"));
                }
            }
        }
        path
    }

    fn close(&mut self) -> Result<(), Problem> {
        let Some(Open { at, kind }) = self.open.pop() else {
            return Err(Problem::new(None, "", "is not valid YAML"));
        };
        let value = match kind {
            OpenKind::List(nodes) => Value::List(nodes),
            OpenKind::Map { entries, .. } => Value::Map(entries),
        };
        self.place(Node { at, value })
    }

    fn place(&mut self, node: Node) -> Result<(), Problem> {
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.root = Some(node),
            Some(OpenKind::List(nodes)) => nodes.push(node),
            Some(OpenKind::Map { entries, key, .. }) => {
                let Some((key, at, keep)) = key.take() else {
                    return Err(Problem::new(Some(node.at), "", "a key must be plain text"));
                };
                if keep {
                    entries.push(Entry { key, at, node });
                }
            }
        }
        Ok(())
    }
}

fn place(span: Span) -> At {
    At { line: span.start.line(), column: span.start.col() + 1 }
}

fn syntax(text: &str, error: &saphyr_parser::ScanError) -> Problem {
    let marker = error.marker();
    let at = At { line: marker.line(), column: marker.col() + 1 };
    // The parser may notice a tab only some lines later: name the first one up to there.
    let tab =
        text.lines().take(at.line).position(|line| line.trim_start_matches(' ').starts_with('\t'));
    match tab {
        Some(line) => {
            let indent = text.lines().nth(line).unwrap_or_default();
            let column = indent.len() - indent.trim_start_matches(' ').len() + 1;
            let at = At { line: line + 1, column };
            let what = "is indented with a tab; YAML takes spaces only";
            Problem::new(Some(at), "", what)
        }
        None => Problem::new(Some(at), "", format!("is not valid YAML: {}", error.info())),
    }
}
