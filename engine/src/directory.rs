//! Finds an entity of the graph by what an alert calls it: by its exact name, by another spelling,
//! or by the workload that a pod belongs to. What could be two entities is none of them.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::entity::{EntityKind, EntityName};
use crate::mapping::workload_of_pod;
use crate::topology::{Node, Topology};

/// How the entity of an alert was found.
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
pub enum Found {
    /// It has exactly this name, or less is known of where it is.
    Exact,
    /// It has this name, written otherwise: upper case, separators, a suffix.
    Folded,
    /// It is the workload that the graph gives for the pod, or the service that the alert names
    /// beside a pod that is not in the graph.
    Owner,
    /// It is the workload that the name of the pod tells of: a guess.
    GuessedOwner,
    /// Several entities could be meant: it was mapped to the namespace, if that is known.
    Ambiguous,
    /// It is not in the graph.
    #[default]
    Outside,
}

impl Found {
    /// Name in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Folded => "folded",
            Self::Owner => "owner",
            Self::GuessedOwner => "guessed_owner",
            Self::Ambiguous => "ambiguous",
            Self::Outside => "outside",
        }
    }
}

/// Where a name leads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Lookup {
    /// The entity, if it is in the graph.
    pub(crate) node: Option<Node>,
    /// What it is called; that of the workload instead of the pod's where that is guessed.
    pub(crate) name: EntityName,
    pub(crate) found: Found,
}

/// All names of a graph by their plainest spelling.
#[derive(Clone, Debug, Default)]
pub(crate) struct Directory {
    /// Sorted by key.
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    /// The name, folded and without suffix.
    key: Box<str>,
    node: Node,
}

/// How well two names agree, best first.
const LEVELS: [fn(&str, &str) -> bool; 3] =
    [|a, b| a == b, |a, b| fold(a) == fold(b), |a, b| key_of(a) == key_of(b)];

/// Ends of names that do not tell two services apart.
const SUFFIXES: [&str; 2] = ["-service", "-svc"];

/// What one might call one thing in two ways: a service and what it is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Class {
    Service,
    Workload,
    Other(EntityKind),
}

const fn class_of(kind: EntityKind) -> Class {
    match kind {
        EntityKind::Service | EntityKind::Database | EntityKind::Queue | EntityKind::External => {
            Class::Service
        }
        EntityKind::Workload => Class::Workload,
        other => Class::Other(other),
    }
}

impl Directory {
    pub(crate) fn new(topology: &Topology) -> Self {
        let entry = |node| {
            let key = key_of(&EntityName::parse(topology.name(node)).name).into_boxed_str();
            Entry { key, node }
        };
        let mut entries: Vec<Entry> = topology.living().map(entry).collect();
        entries.sort_unstable_by(|a, b| (&a.key, a.node).cmp(&(&b.key, b.node)));
        Self { entries }
    }

    /// Bytes held, without those of names.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }

    /// Finds an entity. A pod that is not in the graph is looked for as its workload.
    pub(crate) fn find(&self, topology: &Topology, name: &EntityName) -> Lookup {
        match self.find_itself(topology, name) {
            Ok(Some((node, found))) => Lookup { node: Some(node), name: name.clone(), found },
            Err(Several) => Self::in_namespace(topology, name),
            Ok(None) => self.find_owner(topology, name),
        }
    }

    fn find_owner(&self, topology: &Topology, name: &EntityName) -> Lookup {
        let outside = || Lookup { node: None, name: name.clone(), found: Found::Outside };
        if name.kind != EntityKind::Pod {
            return outside();
        }
        let Some(workload) = workload_of_pod(&name.name) else { return outside() };
        let owner = EntityName {
            kind: EntityKind::Workload,
            scope: name.scope.clone(),
            name: workload.to_owned(),
        };
        match self.find_itself(topology, &owner) {
            Ok(found) => {
                let node = found.map(|(node, _)| node);
                Lookup { node, name: owner, found: Found::GuessedOwner }
            }
            Err(Several) => Self::in_namespace(topology, &owner),
        }
    }

