//! Every metric: its name, unit, labels and meaning, in one table.
//!
//! The pipeline's thread owns a [`Snapshot`] of plain counters and publishes it once a batch; a
//! scrape reads the last one published. Sinks have threads of their own, so their counters are
//! atomics. Nothing here is global.

mod definitions;
mod latency;
mod process;
mod snapshot;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use hypocenter_engine::{Policy, Timestamp, Topology};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, MetricEncoder, NoLabelSet, text as openmetrics,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use crate::board::Board;
use crate::book::Book;
use crate::clock;
use crate::feedback::{Feedback, Standing};
use crate::http::HttpCounters;
use crate::intake::IntakeCounters;
use crate::source::http::Queue;

pub use definitions::{DEFINITIONS, Definition, Type, reference};
pub use latency::Latency;
pub use snapshot::{ByLabel, Info, OWN, ShardSnapshot, Snapshot};
#[cfg(test)]
pub(crate) use tests::check_text;

/// Counters of one sink, counted up by whoever knows first.
#[derive(Debug, Default)]
pub struct SinkCounters {
    /// Records that the sink has taken.
    pub sent: AtomicU64,
    /// Records delivered, or refused for good.
    pub acknowledged: AtomicU64,
    /// Records that the receiver refused for good.
    pub refused: AtomicU64,
    /// Attempts that failed and were repeated.
    pub retries: AtomicU64,
}

impl SinkCounters {
    /// Adds one.
    pub fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counters of the requests to one server, by whoever sends them.
#[derive(Debug, Default)]
pub struct ClientCounters {
    /// Requests sent.
    pub requests: AtomicU64,
    /// Requests without an answer, or with one that was not 2xx.
    pub failures: AtomicU64,
    /// When the last success was, in milliseconds since 1970; 0: never.
    last_success: AtomicU64,
}

impl ClientCounters {
    /// Adds one.
    pub fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a request succeeded at this time.
    pub fn note_success(&self, wall: Timestamp) {
        let millis = u64::try_from(wall.as_millis()).unwrap_or(0);
        self.last_success.store(millis, Ordering::Relaxed);
    }
}

/// All metrics of one daemon. Cheap to clone; clones share their values.
#[derive(Clone, Debug)]
pub struct Metrics {
    shared: Arc<Shared>,
    registry: Arc<Registry>,
}

#[derive(Debug, Default)]
struct Shared {
    snapshot: Mutex<Snapshot>,
    info: Mutex<Info>,
    sinks: Mutex<Vec<(String, Arc<SinkCounters>)>>,
    http: Arc<HttpCounters>,
    intake: Mutex<Option<(Arc<IntakeCounters>, Queue)>>,
    reload: Mutex<Option<Reloaded>>,
    readable: Mutex<(Option<Board>, Option<Arc<Book>>)>,
    clients: Mutex<Clients>,
    feedback: Mutex<Option<Arc<Feedback>>>,
}

/// How the configuration was last read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Reloaded {
    was_good: bool,
    /// When it last was, in seconds since 1970.
    good_at: u64,
}

/// Counters by client and peer.
type Clients = BTreeMap<(&'static str, String), Arc<ClientCounters>>;

/// What the table of definitions reads from.
#[derive(Debug)]
struct Values {
    snapshot: Snapshot,
    info: Info,
    sinks: Vec<(String, Arc<SinkCounters>)>,
    http: Arc<HttpCounters>,
    intake: Option<(Arc<IntakeCounters>, Queue)>,
    reload: Option<Reloaded>,
    /// What readers can see of incidents and of posted alerts: bytes, and how many are left out.
    readable: [Option<(u64, u64)>; 2],
    clients: Clients,
    feedback: Option<Standing>,
}

/// Text form of metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exposition {
    /// Prometheus' text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Exposition {
    /// The `content-type` of this form.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(Registry::default())
    }
}

impl Metrics {
    /// Metrics beside those that `registry` already holds.
    #[must_use]
    pub fn new(mut registry: Registry) -> Self {
        let shared = Arc::new(Shared::default());
        registry.register_collector(Box::new(Reader(Arc::clone(&shared))));
        let registry = Arc::new(registry);
        Self { shared, registry }
    }

    /// Makes the pipeline's counters visible to scrapes; once a batch, for it copies them. Never
    /// waits: in the moment in which a scrape reads the last ones nothing is published, and the
    /// answer is `false`; the next call makes up for it.
    pub fn publish(&self, snapshot: &Snapshot) -> bool {
        let shared = match self.shared.snapshot.try_lock() {
            Ok(shared) => Some(shared),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        shared.map(|mut shared| shared.clone_from(snapshot)).is_some()
    }

    /// The counters published last.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        locked(&self.shared.snapshot).clone()
    }

    /// Sets what changes only when the configuration is read again.
    pub fn describe(&self, info: Info) {
        *locked(&self.shared.info) = info;
    }

    /// Sets what the configuration that was read again has changed of it.
    pub fn describe_anew(&self, policy: &Policy, topology: &Topology) {
        let mut info = locked(&self.shared.info);
        info.policy_hash = policy.hash();
        info.topology_version = topology.version();
        info.topology_entities = topology.len() as u64;
        info.topology_dependencies = topology.edges() as u64;
    }

    /// Counters of the HTTP servers.
    #[must_use]
    pub fn http(&self) -> Arc<HttpCounters> {
        Arc::clone(&self.shared.http)
    }

    /// Counters of what is posted to `queue`, which is shown with them.
    #[must_use]
    pub fn intake(&self, queue: &Queue) -> Arc<IntakeCounters> {
        let counters = Arc::default();
        *locked(&self.shared.intake) = Some((Arc::clone(&counters), queue.clone()));
        counters
    }

