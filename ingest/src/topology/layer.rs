//! What one source tells: typed entities and dependencies, under their full names.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use hypocenter_engine::{EdgeKind, EntityKind, Topology};

/// The full name of an entity.
pub type Name = Arc<str>;

/// Longest name of an entity, in bytes; a longer one is no name.
pub const NAME_BYTES_MAX: usize = 512;
/// Most edges of one layer.
pub const EDGES_MAX: usize = 5_000_000;

/// Where names of a source hold that do not say so themselves.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Places {
    /// The cluster before all names; empty for none.
    pub cluster: String,
    /// The namespace of names without one; empty for none.
    pub namespace: String,
    /// Whether clusters that the source names are part of the names.
    pub clusters: bool,
}

/// What one source tells.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Layer {
    /// Entities by full name, with their kinds.
    pub entities: BTreeMap<Name, EntityKind>,
    /// Dependencies: who depends on what, and for what.
    pub edges: BTreeMap<(Name, Name), EdgeKind>,
    /// What was left out.
    pub skipped: Skipped,
}

/// What a source told that is no part of a graph, by reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Skipped {
    /// Edges of placeholders such as `user`, `unknown` or `*`: whoever they stand for, they are
    /// many.
    pub placeholders: usize,
    /// Edges from an entity to itself.
    pub loops: usize,
    /// Edges told again.
    pub duplicates: usize,
    /// Edges without traffic: zero, negative, or no number.
    pub idle: usize,
    /// Answers to requests, which are no dependency the other way round.
    pub replies: usize,
    /// Names that are none: too long, or with control characters; and what lacks its names.
    pub unreadable: usize,
}

impl Layer {
    /// The layer of a graph.
    #[must_use]
    pub fn of(topology: &Topology) -> Self {
        let mut layer = Self::default();
        let mut names: BTreeMap<&str, Name> = BTreeMap::new();
        for (name, kind) in topology.entities() {
            let shared = Name::from(name);
            names.insert(name, Name::clone(&shared));
            layer.entities.insert(shared, kind);
        }
        for (from, to, kind) in topology.all_edges() {
            let [from, to] = [from, to].map(|name| Name::clone(&names[name]));
            layer.edges.insert((from, to), kind);
        }
        layer
    }
}

impl Skipped {
    /// Each reason with its count.
    #[must_use]
    pub fn by_reason(&self) -> [(&'static str, usize); 6] {
        [
            ("placeholder", self.placeholders),
            ("loop", self.loops),
            ("duplicate", self.duplicates),
            ("idle", self.idle),
            ("reply", self.replies),
            ("unreadable", self.unreadable),
        ]
    }

    /// How much was left out for all reasons.
    #[must_use]
    pub fn all(&self) -> usize {
        self.by_reason().iter().map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told: Vec<String> = self
            .by_reason()
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(reason, count)| format!("{count} {reason}"))
            .collect();
        f.write_str(&told.join(", "))
    }
}

/// Whether a name stands for whoever it is, and for no entity.
#[must_use]
pub fn is_placeholder(name: &str) -> bool {
    const PLACEHOLDERS: [&str; 13] = [
        "",
        "-",
        "*",
        "user",
        "unknown",
        "unknown_service",
        "none",
        "null",
        "<nil>",
        "<none>",
        "passthroughcluster",
        "blackholecluster",
        "inboundpassthroughcluster",
    ];
    let name = name.trim();
    let folded = name.to_ascii_lowercase();
    PLACEHOLDERS.contains(&&*folded)
        || name.contains('*')
        || folded.starts_with("unknown_service:")
        || folded.starts_with("inboundpassthroughcluster")
}

/// An entity of a draft.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Id(u32);

/// A layer that is being read. What others call (services, databases, queues, what is outside) has
/// one name, whatever kind of thing a line takes it for; the kind is settled in the end.
#[derive(Debug, Default)]
pub(super) struct Draft {
    ids: BTreeMap<(Option<EntityKind>, String, String), Id>,
    entities: Vec<(String, String, Option<EntityKind>)>,
    edges: BTreeMap<(Id, Id), EdgeKind>,
    pub(super) skipped: Skipped,
    places: Places,
}

impl Draft {
    pub(super) fn new(places: &Places) -> Self {
        Self { places: places.clone(), ..Self::default() }
    }

    /// Something that is called: a service unless something says that it is another kind of thing.
    pub(super) fn peer(
        &mut self,
        (cluster, namespace): (&str, &str),
        name: &str,
        kind: Option<EntityKind>,
    ) -> Option<Id> {
        let id = self.id(None, (cluster, namespace), name)?;
        let known = &mut self.entities[id.0 as usize].2;
        *known = settle(*known, kind);
        Some(id)
    }

    /// Something of a kind that has names of its own, such as a pod or a machine.
    pub(super) fn thing(
        &mut self,
        kind: EntityKind,
        (cluster, namespace): (&str, &str),
        name: &str,
    ) -> Option<Id> {
        self.id(Some(kind), (cluster, namespace), name)
    }

