//! `outputs`: where incident records go.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::alertmanager::{self, AlertmanagerOutput};
use super::http::{self, HttpConfig};
use super::input::{brokers, properties};
use crate::redact::{Properties, host_of};
use crate::yaml::section::Section;

/// Where incident records go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// A Kafka topic.
    Kafka(KafkaOutput),
    /// An HTTP endpoint that takes one record with each POST.
    Webhook(Box<WebhookOutput>),
    /// One alert for each incident, in every Alertmanager.
    Alertmanager(Box<AlertmanagerOutput>),
    /// A file that lines are added to.
    File {
        /// The file.
        path: PathBuf,
    },
    /// Standard output, one record a line.
    Stdout,
}

/// A Kafka producer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KafkaOutput {
    /// `host:port` of some brokers.
    pub brokers: Vec<String>,
    /// The topic to write.
    pub topic: String,
    /// Further properties for librdkafka.
    pub properties: Properties,
}

impl Default for KafkaOutput {
    fn default() -> Self {
        Self {
            brokers: Vec::new(),
            topic: "incidents".to_owned(),
            properties: Properties::default(),
        }
    }
}

/// An HTTP endpoint.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookOutput {
    /// Where to POST to.
    pub url: String,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// Who we are, and whom we trust.
    pub http: HttpConfig,
}

impl fmt::Debug for WebhookOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookOutput")
            .field("url", &host_of(&self.url))
            .field("timeout", &self.timeout)
            .field("http", &self.http)
            .finish()
    }
}

impl Default for WebhookOutput {
    fn default() -> Self {
        Self { url: String::new(), timeout: Duration::from_secs(10), http: HttpConfig::default() }
    }
}

#[derive(Clone, Copy)]
enum Type {
    Kafka,
    Webhook,
    Alertmanager,
    File,
    Stdout,
}

const TYPES: [(&str, Type); 5] = [
    ("kafka", Type::Kafka),
    ("webhook", Type::Webhook),
    ("alertmanager", Type::Alertmanager),
    ("file", Type::File),
    ("stdout", Type::Stdout),
];

pub(super) fn read(root: &mut Section<'_, '_>, into: &mut Vec<Output>) {
    let mut outputs = Vec::new();
    let found = root.list("outputs", |reader, node, path| {
        reader.section(node, path, |s| outputs.extend(read_one(s)));
    });
    match found {
        None => {}
        Some(0) => root
            .problem("outputs", "is empty, must have at least one element, such as {type: stdout}"),
        Some(_) => {
            let is_stdout = |output: &&Output| **output == Output::Stdout;
            if outputs.iter().filter(is_stdout).count() > 1 {
                root.problem("outputs", "has stdout more than once; keep one");
            }
            *into = outputs;
        }
    }
}

fn read_one(s: &mut Section<'_, '_>) -> Option<Output> {
    let mut kind = None;
    let choices = TYPES.map(|(name, kind)| (name, Some(kind)));
    s.choice("type", &choices, &mut kind);
    match kind {
        None => {
            if !s.has_problem("type") {
                let names = TYPES.map(|(name, _)| name).join(", ");
                s.problem("type", format!("is missing; one of {names}"));
            }
            s.take_rest();
            None
        }
        Some(Type::Kafka) => {
            let mut kafka = KafkaOutput::default();
            brokers(s, &mut kafka.brokers);
            s.text("topic", &mut kafka.topic);
            properties(s, &mut kafka.properties);
            Some(Output::Kafka(kafka))
        }
        Some(Type::Webhook) => {
            let mut webhook = WebhookOutput::default();
            url(s, &mut webhook.url);
            s.duration("timeout", &mut webhook.timeout);
            if webhook.timeout.is_zero() {
                s.problem("timeout", "is 0, must be more than 0");
            }
            http::read(s, &mut webhook.http);
            Some(Output::Webhook(Box::new(webhook)))
        }
        Some(Type::Alertmanager) => {
            let mut output = AlertmanagerOutput::default();
            alertmanager::read(s, &mut output);
            Some(Output::Alertmanager(Box::new(output)))
        }
        Some(Type::File) => {
            let mut path = String::new();
            s.text("path", &mut path);
            if path.is_empty() && !s.has_problem("path") {
                s.problem("path", "is missing; name the file to write to");
            }
            let path = PathBuf::from(path);
            Some(Output::File { path })
        }
        Some(Type::Stdout) => Some(Output::Stdout),
    }
}

/// Whether a text is an `http` or `https` URL with a host.
pub(super) fn is_http_url(text: &str) -> bool {
    text.parse::<ureq::http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
    })
}

fn url(s: &mut Section<'_, '_>, into: &mut String) {
    const FORM: &str = "such as https://example.org/incidents";
    s.text("url", into);
    if into.is_empty() {
        if !s.has_problem("url") {
            s.problem("url", format!("is missing; where to POST to, {FORM}"));
        }
    } else if !is_http_url(into) {
        // Not shown: a URL may carry a password.
        s.problem("url", format!("must be an http or https URL with a host, {FORM}"));
    }
}
