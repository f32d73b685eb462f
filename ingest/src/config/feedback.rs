//! `feedback`: where verdicts of engineers are kept, and how they may come in.

use std::path::PathBuf;
use std::time::Duration;

use super::input::{brokers, properties};
use crate::feedback::{Bounds, Objective};
use crate::redact::Properties;
use crate::yaml::section::Section;

/// Where verdicts of engineers are kept, and how they may come in.
#[derive(Clone, PartialEq, Debug)]
pub struct Feedback {
    /// The log; `None`: no feedback is taken.
    pub file: Option<PathBuf>,
    /// Bounds on the log's size.
    pub bounds: Bounds,
    /// What is promised.
    pub objective: Objective,
    /// The file with the token that HTTP clients must show; `None`: none is taken by HTTP.
    pub token_file: Option<PathBuf>,
    /// The topic to read; `None`: none.
    pub kafka: Option<FeedbackTopic>,
}

/// A Kafka topic of verdicts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FeedbackTopic {
    /// `host:port` of some brokers.
    pub brokers: Vec<String>,
    /// The topic.
    pub topic: String,
    /// The consumer group.
    pub group: String,
    /// Further properties for librdkafka.
    pub properties: Properties,
}

impl Default for FeedbackTopic {
    fn default() -> Self {
        Self {
            brokers: Vec::new(),
            topic: String::new(),
            group: "hypocenter-feedback".to_owned(),
            properties: Properties::default(),
        }
    }
}

impl Default for Feedback {
    fn default() -> Self {
        Self {
            file: None,
            bounds: Bounds::default(),
            objective: Objective { share: 0.8, window: Duration::from_secs(30 * 86_400) },
            token_file: None,
            kafka: None,
        }
    }
}

pub(super) fn read(s: &mut Section<'_, '_>, into: &mut Feedback) {
    let (mut file, mut token_file) = (None, None);
    s.optional("file", &mut file);
    s.optional("token_file", &mut token_file);
    into.file = file.map(PathBuf::from);
    into.token_file = token_file.map(PathBuf::from);
    s.whole("bytes_max", 65_536..=1 << 30, &mut into.bounds.bytes_max);
    s.whole("files_max", 1..=100, &mut into.bounds.files_max);
    s.float_in("objective", 0.0..=0.9999, &mut into.objective.share);
    s.duration("window", &mut into.objective.window);
    if into.objective.window < Duration::from_secs(3600) {
        s.problem("window", "is less than 1h, in which nobody judges enough");
    }
    s.section("kafka", |s| {
        let mut topic = None;
        s.optional("topic", &mut topic);
        let mut kafka = FeedbackTopic::default();
        match topic.is_some() {
            true => brokers(s, &mut kafka.brokers),
            false => s.texts("brokers", &mut kafka.brokers),
        }
        s.text("group", &mut kafka.group);
        properties(s, &mut kafka.properties);
        into.kafka = topic.map(|topic| FeedbackTopic { topic, ..kafka });
    });
    if into.file.is_none() {
        let given = [("token_file", into.token_file.is_some()), ("kafka", into.kafka.is_some())];
        for (key, _) in given.into_iter().filter(|(_, given)| *given) {
            s.problem(key, "needs `file`, where what comes in is kept");
        }
    }
}
