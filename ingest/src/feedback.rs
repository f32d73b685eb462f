//! Verdicts of engineers on candidates, kept as a measurement: they never change a decision.
//!
//! A [`Judgement`] says that somebody confirms or rejects an incident's candidate. Wherever it comes
//! from (command line, HTTP, Kafka), it goes into one append-only [`Log`], from which a [`Ledger`]
//! computes the precision, its error budget, and how fast that burns.

pub mod http;
mod judgement;
mod ledger;
mod log;
pub mod topic;

use std::sync::{Mutex, MutexGuard, PoisonError};

use hypocenter_engine::Timestamp;

pub use judgement::{Invalid, Judgement, Verdict, Via};
pub use ledger::{Ledger, Objective, Precision, Standing};
pub use log::{Bounds, Damage, Log, LogError, read};

/// The log and the ledger of a process. Threads share it.
#[derive(Debug)]
pub struct Feedback {
    objective: Objective,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    log: Log,
    ledger: Ledger,
    duplicates: u64,
    refused: u64,
}

/// What became of a judgement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// It is in the log, on disk.
    Stored,
    /// It was there already.
    Duplicate,
}

impl Feedback {
    /// Opens a log, and reads what is in it.
    ///
    /// # Errors
    /// [`LogError`] when it cannot be read or written.
    pub fn open(mut log: Log, objective: Objective) -> Result<Self, LogError> {
        let mut ledger = Ledger::default();
        log.catch_up(&mut ledger)?;
        for place in log.damage().places() {
            tracing::warn!(place, "a line of the feedback log cannot be read");
        }
        if log.is_torn() {
            tracing::warn!("the last line of the feedback log has no end, as after a crash");
        }
        let state = State { log, ledger, duplicates: 0, refused: 0 };
        Ok(Self { objective, state: Mutex::new(state) })
    }

    /// Puts a judgement into the log, unless it is there already: once this returns, it is on disk.
    ///
    /// # Errors
    /// [`LogError`] when it cannot be written; nothing of it counts then.
    pub fn take(&self, judgement: Judgement) -> Result<Taken, LogError> {
        let mut state = self.state();
        let State { log, ledger, .. } = &mut *state;
        let taken = log.append(judgement, ledger)?;
        state.duplicates += u64::from(taken == Taken::Duplicate);
        Ok(taken)
    }

    /// Counts a judgement that could not be understood.
    pub fn refuse(&self) {
        self.state().refused += 1;
    }

    /// What the metrics say, as of `now`.
    #[must_use]
    pub fn standing(&self, now: Timestamp) -> Standing {
        let mut state = self.state();
        let State { log, ledger, .. } = &mut *state;
        // What others have written counts too; what cannot be read now is read later.
        if let Err(error) = log.catch_up(ledger) {
            tracing::warn!(%error, "the feedback log cannot be read");
        }
        let mut standing = state.ledger.standing(&self.objective, now);
        standing.duplicates = state.duplicates;
        standing.refused = state.refused;
        standing.damaged_lines = state.log.damage().lines() + u64::from(state.log.is_torn());
        standing
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic in between leaves the log on disk whole; the ledger is read anew from it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
