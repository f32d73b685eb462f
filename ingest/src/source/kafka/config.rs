//! What a Kafka source is told, and the librdkafka properties that follow from it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::config::ClientConfig;

use crate::kafka::{Properties, keys};
use crate::source::{Resume, Shard, SourceError};

/// What to do with a partition for which the group has committed nothing yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FirstStart {
    /// Read all that the broker still has.
    #[default]
    Earliest,
    /// Read only what comes from now on.
    Latest,
    /// Refuse to start.
    Error,
}

/// Configuration of a [`KafkaSource`](super::KafkaSource): one topic, one consumer group.
///
/// Several topics are several sources: librdkafka's binding reports the end of a partition
/// without the topic's name, so a consumer of several topics could not say which is caught up.
#[derive(Clone)]
pub struct KafkaSourceConfig {
    /// `host:port`, comma-separated.
    pub bootstrap_servers: String,
    /// The topic to read.
    pub topic: String,
    /// The consumer group.
    pub group: String,
    /// How far before the committed position to start reading, in log time, to rebuild state.
    pub replay_window: Duration,
    /// The longest time that a commit waits for others to go with it.
    pub commit_interval: Duration,
    /// Where to start when nothing is committed.
    pub first_start: FirstStart,
    /// How long to wait at the start for a broker and for the topic.
    pub startup_timeout: Duration,
    /// Who may know the state before some position: then reading starts there, and not a replay
    /// window before the committed one.
    pub resume: Option<Arc<dyn Resume>>,
    /// Further librdkafka properties: security, tuning, `group.instance.id`.
    pub properties: BTreeMap<String, String>,
}

impl KafkaSourceConfig {
    /// With default times and no further properties.
    #[must_use]
    pub fn new(bootstrap_servers: &str, topic: &str, group: &str) -> Self {
        Self {
            bootstrap_servers: bootstrap_servers.to_owned(),
            topic: topic.to_owned(),
            group: group.to_owned(),
            replay_window: Duration::from_secs(60 * 60),
            commit_interval: Duration::from_secs(5),
            first_start: FirstStart::default(),
            startup_timeout: Duration::from_secs(30),
            resume: None,
            properties: BTreeMap::new(),
        }
    }

    /// The shard of a partition.
    pub(super) fn shard(&self, partition: i32) -> Shard {
        Shard { input: self.topic.clone(), partition: u32::try_from(partition).unwrap_or(0) }
    }

    /// The place named in logs and errors.
    pub(super) fn place(&self) -> String {
        format!(
            "Kafka source: topic {:?}, group {:?} at {}",
            self.topic, self.group, self.bootstrap_servers
        )
    }

    /// Checks the configuration without touching the network.
    ///
    /// # Errors
    /// [`SourceError`] naming every property that may not be set.
    pub fn check(&self) -> Result<(), SourceError> {
        self.client().map(drop)
    }

    pub(super) fn client(&self) -> Result<ClientConfig, SourceError> {
        let failed = |why| SourceError { what: self.place(), why };
        if self.topic.is_empty() || self.topic.starts_with('^') {
            return Err(failed("topic must be the name of one topic, not a pattern".to_owned()));
        }
        if self.group.is_empty() {
            return Err(failed("group must not be empty".to_owned()));
        }
        Properties {
            fixed: &[
                ("bootstrap.servers", &self.bootstrap_servers),
                ("group.id", &self.group),
                // Positions are committed by us, after their outputs are acknowledged.
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
                // Never jump silently: `start` decides, see FirstStart.
                ("auto.offset.reset", "error"),
                ("enable.partition.eof", "true"),
                ("isolation.level", "read_committed"),
                ("partition.assignment.strategy", "cooperative-sticky"),
            ],
            refused: &[
                ("metadata.broker.list", "use bootstrap_servers"),
                ("auto.commit.enable", "positions are committed by Hypocenter"),
                ("group.protocol", "only the classic protocol is supported"),
                ("group.remote.assignor", "only the classic protocol is supported"),
            ],
            defaults: &[
                ("client.id", "hypocenter"),
                ("session.timeout.ms", "15000"),
                ("heartbeat.interval.ms", "3000"),
                // The pipeline's thread is the poller: longer than this without a poll is a hang.
                ("max.poll.interval.ms", "120000"),
                ("check.crcs", "true"),
                // Data is answered at once; the wait only delays partitions that must join the
                // next fetch. The other two default to half a second and a second.
                ("fetch.wait.max.ms", "10"),
                ("fetch.error.backoff.ms", "50"),
                ("fetch.queue.backoff.ms", "5"),
                ("queued.min.messages", "10000"),
                ("queued.max.messages.kbytes", "65536"),
            ],
            given: &self.properties,
        }
        .merge()
        .map_err(failed)
    }
}

impl fmt::Debug for KafkaSourceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSourceConfig")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("topic", &self.topic)
            .field("group", &self.group)
            .field("replay_window", &self.replay_window)
            .field("commit_interval", &self.commit_interval)
            .field("first_start", &self.first_start)
            .field("startup_timeout", &self.startup_timeout)
            .field("properties", &keys(&self.properties))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn correctness_cannot_be_configured_away() {
        let mut config = KafkaSourceConfig::new("127.0.0.1:1", "alerts", "hypocenter");
        assert!(config.check().is_ok());
        for (key, value) in [
            ("enable.auto.commit", "true"),
            ("auto.commit.enable", "true"),
            ("isolation.level", "read_uncommitted"),
            ("group.protocol", "consumer"),
        ] {
            config.properties = BTreeMap::from([(key.to_owned(), value.to_owned())]);
            let why = config.check().unwrap_err().why;
            assert!(why.contains(key), "{why}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let mut config = KafkaSourceConfig::new("127.0.0.1:1", "alerts", "hypocenter");
        let secret = ("sasl.password".to_owned(), "hunter2".to_owned());
        config.properties.extend([secret]);
        let printed = format!("{config:?}");
        assert!(printed.contains("sasl.password"), "{printed}");
        assert!(!printed.contains("hunter2"), "{printed}");
    }
}
