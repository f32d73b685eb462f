//! The whole pipeline on the embedded broker: two topics in, incidents and dead letters out.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hypocenter::commands::run;
use hypocenter::config::{Config, Input, KafkaInput, KafkaOutput, Output};
use hypocenter::kafka_mock::EmbeddedCluster;
use hypocenter::metrics::Metrics;
use hypocenter_engine::Topology;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

const PATIENCE: Duration = Duration::from_secs(60);

fn config(brokers: &str) -> Config {
    let brokers = vec![brokers.to_owned()];
    Config {
        input: Input::Kafka(KafkaInput {
            brokers: brokers.clone(),
            topics: vec!["east".to_owned(), "west".to_owned()],
            group: "test".to_owned(),
            // The embedded broker cannot look positions up by time.
            replay_window: Duration::ZERO,
            commit_interval: Duration::from_millis(50),
            dead_letter_topic: Some("letters".to_owned()),
            ..KafkaInput::default()
        }),
        outputs: vec![Output::Kafka(KafkaOutput {
            brokers,
            topic: "incidents".to_owned(),
            ..KafkaOutput::default()
        })],
        ..Config::default()
    }
}

fn reader(brokers: &str, topic: &str) -> BaseConsumer {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "reader")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    consumer
}

/// The next `count` records of a topic, each as its key, headers and payload.
fn read(consumer: &BaseConsumer, count: usize) -> Vec<(String, BTreeMap<String, String>, String)> {
    let until = Instant::now() + PATIENCE;
    let mut records = Vec::new();
    while records.len() < count {
        assert!(Instant::now() < until, "{} of {count} records", records.len());
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            records.push(parts(&message.unwrap()));
        }
    }
    records
}

fn parts(message: &BorrowedMessage<'_>) -> (String, BTreeMap<String, String>, String) {
    let text =
        |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap();
    let headers = message.headers().unwrap();
    let headers = headers.iter().map(|h| (h.key.to_owned(), text(h.value))).collect();
    (text(message.key()), headers, text(message.payload()))
}

fn alert(service: &str) -> String {
    format!(
        r#"[{{"labels":{{"alertname":"Down","service":"{service}"}},"startsAt":"2030-01-01T00:00:00Z"}}]"#
    )
}

#[test]
fn two_topics_in_incidents_and_dead_letters_out() {
    let topics = [("east", 1), ("west", 1), ("incidents", 1), ("letters", 1)];
    let cluster = EmbeddedCluster::start(&topics).unwrap();
    let brokers = cluster.bootstrap_servers().unwrap();
    cluster.produce_all("east", 0, [alert("a"), "{broken".to_owned(), alert("b")]).unwrap();
    cluster.produce_all("west", 0, [alert("c")]).unwrap();
    let (stop, metrics) = (Arc::new(AtomicBool::new(false)), Metrics::default());
    let pipeline = {
        let (config, stop, metrics) = (config(&brokers), Arc::clone(&stop), metrics.clone());
        thread::spawn(move || {
            let setup = run::setup_with(&config, Topology::empty());
            run::serve(&config, setup, &metrics, &stop, run::Inlet::default()).map(drop)
        })
    };

    let incidents = read(&reader(&brokers, "incidents"), 3);
    let mut roots = Vec::new();
    for (key, headers, payload) in &incidents {
        let record: serde_json::Value = serde_json::from_str(payload).unwrap();
        assert_eq!(*key, record["incident"], "the key is the incident's id");
        assert_eq!(headers["ce_specversion"], "1.0");
        assert_eq!(headers["ce_id"], format!("{key}:{}", record["version"]));
        assert_eq!(headers["content-type"], "application/json");
        assert!(headers["ce_decisionlatencyns"].parse::<u64>().unwrap() > 0);
        let input = record["provenance"]["input"].as_str().unwrap().to_owned();
        roots.push((input, record["root_cause"]["entity"].as_str().unwrap().to_owned()));
    }
    roots.sort();
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(roots, [pair("east", "a"), pair("east", "b"), pair("west", "c")]);

    let letters = read(&reader(&brokers, "letters"), 1);
    assert_eq!(letters[0].2, "{broken", "a dead letter holds what was received");
    assert!(letters[0].1.values().any(|value| value == "east"), "{:?}", letters[0].1);

    let until = Instant::now() + PATIENCE;
    let committed = || metrics.snapshot().shards.iter().map(|s| s.committed).sum::<u64>();
    while committed() < 4 {
        assert!(Instant::now() < until, "{:?}", metrics.snapshot().shards);
        thread::sleep(Duration::from_millis(20));
    }
    stop.store(true, Ordering::Relaxed);
    pipeline.join().unwrap().unwrap();
}