    fn id(
        &mut self,
        kind: Option<EntityKind>,
        (cluster, namespace): (&str, &str),
        name: &str,
    ) -> Option<Id> {
        let (name, namespace) = (name.trim(), namespace.trim());
        if is_placeholder(name) {
            return None;
        }
        let is_name =
            |text: &str| text.len() <= NAME_BYTES_MAX && !text.chars().any(char::is_control);
        if !is_name(name) || !is_name(namespace) || !is_name(cluster) {
            self.skipped.unreadable += 1;
            return None;
        }
        let told =
            Some(cluster.trim()).filter(|cluster| self.places.clusters && !is_placeholder(cluster));
        let cluster = told.unwrap_or(&self.places.cluster);
        let is_wide = matches!(
            kind,
            Some(EntityKind::Node | EntityKind::Zone | EntityKind::Cluster | EntityKind::Namespace)
        );
        let namespace = match namespace {
            _ if is_wide => "",
            namespace if is_placeholder(namespace) => &*self.places.namespace,
            namespace => namespace,
        };
        let scope: Vec<&str> = [cluster, namespace].into_iter().filter(|p| !p.is_empty()).collect();
        let (scope, name) = (scope.join("/"), name.to_owned());
        let next = Id(self.entities.len() as u32);
        let id = *self.ids.entry((kind, scope.clone(), name.clone())).or_insert(next);
        if id == next {
            self.entities.push((scope, name, kind));
        }
        Some(id)
    }

    /// A dependency between two ends that were asked for; an end that is nothing is counted.
    pub(super) fn edge(&mut self, from: Option<Id>, to: Option<Id>, kind: EdgeKind) {
        let (Some(from), Some(to)) = (from, to) else {
            self.skipped.placeholders += 1;
            return;
        };
        if from == to {
            self.skipped.loops += 1;
        } else if let Some(known) = self.edges.get_mut(&(from, to)) {
            self.skipped.duplicates += 1;
            *known = (*known).max(kind);
        } else {
            self.edges.insert((from, to), kind);
        }
    }

    pub(super) fn finish(self) -> Layer {
        let kinds: Vec<EntityKind> =
            self.entities.iter().map(|(.., kind)| kind.unwrap_or_default()).collect();
        let names: Vec<Name> = self
            .entities
            .iter()
            .zip(&kinds)
            .map(|((scope, name, _), &kind)| Name::from(full_name(kind, scope, name)))
            .collect();
        let mut skipped = self.skipped;
        let mut edges = BTreeMap::new();
        for ((from, to), kind) in self.edges {
            let key = (names[from.0 as usize].clone(), names[to.0 as usize].clone());
            skipped.duplicates += usize::from(edges.insert(key, kind).is_some());
        }
        Layer { entities: names.into_iter().zip(kinds).collect(), edges, skipped }
    }
}

/// Of two opinions on what something is: what is known to be outside is only so if nothing else is
/// known, and a service only if it is nothing more special.
pub(super) fn settle(a: Option<EntityKind>, b: Option<EntityKind>) -> Option<EntityKind> {
    let rank = |kind: &EntityKind| match kind {
        EntityKind::External => 0,
        EntityKind::Service => 1,
        _ => 2,
    };
    match (a, b) {
        (Some(a), Some(b)) if rank(&a) == rank(&b) => Some(a.min(b)),
        (Some(a), Some(b)) => Some(if rank(&a) > rank(&b) { a } else { b }),
        (a, b) => a.or(b),
    }
}

/// The full name of an entity. That of a service without scope is its plain name.
pub(super) fn full_name(kind: EntityKind, scope: &str, name: &str) -> String {
    let is_plain = kind == EntityKind::Service && EntityKind::prefix(name).is_none();
    match (scope, is_plain) {
        ("", true) => name.to_owned(),
        ("", false) => format!("{}/{name}", kind.name()),
        (scope, _) => format!("{}/{scope}/{name}", kind.name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_one_name_and_the_most_special_kind_told() {
        let mut draft = Draft::new(&Places { namespace: "shop".to_owned(), ..Places::default() });
        let a = draft.peer(("", ""), "a", None);
        let db = draft.peer(("east", ""), "db", Some(EntityKind::Database));
        let again = draft.peer(("", "shop"), " db ", Some(EntityKind::External));
        let node = draft.thing(EntityKind::Node, ("", "shop"), "w1");
        assert_eq!(db, again);
        for (to, kind) in [(db, EdgeKind::Calls), (db, EdgeKind::StoresIn), (a, EdgeKind::Calls)] {
            draft.edge(a, to, kind);
        }
        draft.edge(a, node, EdgeKind::RunsOn);
        let unknown = draft.peer(("", ""), "Unknown", None);
        draft.edge(unknown, a, EdgeKind::Calls);
        assert_eq!(draft.peer(("", ""), "a\nb", None), None);
        let layer = draft.finish();
        let names: Vec<&str> = layer.entities.keys().map(|name| &**name).collect();
        assert_eq!(names, ["database/shop/db", "node/w1", "service/shop/a"]);
        let stores = (Name::from("service/shop/a"), Name::from("database/shop/db"));
        assert_eq!(layer.edges.get(&stores), Some(&EdgeKind::StoresIn));
        assert_eq!(layer.skipped.to_string(), "1 placeholder, 1 loop, 1 duplicate, 1 unreadable");
    }
}
