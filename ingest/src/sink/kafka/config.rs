//! What a Kafka sink is told, and the librdkafka properties that follow from it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rdkafka::config::ClientConfig;

use crate::kafka::{Properties, keys};
use crate::sink::SinkError;

/// Configuration of a [`KafkaSink`](super::KafkaSink).
#[derive(Clone)]
pub struct KafkaSinkConfig {
    /// `host:port`, comma-separated.
    pub bootstrap_servers: String,
    /// The topic for incident records.
    pub topic: String,
    /// How long to wait at the start for a broker and for the topic.
    pub startup_timeout: Duration,
    /// How long the queue may stay full before that is an error. Meanwhile nothing is read.
    pub full_timeout: Duration,
    /// Further librdkafka properties: security, tuning.
    pub properties: BTreeMap<String, String>,
}

impl KafkaSinkConfig {
    /// With default times and no further properties.
    #[must_use]
    pub fn new(bootstrap_servers: &str, topic: &str) -> Self {
        Self {
            bootstrap_servers: bootstrap_servers.to_owned(),
            topic: topic.to_owned(),
            startup_timeout: Duration::from_secs(30),
            full_timeout: Duration::from_secs(60),
            properties: BTreeMap::new(),
        }
    }

    /// The place named in logs and errors.
    pub(super) fn place(&self) -> String {
        format!("Kafka sink: topic {:?} at {}", self.topic, self.bootstrap_servers)
    }

    /// Checks the configuration without touching the network.
    ///
    /// # Errors
    /// [`SinkError`] naming every property that may not be set.
    pub fn check(&self) -> Result<(), SinkError> {
        self.client().map(drop)
    }

    pub(super) fn client(&self) -> Result<ClientConfig, SinkError> {
        Properties {
            fixed: &[
                ("bootstrap.servers", &self.bootstrap_servers),
                ("enable.idempotence", "true"),
                ("acks", "all"),
            ],
            refused: &[
                ("metadata.broker.list", "use bootstrap_servers"),
                ("request.required.acks", "records are acknowledged by all replicas"),
                ("transactional.id", "transactions are not supported"),
                ("dr_cb", "delivery reports are needed"),
                ("delivery.report.only.error", "delivery reports are needed"),
            ],
            defaults: &[
                ("client.id", "hypocenter"),
                // Anything longer is added to every record's way.
                ("linger.ms", "0"),
                ("compression.type", "lz4"),
                // As the Java clients do, so that others can join on the key.
                ("partitioner", "murmur2_random"),
                // Keep trying: a broker that is away fills the queue, and that stops reading.
                ("message.timeout.ms", "0"),
            ],
            given: &self.properties,
        }
        .merge()
        .map_err(|why| SinkError { what: self.place(), why })
    }
}

impl fmt::Debug for KafkaSinkConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSinkConfig")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("topic", &self.topic)
            .field("startup_timeout", &self.startup_timeout)
            .field("full_timeout", &self.full_timeout)
            .field("properties", &keys(&self.properties))
            .finish()
    }
}
