//! Counts of what this process allocates, which the binary's allocator keeps.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

static CALLS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicI64 = AtomicI64::new(0);

/// Notes that memory was allocated or grown, or given back with `bytes` below zero.
pub fn note(calls: u64, bytes: i64) {
    CALLS.fetch_add(calls, Ordering::Relaxed);
    BYTES.fetch_add(bytes, Ordering::Relaxed);
}

/// Calls so far that asked for memory. Zero where no allocator counts: in tests.
#[must_use]
pub fn calls() -> u64 {
    CALLS.load(Ordering::Relaxed)
}

/// Bytes asked for and not given back.
#[must_use]
pub fn live_bytes() -> i64 {
    BYTES.load(Ordering::Relaxed)
}
