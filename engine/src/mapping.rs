//! Which entity an alert is about: ordered, typed rules over its labels; the first match wins.

mod check;
mod owner;
mod read;
mod rule;
mod shipped;
mod template;
#[cfg(test)]
mod tests;

pub use owner::workload_of_pod;
pub use shipped::{default_aliases, default_exporters, default_rules};

use crate::entity::{EntityKind, EntityName};
use crate::label::Labels;
use read::{CompiledExporter, LabelRef, Reading};
use rule::Rule;

/// How alerts are mapped to entities, as written by the user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MappingSpec {
    /// The user's own rules: tried first.
    pub own: Vec<MappingRule>,
    /// The rules after them: what is shipped, unless replaced.
    pub rules: Vec<MappingRule>,
    /// Scrape jobs whose labels name the exporter and not what it tells of.
    pub exporters: Vec<Exporter>,
    /// Labels that go by several names: the name that rules use, and where to look, in order.
    pub aliases: Vec<(String, Vec<String>)>,
}

impl Default for MappingSpec {
    fn default() -> Self {
        Self {
            own: Vec::new(),
            rules: default_rules(),
            exporters: default_exporters(),
            aliases: default_aliases(),
        }
    }
}

/// One rule as written by the user.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MappingRule {
    /// Name, recorded with each alert that the rule maps.
    pub name: String,
    /// Labels that must match, each with an anchored regular expression.
    pub matches: Vec<(String, String)>,
    /// Labels of which one must be set; the first one that is gives `${value}`.
    pub any_of: Vec<String>,
    /// The entity: its kind, cluster and namespace, and name, as in
    /// `pod/${cluster?}/${namespace?}/${pod}`; without a kind it is a service. A label that is not
    /// set makes the rule not match, unless it is marked by `?`.
    pub to: String,
    /// What the alert means.
    pub action: Action,
    /// Whether the alert may be about an exporter: its labels are not hidden.
    pub exporter: bool,
}

/// What an alert means that a rule matches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Action {
    /// Something is wrong with the entity.
    #[default]
    Map,
    /// What watches the entity fails: less is seen of it, and nothing is known to be wrong.
    Blind,
    /// It always fires; that it does not is news.
    Heartbeat,
    /// It says nothing.
    Drop,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Map, Self::Blind, Self::Heartbeat, Self::Drop];

    /// Name in configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Map => "map",
            Self::Blind => "blind",
            Self::Heartbeat => "heartbeat",
            Self::Drop => "drop",
        }
    }

    /// Whether an alert that means this is about an entity.
    #[must_use]
    pub const fn has_entity(self) -> bool {
        matches!(self, Self::Map | Self::Blind)
    }
}

/// A scrape job whose labels name the exporter and not what it tells of.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Exporter {
    /// Anchored regular expression for the label `job`.
    pub job: String,
    /// Labels that rules do not see on alerts of this job, unless another name of them is set
    /// (`exported_pod` for `pod`). A `pod` is hidden only if it is one of the exporter's own.
    pub hides: Vec<String>,
}

/// The rules that map alerts to entities, checked.
#[derive(Clone, Debug)]
pub struct Mapping {
    rules: Vec<Rule>,
    exporters: Vec<CompiledExporter>,
    /// Names the service of a pod, where no exporter hides it.
    service: LabelRef,
}

/// What is wrong with a mapping.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct MappingError {
    /// Where, as in the configuration: `mapping.rules[3]`.
    pub path: String,
    /// What is wrong, and what is allowed.
    pub problem: String,
}

/// Where an alert belongs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mapped<'m> {
    /// The entity; empty when the action has none.
    pub entity: EntityName,
    /// The service that an alert about a pod names beside it: who is meant where the pod is not in
    /// the graph.
    pub service: Option<EntityName>,
    /// What the alert means.
    pub action: Action,
    /// The rule that said so.
    pub rule: &'m str,
}

/// One rule that was tried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tried<'m> {
    /// Its name.
    pub rule: &'m str,
    /// Why it does not match; `None`: it does.
    pub why_not: Option<String>,
}

impl Mapping {
    /// Checks the rules.
    ///
    /// # Errors
    /// All that is wrong with them, in order.
    pub fn new(spec: &MappingSpec) -> Result<Self, Vec<MappingError>> {
        let mut errors = Vec::new();
        let mut rules = Vec::new();
        for (list, name) in [(&spec.own, "mapping.own_rules"), (&spec.rules, "mapping.rules")] {
            for (at, rule) in list.iter().enumerate() {
                match Rule::new(rule, &spec.aliases) {
                    Ok(rule) => rules.push(rule),
                    Err(problem) => errors.push(at_rule(name, at, problem)),
                }
            }
            for (at, problem) in check::between(list) {
                errors.push(at_rule(name, at, problem));
            }
        }
        let mut exporters = Vec::new();
        for (at, exporter) in spec.exporters.iter().enumerate() {
            match CompiledExporter::new(exporter) {
                Ok(exporter) => exporters.push(exporter),
                Err(problem) => {
                    let path = format!("mapping.exporters[{at}]");
                    errors.push(MappingError { path, problem });
                }
            }
        }
        let service = LabelRef::new("service", &spec.aliases);
        if errors.is_empty() { Ok(Self { rules, exporters, service }) } else { Err(errors) }
    }

    /// The entity that an alert is about; `None` when no rule matches.
    #[must_use]
    pub fn entity<'m>(&'m self, labels: Labels<'_>) -> Option<Mapped<'m>> {
        let reading = Reading::new(labels, &self.exporters);
        let mut mapped = self.rules.iter().find_map(|rule| rule.apply(&reading).ok())?;
        if mapped.entity.kind == EntityKind::Pod {
            let name = reading.get(&self.service).map(str::to_owned);
            let scope = mapped.entity.scope.clone();
            mapped.service = name.map(|name| EntityName { kind: EntityKind::Service, scope, name });
        }
        Some(mapped)
    }

    /// All rules up to the first that matches, and why those before it do not.
    #[must_use]
    pub fn tried<'m>(&'m self, labels: Labels<'_>) -> Vec<Tried<'m>> {
        let reading = Reading::new(labels, &self.exporters);
        let mut tried = Vec::new();
        for rule in &self.rules {
            let why_not = rule.apply(&reading).err().map(|why| why.to_string());
            let matched = why_not.is_none();
            tried.push(Tried { rule: &rule.name, why_not });
            if matched {
                break;
            }
        }
        tried
    }

    /// The job by whose exporter labels are hidden from the rules, and these labels.
    #[must_use]
    pub fn hidden<'l>(&self, labels: Labels<'l>) -> Option<(&'l str, Vec<&'l str>)> {
        Reading::new(labels, &self.exporters).hidden()
    }
}

fn at_rule(list: &str, at: usize, problem: String) -> MappingError {
    MappingError { path: format!("{list}[{at}]"), problem }
}
