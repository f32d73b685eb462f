//! Deadlines in one total order: time, then the order in which they were set.
//!
//! Nearly all deadlines are those of repeated alerts, a few minutes ahead, and go off only to be
//! set again. So they are kept by the second in which they fall: setting one appends to a list,
//! and a list is sorted when its second has come. Everything else is in a heap.

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

#[derive(Clone, Copy, Debug, BorshDeserialize, BorshSerialize)]
struct Entry {
    at: Timestamp,
    order: u64,
    owner: Owner,
}

impl Entry {
    const fn rank(&self) -> (Timestamp, u64) {
        (self.at, self.order)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
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
        self.rank().cmp(&other.rank())
    }
}

/// Seconds for which there are lists: a quarter of an hour and some.
const SECONDS: usize = 1024;
const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// The second that a time falls into.
fn second(at: Timestamp) -> i64 {
    at.as_nanos().div_euclid(NANOS_PER_SECOND)
}

/// All deadlines. A repeat does not touch them: an owner whose time has moved on is asked, says
/// so, and is set again.
#[derive(Debug)]
pub(crate) struct Timers {
    seconds: Seconds,
    /// What is due in the second [`Seconds::begun`], the latest first.
    due: Vec<Entry>,
    /// What falls into no list, because its second has begun or is too far ahead.
    rest: BinaryHeap<Reverse<Entry>>,
    /// The earliest deadline of all.
    next: Timestamp,
    next_order: u64,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            seconds: Seconds::default(),
            due: Vec::new(),
            rest: BinaryHeap::new(),
            next: Timestamp::MAX,
            next_order: 0,
        }
    }
}

impl Timers {
    pub(crate) fn set(&mut self, at: Timestamp, owner: Owner) {
        let entry = Entry { at, order: self.next_order, owner };
        self.next_order += 1;
        if self.due.is_empty() && self.seconds.len == 0 {
            self.seconds.begun = self.seconds.begun.max(second(at) - SECONDS as i64 / 2);
        }
        if !self.seconds.take_in(entry) {
            self.rest.push(Reverse(entry));
        }
        self.next = self.next.min(at);
    }

    /// Takes the earliest deadline that is due by `now`.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Option<(Timestamp, Owner)> {
        if self.next > now || self.len() == 0 {
            return None;
        }
        if self.due.is_empty() && self.seconds.earliest().is_some_and(|at| at <= now) {
            self.seconds.begin(&mut self.due);
            self.due.sort_unstable_by_key(|entry| Reverse(entry.rank()));
        }
        let from_rest = match (self.due.last(), self.rest.peek()) {
            (Some(due), Some(Reverse(rest))) => rest < due,
            (due, _) => due.is_none(),
        };
        let entry = match from_rest {
            true => self.rest.pop().map(|Reverse(entry)| entry),
            false => self.due.pop(),
        };
        self.next = self.earliest();
        entry.map(|entry| (entry.at, entry.owner))
    }

    pub(crate) fn next(&self) -> Option<Timestamp> {
        (self.len() > 0).then_some(self.next)
    }

    fn earliest(&self) -> Timestamp {
        let due = self.due.last().map(|entry| entry.at);
        let rest = self.rest.peek().map(|Reverse(entry)| entry.at);
        let all = [due, rest, self.seconds.earliest()];
        all.into_iter().flatten().min().unwrap_or(Timestamp::MAX)
    }

    /// Whether a deadline is set; [`Timestamp::MAX`] is "never" and needs none. O(n).
    pub(crate) fn has(&self, at: Timestamp, owner: Owner) -> bool {
        let is = |entry: &Entry| entry.at == at && entry.owner == owner;
        at == Timestamp::MAX || self.iter().any(is)
    }

    /// Drops the deadlines that nobody waits for any more, once they outnumber the others: an end
    /// in a hundred years, of an alert that was resolved long ago, would stay for as long.
    pub(crate) fn prune(&mut self, owners: usize, waits: impl Fn(Timestamp, Owner) -> bool) {
        if self.len() > 64 + 4 * owners {
            let waits = |entry: &Entry| waits(entry.at, entry.owner);
            self.due.retain(waits);
            self.seconds.retain(waits);
            self.rest.retain(|Reverse(entry)| waits(entry));
            self.next = self.earliest();
        }
    }

    /// All of them: what is due now, then the lists in order, then the rest.
    fn iter(&self) -> impl Iterator<Item = &Entry> {
        let rest = self.rest.iter().map(|Reverse(entry)| entry);
        self.due.iter().chain(self.seconds.iter()).chain(rest)
    }

    pub(crate) fn owners(&self) -> impl Iterator<Item = Owner> {
        self.iter().map(|entry| entry.owner)
    }

    pub(crate) fn save<E>(&self, out: &mut Frames<'_, E>) -> Result<(), E> {
        // As they stand, so that they stand there again.
        self.iter().try_for_each(|entry| out.item(Section::Timers, entry))?;
        let places = (self.due.len() as u64, self.seconds.len as u64, self.seconds.begun);
        out.item(Section::TimerOrder, &(places, self.next_order))
    }

    pub(crate) fn restore(frames: &mut Reader<'_>) -> Result<Self, StateError> {
        let mut entries: Vec<Entry> = Vec::new();
        frames.each(Section::Timers, |entry| {
            entries.push(entry);
            Ok(())
        })?;
        let ((due, listed, begun), next): ((u64, u64, i64), u64) =
            frames.one(Section::TimerOrder)?;
        let what = StateError::Inconsistent { what: "deadlines stand where they belong" };
        let (due, listed) = match (usize::try_from(due), usize::try_from(listed)) {
            (Ok(due), Ok(listed)) if due.checked_add(listed) <= Some(entries.len()) => {
                (due, listed)
            }
            _ => return Err(what),
        };
        let rest = entries.split_off(due + listed);
        let listed = entries.split_off(due);
        let mut seconds = Seconds { begun, ..Seconds::default() };
        let is_sound = entries.is_sorted_by(|a, b| a > b)
            && begun.checked_add(SECONDS as i64).is_some()
            && listed.into_iter().all(|entry| seconds.take_in(entry));
        if !is_sound {
            return Err(what);
        }
        let rest: Vec<_> = rest.into_iter().map(Reverse).collect();
        let mut timers = Self {
            seconds,
            due: entries,
            rest: rest.into(),
            next: Timestamp::MAX,
            next_order: planted!(RestoredTie: 0, next),
        };
        timers.next = timers.earliest();
        Ok(timers)
    }

    pub(crate) fn len(&self) -> usize {
        self.due.len() + self.seconds.len + self.rest.len()
    }
}

