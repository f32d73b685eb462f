//! An output of type `alertmanager`.

use std::collections::BTreeMap;
use std::time::Duration;

use regex::Regex;

use super::http::{self, HttpConfig};
use super::neighbours::urls;
use super::output::is_http_url;
use crate::redact::host_of;
use crate::sink::alertmanager::OWN_LABEL;
use crate::yaml::section::{Section, text_of};

/// Alertmanagers that are kept informed of incidents.
#[derive(Clone, PartialEq, Eq)]
pub struct AlertmanagerOutput {
    /// The base URL of every peer.
    pub urls: Vec<String>,
    /// How long one request may take.
    pub timeout: Duration,
    /// How often everything is posted again.
    pub refresh: Duration,
    /// For how long after its end an alert is posted as resolved.
    pub resolve_for: Duration,
    /// The `alertname` of the alert for an incident.
    pub alertname: String,
    /// Incidents with fewer alerts are not posted: they are their own alert.
    pub alerts_min: usize,
    /// Labels of every alert.
    pub labels: BTreeMap<String, String>,
    /// Regular expressions over an entity's name whose named groups become labels; the first that
    /// matches counts.
    pub entity_labels: Vec<Pattern>,
    /// The page of an incident, with `{incident}` for its id.
    pub incident_url: Option<String>,
    /// Whether there is an alert for each affected entity besides, for inhibit rules.
    pub members: bool,
    /// The `alertname` of these.
    pub member_alertname: String,
    /// The most of them for one incident.
    pub members_max: usize,
    /// Who we are, and whom we trust.
    pub http: HttpConfig,
}

impl std::fmt::Debug for AlertmanagerOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let urls: Vec<String> = self.urls.iter().map(|url| host_of(url)).collect();
        f.debug_struct("AlertmanagerOutput")
            .field("urls", &urls)
            .field("alertname", &self.alertname)
            .field("members", &self.members)
            .field("http", &self.http)
            .finish_non_exhaustive()
    }
}

/// A regular expression, anchored at both ends; equal to another of the same text.
#[derive(Clone, Debug)]
pub struct Pattern(pub Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

impl Pattern {
    /// Anchors and compiles a regular expression.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        let built = regex::RegexBuilder::new(&format!("^(?:{text})$")).size_limit(1 << 20).build();
        // The first lines of the error draw the pattern; the last one says what is wrong.
        built.map(Self).map_err(|error| {
            let text = error.to_string();
            text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        })
    }
}

impl Default for AlertmanagerOutput {
    fn default() -> Self {
        let service = Pattern::new("(?<service>.+)");
        Self {
            urls: Vec::new(),
            timeout: Duration::from_secs(10),
            refresh: Duration::from_secs(60),
            resolve_for: Duration::from_secs(300),
            alertname: "IncidentRootCause".to_owned(),
            alerts_min: 2,
            labels: BTreeMap::new(),
            entity_labels: service.into_iter().collect(),
            incident_url: None,
            members: false,
            member_alertname: "IncidentMember".to_owned(),
            members_max: 50,
            http: HttpConfig::default(),
        }
    }
}

/// Labels that are set for every alert.
const RESERVED: [&str; 5] = ["alertname", "severity", "entity", "incident_id", OWN_LABEL];

pub(super) fn read(s: &mut Section<'_, '_>, into: &mut AlertmanagerOutput) {
    urls(s, "http://127.0.0.1:9093", &mut into.urls);
    if into.urls.is_empty() && !s.has_problem("urls") {
        s.problem("urls", "is missing; name every Alertmanager, such as [http://127.0.0.1:9093]");
    }
    s.duration("timeout", &mut into.timeout);
    s.duration("refresh", &mut into.refresh);
    s.duration("resolve_for", &mut into.resolve_for);
    for (key, value) in [("timeout", into.timeout), ("refresh", into.refresh)] {
        if value.is_zero() {
            s.problem(key, "is 0, must be more than 0");
        }
    }
    s.text("alertname", &mut into.alertname);
    s.whole("alerts_min", 1..=10_000, &mut into.alerts_min);
    labels(s, &mut into.labels);
    entity_labels(s, &mut into.entity_labels);
    s.optional("incident_url", &mut into.incident_url);
    if let Some(url) = &into.incident_url
        && !(url.contains("{incident}") && is_http_url(&url.replace("{incident}", "i")))
    {
        let what = "must be an http or https URL with {incident} in it, such as \
                    https://example.org/incidents/{incident}";
        s.problem("incident_url", what);
    }
    const FLAGS: [(&str, bool); 2] = [("true", true), ("false", false)];
    s.choice("members", &FLAGS, &mut into.members);
    s.text("member_alertname", &mut into.member_alertname);
    if into.member_alertname == into.alertname {
        s.problem("member_alertname", "is that of incidents; give it another name");
    }
    s.whole("members_max", 1..=1_000, &mut into.members_max);
    http::read(s, &mut into.http);
}

fn labels(s: &mut Section<'_, '_>, into: &mut BTreeMap<String, String>) {
    s.section("labels", |s| {
        for entry in s.take_rest() {
            match text_of(&entry.node) {
                _ if RESERVED.contains(&entry.key.as_str()) => {
                    s.problem_at(entry, "is a label that is set for you; it cannot be given here");
                }
                Some(text) => {
                    into.insert(entry.key.clone(), text.to_owned());
                }
                None => s.problem_at(entry, format!("is {}, must be text", entry.node.shown())),
            }
        }
    });
}

fn entity_labels(s: &mut Section<'_, '_>, into: &mut Vec<Pattern>) {
    let mut texts = None;
    let found = s.list("entity_labels", |_, node, _| {
        texts.get_or_insert_with(Vec::new).push(text_of(node).unwrap_or_default().to_owned());
    });
    if found.is_none() {
        return;
    }
    into.clear();
    for (at, text) in texts.into_iter().flatten().enumerate() {
        let key = format!("entity_labels[{at}]");
        match Pattern::new(&text) {
            Err(what) => s.problem(&key, format!("is no regular expression: {what}")),
            Ok(pattern) => {
                let names: Vec<&str> = pattern.0.capture_names().flatten().collect();
                match names.iter().find(|name| RESERVED.contains(name)) {
                    Some(name) => s.problem(&key, format!("names {name}, which is set for you")),
                    None if names.is_empty() => {
                        s.problem(&key, "has no named group, such as (?<service>.+)");
                    }
                    None => into.push(pattern),
                }
            }
        }
    }
}
