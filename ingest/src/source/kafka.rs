//! Records of one Kafka topic, shared out by a consumer group. At least once.
//!
//! Everything happens in [`Source::poll`], on the pipeline's thread: librdkafka's callbacks only
//! take notes. A partition goes away in two steps. `poll` hands out [`Input::Revoked`] and
//! returns; the pipeline finishes and commits; the next `poll` makes the commit durable and then
//! lets the partition go.

mod commits;
mod config;
mod context;
mod member;
pub mod once;
mod start;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hypocenter_engine::Timestamp;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};

pub use self::config::{FirstStart, KafkaSourceConfig};

use self::commits::Commits;
use self::context::Context;
use self::member::{Arriving, Member};
use super::{Input, Polled, Record, Shard, Source, SourceError};
use crate::kafka::{await_topic, hint};

/// The most records handed out by one call, so that its caller gets round to its other duties.
const BATCH: usize = 256;

/// The least time between two reports that a silent partition is still at its end.
const TICK: Duration = Duration::from_millis(10);

/// How often the brokers are asked, after trouble, whether a quiet partition is truly at its end.
const DOUBT: Duration = Duration::from_secs(1);

/// A member of a consumer group, reading one topic.
pub struct KafkaSource {
    config: KafkaSourceConfig,
    owned: BTreeMap<i32, Owned>,
    commits: Commits,
    /// Handed out as revoked; let go at the next poll.
    leaving: Option<TopicPartitionList>,
    /// Announced, but not yet taken over.
    arriving: Option<Arriving>,
    /// When the shards at their ends were last said to be so.
    ticked: Instant,
    /// Since trouble with a broker, silence does not mean that nothing is waiting.
    doubt: Option<Instant>,
    closed: bool,
    consumer: Member,
}

/// A partition that is ours.
struct Owned {
    shard: Shard,
    /// The position after the last record handed out.
    next: u64,
    /// Whether the end was reached after that record.
    at_end: bool,
}

impl KafkaSource {
    /// Connects, makes sure that the topic is there, and joins the group.
    ///
    /// # Errors
    /// [`SourceError`] when the configuration is wrong, and when no broker answers or the topic
    /// does not exist within `startup_timeout`.
    pub fn new(config: KafkaSourceConfig) -> Result<Self, SourceError> {
        let failed = |why: String| SourceError { what: config.place(), why };
        let client = config.client()?;
        let consumer = client
            .create_with_context(Context::new(config.place()))
            .map(Member::new)
            .map_err(|error| failed(error.to_string()))?;
        // Not subscribed yet, so polling can only bring errors and log lines.
        let serve = || drop(consumer.poll(Duration::ZERO));
        await_topic(
            consumer.client(),
            &consumer.context().journal,
            &config.topic,
            config.startup_timeout,
            serve,
        )
        .map_err(failed)?;
        consumer.subscribe(&[&config.topic]).map_err(|error| failed(error.to_string()))?;
        Ok(Self {
            commits: Commits::new(config.commit_interval),
            config,
            owned: BTreeMap::new(),
            leaving: None,
            arriving: None,
            ticked: Instant::now(),
            doubt: None,
            closed: false,
            consumer,
        })
    }

    fn failed(&self, why: String) -> SourceError {
        SourceError { what: self.config.place(), why }
    }

    /// What an error means for us: going on, or not.
    fn trouble(&mut self, error: KafkaError) -> Result<(), SourceError> {
        use RDKafkaErrorCode as Code;
        let client = self.consumer.client();
        if let KafkaError::MessageConsumptionFatal(code) = error {
            let why = client.fatal_error().map_or_else(|| code.to_string(), |(_, why)| why);
            return Err(self.failed(format!("{why}{}", hint(code))));
        }
        match error.rdkafka_error_code() {
            Some(
                code @ (Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::InconsistentGroupProtocol),
            ) => Err(self.failed(format!("{code}{}", hint(code)))),
            Some(code @ (Code::AutoOffsetReset | Code::OffsetOutOfRange)) => {
                Err(self.failed(format!(
                    "the position to read is gone ({code}): retention has overtaken the reader, \
                     or the topic was created again; restart to go on at what is left"
                )))
            }
            // The journal has it already, with librdkafka's own words.
            _ => {
                self.doubt = self.doubt.or(Some(Instant::now()));
                Ok(())
            }
        }
    }