/// Lists of deadlines for the seconds that come.
#[derive(Debug)]
struct Seconds {
    /// By second, modulo their number; made with the first deadline.
    lists: Vec<List>,
    /// A bit for each list that is not empty.
    filled: [u64; SECONDS / 64],
    /// The second whose list was taken last. The lists are for those after it.
    begun: i64,
    len: usize,
    /// Memory of lists that were taken, to be used again.
    spare: Vec<Vec<Entry>>,
}

#[derive(Clone, Debug)]
struct List {
    entries: Vec<Entry>,
    earliest: Timestamp,
}

impl Default for Seconds {
    fn default() -> Self {
        let filled = [0; SECONDS / 64];
        Self { lists: Vec::new(), filled, begun: i64::MIN / 2, len: 0, spare: Vec::new() }
    }
}

impl Seconds {
    /// Takes a deadline in, if there is a list for it.
    fn take_in(&mut self, entry: Entry) -> bool {
        let ahead = second(entry.at).saturating_sub(self.begun);
        if !(1..=SECONDS as i64).contains(&ahead) {
            return false;
        }
        if self.lists.is_empty() {
            self.lists = vec![List { entries: Vec::new(), earliest: Timestamp::MAX }; SECONDS];
        }
        let at = place(second(entry.at));
        let list = &mut self.lists[at];
        if list.entries.capacity() == 0 {
            list.entries = self.spare.pop().unwrap_or_default();
        }
        list.entries.push(entry);
        list.earliest = list.earliest.min(entry.at);
        self.filled[at / 64] |= 1 << (at % 64);
        self.len += 1;
        true
    }

    /// Place of the first list that is not empty.
    fn first(&self) -> Option<usize> {
        if self.len == 0 {
            return None;
        }
        let from = place(self.begun + 1);
        let (word, bit) = (from / 64, from % 64);
        // The first word twice: from the bit on, and at last up to it.
        let masked = (0..=self.filled.len()).map(|step| {
            let at = (word + step) % self.filled.len();
            let mask = match step {
                0 => u64::MAX << bit,
                _ => u64::MAX,
            };
            (at, self.filled[at] & mask)
        });
        let (at, bits) = masked.into_iter().find(|&(_, bits)| bits != 0)?;
        Some(at * 64 + bits.trailing_zeros() as usize)
    }

    fn earliest(&self) -> Option<Timestamp> {
        self.first().map(|at| self.lists[at].earliest)
    }

