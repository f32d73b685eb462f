//! Decision latency in fixed buckets: one comparison chain and two additions an event.

/// Upper bounds of the buckets, in nanoseconds: 1 µs to 10 ms.
const BOUNDS: [u64; 13] = [
    1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000,
    5_000_000, 10_000_000,
];

/// A histogram of decision latencies.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Latency {
    counts: [u64; BOUNDS.len() + 1],
    sum_nanos: u64,
}

impl Latency {
    /// Counts one event.
    pub fn record(&mut self, nanos: u64) {
        let bucket = BOUNDS.partition_point(|bound| *bound < nanos);
        self.counts[bucket] += 1;
        self.sum_nanos = self.sum_nanos.saturating_add(nanos);
    }

    /// How many events were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their sum.
    #[must_use]
    pub fn sum_seconds(&self) -> f64 {
        self.sum_nanos as f64 / 1e9
    }

    /// Upper bounds in seconds with the events in each bucket alone.
    #[must_use]
    pub fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS.iter().map(|nanos| *nanos as f64 / 1e9);
        let bounds = bounds.chain([f64::INFINITY]);
        bounds.zip(self.counts).collect()
    }
}
