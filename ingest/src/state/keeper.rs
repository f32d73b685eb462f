//! The hot thread's side of a standby: it hands over what the engine is told, and says when to
//! write. Nothing here waits for the disk.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use hypocenter_engine::{AlertEvent, Engine, Policy, Seq, Snapshot, StateError, Timestamp};
use tracing::{error, warn};

use super::files::Files;
use super::standby::{Message, Standby};
use super::steps::Steps;
use super::{Digest, Place};
use crate::offsets::Offsets;

/// Steps are handed over when they have so many bytes,
const BLOCK_BYTES: usize = 64 << 10;
/// or have waited so long.
const BLOCK_TIME: Duration = Duration::from_millis(100);
/// Blocks that may wait for the standby, 256 MiB: past them the input waits.
const BLOCKS_MAX: usize = 4096;

/// How far snapshots have come.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Progress {
    /// Everything before this position is covered by one that counts.
    pub covered: u64,
    /// When the state was that of the latest one.
    pub taken_at: Option<Timestamp>,
    /// Its size.
    pub bytes: u64,
    /// How long it took to write.
    pub seconds: f64,
    /// How many were taken.
    pub written: u64,
    /// How many could not be.
    pub failed: u64,
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    progress: Mutex<Progress>,
    pub(super) stop: AtomicBool,
}

impl Shared {
    pub(super) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the next snapshot is.
#[derive(Debug)]
enum Stage {
    /// Not yet begun.
    Waiting,
    /// It is being written, and counts when these outputs have arrived.
    Written { outputs: u64 },
    /// It is about to count; the channel closes when it does.
    Publishing(Receiver<()>),
}

/// Keeps snapshots of one engine.
#[derive(Debug)]
pub struct Keeper {
    steps: Steps,
    handed_over: Instant,
    /// `None` when the standby is gone: it panicked.
    sender: Option<Sender<Message>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
    interval: Duration,
    stage: Stage,
    began: Instant,
    /// Whether anything has happened that the last one does not have.
    has_changed: bool,
    /// How many there were when the last one was begun.
    written: u64,
}

impl Keeper {
    /// Starts a standby with an engine that is equal to the one it is to follow. What lies before
    /// `covered` needs no snapshot.
    pub(super) fn start(
        files: Files,
        interval: Duration,
        covered: u64,
        engine: impl FnOnce() -> Result<Engine, StateError> + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, messages) = crossbeam_channel::bounded(BLOCKS_MAX);
        let shared = Arc::new(Shared::default());
        shared.progress().covered = covered;
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("standby".to_owned()).spawn(move || {
            match engine() {
                Ok(engine) => Standby::new(engine, files, theirs).run(&messages),
                Err(error) => error!("the standby cannot begin: {error}"),
            }
        })?;
        Ok(Self {
            steps: Steps::default(),
            handed_over: Instant::now(),
            sender: Some(sender),
            thread: Some(thread),
            shared,
            interval,
            stage: Stage::Waiting,
            began: Instant::now(),
            has_changed: false,
            written: 0,
        })
    }

    /// The engine was told of an event.
    pub fn applied(&mut self, seq: Seq, event: &AlertEvent<'_>, time: Timestamp) {
        self.steps.apply(seq, event, time);
        if self.steps.bytes() >= BLOCK_BYTES {
            self.hand_over();
        }
    }

    /// The engine was told that time has passed.
    pub fn advanced(&mut self, to: Timestamp) {
        self.steps.advance(to);
    }

    /// The engine was given another graph.
    pub fn placed_on(&mut self, graph: Arc<Snapshot>, at: Timestamp) {
        self.steps.place_on(graph, at);
    }

    /// The engine was given another mapping.
    pub fn mapped_by(&mut self, policy: Policy, at: Timestamp) {
        self.steps.map_by(policy, at);
    }

    /// How far snapshots have come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        *self.shared.progress()
    }

    /// Everything before this position may be committed, as far as snapshots go.
    #[must_use]
    pub fn covered(&self) -> u64 {
        self.shared.progress().covered
    }

    /// Goes on, between two steps of `engine`, when all outputs that were sent are noted in
    /// `offsets`.
    pub fn settle(&mut self, offsets: &Offsets, engine: &Engine, place: Place) {
        if self.handed_over.elapsed() >= BLOCK_TIME {
            self.hand_over();
        }
        match &self.stage {
            Stage::Waiting => {
                if self.has_changed && self.began.elapsed() >= self.interval {
                    self.save(offsets, engine, place);
                }
            }
            Stage::Written { outputs } => {
                if offsets.have_arrived(*outputs) {
                    self.publish();
                }
            }
            Stage::Publishing(done) => {
                if done.try_recv() != Err(TryRecvError::Empty) {
                    self.stage = Stage::Waiting;
                    // One that failed is tried again.
                    self.has_changed |= self.progress().written == self.written;
                }
            }
        }
    }

    /// A last snapshot, before the shard is given away. Waits for it at most `timeout`. Without all
    /// outputs there is none, and what was covered before stays so.
    pub fn finish(&mut self, offsets: &Offsets, engine: &Engine, place: Place, timeout: Duration) {
        if offsets.outstanding() > 0 {
            return;
        }
        let until = Instant::now() + timeout;
        let wait = |stage: &Stage| {
            let left = until.saturating_duration_since(Instant::now());
            if let Stage::Publishing(done) = stage
                && done.recv_timeout(left) == Err(RecvTimeoutError::Timeout)
            {
                warn!("the last snapshot is not done in time: more is read again than need be");
            }
        };
        if matches!(self.stage, Stage::Written { .. }) {
            self.publish();
        }
        wait(&self.stage);
        self.hand_over();
        if self.has_changed {
            self.save(offsets, engine, place);
            self.publish();
            wait(&self.stage);
        }
    }

    fn save(&mut self, offsets: &Offsets, engine: &Engine, place: Place) {
        self.hand_over();
        (self.began, self.has_changed) = (Instant::now(), false);
        self.written = self.progress().written;
        self.send(Message::Save(place, Digest::of(engine)));
        self.stage = Stage::Written { outputs: offsets.sent_so_far() };
    }

    fn publish(&mut self) {
        let (sender, done) = crossbeam_channel::bounded(0);
        self.send(Message::Publish(sender));
        self.stage = Stage::Publishing(done);
    }

    fn hand_over(&mut self) {
        self.handed_over = Instant::now();
        if !self.steps.is_empty() {
            self.has_changed = true;
            let steps = std::mem::take(&mut self.steps);
            self.send(Message::Steps(steps));
        }
    }

    fn send(&mut self, message: Message) {
        let failed = self.sender.as_ref().is_some_and(|sender| sender.send(message).is_err());
        if failed {
            self.sender = None;
            self.shared.progress().failed += 1;
            error!(
                "the standby has ended: no more snapshots are taken, restart to have them again"
            );
        }
    }
}

impl Drop for Keeper {
    /// Ends the standby, so that the next one of this shard finds the files at rest.
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.sender = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the standby has panicked");
        }
    }
}
