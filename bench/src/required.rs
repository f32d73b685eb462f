//! What is required of figures, and whether they meet it.

use std::fmt::Write;

use crate::score::evaluation::Headline;

/// What is required of a figure.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Bound {
    /// This at most.
    AtMost(f64),
    /// This at least.
    AtLeast(f64),
    /// Nothing: it is only told.
    Open,
}

impl Bound {
    /// Whether a figure is within the bound; one that could not be computed is not.
    #[must_use]
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
            Self::Open => true,
        }
    }

    /// The cells `required` and `met` of a table's row.
    #[must_use]
    pub fn cells(self, value: f64) -> String {
        let (sign, limit) = match self {
            Self::AtMost(limit) => ('≤', limit),
            Self::AtLeast(limit) => ('≥', limit),
            Self::Open => return "| | |".to_owned(),
        };
        format!("| {sign} {limit} | {} |", if self.is_met(value) { "yes" } else { "**no**" })
    }
}

/// What a command prints, and what of it is not as required.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Printed {
    /// The tables.
    pub text: String,
    /// Figures that do not meet what is required of them.
    pub unmet: Vec<String>,
}

impl Printed {
    /// Text of which nothing is required.
    #[must_use]
    pub fn plain(text: String) -> Self {
        Self { text, unmet: Vec::new() }
    }
}

/// The figures that are required of the default policy on the development data.
#[must_use]
pub fn on_development_data(mean: &Headline) -> Printed {
    use Bound::{AtLeast, AtMost};
    let mut printed =
        Printed::plain("| figure | measured | required | met |\n|---|---|---|---|\n".to_owned());
    for (figure, value, bound) in [
        ("mean top-1 over the sets", mean.top1, AtLeast(0.72)),
        ("mean top-3 over the sets", mean.top3, AtLeast(0.80)),
        ("storms, pair F1", mean.f1, AtLeast(0.77)),
        ("storms, B³", mean.b3, AtLeast(0.90)),
        ("storms, noise drawn in", mean.noise_in, AtMost(0.04)),
        ("storms, root@1", mean.root_at_1, AtLeast(0.62)),
        ("storms, fragments per incident", mean.frag, AtMost(1.8)),
    ] {
        let row = writeln!(printed.text, "| {figure} | {value:.4} {}", bound.cells(value));
        debug_assert!(row.is_ok(), "a string takes all");
        if !bound.is_met(value) {
            printed.unmet.push(format!("{figure} is {value:.4}"));
        }
    }
    printed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_that_is_lost_is_said() {
        let good = Headline {
            top1: 0.72,
            top3: 0.9,
            f1: 0.8,
            b3: 0.95,
            ari: 0.0,
            noise_in: 0.04,
            root_at_1: 0.7,
            frag: 1.8,
            mixed: 1.0,
        };
        assert_eq!(on_development_data(&good).unmet, Vec::<String>::new());
        let bad = Headline { noise_in: 0.0401, top1: f64::NAN, ..good };
        let printed = on_development_data(&bad);
        let expected = ["mean top-1 over the sets is NaN", "storms, noise drawn in is 0.0401"];
        assert_eq!(printed.unmet, expected);
        assert_eq!(printed.text.matches("**no**").count(), 2, "{}", printed.text);
    }
}
