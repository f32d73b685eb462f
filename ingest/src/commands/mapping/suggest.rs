//! `mapping suggest`: what no rule maps in a recording, by the labels that it has, each with a rule
//! that would.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hypocenter_engine::{
    Action, EntityKind, EntityName, Found, Labels, Mapping, MappingRule, MappingSpec, Topology,
};

use super::{Pairs, canonical, test::owned};
use crate::cli::MappingSuggestArgs;
use crate::commands::{Exit, Failure, load_config, load_topology, print};
use crate::source::file::FileSource;
use crate::source::{Input, Polled, Source};
use crate::wire::{Decoder, Options};

/// Labels that say what is wrong, and how bad it is, but not of what.
const SAYS_NOTHING: [&str; 12] = [
    "alertname",
    "severity",
    "alertstate",
    "prometheus",
    "prometheus_replica",
    "__replica__",
    "endpoint",
    "metric",
    "team",
    "cluster",
    "namespace",
    "env",
];
/// What labels are called that name things, and of what kind these are; better ones first.
const HINTS: [(&str, EntityKind); 14] = [
    ("queue", EntityKind::Queue),
    ("topic", EntityKind::Queue),
    ("database", EntityKind::Database),
    ("datname", EntityKind::Database),
    ("db", EntityKind::Database),
    ("volume", EntityKind::Volume),
    ("hostname", EntityKind::Node),
    ("host", EntityKind::Node),
    ("server", EntityKind::Node),
    ("device", EntityKind::Node),
    ("machine", EntityKind::Node),
    ("app", EntityKind::Service),
    ("name", EntityKind::Service),
    ("id", EntityKind::External),
];
/// Alert names that a rule is narrowed to; with more, it is not.
const NAMES_MAX: usize = 12;

/// Alerts that no rule maps, which have the same labels.
#[derive(Debug, Default)]
struct Group {
    alerts: usize,
    names: BTreeSet<String>,
    /// By label: its values.
    values: BTreeMap<String, BTreeSet<String>>,
    example: Pairs,
}

/// Writes proposed rules.
///
/// # Errors
/// What is wrong with the recordings, the configuration or the topology.
pub fn run(args: &MappingSuggestArgs) -> Result<(), Failure> {
    let config = load_config(&args.common)?;
    let (topology, _) = load_topology(config.topology_file.as_deref())?;
    let options =
        Options { labels: config.accept.labels, body_bytes_max: usize::MAX, ..Options::default() };
    let seen = read(args, options)?;
    let spec = &config.policy.spec().mapping;
    let mapping =
        Mapping::new(spec).map_err(|errors| Failure::new(Exit::Invalid, format!("{errors:?}")))?;
    let mut groups: BTreeMap<Vec<String>, Group> = BTreeMap::new();
    let mut outside = 0;
    for pairs in &seen {
        let look = |labels: Labels<'_>| is_lost(&mapping, &topology, labels);
        let lost = canonical(pairs, &config.accept.labels, look)
            .map_err(|error| Failure::new(Exit::Invalid, error))?;
        match lost {
            Some(Lost::Unmapped) => {
                let signature = pairs.iter().map(|(name, _)| name.clone()).collect();
                groups.entry(signature).or_default().take(pairs);
            }
            Some(Lost::Outside) => outside += 1,
            None => {}
        }
    }
    print(&report(&groups, (seen.len(), outside), &topology, spec))
}

/// Why an alert has no entity of the graph.
enum Lost {
    Unmapped,
    Outside,
}

fn is_lost(mapping: &Mapping, topology: &Topology, labels: Labels<'_>) -> Option<Lost> {
    let Some(mapped) = mapping.entity(labels) else { return Some(Lost::Unmapped) };
    let (_, found) = topology.place(&mapped);
    let unknown = matches!(found, Found::Outside | Found::Ambiguous) && !topology.is_empty();
    (mapped.action == Action::Map && unknown).then_some(Lost::Outside)
}

/// All alerts of the recordings, each label set once.
fn read(args: &MappingSuggestArgs, options: Options) -> Result<BTreeSet<Pairs>, Failure> {
    let names = args.files.iter().map(|file| file.display().to_string()).collect();
    let unavailable = |error| Failure::new(Exit::Unavailable, error);
    let mut source = FileSource::open(names).map_err(unavailable)?;
    let mut decoder = Decoder::new(options);
    let mut seen = BTreeSet::new();
    let mut wrong = None;
    let mut take = |input: Input<'_>| {
        let Input::Record(record) = input else { return };
        let done = decoder.decode(record.payload, &mut |decoded| {
            if let Ok(decoded) = decoded {
                seen.insert(owned(decoded.event.labels));
            }
        });
        if let (Err(error), None) = (done, &wrong) {
            wrong = Some(format!("line {}: {error}", record.position));
        }
    };
    while source.poll(Duration::ZERO, &mut take).map_err(unavailable)? != Polled::End {}
    match wrong {
        Some(what) => Err(Failure::new(Exit::Invalid, what)),
        None => Ok(seen),
    }
}

