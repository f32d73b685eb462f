//! How far two partitions of the same things agree.

use std::collections::{BTreeMap, BTreeSet};

/// Measures of agreement, each at most 1, which means the same partition.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Agreement {
    /// Of the pairs put together, the share that belongs together.
    pub(super) precision: f64,
    /// Of the pairs that belong together, the share put together.
    pub(super) recall: f64,
    /// Harmonic mean of the two.
    pub(super) f1: f64,
    /// B-cubed F1: precision and recall of each thing's own group, averaged over things, so that
    /// the largest group does not dominate.
    pub(super) b3: f64,
    /// Adjusted Rand index: agreement on pairs beyond chance.
    pub(super) ari: f64,
    /// Normalised mutual information, arithmetic mean below.
    pub(super) nmi: f64,
}

/// Compares two partitions; `truth[i]` and `guess[i]` are the groups of thing `i`.
///
/// `None` for fewer than two things: there is no pair to judge.
pub(super) fn agreement(truth: &[usize], guess: &[usize]) -> Option<Agreement> {
    if truth.len() < 2 {
        return None;
    }
    let n = truth.len() as f64;
    let cells = sizes(truth.iter().copied().zip(guess.iter().copied()));
    let rows = sizes(truth.iter().copied());
    let columns = sizes(guess.iter().copied());

    let together = pairs(cells.values());
    let (in_truth, in_guess) = (pairs(rows.values()), pairs(columns.values()));
    let precision = if in_guess > 0.0 { together / in_guess } else { 1.0 };
    let recall = if in_truth > 0.0 { together / in_truth } else { 1.0 };

    let expected = in_truth * in_guess / choose2(n);
    let most = (in_truth + in_guess) / 2.0;
    let ari = if most == expected { 1.0 } else { (together - expected) / (most - expected) };

    let mut information = 0.0;
    let (mut b3_precision, mut b3_recall) = (0.0, 0.0);
    for ((row, column), size) in &cells {
        let (row, column) = (rows[row], columns[column]);
        information += size / n * (size * n / (row * column)).ln();
        b3_precision += size * size / column / n;
        b3_recall += size * size / row / n;
    }
    let entropies = entropy(rows.values(), n) + entropy(columns.values(), n);
    let nmi = if entropies == 0.0 { 1.0 } else { 2.0 * information / entropies };

    let f1 = harmonic(precision, recall);
    Some(Agreement { precision, recall, f1, b3: harmonic(b3_precision, b3_recall), ari, nmi })
}

/// How many different values there are.
pub(super) fn distinct(values: impl Iterator<Item = usize>) -> usize {
    values.collect::<BTreeSet<_>>().len()
}

fn sizes<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, f64> {
    let mut sizes = BTreeMap::new();
    for key in keys {
        *sizes.entry(key).or_insert(0.0) += 1.0;
    }
    sizes
}

fn choose2(n: f64) -> f64 {
    n * (n - 1.0) / 2.0
}

fn pairs<'a>(sizes: impl Iterator<Item = &'a f64>) -> f64 {
    sizes.map(|size| choose2(*size)).sum()
}

fn entropy<'a>(sizes: impl Iterator<Item = &'a f64>, n: f64) -> f64 {
    -sizes.map(|size| size / n * (size / n).ln()).sum::<f64>()
}

fn harmonic(a: f64, b: f64) -> f64 {
    if a + b > 0.0 { 2.0 * a * b / (a + b) } else { 0.0 }
}
