//! Deadlines in one total order: time, then the order in which they were set.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::alerts::AlertKey;
use crate::incident::IncidentKey;
use crate::planted::planted;
use crate::state::{Frames, Reader, Section, StateError};
use crate::time::Timestamp;

/// Whose deadline it is. A deadline may be stale: its owner looks again when it comes up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshDeserialize, BorshSerialize)]
pub(crate) enum Owner {
    Alert(AlertKey),
    Incident(IncidentKey),
}

#[derive(Debug, BorshDeserialize, BorshSerialize)]
struct Entry {
    at: Timestamp,
    order: u64,
    owner: Owner,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// All deadlines. A repeat does not touch them: an owner whose time has moved on is asked, says
/// so, and is set again.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<Entry>>,
    next_order: u64,
}

impl Timers {
    pub(crate) fn set(&mut self, at: Timestamp, owner: Owner) {
        let order = self.next_order;
        self.next_order += 1;
        self.heap.push(Reverse(Entry { at, order, owner }));
    }

    /// Takes the earliest deadline that is due by `now`.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Option<(Timestamp, Owner)> {
        if self.heap.peek()?.0.at > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.owner))
    }

    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    /// Whether a deadline is set; [`Timestamp::MAX`] is "never" and needs none. O(n).
    pub(crate) fn has(&self, at: Timestamp, owner: Owner) -> bool {
        let is = |Reverse(entry): &Reverse<Entry>| entry.at == at && entry.owner == owner;
        at == Timestamp::MAX || self.heap.iter().any(is)
    }

    /// Drops the deadlines that nobody waits for any more, once they outnumber the others: an end
    /// in a hundred years, of an alert that was resolved long ago, would stay for as long.
    pub(crate) fn prune(&mut self, owners: usize, waits: impl Fn(Timestamp, Owner) -> bool) {
        if self.heap.len() > 64 + 4 * owners {
            self.heap.retain(|Reverse(entry)| waits(entry.at, entry.owner));
        }
    }

    pub(crate) fn owners(&self) -> impl Iterator<Item = Owner> {
        self.heap.iter().map(|Reverse(entry)| entry.owner)
    }

    pub(crate) fn save<E>(&self, out: &mut Frames<'_, E>) -> Result<(), E> {
        // As they stand in the heap, so that they stand there again.
        self.heap.iter().try_for_each(|Reverse(entry)| out.item(Section::Timers, entry))?;
        out.item(Section::TimerOrder, &self.next_order)
    }

    pub(crate) fn restore(frames: &mut Reader<'_>) -> Result<Self, StateError> {
        let mut entries = Vec::new();
        frames.each(Section::Timers, |entry: Entry| {
            entries.push(Reverse(entry));
            Ok(())
        })?;
        let next = frames.one(Section::TimerOrder)?;
        Ok(Self { heap: entries.into(), next_order: planted!(RestoredTie: 0, next) })
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }
}
