//! Every maximum of the engine, and what memory they bound.

use borsh::{BorshDeserialize, BorshSerialize};

/// Maxima of the engine's tables. Past one of them something is shed: counted, and said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Alerts remembered at once, firing and lately resolved.
    pub alerts_max: u32,
    /// Incidents live at once.
    pub incidents_max: u32,
    /// Alerts in one incident; further ones open another.
    pub members_max: u32,
    /// Labels per alert that are accepted by [`crate::Labels`] limits, for the memory formula.
    pub labels_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { alerts_max: 2_000_000, incidents_max: 100_000, members_max: 10_000, labels_max: 64 }
    }
}

/// Which maximum stood in the way.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, BorshDeserialize, BorshSerialize)]
pub enum Limit {
    /// [`Limits::alerts_max`].
    Alerts,
    /// [`Limits::incidents_max`].
    Incidents,
    /// [`Limits::members_max`].
    Members,
    /// `max_duration` of the policy: the incident takes no more alerts.
    Duration,
}

impl Limit {
    /// Name in records and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alerts => "alerts",
            Self::Incidents => "incidents",
            Self::Members => "members",
            Self::Duration => "duration",
        }
    }
}

/// Hypotheses kept per incident.
pub(crate) const HYPOTHESES_MAX: usize = 64;
/// Live incidents known per entity; the newest stay.
pub(crate) const LIVE_PER_ENTITY_MAX: usize = 8;
/// Entities known to have begun to alert lately, for one part of the graph; the newest stay.
pub(crate) const BEGINNINGS_MAX: usize = 4096;
/// Direct dependents known to have begun to alert lately, for one root; the newest stay.
pub(crate) const DEPENDENTS_MAX: usize = 32;
/// Parts of the graph, and roots, about which something is remembered; the newest stay.
pub(crate) const PARTS_MAX: usize = 16_384;
/// Alerts whose habit is remembered; the newest stay.
pub(crate) const HABITS_MAX: usize = 262_144;
/// Callers and callees remembered per symptom, rules and metrics likewise.
pub(crate) const PER_SYMPTOM_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use crate::alerts::Alert;
    use crate::hypotheses::Hypothesis;
    use crate::incident::Member;
    use crate::symptom::Symptom;

    /// The memory formula of the operations guide counts with these.
    #[test]
    fn structures_are_no_larger_than_the_memory_formula_says() {
        let sizes = [
            size_of::<Alert>(),
            size_of::<Member>(),
            size_of::<Symptom>(),
            size_of::<Hypothesis>(),
        ];
        let said = [192, 72, 248, 72];
        assert!(sizes.iter().zip(said).all(|(&size, said)| size <= said), "{sizes:?}");
    }
}
