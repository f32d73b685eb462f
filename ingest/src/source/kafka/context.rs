//! The consumer's callbacks. They only take notes: what is to be done is done in `poll`.
//!
//! librdkafka waits for the assign or unassign call of a rebalance as long as it takes
//! (join state `WAIT_ASSIGN_CALL`/`WAIT_UNASSIGN_CALL`), announces no other rebalance meanwhile,
//! and keeps the partitions paused and the membership alive by heartbeats. So the calls need not
//! be made inside the callback, and all control flow can stay in one place, outside of it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Statistics, TopicPartitionList};

use crate::kafka::Journal;

/// A rebalance that librdkafka has announced and waits for us to carry out.
#[derive(Debug)]
pub(super) enum Rebalance {
    /// These partitions are ours now.
    Assign(TopicPartitionList),
    /// These go.
    Revoke {
        /// Which.
        partitions: TopicPartitionList,
        /// They are gone already; somebody else may have them.
        lost: bool,
    },
}

/// Shared between the consumer and the source that owns it.
pub(super) struct Context {
    pub(super) journal: Journal,
    announced: Mutex<VecDeque<Rebalance>>,
    commit_failed: AtomicBool,
    closing: AtomicBool,
}

impl Context {
    pub(super) fn new(place: String) -> Self {
        Self {
            journal: Journal::new(place),
            announced: Mutex::default(),
            commit_failed: AtomicBool::new(false),
            closing: AtomicBool::new(false),
        }
    }

    /// The next rebalance to carry out.
    pub(super) fn next(&self) -> Option<Rebalance> {
        self.announced().pop_front()
    }

    /// Whether there is a rebalance to carry out.
    pub(super) fn is_waiting(&self) -> bool {
        !self.announced().is_empty()
    }

    /// Whether a commit has failed since the last call.
    pub(super) fn take_commit_failure(&self) -> bool {
        self.commit_failed.swap(false, Ordering::Relaxed)
    }

    /// From now on nobody looks at the notes: rebalances are carried out where they are announced.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    fn announced(&self) -> MutexGuard<'_, VecDeque<Rebalance>> {
        self.announced.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        err: RDKafkaRespErr,
        tpl: &mut TopicPartitionList,
    ) {
        // `elements` of an empty list may be NULL, and a copy of it is cheap to do without.
        let partitions = match tpl.count() {
            0 => TopicPartitionList::new(),
            _ => tpl.clone(),
        };
        if self.closing.load(Ordering::Relaxed) {
            // Once the group has ended inside librdkafka nobody answers these calls any more.
            if consumer.closed() {
                return;
            }
            if let Err(error) = unassign(consumer, &partitions) {
                self.journal.warn("close", &format!("unassign: {error}"));
            }
            return;
        }
        let rebalance = match err {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Rebalance::Assign(partitions),
            // The flag is reset by the unassign call, so it must be read now.
            _ => Rebalance::Revoke { partitions, lost: consumer.assignment_lost() },
        };
        tracing::info!(place = self.journal.place(), ?rebalance, "rebalance");
        self.announced().push_back(rebalance);
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result {
            self.commit_failed.store(true, Ordering::Relaxed);
            self.journal.warn("commit", &format!("commit failed, will be repeated: {error}"));
        }
    }
}

/// Tells librdkafka that the announced partitions are taken.
pub(super) fn assign(
    consumer: &BaseConsumer<Context>,
    partitions: &TopicPartitionList,
) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_assign(partitions),
        RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.assign(partitions),
    }
}

/// Tells librdkafka that the announced partitions are let go.
pub(super) fn unassign(
    consumer: &BaseConsumer<Context>,
    partitions: &TopicPartitionList,
) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_unassign(partitions),
        RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.unassign(),
    }
}
