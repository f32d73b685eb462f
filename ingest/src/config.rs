//! The configuration file: read, checked, and nothing more. Files and networks that it names are
//! touched by whoever uses it.
//!
//! `default.yml` is the reference manual: it holds every key with its default, and a test proves
//! that.

mod alertmanager;
mod feedback;
mod http;
mod input;
mod mapping;
mod neighbours;
mod output;
mod policy;
mod state;
#[cfg(test)]
mod tests;
mod topology;
mod web;

use std::path::{Path, PathBuf};

use hypocenter_engine::{LabelLimits, Policy};

pub use alertmanager::{AlertmanagerOutput, Pattern};
pub use feedback::{Feedback, FeedbackTopic};
pub use http::{Authorization, ClientTls, Credential, HttpConfig, OAuth2, ProxyUrl, TlsVersion};
pub use input::{HttpInput, Input, KafkaInput, OffsetReset};
pub use neighbours::{Neighbours, Resync, RulesWatch};
pub use output::{KafkaOutput, Output, WebhookOutput};
pub use state::State;
pub use topology::TopologyConfig;
pub use web::{Web, parse_listen_address};

use crate::file_error::FileError;
use crate::yaml::Problem;
use crate::yaml::reader::Reader;

/// The reference manual: every key with its default.
pub const DEFAULT_YML: &str = include_str!("../default.yml");

/// Largest configuration file, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where alerts come from.
    pub input: Input,
    /// Where incident records go.
    pub outputs: Vec<Output>,
    /// Where snapshots are kept.
    pub state: State,
    /// The file with the dependency graph, if there is one.
    pub topology_file: Option<PathBuf>,
    /// Where the graph comes from besides.
    pub topology: TopologyConfig,
    /// Every parameter of the engine.
    pub policy: Policy,
    /// Bounds on what is accepted.
    pub accept: Accept,
    /// Annotations that carry numbers.
    pub annotations: Annotations,
    /// What is asked of Prometheus and Alertmanager.
    pub neighbours: Neighbours,
    /// HTTP: metrics, health, what can be read.
    pub web: Web,
    /// Verdicts of engineers.
    pub feedback: Feedback,
    /// Logging.
    pub log: Log,
}

/// Bounds on what is accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Accept {
    /// Bounds on one alert's labels.
    pub labels: LabelLimits,
    /// Largest input record, in bytes.
    pub body_bytes_max: usize,
}

impl Default for Accept {
    fn default() -> Self {
        Self { labels: LabelLimits::default(), body_bytes_max: 4 << 20 }
    }
}

/// Names of the annotations that carry numbers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Annotations {
    /// The measured value, such as `0.93`.
    pub value: String,
    /// Its limit, such as `> 0.9`.
    pub threshold: String,
}

impl Default for Annotations {
    fn default() -> Self {
        Self { value: "value".to_owned(), threshold: "threshold".to_owned() }
    }
}

/// Logging.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Log {
    /// Least level that is written.
    pub level: LogLevel,
    /// Form of the lines.
    pub format: LogFormat,
}

/// Least level of a log line that is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum LogLevel {
    /// Everything, single alerts included.
    Debug,
    /// What an operator may want to know.
    #[default]
    Info,
    /// What heals by itself, or may become trouble.
    Warn,
    /// What needs somebody.
    Error,
}

