//! The dependency graph: built and validated, then frozen into compact arrays.
//!
//! A [`Topology`] is an immutable snapshot with a version hash. Entities have numbers, which they
//! keep in the graphs that come after; the order of everything is that of names.

mod builder;
mod kinds;
mod parts;

use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};

pub use builder::{TopologyBuilder, TopologyReport};
pub use kinds::EdgeKind;
use parts::{Adjacency, Parts};

use crate::directory::{Directory, Found, Lookup};
use crate::entity::{EntityKind, EntityName};
use crate::mapping::Mapped;

/// Number of an entity, in one graph and those that come after it.
pub(crate) type Node = u32;

/// The birth of an entity that is gone.
const GONE: u32 = u32::MAX;

/// Graphs before this one that are known by their ids.
const LINEAGE_MAX: usize = 16;

/// An immutable dependency graph. Clones share it.
#[derive(Clone, Debug, Default, BorshDeserialize, BorshSerialize)]
pub struct Topology {
    /// By number, those that are gone included.
    names: Arc<[Arc<str>]>,
    kinds: Arc<[EntityKind]>,
    /// In which graph since the first an entity came, or [`GONE`].
    births: Arc<[u32]>,
    /// All numbers in the order of names.
    by_name: Arc<[Node]>,
    live: u32,
    dependencies: Arc<Adjacency>,
    /// Side by side with the targets of `dependencies`.
    edge_kinds: Arc<[EdgeKind]>,
    dependents: Arc<Adjacency>,
    parts: Arc<Parts>,
    /// How many graphs came before.
    generation: u32,
    /// Ids of this graph and of those before it, this one last.
    lineage: Vec<u64>,
    version: u64,
    /// Made of the rest.
    #[borsh(skip)]
    directory: Arc<Directory>,
}

impl Topology {
    /// A graph without entities: alerts are grouped by their entity alone.
    #[must_use]
    pub fn empty() -> Self {
        TopologyBuilder::new().build().0
    }

