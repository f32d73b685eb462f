//! An embedded stand-in for a Kafka cluster, for the demo and for tests: librdkafka's mock broker.
//!
//! It speaks the real protocol on the loopback interface, inside this process. What it does not
//! do: it keeps at most 5 MiB or 100,000 batches per partition and drops the oldest silently; it
//! compacts nothing; it cannot look positions up by time; transactions are shape only; its
//! latencies mean nothing.

use std::time::Duration;

use hypocenter_engine::Timestamp;
use rdkafka::bindings;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};

/// Longest wait for the broker, which is in this process.
const PATIENCE: Duration = Duration::from_secs(30);

/// One broker in this process, gone when dropped.
pub struct EmbeddedCluster {
    /// Owns the mock cluster.
    producer: BaseProducer,
}

/// Why the embedded cluster did not do what it should.
#[derive(Debug, thiserror::Error)]
#[error("embedded Kafka: {what}: {source}")]
pub struct EmbeddedError {
    what: String,
    source: KafkaError,
}

impl EmbeddedCluster {
    /// Starts a broker with the given topics, as names and numbers of partitions.
    ///
    /// # Errors
    /// [`EmbeddedError`] when the broker cannot be started or a topic cannot be created.
    pub fn start(topics: &[(&str, i32)]) -> Result<Self, EmbeddedError> {
        let failed = |what: &str| {
            let what = what.to_owned();
            move |source| EmbeddedError { what, source }
        };
        let producer: BaseProducer = ClientConfig::new()
            .set("test.mock.num.brokers", "1")
            .set("linger.ms", "5")
            .set("compression.type", "zstd")
            .create()
            .map_err(failed("start"))?;
        let cluster = Self { producer };
        shorten_first_rebalance(&cluster.producer, Duration::from_millis(100));
        for (topic, partitions) in topics {
            cluster.mock()?.create_topic(topic, *partitions, 1).map_err(failed(topic))?;
        }
        Ok(cluster)
    }

    /// Where it listens, for `bootstrap.servers`.
    ///
    /// # Errors
    /// [`EmbeddedError`] when the broker is not there.
    pub fn bootstrap_servers(&self) -> Result<String, EmbeddedError> {
        Ok(self.mock()?.bootstrap_servers())
    }

    /// Takes the broker off the network, or puts it back.
    ///
    /// # Errors
    /// [`EmbeddedError`] when the broker is not there.
    pub fn set_reachable(&self, reachable: bool) -> Result<(), EmbeddedError> {
        let mock = self.mock()?;
        let done = match reachable {
            true => mock.broker_up(-1),
            false => mock.broker_down(-1),
        };
        done.map_err(|source| EmbeddedError { what: "reachable".to_owned(), source })
    }

    /// Produces the payloads to one partition, in order, and waits until all are stored.
    ///
    /// # Errors
    /// [`EmbeddedError`] when a record is not stored, and when the mock broker has dropped the
    /// first ones because there are more than it keeps.
    pub fn produce_all<P: AsRef<[u8]>>(
        &self,
        topic: &str,
        partition: i32,
        payloads: impl IntoIterator<Item = P>,
    ) -> Result<(), EmbeddedError> {
        for payload in payloads {
            let record = BaseRecord::<(), [u8]>::to(topic).partition(partition);
            self.produce(record.payload(payload.as_ref()))?;
        }
        self.stored(topic, partition)
    }

    /// The same, with the time at which each record was received when it was recorded.
    ///
    /// # Errors
    /// The same.
    pub fn produce_recorded<P: AsRef<[u8]>>(
        &self,
        topic: &str,
        partition: i32,
        recorded: impl IntoIterator<Item = (Timestamp, P)>,
    ) -> Result<(), EmbeddedError> {
        for (time, payload) in recorded {
            let record = BaseRecord::<(), [u8]>::to(topic).partition(partition);
            self.produce(record.payload(payload.as_ref()).timestamp(time.as_millis()))?;
        }
        self.stored(topic, partition)
    }

    fn produce(&self, mut record: BaseRecord<'_, (), [u8]>) -> Result<(), EmbeddedError> {
        while let Err((error, unsent)) = self.producer.send(record) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(EmbeddedError { what: "produce".to_owned(), source: error });
            }
            record = unsent;
            self.producer.poll(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Waits until everything is stored, and looks whether it still is.
    fn stored(&self, topic: &str, partition: i32) -> Result<(), EmbeddedError> {
        let failed = |source| EmbeddedError { what: format!("{topic}[{partition}]"), source };
        self.producer.flush(PATIENCE).map_err(failed)?;
        let client = self.producer.client();
        let (first, _) = client.fetch_watermarks(topic, partition, PATIENCE).map_err(failed)?;
        match first {
            0 => Ok(()),
            _ => Err(failed(KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull))),
        }
    }

    fn mock(&self) -> Result<MockCluster<'_, DefaultProducerContext>, EmbeddedError> {
        let mock = self.producer.client().mock_cluster();
        mock.ok_or_else(|| EmbeddedError {
            what: "no broker".to_owned(),
            source: KafkaError::MockCluster(RDKafkaErrorCode::Fail),
        })
    }
}

/// A group's first member waits this long for others, instead of three seconds.
#[expect(unsafe_code, reason = "the binding has no safe call for this setting")]
fn shorten_first_rebalance(owner: &BaseProducer, delay: Duration) {
    let millis = i32::try_from(delay.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client pointer is valid as long as `owner`, which is borrowed. Its mock cluster
    // lives as long as the client, and is NULL, and then left alone, if it has none. The setter
    // takes the cluster's own lock and stores a number.
    unsafe {
        let cluster = bindings::rd_kafka_handle_mock_cluster(owner.client().native_ptr());
        if !cluster.is_null() {
            bindings::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, millis);
        }
    }
}
