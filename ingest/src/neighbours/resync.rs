//! Active alerts from Alertmanager, once at the start: what fires is known at once, and not only
//! when it is repeated.
//!
//! They go the way of posted alerts, in bodies of the size that Prometheus posts, and are ordinary
//! alert events from there on. A neighbour that does not answer is asked again for a while, in the
//! background; nothing waits for it.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use serde_json::value::RawValue;

use crate::backoff::Backoff;
use crate::clock;
use crate::config;
use crate::http_client::Client;
use crate::metrics::{ClientCounters, Metrics};

/// What to ask for: alerts that are silenced or inhibited fire all the same.
const PATH: &str = "/api/v2/alerts?active=true&silenced=true&inhibited=true&unprocessed=true";
/// Largest answer that is read; 100,000 alerts have about 66 MB.
const ANSWER_BYTES_MAX: u64 = 128 << 20;
/// Alerts of one body, and its bytes.
const BATCH: (usize, usize) = (256, 1 << 20);
/// The first pause after a failure, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How long to wait before a full queue is tried again.
const FULL_PAUSE: Duration = Duration::from_millis(100);

/// What became of a body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Offered {
    /// It will be decided.
    Taken,
    /// There is no room now.
    Full,
    /// It cannot be read, for this reason.
    Refused(String),
}

/// Takes bodies as they are posted.
pub type Offer = dyn Fn(&[u8]) -> Offered + Send;

/// A resynchronisation under way. Dropping it ends it after the request under way.
#[derive(Debug)]
pub struct Resync {
    _stop: Sender<()>,
}

impl Resync {
    /// Starts to ask; what is answered goes to `offer`.
    ///
    /// # Errors
    /// Why a file of `tls_config` cannot be used, or there can be no thread.
    pub fn start(
        config: &config::Resync,
        offer: Box<Offer>,
        metrics: &Metrics,
    ) -> Result<Self, String> {
        let mut peers = Vec::new();
        for url in &config.urls {
            let client = Client::new(url.trim_end_matches('/'), &config.http, config.timeout)
                .map_err(|why| format!("neighbours.resync: {why}"))?;
            let counters = metrics.client("resync", client.place());
            let backoff = Backoff::new(PAUSE.0, PAUSE.1);
            peers.push(Peer { client, counters, backoff, next_at: Instant::now() });
        }
        let (stop, stopped) = bounded(0);
        let until = Instant::now() + config.retry_for;
        let named = thread::Builder::new().name("resync".to_owned());
        let run = move || run(peers, until, &*offer, &stopped);
        named.spawn(run).map_err(|error| error.to_string())?;
        Ok(Self { _stop: stop })
    }
}

struct Peer {
    client: Client,
    counters: Arc<ClientCounters>,
    backoff: Backoff,
    next_at: Instant,
}

/// Asks everybody until they have answered, or it is too late.
fn run(mut peers: Vec<Peer>, until: Instant, offer: &Offer, stopped: &Receiver<()>) {
    while let Some(next) = peers.iter().map(|peer| peer.next_at).min() {
        let wait = next.saturating_duration_since(Instant::now());
        if stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
            return;
        }
        peers.retain_mut(|peer| {
            peer.next_at > Instant::now() || !peer.is_done(until, offer, stopped)
        });
    }
}

impl Peer {
    /// Asks once. Whether that was the last time.
    fn is_done(&mut self, until: Instant, offer: &Offer, stopped: &Receiver<()>) -> bool {
        ClientCounters::count(&self.counters.requests);
        let peer = self.client.place();
        match self.ask() {
            Ok(body) => match hand_over(&body, offer, stopped) {
                Ok(alerts) => {
                    self.counters.note_success(clock::wall());
                    tracing::info!(peer, alerts, "active alerts of Alertmanager taken over");
                    true
                }
                Err(why) => self.failed(&why, until),
            },
            Err(why) => self.failed(&why, until),
        }
    }

    fn ask(&self) -> Result<Vec<u8>, String> {
        let answer = self.client.get(PATH, ANSWER_BYTES_MAX).map_err(|error| error.to_string())?;
        if !answer.is_success() {
            return Err(answer.to_string());
        }
        if answer.truncated {
            return Err(format!("answers with more than {ANSWER_BYTES_MAX} bytes"));
        }
        Ok(answer.body)
    }

    fn failed(&mut self, why: &str, until: Instant) -> bool {
        ClientCounters::count(&self.counters.failures);
        self.next_at = Instant::now() + self.backoff.failed();
        let (peer, attempts) = (self.client.place(), self.backoff.failures());
        if self.next_at >= until {
            let what = "active alerts of Alertmanager are not known; they will be when repeated";
            tracing::warn!(peer, attempts, why, "{what}");
            return true;
        }
        // The first failure, and then ever fewer: 1, 2, 4, 8, ...
        if attempts.is_power_of_two() {
            tracing::warn!(peer, attempts, why, "cannot ask for active alerts; will try again");
        }
        false
    }
}

