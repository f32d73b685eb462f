//! How well alerts of a storm were put into incidents, and how well those name their root cause.
//!
//! Alert instances whose origin is uncertain are not scored. True noise belongs with nothing: each
//! such instance is a group of its own in the truth, and a pair with it is a wrong pair.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::agreement::{agreement, distinct};
use super::data::{Origin, Storm};
use super::groups::{Groups, PredictedGroup, most_named};
use super::predictions::MemberLine;

/// How many figures there are.
pub const COUNT: usize = 13;

/// What the figures are called, in their order.
pub const NAMES: [&str; COUNT] = [
    "P", "R", "F1", "B3", "ARI", "NMI", "incARI", "frag", "mixed", "noise-in", "root@1", "groups",
    "missing",
];

/// The figures of one storm, or their means over several.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Figures {
    /// Of the pairs put together, the share that belongs together. NaN, like the next five, when
    /// fewer than two instances are scored.
    pub precision: f64,
    /// Of the pairs that belong together, the share put together.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
    /// B-cubed F1, not dominated by the largest incident.
    pub b3: f64,
    /// Adjusted Rand index.
    pub ari: f64,
    /// Normalised mutual information.
    pub nmi: f64,
    /// Adjusted Rand index without the noise: was the split between incidents right?
    pub incident_ari: f64,
    /// Predicted groups for each true incident of two or more alerts; 1 is best.
    pub frag: f64,
    /// Share of predicted groups of two or more alerts that hold alerts of several incidents.
    pub mixed: f64,
    /// Share of noise that was put together with an incident's alert.
    pub noise_in: f64,
    /// Share of true incidents whose best-matching group names a true root cause.
    pub root_at_1: f64,
    /// Predicted groups of two or more alerts.
    pub groups: f64,
    /// Instances without a line.
    pub missing: f64,
}

impl Figures {
    /// The figures in the order of [`NAMES`].
    #[must_use]
    pub fn to_array(self) -> [f64; COUNT] {
        let Self { precision, recall, f1, b3, ari, nmi, incident_ari, .. } = self;
        let Self { frag, mixed, noise_in, root_at_1, groups, missing, .. } = self;
        [
            precision,
            recall,
            f1,
            b3,
            ari,
            nmi,
            incident_ari,
            frag,
            mixed,
            noise_in,
            root_at_1,
            groups,
            missing,
        ]
    }

    fn from_array(figures: [f64; COUNT]) -> Self {
        let [precision, recall, f1, b3, ari, nmi, incident_ari, rest @ ..] = figures;
        let [frag, mixed, noise_in, root_at_1, groups, missing] = rest;
        Self {
            precision,
            recall,
            f1,
            b3,
            ari,
            nmi,
            incident_ari,
            frag,
            mixed,
            noise_in,
            root_at_1,
            groups,
            missing,
        }
    }

    /// The mean of each figure.
    #[must_use]
    pub fn mean(many: &[Self]) -> Self {
        let mut mean = [0.0; COUNT];
        for one in many {
            for (sum, figure) in mean.iter_mut().zip(one.to_array()) {
                *sum += figure / many.len() as f64;
            }
        }
        Self::from_array(mean)
    }
}

/// Scores predictions for a storm. Of two lines about one instance the last counts.
///
/// # Errors
/// When a line's `startsAt` is no time.
pub fn score(storm: &Storm, lines: &[MemberLine]) -> Result<Figures> {
    let groups = Groups::new(storm, lines)?;
    let (mut truth, mut guess) = (Vec::new(), Vec::new());
    let (mut incident, mut incident_guess) = (Vec::new(), Vec::new());
    for (row, (one, group)) in storm.truth.iter().zip(&groups.of_row).enumerate() {
        match one.origin {
            Origin::Uncertain => continue,
            Origin::Noise => truth.push(storm.incidents.len() + row),
            Origin::Incident(index) => {
                truth.push(index);
                incident.push(index);
                incident_guess.push(*group);
            }
        }
        guess.push(*group);
    }
    let all = agreement(&truth, &guess);
    let get = |field: fn(_) -> f64| all.map_or(f64::NAN, field);
    let shapes: Vec<Shape> = groups.all.iter().map(|group| Shape::of(storm, group)).collect();
    let several = shapes.iter().filter(|shape| shape.scored >= 2);
    let mixed = several.clone().filter(|shape| shape.incidents.len() >= 2).count();
    let drawn_in = shapes.iter().filter(|shape| !shape.incidents.is_empty());
    let noise: usize = shapes.iter().map(|shape| shape.noise).sum();
    Ok(Figures {
        precision: get(|a| a.precision),
        recall: get(|a| a.recall),
        f1: get(|a| a.f1),
        b3: get(|a| a.b3),
        ari: get(|a| a.ari),
        nmi: get(|a| a.nmi),
        incident_ari: agreement(&incident, &incident_guess).map_or(f64::NAN, |a| a.ari),
        frag: fragmentation(&incident, &incident_guess),
        mixed: share(mixed, several.clone().count()),
        noise_in: share(drawn_in.map(|shape| shape.noise).sum(), noise),
        root_at_1: share(right_roots(storm, &groups, &shapes), storm.incidents.len()),
        groups: several.count() as f64,
        missing: groups.missing as f64,
    })
}

