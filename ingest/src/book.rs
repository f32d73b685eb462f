//! The alerts that were posted to us, as Alertmanager would show them: labels and annotations whole,
//! merged by its rules. For readers only; no decision is made from it.
//!
//! The server writes it when a body is accepted, so a reader sees at once what it has just posted.
//! Most of what is posted is known but for its times. So an alert is found, and its texts compared,
//! by hashes whose key nobody outside knows, and its times lie in the table itself: a repeat costs
//! one place in memory. The table has a lock for each part, held for one alert at a time, and its
//! memory is bounded: past that new alerts are decided like all others and only not shown.

mod stored;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hypocenter_engine::{Span, Status, Timestamp};

use stored::Lifetime;
pub use stored::{Pairs, Stored};

use crate::wire::Decoded;

/// Parts that are locked one by one.
const PARTS: usize = 64;
/// How long an alert that is over is kept, to be merged with what a second replica says of it.
const KEEP: Span = Span::from_secs(15 * 60);
/// From the tidying of one part to that of the next, in milliseconds.
const TIDY_EVERY: i64 = 200;

/// The alerts that were posted to us.
#[derive(Debug)]
pub struct Book {
    parts: Vec<Mutex<Part>>,
    hashes: ahash::RandomState,
    replica: Vec<String>,
    resolve_timeout: Span,
    bytes_max: usize,
    bytes: AtomicUsize,
    left_out: AtomicU64,
    /// When a part was last tidied, in milliseconds, and how many were so far.
    tidied: (AtomicI64, AtomicUsize),
}

/// Alerts by the keyed hash of their labels.
type Part = HashMap<u64, Stored, BuildHasherDefault<Hashed>>;

/// Hashes what is a hash already.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.0 = self.0.rotate_left(8) ^ u64::from(byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl Book {
    /// An empty book. `replica` labels are not part of an alert; one without an end is over after
    /// `resolve_timeout`.
    #[must_use]
    pub fn new(replica: &[String], resolve_timeout: Span, bytes_max: usize) -> Arc<Self> {
        // The standard library's keys are random.
        let seed = |n: u64| RandomState::new().hash_one(n);
        Arc::new(Self {
            parts: (0..PARTS).map(|_| Mutex::default()).collect(),
            hashes: ahash::RandomState::with_seeds(seed(1), seed(2), seed(3), seed(4)),
            replica: replica.to_vec(),
            resolve_timeout,
            bytes_max,
            bytes: AtomicUsize::new(0),
            left_out: AtomicU64::new(0),
            tidied: (AtomicI64::new(i64::MIN), AtomicUsize::new(0)),
        })
    }

    fn part(&self, at: usize) -> MutexGuard<'_, Part> {
        // An alert is replaced at once: what a panicking thread left is whole.
        self.parts[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an alert that was accepted at `now`.
    pub fn note(&self, decoded: &Decoded<'_>, now: Timestamp) {
        let lifetime = self.lifetime(decoded, now);
        let (key, details) = self.hashes_of(decoded);
        // The table uses the lowest and the highest bits itself.
        let mut part = self.part((key >> 32) as usize % PARTS);
        if let Some(known) = part.get_mut(&key) {
            if known.details != details {
                let before = known.bytes();
                known.take(&decoded.details, details);
                self.bytes.fetch_add(known.bytes(), Ordering::Relaxed);
                self.bytes.fetch_sub(before, Ordering::Relaxed);
            }
            known.merge(lifetime, now);
            return;
        }
        let pairs = decoded.event.labels.pairs().iter().copied();
        let labels = pairs.filter(|(name, _)| !self.is_replica(name));
        let fingerprint = decoded.event.labels.fingerprint_without(&self.replica);
        let stored = Stored::new(fingerprint, labels, (&decoded.details, details), lifetime, now);
        let bytes = stored.bytes();
        if self.bytes.load(Ordering::Relaxed) + bytes > self.bytes_max {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        part.insert(key, stored);
    }

    fn is_replica(&self, name: &str) -> bool {
        self.replica.iter().any(|replica| replica == name)
    }

    /// Hashes of what an alert is, and of what else is shown of it.
    fn hashes_of(&self, decoded: &Decoded<'_>) -> (u64, u64) {
        // Each text with its length, which `write` takes in.
        let mut labels = self.hashes.build_hasher();
        for (name, value) in decoded.event.labels.pairs() {
            if !self.is_replica(name) {
                labels.write(name.as_bytes());
                labels.write(value.as_bytes());
            }
        }
        let mut details = self.hashes.build_hasher();
        details.write(decoded.details.generator_url.unwrap_or_default().as_bytes());
        for (name, value) in decoded.details.annotations() {
            details.write(name.as_bytes());
            details.write(value.as_bytes());
        }
        (labels.finish(), details.finish())
    }

    /// Start and end by Alertmanager's defaults, and whether the end is one.
    fn lifetime(&self, decoded: &Decoded<'_>, now: Timestamp) -> Lifetime {
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
    pub fn firing(&self, now: Timestamp) -> Vec<Stored> {
        let mut list: Vec<Stored> = Vec::new();
        for at in 0..PARTS {
            let part = self.part(at);
            list.extend(part.values().filter(|alert| alert.ends_at > now).cloned());
        }
        list.sort_unstable_by_key(|alert| alert.fingerprint);
        list
    }

    /// Now and then forgets alerts of one part that have long been over.
    pub fn tidy(&self, now: Timestamp) {
        let (last, turn) = &self.tidied;
        let (before, millis) = (last.load(Ordering::Relaxed), now.as_millis());
        // A clock that was set back must not put it off.
        if before <= millis && millis.saturating_sub(before) < TIDY_EVERY {
            return;
        }
        last.store(millis, Ordering::Relaxed);
        let turn = turn.fetch_add(1, Ordering::Relaxed);
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
