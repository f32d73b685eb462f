//! Nine simple rules that name a root cause, as a yardstick.
//!
//! A rule gives each alerting entity a key; the largest key comes first. Equal keys are a tie, and
//! the figures are exact expectations over every order of the tied entities.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::alerting::{Alerting, Depth, Seen};
use super::data::{Case, Set};
use super::ranking::{Hit, Report, summarise};

/// A simple ranking rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// Any alerting entity.
    Random,
    /// The most distinct alerts.
    MostAlerts,
    /// The most firing events, re-sends among them.
    MostEvents,
    /// The first to fire.
    Earliest,
    /// The value furthest beyond its threshold.
    LargestBreach,
    /// No alerting callee, then the longest chain of callers above.
    Deepest,
    /// No alerting callee, then the most distinct alerts.
    LeafMostAlerts,
    /// No alerting callee, then the largest breach.
    LeafBreach,
    /// Personalised PageRank from callers to callees among the alerting entities.
    PageRank,
}

impl Rule {
    /// Every rule, in the order of the tables.
    pub const ALL: [Self; 9] = [
        Self::Random,
        Self::MostAlerts,
        Self::MostEvents,
        Self::Earliest,
        Self::LargestBreach,
        Self::Deepest,
        Self::LeafMostAlerts,
        Self::LeafBreach,
        Self::PageRank,
    ];

    /// What the rule is called in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random alerting entity",
            Self::MostAlerts => "most alerts",
            Self::MostEvents => "most events",
            Self::Earliest => "earliest alert",
            Self::LargestBreach => "largest breach",
            Self::Deepest => "deepest alerting entity",
            Self::LeafMostAlerts => "no alerting callee, most alerts",
            Self::LeafBreach => "no alerting callee, largest breach",
            Self::PageRank => "personalised PageRank",
        }
    }

    /// The figures of this rule for a set.
    ///
    /// # Errors
    /// When a case's alerts or topology are malformed.
    pub fn score(self, set: &Set) -> Result<Report> {
        let hits = set.cases.iter().map(|case| Ok((case, self.expect(case)?)));
        Ok(summarise(hits.collect::<Result<Vec<_>>>()?.into_iter()))
    }

    /// The expected outcome of this rule for a case.
    ///
    /// # Errors
    /// When the case's alerts or topology are malformed.
    pub fn expect(self, case: &Case) -> Result<Hit> {
        let alerting = Alerting::read(case);
        let alerting =
            alerting.with_context(|| format!("case {} of set {}", case.name, case.set))?;
        let is_root = |entity: &str| case.truth.root_causes.contains(entity);
        Ok(expectation(&ties(self.keys(&alerting), is_root)))
    }

    fn keys(self, alerting: &Alerting) -> Keys<'_> {
        let leaf = |entity: &str| f64::from(u8::from(!alerting.has_alerting_callee(entity)));
        let mut page_rank = BTreeMap::new();
        let mut depth = Depth::new(&alerting.graph);
        if self == Self::PageRank {
            page_rank = alerting.page_rank();
        }
        let mut key = |entity: &str, seen: &Seen| match self {
            Self::Random => [0.0, 0.0],
            Self::MostAlerts => [seen.fingerprints.len() as f64, 0.0],
            Self::MostEvents => [seen.events as f64, 0.0],
            Self::Earliest => [-(seen.first_ms as f64), 0.0],
            Self::LargestBreach => [rounded(seen.breach, 6), 0.0],
            Self::Deepest => [leaf(entity), depth.of(entity, &mut Vec::new()) as f64],
            Self::LeafMostAlerts => [leaf(entity), seen.fingerprints.len() as f64],
            Self::LeafBreach => [leaf(entity), rounded(seen.breach, 6)],
            Self::PageRank => [rounded(page_rank[entity], 9), 0.0],
        };
        alerting.seen.iter().map(|(entity, seen)| (entity.as_str(), key(entity, seen))).collect()
    }
}

/// Entities with their keys, the second counting where the first is equal.
type Keys<'a> = Vec<(&'a str, [f64; 2])>;

/// Rounded to decimal digits, so that sums differing in the last bit stay tied.
fn rounded(value: f64, digits: usize) -> f64 {
    format!("{value:.digits$}").parse().unwrap_or(value)
}

/// Classes of tied entities from the largest key down: (entities, true root causes among them).
fn ties(mut keys: Keys<'_>, is_root: impl Fn(&str) -> bool) -> Vec<(usize, usize)> {
    let order = |a: &[f64; 2], b: &[f64; 2]| b[0].total_cmp(&a[0]).then(b[1].total_cmp(&a[1]));
    keys.sort_by(|a, b| order(&a.1, &b.1));
    let classes = keys.chunk_by(|a, b| order(&a.1, &b.1) == Ordering::Equal);
    classes
        .map(|class| (class.len(), class.iter().filter(|(entity, _)| is_root(entity)).count()))
        .collect()
}

/// The expected outcome when every order within a class is as likely as any other.
///
/// The first class with a root cause decides. With `size` entities in it, `roots` of them true,
/// the chance that the first true one stands at its place k is the chance to miss k - 1 times
/// and then to hit, drawing without replacement.
fn expectation(classes: &[(usize, usize)]) -> Hit {
    let mut expected = Hit::default();
    let Some(decides) = classes.iter().position(|(_, roots)| *roots > 0) else {
        return expected;
    };
    let before: usize = classes[..decides].iter().map(|(size, _)| size).sum();
    let (size, roots) = classes[decides];
    let mut missed = 1.0;
    for drawn in 0..=size - roots {
        let left = (size - drawn) as f64;
        let chance = missed * roots as f64 / left;
        missed *= (left - roots as f64) / left;
        let hit = Hit::at(before + drawn + 1);
        expected.top1 += chance * hit.top1;
        expected.top3 += chance * hit.top3;
        expected.reciprocal += chance * hit.reciprocal;
    }
    expected
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(hit: Hit, top1: f64, top3: f64, reciprocal: f64) {
        for (found, expected) in [(hit.top1, top1), (hit.top3, top3), (hit.reciprocal, reciprocal)]
        {
            assert!((found - expected).abs() < 1e-12, "{hit:?}");
        }
    }

    #[test]
    fn ties_are_averaged_exactly() {
        close(expectation(&[]), 0.0, 0.0, 0.0);
        close(expectation(&[(3, 0)]), 0.0, 0.0, 0.0);
        close(expectation(&[(1, 0), (1, 1)]), 0.0, 1.0, 0.5);
        close(expectation(&[(4, 1)]), 0.25, 0.75, (1.0 + 1.0 / 2.0 + 1.0 / 3.0 + 0.25) / 4.0);
        // Two of three are true: the first true one is second only behind the one false.
        close(expectation(&[(3, 2), (1, 1)]), 2.0 / 3.0, 1.0, 2.0 / 3.0 + 1.0 / 6.0);
        close(expectation(&[(2, 0), (2, 1)]), 0.0, 0.5, (1.0 / 3.0 + 1.0 / 4.0) / 2.0);
    }
}
