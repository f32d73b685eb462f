//! One alert for each incident, kept in every Alertmanager.
//!
//! Alertmanager forgets an alert whose `endsAt` passes, so what it should know is posted again and
//! again, as Prometheus does it. The sink keeps that state in a table, and a thread for each peer
//! posts what has changed, everything at each refresh, and everything when the peer comes back
//! after a failure. A peer that hangs holds up nobody: not the pipeline, not the other peers.
//!
//! A record is acknowledged when it is in the table. Delivery needs no memory beyond that: after a
//! restart the table is rebuilt from the replay window, and what was lost ends by its `endsAt`.
//!
//! [Decision 0007](../../../docs/decisions/0007-incidents-as-alerts.md) says how labels are chosen.

mod former;
mod incident;
mod naming;
mod peer;
mod table;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use hypocenter_engine::Timestamp;

use self::incident::Incident;
pub use self::naming::{Naming, OWN_LABEL, OWN_VALUE, is_own};
use self::peer::Peer;
use self::table::{Applied, Entry, Table};
use super::{Cause, Outgoing, Sink, SinkError};
use crate::backoff::Backoff;
use crate::clock;
use crate::config::AlertmanagerOutput;
use crate::http_client::Client;
use crate::metrics::{Metrics, SinkCounters};
use crate::redact::host_of;
use crate::source::Shard;

/// Records on their way into the table; that thread waits for nobody.
const QUEUE_MAX: usize = 1_000;
/// Longest wait for peers that answer, when the process ends or a shard is given away.
const FLUSH_MAX: Duration = Duration::from_secs(2);
/// The first pause after a failure, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// Keeps incidents in Alertmanagers. Dropping it ends its threads after the requests under way.
#[derive(Debug)]
pub struct AlertmanagerSink {
    queue: Sender<Job>,
    shared: Arc<Shared>,
    taken: Vec<Cause>,
    counters: Arc<SinkCounters>,
    sent: u64,
}

/// What the pipeline says, in order.
#[derive(Debug)]
enum Job {
    Version(Shard, Vec<u8>),
    Live(Shard),
    Released(Shard),
}

/// What the threads have in common.
#[derive(Debug)]
struct Shared {
    table: Mutex<Table>,
    progress: Mutex<Progress>,
    advanced: Condvar,
}

/// How far everybody is.
#[derive(Debug, Default)]
struct Progress {
    /// Jobs that the table knows.
    applied: u64,
    /// Changes of the table when it knew them.
    changes: u64,
    /// For each peer the changes that it knows, and whether it fails.
    peers: Vec<(u64, bool)>,
}

impl Shared {
    /// Everything that has changed since, and the number of changes so far.
    fn changed(&self, since: u64) -> (u64, Vec<Arc<Entry>>) {
        let table = locked(&self.table);
        (table.changes(), table.since(since))
    }

    fn purge(&self, wall: Timestamp, resolve_for: Duration) {
        locked(&self.table).purge(wall, resolve_for);
    }

