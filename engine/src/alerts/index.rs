//! From the keyed hash of an alert's labels to its place: one look into memory for most alerts.
//!
//! Linear probing over entries of 16 bytes, four in a cache line. The hash is keyed already, so its
//! bits serve as they are. Nothing iterates over it: hash order reaches no decision.

use super::AlertKey;

#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u64,
    key: AlertKey,
}

/// Marks a free entry; no table has so many alerts.
const FREE: u32 = u32::MAX;
const EMPTY: Entry = Entry { hash: 0, key: AlertKey { slot: FREE, generation: 0 } };
const SIZE_MIN: usize = 64;

/// The index.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// A power of two of them, at most three quarters in use.
    entries: Vec<Entry>,
    len: usize,
}

impl Index {
    pub(super) fn get(&self, hash: u64) -> Option<AlertKey> {
        self.find(hash).map(|at| self.entries[at].key)
    }

    /// Makes room for so many more.
    pub(super) fn reserve(&mut self, more: usize) {
        let size = (4 * (self.len + more) / 3 + 1).next_power_of_two().max(SIZE_MIN);
        if size > self.entries.len() {
            self.resize(size);
        }
    }

    /// Adds a hash that is not in it.
    pub(super) fn insert(&mut self, hash: u64, key: AlertKey) {
        if 4 * (self.len + 1) > 3 * self.entries.len() {
            self.resize((2 * self.entries.len()).max(SIZE_MIN));
        }
        self.put(Entry { hash, key });
        self.len += 1;
    }

    pub(super) fn remove(&mut self, hash: u64) {
        let Some(mut hole) = self.find(hash) else {
            return;
        };
        self.len -= 1;
        // What comes after moves up, where that is not before its own place.
        let mask = self.entries.len() - 1;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let entry = self.entries[at];
            if entry.key.slot == FREE {
                break;
            }
            let home = entry.hash as usize & mask;
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(hole) & mask) {
                self.entries[hole] = entry;
                hole = at;
            }
        }
        self.entries[hole] = EMPTY;
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn find(&self, hash: u64) -> Option<usize> {
        let mask = self.entries.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        loop {
            let entry = &self.entries[at];
            if entry.key.slot == FREE {
                return None;
            }
            if entry.hash == hash {
                return Some(at);
            }
            at = (at + 1) & mask;
        }
    }

    fn resize(&mut self, size: usize) {
        let old = std::mem::replace(&mut self.entries, vec![EMPTY; size]);
        old.into_iter().filter(|entry| entry.key.slot != FREE).for_each(|entry| self.put(entry));
    }

    fn put(&mut self, entry: Entry) {
        let mask = self.entries.len() - 1;
        let mut at = entry.hash as usize & mask;
        while self.entries[at].key.slot != FREE {
            at = (at + 1) & mask;
        }
        self.entries[at] = entry;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        /// Few different hashes, near the ends of the table and with the same low bits.
        #[test]
        fn it_holds_what_a_map_holds(
            steps in prop::collection::vec((any::<bool>(), 0..40_u64, 0..4_u64), 0..600)
        ) {
            let (mut index, mut map) = (Index::default(), BTreeMap::new());
            for (number, (adds, low, high)) in (0..).zip(steps) {
                let hash = (high << 60) | (low.wrapping_sub(20) & 0xFFFF);
                let key = AlertKey { slot: number, generation: 1 };
                if adds && !map.contains_key(&hash) {
                    index.insert(hash, key);
                    map.insert(hash, key);
                } else if !adds {
                    index.remove(hash);
                    map.remove(&hash);
                }
                prop_assert_eq!(index.len(), map.len());
            }
            for low in 0..40_u64 {
                for high in 0..4_u64 {
                    let hash = (high << 60) | (low.wrapping_sub(20) & 0xFFFF);
                    prop_assert_eq!(index.get(hash), map.get(&hash).copied());
                }
            }
        }
    }
}
