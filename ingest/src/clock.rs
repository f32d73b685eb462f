//! The wall clock, and what it says of log time. Nothing below this layer can read a clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hypocenter_engine::{Span, Timestamp};

/// The time of day.
#[must_use]
pub fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// Notices when the wall clock is set: what was learned from it is void then.
#[derive(Clone, Copy, Debug, Default)]
pub struct StepWatch {
    last: Option<(Timestamp, Instant)>,
}

impl StepWatch {
    /// Whether the wall clock has moved otherwise than time itself since the last call.
    pub fn has_stepped(&mut self, wall: Timestamp, monotonic: Instant) -> bool {
        let last = self.last.replace((wall, monotonic));
        last.is_some_and(|(wall_before, before)| {
            let passed = monotonic.saturating_duration_since(before).as_nanos();
            let shown = i128::from(wall.as_nanos()) - i128::from(wall_before.as_nanos());
            (shown - i128::try_from(passed).unwrap_or(i128::MAX)).abs() > STEP_NANOS
        })
    }
}

/// A difference between two clocks that no slewing explains between two looks.
const STEP_NANOS: i128 = 1_000_000_000;

/// How far an idle tick stays behind: a record stamped before the tick has this long to arrive.
const SLACK: Span = Span::from_millis(500);

/// Estimates log time while no record comes, so that deadlines fall due in an idle shard.
///
/// Log time is the broker's, whose clock is not ours, and in a replayed topic it is long past.
/// The least delay seen between a record's log time and its arrival is taken for the difference of
/// the two clocks: no record so far has come from later than that. See decision 0001.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogClock {
    /// Arrival minus log time of the promptest record, in nanoseconds.
    delay: Option<i64>,
}

impl LogClock {
    /// One that has learned this before, in another process.
    #[must_use]
    pub fn with(delay: Option<i64>) -> Self {
        Self { delay }
    }

    /// What it has learned, in nanoseconds.
    #[must_use]
    pub fn delay(&self) -> Option<i64> {
        self.delay
    }

    /// Notes a record's log time and when it arrived.
    pub fn note(&mut self, log_time: Timestamp, arrived: Timestamp) {
        let delay = arrived.as_nanos().saturating_sub(log_time.as_nanos());
        self.delay = Some(self.delay.map_or(delay, |least| least.min(delay)));
    }

    /// The log time that has surely passed at wall time `now`, if any record has come at all.
    #[must_use]
    pub fn passed(&self, now: Timestamp) -> Option<Timestamp> {
        let log = now.as_nanos().saturating_sub(self.delay?);
        Some(Timestamp::from_nanos(log).minus(SLACK))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_noticed() {
        let (ms, start) = (Timestamp::from_millis, Instant::now());
        let later = |secs| start + std::time::Duration::from_secs(secs);
        let mut watch = StepWatch::default();
        assert!(!watch.has_stepped(ms(0), start));
        assert!(!watch.has_stepped(ms(10_100), later(10)), "slewed");
        assert!(watch.has_stepped(ms(3_620_000), later(20)), "an hour ahead");
        assert!(!watch.has_stepped(ms(3_630_000), later(30)));
        assert!(watch.has_stepped(ms(40_000), later(40)), "and back");
    }

    #[test]
    fn log_time_follows_the_promptest_record() {
        let ms = Timestamp::from_millis;
        let mut clock = LogClock::default();
        assert_eq!(clock.passed(ms(10_000)), None);
        clock.note(ms(1_000), ms(61_000));
        clock.note(ms(2_000), ms(61_900));
        assert_eq!(clock.passed(ms(62_900)), Some(ms(2_500)));
        // A broker whose clock is ahead of ours.
        clock.note(ms(70_000), ms(69_000));
        assert_eq!(clock.passed(ms(70_000)), Some(ms(70_500)));
    }
}
