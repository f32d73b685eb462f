//! Which input positions are safe to commit: all before the first one with an output that is not
//! yet acknowledged.

use std::collections::VecDeque;

/// Bookkeeping of one shard.
#[derive(Debug, Default)]
pub struct Offsets {
    /// Positions with outputs on their way, oldest first, and how many.
    pending: VecDeque<(u64, u32)>,
    /// Everything before this has been decided.
    decided: u64,
    /// What was safe before: time may cause a late output of a position that is committed.
    safe: u64,
    /// Entries that `pending` has had, and those that are gone from it.
    begun: u64,
    over: u64,
}

impl Offsets {
    /// Notes that everything up to and including `position` has been decided.
    pub fn decided(&mut self, position: u64) {
        self.decided = self.decided.max(position + 1);
    }

    /// Notes one output caused by `position`, on its way to one sink.
    pub fn sent(&mut self, position: u64) {
        match self.pending.back_mut() {
            Some((last, count)) if *last == position => *count += 1,
            _ => {
                self.pending.push_back((position, 1));
                self.begun += 1;
            }
        }
    }

    /// Notes that one output caused by `position` has arrived.
    pub fn acknowledged(&mut self, position: u64) {
        if let Some((_, count)) =
            self.pending.iter_mut().find(|(p, count)| *p == position && *count > 0)
        {
            *count -= 1;
        }
        while self.pending.front().is_some_and(|&(_, count)| count == 0) {
            self.pending.pop_front();
            self.over += 1;
        }
    }

    /// The next position that must be read again after a restart.
    #[must_use]
    pub fn safe(&mut self) -> u64 {
        let safe = self.pending.front().map_or(self.decided, |&(position, _)| position);
        self.safe = self.safe.max(safe);
        self.safe
    }

    /// The position after the last one that has been decided.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.decided
    }

    /// The outputs that have been sent so far, for [`Self::have_arrived`].
    #[must_use]
    pub fn sent_so_far(&self) -> u64 {
        self.begun
    }

    /// Whether all outputs that had been sent then have arrived.
    #[must_use]
    pub fn have_arrived(&self, sent_so_far: u64) -> bool {
        self.over >= sent_so_far
    }

    /// Outputs on their way.
    #[must_use]
    pub fn outstanding(&self) -> u64 {
        self.pending.iter().map(|&(_, count)| u64::from(count)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_on_its_way_holds_its_input_back() {
        let mut offsets = Offsets::default();
        offsets.sent(3);
        offsets.sent(3);
        offsets.decided(3);
        offsets.sent(5);
        offsets.decided(7);
        assert_eq!((offsets.safe(), offsets.outstanding()), (3, 3));
        let sent = offsets.sent_so_far();
        offsets.acknowledged(5);
        assert_eq!(offsets.safe(), 3, "out of order: the earlier one is still on its way");
        offsets.acknowledged(3);
        assert_eq!(offsets.safe(), 3);
        // Sent later, by time: it is not asked for.
        offsets.sent(7);
        assert!(!offsets.have_arrived(sent));
        offsets.acknowledged(3);
        assert!(offsets.have_arrived(sent) && !offsets.have_arrived(offsets.sent_so_far()));
        offsets.acknowledged(7);
        assert_eq!((offsets.safe(), offsets.outstanding()), (8, 0));
    }
}
