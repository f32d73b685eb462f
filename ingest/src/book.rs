//! The alerts that were posted to us, as Alertmanager would show them: labels and annotations whole,
//! merged by its rules. For readers only; no decision is made from it.
//!
//! The server writes it when a body is accepted, so a reader sees at once what it has just posted.
//! It has a lock for each part of the fingerprints, held for one alert at a time, and its memory is
//! bounded: past that new alerts are decided like all others and only not shown.

mod stored;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hypocenter_engine::{Fingerprint, Span, Status, Timestamp};

pub use stored::{Pairs, Stored};

use crate::wire::Decoded;

/// Parts that are locked one by one.
const PARTS: usize = 64;
/// How long an alert that is over is kept, to be merged with what a second replica says of it.
const KEEP: Span = Span::from_secs(15 * 60);

/// The alerts that were posted to us.
#[derive(Debug)]
pub struct Book {
    parts: Vec<Mutex<HashMap<Fingerprint, Arc<Stored>>>>,
    replica: Vec<String>,
    resolve_timeout: Span,
    bytes_max: usize,
    bytes: AtomicUsize,
    left_out: AtomicU64,
}

impl Book {
    /// An empty book. `replica` labels are not part of an alert; one without an end is over after
    /// `resolve_timeout`.
    #[must_use]
    pub fn new(replica: &[String], resolve_timeout: Span, bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            parts: (0..PARTS).map(|_| Mutex::default()).collect(),
            replica: replica.to_vec(),
            resolve_timeout,
            bytes_max,
            bytes: AtomicUsize::new(0),
            left_out: AtomicU64::new(0),
        })
    }

    fn part(&self, at: usize) -> MutexGuard<'_, HashMap<Fingerprint, Arc<Stored>>> {
        // An alert is replaced at once: what a panicking thread left is whole.
        self.parts[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an alert that was accepted at `now`.
    pub fn note(&self, decoded: &Decoded<'_>, now: Timestamp) {
        let event = &decoded.event;
        let fingerprint = event.labels.fingerprint_without(&self.replica);
        let (starts_at, ends_at, timeout) = self.span(decoded, now);
        let mut part = self.part(fingerprint.0 as usize % PARTS);
        let labels = || {
            event
                .labels
                .pairs()
                .iter()
                .copied()
                .filter(|(n, _)| !self.replica.iter().any(|r| r == n))
        };
        if let Some(known) = part.get_mut(&fingerprint) {
            let before = known.bytes();
            let known = Arc::make_mut(known);
            known.take(labels(), &decoded.details, now);
            known.merge((starts_at, ends_at, timeout), now);
            let after = known.bytes();
            self.bytes.fetch_add(after, Ordering::Relaxed);
            self.bytes.fetch_sub(before, Ordering::Relaxed);
            return;
        }
        let stored = Stored::new(
            fingerprint,
            labels(),
            &decoded.details,
            (starts_at, ends_at, timeout),
            now,
        );
        let bytes = stored.bytes();
        if self.bytes.load(Ordering::Relaxed) + bytes > self.bytes_max {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        part.insert(fingerprint, Arc::new(stored));
    }

    /// Start and end by Alertmanager's defaults, and whether the end is one.
    fn span(&self, decoded: &Decoded<'_>, now: Timestamp) -> (Timestamp, Timestamp, bool) {
        let event = &decoded.event;
        // A webhook may say that an alert fires whose end has passed.
        let given = event.ends_at.filter(|&end| event.status != Some(Status::Firing) || end > now);
        let timeout = given.is_none() && event.status != Some(Status::Resolved);
        let ends_at = match given {
            Some(end) if event.status == Some(Status::Resolved) => end.min(now),
            Some(end) => end,
            None if timeout => now.plus(self.resolve_timeout),
            None => now,
        };
        let starts_at = event.starts_at.or(given).unwrap_or(now);
        (starts_at, ends_at, timeout)
    }

    /// The alerts that fire at `now`, by fingerprint.
    #[must_use]
    pub fn firing(&self, now: Timestamp) -> Vec<Arc<Stored>> {
        let mut list: Vec<Arc<Stored>> = Vec::new();
        for at in 0..PARTS {
            let part = self.part(at);
            list.extend(part.values().filter(|alert| alert.ends_at > now).cloned());
        }
        list.sort_unstable_by_key(|alert| alert.fingerprint);
        list
    }

    /// Forgets alerts of one part that have long been over.
    pub fn sweep(&self, turn: usize, now: Timestamp) {
        self.part(turn % PARTS).retain(|_, alert| {
            let keep = now.since(alert.ends_at) <= KEEP;
            if !keep {
                self.bytes.fetch_sub(alert.bytes(), Ordering::Relaxed);
            }
            keep
        });
    }

    /// Bytes of all alerts, about, and how often one was left out because there were too many.
    #[must_use]
    pub fn size(&self) -> (u64, u64) {
        (self.bytes.load(Ordering::Relaxed) as u64, self.left_out.load(Ordering::Relaxed))
    }
}
