//! Plain counters. They only grow, and every event is in exactly one of the first group.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::decision::Suppressor;

/// What has happened since the engine was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, BorshDeserialize, BorshSerialize)]
#[non_exhaustive]
pub struct Stats {
    /// Alert events applied.
    pub events: u64,
    /// Of these: a known alert fires, or is resolved, as before.
    pub repeats: u64,
    /// Of these: a known alert stopped firing.
    pub resolves: u64,
    /// Of these: a resolve for an alert not known to have fired.
    pub resolves_unknown: u64,
    /// Of these: a new episode that was put into an incident.
    pub placed: u64,
    /// Of these: a new episode that was kept out of all incidents, by [`Suppressor`].
    pub suppressed: [u64; Suppressor::ALL.len()],
    /// Of these: left out because a table was full.
    pub shed: u64,

    /// Flapping alerts that were placed after all, because they went on firing.
    pub steadied: u64,
    /// Alerts that ended because nothing more was heard of them.
    pub expired: u64,
    /// Incidents opened.
    pub opened: u64,
    /// Incidents merged into older ones.
    pub merged: u64,
    /// Incidents resolved, once for each time.
    pub resolved: u64,
    /// Resolved incidents that opened again.
    pub reopened: u64,
    /// Changes of candidate after the first one.
    pub reranked: u64,
    /// Versions published.
    pub published: u64,
    /// Alerts that a limit kept out of the incident that explains them.
    pub refused: u64,
    /// Resolved alerts forgotten early because the table was full.
    pub evicted: u64,
    /// Times the clock was asked to go back, and did not.
    pub clock_clamped: u64,
    /// Events whose onset lay further back than `lateness`.
    pub late: u64,
    /// New alerts whose entity could be several of the graph.
    pub ambiguous: u64,
    /// New alerts that no mapping rule matched.
    pub unmapped: u64,
    /// New alerts on an entity that is not in the graph.
    pub outside_topology: u64,
    /// Changes of the graph.
    pub topology_changes: u64,
}

impl Stats {
    /// Events suppressed, for one reason.
    #[must_use]
    pub fn suppressed_by(&self, by: Suppressor) -> u64 {
        self.suppressed[by as usize]
    }

    /// Adds the counters of another engine.
    pub fn add(&mut self, other: &Self) {
        self.each(other, |count, more| *count += more);
    }

    fn each(&mut self, other: &Self, change: fn(&mut u64, u64)) {
        for (count, by) in self.suppressed.iter_mut().zip(other.suppressed) {
            change(count, by);
        }
        for (count, one) in [
            (&mut self.events, other.events),
            (&mut self.repeats, other.repeats),
            (&mut self.resolves, other.resolves),
            (&mut self.resolves_unknown, other.resolves_unknown),
            (&mut self.placed, other.placed),
            (&mut self.shed, other.shed),
            (&mut self.steadied, other.steadied),
            (&mut self.expired, other.expired),
            (&mut self.opened, other.opened),
            (&mut self.merged, other.merged),
            (&mut self.resolved, other.resolved),
            (&mut self.reopened, other.reopened),
            (&mut self.reranked, other.reranked),
            (&mut self.published, other.published),
            (&mut self.refused, other.refused),
            (&mut self.evicted, other.evicted),
            (&mut self.clock_clamped, other.clock_clamped),
            (&mut self.late, other.late),
            (&mut self.ambiguous, other.ambiguous),
            (&mut self.unmapped, other.unmapped),
            (&mut self.outside_topology, other.outside_topology),
            (&mut self.topology_changes, other.topology_changes),
        ] {
            change(count, one);
        }
    }

    /// What was counted since `earlier`, which is this engine's at another time.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut since = *self;
        since.each(earlier, |count, before| *count = count.saturating_sub(before));
        since
    }

    /// Whether each event is accounted for exactly once.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        let suppressed: u64 = self.suppressed.iter().sum();
        let told = self.repeats + self.resolves + self.resolves_unknown + self.placed;
        self.events == told + suppressed + self.shed
    }
}
