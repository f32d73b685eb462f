//! Quantiles of what was measured in batches.

use serde::{Deserialize, Serialize};

/// Nanoseconds for each event, over batches: what lies within a batch is not told apart, and a
/// batch in which the machine stood still is far up.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct PerEvent {
    /// The fastest batch: closest to what the hardware can do.
    pub min: f64,
    /// A tenth of the batches are faster.
    pub p10: f64,
    /// The median.
    pub p50: f64,
    /// A tenth of the batches are slower.
    pub p90: f64,
    /// One of a hundred batches is slower.
    pub p99: f64,
    /// The sum over all batches, stalls of the machine included.
    pub mean: f64,
}

/// Batches of a run.
#[derive(Clone, Debug, Default)]
pub struct Batches {
    per_event: Vec<f64>,
    nanos: u64,
    events: u64,
}

impl Batches {
    /// Notes a batch. One without events is none.
    pub fn note(&mut self, nanos: u64, events: u64) {
        if events > 0 {
            self.per_event.push(nanos as f64 / events as f64);
            self.nanos += nanos;
            self.events += events;
        }
    }

    /// Events in all of them.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The figures; all zero without a batch.
    #[must_use]
    pub fn per_event(&self) -> PerEvent {
        let mut sorted = self.per_event.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = (share * sorted.len() as f64) as usize;
            sorted.get(rank.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
        };
        let mean = self.nanos as f64 / self.events.max(1) as f64;
        PerEvent { min: at(0.0), p10: at(0.1), p50: at(0.5), p90: at(0.9), p99: at(0.99), mean }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_batches_and_the_mean_of_events() {
        let mut batches = Batches::default();
        assert_eq!(batches.per_event(), PerEvent::default());
        (1..=99).for_each(|nanos| batches.note(nanos * 10, 10));
        batches.note(1_000_000, 100);
        batches.note(77, 0);
        let found = batches.per_event();
        assert_eq!((found.min, found.p10, found.p50), (1.0, 11.0, 51.0));
        assert_eq!((found.p90, found.p99), (91.0, 10_000.0));
        assert_eq!(batches.events(), 1_090);
        assert!((found.mean - 1_049_500.0 / 1_090.0).abs() < 1e-9);
    }
}