impl LogLevel {
    const CHOICES: [(&'static str, Self); 4] = [
        ("debug", Self::Debug),
        ("info", Self::Info),
        ("warn", Self::Warn),
        ("error", Self::Error),
    ];
}

/// Form of log lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// `key=value` pairs.
    #[default]
    Logfmt,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    const CHOICES: [(&'static str, Self); 2] = [("logfmt", Self::Logfmt), ("json", Self::Json)];
}

impl Default for Config {
    fn default() -> Self {
        Self {
            input: Input::default(),
            outputs: vec![Output::Stdout],
            state: State::default(),
            topology_file: None,
            topology: TopologyConfig::default(),
            policy: Policy::default(),
            accept: Accept::default(),
            annotations: Annotations::default(),
            neighbours: Neighbours::default(),
            web: Web::default(),
            feedback: Feedback::default(),
            log: Log::default(),
        }
    }
}

impl Config {
    /// Reads and checks a file. Relative paths in it are taken from its directory.
    ///
    /// # Errors
    /// That it cannot be read, or everything that is wrong in it.
    pub fn load(file: &Path) -> Result<Self, FileError> {
        let text = crate::text_file::read(file, FILE_BYTES_MAX)
            .map_err(|what| FileError::new(file, vec![Problem::new(None, "", what)]))?;
        let mut config = Self::parse(&text).map_err(|problems| FileError::new(file, problems))?;
        config.resolve(file.parent().unwrap_or(Path::new("")));
        Ok(config)
    }

    /// Reads and checks a text.
    ///
    /// # Errors
    /// Everything that is wrong in it, in the order of its lines.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        Self::default().with(text)
    }

    /// This configuration with what a text says differently.
    ///
    /// # Errors
    /// Everything that is wrong in the text, or that it makes wrong, in the order of its lines.
    pub fn with(self, text: &str) -> Result<Self, Vec<Problem>> {
        let reader = Reader::default();
        match self.read(text, &reader) {
            Some(config) if !reader.has_problem("") => Ok(config),
            _ => Err(reader.into_problems()),
        }
    }

    /// The settings of all HTTP clients, each with its place in the file.
    pub fn clients(&self) -> impl Iterator<Item = (String, &HttpConfig)> {
        let neighbours = [
            ("neighbours.rules".to_owned(), &self.neighbours.rules.http),
            ("neighbours.resync".to_owned(), &self.neighbours.resync.http),
        ];
        let sources = self.topology.sources.iter();
        let sources =
            sources.map(|source| (format!("topology.sources {}", source.name), &source.http));
        let of_output =
            |(at, output): (usize, _)| Some((format!("outputs[{at}]"), client_of(output)?));
        self.outputs.iter().enumerate().filter_map(of_output).chain(neighbours).chain(sources)
    }

    fn read(mut self, text: &str, reader: &Reader) -> Option<Self> {
        let node = reader.parse(text)?;
        let config = &mut self;
        let mut spec = config.policy.spec().clone();
        reader.section(&node, "", |root| {
            input::read(root, &mut config.input);
            output::read(root, &mut config.outputs);
            root.section("state", |s| state::read(s, &config.input, &mut config.state));
            root.section("topology", |s| {
                let mut file = None;
                s.optional("file", &mut file);
                config.topology_file = file.map(PathBuf::from);
                topology::read(s, &mut config.topology);
            });
            policy::read(root, &mut spec, &mut config.accept);
            neighbours::read(root, &config.input, &mut config.neighbours);
            root.section("annotations", |s| {
                s.text("value", &mut config.annotations.value);
                s.text("threshold", &mut config.annotations.threshold);
            });
            root.section("web", |s| web::read(s, &mut config.web));
            root.section("feedback", |s| feedback::read(s, &mut config.feedback));
            root.section("log", |s| {
                s.choice("level", &LogLevel::CHOICES, &mut config.log.level);
                s.choice("format", &LogFormat::CHOICES, &mut config.log.format);
            });
        });
        self.policy = policy::check(reader, spec)?;
        Some(self)
    }

    fn resolve(&mut self, directory: &Path) {
        let join = |path: &mut PathBuf| *path = directory.join(&*path);
        self.topology_file.iter_mut().for_each(join);
        self.topology.resolve(directory);
        self.state.dir.iter_mut().for_each(join);
        self.neighbours.resolve(directory);
        self.feedback.file.iter_mut().for_each(join);
        self.feedback.token_file.iter_mut().for_each(join);
        self.web.config_file.iter_mut().for_each(join);
        match &mut self.input {
            Input::File { paths } => {
                let files = paths.iter_mut().filter(|path| **path != Path::new("-"));
                files.for_each(join);
            }
            Input::Http(http) => http.web_config_file.iter_mut().for_each(join),
            Input::Kafka(_) => {}
        }
        for output in &mut self.outputs {
            match output {
                Output::File { path } => join(path),
                Output::Webhook(webhook) => webhook.http.resolve(directory),
                Output::Alertmanager(output) => output.http.resolve(directory),
                Output::Kafka(_) | Output::Stdout => {}
            }
        }
    }
}

fn client_of(output: &Output) -> Option<&HttpConfig> {
    match output {
        Output::Webhook(webhook) => Some(&webhook.http),
        Output::Alertmanager(output) => Some(&output.http),
        Output::Kafka(_) | Output::File { .. } | Output::Stdout => None,
    }
}