    /// How many entities it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live as usize
    }

    /// Whether it has no entity.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// How many entities are gone, and remembered because something may still speak of them.
    #[must_use]
    pub fn gone(&self) -> usize {
        self.names.len() - self.len()
    }

    /// How many dependencies it has.
    #[must_use]
    pub fn edges(&self) -> usize {
        self.dependencies.len()
    }

    /// Hash of names, edges and kinds: equal for equal graphs, however they were written down and
    /// whatever came before.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether it was built after `other`, at once or with a few between.
    #[must_use]
    pub fn comes_after(&self, other: &Self) -> bool {
        other.lineage.last().is_some_and(|id| self.lineage.contains(id))
    }

    /// All entities with their kinds, in the order of names.
    pub fn entities(&self) -> impl Iterator<Item = (&str, EntityKind)> {
        self.living().map(|node| (self.name(node), self.kind(node)))
    }

    /// Names of all entities, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.living().map(|node| self.name(node))
    }

    /// All dependencies: who depends, on what, for what; in the order of names.
    pub fn all_edges(&self) -> impl Iterator<Item = (&str, &str, EdgeKind)> {
        self.living().flat_map(move |from| {
            let range = self.dependencies.range(from);
            let ends = self.dependencies(from).iter().zip(&self.edge_kinds[range]);
            ends.map(move |(&to, &kind)| (self.name(from), self.name(to), kind))
        })
    }

    /// What an entity is; `None` for a name that is not in the graph.
    #[must_use]
    pub fn kind_of(&self, name: &str) -> Option<EntityKind> {
        self.find(name).filter(|&node| self.is_live(node)).map(|node| self.kind(node))
    }

    /// Whether an entity is in the graph.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.kind_of(name).is_some()
    }

    /// Bytes held, without those of names.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let per_node = size_of::<Arc<str>>() + size_of::<EntityKind>() + 4 * size_of::<u32>();
        self.names.len() * per_node
            + self.dependencies.bytes()
            + self.dependents.bytes()
            + self.edge_kinds.len()
            + self.directory.bytes()
    }

    /// Whether its parts agree: it may have come from a file.
    pub(crate) fn is_sound(&self) -> bool {
        let nodes = self.names.len();
        let name = |&node: &Node| self.names.get(node as usize);
        self.kinds.len() == nodes
            && self.births.len() == nodes
            && self.by_name.len() == nodes
            && self.by_name.iter().all(|node| name(node).is_some())
            && self.by_name.is_sorted_by(|a, b| name(a) < name(b))
            && self.births.iter().filter(|&&birth| birth != GONE).count() == self.len()
            && self.dependencies.is_sound(nodes)
            && self.dependents.is_sound(nodes)
            && self.edge_kinds.len() == self.edges()
            && self.parts.is_sound(nodes)
    }

    /// Whether it is the same graph, built after the same ones.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.lineage.last() == other.lineage.last()
    }

    /// Numbers in use, those of entities that are gone included.
    pub(crate) fn numbers(&self) -> usize {
        self.names.len()
    }

    /// The same graph, ready for names to be looked up: what was read from bytes is not.
    pub(crate) fn with_directory(self) -> Self {
        Self { directory: Arc::new(Directory::new(&self)), ..self }
    }

    /// The entity that an alert with this name would be about, by its full name, and how it is
    /// found. A name that is not in the graph is the entity's own.
    #[must_use]
    pub fn resolve(&self, name: &EntityName) -> (String, Found) {
        self.told(self.look_up(name))
    }

    /// The same for a whole alert: instead of a pod that is not in the graph it may be about the
    /// service that it names beside it.
    #[must_use]
    pub fn place(&self, mapped: &Mapped<'_>) -> (String, Found) {
        self.told(self.look_up_mapped(mapped))
    }

    fn told(&self, Lookup { node, name, found }: Lookup) -> (String, Found) {
        (node.map_or_else(|| name.to_string(), |node| self.name(node).to_owned()), found)
    }

    /// Finds the entity that an alert is about: instead of a pod that is not in the graph, the
    /// service that the alert names beside it.
    pub(crate) fn look_up_mapped(&self, mapped: &Mapped<'_>) -> Lookup {
        let found = self.look_up(&mapped.entity);
        let service = mapped.service.as_ref().filter(|_| found.node.is_none());
        match service.map(|service| self.look_up(service)) {
            Some(owner) if owner.node.is_some() => Lookup { found: Found::Owner, ..owner },
            _ => found,
        }
    }

    /// Finds an entity by what an alert calls it.
    pub(crate) fn look_up(&self, name: &EntityName) -> Lookup {
        self.directory.find(self, name)
    }

    /// The number of a name, also of one that is gone.
    pub(crate) fn find(&self, name: &str) -> Option<Node> {
        let found = self.by_name.binary_search_by(|&node| (*self.names[node as usize]).cmp(name));
        found.ok().map(|at| self.by_name[at])
    }

    /// Whether an entity is in this graph, and not only in one before it.
    pub(crate) fn is_live(&self, node: Node) -> bool {
        self.births.get(node as usize).is_some_and(|&birth| birth != GONE)
    }

    pub(crate) fn name(&self, node: Node) -> &str {
        &self.names[node as usize]
    }

    /// What an entity is, or was.
    pub(crate) fn kind(&self, node: Node) -> EntityKind {
        self.kinds[node as usize]
    }

    /// The connected part of the graph that `node` is in, and how many entities that has; `None`
    /// for one that is gone.
    pub(crate) fn part(&self, node: Node) -> Option<(u64, u32)> {
        self.parts.of(node)
    }

    /// What `node` depends on, in the order of names.
    pub(crate) fn dependencies(&self, node: Node) -> &[Node] {
        self.dependencies.of(node)
    }

    /// What `node` depends on, and for what.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the layers of the ranking"))]
    pub(crate) fn needs(&self, node: Node) -> impl Iterator<Item = (Node, EdgeKind)> + '_ {
        let kinds = &self.edge_kinds[self.dependencies.range(node)];
        self.dependencies(node).iter().copied().zip(kinds.iter().copied())
    }

    /// What depends on `node`, in the order of names.
    pub(crate) fn dependents(&self, node: Node) -> &[Node] {
        self.dependents.of(node)
    }

    /// All entities, in the order of names.
    pub(crate) fn living(&self) -> impl Iterator<Item = Node> + '_ {
        self.by_name.iter().copied().filter(|&node| self.is_live(node))
    }
}

#[cfg(test)]
mod tests;
