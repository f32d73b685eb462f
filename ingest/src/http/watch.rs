//! What each connection waits for, and until when.
//!
//! Hyper bounds the time of a header only, idle time between requests included, so its clock is
//! either too short for clients that keep connections or too long for those that dribble. Here a
//! connection says in which phase it is, bytes that come move its deadline, and one sweep over all
//! connections closes those that are late. A request costs a few stores and no timer.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::Limits;
use super::measured::{Closed, HttpCounters};

/// How often deadlines are looked at: they are late by no more.
pub(super) const SWEEP: Duration = Duration::from_millis(100);
/// A late body is answered by 408; the connection is closed this much later at the latest.
const LAST_WORDS: u64 = 1_000;
const NEVER: u64 = u64::MAX;

/// What a connection is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Phase {
    /// Nothing has come yet.
    Fresh,
    /// A header has begun.
    Head,
    /// A body is being received.
    Body,
    /// A request is being answered: it is our turn.
    Handling,
    /// The last request has been answered.
    Idle,
}

impl Phase {
    const ALL: [Self; 5] = [Self::Fresh, Self::Head, Self::Body, Self::Handling, Self::Idle];
}

/// One connection's phase and deadlines, in milliseconds since the server started.
#[derive(Debug)]
pub(super) struct Watch {
    clock: Arc<AtomicU64>,
    limits: Limits,
    phase: AtomicU8,
    deadline: AtomicU64,
    write_deadline: AtomicU64,
    body_began: AtomicU64,
    body_bytes: AtomicU64,
    /// Told when the body is late, to be answered.
    late: Notify,
    task: OnceLock<AbortHandle>,
    client: IpAddr,
}

impl Watch {
    fn new(clock: &Arc<AtomicU64>, limits: &Limits, client: IpAddr) -> Self {
        let watch = Self {
            clock: Arc::clone(clock),
            limits: *limits,
            phase: AtomicU8::new(Phase::Fresh as u8),
            deadline: AtomicU64::new(NEVER),
            write_deadline: AtomicU64::new(NEVER),
            body_began: AtomicU64::new(0),
            body_bytes: AtomicU64::new(0),
            late: Notify::new(),
            task: OnceLock::new(),
            client,
        };
        watch.enter(Phase::Fresh, Some(limits.first_byte));
        watch
    }

    fn now(&self) -> u64 {
        self.clock.load(Ordering::Relaxed)
    }

    fn phase(&self) -> Phase {
        Phase::ALL[usize::from(self.phase.load(Ordering::Relaxed)).min(Phase::ALL.len() - 1)]
    }

    fn enter(&self, phase: Phase, within: Option<Duration>) {
        self.phase.store(phase as u8, Ordering::Relaxed);
        let deadline = within.map_or(NEVER, |within| self.now() + millis(within));
        self.deadline.store(deadline, Ordering::Relaxed);
    }

    /// The TLS handshake is done; its first byte is still to come.
    pub(super) fn secured(&self) {
        self.enter(Phase::Fresh, Some(self.limits.first_byte));
    }

    /// The TLS handshake begins.
    pub(super) fn handshake(&self) {
        self.enter(Phase::Fresh, Some(self.limits.handshake));
    }

    /// A body is going to be received.
    pub(super) fn body(&self) {
        self.body_began.store(self.now(), Ordering::Relaxed);
        self.body_bytes.store(0, Ordering::Relaxed);
        self.enter(Phase::Body, Some(self.limits.body_grace.min(self.limits.body)));
    }

    /// The request is complete.
    pub(super) fn handling(&self) {
        self.enter(Phase::Handling, None);
    }

    /// The answer is known. One that is streamed goes on being ours to send.
    pub(super) fn answered(&self, streamed: bool) {
        if !streamed {
            self.enter(Phase::Idle, Some(self.limits.idle));
        }
    }

    /// Completes when the body is late.
    pub(super) async fn late(&self) {
        self.late.notified().await;
    }

    /// Bytes have come.
    pub(super) fn received(&self, bytes: usize) {
        match self.phase() {
            Phase::Fresh | Phase::Idle => self.enter(Phase::Head, Some(self.limits.head)),
            Phase::Body => {
                let bytes = bytes as u64;
                let all = self.body_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
                let earned = all.saturating_mul(1_000) / self.limits.body_bytes_per_second.max(1);
                let within = millis(self.limits.body_grace).saturating_add(earned);
                let within = within.min(millis(self.limits.body));
                let deadline = self.body_began.load(Ordering::Relaxed) + within;
                self.deadline.store(deadline, Ordering::Relaxed);
            }
            Phase::Head | Phase::Handling => {}
        }
    }