/// What a predicted group is made of.
#[derive(Default)]
struct Shape {
    scored: usize,
    noise: usize,
    /// Alerts of each true incident.
    incidents: BTreeMap<usize, usize>,
}

impl Shape {
    fn of(storm: &Storm, group: &PredictedGroup<'_>) -> Self {
        let mut shape = Self::default();
        for row in &group.rows {
            match storm.truth[*row].origin {
                Origin::Uncertain => continue,
                Origin::Noise => shape.noise += 1,
                Origin::Incident(index) => *shape.incidents.entry(index).or_insert(0) += 1,
            }
            shape.scored += 1;
        }
        shape
    }
}

/// Mean number of groups that an incident of two or more alerts fell into.
fn fragmentation(incident: &[usize], guess: &[usize]) -> f64 {
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (incident, group) in incident.iter().zip(guess) {
        groups.entry(*incident).or_default().push(*group);
    }
    groups.retain(|_, of| of.len() >= 2);
    share(groups.values().map(|of| distinct(of.iter().copied())).sum(), groups.len())
}

/// How many true incidents have a best-matching group that names one of their root causes.
///
/// Matches are given out from the largest overlap down; a group counts for one incident only.
/// Equal overlaps go by the incident's label, then by the group's id as the reference scorer
/// writes it, so that both pick the same.
fn right_roots(storm: &Storm, groups: &Groups<'_>, shapes: &[Shape]) -> usize {
    let mut matches = Vec::new();
    for (group, shape) in shapes.iter().enumerate() {
        for (incident, overlap) in &shape.incidents {
            let label = storm.incidents[*incident].id.as_str();
            let order = (Reverse(*overlap), label, groups.all[group].id.reference_text());
            matches.push((order, *incident, group));
        }
    }
    matches.sort();
    let (mut matched, mut taken) = (BTreeSet::new(), BTreeSet::new());
    let mut right = 0;
    for (_, incident, group) in matches {
        if matched.contains(&incident) || taken.contains(&group) {
            continue;
        }
        matched.insert(incident);
        taken.insert(group);
        let named = most_named(&groups.all[group].roots);
        let is_right =
            named.is_some_and(|root| storm.incidents[incident].root_causes.contains(root));
        right += usize::from(is_right);
    }
    right
}

/// A predicted incident that names a candidate.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Named {
    /// Its alerts whose origin is known.
    pub alerts: usize,
    /// How sure it is of its candidate, if it says so.
    pub confidence: Option<f64>,
    /// Whether the candidate is a root cause of the fault with most of these alerts, of equals the
    /// first by index; `None` when they are all noise.
    pub right: Option<bool>,
}

/// The predicted incidents of a storm that name a candidate and hold an alert of known origin.
///
/// # Errors
/// When a line's `startsAt` is no time.
pub fn named(storm: &Storm, lines: &[MemberLine]) -> Result<Vec<Named>> {
    let groups = Groups::new(storm, lines)?;
    let named = groups.all.iter().filter_map(|group| {
        let root = most_named(&group.roots)?;
        let shape = Shape::of(storm, group);
        let most = shape.incidents.iter().max_by_key(|(index, size)| (**size, Reverse(**index)));
        let right = most.map(|(index, _)| storm.incidents[*index].root_causes.contains(root));
        Some(Named { alerts: shape.scored, confidence: group.confidence, right })
    });
    Ok(named.filter(|named| named.alerts > 0).collect())
}

/// A part of a whole; 0 when there is no whole.
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}
