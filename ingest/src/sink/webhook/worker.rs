//! The thread that delivers.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError, select};

use super::pending::Pending;
use super::{Job, WebhookOptions};
use crate::backoff::Backoff;
use crate::http_client::{Client, ClientError};
use crate::metrics::SinkCounters;
use crate::sink::Cause;

/// Most of an answer's body that is read, to be able to use the connection again.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

pub(super) struct Worker {
    client: Client,
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
        client: Client,
        jobs: Receiver<Job>,
        done: Sender<Cause>,
        stopped: Receiver<()>,
        counters: &Arc<SinkCounters>,
    ) -> Self {
        Self {
            client,
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
                        webhook = self.client.place(),
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
        match self.client.post("", &job.headers, &job.body, ANSWER_BYTES_MAX) {
            Ok(answer) if answer.is_success() => Attempt::Delivered,
            Ok(answer) if answer.may_heal() => {
                Attempt::Failed(answer.to_string(), answer.retry_after)
            }
            Ok(answer) => Attempt::Refused(answer.to_string()),
            // Made from the record: it will not get better.
            Err(ClientError::Request(why)) => Attempt::Refused(why),
            Err(ClientError::Unavailable(why)) => Attempt::Failed(why, None),
        }
    }

    fn finish(&mut self) {
        if self.backoff.failures() > 0 {
            tracing::info!(webhook = self.client.place(), "records are delivered again");
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
                webhook = self.client.place(),
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

/// A record's header as an HTTP header, by the HTTP binding of CloudEvents: the prefix is `ce-`,
/// and what is not printable ASCII is percent-encoded. The client sets `content-type` itself.
pub(super) fn header(name: &str, value: &str) -> Option<(String, String)> {
    if name.eq_ignore_ascii_case("content-type") {
        return None;
    }
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
    Some((name, encoded))
}
