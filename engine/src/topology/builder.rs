//! From nodes and edges with their faults to a frozen graph.

use std::sync::Arc;

use petgraph::algo::kosaraju_scc;
use petgraph::graph::DiGraph;

use super::parts::{Adjacency, Parts};
use super::{EdgeKind, GONE, LINEAGE_MAX, Node, Topology};
use crate::entity::EntityKind;
use crate::hash::Fnv;
use crate::table::{HashSeed, Map};

/// Collects nodes and edges, whatever their faults; [`TopologyBuilder::build`] reports those.
#[derive(Debug)]
pub struct TopologyBuilder {
    entities: Vec<Entity>,
    by_name: Map<Arc<str>, u32>,
    edges: Vec<(u32, u32, EdgeKind)>,
    declared: bool,
    report: TopologyReport,
}

#[derive(Debug)]
struct Entity {
    name: Arc<str>,
    /// As declared.
    kind: Option<EntityKind>,
}

impl Entity {
    /// What it is: as declared, or as its name says.
    fn kind(&self) -> EntityKind {
        self.kind.unwrap_or_else(|| EntityKind::of(&self.name))
    }
}

/// What was wrong with a topology, and what was done about it. Nothing here is fatal.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TopologyReport {
    /// Nodes declared more than once: declared once.
    pub duplicate_nodes: Vec<String>,
    /// Nodes declared with several kinds: the first in the order of kinds is kept.
    pub several_kinds: Vec<String>,
    /// Edges given more than once, in the order of names: kept once, with the last of their kinds
    /// in the order of kinds.
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

impl Default for TopologyBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl TopologyBuilder {
    /// An empty graph.
    #[must_use]
    pub fn new() -> Self {
        Self {
            entities: Vec::new(),
            by_name: Map::new(HashSeed::default()),
            edges: Vec::new(),
            declared: false,
            report: TopologyReport::default(),
        }
    }

    /// Declares an entity whose name says what it is.
    pub fn node(&mut self, name: &str) {
        self.declare(name, None);
    }

    /// Declares an entity and says what it is.
    pub fn typed_node(&mut self, name: &str, kind: EntityKind) {
        self.declare(name, Some(kind));
    }

    fn declare(&mut self, name: &str, kind: Option<EntityKind>) {
        self.declared = true;
        if name.is_empty() {
            self.report.empty_names += 1;
        } else if let Some(&at) = self.by_name.get(name) {
            self.report.duplicate_nodes.push(name.to_owned());
            let known = &mut self.entities[at as usize].kind;
            if let (Some(a), Some(b)) = (*known, kind)
                && a != b
            {
                self.report.several_kinds.push(name.to_owned());
            }
            *known = known.map_or(kind, |a| Some(kind.map_or(a, |b| a.min(b))));
        } else {
            let at = self.add(name);
            self.entities[at as usize].kind = kind;
        }
    }

    /// Adds a dependency of no stated kind: `from` depends on `to`. Declare all nodes first: a
    /// name that is not declared by then is reported.
    pub fn edge(&mut self, from: &str, to: &str) {
        self.typed_edge(from, to, EdgeKind::default());
    }

    /// Adds a dependency and says what it is; see [`Self::edge`].
    pub fn typed_edge(&mut self, from: &str, to: &str, kind: EdgeKind) {
        if from.is_empty() || to.is_empty() {
            self.report.empty_names += 1;
            return;
        }
        let [from_at, to_at] = [from, to].map(|name| match self.by_name.get(name) {
            Some(&at) => at,
            None => {
                if self.declared {
                    self.report.undeclared.push(name.to_owned());
                }
                self.add(name)
            }
        });
        if from_at == to_at {
            self.report.self_loops.push(from.to_owned());
        } else {
            self.edges.push((from_at, to_at, kind));
        }
    }

    fn add(&mut self, name: &str) -> u32 {
        let (at, name) = (self.entities.len() as u32, Arc::<str>::from(name));
        self.by_name.insert(Arc::clone(&name), at);
        self.entities.push(Entity { name, kind: None });
        at
    }

