//! `neighbours`: what is asked of Prometheus and Alertmanager.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::http::{self, HttpConfig};
use super::input::Input;
use super::output::is_http_url;
use crate::redact::host_of;
use crate::yaml::section::Section;

/// What is asked of Prometheus and Alertmanager.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Neighbours {
    /// How long conditions must hold before alerts fire, by Prometheus.
    pub rules: RulesWatch,
    /// Which alerts are active at the start, by Alertmanager.
    pub resync: Resync,
}

/// Prometheus servers that are asked for their rules.
#[derive(Clone, PartialEq, Eq)]
pub struct RulesWatch {
    /// Their base URLs.
    pub urls: Vec<String>,
    /// How long one request may take.
    pub timeout: Duration,
    /// How often they are asked.
    pub refresh: Duration,
    /// Where the durations known last are kept; read at the start and by replays.
    pub file: Option<PathBuf>,
    /// Whether kube-prometheus' durations are used until the first answer.
    pub shipped: bool,
    /// Who we are, and whom we trust.
    pub http: HttpConfig,
}

impl Default for RulesWatch {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            timeout: Duration::from_secs(10),
            refresh: Duration::from_secs(300),
            file: None,
            shipped: true,
            http: HttpConfig::default(),
        }
    }
}

/// Alertmanagers that are asked for active alerts at the start.
#[derive(Clone, PartialEq, Eq)]
pub struct Resync {
    /// Their base URLs.
    pub urls: Vec<String>,
    /// How long one request may take.
    pub timeout: Duration,
    /// For how long one that does not answer is asked again.
    pub retry_for: Duration,
    /// Who we are, and whom we trust.
    pub http: HttpConfig,
}

impl Default for Resync {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            timeout: Duration::from_secs(30),
            retry_for: Duration::from_secs(600),
            http: HttpConfig::default(),
        }
    }
}

fn places(urls: &[String]) -> Vec<String> {
    urls.iter().map(|url| host_of(url)).collect()
}

impl std::fmt::Debug for RulesWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RulesWatch")
            .field("urls", &places(&self.urls))
            .field("refresh", &self.refresh)
            .field("file", &self.file)
            .field("shipped", &self.shipped)
            .field("http", &self.http)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Resync {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resync")
            .field("urls", &places(&self.urls))
            .field("retry_for", &self.retry_for)
            .field("http", &self.http)
            .finish_non_exhaustive()
    }
}

impl Neighbours {
    /// Takes relative paths from `directory`.
    pub(super) fn resolve(&mut self, directory: &Path) {
        self.rules.file.iter_mut().for_each(|path| *path = directory.join(&*path));
        self.rules.http.resolve(directory);
        self.resync.http.resolve(directory);
    }
}

pub(super) fn read(root: &mut Section<'_, '_>, input: &Input, into: &mut Neighbours) {
    root.section("neighbours", |s| {
        s.section("rules", |s| {
            let rules = &mut into.rules;
            urls(s, "http://127.0.0.1:9090", &mut rules.urls);
            positive(s, "timeout", &mut rules.timeout);
            positive(s, "refresh", &mut rules.refresh);
            let mut file = None;
            s.optional("file", &mut file);
            rules.file = file.map(PathBuf::from);
            s.choice("shipped", &[("true", true), ("false", false)], &mut rules.shipped);
            http::read(s, &mut rules.http);
        });
        s.section("resync", |s| {
            let resync = &mut into.resync;
            urls(s, "http://127.0.0.1:9093", &mut resync.urls);
            if !resync.urls.is_empty() && !matches!(input, Input::Http(_)) {
                let what = "goes with input.type http alone: what fires is in other inputs, which \
                            are read again from before they were left; take it out";
                s.problem("urls", what);
            }
            positive(s, "timeout", &mut resync.timeout);
            s.duration("retry_for", &mut resync.retry_for);
            http::read(s, &mut resync.http);
        });
    });
}

fn positive(s: &mut Section<'_, '_>, key: &str, into: &mut Duration) {
    s.duration(key, into);
    if into.is_zero() {
        s.problem(key, "is 0, must be more than 0");
    }
}

/// `urls`: base URLs of servers.
pub(super) fn urls(s: &mut Section<'_, '_>, example: &str, into: &mut Vec<String>) {
    s.texts("urls", into);
    for (at, url) in into.iter().enumerate() {
        // Not shown: a URL may carry a password.
        if !is_http_url(url) || url.contains(['?', '#']) {
            let what = "must be an http or https URL with a host and no query, such as";
            s.problem(&format!("urls[{at}]"), format!("{what} {example}"));
        } else if into[..at].contains(url) {
            s.problem(&format!("urls[{at}]"), "is there twice; keep one");
        }
    }
}
