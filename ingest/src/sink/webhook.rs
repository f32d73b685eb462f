//! Incident records as HTTP requests, one POST each.
//!
//! The pipeline hands records to a bounded channel; a thread of its own delivers them. An answer
//! of 2xx delivers a record. 408, 425, 429, 5xx and failures of the network are tried again for
//! ever, with growing pauses; any other answer refuses the record for good, which is logged and
//! counted. While records wait, a newer version of an incident takes the place of an older one:
//! the receiver needs only the newest, and both are acknowledged once that is delivered.

mod pending;
#[cfg(test)]
mod tests;
mod worker;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use self::worker::Worker;
use super::{Cause, Outgoing, Sink, SinkError};
use crate::config::HttpConfig;
use crate::http_client::Client;
use crate::metrics::SinkCounters;
use crate::redact::host_of;

/// Where to deliver to, and how patiently.
#[derive(Clone)]
pub struct WebhookOptions {
    /// Where to POST to.
    pub url: String,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// Who we are, and whom we trust.
    pub http: HttpConfig,
    /// Records that may wait; twice as many may be in the sink at once.
    pub waiting_max: usize,
    /// The first pause after a failure; each further one is twice as long.
    pub pause_min: Duration,
    /// The longest pause.
    pub pause_max: Duration,
}

impl WebhookOptions {
    /// With the default patience.
    #[must_use]
    pub fn new(url: &str, timeout: Duration) -> Self {
        Self {
            url: url.to_owned(),
            timeout,
            http: HttpConfig::default(),
            waiting_max: 10_000,
            pause_min: Duration::from_millis(100),
            pause_max: Duration::from_secs(30),
        }
    }
}

/// Delivers records to an HTTP endpoint. Dropping it ends deliveries after the attempt under way.
#[derive(Debug)]
pub struct WebhookSink {
    place: String,
    queue: Sender<Job>,
    done: Receiver<Cause>,
    /// Taken from `done` by `flush`, not yet handed out.
    delivered: Vec<Cause>,
    /// Sent and not yet in `delivered` or handed out.
    open: usize,
    counters: Arc<SinkCounters>,
    /// Its end tells the worker to stop, even in the middle of a pause.
    _stop: Sender<()>,
}

/// One record on its way.
#[derive(Debug)]
struct Job {
    incident: String,
    version: u64,
    body: Vec<u8>,
    headers: Vec<(String, String)>,
    cause: Cause,
}

impl WebhookSink {
    /// Starts the thread that delivers. Nothing is sent yet: an endpoint that is down is waited for.
    ///
    /// # Errors
    /// [`SinkError`] when there can be no thread.
    pub fn start(options: &WebhookOptions, counters: Arc<SinkCounters>) -> Result<Self, SinkError> {
        let client = Client::new(&options.url, &options.http, options.timeout).map_err(|why| {
            SinkError { what: format!("webhook to {}", host_of(&options.url)), why }
        })?;
        let place = client.place().to_owned();
        let (queue, jobs) = bounded(options.waiting_max);
        let (acknowledge, done) = unbounded();
        let (stop, stopped) = bounded(0);
        let worker = Worker::new(options, client, jobs, acknowledge, stopped, &counters);
        thread::Builder::new().name("webhook".to_owned()).spawn(move || worker.run()).map_err(
            |error| SinkError {
                what: format!("starting the webhook to {place}"),
                why: error.to_string(),
            },
        )?;
        Ok(Self { place, queue, done, delivered: Vec::new(), open: 0, counters, _stop: stop })
    }

    fn gone(&self) -> SinkError {
        SinkError {
            what: format!("webhook to {}", self.place),
            why: "its thread has ended; the log says why".to_owned(),
        }
    }

    fn take(&mut self, cause: Cause) {
        self.open = self.open.saturating_sub(1);
        self.delivered.push(cause);
    }
}

impl Sink for WebhookSink {
    fn send(&mut self, record: &Outgoing<'_>) -> Result<(), SinkError> {
        let headers = record.headers.iter();
        let job = Job {
            incident: record.incident.to_owned(),
            version: record.version,
            body: record.body.to_vec(),
            headers: headers.filter_map(|(n, v)| worker::header(n, v)).collect(),
            cause: record.cause.clone(),
        };
        self.queue.send(job).map_err(|_| self.gone())?;
        self.open += 1;
        SinkCounters::count(&self.counters.sent);
        Ok(())
    }

    fn acknowledged(&mut self, each: &mut dyn FnMut(Cause)) -> Result<(), SinkError> {
        while let Ok(cause) = self.done.try_recv() {
            self.take(cause);
        }
        self.delivered.drain(..).for_each(each);
        // Without a worker the rest would be waited for in vain.
        match self.done.try_recv() {
            Err(crossbeam_channel::TryRecvError::Disconnected) => Err(self.gone()),
            Err(crossbeam_channel::TryRecvError::Empty) => Ok(()),
            Ok(cause) => {
                self.take(cause);
                Ok(())
            }
        }
    }

    fn flush(&mut self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        while self.open > 0 {
            match self.done.recv_deadline(deadline) {
                Ok(cause) => self.take(cause),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return false,
            }
        }
        true
    }
}