    /// Freezes the graph and says what was wrong with it.
    #[must_use]
    pub fn build(self) -> (Topology, TopologyReport) {
        self.freeze(&Topology::default())
    }

    /// The same, as the graph that comes after `before`: entities keep their numbers, so that a
    /// running engine changes over without a walk through its tables. Those that `before` has and
    /// this graph has not are remembered as gone.
    #[must_use]
    pub fn build_after(self, before: &Topology) -> (Topology, TopologyReport) {
        self.freeze(before)
    }

    fn freeze(mut self, before: &Topology) -> (Topology, TopologyReport) {
        self.sort_by_name();
        let edges = self.edges_once();
        self.report.cycles = cycles(&self.entities, &edges);
        let version = version_of(&self.entities, &edges);
        let topology = Successor::new(before, &self.entities).freeze(&edges, version);
        (topology.with_directory(), self.report)
    }

    /// Numbers entities by the order of their names.
    fn sort_by_name(&mut self) {
        let mut order: Vec<u32> = (0..self.entities.len() as u32).collect();
        order.sort_unstable_by(|&a, &b| {
            self.entities[a as usize].name.cmp(&self.entities[b as usize].name)
        });
        let mut rank = vec![0; order.len()];
        for (at, &entity) in (0..).zip(&order) {
            rank[entity as usize] = at;
        }
        for (from, to, _) in &mut self.edges {
            (*from, *to) = (rank[*from as usize], rank[*to as usize]);
        }
        let mut entities: Vec<_> =
            std::mem::take(&mut self.entities).into_iter().zip(rank).collect();
        entities.sort_unstable_by_key(|&(_, rank)| rank);
        self.entities = entities.into_iter().map(|(entity, _)| entity).collect();
    }

    /// Edges in the order of names; of several between the same two the last kind is kept.
    fn edges_once(&mut self) -> Vec<(u32, u32, EdgeKind)> {
        let mut edges = std::mem::take(&mut self.edges);
        edges.sort_unstable();
        let mut once: Vec<(u32, u32, EdgeKind)> = Vec::with_capacity(edges.len());
        for edge in edges {
            match once.last_mut().filter(|last| (last.0, last.1) == (edge.0, edge.1)) {
                Some(last) => {
                    last.2 = edge.2;
                    let name = |at: u32| self.entities[at as usize].name.to_string();
                    self.report.duplicate_edges.push((name(edge.0), name(edge.1)));
                }
                None => once.push(edge),
            }
        }
        once
    }
}

fn cycles(entities: &[Entity], edges: &[(u32, u32, EdgeKind)]) -> Vec<Vec<String>> {
    let mut graph = DiGraph::<(), ()>::with_capacity(entities.len(), edges.len());
    for _ in entities {
        graph.add_node(());
    }
    graph.extend_with_edges(edges.iter().map(|&(from, to, _)| (from, to)));
    let circles = kosaraju_scc(&graph).into_iter().filter(|component| component.len() > 1);
    let named = circles.map(|component| {
        let mut names: Vec<String> =
            component.iter().map(|at| entities[at.index()].name.to_string()).collect();
        names.sort_unstable();
        names
    });
    let mut found: Vec<Vec<String>> = named.collect();
    found.sort();
    found
}

/// Hash of names and edges, and of those kinds that do not go without saying.
fn version_of(entities: &[Entity], edges: &[(u32, u32, EdgeKind)]) -> u64 {
    let mut hash = Fnv::new();
    for entity in entities {
        hash.write(entity.name.as_bytes());
    }
    for (from, to, _) in edges {
        hash.write(&from.to_le_bytes());
        hash.write(&to.to_le_bytes());
    }
    for (at, entity) in (0u32..).zip(entities) {
        if let Some(kind) = entity.kind.filter(|&kind| kind != EntityKind::of(&entity.name)) {
            hash.write(kind.name().as_bytes());
            hash.write(&at.to_le_bytes());
        }
    }
    for (at, (.., kind)) in (0u32..).zip(edges) {
        if *kind != EdgeKind::default() {
            hash.write(kind.name().as_bytes());
            hash.write(&at.to_le_bytes());
        }
    }
    hash.finish()
}

