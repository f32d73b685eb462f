//! What is to be made large: one number from the figures of a policy.

use std::fmt;

use anyhow::{Context, Result, bail, ensure};

use crate::score::evaluation::Headline;

/// Names of the parts, in order.
const PARTS: [&str; 8] = ["top1", "top3", "f1", "b3", "quiet", "root1", "whole", "pure"];

/// A weighted mean of figures that are each best at 1: `quiet` is 1 less the noise drawn in, `whole`
/// one over the pieces for each incident, `pure` 1 less the share of incidents that mix faults.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Objective {
    weights: [f64; 8],
}

impl Default for Objective {
    /// Naming the cause counts twice; the rest of what is required once.
    fn default() -> Self {
        Self { weights: [2.0, 1.0, 1.0, 1.0, 1.0, 2.0, 1.0, 0.0] }
    }
}

impl Objective {
    /// Reads `top1=2,f1=1`; parts that are not named do not count.
    ///
    /// # Errors
    /// When a part is unknown, or no weight is positive.
    pub fn parse(text: &str) -> Result<Self> {
        let mut weights = [0.0; 8];
        for part in text.split(',') {
            let (name, weight) =
                part.split_once('=').with_context(|| format!("{part:?}: write part=weight"))?;
            let Some(at) = PARTS.iter().position(|known| *known == name.trim()) else {
                bail!("{name:?} is none of {}", PARTS.join(", "));
            };
            let weight: f64 = weight.trim().parse().with_context(|| format!("{part:?}"))?;
            ensure!(weight.is_finite() && weight >= 0.0, "{part:?}: a weight is 0 or more");
            weights[at] = weight;
        }
        ensure!(weights.iter().sum::<f64>() > 0.0, "{text:?}: no weight is more than 0");
        Ok(Self { weights })
    }

    /// The value, 0 to 1. Figures without data do not count; NaN when nothing does.
    #[must_use]
    pub fn of(&self, figures: &Headline) -> f64 {
        let parts = [
            figures.top1,
            figures.top3,
            figures.f1,
            figures.b3,
            1.0 - figures.noise_in,
            figures.root_at_1,
            1.0 / figures.frag,
            1.0 - figures.mixed,
        ];
        let known = || parts.iter().zip(self.weights).filter(|(part, _)| part.is_finite());
        let weight: f64 = known().map(|(_, weight)| weight).sum();
        known().map(|(part, weight)| part * weight).sum::<f64>() / weight
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = PARTS.iter().zip(self.weights).filter(|(_, weight)| *weight > 0.0);
        let parts: Vec<String> = named.map(|(name, weight)| format!("{name}={weight}")).collect();
        f.write_str(&parts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Headline = Headline {
        top1: 0.5,
        top3: 0.5,
        f1: 0.5,
        b3: 0.5,
        ari: 0.1,
        noise_in: 0.5,
        root_at_1: 0.5,
        frag: 2.0,
        mixed: 0.5,
    };

    #[test]
    fn it_is_a_mean_and_reads_what_it_writes() {
        assert!((Objective::default().of(&HALF) - 0.5).abs() < 1e-12);
        let text = Objective::default().to_string();
        assert_eq!(Objective::parse(&text).expect("valid"), Objective::default());
        let ranking = Objective::parse("top1=1").expect("valid");
        assert_eq!(ranking.of(&Headline { top1: 0.9, ..HALF }), 0.9);
        for bad in ["", "top2=1", "top1", "top1=-1", "top1=0", "top1=x"] {
            Objective::parse(bad).expect_err(bad);
        }
    }

    #[test]
    fn what_has_no_data_does_not_count() {
        let only_cases = Headline {
            f1: f64::NAN,
            b3: f64::NAN,
            noise_in: f64::NAN,
            root_at_1: f64::NAN,
            frag: f64::NAN,
            ..HALF
        };
        assert!((Objective::default().of(&only_cases) - 0.5).abs() < 1e-12);
        assert!(Objective::parse("f1=1").expect("valid").of(&only_cases).is_nan());
    }
}
