//! The dependency graph: built and validated with petgraph, then frozen into compact arrays.
//!
//! A [`Topology`] is an immutable snapshot with a version hash. Entities are numbered in the order
//! of their names, so that comparing numbers compares names.

use std::collections::BTreeMap;

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::unionfind::UnionFind;

use crate::entity::EntityKind;
use crate::hash::Fnv;

/// Number of an entity in one topology: its rank in the order of names.
pub(crate) type Node = u32;

/// Collects nodes and edges, whatever their faults; [`TopologyBuilder::build`] reports those.
#[derive(Debug, Default)]
pub struct TopologyBuilder {
    graph: DiGraph<String, ()>,
    by_name: BTreeMap<String, NodeIndex>,
    declared: bool,
    report: TopologyReport,
}

/// What was wrong with a topology, and what was done about it. Nothing here is fatal.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TopologyReport {
    /// Nodes declared more than once: declared once.
    pub duplicate_nodes: Vec<String>,
    /// Edges given more than once: kept once.
    pub duplicate_edges: Vec<(String, String)>,
    /// Entities that depend on themselves: the edge is dropped.
    pub self_loops: Vec<String>,
    /// Names used by an edge but not declared, where nodes are declared: added.
    pub undeclared: Vec<String>,
    /// Sets of entities that depend on each other in a circle: kept, walks end at the first repeat.
    pub cycles: Vec<Vec<String>>,
    /// Edges or nodes with an empty name: dropped, counted.
    pub empty_names: usize,
}

impl TopologyReport {
    /// Whether there is nothing to report.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }
}

impl TopologyBuilder {
    /// An empty graph.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares an entity.
    pub fn node(&mut self, name: &str) {
        self.declared = true;
        if name.is_empty() {
            self.report.empty_names += 1;
        } else if self.by_name.contains_key(name) {
            self.report.duplicate_nodes.push(name.to_owned());
        } else {
            self.add(name);
        }
    }

    /// Adds a dependency: `from` depends on `to`. Declare all nodes first: a name that is not
    /// declared by then is reported.
    pub fn edge(&mut self, from: &str, to: &str) {
        if from.is_empty() || to.is_empty() {
            self.report.empty_names += 1;
            return;
        }
        for name in [from, to] {
            if !self.by_name.contains_key(name) {
                if self.declared {
                    self.report.undeclared.push(name.to_owned());
                }
                self.add(name);
            }
        }
        let pair = || (from.to_owned(), to.to_owned());
        let (a, b) = (self.by_name[from], self.by_name[to]);
        if a == b {
            self.report.self_loops.push(from.to_owned());
        } else if self.graph.contains_edge(a, b) {
            self.report.duplicate_edges.push(pair());
        } else {
            self.graph.add_edge(a, b, ());
        }
    }

    fn add(&mut self, name: &str) {
        let at = self.graph.add_node(name.to_owned());
        self.by_name.insert(name.to_owned(), at);
    }

    /// Freezes the graph and says what was wrong with it.
    #[must_use]
    pub fn build(mut self) -> (Topology, TopologyReport) {
        let name_of = |node: &NodeIndex| self.graph[*node].clone();
        for component in kosaraju_scc(&self.graph) {
            if component.len() > 1 {
                let mut names: Vec<String> = component.iter().map(name_of).collect();
                names.sort_unstable();
                self.report.cycles.push(names);
            }
        }
        self.report.cycles.sort();
        let mut rank = vec![0; self.graph.node_count()];
        for (number, at) in self.by_name.values().enumerate() {
            rank[at.index()] = number as Node;
        }
        let mut edges: Vec<(Node, Node)> = self
            .graph
            .raw_edges()
            .iter()
            .map(|e| (rank[e.source().index()], rank[e.target().index()]))
            .collect();
        edges.sort_unstable();
        let names: Vec<Box<str>> = self.by_name.into_keys().map(String::into_boxed_str).collect();
        let version = version_of(&names, &edges);
        let dependencies = Adjacency::new(names.len(), edges.iter().copied());
        let dependents = Adjacency::new(names.len(), edges.iter().map(|&(a, b)| (b, a)));
        let parts = Parts::new(names.len(), &edges);
        (Topology { names, dependencies, dependents, parts, version }, self.report)
    }
}

fn version_of(names: &[Box<str>], edges: &[(Node, Node)]) -> u64 {
    let mut hash = Fnv::new();
    for name in names {
        hash.write(name.as_bytes());
    }
    for (from, to) in edges {
        hash.write(&from.to_le_bytes());
        hash.write(&to.to_le_bytes());
    }
    hash.finish()
}

