//! Incident records to a Kafka topic, keyed by incident; dead letters to another. At least once.
//!
//! The producer is idempotent: librdkafka's own retries neither double nor reorder records. It is
//! polled on the pipeline's thread. Records leave without that, librdkafka's own threads send
//! them; polling only fetches delivery reports, which the pipeline wants between two records
//! anyway. A polling thread of its own would be woken for every report and compete for a core
//! with the engine, and would add a hand-over: it makes the tail longer and nothing shorter.

mod config;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{ClientContext, Statistics};

pub use self::config::KafkaSinkConfig;

use super::{Cause, Outgoing, Sink, SinkError};
use crate::kafka::{Journal, await_topic, hint};
use crate::metrics::SinkCounters;

/// The most of a payload that goes into a dead letter.
pub const DEAD_LETTER_PAYLOAD_BYTES: usize = 64 * 1024;

/// Between two looks at a full queue, or at a queue to be emptied. The binding's poll always
/// takes the whole of its timeout, so this is also the least that waiting costs.
const LOOK: Duration = Duration::from_millis(1);

/// An idempotent producer, writing incident records to one topic.
pub struct KafkaSink {
    config: KafkaSinkConfig,
    delivered: Receiver<Delivery>,
    producer: BaseProducer<Context>,
    counters: Arc<SinkCounters>,
}

/// A record that could not be decoded, kept for people to look at.
#[derive(Clone, Debug)]
pub struct DeadLetter<'a> {
    /// Where it was read; acknowledged like an output.
    pub cause: Cause,
    /// Short class of the error, for counting.
    pub class: &'a str,
    /// What is wrong with it.
    pub reason: &'a str,
    /// The record as received; only its first [`DEAD_LETTER_PAYLOAD_BYTES`] are kept.
    pub payload: &'a [u8],
}

/// What became of a record.
struct Delivery {
    cause: Cause,
    failure: Option<KafkaError>,
}

struct Context {
    journal: Journal,
    reports: Sender<Delivery>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.journal.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.journal.error(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        tracing::debug!(place = self.journal.place(), ?statistics);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<Cause>;

    fn delivery(&self, result: &DeliveryResult<'_>, cause: Box<Cause>) {
        let delivery = Delivery {
            cause: *cause,
            failure: result.as_ref().err().map(|(error, _)| error.clone()),
        };
        // Fails only when the sink is being dropped: then nobody wants to know.
        drop(self.reports.send(delivery));
    }
}

impl KafkaSink {
    /// Connects, and makes sure that the topic is there.
    ///
    /// # Errors
    /// [`SinkError`] when the configuration is wrong, and when no broker answers or the topic
    /// does not exist within `startup_timeout`.
    pub fn new(config: KafkaSinkConfig) -> Result<Self, SinkError> {
        let client = config.client()?;
        // Bounded by librdkafka's queue: there is one report for every record in it.
        let (reports, delivered) = crossbeam_channel::unbounded();
        let context = Context { journal: Journal::new(config.place()), reports };
        let producer = client.create_with_context(context);
        let producer =
            producer.map_err(|error| SinkError { what: config.place(), why: error.to_string() })?;
        let sink = Self { config, delivered, producer, counters: Arc::default() };
        sink.require_topic(&sink.config.topic)?;
        Ok(sink)
    }

    /// Counts what it sends with these.
    #[must_use]
    pub fn counted(mut self, counters: Arc<SinkCounters>) -> Self {
        self.counters = counters;
        self
    }

    /// Waits at most `startup_timeout` for a topic, so that a missing one is an error at the
    /// start and not at the first record for it.
    ///
    /// # Errors
    /// [`SinkError`] when it is not there, or no broker answers.
    pub fn require_topic(&self, topic: &str) -> Result<(), SinkError> {
        let client = self.producer.client();
        let journal = &client.context().journal;
        let serve = || self.producer.poll(Duration::ZERO);
        await_topic(client, journal, topic, self.config.startup_timeout, serve).map_err(|why| {
            SinkError { what: format!("{}, looking for topic {topic:?}", self.config.place()), why }
        })
    }

