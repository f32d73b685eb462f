//! Live standard input as a source, for `run`: lines as they come, stamped with the wall clock.
//!
//! Reading a pipe blocks, so a thread of its own does it, ahead of the engine by a bounded queue:
//! when the engine is slow, the pipe fills up and the writer waits. Nothing is dropped.

use std::io::{self, Read};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use hypocenter_engine::Timestamp;

use super::lines::Lines;
use super::{Assignment, Input, Polled, Record, Shard, Source, SourceError};

/// Lines that may wait between the reading thread and the engine.
const QUEUE_MAX: usize = 256;

/// Lines of a stream, as one shard `-`/0, until the stream ends.
///
/// A record's time is read when it is handed out: lines wait in a queue of 256 at most, and so
/// [`Input::CaughtUp`] keeps its word that no earlier record is waiting. It is said by every poll
/// that found the queue empty, by idle ones too: time may pass then.
pub struct StdinSource {
    shard: Shard,
    queue: Receiver<Line>,
    clock: fn() -> Timestamp,
    assigned: bool,
    over: bool,
}

/// A line with its number, or what ended the stream.
struct Line {
    number: u64,
    body: io::Result<Vec<u8>>,
}

impl StdinSource {
    /// Reads standard input. `clock` is the wall clock, lines longer than `line_bytes_max` come
    /// cut to one byte more than that.
    ///
    /// # Errors
    /// [`SourceError`] when no thread can be started.
    pub fn new(clock: fn() -> Timestamp, line_bytes_max: usize) -> Result<Self, SourceError> {
        Self::from_reader(io::stdin(), clock, line_bytes_max)
    }

    /// Reads any stream in the same way.
    ///
    /// # Errors
    /// [`SourceError`] when no thread can be started.
    pub fn from_reader(
        input: impl Read + Send + 'static,
        clock: fn() -> Timestamp,
        line_bytes_max: usize,
    ) -> Result<Self, SourceError> {
        let (sender, queue) = bounded(QUEUE_MAX);
        // Not joined: it may be blocked in a read for ever, and ends with the process, or when it
        // finds nobody at the other end of the queue.
        thread::Builder::new()
            .name("stdin".to_owned())
            .spawn(move || read_all(Box::new(input), line_bytes_max, &sender))
            .map_err(|error| SourceError {
                what: "starting to read standard input".to_owned(),
                why: format!("no thread: {error}"),
            })?;
        Ok(Self {
            shard: Shard { input: "-".to_owned(), partition: 0 },
            queue,
            clock,
            assigned: false,
            over: false,
        })
    }

    fn hand_out(&mut self, line: Line, each: &mut dyn FnMut(Input<'_>)) -> Result<(), SourceError> {
        let payload = line.body.map_err(|error| SourceError {
            what: format!("reading standard input, line {}", line.number),
            why: format!("{error}; the lines before this one were read"),
        })?;
        each(Input::Record(Record {
            shard: &self.shard,
            position: line.number,
            time: Some((self.clock)()),
            payload: &payload,
        }));
        Ok(())
    }
}

impl Source for StdinSource {
    fn poll(
        &mut self,
        timeout: Duration,
        each: &mut dyn FnMut(Input<'_>),
    ) -> Result<Polled, SourceError> {
        if self.over {
            return Ok(Polled::End);
        }
        if !self.assigned {
            self.assigned = true;
            let shard = self.shard.clone();
            each(Input::Assigned(&Assignment { shard, committed: None, start: None }));
        }
        match self.queue.recv_timeout(timeout) {
            Ok(line) => self.hand_out(line, each)?,
            Err(RecvTimeoutError::Timeout) => {
                each(Input::CaughtUp(&self.shard));
                return Ok(Polled::Idle);
            }
            Err(RecvTimeoutError::Disconnected) => {
                self.over = true;
                each(Input::Revoked(&self.shard));
                return Ok(Polled::Busy);
            }
        }
        for _ in 1..QUEUE_MAX {
            let Ok(line) = self.queue.try_recv() else {
                each(Input::CaughtUp(&self.shard));
                break;
            };
            self.hand_out(line, each)?;
        }
        Ok(Polled::Busy)
    }

    fn commit(&mut self, _shard: &Shard, _next: u64) {}

    fn close(&mut self) {
        self.over = true;
    }
}

/// The reading thread: ends with the stream, after an error, or when nobody listens any more.
fn read_all(input: Box<dyn Read + Send>, line_bytes_max: usize, sender: &Sender<Line>) {
    let mut lines = match Lines::new(input, line_bytes_max) {
        Ok(lines) => lines,
        Err(error) => {
            let (number, body) = (1, Err(error));
            drop(sender.send(Line { number, body }));
            return;
        }
    };
    loop {
        let body = match lines.next() {
            Ok(false) => return,
            Ok(true) => Ok(lines.line().to_vec()),
            Err(error) => Err(error),
        };
        let (number, is_last) = (lines.number(), body.is_err());
        if sender.send(Line { number, body }).is_err() || is_last {
            return;
        }
    }
}
