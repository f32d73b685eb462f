//! A graph with all that is precomputed from it: what an engine reads, and many may share.

use crate::policy::{Grouping, Policy};
use crate::topology::Topology;
use crate::walk::Walks;

/// A dependency graph made ready for engines of one policy. Immutable: an engine changes over from
/// one to the next with [`crate::Engine::set_topology`], without a walk through its tables.
///
/// Making one takes time that grows with the graph: make it on another thread than the engine's,
/// and drop it there too, by keeping a reference until the engines have let theirs go.
#[derive(Debug)]
pub struct Snapshot {
    pub(crate) topology: Topology,
    pub(crate) walks: Walks,
    walked: (Grouping, u8),
}

/// Why an engine does not take a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Its graph was not built after the one in force.
    #[error("the graph was not built after the one in force; build it with `build_after`")]
    NotAfter,
    /// It was made for other parameters of grouping or ranking.
    #[error("the snapshot was made under another policy; make it with the engine's")]
    OtherPolicy,
}

impl Snapshot {
    /// Precomputes what engines of this policy need of the graph.
    #[must_use]
    pub fn new(topology: Topology, policy: &Policy) -> Self {
        let walked = walked(policy);
        let walks = Walks::new(&topology, &walked.0, walked.1);
        Self { topology, walks, walked }
    }

    /// The graph.
    #[must_use]
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Bytes held, without those of names.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.topology.bytes() + self.walks.bytes()
    }

    pub(crate) fn is_for(&self, policy: &Policy) -> bool {
        self.walked == walked(policy)
    }
}

/// What the walks depend on.
fn walked(policy: &Policy) -> (Grouping, u8) {
    let spec = policy.spec();
    (spec.grouping, spec.ranking.hops_max)
}
