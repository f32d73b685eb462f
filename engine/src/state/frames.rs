//! Frames: whole items of one section, numbered and checksummed.
//!
//! ```text
//! number u32 | section [u8; 4] | length u32 | CRC-32 of all this and of what follows | items
//! ```
//! Integers are little-endian. The last frame is empty and of section `END `.

use borsh::{BorshDeserialize, BorshSerialize};

use super::StateError;

/// Bytes at which a frame is closed. An item is never divided, so frames may be longer.
const FRAME_BYTES: usize = 256 << 10;
/// Bytes before the items.
const HEAD_BYTES: usize = 16;

/// What a frame holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Section {
    Header,
    Graphs,
    Texts,
    FreeTexts,
    Alerts,
    AlertQueues,
    Incidents,
    IncidentQueues,
    Considering,
    Parts,
    Roots,
    Habits,
    Timers,
    TimerOrder,
    Rest,
    End,
}

impl Section {
    const fn tag(self) -> [u8; 4] {
        *match self {
            Self::Header => b"HEAD",
            Self::Graphs => b"GRPH",
            Self::Texts => b"TEXT",
            Self::FreeTexts => b"TXTQ",
            Self::Alerts => b"ALRT",
            Self::AlertQueues => b"ALRQ",
            Self::Incidents => b"INCI",
            Self::IncidentQueues => b"INCQ",
            Self::Considering => b"CONS",
            Self::Parts => b"PART",
            Self::Roots => b"ROOT",
            Self::Habits => b"HABT",
            Self::Timers => b"TIME",
            Self::TimerOrder => b"TIMQ",
            Self::Rest => b"REST",
            Self::End => b"END ",
        }
    }
}

/// Items on their way out.
pub(crate) struct Frames<'a, E> {
    out: &'a mut dyn FnMut(&[u8]) -> Result<(), E>,
    frame: Vec<u8>,
    section: Section,
    number: u32,
}

impl<'a, E> Frames<'a, E> {
    pub(super) fn new(out: &'a mut dyn FnMut(&[u8]) -> Result<(), E>) -> Self {
        let mut frame = Vec::with_capacity(FRAME_BYTES + FRAME_BYTES / 4);
        frame.resize(HEAD_BYTES, 0);
        Self { out, frame, section: Section::Header, number: 0 }
    }

    pub(crate) fn item(&mut self, section: Section, item: &impl BorshSerialize) -> Result<(), E> {
        if section != self.section || self.frame.len() >= FRAME_BYTES {
            self.close()?;
            self.section = section;
        }
        item.serialize(&mut self.frame).expect("memory takes it, and no figure is not-a-number");
        Ok(())
    }

    fn close(&mut self) -> Result<(), E> {
        if self.frame.len() == HEAD_BYTES && self.section != Section::End {
            return Ok(());
        }
        let length = (self.frame.len() - HEAD_BYTES) as u32;
        self.frame[..4].copy_from_slice(&self.number.to_le_bytes());
        self.frame[4..8].copy_from_slice(&self.section.tag());
        self.frame[8..12].copy_from_slice(&length.to_le_bytes());
        let sum = checksum(&self.frame[..12], &self.frame[HEAD_BYTES..]);
        self.frame[12..HEAD_BYTES].copy_from_slice(&sum.to_le_bytes());
        self.number += 1;
        (self.out)(&self.frame)?;
        self.frame.truncate(HEAD_BYTES);
        Ok(())
    }

    pub(super) fn end(mut self) -> Result<(), E> {
        self.close()?;
        self.section = Section::End;
        self.close()
    }
}

fn checksum(head: &[u8], items: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(items);
    hasher.finalize()
}

/// Items on their way in.
pub(crate) struct Reader<'a> {
    /// What is left, and where that begins.
    rest: &'a [u8],
    at: usize,
    number: u32,
}

impl<'a> Reader<'a> {
    pub(super) fn new(rest: &'a [u8], at: usize) -> Self {
        Self { rest, at, number: 0 }
    }

    /// Where what is left begins.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Bytes that are left: no table has more items.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    /// The items of a section, in order; there may be none.
    pub(crate) fn each<T: BorshDeserialize>(
        &mut self,
        section: Section,
        mut each: impl FnMut(T) -> Result<(), &'static str>,
    ) -> Result<(), StateError> {
        while let Some(mut items) = self.frame(section)? {
            let end = self.at;
            while !items.is_empty() {
                let damaged = |left: usize| StateError::Damaged { at: end - left };
                let left = items.len();
                let item = T::deserialize(&mut items).map_err(|_| damaged(left))?;
                if items.len() == left {
                    return Err(damaged(left));
                }
                each(item).map_err(|what| StateError::Inconsistent { what })?;
            }
        }
        Ok(())
    }

    /// The only item of a section.
    pub(crate) fn one<T: BorshDeserialize>(&mut self, section: Section) -> Result<T, StateError> {
        let (at, mut found) = (self.at, None);
        self.each(section, |item| match found.replace(item) {
            None => Ok(()),
            Some(_) => Err("a part stands twice"),
        })?;
        found.ok_or(StateError::Damaged { at })
    }

    /// Makes sure that this was all.
    pub(super) fn end(mut self) -> Result<(), StateError> {
        match self.frame(Section::End)? {
            Some([]) if self.rest.is_empty() => Ok(()),
            _ => Err(StateError::Damaged { at: self.at }),
        }
    }

    /// The next frame, if it is of this section.
    fn frame(&mut self, section: Section) -> Result<Option<&'a [u8]>, StateError> {
        let cut_off = StateError::Truncated { at: self.at };
        let Some((head, rest)) = self.rest.split_first_chunk::<HEAD_BYTES>() else {
            return Err(cut_off);
        };
        if head[4..8] != section.tag() {
            return Ok(None);
        }
        let number = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|n| head[at + n]));
        let Some((items, rest)) = rest.split_at_checked(number(8) as usize) else {
            return Err(cut_off);
        };
        if number(0) != self.number || number(12) != checksum(&head[..12], items) {
            return Err(StateError::Damaged { at: self.at });
        }
        self.number += 1;
        self.at += HEAD_BYTES + items.len();
        self.rest = rest;
        Ok(Some(items))
    }
}