    /// Whether the client takes in what is written.
    pub(super) fn writing(&self, stalled: bool) {
        if !stalled {
            self.write_deadline.store(NEVER, Ordering::Relaxed);
        } else if self.write_deadline.load(Ordering::Relaxed) == NEVER {
            let deadline = self.now() + millis(self.limits.write_stall);
            self.write_deadline.store(deadline, Ordering::Relaxed);
        }
    }

    /// Why the connection is to be closed now, if it is.
    fn verdict(&self, now: u64) -> Option<Closed> {
        if now > self.write_deadline.load(Ordering::Relaxed) {
            return Some(Closed::Write);
        }
        let deadline = self.deadline.load(Ordering::Relaxed);
        if now <= deadline {
            return None;
        }
        match self.phase() {
            Phase::Fresh => Some(Closed::FirstByte),
            Phase::Head => Some(Closed::Head),
            Phase::Idle => Some(Closed::Idle),
            Phase::Handling => None,
            Phase::Body => {
                self.late.notify_one();
                (now > deadline + LAST_WORDS).then_some(Closed::Body)
            }
        }
    }

    fn close(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(NEVER / 4)
}

/// Open connections, in the order in which they came, and how many each address has.
#[derive(Debug, Default)]
struct Open {
    watches: BTreeMap<u64, Arc<Watch>>,
    of: HashMap<IpAddr, usize>,
}

impl Open {
    fn insert(&mut self, id: u64, watch: Arc<Watch>) {
        *self.of.entry(watch.client).or_default() += 1;
        self.watches.insert(id, watch);
    }

    fn remove(&mut self, id: u64) -> Option<Arc<Watch>> {
        let watch = self.watches.remove(&id)?;
        if let Some(count) = self.of.get_mut(&watch.client) {
            *count -= 1;
            if *count == 0 {
                self.of.remove(&watch.client);
            }
        }
        Some(watch)
    }