    /// After trouble, asks whether the quiet partitions are truly at their ends.
    fn settle_doubt(&mut self) {
        if self.doubt.is_none_or(|since| since.elapsed() < DOUBT) {
            return;
        }
        let topic = self.config.topic.as_str();
        let settled =
            self.owned.iter().filter(|(_, owned)| owned.at_end).all(|(partition, owned)| {
                let marks = self.consumer.fetch_watermarks(topic, *partition, DOUBT / 4);
                marks.is_ok_and(|(_, high)| start::unsigned(high) <= owned.next)
            });
        self.doubt = if settled { None } else { Some(Instant::now()) };
    }

    /// librdkafka reports an end once; time must be able to pass for as long as it lasts.
    fn tick(&mut self, each: &mut dyn FnMut(Input<'_>)) {
        if self.ticked.elapsed() < TICK {
            return;
        }
        self.settle_doubt();
        if self.doubt.is_none() {
            self.ticked = Instant::now();
            for owned in self.owned.values().filter(|owned| owned.at_end) {
                each(Input::CaughtUp(&owned.shard));
            }
        }
    }
}

impl Source for KafkaSource {
    fn poll(
        &mut self,
        timeout: Duration,
        each: &mut dyn FnMut(Input<'_>),
    ) -> Result<Polled, SourceError> {
        if self.closed {
            return Ok(Polled::End);
        }
        let mut busy = self.rebalance(each)?;
        self.commit_due();
        let mut silent = 0;
        let mut wait = if busy { Duration::ZERO } else { timeout };
        for _ in 0..BATCH {
            if silent > 1 || self.leaving.is_some() || self.consumer.context().is_waiting() {
                break;
            }
            match self.consumer.poll(wait) {
                Some(Ok(message)) => {
                    let owned = self.owned.get_mut(&message.partition());
                    busy |= owned.is_some_and(|owned| hand_out(owned, &message, each));
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    if let Some(owned) = self.owned.get_mut(&partition) {
                        owned.at_end = true;
                        each(Input::CaughtUp(&owned.shard));
                        busy = true;
                    }
                }
                Some(Err(error)) => self.trouble(error)?,
                // The first may be a log line or a commit's answer; the second is an empty queue.
                None => silent += 1,
            }
            wait = Duration::ZERO;
        }
        // What has just been revoked must be committed by the caller before it is let go.
        if self.leaving.is_none() {
            busy |= self.rebalance(each)?;
        }
        if silent > 1 {
            self.tick(each);
        }
        Ok(if busy { Polled::Busy } else { Polled::Idle })
    }

    fn commit(&mut self, shard: &Shard, next: u64) {
        if shard.input == self.config.topic {
            let partition = i32::try_from(shard.partition).unwrap_or(i32::MAX);
            self.commits.want(partition, next);
        }
    }

    fn close(&mut self) {
        if !self.closed {
            self.commit_all();
            self.closed = true;
        }
    }
}

/// Hands one record out, unless it was handed out before. Whether it was new.
fn hand_out(
    owned: &mut Owned,
    message: &BorrowedMessage<'_>,
    each: &mut dyn FnMut(Input<'_>),
) -> bool {
    let position = start::unsigned(message.offset());
    if position < owned.next {
        tracing::debug!(partition = owned.shard.partition, position, "seen before");
        return false;
    }
    // Only logs older than Kafka 0.10 have no time; that of arrival is the best guess left.
    let time = message.timestamp().to_millis().unwrap_or_else(start::now);
    owned.next = position + 1;
    owned.at_end = false;
    each(Input::Record(Record {
        shard: &owned.shard,
        position,
        time: Some(Timestamp::from_millis(time)),
        payload: message.payload().unwrap_or_default(),
    }));
    true
}
