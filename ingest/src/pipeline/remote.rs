//! Changing a running pipeline from another thread: between two records, on its own thread.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::Pipeline;

/// How long a change may take, waiting for records under way included.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// What is done to a pipeline; an error is for people, and then nothing has changed.
pub type Change = Box<dyn FnOnce(&mut Pipeline) -> Result<(), String> + Send>;

type Asked = (Change, Sender<Result<(), String>>);

/// Asks a pipeline for changes. Clones ask the same one.
#[derive(Clone, Debug)]
pub struct Remote(Sender<Asked>);

/// The pipeline's end of a [`Remote`].
#[derive(Debug)]
pub struct Changes(Receiver<Asked>);

/// A way to ask for changes, and the end that a pipeline is given.
#[must_use]
pub fn remote() -> (Remote, Changes) {
    let (ask, asked) = bounded(1);
    (Remote(ask), Changes(asked))
}

impl Remote {
    /// Has a change made, and waits for that.
    ///
    /// # Errors
    /// Why it was not made.
    pub fn change(&self, change: Change) -> Result<(), String> {
        let (tell, told) = bounded(1);
        let stopped = "the pipeline has stopped";
        self.0.send_timeout((change, tell), ANSWER_MAX).map_err(|error| match error {
            crossbeam_channel::SendTimeoutError::Timeout(_) => busy(),
            crossbeam_channel::SendTimeoutError::Disconnected(_) => stopped.to_owned(),
        })?;
        told.recv_timeout(ANSWER_MAX).map_err(|error| match error {
            crossbeam_channel::RecvTimeoutError::Timeout => busy(),
            crossbeam_channel::RecvTimeoutError::Disconnected => stopped.to_owned(),
        })?
    }
}

fn busy() -> String {
    let seconds = ANSWER_MAX.as_secs();
    format!(
        "the pipeline has not come to it within {seconds} s, an output may be blocked; if it does \
         later, the change is made then"
    )
}

impl Changes {
    /// Makes the changes that are asked for.
    pub(super) fn make(&self, pipeline: &mut Pipeline) {
        while let Ok((change, tell)) = self.0.try_recv() {
            // Nobody may wait for it any more.
            tell.send(change(pipeline)).ok();
        }
    }
}