    /// Sends a record that could not be decoded to `topic`. Acknowledged like an output, so that
    /// the position is not committed before the letter is safe.
    ///
    /// # Errors
    /// [`SinkError`] when the sink cannot go on at all.
    pub fn dead_letter(&mut self, topic: &str, letter: &DeadLetter<'_>) -> Result<(), SinkError> {
        let Cause { shard, position } = &letter.cause;
        let (partition, offset) = (shard.partition.to_string(), position.to_string());
        let mut headers = OwnedHeaders::new_with_capacity(6);
        for (key, value) in [
            ("source_topic", shard.input.as_str()),
            ("source_partition", &partition),
            ("source_offset", &offset),
            ("error_class", letter.class),
            ("error_reason", letter.reason),
            ("engine_version", env!("CARGO_PKG_VERSION")),
        ] {
            let value = Some(value);
            headers = headers.insert(Header { key, value });
        }
        let kept = letter.payload.len().min(DEAD_LETTER_PAYLOAD_BYTES);
        // Keyed by origin, so that letters of one partition stay in order.
        let key = format!("{}/{partition}", shard.input);
        let record = BaseRecord::with_opaque_to(topic, Box::new(letter.cause.clone()))
            .key(key.as_bytes())
            .payload(&letter.payload[..kept])
            .headers(headers);
        self.produce(record)
    }

    /// Hands a record to librdkafka; waits while its queue is full.
    fn produce(&self, record: BaseRecord<'_, [u8], [u8], Box<Cause>>) -> Result<(), SinkError> {
        let mut record = record;
        let mut full_since = None;
        loop {
            let (error, unsent) = match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err(back) => back,
            };
            record = unsent;
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(self.failed(&error, record.topic));
            }
            let since = *full_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= self.config.full_timeout {
                return Err(SinkError {
                    what: self.config.place(),
                    why: format!(
                        "the queue has been full for {:?}: the brokers take records too slowly, \
                         or not at all",
                        self.config.full_timeout
                    ),
                });
            }
            let journal = &self.producer.context().journal;
            journal.warn("full", "the queue is full, reading waits");
            self.producer.poll(LOOK);
        }
    }

    fn failed(&self, error: &KafkaError, what: &str) -> SinkError {
        let fatal = self.producer.client().fatal_error();
        let code = error.rdkafka_error_code();
        SinkError {
            what: format!("{}, sending {what}", self.config.place()),
            why: match (fatal, code) {
                (Some((code, why)), _) => format!("{why}{}", hint(code)),
                (None, Some(code)) => format!("{error}{}", hint(code)),
                (None, None) => error.to_string(),
            },
        }
    }

    /// Fetches all delivery reports that there are.
    fn fetch_reports(&self) {
        // One poll brings one event, with the reports of a whole batch; a log line is one, too.
        loop {
            let before = self.delivered.len();
            self.producer.poll(Duration::ZERO);
            if self.delivered.len() == before {
                return;
            }
        }
    }
}

impl Sink for KafkaSink {
    fn send(&mut self, record: &Outgoing<'_>) -> Result<(), SinkError> {
        SinkCounters::count(&self.counters.sent);
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for (key, value) in record.headers {
            let value = Some(value);
            headers = headers.insert(Header { key, value });
        }
        let cause = Box::new(record.cause.clone());
        let out = BaseRecord::with_opaque_to(&self.config.topic, cause)
            .key(record.incident.as_bytes())
            .payload(record.body)
            .headers(headers);
        self.produce(out)
    }

    fn acknowledged(&mut self, each: &mut dyn FnMut(Cause)) -> Result<(), SinkError> {
        self.fetch_reports();
        while let Ok(Delivery { cause, failure }) = self.delivered.try_recv() {
            match failure {
                None => {
                    SinkCounters::count(&self.counters.acknowledged);
                    each(cause);
                }
                Some(error) => {
                    let Cause { shard, position } = &cause;
                    let (input, partition) = (&shard.input, shard.partition);
                    let what = format!("what {input}[{partition}] at {position} caused");
                    return Err(self.failed(&error, &what));
                }
            }
        }
        let context = self.producer.context();
        match context.journal.is_fatal() {
            true => Err(self.failed(&KafkaError::Global(RDKafkaErrorCode::Fatal), "records")),
            false => Ok(()),
        }
    }

    fn flush(&mut self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        self.fetch_reports();
        while self.producer.in_flight_count() > 0 {
            if Instant::now() >= deadline {
                return false;
            }
            self.producer.poll(LOOK);
        }
        true
    }
}
