//! Several sources read as one, in turn.

use std::time::Duration;

use super::{Input, Polled, Shard, Source, SourceError};

/// Sources with shards of different names.
pub struct Several {
    sources: Vec<Box<dyn Source>>,
    ended: Vec<bool>,
}

impl Several {
    /// One source of many.
    #[must_use]
    pub fn new(sources: Vec<Box<dyn Source>>) -> Self {
        let ended = vec![false; sources.len()];
        Self { sources, ended }
    }
}

impl Source for Several {
    fn poll(
        &mut self,
        timeout: Duration,
        each: &mut dyn FnMut(Input<'_>),
    ) -> Result<Polled, SourceError> {
        let share = timeout / u32::try_from(self.sources.len().max(1)).unwrap_or(u32::MAX);
        let mut busy = false;
        for (source, ended) in self.sources.iter_mut().zip(&mut self.ended) {
            if *ended {
                continue;
            }
            // While one of them is busy, the others are only looked at.
            let wait = if busy { Duration::ZERO } else { share };
            match source.poll(wait, each)? {
                Polled::Busy => busy = true,
                Polled::Idle => {}
                Polled::End => *ended = true,
            }
        }
        Ok(match busy {
            true => Polled::Busy,
            false if self.ended.iter().all(|&ended| ended) => Polled::End,
            false => Polled::Idle,
        })
    }

    fn drain(&mut self, each: &mut dyn FnMut(Input<'_>)) -> Result<(), SourceError> {
        self.sources.iter_mut().try_for_each(|source| source.drain(each))
    }

    fn commit(&mut self, shard: &Shard, next: u64) {
        // Each source knows its own shards and ignores the others'.
        self.sources.iter_mut().for_each(|source| source.commit(shard, next));
    }

    fn close(&mut self) {
        self.sources.iter_mut().for_each(|source| source.close());
    }
}
