//! The thread that keeps one Alertmanager informed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, select};
use hypocenter_engine::{Span, Timestamp};
use serde::Serialize;

use super::former::{self, REPORTER};
use super::table::{Entry, Labels, Posted};
use super::{OWN_LABEL, OWN_VALUE, Shared, locked};
use crate::backoff::Backoff;
use crate::clock;
use crate::http_client::{Answer, Client};
use crate::metrics::{ClientCounters, SinkCounters};
use crate::record::rfc3339;

/// Where Alertmanager takes alerts.
const PATH: &str = "/api/v2/alerts";
/// Longest answer about our own alerts that is read, in bytes.
const OWN_BYTES_MAX: u64 = 32 << 20;
/// The first pause after they could not be asked for, and the longest.
const LOOK_PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Alerts of one request, as many as Prometheus sends at most.
const BATCH: usize = 64;
/// Most of an answer's body that is read.
const ANSWER_BYTES_MAX: u64 = 64 << 10;
/// `endsAt` lies this many refreshes ahead, as Prometheus has it: three may fail.
const REFRESHES_AHEAD: u32 = 4;

pub(super) struct Peer {
    pub(super) client: Client,
    pub(super) shared: Arc<Shared>,
    /// Its place in `Shared::progress`.
    pub(super) number: usize,
    pub(super) wake: Receiver<()>,
    pub(super) refresh: Duration,
    pub(super) resolve_for: Duration,
    pub(super) incident_url: Option<String>,
    /// Our name; without one nothing of a former life is looked for.
    pub(super) reporter: Option<Arc<str>>,
    pub(super) backoff: Backoff,
    pub(super) counters: Arc<ClientCounters>,
    pub(super) sink: Arc<SinkCounters>,
}

/// When to ask for what was told before a restart.
struct Look {
    /// `None`: never again.
    next_at: Option<Instant>,
    /// By then it has ended by itself; `None`: that was noted.
    until: Option<Instant>,
    backoff: Backoff,
}

/// How a request ended.
enum Outcome {
    Taken,
    /// Why not, and how long the peer asks to wait.
    Failed(String, Option<Duration>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    labels: &'a Labels,
    annotations: BTreeMap<&'a str, &'a str>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL", skip_serializing_if = "Option::is_none")]
    generator_url: Option<String>,
}

impl Peer {
    /// Keeps the peer informed until the sink is dropped.
    pub(super) fn run(mut self) {
        // Up to which change of the table the peer knows everything.
        let mut told = 0;
        let mut look = Look {
            next_at: self.reporter.as_ref().map(|_| Instant::now()),
            until: Some(Instant::now() + self.refresh * REFRESHES_AHEAD),
            backoff: Backoff::new(LOOK_PAUSE.0, LOOK_PAUSE.1),
        };
        self.look_back(&mut look);
        let mut refresh_at = Instant::now() + self.refresh;
        let mut paused_until = None;
        loop {
            let next = paused_until.unwrap_or(refresh_at);
            let next = look.next_at.map_or(next, |at| at.min(next));
            select! {
                recv(self.wake) -> woken => if woken.is_err() { return },
                default(next.saturating_duration_since(Instant::now())) => {}
            }
            self.look_back(&mut look);
            if paused_until.is_some_and(|until| Instant::now() < until) {
                continue;
            }
            let is_refresh = Instant::now() >= refresh_at;
            let (changes, entries) = self.shared.changed(if is_refresh { 0 } else { told });
            if is_refresh {
                refresh_at = Instant::now() + self.refresh;
                self.shared.purge(clock::wall(), self.resolve_for);
            }
            match self.tell(&entries) {
                Outcome::Taken => {
                    if self.backoff.failures() > 0 {
                        tracing::info!(
                            peer = self.client.place(),
                            "Alertmanager takes alerts again"
                        );
                    }
                    self.backoff.succeeded();
                    (told, paused_until) = (changes, None);
                }
                Outcome::Failed(why, asked) => {
                    let pause = self.backoff.failed().max(asked.unwrap_or_default());
                    paused_until = Some(Instant::now() + pause);
                    // It may have lost its memory: it gets everything when it is back.
                    told = 0;
                    self.complain(&why);
                }
            }
            self.shared.note_progress(self.number, told, self.backoff.failures() > 0);
        }
    }

