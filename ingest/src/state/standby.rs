//! The standby: a second engine that is told what the first one was told, a moment later, and is
//! written to disk when it is asked to be.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};
use hypocenter_engine::{Engine, Timestamp};
use tracing::{debug, error, warn};

use super::files::{Files, Written};
use super::keeper::Shared;
use super::steps::Steps;
use super::{Digest, Place};
use crate::wire::Scratch;

pub(super) enum Message {
    Steps(Steps),
    /// Write the state as it is after all steps so far, which must be this one.
    Save(Place, Digest),
    /// What was written last may count: all that it covers has arrived. Answered when it does, or
    /// cannot.
    Publish(Sender<()>),
}

pub(super) struct Standby {
    engine: Engine,
    files: Files,
    shared: Arc<Shared>,
    written: Option<(Written, Place, f64)>,
    scratch: Scratch,
}

impl Standby {
    pub(super) fn new(engine: Engine, files: Files, shared: Arc<Shared>) -> Self {
        Self { engine, files, shared, written: None, scratch: Scratch::default() }
    }

    /// Until nobody has anything more to say, or wants to wait for it.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        for message in messages {
            if self.shared.stop.load(Ordering::Relaxed) {
                break;
            }
            match message {
                Message::Steps(steps) => steps.tell(&mut self.engine, &mut self.scratch),
                Message::Save(place, digest) if digest == Digest::of(&self.engine) => {
                    self.save(place);
                }
                Message::Save(..) => {
                    // Better none than a wrong one.
                    error!("the standby is not in the state of the engine that it follows");
                    break;
                }
                Message::Publish(done) => {
                    self.publish();
                    drop(done);
                }
            }
        }
    }

    fn save(&mut self, place: Place) {
        let began = Instant::now();
        let note = match serde_json::to_vec(&place) {
            Ok(note) => note,
            Err(error) => unreachable!("a place is JSON: {error}"),
        };
        let engine = &self.engine;
        match self.files.write(place.next, |out| engine.save(&note, out)) {
            Ok(written) => {
                self.written = Some((written, place, began.elapsed().as_secs_f64()));
            }
            Err(error) => self.fail(&error),
        }
    }

    fn publish(&mut self) {
        let Some((written, place, seconds)) = self.written.take() else {
            return;
        };
        if let Err(error) = self.files.publish(&written) {
            return self.fail(&error);
        }
        let bytes = written.bytes;
        debug!(next = place.next, bytes, seconds, "snapshot");
        let mut progress = self.shared.progress();
        progress.covered = place.next;
        progress.taken_at = Some(Timestamp::from_nanos(place.wall));
        (progress.bytes, progress.seconds) = (bytes, seconds);
        progress.written += 1;
    }

    fn fail(&mut self, error: &io::Error) {
        warn!(
            "snapshot failed: {error}; alerts are decided as before, and no position is committed \
             past the last snapshot"
        );
        self.shared.progress().failed += 1;
    }
}