    fn note_progress(&self, peer: usize, told: u64, fails: bool) {
        if let Some(of_peer) = locked(&self.progress).peers.get_mut(peer) {
            *of_peer = (told, fails);
        }
        self.advanced.notify_all();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AlertmanagerSink {
    /// Starts the threads. Nothing is sent yet: peers that are down are waited for. `reporter` is
    /// the name of this Hypocenter, the same after a restart: what it told before is looked for and
    /// ended where it is contradicted.
    ///
    /// # Errors
    /// [`SinkError`] when a file of `tls_config` cannot be used, or there can be no thread.
    pub fn start(
        output: &AlertmanagerOutput,
        tenant_label: Option<&str>,
        reporter: Option<&str>,
        metrics: &Metrics,
    ) -> Result<Self, SinkError> {
        let reporter: Option<Arc<str>> = reporter.map(Arc::from);
        let counters = metrics.sink("alertmanager");
        let peers = vec![(0, false); output.urls.len()];
        let shared = Arc::new(Shared {
            table: Mutex::default(),
            progress: Mutex::new(Progress { peers, ..Progress::default() }),
            advanced: Condvar::new(),
        });
        let mut wakes = Vec::new();
        for (number, url) in output.urls.iter().enumerate() {
            let failed =
                |why: String| SinkError { what: format!("Alertmanager {}", host_of(url)), why };
            let client = Client::new(url.trim_end_matches('/'), &output.http, output.timeout);
            let client = client.map_err(failed)?;
            let (wake, woken) = bounded(1);
            wakes.push(wake);
            let peer = Peer {
                counters: metrics.client("alertmanager", client.place()),
                client,
                shared: Arc::clone(&shared),
                number,
                wake: woken,
                refresh: output.refresh,
                resolve_for: output.resolve_for,
                incident_url: output.incident_url.clone(),
                reporter: reporter.clone(),
                backoff: Backoff::new(PAUSE.0, PAUSE.1.min(output.refresh)),
                sink: Arc::clone(&counters),
            };
            let named = thread::Builder::new().name(format!("alertmanager-{number}"));
            named.spawn(move || peer.run()).map_err(|error| failed(error.to_string()))?;
        }
        let (queue, jobs) = bounded(QUEUE_MAX);
        let keeper = Keeper {
            jobs,
            wakes,
            shared: Arc::clone(&shared),
            naming: Naming::new(output, tenant_label),
            counters: Arc::clone(&counters),
            full: 0,
        };
        let failed = |error: std::io::Error| SinkError {
            what: "starting the Alertmanager sink".to_owned(),
            why: error.to_string(),
        };
        let named = thread::Builder::new().name("alertmanager".to_owned());
        named.spawn(move || keeper.run()).map_err(failed)?;
        Ok(Self { queue, shared, taken: Vec::new(), counters, sent: 0 })
    }

    fn hand_over(&mut self, job: Job) -> Result<(), SinkError> {
        self.sent += 1;
        self.queue.send(job).map_err(|_| SinkError {
            what: "Alertmanager sink".to_owned(),
            why: "its thread has ended; the log says why".to_owned(),
        })
    }
}

impl Sink for AlertmanagerSink {
    fn send(&mut self, record: &Outgoing<'_>) -> Result<(), SinkError> {
        self.restore(&record.cause.shard, record.body)?;
        self.taken.push(record.cause.clone());
        SinkCounters::count(&self.counters.sent);
        Ok(())
    }

    fn restore(&mut self, shard: &Shard, body: &[u8]) -> Result<(), SinkError> {
        self.hand_over(Job::Version(shard.clone(), body.to_vec()))
    }

    fn caught_up(&mut self, shard: &Shard) -> Result<(), SinkError> {
        self.hand_over(Job::Live(shard.clone()))
    }

    fn released(&mut self, shard: &Shard) -> Result<(), SinkError> {
        self.hand_over(Job::Released(shard.clone()))
    }

    fn acknowledged(&mut self, each: &mut dyn FnMut(Cause)) -> Result<(), SinkError> {
        for cause in self.taken.drain(..) {
            SinkCounters::count(&self.counters.acknowledged);
            each(cause);
        }
        Ok(())
    }

    fn flush(&mut self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout.min(FLUSH_MAX);
        let mut progress = locked(&self.shared.progress);
        loop {
            let changes = progress.changes;
            // Those that fail would be waited for in vain.
            let told = |&(told, fails): &(u64, bool)| fails || told >= changes;
            if progress.applied >= self.sent && progress.peers.iter().all(told) {
                return progress.peers.iter().all(|&(told, _)| told >= changes);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.shared.advanced.wait_timeout(progress, left);
            progress = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The thread that keeps the table.
struct Keeper {
    jobs: Receiver<Job>,
    /// When they end, so do the peers.
    wakes: Vec<Sender<()>>,
    shared: Arc<Shared>,
    naming: Naming,
    counters: Arc<SinkCounters>,
    /// Versions for which there was no room.
    full: u64,
}

impl Keeper {
    fn run(mut self) {
        while let Ok(job) = self.jobs.recv() {
            self.apply(&job);
            let changes = locked(&self.shared.table).changes();
            {
                let mut progress = locked(&self.shared.progress);
                (progress.applied, progress.changes) = (progress.applied + 1, changes);
            }
            self.shared.advanced.notify_all();
            for wake in &self.wakes {
                // Full: the peer will look anyway.
                wake.try_send(()).ok();
            }
        }
    }

    fn apply(&mut self, job: &Job) {
        match job {
            Job::Live(shard) => locked(&self.shared.table).note_live(shard),
            Job::Released(shard) => locked(&self.shared.table).release(shard),
            Job::Version(shard, body) => {
                let incident: Incident = match serde_json::from_slice(body) {
                    Ok(incident) => incident,
                    Err(error) => unreachable!("a record has its fields: {error}"),
                };
                let wall = clock::wall();
                let applied =
                    locked(&self.shared.table).apply(shard, &incident, &self.naming, wall);
                self.complain(applied, &incident.incident);
            }
        }
    }

    fn complain(&mut self, applied: Applied, incident: &str) {
        let what = match applied {
            Applied::Done => return,
            Applied::Full => "there are too many incidents; this one is not kept in Alertmanager",
            Applied::WithoutMembers => {
                "there are too many affected entities; those of this incident are not named"
            }
        };
        self.full += 1;
        SinkCounters::count(&self.counters.refused);
        if self.full.is_power_of_two() {
            tracing::error!(incident, total = self.full, "{what}");
        }
    }
}