    /// Asks what was told before a restart, if it is time to; once it has been answered, or what was
    /// told then has ended by itself, never again.
    fn look_back(&self, look: &mut Look) {
        if look.until.is_some_and(|until| Instant::now() >= until) {
            (look.next_at, look.until) = (None, None);
            locked(&self.shared.table).forget_former();
        }
        let (Some(reporter), Some(at)) = (self.reporter.as_deref(), look.next_at) else { return };
        if Instant::now() < at {
            return;
        }
        ClientCounters::count(&self.counters.requests);
        let path = format!(
            "{PATH}?filter={OWN_LABEL}%3D%22{OWN_VALUE}%22&active=true&silenced=true&inhibited=true"
        );
        let answer = self.client.get(&path, OWN_BYTES_MAX).map_err(|error| error.to_string());
        let read = answer.and_then(|answer| match (answer.is_success(), answer.truncated) {
            (true, false) => former::read(&answer.body, reporter),
            (true, true) => Err(format!("answers with more than {OWN_BYTES_MAX} bytes")),
            (false, _) => Err(answer.to_string()),
        });
        let peer = self.client.place();
        match read {
            Ok(alerts) => {
                look.next_at = None;
                self.counters.note_success(clock::wall());
                if !alerts.is_empty() {
                    let what = "Alertmanager shows alerts of ours from before the restart";
                    tracing::info!(peer, alerts = alerts.len(), "{what}");
                }
                if !locked(&self.shared.table).remember(alerts, clock::wall()) {
                    let what = "too many of them: what is left over ends by itself";
                    tracing::warn!(peer, "{what}");
                }
            }
            Err(why) => {
                ClientCounters::count(&self.counters.failures);
                look.next_at = Some(Instant::now() + look.backoff.failed());
                let attempts = look.backoff.failures();
                // The first failure, and then ever fewer: 1, 2, 4, 8, ...
                if attempts.is_power_of_two() {
                    let what = "cannot ask for our own alerts from before the restart";
                    tracing::warn!(peer, attempts, why, "{what}; will try again");
                }
            }
        }
    }

    fn complain(&self, why: &str) {
        SinkCounters::count(&self.sink.retries);
        // The first failure, and then ever fewer: 1, 2, 4, 8, ...
        if self.backoff.failures().is_power_of_two() {
            let (peer, attempts) = (self.client.place(), self.backoff.failures());
            tracing::warn!(
                peer,
                attempts,
                why,
                "Alertmanager does not take alerts; will try again"
            );
        }
    }

    /// Posts the alerts of some incidents.
    fn tell<'e>(&'e self, entries: &'e [Arc<Entry>]) -> Outcome {
        let wall = clock::wall();
        let alerts = |entry: &'e Arc<Entry>| self.alerts(entry, wall);
        let alerts: Vec<Alert<'_>> = entries.iter().flat_map(alerts).collect();
        for batch in alerts.chunks(BATCH) {
            if let failed @ Outcome::Failed(..) = self.post(batch) {
                return failed;
            }
        }
        Outcome::Taken
    }

    fn post(&self, batch: &[Alert<'_>]) -> Outcome {
        let body = match serde_json::to_vec(batch) {
            Ok(body) => body,
            Err(error) => unreachable!("alerts are JSON: {error}"),
        };
        ClientCounters::count(&self.counters.requests);
        let answer = self.client.post(PATH, &[], &body, ANSWER_BYTES_MAX);
        let failed = match answer {
            Ok(answer) if answer.is_success() => None,
            // Some of them it does not like. It has taken the others.
            Ok(answer @ Answer { status: 400 | 422, .. }) => {
                SinkCounters::count(&self.sink.refused);
                let (peer, why) = (self.client.place(), answer.to_string());
                tracing::error!(peer, why, "Alertmanager refuses alerts; they are left out");
                ClientCounters::count(&self.counters.failures);
                return Outcome::Taken;
            }
            Ok(answer) => Some((answer.to_string(), answer.retry_after)),
            Err(error) => Some((error.to_string(), None)),
        };
        match failed {
            None => {
                self.counters.note_success(clock::wall());
                Outcome::Taken
            }
            Some((why, asked)) => {
                ClientCounters::count(&self.counters.failures);
                Outcome::Failed(why, asked)
            }
        }
    }

    fn alerts<'e>(&'e self, entry: &'e Entry, wall: Timestamp) -> Vec<Alert<'e>> {
        let ahead = self.refresh * REFRESHES_AHEAD;
        let firing_until = wall.plus(Span::from_millis(ahead.as_millis() as u64));
        let url = self.incident_url.as_ref();
        let url = url.map(|url| url.replace("{incident}", &entry.incident));
        let reporter = self.reporter.as_deref().map(|name| (REPORTER, name));
        let texts = |posted: &'e Posted| posted.annotations.iter().map(|(n, v)| (*n, v.as_str()));
        let alert = |(labels, posted): (&'e Labels, &'e Posted)| Alert {
            labels,
            annotations: texts(posted).chain(reporter).collect(),
            starts_at: rfc3339(posted.starts_at),
            ends_at: rfc3339(posted.ended_at.unwrap_or(firing_until)),
            generator_url: url.clone(),
        };
        // Those that are over first: where the candidate changes, one goes before the other comes.
        let mut alerts: Vec<_> = entry.alerts.iter().collect();
        alerts.sort_by_key(|(_, posted)| posted.ended_at.is_none());
        alerts.into_iter().map(alert).collect()
    }
}