    /// The one that keeps us waiting for longest, of one client or of all; `None` when every one
    /// has a request under way.
    fn expendable(&self, of: Option<IpAddr>) -> Option<u64> {
        let waiting = |phases: &[Phase]| {
            let mut watches = self.watches.iter();
            let is_one = |watch: &Watch| {
                phases.contains(&watch.phase()) && of.is_none_or(|client| client == watch.client)
            };
            watches.find(|(_, watch)| is_one(watch)).map(|(id, _)| *id)
        };
        waiting(&[Phase::Fresh, Phase::Head]).or_else(|| waiting(&[Phase::Idle]))
    }
}

/// All open connections of a server.
#[derive(Debug)]
pub(super) struct Watches {
    limits: Limits,
    started: Instant,
    clock: Arc<AtomicU64>,
    open: Mutex<Open>,
    next: AtomicU64,
    counters: Arc<HttpCounters>,
}

/// An open connection; leaves the table when it is dropped.
#[derive(Debug)]
pub(super) struct Entry {
    id: u64,
    watch: Arc<Watch>,
    watches: Arc<Watches>,
}

impl Watches {
    pub(super) fn new(limits: &Limits, counters: Arc<HttpCounters>) -> Arc<Self> {
        Arc::new(Self {
            limits: *limits,
            started: Instant::now(),
            clock: Arc::default(),
            open: Mutex::default(),
            next: AtomicU64::new(0),
            counters,
        })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a new connection, if need be in the place of one that keeps us waiting; `None`
    /// when every connection there is has a request under way, of this client or of all.
    pub(super) fn admit(self: &Arc<Self>, client: IpAddr) -> Option<Entry> {
        let mut open = self.open();
        let its_own = open.of.get(&client).copied().unwrap_or_default();
        let of_client = its_own >= self.limits.connections_per_address_max;
        if of_client || open.watches.len() >= self.limits.connections_max {
            let id = open.expendable(of_client.then_some(client))?;
            if let Some(watch) = open.remove(id) {
                watch.close();
                self.counters.closed(Closed::Limit);
            }
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let watch = Arc::new(Watch::new(&self.clock, &self.limits, client));
        open.insert(id, Arc::clone(&watch));
        self.counters.opened();
        Some(Entry { id, watch, watches: Arc::clone(self) })
    }

    /// Closes connections that are late.
    pub(super) fn sweep(&self) {
        let now = millis(self.started.elapsed());
        self.clock.store(now, Ordering::Relaxed);
        for watch in self.open().watches.values() {
            if let Some(why) = watch.verdict(now) {
                watch.close();
                self.counters.closed(why);
                // Once is enough, should its task take a while to end.
                watch.write_deadline.store(NEVER, Ordering::Relaxed);
                watch.enter(Phase::Handling, None);
            }
        }
    }

    /// How many are open.
    pub(super) fn len(&self) -> usize {
        self.open().watches.len()
    }

    /// Closes those that have no request under way.
    pub(super) fn close_idle(&self) {
        let idle = |watch: &&Arc<Watch>| !matches!(watch.phase(), Phase::Body | Phase::Handling);
        self.open().watches.values().filter(idle).for_each(|watch| watch.close());
    }
}

impl Entry {
    pub(super) fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }

    /// The task that is ended when the connection is to be closed.
    pub(super) fn is_served_by(watch: &Watch, task: AbortHandle) {
        // The first one stays; there is only one.
        drop(watch.task.set(task));
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.watches.open().remove(self.id);
        self.watches.counters.left();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn watches(limits: Limits) -> Arc<Watches> {
        Watches::new(&limits, Arc::default())
    }

    fn at(watches: &Watches, millis: u64) {
        watches.clock.store(millis, Ordering::Relaxed);
    }

    #[test]
    fn bytes_move_the_deadline_of_each_phase() {
        let watches = watches(Limits::default());
        let entry = watches.admit(HERE).expect("room");
        let watch = entry.watch();
        assert_eq!(watch.verdict(5_000), None);
        assert_eq!(watch.verdict(5_001), Some(Closed::FirstByte));
        at(&watches, 4_000);
        watch.received(1);
        at(&watches, 9_000);
        watch.received(1);
        assert_eq!(watch.verdict(14_000), None, "a byte now and then buys no time");
        assert_eq!(watch.verdict(14_001), Some(Closed::Head));
        watch.body();
        watch.received(1);
        assert_eq!(watch.verdict(14_001), None, "it can still be answered");
        assert_eq!(watch.verdict(15_100), Some(Closed::Body));
        watch.received(4 << 20);
        assert_eq!(watch.verdict(39_000), None);
        assert_eq!(watch.verdict(40_100), Some(Closed::Body), "fast or not, 30 s are the end");
        watch.handling();
        assert_eq!(watch.verdict(1 << 40), None);
        watch.writing(true);
        at(&watches, 20_000);
        watch.writing(true);
        assert_eq!(watch.verdict(39_001), Some(Closed::Write), "the first stall counts");
        watch.writing(false);
        watch.answered(false);
        assert_eq!(watch.verdict(320_000), None);
        assert_eq!(watch.verdict(320_001), Some(Closed::Idle));
    }

    #[test]
    fn a_full_table_gives_up_those_that_wait_and_never_those_that_work() {
        let watches = watches(Limits { connections_max: 2, ..Limits::default() });
        let working = watches.admit(HERE).expect("room");
        working.watch().handling();
        let idle = watches.admit(HERE).expect("room");
        idle.watch().answered(false);
        let fresh = watches.admit(HERE).expect("in the place of the idle one");
        assert!(!watches.open().watches.contains_key(&idle.id));
        drop(idle);
        assert_eq!(watches.len(), 2);
        fresh.watch().received(1);
        let other = watches.admit(HERE).expect("in the place of the one that dribbles");
        assert!(!watches.open().watches.contains_key(&fresh.id));
        other.watch().body();
        assert!(watches.admit(HERE).is_none(), "all have a request under way");
        drop(working);
        assert!(watches.admit(HERE).is_some());
    }

    #[test]
    fn an_address_gives_up_its_own_and_keeps_nobody_out() {
        let limits =
            Limits { connections_max: 3, connections_per_address_max: 2, ..Limits::default() };
        let (watches, there) = (watches(limits), IpAddr::from([192, 0, 2, 1]));
        let first = watches.admit(HERE).expect("room");
        let second = watches.admit(HERE).expect("room");
        let third = watches.admit(HERE).expect("in the place of its first");
        assert!(!watches.open().watches.contains_key(&first.id));
        let other = watches.admit(there).expect("there is room for others");
        for entry in [&second, &third] {
            entry.watch().handling();
        }
        assert!(watches.admit(HERE).is_none(), "both of its own have a request under way");
        assert!(watches.open().watches.contains_key(&other.id), "and it takes no other's place");
        drop((first, second, third));
        assert!(watches.admit(HERE).is_some(), "what has ended does not count");
        drop(other);
        assert!(!watches.open().of.contains_key(&there));
    }
}
