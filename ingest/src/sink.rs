//! Where incident records go.

pub mod alertmanager;
pub mod file;
pub mod kafka;
pub mod stdout;
pub mod webhook;

use std::time::Duration;

use crate::source::Shard;

/// One incident record, ready to be sent.
#[derive(Clone, Debug)]
pub struct Outgoing<'a> {
    /// Incident id: the key of the record.
    pub incident: &'a str,
    /// Version of the incident; with the id it identifies the record.
    pub version: u64,
    /// The JSON body, without a line end.
    pub body: &'a [u8],
    /// CloudEvents 1.0 attributes and ours, as header names and values.
    pub headers: &'a [(&'a str, String)],
    /// The input that caused it, for acknowledgement.
    pub cause: Cause,
}

/// The input record that caused an output.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cause {
    /// The shard of the input record.
    pub shard: Shard,
    /// Its position.
    pub position: u64,
}

/// A place that incident records go to, used from the pipeline's thread.
pub trait Sink {
    /// Hands one record over. Returns once the sink has taken it; delivery is reported by
    /// [`Sink::acknowledged`]. A sink that is full waits: back-pressure reaches the source.
    ///
    /// # Errors
    /// [`SinkError`] when the sink cannot go on at all.
    fn send(&mut self, record: &Outgoing<'_>) -> Result<(), SinkError>;

    /// Hands each delivered record's cause to `each`, once per record sent.
    ///
    /// # Errors
    /// [`SinkError`] when a record could not be delivered and will not be.
    fn acknowledged(&mut self, each: &mut dyn FnMut(Cause)) -> Result<(), SinkError>;

    /// Waits at most `timeout` until everything sent has been delivered. Whether it has.
    fn flush(&mut self, timeout: Duration) -> bool;

    /// The record of an incident as it was rebuilt after a restart. It went out before, and is not
    /// to be acknowledged; it is for sinks that keep the state of incidents elsewhere.
    ///
    /// # Errors
    /// [`SinkError`] when the sink cannot go on at all.
    fn restore(&mut self, _shard: &Shard, _body: &[u8]) -> Result<(), SinkError> {
        Ok(())
    }

    /// The newest state of a shard's incidents has been told.
    ///
    /// # Errors
    /// [`SinkError`] when the sink cannot go on at all.
    fn caught_up(&mut self, _shard: &Shard) -> Result<(), SinkError> {
        Ok(())
    }

    /// Somebody else has the shard from now on, and tells of its incidents.
    ///
    /// # Errors
    /// [`SinkError`] when the sink cannot go on at all.
    fn released(&mut self, _shard: &Shard) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Why a sink cannot go on: what, where, and how to mend it.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {why}")]
pub struct SinkError {
    /// What was being done, with the place.
    pub what: String,
    /// Why it failed, and what to do.
    pub why: String,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A record whose version is also its position in the input.
    pub(crate) fn outgoing<'a>(incident: &'a str, version: u64, body: &'a [u8]) -> Outgoing<'a> {
        Outgoing {
            incident,
            version,
            body,
            headers: &[],
            cause: Cause {
                shard: Shard { input: "test".to_owned(), partition: 0 },
                position: version,
            },
        }
    }
}
