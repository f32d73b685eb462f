//! Judgements from a Kafka topic: the body of the HTTP request, with `incident` in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::judgement::{Sent, Via};
use super::{Feedback, LogError};
use crate::clock;
use crate::source::{Input, Record, Source};

/// How long one look at the topic waits.
const POLL: Duration = Duration::from_millis(200);
/// How long the reader waits after the log refused a judgement.
const AGAIN: Duration = Duration::from_secs(1);

/// The thread that reads the topic. Dropping it stops it.
#[derive(Debug)]
pub struct Reader {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    /// Reads `source` into `feedback` until dropped. A position is committed when what is before it
    /// is on disk; a judgement that comes again is known by its key, or by its position.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn start(
        mut source: Box<dyn Source + Send>,
        feedback: Arc<Feedback>,
    ) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let run = move || read(source.as_mut(), &feedback, &stopped);
        let thread = std::thread::Builder::new().name("feedback".to_owned()).spawn(run)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the reader of feedback panicked");
        }
    }
}

fn read(source: &mut dyn Source, feedback: &Feedback, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let mut done = Vec::new();
        let polled = source.poll(POLL, &mut |input| {
            if let Input::Record(record) = input
                && store(feedback, &record, stop)
            {
                done.push((record.shard.clone(), record.position + 1));
            }
        });
        for (shard, next) in &done {
            source.commit(shard, *next);
        }
        if let Err(error) = polled {
            return tracing::error!(%error, "feedback is no longer read");
        }
    }
    source.close();
}

/// Whether a record is dealt with: stored, known, or not to be understood.
fn store(feedback: &Feedback, record: &Record<'_>, stop: &AtomicBool) -> bool {
    let place = format!("{}/{}", record.shard, record.position);
    let now = record.time.unwrap_or_else(clock::wall);
    let judgement = match Sent::read(record.payload, (None, Some(place.clone())), Via::Kafka, now) {
        Ok(judgement) => judgement,
        Err(error) => {
            feedback.refuse();
            tracing::warn!(place, %error, "feedback that cannot be understood");
            return true;
        }
    };
    // Nothing may overtake what is not stored: its position would be committed with theirs.
    while !stop.load(Ordering::Relaxed) {
        let stored: Result<_, LogError> = feedback.take(judgement.clone());
        match stored {
            Ok(_) => return true,
            Err(error) => tracing::error!(place, %error, "feedback cannot be stored, again soon"),
        }
        std::thread::sleep(AGAIN);
    }
    false
}
