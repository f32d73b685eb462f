//! Pauses between attempts: twice as long each time, with jitter.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// How long to pause after failures in a row.
#[derive(Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, failures: 0 }
    }

    /// Failures since the last success.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// The pause after one more failure: between half of the full one and all of it, so that many
    /// senders do not come back at the same moment.
    pub(crate) fn failed(&mut self) -> Duration {
        let factor = 1u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        let full = self.min.saturating_mul(factor).min(self.max);
        // Every `RandomState` is seeded differently: randomness enough for a pause.
        let random = RandomState::new().build_hasher().finish() as u32;
        full.mul_f64(0.5 + 0.5 * f64::from(random) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
        let mut full = 0.1f64;
        for _ in 0..50 {
            let pause = backoff.failed().as_secs_f64();
            assert!(pause >= full * 0.499 && pause <= full * 1.001, "{pause} {full}");
            full = (full * 2.0).min(30.0);
        }
        backoff.succeeded();
        assert!(backoff.failed() <= Duration::from_millis(100));
    }
}
