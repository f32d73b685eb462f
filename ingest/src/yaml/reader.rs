//! Reads typed values out of a tree and collects everything that is wrong with them.
//!
//! Values are filled in place, so that what is not given keeps its default. Keys that nobody asked
//! for are errors, with the nearest known key as a suggestion.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::section::Section;
use super::{At, Entry, Node, Problem, Value};

/// Most problems that are collected: a large file that is wrong all over is wrong all over.
pub const PROBLEMS_MAX: usize = 1000;

/// Collects problems and places while a tree is read.
#[derive(Debug, Default)]
pub struct Reader {
    problems: RefCell<Vec<Problem>>,
    given: RefCell<BTreeMap<String, (At, String)>>,
    known: RefCell<BTreeSet<String>>,
}

impl Reader {
    /// The tree of a YAML text, if it has one; what is wrong with it is collected.
    pub fn parse(&self, text: &str) -> Option<Node> {
        let mut problems = Vec::new();
        let node = super::parse(text, &mut problems);
        for problem in problems {
            self.problem(problem.at, &problem.path, problem.what);
        }
        node
    }

    /// Reads the keys of a section; those that `read` does not ask for are errors. Nothing at all
    /// is an empty section.
    pub fn section(&self, node: &Node, path: &str, read: impl FnOnce(&mut Section<'_, '_>)) {
        let entries: &[Entry] = match &node.value {
            Value::Null => &[],
            Value::Map(entries) => entries,
            _ => {
                let what =
                    format!("is {}, must be a section of keys and values", shown(path, node));
                return self.problem(Some(node.at), path, what);
            }
        };
        let mut section = Section::new(self, path, node.at, entries);
        read(&mut section);
        section.finish();
    }

    /// Notes that a key was asked for.
    pub(super) fn asked(&self, path: &str) {
        self.known.borrow_mut().insert(without_index(path));
    }

    /// Notes that a key was given.
    pub(super) fn found(&self, path: String, node: &Node) {
        let shown = (node.at, shown(&path, node));
        self.given.borrow_mut().insert(path, shown);
    }

    /// Notes a problem.
    pub fn problem(&self, at: Option<At>, path: &str, what: impl Into<String>) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() < PROBLEMS_MAX {
            problems.push(Problem::new(at, path, what));
        }
    }

    /// Where a key was given and what its value was, if it was.
    #[must_use]
    pub fn given(&self, path: &str) -> Option<(At, String)> {
        self.given.borrow().get(path).cloned()
    }

    /// Whether there is a problem at `path` or below it.
    #[must_use]
    pub fn has_problem(&self, path: &str) -> bool {
        let problems = self.problems.borrow();
        problems.iter().any(|p| p.path.starts_with(path))
    }

    /// How many problems have been noted.
    #[must_use]
    pub fn problem_count(&self) -> usize {
        self.problems.borrow().len()
    }

    /// Every key that was asked for, with list positions left out: `outputs[].url`.
    #[must_use]
    pub fn known(&self) -> BTreeSet<String> {
        self.known.borrow().clone()
    }

    /// The paths of all keys that were given and asked for.
    #[must_use]
    pub fn given_paths(&self) -> Vec<String> {
        self.given.borrow().keys().cloned().collect()
    }

    /// Everything that is wrong, in the order of the file.
    #[must_use]
    pub fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|p| (p.at.is_none(), p.at, p.path.clone()));
        problems.dedup();
        problems
    }
}

/// What was given, for messages. Below `http_config` nearly everything may be a secret, put at the
/// wrong place by mistake: no scalar of it is shown.
pub(super) fn shown(path: &str, node: &Node) -> String {
    match &node.value {
        Value::Plain(text) | Value::Quoted(text)
            if !text.is_empty() && path.contains("http_config") =>
        {
            "<secret>".to_owned()
        }
        _ => node.shown(),
    }
}

/// A path with list positions left out: `outputs[].url`.
pub(crate) fn without_index(path: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            _ if inside => continue,
            _ => {}
        }
        out.push(c);
    }
    out
}
