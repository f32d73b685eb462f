//! Bounds on how much may differ, for a gate.

use std::fmt;
use std::str::FromStr;

use super::Diff;

/// At most so many, or at most such a share.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Bound {
    /// A number.
    Count(u64),
    /// Per cent of the incidents of A.
    Percent(f64),
}

impl FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let allowed = || format!("{text:?} must be a number such as 3, or a share such as 2.5%");
        match text.strip_suffix('%') {
            Some(share) => {
                let share: f64 = share.trim().parse().map_err(|_| allowed())?;
                if share >= 0.0 && share.is_finite() {
                    Ok(Self::Percent(share))
                } else {
                    Err(allowed())
                }
            }
            None => text.parse().map(Self::Count).map_err(|_| allowed()),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(share) => write!(f, "{share}%"),
        }
    }
}

impl Bound {
    fn allows(self, count: usize, of: usize) -> bool {
        match self {
            Self::Count(most) => count as u64 <= most,
            Self::Percent(share) => count as f64 <= share / 100.0 * of as f64,
        }
    }
}

/// What a gate allows. Without any bound nothing may differ.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Gates {
    /// Groups in which anything differs.
    pub changed: Option<Bound>,
    /// Groups whose candidate differs.
    pub candidates: Option<Bound>,
    /// Incidents that B has more than A.
    pub more_incidents: Option<Bound>,
}

impl Gates {
    /// What is exceeded, each in words; empty when the gate is open.
    #[must_use]
    pub fn exceeded(&self, diff: &Diff) -> Vec<String> {
        let of = diff.a.incidents;
        let (bounds, more) = (*self, diff.b.incidents.saturating_sub(of));
        let moved = diff.placed_by_a_only.len() + diff.placed_by_b_only.len();
        if bounds == Self::default() {
            return match (diff.changed, moved) {
                (0, 0) => Vec::new(),
                (changed, moved) => {
                    vec![format!(
                        "groups of incidents that differ: {changed}, suppressions: {moved}"
                    )]
                }
            };
        }
        let checks = [
            (bounds.changed, diff.changed, "groups of incidents differ"),
            (bounds.candidates, diff.candidates_changed, "candidates differ"),
            (bounds.more_incidents, more, "more incidents"),
        ];
        let exceeded = checks.into_iter().filter_map(|(bound, count, what)| {
            let bound = bound.filter(|bound| !bound.allows(count, of))?;
            Some(format!("{count} {what}, at most {bound} may"))
        });
        exceeded.collect()
    }
}
