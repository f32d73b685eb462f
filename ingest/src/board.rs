//! The incidents as readers see them: the latest version of each, who belongs to it, and the last
//! changes in order.
//!
//! The pipeline's thread tells every change and never waits for a reader: it adds to an inbox, and
//! whoever holds the state takes the inbox in first. Repeats change nothing here, so the hot path
//! does not come by. Memory is bounded in bytes; what is over goes before what lives, oldest first.

mod state;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use bytes::Bytes;
use hypocenter_engine::{Decision, Fingerprint, IncidentId, Span, Timestamp};
use tokio::sync::watch;

use state::{Change, State};
pub use state::{Filter, Missed};

use crate::record::{IncidentRecord, PhaseName};
use crate::source::Shard;

/// Bounds of a board.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BoardLimits {
    /// Bytes of all records.
    pub bytes_max: usize,
    /// Changes that a reader may be behind.
    pub changes_max: usize,
    /// How long an incident that is over can be read.
    pub retain_for: Span,
}

/// The latest version of an incident.
#[derive(Debug)]
pub struct Entry {
    /// Its id, as shown.
    pub id: Box<str>,
    key: IncidentId,
    shard: Shard,
    /// Where it is in its life.
    pub phase: PhaseName,
    /// Its tenant.
    pub tenant: Box<str>,
    /// Its severity.
    pub severity: &'static str,
    /// The entity held to be the cause.
    pub entity: Box<str>,
    /// When it got this version, in log time.
    pub updated: Timestamp,
    /// The record.
    pub body: Bytes,
}

/// One version of one incident, in the order in which they came.
#[derive(Clone, Debug)]
pub struct Published {
    /// Its number, from 1.
    pub number: u64,
    /// The incident.
    pub entry: Arc<Entry>,
}

/// The incidents as readers see them. Clones are the same board.
#[derive(Clone, Debug)]
pub struct Board(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    inbox: Mutex<Vec<Change>>,
    state: Mutex<State>,
    latest: watch::Sender<u64>,
    epoch: u64,
}

impl Board {
    /// An empty board. `epoch` tells the numbers of this process from those of others.
    #[must_use]
    pub fn new(limits: BoardLimits, epoch: u64) -> Self {
        let state = Mutex::new(State::new(limits));
        let latest = watch::Sender::new(0);
        Self(Arc::new(Shared { inbox: Mutex::default(), state, latest, epoch }))
    }

    /// Takes note of a decision; most do not matter here.
    pub fn decided(&self, decision: &Decision) {
        match *decision {
            Decision::Opened { incident, alert, .. } | Decision::Joined { incident, alert } => {
                self.tell(Change::Member(incident, alert.fingerprint));
            }
            Decision::Merged { incident, into } => self.tell(Change::Merged(incident, into)),
            _ => {}
        }
    }

    /// Takes a member of an incident that was rebuilt after a restart.
    pub fn restored(&self, incident: IncidentId, member: Fingerprint) {
        self.tell(Change::Member(incident, member));
    }

    /// Takes a new version, with its record as JSON.
    pub fn published(
        &self,
        key: IncidentId,
        record: &IncidentRecord<'_>,
        shard: &Shard,
        body: &[u8],
    ) {
        self.tell(Change::Version(Arc::new(Entry {
            id: record.incident.as_str().into(),
            key,
            shard: shard.clone(),
            phase: record.phase,
            tenant: record.tenant.into(),
            severity: record.severity,
            entity: record.root_cause.candidate.entity.into(),
            updated: record.updated.0,
            body: Bytes::copy_from_slice(body),
        })));
        self.0.latest.send_modify(|latest| *latest += 1);
    }

    /// Forgets the incidents of a shard that is not ours any more.
    pub fn forget(&self, shard: &Shard) {
        self.tell(Change::Forget(shard.clone()));
    }

    fn tell(&self, change: Change) {
        locked(&self.0.inbox).push(change);
        // A reader is at it: it takes the inbox in when it comes to it, or the next change does.
        match self.0.state.try_lock() {
            Ok(mut state) => self.take_in(&mut state),
            Err(TryLockError::Poisoned(poisoned)) => self.take_in(&mut poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {}
        }
    }

    fn take_in(&self, state: &mut State) {
        let changes = std::mem::take(&mut *locked(&self.0.inbox));
        changes.into_iter().for_each(|change| state.apply(change));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = locked(&self.0.state);
        self.take_in(&mut state);
        state
    }

    /// One incident, by its id as shown.
    #[must_use]
    pub fn incident(&self, id: &str) -> Option<Arc<Entry>> {
        self.state().incident(id)
    }

    /// Incidents that a filter lets through, the newest first, at most `limit`, older than
    /// `before`; and whether there are more.
    #[must_use]
    pub fn list(
        &self,
        filter: &Filter,
        before: Option<&str>,
        limit: usize,
    ) -> (Vec<Arc<Entry>>, bool) {
        self.state().list(filter, before, limit)
    }

    /// Incidents that are not over, each with its members' fingerprints.
    #[must_use]
    pub fn groups(&self) -> Vec<(Arc<Entry>, Vec<Fingerprint>)> {
        self.state().groups()
    }

    /// Versions after the one with this number, in order.
    ///
    /// # Errors
    /// [`Missed`] when some of them are not held any more.
    pub fn since(&self, number: u64) -> Result<Vec<Published>, Missed> {
        self.state().since(number)
    }

    /// The number of the latest version, and a way to wait for the next.
    #[must_use]
    pub fn follow(&self) -> (u64, watch::Receiver<u64>) {
        let state = self.state();
        let receiver = self.0.latest.subscribe();
        (state.latest(), receiver)
    }

    /// Tells the numbers of this process from those of others.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.0.epoch
    }

    /// Bytes of all records, and incidents left out because there were too many.
    #[must_use]
    pub fn size(&self) -> (u64, u64) {
        self.state().size()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whatever a panicking reader left is whole: changes are applied one by one.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
