//! The thread that asks Prometheus for its rules.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::holds::{Hold, HoldTable, Holds};
use super::rules;
use crate::backoff::Backoff;
use crate::clock;
use crate::config::RulesWatch;
use crate::http_client::Client;
use crate::metrics::{ClientCounters, Metrics};

/// Largest answer that is read; 10,000 rules with their texts have 20 MB.
const ANSWER_BYTES_MAX: u64 = 64 << 20;
/// The first pause after a failure.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// How long a start waits for the first answers, so that the first alerts find them.
const FIRST_MAX: Duration = Duration::from_secs(2);

/// Keeps a table of rules as Prometheus has them. Dropping it ends its thread after the request
/// under way.
#[derive(Debug)]
pub struct Watch {
    _stop: Sender<()>,
}

impl Watch {
    /// Starts to ask, and waits a moment for the first answers. Until there is one, `holds` has
    /// what the file has, or what is shipped.
    ///
    /// # Errors
    /// Why a file of `tls_config` cannot be used, or there can be no thread.
    pub fn start(config: &RulesWatch, holds: &Holds, metrics: &Metrics) -> Result<Self, String> {
        let mut peers = Vec::new();
        for url in &config.urls {
            let client = Client::new(url.trim_end_matches('/'), &config.http, config.timeout)
                .map_err(|why| format!("neighbours.rules: {why}"))?;
            let counters = metrics.client("rules", client.place());
            let backoff = Backoff::new(PAUSE_MIN, config.refresh);
            let next_at = Instant::now();
            peers.push(Peer { client, counters, backoff, next_at, rules: None });
        }
        let (stop, stopped) = bounded(0);
        let (tell, told) = bounded(1);
        let watcher = Watcher {
            peers,
            refresh: config.refresh,
            file: config.file.clone(),
            holds: holds.clone(),
        };
        let named = thread::Builder::new().name("rules".to_owned());
        named.spawn(move || watcher.run(&stopped, &tell)).map_err(|error| error.to_string())?;
        // Nobody waits for long: what comes later is used from then on.
        told.recv_timeout(FIRST_MAX).ok();
        Ok(Self { _stop: stop })
    }
}

struct Watcher {
    peers: Vec<Peer>,
    refresh: Duration,
    file: Option<PathBuf>,
    holds: Holds,
}

struct Peer {
    client: Client,
    counters: Arc<ClientCounters>,
    backoff: Backoff,
    next_at: Instant,
    /// What it answered last.
    rules: Option<Vec<Hold>>,
}

impl Watcher {
    fn run(mut self, stopped: &Receiver<()>, tell: &Sender<()>) {
        loop {
            let now = Instant::now();
            for peer in self.peers.iter_mut().filter(|peer| peer.next_at <= now) {
                peer.ask(self.refresh);
            }
            self.publish();
            tell.try_send(()).ok();
            let next = self.peers.iter().map(|peer| peer.next_at).min();
            let wait = next.map_or(self.refresh, |at| at.saturating_duration_since(Instant::now()));
            if stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }

    /// Puts what all have answered in place, if it is news.
    fn publish(&self) {
        let known: Vec<&Vec<Hold>> = self.peers.iter().filter_map(|p| p.rules.as_ref()).collect();
        if known.is_empty() {
            return;
        }
        let table = HoldTable::new(known.into_iter().flatten().cloned().collect());
        if table.version() == self.holds.table().version() {
            return;
        }
        let (alerts, version) = (table.len(), format!("{:016x}", table.version()));
        tracing::info!(alerts, version, "durations of rules, as Prometheus has them");
        if let Some(file) = &self.file
            && let Err(error) = write(file, &table.to_text())
        {
            let file = file.display();
            tracing::warn!("{file}: {error}; a replay cannot use these durations");
        }
        self.holds.replace(table);
    }
}

impl Peer {
    fn ask(&mut self, refresh: Duration) {
        ClientCounters::count(&self.counters.requests);
        let answer = self.client.get(rules::PATH, ANSWER_BYTES_MAX);
        let rules = match answer {
            Err(error) => Err(error.to_string()),
            Ok(answer) if !answer.is_success() => Err(answer.to_string()),
            Ok(answer) if answer.truncated => {
                Err(format!("answers with more than {ANSWER_BYTES_MAX} bytes"))
            }
            Ok(answer) => rules::read(&answer.body),
        };
        match rules {
            Ok(rules) => {
                self.counters.note_success(clock::wall());
                self.backoff.succeeded();
                self.rules = Some(rules);
                self.next_at = Instant::now() + refresh;
            }
            Err(why) => {
                ClientCounters::count(&self.counters.failures);
                self.next_at = Instant::now() + self.backoff.failed();
                // The first failure, and then ever fewer: 1, 2, 4, 8, ...
                if self.backoff.failures().is_power_of_two() {
                    let (peer, attempts) = (self.client.place(), self.backoff.failures());
                    tracing::warn!(peer, attempts, why, "rules of Prometheus are not known anew");
                }
            }
        }
    }
}

/// Writes a file so that whoever reads it finds the old or the new one.
fn write(file: &Path, text: &str) -> std::io::Result<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = file.with_file_name(name);
    fs::write(&new, text)?;
    fs::rename(&new, file)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::http_client::tests::{TestServer, answer, await_that};