/// A graph whose entities have the numbers of the graph before it.
struct Successor<'a> {
    before: &'a Topology,
    /// By rank in the order of names: the number.
    numbers: Vec<Node>,
    names: Vec<Arc<str>>,
    kinds: Vec<EntityKind>,
    births: Vec<u32>,
}

impl<'a> Successor<'a> {
    fn new(before: &'a Topology, entities: &[Entity]) -> Self {
        let generation = before.generation + 1;
        let mut names = before.names.to_vec();
        let mut kinds = before.kinds.to_vec();
        let mut births = vec![GONE; names.len()];
        let number = |entity: &Entity| match before.find(&entity.name) {
            Some(node) => {
                let at = node as usize;
                let born = before.births[at];
                births[at] = if born == GONE { generation } else { born };
                kinds[at] = entity.kind();
                node
            }
            None => {
                names.push(Arc::clone(&entity.name));
                kinds.push(entity.kind());
                births.push(generation);
                (names.len() - 1) as Node
            }
        };
        let numbers = entities.iter().map(number).collect();
        Self { before, numbers, names, kinds, births }
    }

    fn freeze(self, edges: &[(u32, u32, EdgeKind)], version: u64) -> Topology {
        let Self { before, numbers, names, kinds, births } = self;
        let nodes = names.len();
        let number = |rank: u32| numbers[rank as usize];
        let pairs: Vec<(Node, Node)> =
            edges.iter().map(|&(from, to, _)| (number(from), number(to))).collect();
        let mut by_name: Vec<Node> = (0..nodes as Node).collect();
        by_name.sort_unstable_by(|&a, &b| names[a as usize].cmp(&names[b as usize]));
        // The oldest entity of a part gives it its name: parts stay the same while others come.
        let mut oldest = numbers.clone();
        oldest.sort_by_key(|&node| births[node as usize]);
        let name = |node: Node| {
            let mut hash = Fnv::new();
            hash.write(names[node as usize].as_bytes());
            hash.finish()
        };
        let parts = Parts::new(nodes, &pairs, oldest.into_iter(), name);
        let mut lineage: Vec<u64> = before.lineage.clone();
        let mut id = Fnv::new();
        id.write(&lineage.last().copied().unwrap_or_default().to_le_bytes());
        id.write(&version.to_le_bytes());
        lineage.push(id.finish());
        let old = lineage.len().saturating_sub(LINEAGE_MAX);
        lineage.drain(..old);
        Topology {
            live: numbers.len() as u32,
            dependencies: Arc::new(Adjacency::new(nodes, pairs.iter().copied())),
            dependents: Arc::new(Adjacency::new(nodes, pairs.iter().map(|&(a, b)| (b, a)))),
            // Edges are in the order of the names of those that depend, not of their numbers.
            edge_kinds: in_order(nodes, &pairs, edges).into(),
            parts: Arc::new(parts),
            generation: before.generation + 1,
            lineage,
            version,
            names: names.into(),
            kinds: kinds.into(),
            births: births.into(),
            by_name: by_name.into(),
            directory: Default::default(),
        }
    }
}

/// The kinds of edges where their ends stand among the dependencies.
fn in_order(nodes: usize, pairs: &[(Node, Node)], edges: &[(u32, u32, EdgeKind)]) -> Vec<EdgeKind> {
    let places = (0u32..).zip(pairs).map(|(at, &(from, _))| (from, at));
    let order = Adjacency::new(nodes, places);
    (0..nodes as Node).flat_map(|node| order.of(node)).map(|&at| edges[at as usize].2).collect()
}
