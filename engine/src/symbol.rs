//! A bounded interner: each distinct text is stored once, for as long as somebody holds it.

use std::fmt;
use std::num::NonZeroU32;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::engine::holders::Holders;
use crate::state::{Frames, Reader, Section, StateError, verify_free};
use crate::table::{HashSeed, Map};

/// A text held by [`Symbols`]. Equal symbols are equal texts; their numbers mean nothing.
///
/// Kept as the complement of its number, which leaves zero for "none".
#[derive(Clone, Copy, PartialEq, Eq, Hash, BorshDeserialize, BorshSerialize)]
pub(crate) struct Symbol(NonZeroU32);

impl Symbol {
    pub(crate) const fn index(self) -> u32 {
        !self.0.get()
    }

    pub(crate) const fn from_index(index: u32) -> Self {
        Self(NonZeroU32::new(!index).expect("there are fewer than 2^32 - 1 texts"))
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Symbol({})", self.index())
    }
}

/// Reference-counted texts. Its size is bounded by what holds references: the alert and incident
/// tables, which have maxima of their own.
#[derive(Debug)]
pub(crate) struct Symbols {
    slots: Vec<Slot>,
    free: Vec<u32>,
    index: Map<Box<str>, u32>,
    bytes: usize,
}

#[derive(Debug, BorshDeserialize, BorshSerialize)]
struct Slot {
    text: Box<str>,
    holders: u32,
}

impl Symbols {
    pub(crate) fn new(seed: HashSeed) -> Self {
        Self { slots: Vec::new(), free: Vec::new(), index: Map::new(seed), bytes: 0 }
    }

    /// The symbol of a text, held once more.
    pub(crate) fn hold(&mut self, text: &str) -> Symbol {
        if let Some(&at) = self.index.get(text) {
            self.slots[at as usize].holders += 1;
            return Symbol::from_index(at);
        }
        let key: Box<str> = text.into();
        self.bytes += text.len();
        let slot = Slot { text: key.clone(), holders: 1 };
        let at = if let Some(at) = self.free.pop() {
            self.slots[at as usize] = slot;
            at
        } else {
            self.slots.push(slot);
            (self.slots.len() - 1) as u32
        };
        self.index.insert(key, at);
        Symbol::from_index(at)
    }

    /// Holds a symbol once more.
    pub(crate) fn hold_again(&mut self, symbol: Symbol) {
        self.slots[symbol.index() as usize].holders += 1;
    }

    /// Lets a symbol go; its text is dropped when nobody holds it any more.
    pub(crate) fn release(&mut self, symbol: Symbol) {
        let slot = &mut self.slots[symbol.index() as usize];
        assert!(slot.holders > 0, "symbol released more often than held");
        slot.holders -= 1;
        if slot.holders == 0 {
            let text = std::mem::take(&mut slot.text);
            self.bytes -= text.len();
            self.index.remove(&text);
            self.free.push(symbol.index());
        }
    }

    pub(crate) fn text(&self, symbol: Symbol) -> &str {
        &self.slots[symbol.index() as usize].text
    }

    /// Asserts that each text is held as often as `holders` says, by the number of its symbol.
    pub(crate) fn check(&self, holders: &[u32]) {
        let mut bytes = 0;
        for (at, slot) in self.slots.iter().enumerate() {
            let expected = holders.get(at).copied().unwrap_or_default();
            assert_eq!(slot.holders, expected, "holders of {:?}", slot.text);
            bytes += slot.text.len();
            let known = self.index.get(&slot.text).map(|&found| found as usize == at);
            if slot.holders > 0 {
                assert_eq!(known, Some(true), "{:?} is found", slot.text);
            }
        }
        assert!(holders.len() <= self.slots.len(), "a symbol is in the table");
        assert_eq!(self.bytes, bytes, "bytes of text");
        assert_eq!(self.index.len(), self.len(), "each text stands once");
    }

    /// How many slots there are; every symbol's number is below.
    pub(crate) fn slots(&self) -> u32 {
        self.slots.len() as u32
    }

    pub(crate) fn save<E>(&self, out: &mut Frames<'_, E>) -> Result<(), E> {
        self.slots.iter().try_for_each(|slot| out.item(Section::Texts, slot))?;
        out.item(Section::FreeTexts, &self.free)
    }

    pub(crate) fn restore(
        frames: &mut Reader<'_>,
        seed: HashSeed,
        slots: u32,
    ) -> Result<Self, StateError> {
        let mut symbols = Self::new(seed);
        let room = frames.left().min(slots as usize);
        symbols.slots.reserve(room);
        symbols.index.reserve(room);
        frames.each(Section::Texts, |slot: Slot| {
            let at = symbols.slots.len() as u32;
            symbols.bytes += slot.text.len();
            let doubled = slot.holders > 0 && symbols.index.insert(slot.text.clone(), at).is_some();
            symbols.slots.push(slot);
            if doubled { Err("a text stands once") } else { Ok(()) }
        })?;
        symbols.free = frames.one(Section::FreeTexts)?;
        Ok(symbols)
    }

    /// Whether each text is held as often as `holders` says, and what nobody holds is free.
    pub(crate) fn verify(&self, holders: &Holders) -> Result<(), &'static str> {
        let held = self.slots.iter().map(|slot| slot.holders);
        if !held.eq(holders.0.iter().copied()) {
            return Err("texts are held by those who name them");
        }
        let is_free = |at: usize| self.slots[at].holders == 0 && self.slots[at].text.is_empty();
        verify_free(&self.free, self.slots.len(), is_free)
    }

    /// How many distinct texts are held.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Bytes of text held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_lives_as_long_as_it_is_held() {
        let mut symbols = Symbols::new(HashSeed(1));
        let a = symbols.hold("a");
        assert_eq!(symbols.hold("a"), a);
        symbols.release(a);
        assert_eq!(symbols.text(a), "a");
        symbols.release(a);
        assert_eq!((symbols.len(), symbols.bytes()), (0, 0));
        let b = symbols.hold("b");
        assert_eq!(b, a, "the slot is used again");
        assert_eq!(symbols.text(b), "b");
    }
}
