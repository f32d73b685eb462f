//! Alerts that were posted to us, as a source: the queue between the HTTP server and the engine.
//!
//! The server answers once a body is in this queue; it never waits for the engine or for a sink.
//! The queue is bounded in bodies and bytes, and what does not fit is refused, so that memory stays
//! bounded while outputs are slow, and the sender knows. Log time is the moment at which a body was
//! accepted, and never goes back.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hypocenter_engine::Timestamp;

use super::{Arrival, Assignment, Input, Polled, Shard, Source, SourceError};
use crate::wire::Batch;

/// Name of the input in records and metrics.
pub const INPUT: &str = "http";
/// Longest wait in one poll.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Wake-ups of the engine's thread are this far apart when they have been so often for
/// [`WAKE_SLACK`]. Waking a thread costs many times what a small body does, so past 2,000 a second
/// bodies wait for each other; below, each one is decided at once.
const WAKE_SPACING: Duration = Duration::from_micros(500);
/// How much earlier than spaced out wake-ups may come.
const WAKE_SLACK: Duration = Duration::from_millis(20);

/// Bounds of the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueLimits {
    /// Bodies that may wait.
    pub bodies_max: usize,
    /// Bytes that these may have together.
    pub bytes_max: usize,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self { bodies_max: 10_000, bytes_max: 64 << 20 }
    }
}

/// Bodies that are accepted and not yet decided. Clones are the same queue.
#[derive(Clone, Debug)]
pub struct Queue(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: QueueLimits,
    clock: fn() -> Timestamp,
    state: Mutex<State>,
    filled: Condvar,
    bodies: AtomicU64,
    bytes: AtomicU64,
}

#[derive(Debug)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Promised, waiting, or being decided.
    bodies: usize,
    bytes: usize,
    last: Timestamp,
    is_closed: bool,
    is_awaited: bool,
}

#[derive(Debug)]
struct Waiting {
    time: Timestamp,
    received: Instant,
    bytes: usize,
    batch: Batch,
}

/// A place in the queue. Dropped without use, it is free again.
#[derive(Debug)]
pub struct Place {
    queue: Queue,
    /// The body's size, until its place is used.
    bytes: Option<usize>,
}

