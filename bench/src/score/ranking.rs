//! How high the true root cause stands in a ranking.

use std::collections::{BTreeMap, BTreeSet};

use super::data::{Case, Set};
use super::predictions::RankedLine;

/// The outcome of one case: 0 or 1, or the chance of it where a rule leaves ties open.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Hit {
    /// A true root cause stands first.
    pub top1: f64,
    /// A true root cause is among the first three.
    pub top3: f64,
    /// One over the place of the first true root cause, 0 when it is not named.
    pub reciprocal: f64,
}

/// Means over cases.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Figures {
    /// How many cases.
    pub cases: usize,
    /// Share with a true root cause in the first place.
    pub top1: f64,
    /// Share with a true root cause in the first three places.
    pub top3: f64,
    /// Mean reciprocal rank.
    pub mrr: f64,
}

/// The figures of one set.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Report {
    /// Over all its cases.
    pub all: Figures,
    /// Over the cases of each fault kind.
    pub by_kind: BTreeMap<String, Figures>,
    /// Cases without a line, or with nothing ranked. They count as wrong.
    pub without_prediction: usize,
}

impl Hit {
    /// With the first true root cause in this place, counted from 1.
    #[must_use]
    pub fn at(place: usize) -> Self {
        Self {
            top1: f64::from(u8::from(place == 1)),
            top3: f64::from(u8::from(place <= 3)),
            reciprocal: 1.0 / place as f64,
        }
    }

    fn of(ranked: &[String], roots: &BTreeSet<String>) -> Self {
        let place = ranked.iter().position(|entity| roots.contains(entity));
        place.map_or(Self::default(), |index| Self::at(index + 1))
    }
}

/// Scores predictions for a set. Of two lines about one case the last counts.
#[must_use]
pub fn score(set: &Set, lines: &[RankedLine]) -> Report {
    let ranked: BTreeMap<&str, &[String]> =
        lines.iter().map(|line| (line.case.as_str(), line.ranked.as_slice())).collect();
    let of = |case: &Case| ranked.get(case.name.as_str()).copied().unwrap_or_default();
    let hits = set.cases.iter().map(|case| (case, Hit::of(of(case), &case.truth.root_causes)));
    let mut report = summarise(hits);
    report.without_prediction = set.cases.iter().filter(|case| of(case).is_empty()).count();
    report
}

/// Means over cases, together and by fault kind.
pub(super) fn summarise<'a>(hits: impl Iterator<Item = (&'a Case, Hit)>) -> Report {
    let mut report = Report::default();
    for (case, hit) in hits {
        let of_kind = report.by_kind.entry(case.truth.fault_kind.clone()).or_default();
        for sum in [&mut report.all, of_kind] {
            sum.cases += 1;
            sum.top1 += hit.top1;
            sum.top3 += hit.top3;
            sum.mrr += hit.reciprocal;
        }
    }
    for sum in report.by_kind.values_mut().chain([&mut report.all]) {
        let cases = sum.cases.max(1) as f64;
        sum.top1 /= cases;
        sum.top3 /= cases;
        sum.mrr /= cases;
    }
    report
}
