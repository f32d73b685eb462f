//! Prediction lines of a storm, gathered into groups of alert instances.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::data::{Storm, instant_ms};
use super::predictions::MemberLine;

/// The predicted groups of a storm's instances.
pub(super) struct Groups<'a> {
    /// For each row of the truth, its group in `all`.
    pub(super) of_row: Vec<usize>,
    pub(super) all: Vec<PredictedGroup<'a>>,
    pub(super) missing: usize,
}

pub(super) struct PredictedGroup<'a> {
    pub(super) id: GroupId<'a>,
    pub(super) rows: Vec<usize>,
    /// What its lines name as root, in the order of the rows.
    pub(super) roots: Vec<&'a str>,
    /// How sure its first line with a confidence is.
    pub(super) confidence: Option<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum GroupId<'a> {
    Incident(&'a str),
    /// The row of an instance that is in no incident.
    Alone(usize),
}

impl<'a> Groups<'a> {
    /// Of two lines about one instance the last counts.
    pub(super) fn new(storm: &Storm, lines: &'a [MemberLine]) -> Result<Self> {
        let mut line_of = BTreeMap::new();
        for (index, line) in lines.iter().enumerate() {
            let at_ms = instant_ms(&line.starts_at);
            let at_ms =
                at_ms.with_context(|| format!("prediction {} for {}", index + 1, storm.name))?;
            line_of.insert((line.fingerprint.as_str(), at_ms), line);
        }
        let mut groups = Self { of_row: Vec::new(), all: Vec::new(), missing: 0 };
        let mut index_of = BTreeMap::new();
        for (row, one) in storm.truth.iter().enumerate() {
            let line = line_of.get(&(one.fingerprint.as_str(), one.at_ms)).copied();
            groups.missing += usize::from(line.is_none());
            let incident = line.and_then(|line| line.incident.as_deref());
            let id = incident.map_or(GroupId::Alone(row), GroupId::Incident);
            let index = *index_of.entry(id).or_insert(groups.all.len());
            if index == groups.all.len() {
                let (rows, roots) = (Vec::new(), Vec::new());
                groups.all.push(PredictedGroup { id, rows, roots, confidence: None });
            }
            groups.of_row.push(index);
            groups.all[index].rows.push(row);
            let root = line.and_then(|line| line.root.as_deref());
            let group = &mut groups.all[index];
            group.roots.extend(root.filter(|root| !root.is_empty()));
            group.confidence = group.confidence.or(line.and_then(|line| line.confidence));
        }
        Ok(groups)
    }
}

/// The most frequent name; of equals, the one that comes first.
pub(super) fn most_named<'a>(names: &[&'a str]) -> Option<&'a str> {
    let mut count: BTreeMap<&str, (usize, Reverse<usize>)> = BTreeMap::new();
    for (index, name) in names.iter().enumerate() {
        count.entry(name).or_insert((0, Reverse(index))).0 += 1;
    }
    count.into_iter().max_by_key(|(_, order)| *order).map(|(name, _)| name)
}

impl GroupId<'_> {
    /// The id as a Python tuple prints: `('g', 'i3')` or `('single', 4)`.
    pub(super) fn reference_text(self) -> String {
        match self {
            Self::Alone(row) => format!("('single', {row})"),
            Self::Incident(id) => {
                let quote = if id.contains('\'') && !id.contains('"') { '"' } else { '\'' };
                let mut text = format!("('g', {quote}");
                for char in id.chars() {
                    match char {
                        '\n' => text.push_str("\\n"),
                        '\r' => text.push_str("\\r"),
                        '\t' => text.push_str("\\t"),
                        '\\' => text.push_str("\\\\"),
                        c if c == quote => text.extend(['\\', c]),
                        c if c.is_ascii_control() => text += &format!("\\x{:02x}", c as u32),
                        c => text.push(c),
                    }
                }
                text.extend([quote, ')']);
                text
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_print_like_python_tuples() {
        let text = |id| GroupId::Incident(id).reference_text();
        assert_eq!(text("i3"), "('g', 'i3')");
        assert_eq!(text("it's"), "('g', \"it's\")");
        assert_eq!(text("'\""), "('g', '\\'\"')");
        assert_eq!(text("a\\b\n\u{1}"), "('g', 'a\\\\b\\n\\x01')");
        assert_eq!(GroupId::Alone(4).reference_text(), "('single', 4)");
    }

    #[test]
    fn the_first_of_equally_frequent_names_wins() {
        assert_eq!(most_named(&["b", "a", "a", "b", "c"]), Some("b"));
        assert_eq!(most_named(&["b", "a", "a"]), Some("a"));
        assert_eq!(most_named(&[]), None);
    }
}