    /// The namespace of something that cannot be told apart from something else.
    fn in_namespace(topology: &Topology, name: &EntityName) -> Lookup {
        let found = Found::Ambiguous;
        let Some(namespace) = name.namespace() else {
            return Lookup { node: None, name: name.clone(), found };
        };
        let scope = name.scope.rsplit_once('/').map_or("", |(scope, _)| scope).to_owned();
        let kind = EntityKind::Namespace;
        let name = EntityName { kind, scope, name: namespace.to_owned() };
        let node = topology.find(&name.to_string());
        Lookup { node, name, found }
    }

    fn find_itself(
        &self,
        topology: &Topology,
        name: &EntityName,
    ) -> Result<Option<(Node, Found)>, Several> {
        if let Some(node) = exactly(topology, name) {
            return Ok(Some((node, Found::Exact)));
        }
        let wanted = class_of(name.kind);
        // A service may be known as the workload that it runs on, and the other way round.
        let other = match wanted {
            Class::Service => Some(Class::Workload),
            Class::Workload => Some(Class::Service),
            Class::Other(_) => None,
        };
        let (scope, plain) = service_address(name);
        for class in [Some(wanted), other].into_iter().flatten() {
            if let Some(found) = self.find_in(topology, class, scope, plain)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn find_in(
        &self,
        topology: &Topology,
        class: Class,
        scope: &str,
        name: &str,
    ) -> Result<Option<(Node, Found)>, Several> {
        let key = key_of(name);
        let start = self.entries.partition_point(|entry| *entry.key < *key);
        let known: Vec<(Node, EntityName)> = self.entries[start..]
            .iter()
            .take_while(|entry| *entry.key == *key)
            .map(|entry| (entry.node, EntityName::parse(topology.name(entry.node))))
            .filter(|(node, _)| class_of(topology.kind(*node)) == class)
            .collect();
        for (level, agree) in LEVELS.into_iter().enumerate() {
            let named = || known.iter().filter(|(_, other)| agree(name, &other.name));
            let mut here = named().filter(|(_, other)| other.scope == scope);
            let mut near = named().filter(|(_, other)| may_be_one_place(&other.scope, scope));
            let found = match (here.next(), here.next()) {
                (Some(only), None) => only,
                (Some(_), Some(_)) => return Err(Several),
                (None, _) => match (near.next(), near.next()) {
                    (Some(only), None) => only,
                    (Some(_), Some(_)) => return Err(Several),
                    (None, _) => continue,
                },
            };
            return Ok(Some((found.0, if level == 0 { Found::Exact } else { Found::Folded })));
        }
        Ok(None)
    }
}

/// Several entities could be meant.
struct Several;

/// The entity with exactly this name, with as much of the scope as the graph tells.
fn exactly(topology: &Topology, name: &EntityName) -> Option<Node> {
    if let Some(node) = topology.find(&name.to_string()) {
        return Some(node);
    }
    let is_service = class_of(name.kind) == Class::Service;
    let mut scope = name.scope.as_str();
    loop {
        let slash = if scope.is_empty() { "" } else { "/" };
        let typed = format!("{}/{scope}{slash}{}", name.kind, name.name);
        let plain = format!("{scope}{slash}{}", name.name);
        let plain = topology.find(&plain);
        // What a source gives no kind may be anything.
        let plain = plain.filter(|&node| is_service || topology.kind(node) == EntityKind::Service);
        if let Some(node) = topology.find(&typed).or(plain) {
            return Some(node);
        }
        if scope.is_empty() {
            return None;
        }
        scope = scope.split_once('/').map_or("", |(_, rest)| rest);
    }
}

/// Whether two scopes may be one: one is the end of the other, as far as both are known.
fn may_be_one_place(a: &str, b: &str) -> bool {
    let parts = |scope: &'_ str| -> Vec<String> {
        scope.rsplit('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let (a, b) = (parts(a), parts(b));
    a.iter().zip(&b).all(|(a, b)| a == b || a == "-" || b == "-")
}

/// Scope and name of a service; of `orders.shop.svc.cluster.local` they are `shop` and `orders`.
fn service_address(name: &EntityName) -> (&str, &str) {
    let plain = (name.scope.as_str(), name.name.as_str());
    if class_of(name.kind) != Class::Service {
        return plain;
    }
    let Some((before, after)) = name.name.split_once(".svc") else { return plain };
    match before.split_once('.') {
        Some((service, namespace))
            if (after.is_empty() || after.starts_with('.')) && !namespace.contains('.') =>
        {
            (namespace, service)
        }
        _ => plain,
    }
}

/// The plainest spelling of a name: folded, and without an end that says nothing.
fn key_of(name: &str) -> String {
    let mut key = fold(name);
    if let Some(rest) = SUFFIXES.iter().find_map(|suffix| key.strip_suffix(suffix))
        && !rest.is_empty()
    {
        key.truncate(rest.len());
    }
    key
}

/// A name in lower case, with one sort of separator.
fn fold(name: &str) -> String {
    let separator = |c: char| matches!(c, '_' | '.' | ' ' | ':');
    name.chars().map(|c| if separator(c) { '-' } else { c }).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::TopologyBuilder;

    fn look(names: &[&str], wanted: &str) -> (String, Found) {
        let mut builder = TopologyBuilder::new();
        names.iter().for_each(|name| builder.node(name));
        let (topology, _) = builder.build();
        let found = topology.look_up(&EntityName::parse(wanted));
        let name = found
            .node
            .map_or_else(|| format!("({})", found.name), |node| topology.name(node).to_owned());
        (name, found.found)
    }

    #[test]
    fn names_are_found_in_every_spelling() {
        let graph = [
            "orders",
            "service/shop/cart",
            "service/east/shop/pay_api",
            "workload/shop/mailer",
            "database/pg",
            "node/w1",
            "pod/shop/cart-0",
            "ticket-svc",
        ];
        for (wanted, name, found) in [
            ("orders", "orders", Found::Exact),
            ("service/shop/orders", "orders", Found::Exact),
            ("service/east/shop/orders", "orders", Found::Exact),
            ("workload/shop/orders", "orders", Found::Exact),
            ("Orders", "orders", Found::Folded),
            ("orders-service", "orders", Found::Folded),
            ("service/shop/Orders_SVC", "orders", Found::Folded),
            ("ticket", "ticket-svc", Found::Folded),
            ("cart", "service/shop/cart", Found::Exact),
            ("service/east/shop/cart", "service/shop/cart", Found::Exact),
            ("service/other/cart", "(service/other/cart)", Found::Outside),
            ("cart.shop.svc.cluster.local", "service/shop/cart", Found::Exact),
            ("cart.other.svc", "(cart.other.svc)", Found::Outside),
            ("pay-api", "service/east/shop/pay_api", Found::Folded),
            ("service/west/shop/pay-api", "(service/west/shop/pay-api)", Found::Outside),
            ("service/east/-/pay_api", "service/east/shop/pay_api", Found::Exact),
            ("mailer", "workload/shop/mailer", Found::Exact),
            ("pg", "database/pg", Found::Exact),
            ("node/W1", "node/w1", Found::Folded),
            ("node/w2", "(node/w2)", Found::Outside),
            ("pod/shop/cart-0", "pod/shop/cart-0", Found::Exact),
            ("pod/shop/orders-9b649846d-bxqfc", "orders", Found::GuessedOwner),
            ("pod/shop/new-9b649846d-bxqfc", "(workload/shop/new)", Found::GuessedOwner),
            ("pod/shop/bare", "(pod/shop/bare)", Found::Outside),
        ] {
            assert_eq!(look(&graph, wanted), (name.to_owned(), found), "{wanted}");
        }
    }

    #[test]
    fn what_may_be_two_entities_is_neither() {
        let graph = ["service/a/api", "service/b/api", "Log", "log", "namespace/shop"];
        for (wanted, name) in [
            ("api", "(api)"),
            ("LOG", "(LOG)"),
            ("service/shop/LOG", "namespace/shop"),
            ("service/other/LOG", "(namespace/other)"),
        ] {
            assert_eq!(look(&graph, wanted), (name.to_owned(), Found::Ambiguous), "{wanted}");
        }
        for exact in ["service/a/api", "Log", "log"] {
            assert_eq!(look(&graph, exact), (exact.to_owned(), Found::Exact));
        }
        assert_eq!(look(&graph, "service/c/api").1, Found::Outside);
    }
}
