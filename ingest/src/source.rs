//! Where records come from. A source knows nothing of alerts: it hands out bytes and their place.

pub mod file;
pub mod http;
pub mod kafka;
mod lines;
pub mod several;
pub mod stdin;

use std::fmt;
use std::time::{Duration, Instant};

use hypocenter_engine::Timestamp;

use crate::wire::Batch;

/// One input partition, the unit that owns an engine. Files and standard input are shard 0.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Shard {
    /// Topic, or file name as given, or `-` for standard input.
    pub input: String,
    /// Partition number; 0 where there are no partitions.
    pub partition: u32,
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.input, self.partition)
    }
}

/// A shard that comes to us.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Assignment {
    /// Which.
    pub shard: Shard,
    /// Everything before this position has been decided and its outputs acknowledged, by whoever
    /// had the shard before: what it causes now only rebuilds state and must not go out again.
    pub committed: Option<u64>,
    /// The first position that will be handed out, if there is a record at it.
    pub start: Option<u64>,
}

/// Who knows where a shard can go on.
pub trait Resume: Send + Sync {
    /// The largest position that `may` be the first one to be handed out, with the state before it
    /// at hand; `None` when there is none.
    fn resume(&self, shard: &Shard, may: &dyn Fn(u64) -> bool) -> Option<u64>;
}

/// What a source has to say.
#[derive(Debug)]
pub enum Input<'a> {
    /// From now on records of this shard come here; state starts empty.
    Assigned(&'a Assignment),
    /// One record.
    Record(Record<'a>),
    /// One body that was decoded when it was received.
    Batch(&'a Arrival<'a>),
    /// No record of this shard with a log time before this one is waiting: time may pass.
    CaughtUp(&'a Shard),
    /// The shard goes to somebody else, or is at its end: finish, commit, and let go before the
    /// next call of [`Source::poll`], which makes the commit durable and gives the shard away.
    Revoked(&'a Shard),
    /// The shard is gone already: drop its state, say nothing more.
    Lost(&'a Shard),
}

/// One record: a body in any known shape, as received.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Where it belongs.
    pub shard: &'a Shard,
    /// Kafka offset, or line number from 1.
    pub position: u64,
    /// Log time: the broker's timestamp, or the time of arrival; `None` where the record carries
    /// its own (a recording with receive times).
    pub time: Option<Timestamp>,
    /// The body.
    pub payload: &'a [u8],
}

/// One body that was decoded when it was received: its sender has been told what is wrong with it.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Where it belongs.
    pub shard: &'a Shard,
    /// Number of the body, from 1.
    pub position: u64,
    /// Log time: when it was accepted.
    pub time: Timestamp,
    /// When it was complete, on the monotonic clock: decision latency is counted from here.
    pub received: Instant,
    /// Its alerts.
    pub batch: &'a Batch,
}

/// What a call of [`Source::poll`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Polled {
    /// At least one input was handed out.
    Busy,
    /// Nothing came within the timeout.
    Idle,
    /// Nothing will ever come again.
    End,
}

/// A place that records come from, polled from one thread.
pub trait Source {
    /// Waits at most `timeout` for input and hands what there is to `each`, in order.
    ///
    /// # Errors
    /// [`SourceError`] when the source cannot go on. Trouble that heals is logged and counted.
    fn poll(
        &mut self,
        timeout: Duration,
        each: &mut dyn FnMut(Input<'_>),
    ) -> Result<Polled, SourceError>;

    /// Takes nothing in any more, and hands out what has been accepted already: its senders have
    /// been told that it was taken. Sources that can be read again have nothing to do.
    ///
    /// # Errors
    /// [`SourceError`] when the source cannot go on.
    fn drain(&mut self, _each: &mut dyn FnMut(Input<'_>)) -> Result<(), SourceError> {
        Ok(())
    }

    /// Everything before `next` in `shard` has been decided, and every output it caused has been
    /// acknowledged: it need not be read again. Sources without memory ignore this.
    fn commit(&mut self, shard: &Shard, next: u64);

    /// Makes commits durable; called before leaving.
    fn close(&mut self);
}

/// Why a source cannot go on: what, where, and how to mend it.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {why}")]
pub struct SourceError {
    /// What was being done, with the place.
    pub what: String,
    /// Why it failed, and what to do.
    pub why: String,
}