/// An immutable dependency graph.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    names: Vec<Box<str>>,
    dependencies: Adjacency,
    dependents: Adjacency,
    parts: Parts,
    version: u64,
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
        self.names.len()
    }

    /// Whether it has no entity.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// How many dependencies it has.
    #[must_use]
    pub fn edges(&self) -> usize {
        self.dependencies.targets.len()
    }

    /// Hash of names and edges: equal for equal graphs, however they were written down.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Names of all entities, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|n| &**n)
    }

    /// What an entity is, by its name.
    pub(crate) fn kind(&self, node: Node) -> EntityKind {
        EntityKind::of(self.name(node))
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = Node> + use<> {
        0..self.names.len() as Node
    }

    pub(crate) fn find(&self, name: &str) -> Option<Node> {
        self.names.binary_search_by(|n| (**n).cmp(name)).ok().map(|at| at as Node)
    }

    pub(crate) fn name(&self, node: Node) -> &str {
        &self.names[node as usize]
    }

    /// The connected part of the graph that `node` is in, and how many entities that has.
    pub(crate) fn part(&self, node: Node) -> (u32, u32) {
        let part = self.parts.of[node as usize];
        (part, self.parts.sizes[part as usize])
    }

    /// What `node` depends on, in the order of names.
    pub(crate) fn dependencies(&self, node: Node) -> &[Node] {
        self.dependencies.of(node)
    }

    /// What depends on `node`, in the order of names.
    pub(crate) fn dependents(&self, node: Node) -> &[Node] {
        self.dependents.of(node)
    }
}

/// Which connected part of the graph each node is in, directions aside.
#[derive(Clone, Debug, Default)]
struct Parts {
    /// By node: the smallest node of its part.
    of: Vec<Node>,
    /// How many nodes a part has, by its smallest node.
    sizes: Vec<u32>,
}

impl Parts {
    fn new(nodes: usize, edges: &[(Node, Node)]) -> Self {
        let mut union = UnionFind::<Node>::new(nodes);
        for &(from, to) in edges {
            union.union(from, to);
        }
        let mut smallest = vec![Node::MAX; nodes];
        let mut of = Vec::with_capacity(nodes);
        let mut sizes = vec![0; nodes];
        for (node, part) in (0..).zip(union.into_labeling()) {
            let first = &mut smallest[part as usize];
            *first = node.min(*first);
            of.push(*first);
            sizes[*first as usize] += 1;
        }
        Self { of, sizes }
    }
}

/// Neighbours of each node in one flat array.
#[derive(Clone, Debug, Default)]
struct Adjacency {
    starts: Vec<u32>,
    targets: Vec<Node>,
}

impl Adjacency {
    fn new(nodes: usize, edges: impl Iterator<Item = (Node, Node)> + Clone) -> Self {
        let mut starts = vec![0u32; nodes + 1];
        for (from, _) in edges.clone() {
            starts[from as usize + 1] += 1;
        }
        for at in 0..nodes {
            starts[at + 1] += starts[at];
        }
        let mut next = starts.clone();
        let mut targets = vec![0; starts[nodes] as usize];
        for (from, to) in edges {
            let at = &mut next[from as usize];
            targets[*at as usize] = to;
            *at += 1;
        }
        for node in 0..nodes {
            targets[starts[node] as usize..starts[node + 1] as usize].sort_unstable();
        }
        Self { starts, targets }
    }

    fn of(&self, node: Node) -> &[Node] {
        let at = node as usize;
        &self.targets[self.starts[at] as usize..self.starts[at + 1] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_reported_and_repaired() {
        let mut builder = TopologyBuilder::new();
        for name in ["b", "a", "a", ""] {
            builder.node(name);
        }
        for (from, to) in [("a", "b"), ("a", "b"), ("a", "a"), ("b", "c"), ("c", "a"), ("", "a")] {
            builder.edge(from, to);
        }
        let (topology, report) = builder.build();
        assert_eq!(topology.names().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(topology.edges(), 3);
        assert_eq!(report.duplicate_nodes, ["a"]);
        assert_eq!(report.duplicate_edges, [("a".to_owned(), "b".to_owned())]);
        assert_eq!(report.self_loops, ["a"]);
        assert_eq!(report.undeclared, ["c"]);
        assert_eq!(report.cycles, [["a", "b", "c"]]);
        assert_eq!(report.empty_names, 2);
    }

    #[test]
    fn the_version_depends_on_the_graph_alone() {
        let build = |edges: &[(&str, &str)]| {
            let mut builder = TopologyBuilder::new();
            edges.iter().for_each(|(a, b)| builder.edge(a, b));
            builder.build().0.version()
        };
        assert_eq!(build(&[("a", "b"), ("c", "b")]), build(&[("c", "b"), ("a", "b"), ("a", "b")]));
        assert_ne!(build(&[("a", "b")]), build(&[("b", "a")]));
    }

    #[test]
    fn neighbours_come_in_the_order_of_names() {
        let mut builder = TopologyBuilder::new();
        for to in ["z", "m", "a"] {
            builder.edge("k", to);
        }
        let (topology, _) = builder.build();
        let k = topology.find("k").expect("known");
        let names: Vec<_> = topology.dependencies(k).iter().map(|&n| topology.name(n)).collect();
        assert_eq!(names, ["a", "m", "z"]);
        assert_eq!(topology.dependents(topology.find("m").expect("known")), [k]);
        assert_eq!(topology.find("q"), None);
    }
}