    /// Moves the first list to `due`, which is empty.
    fn begin(&mut self, due: &mut Vec<Entry>) {
        let Some(at) = self.first() else {
            return;
        };
        let list = &mut self.lists[at];
        self.begun = second(list.earliest);
        list.earliest = Timestamp::MAX;
        std::mem::swap(due, &mut list.entries);
        let emptied = std::mem::take(&mut list.entries);
        if emptied.capacity() > 0 {
            self.spare.push(emptied);
        }
        self.filled[at / 64] &= !(1 << (at % 64));
        self.len -= due.len();
    }

    fn retain(&mut self, keep: impl Fn(&Entry) -> bool) {
        self.len = 0;
        self.spare = Vec::new();
        for (at, list) in self.lists.iter_mut().enumerate() {
            list.entries.retain(&keep);
            self.len += list.entries.len();
            let earliest = list.entries.iter().map(|entry| entry.at).min();
            list.earliest = earliest.unwrap_or(Timestamp::MAX);
            if list.entries.is_empty() {
                list.entries = Vec::new();
                self.filled[at / 64] &= !(1 << (at % 64));
            }
        }
    }

    /// In order of seconds.
    fn iter(&self) -> impl Iterator<Item = &Entry> {
        let from = place(self.begun.saturating_add(1));
        let (later, sooner) = self.lists.split_at(from.min(self.lists.len()));
        sooner.iter().chain(later).flat_map(|list| &list.entries)
    }
}

fn place(second: i64) -> usize {
    second.rem_euclid(SECONDS as i64) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn owner(number: u32) -> Owner {
        Owner::Incident(IncidentKey { slot: number, generation: 0 })
    }

    /// One heap, as simple as can be.
    #[derive(Default)]
    struct Plain {
        heap: BinaryHeap<Reverse<Entry>>,
        next_order: u64,
    }

    impl Plain {
        fn set(&mut self, at: Timestamp, owner: Owner) {
            self.heap.push(Reverse(Entry { at, order: self.next_order, owner }));
            self.next_order += 1;
        }

        fn take_due(&mut self, now: Timestamp) -> Option<(Timestamp, Owner)> {
            self.heap.peek().filter(|Reverse(entry)| entry.at <= now)?;
            self.heap.pop().map(|Reverse(entry)| (entry.at, entry.owner))
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// Sets a deadline so many milliseconds from now.
        Set(i64),
        /// Time passes.
        Pass(i64),
        Prune(u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        let ahead = prop_oneof![
            8 => 0..2_000_i64,
            8 => 200_000..310_000_i64,
            2 => -5_000..0_i64,
            2 => 900_000..1_100_000_i64,
            1 => Just(3_000_000_000_000_i64),
        ];
        let pass = prop_oneof![8 => 0..1_500_i64, 2 => 0..400_000_i64, 1 => 0..5_000_000_i64];
        prop_oneof![
            6 => ahead.prop_map(Step::Set),
            3 => pass.prop_map(Step::Pass),
            1 => (1..5_u32).prop_map(Step::Prune),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn they_come_as_from_one_heap(steps in prop::collection::vec(step(), 1..200)) {
            let (mut timers, mut plain) = (Timers::default(), Plain::default());
            let mut now = Timestamp::from_millis(1_800_000_000_000);
            for (number, step) in (0..).zip(steps) {
                match step {
                    Step::Set(ahead) => {
                        let at = Timestamp::from_millis(now.as_millis() + ahead);
                        timers.set(at, owner(number));
                        plain.set(at, owner(number));
                        prop_assert!(timers.has(at, owner(number)));
                    }
                    Step::Pass(passed) => {
                        now = Timestamp::from_millis(now.as_millis() + passed);
                        while let Some(due) = plain.take_due(now) {
                            prop_assert_eq!(timers.next(), Some(due.0));
                            prop_assert_eq!(timers.take_due(now), Some(due));
                        }
                        prop_assert_eq!(timers.take_due(now), None);
                    }
                    Step::Prune(of) => {
                        let waits = |owner: Owner| match owner {
                            Owner::Incident(key) => !key.slot.is_multiple_of(of),
                            Owner::Alert(_) => true,
                        };
                        let many = timers.len() > 64;
                        timers.prune(0, |_, owner| waits(owner));
                        plain.heap.retain(|Reverse(entry)| !many || waits(entry.owner));
                    }
                }
                prop_assert_eq!(timers.len(), plain.heap.len());
                let next = plain.heap.peek().map(|Reverse(entry)| entry.at);
                prop_assert_eq!(timers.next(), next);
            }
        }
    }
}
