//! What an alert is about: its entity, and what its labels say for grouping and ranking.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::kind::Kind;
use crate::label::Labels;
use crate::model::Entity;
use crate::policy::Policy;
use crate::symbol::{Symbol, Symbols};
use crate::topology::Topology;

/// How urgent the sender holds an alert to be.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    BorshDeserialize,
    BorshSerialize,
)]
pub enum Severity {
    /// Any other text, or none.
    #[default]
    None,
    /// For information.
    Info,
    /// To be looked at.
    Warning,
    /// To be acted on.
    Critical,
}

impl Severity {
    /// From a label value, in any case.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let is = |words: &[&str]| words.iter().any(|w| text.eq_ignore_ascii_case(w));
        if is(&["critical", "page", "emergency", "error", "high", "major"]) {
            Self::Critical
        } else if is(&["warning", "warn", "medium", "minor"]) {
            Self::Warning
        } else if is(&["info", "information", "informational", "low"]) {
            Self::Info
        } else {
            Self::None
        }
    }

    /// Name in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What an alert is about. It names texts: whoever stores one must [`Subject::hold`] them.
#[derive(Clone, Copy, PartialEq, Debug, BorshDeserialize, BorshSerialize)]
pub(crate) struct Subject {
    pub(crate) entity: Entity,
    /// On an edge alert, who calls.
    pub(crate) caller: Option<Entity>,
    /// What stands for the fallback labels of an alert outside the graph.
    pub(crate) fallback: Option<Entity>,
    pub(crate) kind: Kind,
    pub(crate) severity: Severity,
    /// The alert's name.
    pub(crate) rule: Symbol,
    pub(crate) metric: Option<Symbol>,
    /// The mapping rule that gave the entity; `None` when no rule did.
    pub(crate) mapped_by: Option<Symbol>,
}

impl Subject {
    /// Reads a subject from an alert's labels. All its texts are held once.
    pub(crate) fn of(
        labels: Labels<'_>,
        policy: &Policy,
        topology: &Topology,
        symbols: &mut Symbols,
    ) -> Self {
        let roles = &policy.spec.labels;
        let alertname = labels.get("alertname").unwrap_or_default();
        let metric = labels.get(&roles.metric);
        let caller = roles.caller.iter().find_map(|label| labels.get(label));
        let named = policy.spec.kinds.classify(alertname, metric);
        // An edge alert that does not say which caller is a plain latency alert.
        let kind = if named == Kind::Edge && caller.is_none() { Kind::Latency } else { named };
        let mapped = policy.mapping.entity(labels);
        let entity = match &mapped {
            Some(mapped) => entity_of(&mapped.entity, topology, symbols),
            None => Entity::outside(symbols.hold(&format!("alert/{alertname}"))),
        };
        let caller =
            caller.filter(|_| kind == Kind::Edge).map(|name| entity_of(name, topology, symbols));
        let in_graph = entity.node().is_some_and(|node| topology.is_live(node));
        let fallback = if in_graph { None } else { fallback(labels, &roles.fallback) };
        Self {
            entity,
            caller,
            fallback: fallback.map(|text| Entity::outside(symbols.hold(&text))),
            kind,
            severity: Severity::of(labels.get(&roles.severity).unwrap_or_default()),
            rule: symbols.hold(alertname),
            metric: metric.map(|text| symbols.hold(text)),
            mapped_by: mapped.map(|mapped| symbols.hold(mapped.rule)),
        }
    }

    /// The entities it names.
    pub(crate) fn entities(&self) -> impl Iterator<Item = Entity> {
        [Some(self.entity), self.caller, self.fallback].into_iter().flatten()
    }

    /// The same, with the entities that are outside the graph and that it has by now. Their texts
    /// are no longer named.
    pub(crate) fn within(&self, topology: &Topology, symbols: &Symbols) -> Self {
        let within = |entity: Entity| entity.within(topology, symbols);
        Self { entity: within(self.entity), caller: self.caller.map(within), ..*self }
    }

    /// The texts it names.
    pub(crate) fn symbols(&self) -> impl Iterator<Item = Symbol> {
        let others = [Some(self.rule), self.metric, self.mapped_by];
        self.entities().filter_map(Entity::symbol).chain(others.into_iter().flatten())
    }

    /// Holds all its texts once more.
    pub(crate) fn hold(&self, symbols: &mut Symbols) {
        self.symbols().for_each(|symbol| symbols.hold_again(symbol));
    }

    /// Lets all its texts go.
    pub(crate) fn release(&self, symbols: &mut Symbols) {
        self.symbols().for_each(|symbol| symbols.release(symbol));
    }
}

fn entity_of(name: &str, topology: &Topology, symbols: &mut Symbols) -> Entity {
    match topology.find(name) {
        Some(node) => Entity::inside(node),
        None => Entity::outside(symbols.hold(name)),
    }
}

/// One text for the values of all fallback labels, when every one of them is set.
fn fallback(labels: Labels<'_>, names: &[String]) -> Option<String> {
    if names.is_empty() {
        return None;
    }
    let values: Option<Vec<String>> =
        names.iter().map(|name| Some(format!("{name}={}", labels.get(name)?))).collect();
    values.map(|values| format!("{{{}}}", values.join(",")))
}