    /// Shows how much readers can see on `board`, and in `book` if alerts are posted to us.
    pub fn readable(&self, board: &Board, book: Option<&Arc<Book>>) {
        *locked(&self.shared.readable) = (Some(board.clone()), book.cloned());
    }

    /// Notes that the configuration was read, and whether it is good.
    pub fn reloaded(&self, good: bool) {
        let mut reload = locked(&self.shared.reload);
        let before = reload.unwrap_or_default();
        let now = clock::wall().as_millis() / 1_000;
        let good_at = if good { u64::try_from(now).unwrap_or_default() } else { before.good_at };
        *reload = Some(Reloaded { was_good: good, good_at });
    }

    /// Shows also what engineers say of candidates.
    pub fn watch_feedback(&self, feedback: Arc<Feedback>) {
        *locked(&self.shared.feedback) = Some(feedback);
    }

    /// Counters for a sink of this name. A second one of the same name gets a number: two equal
    /// series would spoil the whole scrape.
    #[must_use]
    pub fn sink(&self, name: &str) -> Arc<SinkCounters> {
        let counters = Arc::default();
        let mut sinks = locked(&self.shared.sinks);
        let taken = |name: &str| sinks.iter().any(|(known, _)| known == name);
        let numbered = (2..).map(|n| format!("{name}-{n}"));
        let unique = std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken(name));
        sinks.push((unique.unwrap_or_default(), Arc::clone(&counters)));
        counters
    }

    /// Has sinks made whose counters take the place of those there are, unless that fails.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn exchange_sinks<T, E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let before = std::mem::take(&mut *locked(&self.shared.sinks));
        make().inspect_err(|_| *locked(&self.shared.sinks) = before)
    }

    /// Counters of the requests that `client` sends to `peer`, a scheme, host and port.
    #[must_use]
    pub fn client(&self, client: &'static str, peer: &str) -> Arc<ClientCounters> {
        let mut clients = locked(&self.shared.clients);
        Arc::clone(clients.entry((client, peer.to_owned())).or_default())
    }

    /// All metrics as text.
    #[must_use]
    pub fn render(&self, exposition: Exposition) -> String {
        let mut text = String::new();
        if openmetrics::encode(&mut text, &self.registry).is_err() {
            // Writing to a string does not fail; were it to, no metrics are better than half.
            return String::new();
        }
        match exposition {
            Exposition::OpenMetrics => text,
            Exposition::Text => text::from_openmetrics(&text),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The values are plain counters: whatever a panicking thread left is still the best known.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One value of a metric.
#[derive(Clone, PartialEq, Debug)]
enum Value {
    Int(u64),
    Float(f64),
    Latency(Latency),
}

/// The values of one metric, each with its label values in the order of the definition.
type Samples = Vec<(Vec<String>, Value)>;

#[derive(Debug)]
struct Reader(Arc<Shared>);

impl Collector for Reader {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let feedback = locked(&self.0.feedback).clone();
        let values = Values {
            snapshot: locked(&self.0.snapshot).clone(),
            info: locked(&self.0.info).clone(),
            sinks: locked(&self.0.sinks).clone(),
            http: Arc::clone(&self.0.http),
            intake: locked(&self.0.intake).clone(),
            reload: *locked(&self.0.reload),
            readable: {
                let (board, book) = &*locked(&self.0.readable);
                [board.as_ref().map(Board::size), book.as_ref().map(|book| book.size())]
            },
            clients: locked(&self.0.clients).clone(),
            feedback: feedback.map(|feedback| feedback.standing(clock::wall())),
        };
        for definition in DEFINITIONS {
            let samples = (definition.read)(&values);
            if samples.is_empty() {
                continue;
            }
            let (name, unit, kind) = definition.openmetrics();
            let mut metric =
                encoder.encode_descriptor(name, definition.help, unit.as_ref(), kind)?;
            for (labels, value) in samples {
                let names = definition.labels.iter().copied();
                let labels: Vec<(&str, String)> = names.zip(labels).collect();
                if labels.is_empty() {
                    encode(&mut metric, definition.kind, &value)?;
                } else {
                    encode(&mut metric.encode_family(&labels)?, definition.kind, &value)?;
                }
            }
        }
        Ok(())
    }
}

impl Definition {
    /// Name without the suffixes that the encoder adds itself, unit, and type.
    fn openmetrics(&self) -> (&'static str, Option<Unit>, MetricType) {
        let kind = match self.kind {
            Type::Counter => MetricType::Counter,
            Type::Gauge => MetricType::Gauge,
            Type::Histogram => MetricType::Histogram,
        };
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        for (suffix, unit) in [("_seconds", Unit::Seconds), ("_bytes", Unit::Bytes)] {
            if let Some(name) = name.strip_suffix(suffix) {
                return (name, Some(unit), kind);
            }
        }
        (name, None, kind)
    }
}

fn encode(metric: &mut MetricEncoder<'_>, kind: Type, value: &Value) -> fmt::Result {
    match (kind, value) {
        (Type::Counter, Value::Int(value)) => {
            metric.encode_counter::<NoLabelSet, _, u64>(value, None)
        }
        (Type::Counter, Value::Float(value)) => {
            metric.encode_counter::<NoLabelSet, _, f64>(value, None)
        }
        (Type::Gauge, Value::Int(value)) => metric.encode_gauge(value),
        (Type::Gauge, Value::Float(value)) => metric.encode_gauge(value),
        (_, Value::Latency(latency)) => metric.encode_histogram::<NoLabelSet>(
            latency.sum_seconds(),
            latency.count(),
            &latency.buckets(),
            None,
        ),
        (Type::Histogram, _) => Err(fmt::Error),
    }
}
