//! The figures of one policy over all data, and what they come to.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use super::data::Data;
use super::predictions::Predictions;
use super::{grouping, ranking};

/// The figures of each set and storm, by name.
#[derive(Clone, Debug, Default)]
pub struct Evaluation {
    /// Single-fault sets.
    pub sets: BTreeMap<String, ranking::Figures>,
    /// Storms.
    pub storms: BTreeMap<String, grouping::Figures>,
}

/// The figures by which policies are compared: means over sets and over storms, each counting the
/// same. NaN where there is no data.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Headline {
    /// Share of cases with a true root cause in the first place.
    pub top1: f64,
    /// Share with one among the first three.
    pub top3: f64,
    /// F1 over pairs of alerts.
    pub f1: f64,
    /// B-cubed F1.
    pub b3: f64,
    /// Adjusted Rand index.
    pub ari: f64,
    /// Share of noise drawn into an incident.
    pub noise_in: f64,
    /// Share of true incidents whose root cause is named.
    pub root_at_1: f64,
    /// Pieces for each true incident.
    pub frag: f64,
    /// Share of incidents that mix faults.
    pub mixed: f64,
}

impl Headline {
    /// What the figures are called in tables, in order.
    pub const NAMES: [&str; 9] =
        ["top-1", "top-3", "F1", "B³", "ARI", "noise", "root@1", "frag", "mixed"];

    /// The figures in that order.
    #[must_use]
    pub fn to_array(self) -> [f64; 9] {
        let Self { top1, top3, f1, b3, ari, noise_in, root_at_1, frag, mixed } = self;
        [top1, top3, f1, b3, ari, noise_in, root_at_1, frag, mixed]
    }

    /// The same for tables; a dash where there is no data.
    #[must_use]
    pub fn shown(self) -> [String; 9] {
        let cell = |figure: f64| match figure.is_nan() {
            true => "–".to_owned(),
            false => format!("{figure:.3}"),
        };
        self.to_array().map(cell)
    }
}

impl Evaluation {
    /// The figures of predictions; sets and storms without predictions count as wrong.
    ///
    /// # Errors
    /// When a prediction is malformed.
    pub fn of(data: &Data, given: &Predictions) -> Result<Self> {
        let ranked = |name: &str| given.ranked.get(name).map(Vec::as_slice).unwrap_or_default();
        let members = |name: &str| given.members.get(name).map(Vec::as_slice).unwrap_or_default();
        let sets = data.sets.iter().map(|set| {
            let figures = ranking::score(set, ranked(&set.name)).all;
            (set.name.clone(), figures)
        });
        let storms = data.storms.iter().map(|storm| {
            let figures = grouping::score(storm, members(&storm.name))?;
            Ok((storm.name.clone(), figures))
        });
        Ok(Self { sets: sets.collect(), storms: storms.collect::<Result<_>>()? })
    }

    /// The means over all sets and storms.
    #[must_use]
    pub fn headline(&self) -> Headline {
        self.headline_of(|_| true)
    }

    /// The means over those whose name is `wanted`.
    pub fn headline_of(&self, wanted: impl Fn(&str) -> bool) -> Headline {
        let sets: Vec<_> = self.sets.iter().filter(|(name, _)| wanted(name)).collect();
        let mean = |of: fn(&ranking::Figures) -> f64| {
            sets.iter().map(|(_, figures)| of(figures)).sum::<f64>() / sets.len() as f64
        };
        let storms = self.storms.iter().filter(|(name, _)| wanted(name));
        let storms: Vec<_> = storms.map(|(_, figures)| *figures).collect();
        let none = storms.is_empty();
        let storm = grouping::Figures::mean(&storms);
        let of = |figure: f64| if none { f64::NAN } else { figure };
        Headline {
            top1: mean(|set| set.top1),
            top3: mean(|set| set.top3),
            f1: of(storm.f1),
            b3: of(storm.b3),
            ari: of(storm.ari),
            noise_in: of(storm.noise_in),
            root_at_1: of(storm.root_at_1),
            frag: of(storm.frag),
            mixed: of(storm.mixed),
        }
    }
}
