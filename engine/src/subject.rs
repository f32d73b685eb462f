//! What an alert is about: its entity, and what its labels say for grouping and ranking.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::directory::Found;
use crate::entity::{EntityKind, EntityName};
use crate::kind::Kind;
use crate::label::Labels;
use crate::mapping::{Action, Mapped};
use crate::model::Entity;
use crate::policy::Policy;
use crate::symbol::{Symbol, Symbols};
use crate::topology::{Node, Topology};

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
    /// How the entity was found by that name.
    pub(crate) found: Found,
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
        let mapped = policy.mapping.entity(labels);
        let kind = kind_of(mapped.as_ref(), policy.spec.kinds.classify(alertname, metric));
        // An edge alert that does not say which caller is a plain latency alert.
        let kind = if kind == Kind::Edge && caller.is_none() { Kind::Latency } else { kind };
        let named = mapped.as_ref().filter(|mapped| mapped.action.has_entity());
        let (entity, found) = match named {
            Some(mapped) => {
                let found = topology.look_up_mapped(mapped);
                match found.node {
                    Some(node) => speaker(topology, node, kind, found.found),
                    None => (Entity::outside(symbols.hold(&found.name.to_string())), found.found),
                }
            }
            None => {
                let name = format!("alert/{alertname}");
                (Entity::outside(symbols.hold(&name)), Found::Outside)
            }
        };
        let caller = caller.filter(|_| kind == Kind::Edge).map(|name| {
            let scope = named.map(|mapped| mapped.entity.scope.clone()).unwrap_or_default();
            let called = EntityName { kind: EntityKind::Service, scope, name: name.to_owned() };
            match topology.look_up(&called).node {
                Some(node) => Entity::inside(node),
                None => Entity::outside(symbols.hold(name)),
            }
        });
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
            found,
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

/// What sort of trouble it is: by the mapping where that says so, else by its name.
fn kind_of(mapped: Option<&Mapped<'_>>, named: Kind) -> Kind {
    match mapped.map(|mapped| mapped.action) {
        Some(Action::Blind) => Kind::Blind,
        Some(Action::Heartbeat | Action::Drop) => Kind::Meta,
        Some(Action::Map) | None => named,
    }
}

/// Who speaks by an alert at `node`. That requests fail or are slow is said of the service, which
/// calls others, where it is measured at a pod or workload of one.
fn speaker(topology: &Topology, node: Node, kind: Kind, found: Found) -> (Entity, Found) {
    if !kind.is_symptom() {
        return (Entity::inside(node), found);
    }
    let mut speaker = node;
    loop {
        let above: &[EntityKind] = match topology.kind(speaker) {
            EntityKind::Pod => &[EntityKind::Workload, EntityKind::Service],
            EntityKind::Workload => &[EntityKind::Service],
            _ => &[],
        };
        let runs = |kind: &&EntityKind| {
            let mut owners =
                topology.dependents(speaker).iter().filter(|&&at| topology.kind(at) == **kind);
            owners.next().filter(|_| owners.next().is_none()).copied()
        };
        match above.iter().find_map(|kind| runs(&kind)) {
            Some(owner) => speaker = owner,
            None => break,
        }
    }
    (Entity::inside(speaker), if speaker == node { found } else { Found::Owner })
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
