//! The place where Hypocenter's engine is plugged into the scorer.
//!
//! This file alone knows that the thing measured is Hypocenter; the rest of the scorer sees a
//! [`Subject`].

use anyhow::Result;

use super::data::{Case, Storm};
use super::predictions::MemberLine;

/// Ranks the entities of a single-fault case, best candidate first.
///
/// It must use `alerts` and `topology` only.
pub type Rank = fn(&Case) -> Result<Vec<String>>;

/// Puts every alert instance of a storm into an incident, or into none.
///
/// It must use `alerts` and `topology` only. One line for each `fingerprint` and `startsAt`.
pub type Group = fn(&Storm) -> Result<Vec<MemberLine>>;

/// What is measured: something that ranks and groups.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// The candidates of a case.
    pub rank: Rank,
    /// The incidents of a storm.
    pub group: Group,
}

/// Hypocenter as it is measured, or `None` in a build that has no engine: then only the simple
/// rules are scored.
#[must_use]
pub fn subject() -> Option<Subject> {
    None
}