    fn body(alert: &str, secs: u32) -> String {
        format!(
            r#"{{"status":"success","data":{{"groups":[{{"interval":30,"rules":[
               {{"name":"{alert}","type":"alerting","duration":{secs}}}]}}]}}}}"#
        )
    }

    fn server(text: &Arc<Mutex<String>>) -> TestServer {
        let text = Arc::clone(text);
        TestServer::start(move |head, _| {
            assert!(head.starts_with("GET /api/v1/rules?type=alert"), "{head}");
            text.lock().expect("not poisoned").clone()
        })
    }

    #[test]
    fn rules_are_asked_for_again_and_kept_through_garbage() {
        let text = Arc::new(Mutex::new(answer("200 OK", &body("A", 60))));
        let first = server(&text);
        let second = server(&Arc::new(Mutex::new(answer("200 OK", &body("B", 5)))));
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("rules.yml");
        let config = RulesWatch {
            urls: vec![first.url(), second.url() + "/"],
            refresh: Duration::from_millis(50),
            file: Some(file.clone()),
            ..RulesWatch::default()
        };
        let (holds, metrics) = (Holds::default(), Metrics::default());
        let watch = Watch::start(&config, &holds, &metrics).expect("started");
        assert_eq!(holds.table().len(), 2, "the start waits for the first answers");
        assert_eq!(HoldTable::load(&file).expect("valid"), *holds.table());
        let before = holds.table().version();
        for garbage in ["200 OK", "500 No", "302 Found"] {
            let seen = first.seen().len();
            *text.lock().expect("not poisoned") = answer(garbage, "{\"status\":\"success\"");
            await_that("it was asked", || first.seen().len() > seen + 1);
            assert_eq!(holds.table().version(), before, "{garbage}");
        }
        *text.lock().expect("not poisoned") = answer("200 OK", &body("A", 300));
        await_that("the change is known", || holds.table().version() != before);
        await_that("and written", || HoldTable::load(&file).expect("valid") == *holds.table());
        drop(watch);
        await_that("the thread ends", || Arc::strong_count(&first_counters(&metrics, &first)) == 2);
    }

    /// Besides the registry's, the watcher holds the only reference.
    fn first_counters(metrics: &Metrics, server: &TestServer) -> Arc<ClientCounters> {
        metrics.client("rules", &server.url())
    }

    #[test]
    fn a_prometheus_that_hangs_delays_a_start_for_a_moment_only() {
        let hanging = TestServer::start(|_, _| "hang".to_owned());
        let config = RulesWatch {
            urls: vec![hanging.url()],
            timeout: Duration::from_secs(15),
            ..RulesWatch::default()
        };
        let holds = Holds::with(HoldTable::shipped());
        let started = Instant::now();
        let _watch = Watch::start(&config, &holds, &Metrics::default()).expect("started");
        assert!(started.elapsed() < Duration::from_secs(10));
        assert_eq!(*holds.table(), HoldTable::shipped());
    }
}
