//! The thread that delivers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError, select};
use ureq::Agent;

use super::pending::Pending;
use super::{Backoff, Job, WebhookOptions};
use crate::metrics::SinkCounters;
use crate::sink::Cause;

/// Most of an answer's body that is read, to be able to use the connection again.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// The longest pause that a receiver can ask for with `Retry-After`.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

pub(super) struct Worker {
    agent: Agent,
    url: String,
    place: String,
    jobs: Receiver<Job>,
    done: Sender<Cause>,
    stopped: Receiver<()>,
    pending: Pending,
    pending_max: usize,
    backoff: Backoff,
    counters: Arc<SinkCounters>,
}

/// How an attempt ended.
enum Attempt {
    Delivered,
    /// Not now: why, and how long the receiver asks to wait.
    Failed(String, Option<Duration>),
    /// Not ever.
    Refused(String),
}

impl Worker {
    pub(super) fn new(
        options: &WebhookOptions,
        place: &str,
        jobs: Receiver<Job>,
        done: Sender<Cause>,
        stopped: Receiver<()>,
        counters: &Arc<SinkCounters>,
    ) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(options.timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("hypocenter/", env!("CARGO_PKG_VERSION")))
            .build();
        Self {
            agent: config.new_agent(),
            url: options.url.clone(),
            place: place.to_owned(),
            jobs,
            done,
            stopped,
            pending: Pending::default(),
            pending_max: options.waiting_max,
            backoff: Backoff::new(options.pause_min, options.pause_max),
            counters: Arc::clone(counters),
        }
    }

    /// Delivers until the sink is dropped.
    pub(super) fn run(mut self) {
        while self.collect() {
            let Some(job) = self.pending.first() else {
                continue;
            };
            match self.attempt(job) {
                Attempt::Delivered => self.finish(),
                Attempt::Refused(why) => {
                    tracing::error!(
                        webhook = self.place,
                        incident = job.incident,
                        version = job.version,
                        why,
                        "the receiver refuses a record; it is dropped"
                    );
                    SinkCounters::count(&self.counters.refused);
                    self.finish();
                }
                Attempt::Failed(why, asked) => {
                    self.pending.postpone_first();
                    if !self.pause(&why, asked) {
                        return;
                    }
                }
            }
        }
    }

    /// Takes what has come, waiting when there is nothing to do. Whether to go on.
    fn collect(&mut self) -> bool {
        if self.pending.len() == 0 {
            match self.jobs.recv() {
                Ok(job) => self.pending.push(job),
                Err(_) => return false,
            }
        }
        while self.pending.len() < self.pending_max {
            match self.jobs.try_recv() {
                Ok(job) => self.pending.push(job),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
        !matches!(self.stopped.try_recv(), Err(TryRecvError::Disconnected))
    }

    fn attempt(&self, job: &Job) -> Attempt {
        let mut request = self.agent.post(&self.url);
        for (name, value) in &job.headers {
            if !name.eq_ignore_ascii_case("content-type") {
                request = request.header(name, value);
            }
        }
        let request = request.header("content-type", "application/json");
        let mut answer = match request.send(&job.body[..]) {
            Ok(answer) => answer,
            // Made from the record: it will not get better.
            Err(error @ (ureq::Error::Http(_) | ureq::Error::BadUri(_))) => {
                return Attempt::Refused(error.to_string());
            }
            Err(error) => return Attempt::Failed(error.to_string(), None),
        };
        let status = answer.status();
        let retry_after = answer.headers().get("retry-after");
        let asked = retry_after
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(|secs| Duration::from_secs(secs).min(RETRY_AFTER_MAX));
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX);
        let body = body.read_to_vec().unwrap_or_default();
        if status.is_success() {
            return Attempt::Delivered;
        }
        let why = Answer(status.as_u16(), &body).to_string();
        if status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429) {
            Attempt::Failed(why, asked)
        } else {
            Attempt::Refused(why)
        }
    }

    fn finish(&mut self) {
        if self.backoff.failures() > 0 {
            tracing::info!(webhook = self.place, "records are delivered again");
        }
        self.backoff.succeeded();
        for cause in self.pending.finish_first() {
            SinkCounters::count(&self.counters.acknowledged);
            if self.done.send(cause).is_err() {
                // The sink is gone; `collect` notices.
                return;
            }
        }
    }

    /// Waits before the next attempt. Whether to go on.
    fn pause(&mut self, why: &str, asked: Option<Duration>) -> bool {
        SinkCounters::count(&self.counters.retries);
        let pause = self.backoff.failed().max(asked.unwrap_or_default());
        // The first failure, and then ever fewer: 1, 2, 4, 8, ...
        if self.backoff.failures().is_power_of_two() {
            tracing::warn!(
                webhook = self.place,
                attempts = self.backoff.failures(),
                waiting = self.pending.len(),
                why,
                "cannot deliver; will try again"
            );
        }
        select! {
            recv(self.stopped) -> _ => false,
            default(pause) => true,
        }
    }
}

/// An answer for the log: its status, and how its body begins.
struct Answer<'a>(u16, &'a [u8]);

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "answered with status {}", self.0)?;
        let text = String::from_utf8_lossy(self.1);
        let start: String = text.trim().chars().take(120).collect();
        if !start.is_empty() {
            write!(f, ": {start}")?;
        }
        Ok(())
    }
}

/// A record's header as an HTTP header, by the HTTP binding of CloudEvents: the prefix is `ce-`,
/// and what is not printable ASCII is percent-encoded.
pub(super) fn header(name: &str, value: &str) -> (String, String) {
    let name = match name.strip_prefix("ce_") {
        Some(attribute) => format!("ce-{attribute}"),
        None => name.to_owned(),
    };
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if (0x21..=0x7e).contains(&byte) && byte != b'"' && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    (name, encoded)
}