impl Group {
    fn take(&mut self, pairs: &Pairs) {
        self.alerts += 1;
        for (name, value) in pairs {
            if name == "alertname" {
                self.names.insert(value.clone());
            }
            self.values.entry(name.clone()).or_default().insert(value.clone());
        }
        if self.example.is_empty() {
            self.example.clone_from(pairs);
        }
    }

    /// The label that best names the subject, and the kind that this is of.
    fn subject(&self, topology: &Topology) -> Option<(&str, EntityKind)> {
        let known = |kind, value: &String| {
            let name = EntityName { kind, scope: String::new(), name: value.clone() };
            !matches!(topology.resolve(&name).1, Found::Outside | Found::Ambiguous)
        };
        let rated = self.values.iter().filter(|(label, _)| !SAYS_NOTHING.contains(&label.as_str()));
        let rated = rated.map(|(label, values)| {
            let hint = HINTS.iter().position(|(hint, _)| label.contains(hint));
            let kind = hint.map_or(EntityKind::Service, |at| HINTS[at].1);
            let in_graph = values.iter().filter(|value| known(kind, value)).count();
            let rank = HINTS.len() - hint.unwrap_or(HINTS.len());
            ((in_graph * 100 / values.len(), rank, values.len()), label.as_str(), kind)
        });
        let best = rated.max_by(|a, b| a.0.cmp(&b.0).then_with(|| b.1.cmp(a.1)))?;
        Some((best.1, best.2))
    }

    /// A rule that maps these alerts.
    fn rule(&self, number: usize, topology: &Topology) -> Option<MappingRule> {
        let (label, kind) = self.subject(topology)?;
        let scope: String = ["cluster", "namespace"]
            .into_iter()
            .filter(|label| self.values.contains_key(*label))
            .map(|label| format!("${{{label}?}}/"))
            .collect();
        let names: Vec<String> = self.names.iter().map(|name| escaped(name)).collect();
        let matches = match names.len() {
            1..=NAMES_MAX => vec![("alertname".to_owned(), names.join("|"))],
            _ => Vec::new(),
        };
        Some(MappingRule {
            name: format!("suggested-{label}-{number}"),
            matches,
            any_of: vec![label.to_owned()],
            to: format!("{kind}/{scope}${{value}}"),
            ..MappingRule::default()
        })
    }
}

fn report(
    groups: &BTreeMap<Vec<String>, Group>,
    (alerts, outside): (usize, usize),
    topology: &Topology,
    spec: &MappingSpec,
) -> String {
    let mut text = String::new();
    let unmapped: usize = groups.values().map(|group| group.alerts).sum();
    text.push_str(&format!("# {alerts} alerts, {unmapped} of which no rule maps.\n"));
    if outside > 0 {
        text.push_str(&format!("# {outside} are mapped to entities that the topology has not.\n"));
    }
    if groups.is_empty() {
        return text;
    }
    text.push_str("mapping:\n  own_rules:\n");
    let mut groups: Vec<&Group> = groups.values().collect();
    groups.sort_by(|a, b| b.alerts.cmp(&a.alerts).then_with(|| a.example.cmp(&b.example)));
    let (mut own, mut hopeless) = (spec.own.clone(), Vec::new());
    for (at, group) in groups.iter().enumerate() {
        let Some(rule) = group.rule(at + 1, topology) else {
            hopeless.push(*group);
            continue;
        };
        own.push(rule.clone());
        let of = MappingSpec { own: own.clone(), ..spec.clone() };
        if Mapping::new(&of).is_err() {
            // A rule before it maps these alerts, too.
            own.pop();
            continue;
        }
        text.push_str(&format!("    # {}\n", said_of(group)));
        text.push_str(&yaml(&rule));
    }
    for group in hopeless {
        text.push_str(&format!("# no label names the subject: {}\n", said_of(group)));
    }
    text
}

fn said_of(group: &Group) -> String {
    let (alerts, names) = (group.alerts, group.names.len());
    let pair = |(name, value): &(String, String)| format!("{name}={}", quoted(value));
    let example: Vec<String> = group.example.iter().map(pair).collect();
    let s = |number: usize| if number == 1 { "" } else { "s" };
    format!(
        "{alerts} alert{} of {names} name{}, as {{{}}}",
        s(alerts),
        s(names),
        example.join(", ")
    )
}

fn yaml(rule: &MappingRule) -> String {
    let mut text = format!("    - name: {}\n", quoted(&rule.name));
    for (label, pattern) in &rule.matches {
        text.push_str(&format!("      match: {{{label}: {}}}\n", quoted(pattern)));
    }
    let any: Vec<String> = rule.any_of.iter().map(|label| quoted(label)).collect();
    text.push_str(&format!("      match_any: [{}]\n", any.join(", ")));
    text.push_str(&format!("      to: {}\n", quoted(&rule.to)));
    text
}

/// Text as YAML reads it back: in the quotes of JSON, which is YAML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A regular expression for exactly this text.
fn escaped(text: &str) -> String {
    let special = |c: char| !c.is_alphanumeric() && c != '_' && !c.is_whitespace() && c.is_ascii();
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}