/// Hands the alerts of an answer over, in parts. How many there were.
fn hand_over(body: &[u8], offer: &Offer, stopped: &Receiver<()>) -> Result<usize, String> {
    let alerts: Vec<&RawValue> = serde_json::from_slice(body)
        .map_err(|error| format!("is not what Alertmanager answers about alerts: {error}"))?;
    let mut rest = &alerts[..];
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |alert: &&&RawValue| {
            bytes += alert.get().len() + 1;
            bytes <= BATCH.1
        };
        // One that is larger than a body goes alone, and is refused if it is too large.
        let count = rest.iter().take(BATCH.0).take_while(fits).count().max(1);
        let (batch, after) = rest.split_at(count);
        let texts: Vec<&str> = batch.iter().map(|alert| alert.get()).collect();
        let body = format!("[{}]", texts.join(","));
        loop {
            match offer(body.as_bytes()) {
                Offered::Taken => break,
                Offered::Refused(why) => return Err(why),
                Offered::Full => {
                    if stopped.recv_timeout(FULL_PAUSE) != Err(RecvTimeoutError::Timeout) {
                        return Err("the process ends".to_owned());
                    }
                }
            }
        }
        rest = after;
    }
    Ok(alerts.len())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::http_client::tests::{TestServer, answer, await_that};
    use crate::wire::{Decoder, Options};

    type Bodies = Arc<Mutex<Vec<String>>>;

    fn start(urls: &[String], retry_for: Duration, full: usize) -> (Resync, Bodies, Metrics) {
        let bodies = Bodies::default();
        let (into, refuse) = (Arc::clone(&bodies), AtomicUsize::new(full));
        let offer = move |body: &[u8]| {
            let left =
                refuse.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
            if left.is_ok() {
                return Offered::Full;
            }
            let text = String::from_utf8(body.to_vec()).expect("text");
            into.lock().expect("not poisoned").push(text);
            Offered::Taken
        };
        let config = config::Resync { urls: urls.to_vec(), retry_for, ..config::Resync::default() };
        let metrics = Metrics::default();
        let resync = Resync::start(&config, Box::new(offer), &metrics).expect("started");
        (resync, bodies, metrics)
    }

    fn accepted(bodies: &Bodies) -> u32 {
        let mut decoder = Decoder::new(Options::default());
        let bodies = bodies.lock().expect("not poisoned");
        let decode = |body: &String| {
            decoder.decode(body.as_bytes(), &mut |alert| assert!(alert.is_ok())).expect("a body")
        };
        bodies.iter().map(decode).map(|summary| summary.accepted).sum()
    }

    #[test]
    fn what_a_real_alertmanager_answered_is_taken_over_in_parts() {
        let recorded = include_str!("../../../fixtures/recordings/api/alerts-t130.json");
        let server = TestServer::start(move |head, _| {
            assert!(head.starts_with("GET /api/v2/alerts?active=true&silenced=true"), "{head}");
            answer("200 OK", recorded)
        });
        let number = recorded.matches("\"fingerprint\"").count();
        assert!(number > 50);
        let (_resync, bodies, _) = start(&[server.url()], Duration::from_secs(9), 2);
        await_that("all are there", || accepted(&bodies) as usize == number);

        let many: Vec<String> = (0..1000)
            .map(|n| format!(r#"{{"labels":{{"n":"{n}","x":"{}"}}}}"#, "y".repeat(3000)))
            .collect();
        let many = format!("[{}]", many.join(",\n "));
        let server = TestServer::start(move |_, _| answer("200 OK", &many));
        let (_resync, bodies, _) = start(&[server.url()], Duration::from_secs(9), 0);
        let lengths =
            || bodies.lock().expect("not poisoned").iter().map(String::len).collect::<Vec<_>>();
        await_that("all are there", || lengths().iter().sum::<usize>() > 3_000_000);
        assert!(lengths().len() >= 4 && lengths().iter().all(|&length| length <= BATCH.1 + 2));
    }

    #[test]
    fn who_fails_is_asked_again_and_holds_up_nobody() {
        let turn = AtomicUsize::new(0);
        let failing = TestServer::start(move |_, _| match turn.fetch_add(1, Ordering::Relaxed) {
            0 => answer("500 No", "no"),
            1 => answer("200 OK", "<html>"),
            _ => answer("200 OK", r#"[{"labels":{"a":"b"}}]"#),
        });
        let good = TestServer::start(|_, _| answer("200 OK", r#"[{"labels":{"c":"d"}}]"#));
        let urls = [failing.url(), good.url()];
        let (_resync, bodies, metrics) = start(&urls, Duration::from_secs(60), 0);
        await_that("the good one is heard", || accepted(&bodies) == 1);
        await_that("the other one too", || accepted(&bodies) == 2);
        let text = metrics.render(crate::metrics::Exposition::Text);
        let line = format!(
            "hypocenter_client_failures_total{{client=\"resync\",peer=\"{}\"}} 2\n",
            failing.url()
        );
        assert!(text.contains(&line), "{text}");
    }

    #[test]
    fn in_the_end_it_is_given_up() {
        let server = TestServer::start(|_, _| answer("503 No", ""));
        let (_resync, _, _) = start(&[server.url()], Duration::ZERO, 0);
        await_that("it was asked", || server.seen().len() == 1);
        thread::sleep(Duration::from_millis(50));
        assert_eq!(server.seen().len(), 1);
    }
}
