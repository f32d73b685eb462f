//! A hash map that cannot be iterated, so that hash order cannot reach a decision.

use std::hash::Hash;

use ahash::RandomState;
use hashbrown::Equivalent;

/// A hash map with look-up only. Its hash seed comes from the caller and changes no decision.
#[derive(Clone, Debug)]
pub(crate) struct Map<K, V> {
    #[expect(clippy::disallowed_types, reason = "this wrapper is what the ban points to")]
    inner: hashbrown::HashMap<K, V, RandomState>,
}

/// The seed of all hash tables. Two engines that differ in it alone decide alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HashSeed(pub u64);

impl HashSeed {
    pub(crate) fn state(self) -> RandomState {
        let seed = self.0;
        RandomState::with_seeds(seed, seed.rotate_left(17), !seed, seed.wrapping_mul(31))
    }

    /// What it makes of a known text. It differs where another build hashes otherwise.
    pub(crate) fn probe(self) -> u64 {
        self.state().hash_one("hypocenter")
    }
}

/// An empty map for the moment until the right one is made.
impl<K: Eq + Hash, V> Default for Map<K, V> {
    fn default() -> Self {
        Self::new(HashSeed::default())
    }
}

impl<K: Eq + Hash, V> Map<K, V> {
    #[expect(clippy::disallowed_types, reason = "this wrapper is what the ban points to")]
    pub(crate) fn new(seed: HashSeed) -> Self {
        Self { inner: hashbrown::HashMap::with_hasher(seed.state()) }
    }

    pub(crate) fn get<Q: ?Sized + Hash + Equivalent<K>>(&self, key: &Q) -> Option<&V> {
        self.inner.get(key)
    }

    pub(crate) fn get_mut<Q: ?Sized + Hash + Equivalent<K>>(&mut self, key: &Q) -> Option<&mut V> {
        self.inner.get_mut(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.inner.insert(key, value)
    }

    pub(crate) fn remove<Q: ?Sized + Hash + Equivalent<K>>(&mut self, key: &Q) -> Option<V> {
        self.inner.remove(key)
    }

    pub(crate) fn entry_or(&mut self, key: K, value: impl FnOnce() -> V) -> &mut V {
        self.inner.entry(key).or_insert_with(value)
    }

    pub(crate) fn clear(&mut self) {
        self.inner.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.inner.len()
    }

    /// Makes room for so many more at once.
    pub(crate) fn reserve(&mut self, more: usize) {
        self.inner.reserve(more);
    }
}
