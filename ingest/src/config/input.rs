//! `input`: where alerts come from.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::web::listen_addresses;
use crate::redact::Properties;
use crate::source::http::QueueLimits;
use crate::yaml::section::{Section, text_of};

/// Where alerts come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// Kafka topics.
    Kafka(KafkaInput),
    /// What Prometheus and Alertmanager post to us.
    Http(HttpInput),
    /// Files, read one after the other; `-` is standard input.
    File {
        /// The files.
        paths: Vec<PathBuf>,
    },
}

impl Default for Input {
    fn default() -> Self {
        Self::File { paths: vec![PathBuf::from("-")] }
    }
}

/// A server that alerts are posted to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpInput {
    /// Where it listens.
    pub listen_addresses: Vec<SocketAddr>,
    /// TLS and authentication of these addresses; `None`: as `web.config_file` says.
    pub web_config_file: Option<PathBuf>,
    /// How much may wait to be decided.
    pub queue: QueueLimits,
}

impl Default for HttpInput {
    fn default() -> Self {
        Self {
            listen_addresses: vec![SocketAddr::from(([127, 0, 0, 1], HTTP_PORT))],
            web_config_file: None,
            queue: QueueLimits::default(),
        }
    }
}

/// Port that alerts are posted to.
const HTTP_PORT: u16 = 9095;

/// A Kafka consumer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KafkaInput {
    /// `host:port` of some brokers.
    pub brokers: Vec<String>,
    /// The topics to read.
    pub topics: Vec<String>,
    /// The consumer group.
    pub group: String,
    /// Static membership: a restart within the group's timeout moves no partition.
    pub group_instance_id: Option<String>,
    /// How far before the committed position reading starts, to rebuild state.
    pub replay_window: Duration,
    /// The longest time that a commit waits for others to go with it.
    pub commit_interval: Duration,
    /// Where to start when the group has committed nothing.
    pub offset_reset: OffsetReset,
    /// How long to wait for the brokers and topics at the start.
    pub startup_timeout: Duration,
    /// Where records go that cannot be read; `None`: they are counted and logged only.
    pub dead_letter_topic: Option<String>,
    /// Further properties for librdkafka.
    pub properties: Properties,
}

impl Default for KafkaInput {
    fn default() -> Self {
        Self {
            brokers: Vec::new(),
            topics: vec!["alerts".to_owned()],
            group: "hypocenter".to_owned(),
            group_instance_id: None,
            replay_window: Duration::from_secs(3600),
            commit_interval: Duration::from_secs(5),
            offset_reset: OffsetReset::default(),
            startup_timeout: Duration::from_secs(30),
            dead_letter_topic: None,
            properties: Properties::default(),
        }
    }
}

/// Where to start when the group has committed nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OffsetReset {
    /// At the oldest record.
    #[default]
    Earliest,
    /// At what comes next.
    Latest,
    /// Nowhere: refuse to start.
    Error,
}

#[derive(Clone, Copy)]
enum Type {
    Kafka,
    Http,
    File,
}

pub(super) fn read(root: &mut Section<'_, '_>, into: &mut Input) {
    root.section("input", |s| {
        let mut kind = Type::File;
        let choices = [("kafka", Type::Kafka), ("http", Type::Http), ("file", Type::File)];
        s.choice("type", &choices, &mut kind);
        match kind {
            Type::Kafka => {
                let mut kafka = KafkaInput::default();
                read_kafka(s, &mut kafka);
                *into = Input::Kafka(kafka);
            }
            Type::Http => {
                let mut http = HttpInput::default();
                read_http(s, &mut http);
                *into = Input::Http(http);
            }
            Type::File => {
                let mut paths = vec!["-".to_owned()];
                s.texts("paths", &mut paths);
                if paths.is_empty() {
                    s.problem(
                        "paths",
                        "is empty, must name at least one file, or - for standard input",
                    );
                }
                let paths = paths.into_iter().map(PathBuf::from).collect();
                *into = Input::File { paths };
            }
        }
    });
}

fn read_http(s: &mut Section<'_, '_>, http: &mut HttpInput) {
    listen_addresses(s, &mut http.listen_addresses);
    let mut file = None;
    s.optional("web_config_file", &mut file);
    http.web_config_file = file.map(PathBuf::from);
    s.whole("queue_bodies_max", 1..=10_000_000, &mut http.queue.bodies_max);
    s.whole("queue_bytes_max", 1 << 20..=1 << 40, &mut http.queue.bytes_max);
}

fn read_kafka(s: &mut Section<'_, '_>, kafka: &mut KafkaInput) {
    brokers(s, &mut kafka.brokers);
    s.texts("topics", &mut kafka.topics);
    if kafka.topics.is_empty() {
        s.problem("topics", "is empty, must name at least one topic");
    }
    s.text("group", &mut kafka.group);
    s.optional("group_instance_id", &mut kafka.group_instance_id);
    s.duration("replay_window", &mut kafka.replay_window);
    s.duration("commit_interval", &mut kafka.commit_interval);
    let choices = [
        ("earliest", OffsetReset::Earliest),
        ("latest", OffsetReset::Latest),
        ("error", OffsetReset::Error),
    ];
    s.choice("offset_reset", &choices, &mut kafka.offset_reset);
    s.duration("startup_timeout", &mut kafka.startup_timeout);
    s.optional("dead_letter_topic", &mut kafka.dead_letter_topic);
    if let Some(topic) = &kafka.dead_letter_topic
        && kafka.topics.contains(topic)
    {
        s.problem(
            "dead_letter_topic",
            "is one of the topics to read; rejected records would come back for ever",
        );
    }
    properties(s, &mut kafka.properties);
}

/// `brokers`: `host:port` each.
pub(super) fn brokers(s: &mut Section<'_, '_>, into: &mut Vec<String>) {
    let mut given = false;
    let found = s.list("brokers", |reader, node, path| {
        let text = text_of(node).unwrap_or_default();
        let port = text.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        if matches!(port, Some(Ok(1..))) && !text.contains(',') {
            into.push(text.to_owned());
        } else {
            let what = format!("is {}, must be host:port, such as kafka-0:9092", node.shown());
            reader.problem(Some(node.at), path, what);
        }
        given = true;
    });
    if found.is_some() && !given {
        s.problem("brokers", "is empty, must name at least one broker, such as [kafka-0:9092]");
    } else if found.is_none() && !s.has_problem("brokers") {
        s.problem("brokers", "is missing; name at least one broker, such as [kafka-0:9092]");
    }
}

/// `properties`: anything that librdkafka knows; it checks names and values itself.
pub(super) fn properties(s: &mut Section<'_, '_>, into: &mut Properties) {
    s.section("properties", |s| {
        for entry in s.take_rest() {
            match text_of(&entry.node) {
                Some(text) => {
                    into.insert(entry.key.clone(), text.to_owned());
                }
                None => s.problem_at(entry, format!("is {}, must be text", entry.node.shown())),
            }
        }
    });
}
