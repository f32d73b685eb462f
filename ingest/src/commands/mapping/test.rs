//! `mapping test`: labels in; the rule, the entity, and why not the rules before.

use std::io::{self, Read};

use hypocenter_engine::{Action, Labels, Mapping, Topology};
use serde::Serialize;
use serde_json::Value;

use super::{Pairs, canonical};
use crate::cli::{Format, MappingTestArgs};
use crate::commands::{Exit, Failure, load_config, load_topology, print};
use crate::config::Config;
use crate::wire::{Decoder, Options};

/// Most that is read of standard input, in bytes.
const BYTES_MAX: u64 = 64 << 20;

/// What becomes of one alert.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Answer {
    /// Its labels.
    pub labels: serde_json::Map<String, Value>,
    /// Labels that rules do not see, because they name the exporter.
    pub hidden: Vec<String>,
    /// The rule that maps it; null: none does.
    pub rule: Option<String>,
    /// What it means: `map`, `blind`, `heartbeat`, `drop`.
    pub action: Option<&'static str>,
    /// The kind of the entity.
    pub kind: Option<&'static str>,
    /// What the rule calls the entity.
    pub entity: Option<String>,
    /// The entity of the graph that this is, or that stands for it; without a topology the same.
    pub resolved: Option<String>,
    /// How that was found, as in records.
    pub found: Option<&'static str>,
    /// The rules before, and why they do not match.
    pub passed_over: Vec<PassedOver>,
}

/// A rule that does not match.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PassedOver {
    /// Its name.
    pub rule: String,
    /// Why not.
    pub why_not: String,
}

/// Shows what becomes of alerts.
///
/// # Errors
/// What is wrong with the labels, the configuration or the topology.
pub fn run(args: &MappingTestArgs) -> Result<(), Failure> {
    let config = load_config(&args.common)?;
    let (topology, found) = load_topology(config.topology_file.as_deref())?;
    let alerts = match args.labels.as_slice() {
        [dash] if dash == "-" => from_stdin(&config)?,
        labels => vec![from_arguments(labels)?],
    };
    let mapping = Mapping::new(&config.policy.spec().mapping)
        .map_err(|errors| Failure::new(Exit::Invalid, format!("{errors:?}")))?;
    let mut text = String::new();
    for pairs in &alerts {
        let look = |labels: Labels<'_>| answer(&mapping, &topology, labels);
        let answer = canonical(pairs, &config.accept.labels, look)
            .map_err(|error| Failure::new(Exit::Invalid, error))?;
        match args.format {
            Format::Text => text.push_str(&shown(&answer, found.is_some())),
            Format::Json => {
                let line = serde_json::to_string(&answer);
                let line = line.unwrap_or_else(|error| unreachable!("an answer is JSON: {error}"));
                text.push_str(&line);
                text.push('\n');
            }
        }
    }
    print(&text)
}

/// What becomes of one alert.
#[must_use]
pub fn answer(mapping: &Mapping, topology: &Topology, labels: Labels<'_>) -> Answer {
    let pairs = labels.pairs().iter();
    let mapped = mapping.entity(labels);
    let named = mapped.as_ref().filter(|mapped| mapped.action.has_entity());
    let resolved = named.map(|mapped| topology.place(mapped));
    let passed_over = mapping.tried(labels).into_iter().filter_map(|tried| {
        let rule = tried.rule.to_owned();
        tried.why_not.map(|why_not| PassedOver { rule, why_not })
    });
    let hidden = mapping.hidden(labels).map(|(_, names)| names).unwrap_or_default();
    Answer {
        labels: pairs.map(|&(name, value)| (name.to_owned(), value.into())).collect(),
        hidden: hidden.into_iter().map(str::to_owned).collect(),
        rule: mapped.as_ref().map(|mapped| mapped.rule.to_owned()),
        action: mapped.as_ref().map(|mapped| mapped.action.name()),
        kind: named.map(|mapped| mapped.entity.kind.name()),
        entity: named.map(|mapped| mapped.entity.to_string()),
        found: resolved.as_ref().map(|(_, found)| found.name()),
        resolved: resolved.map(|(entity, _)| entity),
        passed_over: passed_over.collect(),
    }
}

