//! What one entity needs of another.

use borsh::{BorshDeserialize, BorshSerialize};

/// What an entity needs another one for. Whatever the kind, the edge goes from the dependent to
/// what it depends on, and failure flows against it.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    BorshDeserialize,
    BorshSerialize,
)]
pub enum EdgeKind {
    /// It calls it. Also what a source gives no kind.
    #[default]
    Calls,
    /// It runs on it: a service on a workload, a workload on its pods, a pod on a node.
    RunsOn,
    /// It keeps data in it.
    StoresIn,
    /// It is part of it, or kept by it.
    Owns,
    /// It stands in this zone.
    InZone,
}

impl EdgeKind {
    /// All of them, in order.
    pub const ALL: [Self; 5] =
        [Self::Calls, Self::RunsOn, Self::StoresIn, Self::Owns, Self::InZone];

    /// Name in files and records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::RunsOn => "runs_on",
            Self::StoresIn => "stores_in",
            Self::Owns => "owns",
            Self::InZone => "in_zone",
        }
    }

    /// The kind of this name; `None` for a name that is none.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}
