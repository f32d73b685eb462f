//! What is counted of what is posted to us.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::wire::BodyError;

/// Why a body was refused as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    /// The queue is full.
    QueueFull,
    /// Too many bodies are being received.
    Overloaded,
    /// Larger than the limit.
    TooLarge,
    /// Not complete in time.
    TooSlow,
    /// The connection broke.
    BrokenOff,
    /// Not JSON by its own word.
    MediaType,
    /// Nothing in it.
    Empty,
    /// Compressed.
    Compressed,
    /// Not UTF-8.
    Encoding,
    /// Nested too deep.
    TooDeep,
    /// No JSON.
    Json,
    /// JSON of another shape.
    Shape,
}

impl Refusal {
    const ALL: [(Self, &'static str); 12] = [
        (Self::QueueFull, "queue_full"),
        (Self::Overloaded, "overloaded"),
        (Self::TooLarge, "too_large"),
        (Self::TooSlow, "too_slow"),
        (Self::BrokenOff, "broken_off"),
        (Self::MediaType, "media_type"),
        (Self::Empty, "empty"),
        (Self::Compressed, "compressed"),
        (Self::Encoding, "encoding"),
        (Self::TooDeep, "too_deep"),
        (Self::Json, "json"),
        (Self::Shape, "shape"),
    ];

    /// The refusal that an error of the decoder leads to.
    pub(super) fn of(error: &BodyError) -> Self {
        let class = error.class();
        let found = Self::ALL.iter().find(|(_, name)| *name == class);
        found.map_or(Self::Json, |(refusal, _)| *refusal)
    }
}

/// Counters of the intake.
#[derive(Debug, Default)]
pub struct IntakeCounters {
    firing: AtomicU64,
    resolved: AtomicU64,
    truncated: AtomicU64,
    refused: [AtomicU64; Refusal::ALL.len()],
}

impl IntakeCounters {
    pub(super) fn received(&self, firing: u64, resolved: u64, truncated: u64) {
        self.firing.fetch_add(firing, Ordering::Relaxed);
        self.resolved.fetch_add(resolved, Ordering::Relaxed);
        self.truncated.fetch_add(truncated, Ordering::Relaxed);
    }

    pub(super) fn refused(&self, why: Refusal) {
        let at = Refusal::ALL.iter().position(|(known, _)| *known == why);
        self.refused[at.unwrap_or_default()].fetch_add(1, Ordering::Relaxed);
    }

    /// Alerts accepted, by status.
    #[must_use]
    pub fn alerts(&self) -> [(&'static str, u64); 2] {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [("firing", load(&self.firing)), ("resolved", load(&self.resolved))]
    }

    /// Alerts that senders said they left out.
    #[must_use]
    pub fn truncated(&self) -> u64 {
        self.truncated.load(Ordering::Relaxed)
    }

    /// Bodies refused as a whole, by reason.
    #[must_use]
    pub fn refusals(&self) -> Vec<(&'static str, u64)> {
        let names = Refusal::ALL.iter().map(|(_, name)| *name);
        names.zip(self.refused.iter().map(|count| count.load(Ordering::Relaxed))).collect()
    }
}