fn shown(answer: &Answer, graph: bool) -> String {
    let mut text = String::new();
    let mut line = |name: &str, what: &str| {
        text.push_str(&format!("{name:<8} {what}\n"));
    };
    let labels: Vec<String> = answer
        .labels
        .iter()
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
        .collect();
    line("labels", &labels.join(" "));
    if !answer.hidden.is_empty() {
        line("hidden", &format!("{}: they name the exporter", answer.hidden.join(", ")));
    }
    match (&answer.rule, answer.action) {
        (Some(rule), Some(action)) if action == Action::Map.name() => line("rule", rule),
        (Some(rule), Some(action)) => line("rule", &format!("{rule} (action: {action})")),
        _ => line("rule", "none matches: the alert is an entity of its own"),
    }
    if let (Some(entity), Some(kind)) = (&answer.entity, answer.kind) {
        line("entity", &format!("{entity} ({kind})"));
    }
    if let (Some(resolved), Some(found)) = (&answer.resolved, answer.found)
        && (graph || answer.entity.as_ref() != Some(resolved))
    {
        line("found", &format!("{resolved} ({})", found.replace('_', " ")));
    }
    if !answer.passed_over.is_empty() {
        text.push_str("before\n");
        for PassedOver { rule, why_not } in &answer.passed_over {
            text.push_str(&format!("  {rule:<16} {why_not}\n"));
        }
    }
    text
}

fn from_arguments(labels: &[String]) -> Result<Pairs, Failure> {
    let pair = |label: &String| match label.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            Ok((name.trim().to_owned(), quoted.unwrap_or(value).to_owned()))
        }
        _ => {
            let what = format!("{label:?} is no label; write NAME=VALUE, or - to read JSON");
            Err(Failure::new(Exit::Usage, what))
        }
    };
    labels.iter().map(pair).collect()
}

fn from_stdin(config: &Config) -> Result<Vec<Pairs>, Failure> {
    let mut text = Vec::new();
    io::stdin()
        .take(BYTES_MAX)
        .read_to_end(&mut text)
        .map_err(|error| Failure::new(Exit::Unavailable, format!("standard input: {error}")))?;
    let options = Options { labels: config.accept.labels, ..Options::default() };
    let found = read(&text, options).map_err(|what| Failure::new(Exit::Invalid, what))?;
    if found.is_empty() {
        return Err(Failure::new(Exit::Invalid, "standard input: holds no alert"));
    }
    Ok(found)
}

/// Alerts as they are recorded, one body or one a line; or labels alone.
fn read(text: &[u8], options: Options) -> Result<Vec<Pairs>, String> {
    let whole: Result<Value, _> = serde_json::from_slice(text);
    let bodies: Vec<&[u8]> = match &whole {
        Ok(_) => vec![text],
        Err(_) => text.split(|&b| b == b'\n').filter(|l| !l.trim_ascii().is_empty()).collect(),
    };
    let mut decoder = Decoder::new(options);
    let mut found = Vec::new();
    for (at, body) in bodies.iter().enumerate() {
        let body = wrapped(body);
        let mut wrong = None;
        let done = decoder.decode(&body, &mut |decoded| match decoded {
            Ok(decoded) => found.push(owned(decoded.event.labels)),
            Err(rejected) => wrong = Some(rejected.to_string()),
        });
        let wrong = done.err().map(|error| error.to_string()).or(wrong);
        if let Some(what) = wrong {
            return Err(format!("standard input: alert {}: {what}", at + 1));
        }
    }
    Ok(found)
}

/// Labels alone, as an alert.
fn wrapped(body: &[u8]) -> Vec<u8> {
    let labels = serde_json::from_slice::<serde_json::Map<String, Value>>(body).ok();
    match labels.filter(|map| map.values().all(Value::is_string)) {
        Some(labels) => serde_json::json!({ "labels": labels }).to_string().into_bytes(),
        None => body.to_vec(),
    }
}

pub(super) fn owned(labels: Labels<'_>) -> Pairs {
    labels.pairs().iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}