impl Queue {
    /// An empty queue. `clock` is the wall clock.
    #[must_use]
    pub fn new(limits: QueueLimits, clock: fn() -> Timestamp) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            bodies: 0,
            bytes: 0,
            last: Timestamp::MIN,
            is_closed: false,
            is_awaited: false,
        };
        Self(Arc::new(Shared {
            limits,
            clock,
            state: Mutex::new(state),
            filled: Condvar::new(),
            bodies: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether even the smallest body would be refused now.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let state = self.state();
        state.is_closed
            || state.bodies >= self.0.limits.bodies_max
            || state.bytes >= self.0.limits.bytes_max
    }

    /// A place for a body of so many bytes; `None` when the queue is full or closed.
    #[must_use]
    pub fn place(&self, bytes: usize) -> Option<Place> {
        let mut state = self.state();
        let limits = self.0.limits;
        if state.is_closed || state.bodies >= limits.bodies_max {
            return None;
        }
        // A body that is larger than the whole queue may still come alone.
        if state.bytes > 0 && state.bytes + bytes > limits.bytes_max {
            return None;
        }
        state.bodies += 1;
        state.bytes += bytes;
        self.show(&state);
        Some(Place { queue: self.clone(), bytes: Some(bytes) })
    }

    /// Whether nothing waits, and something may still come.
    fn is_idle(&self) -> bool {
        let state = self.state();
        state.waiting.is_empty() && !state.is_closed
    }

    /// Takes nothing in any more.
    pub fn close(&self) {
        self.state().is_closed = true;
        self.0.filled.notify_all();
    }

    /// Bodies and bytes in it.
    #[must_use]
    pub fn size(&self) -> (u64, u64) {
        (self.0.bodies.load(Ordering::Relaxed), self.0.bytes.load(Ordering::Relaxed))
    }

    /// Its bounds.
    #[must_use]
    pub fn limits(&self) -> QueueLimits {
        self.0.limits
    }

    fn show(&self, state: &State) {
        self.0.bodies.store(state.bodies as u64, Ordering::Relaxed);
        self.0.bytes.store(state.bytes as u64, Ordering::Relaxed);
    }

    fn free(&self, bodies: usize, bytes: usize) {
        let mut state = self.state();
        state.bodies = state.bodies.saturating_sub(bodies);
        state.bytes = state.bytes.saturating_sub(bytes);
        self.show(&state);
    }
}

impl Place {
    /// Puts a body here that was complete at `received`.
    pub fn put(mut self, batch: Batch, received: Instant) {
        // The place is the body's from here on.
        let bytes = self.bytes.take().unwrap_or_default();
        let shared = &self.queue.0;
        let mut state = self.queue.state();
        let time = (shared.clock)().max(state.last);
        state.last = time;
        state.waiting.push_back(Waiting { time, received, bytes, batch });
        let wake = std::mem::take(&mut state.is_awaited);
        drop(state);
        if wake {
            shared.filled.notify_one();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(bytes) = self.bytes {
            self.queue.free(1, bytes);
        }
    }
}

/// The queue's other end.
#[derive(Debug)]
pub struct HttpSource {
    shard: Shard,
    queue: Queue,
    /// Taken out of the queue at once.
    taken: VecDeque<Waiting>,
    position: u64,
    assigned: bool,
    pace: Pace,
}

/// Spaces out what happens too often.
#[derive(Debug)]
struct Pace {
    /// When the next one were to come if all came evenly.
    next: Instant,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { next: now.checked_sub(WAKE_SLACK).unwrap_or(now) }
    }

    /// One is about to happen: how long it is to be put off, [`WAKE_SPACING`] at most if that is
    /// kept each time.
    fn put_off(&mut self, now: Instant) -> Duration {
        let earliest = now.checked_sub(WAKE_SLACK).unwrap_or(now);
        self.next = self.next.max(earliest) + WAKE_SPACING;
        self.next.saturating_duration_since(now)
    }
}

impl HttpSource {
    /// The source of what is put into `queue`: one shard, `http`/0.
    #[must_use]
    pub fn new(queue: Queue) -> Self {
        let shard = Shard { input: INPUT.to_owned(), partition: 0 };
        let pace = Pace::new(Instant::now());
        Self { shard, queue, taken: VecDeque::new(), position: 0, assigned: false, pace }
    }

    /// Waits for bodies; whether there are any. `None` when none will come any more.
    fn wait(&mut self, timeout: Duration) -> Option<bool> {
        let began = Instant::now();
        let until = began + timeout.min(PAUSE_MAX);
        let put_off = if self.queue.is_idle() { self.pace.put_off(began) } else { Duration::ZERO };
        if !put_off.is_zero() {
            std::thread::sleep(put_off.min(timeout));
        }
        let mut state = self.queue.state();
        loop {
            if !state.waiting.is_empty() {
                std::mem::swap(&mut self.taken, &mut state.waiting);
                return Some(true);
            }
            if state.is_closed {
                return None;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Some(false);
            }
            state.is_awaited = true;
            let waited = self.queue.0.filled.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.is_awaited = false;
        }
    }

    fn hand_out(&mut self, each: &mut dyn FnMut(Input<'_>)) {
        while let Some(waiting) = self.taken.pop_front() {
            let Waiting { time, received, bytes, batch } = waiting;
            self.position += 1;
            let (shard, position) = (&self.shard, self.position);
            each(Input::Batch(&Arrival { shard, position, time, received, batch: &batch }));
            self.queue.free(1, bytes);
        }
        if self.queue.state().waiting.is_empty() {
            each(Input::CaughtUp(&self.shard));
        }
    }
}

impl Source for HttpSource {
    fn poll(
        &mut self,
        timeout: Duration,
        each: &mut dyn FnMut(Input<'_>),
    ) -> Result<Polled, SourceError> {
        if !self.assigned {
            self.assigned = true;
            let shard = self.shard.clone();
            each(Input::Assigned(&Assignment { shard, committed: None, start: None }));
        }
        match self.wait(timeout) {
            None => Ok(Polled::End),
            Some(found) => {
                self.hand_out(each);
                Ok(if found { Polled::Busy } else { Polled::Idle })
            }
        }
    }

    fn drain(&mut self, each: &mut dyn FnMut(Input<'_>)) -> Result<(), SourceError> {
        self.queue.close();
        while self.poll(Duration::ZERO, each)? != Polled::End {}
        Ok(())
    }

    fn commit(&mut self, _shard: &Shard, _next: u64) {}

    fn close(&mut self) {
        self.queue.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(bodies_max: usize, bytes_max: usize) -> Queue {
        Queue::new(QueueLimits { bodies_max, bytes_max }, || Timestamp::from_millis(7))
    }

    fn put(queue: &Queue, bytes: usize) -> bool {
        let place = queue.place(bytes);
        place.map(|place| place.put(Batch::default(), Instant::now())).is_some()
    }

    fn positions(source: &mut HttpSource) -> (Polled, Vec<u64>, bool) {
        let (mut positions, mut caught_up) = (Vec::new(), false);
        let polled = source.poll(Duration::ZERO, &mut |input| match input {
            Input::Batch(arrival) => positions.push(arrival.position),
            Input::CaughtUp(_) => caught_up = true,
            _ => {}
        });
        (polled.expect("no failure"), positions, caught_up)
    }

    #[test]
    fn bodies_and_bytes_are_bounded_and_free_again_once_decided() {
        let queue = queue(2, 100);
        let mut source = HttpSource::new(queue.clone());
        assert_eq!(positions(&mut source), (Polled::Idle, vec![], true));
        let unused = queue.place(90).expect("room");
        assert!(queue.place(20).is_none(), "bytes");
        drop(unused);
        assert!(put(&queue, 30) && put(&queue, 30));
        assert!(queue.is_full() && !put(&queue, 1), "bodies");
        assert_eq!(queue.size(), (2, 60));
        assert_eq!(positions(&mut source), (Polled::Busy, vec![1, 2], true));
        assert_eq!(queue.size(), (0, 0));
        assert!(put(&queue, 1_000), "a large one may come alone");
        assert!(!put(&queue, 1));
        assert_eq!(positions(&mut source).1, [3]);
    }

    #[test]
    fn what_was_accepted_is_handed_out_at_the_end() {
        let queue = queue(10, 100);
        let mut source = HttpSource::new(queue.clone());
        assert!(put(&queue, 1) && put(&queue, 1));
        let mut count = 0;
        let drained =
            source.drain(&mut |input| count += u32::from(matches!(input, Input::Batch(_))));
        assert!(drained.is_ok());
        assert_eq!(count, 2);
        assert!(!put(&queue, 1), "closed");
        assert_eq!(positions(&mut source).0, Polled::End);
    }

    #[test]
    fn wake_ups_are_put_off_only_once_there_are_too_many() {
        let begun = Instant::now();
        let put_offs = |every: Duration| {
            let (mut pace, mut now) = (Pace::new(begun), begun);
            let mut longest = Duration::ZERO;
            for _ in 0..1_000 {
                let put_off = pace.put_off(now);
                longest = longest.max(put_off);
                now += put_off + every;
            }
            (longest, (now - begun) / 1_000)
        };
        assert_eq!(put_offs(WAKE_SPACING).0, Duration::ZERO);
        let (longest, mean) = put_offs(Duration::from_micros(50));
        assert!(longest <= WAKE_SPACING, "{longest:?}");
        assert!(mean.abs_diff(WAKE_SPACING) < Duration::from_micros(25), "{mean:?}");
    }

    #[test]
    fn a_waiting_engine_is_woken() {
        let queue = queue(10, 100);
        let mut source = HttpSource::new(queue.clone());
        let sender = std::thread::spawn(move || put(&queue, 1));
        let mut count = 0;
        while count == 0 {
            let polled = source.poll(Duration::from_secs(10), &mut |input| {
                count += u32::from(matches!(input, Input::Batch(_)));
            });
            assert_ne!(polled.ok(), Some(Polled::Idle), "woken before the timeout");
        }
        assert!(sender.join().expect("no panic"));
    }
}
