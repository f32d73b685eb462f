//! Precomputed walks over the dependency graph: for each entity the roots that could explain an
//! alert at it, nearest first, and the price of each root.
//!
//! Computed once per topology and policy, so that an event costs a list scan and no search.

use std::collections::BTreeMap;

use crate::entity::{EntityKind, EntityName};
use crate::mapping::workload_of_pod;
use crate::planted::planted;
use crate::policy::Grouping;
use crate::score::{Score, ln};
use crate::topology::{Node, Topology};

/// How a root is related to the entity that alerts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Relation {
    /// So many dependencies below the alerting entity; 0 is the entity itself.
    Below(u8),
    /// A direct dependent: load and traffic pass downwards.
    Dependent,
    /// The caller that an edge alert names.
    Caller,
    /// What stands for the fallback labels of an alert outside the graph.
    Fallback,
}

/// One root that could explain an alert.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reach {
    pub(crate) root: Node,
    pub(crate) relation: Relation,
}

/// All walks of one topology under one policy.
#[derive(Debug)]
pub(crate) struct Walks {
    reach: Flat<Reach>,
    above: Flat<(Node, u8)>,
    /// `ln(1/Z)` by node: what it costs to hold it for the root.
    prior: Vec<Score>,
    /// By node: what stands for the workload that it is part of.
    workloads: Vec<Node>,
}

#[derive(Debug)]
struct Flat<T> {
    starts: Vec<u32>,
    items: Vec<T>,
}

impl<T> Flat<T> {
    fn of(&self, node: Node) -> &[T] {
        let at = node as usize;
        &self.items[self.starts[at] as usize..self.starts[at + 1] as usize]
    }
}

/// Most dependents walked for the price of one root: beyond that it is expensive anyway.
const AUDIENCE_MAX: usize = 4096;

impl Walks {
    pub(crate) fn new(topology: &Topology, grouping: &Grouping, explain_hops: u8) -> Self {
        let nodes = topology.numbers();
        let mut walker = Walker::new(nodes);
        let mut reach = Flat { starts: vec![0], items: Vec::new() };
        let mut prior = Vec::with_capacity(nodes);
        for node in 0..nodes as Node {
            let below = walker.walk(
                node,
                |n| topology.dependencies(n),
                grouping.hops_max,
                grouping.reach_max,
            );
            let first = reach.items.len();
            for &(root, hops) in below {
                reach.items.push(Reach { root, relation: Relation::Below(hops) });
            }
            for &root in topology.dependents(node).iter().take(grouping.reach_max) {
                if !reach.items[first..].iter().any(|r| r.root == root) {
                    reach.items.push(Reach { root, relation: Relation::Dependent });
                }
            }
            reach.starts.push(reach.items.len() as u32);
            prior.push(price(topology, node, &mut walker, grouping));
        }
        let above = transpose(&reach, nodes, explain_hops);
        Self { reach, above, prior, workloads: workloads(topology) }
    }

    /// The roots that could explain an alert at `node`, itself first.
    pub(crate) fn reach(&self, node: Node) -> &[Reach] {
        self.reach.of(node)
    }

    /// The dependencies from `node` down to `root`, within the reach of the grouping.
    pub(crate) fn hops(&self, node: Node, root: Node) -> Option<u8> {
        // Nearest first, and what is reached upwards comes last.
        match self.reach(node).iter().find(|r| r.root == root)?.relation {
            Relation::Below(hops) => Some(hops),
            _ => None,
        }
    }

    /// The entities whose alerts `node` could explain in the ranking, with their distance.
    pub(crate) fn above(&self, node: Node) -> &[(Node, u8)] {
        self.above.of(node)
    }

    /// `ln(1/Z)`: the full audience of a root is its price.
    pub(crate) fn prior(&self, node: Node) -> Score {
        self.prior[node as usize]
    }

    /// What stands for the workload that `node` is part of.
    pub(crate) fn workload(&self, node: Node) -> Node {
        self.workloads[node as usize]
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.reach.items.capacity() * size_of::<Reach>()
            + self.above.items.capacity() * size_of::<(Node, u8)>()
            + self.prior.capacity() * size_of::<Score>()
            + self.workloads.capacity() * size_of::<Node>()
            + (self.reach.starts.capacity() + self.above.starts.capacity()) * size_of::<u32>()
    }
}

/// For each node what stands for its workload: a pod's by the graph, else by the names of its
/// pods; a service's if it runs on one alone; any other entity is its own.
fn workloads(topology: &Topology) -> Vec<Node> {
    let only = |near: &[Node], kind: EntityKind| {
        let mut found = near.iter().copied().filter(|&node| topology.kind(node) == kind);
        found.next().filter(|_| found.next().is_none())
    };
    let mut by_name: BTreeMap<(String, String), Node> = BTreeMap::new();
    let mut workloads: Vec<Node> = (0..topology.numbers() as Node).collect();
    for node in topology.living() {
        let workload = match topology.kind(node) {
            EntityKind::Pod => {
                let above = topology.dependents(node);
                only(above, EntityKind::Workload)
                    .or_else(|| only(above, EntityKind::Service))
                    .or_else(|| {
                        let name = EntityName::parse(topology.name(node));
                        let guess = workload_of_pod(&name.name)?.to_owned();
                        Some(*by_name.entry((name.scope, guess)).or_insert(node))
                    })
            }
            EntityKind::Service => only(topology.dependencies(node), EntityKind::Workload),
            _ => None,
        };
        workloads[node as usize] = workload.unwrap_or(node);
    }
    workloads
}

/// Z is the expected number of entities that alert when `node` is the root.
fn price(topology: &Topology, node: Node, walker: &mut Walker, grouping: &Grouping) -> Score {
    let dependents = walker.walk(node, |n| topology.dependents(n), grouping.hops_max, AUDIENCE_MAX);
    let mut weights = vec![1.0];
    for hops in 1..=usize::from(grouping.hops_max) {
        weights.push(weights[hops - 1] * grouping.decay);
    }
    let mut by_hops = vec![0u32; weights.len()];
    for &(_, hops) in dependents {
        by_hops[usize::from(hops)] += 1;
    }
    let seen: f64 = by_hops.iter().zip(&weights).map(|(&n, w)| f64::from(n) * w).sum();
    let loaded = topology.dependencies(node).len() as f64 * grouping.dependent_weight;
    -Score::from_f64(ln(planted!(HubPriceSkipped: 1.0, seen + loaded)))
}

fn transpose(reach: &Flat<Reach>, nodes: usize, hops_max: u8) -> Flat<(Node, u8)> {
    let explained = |r: &Reach| match r.relation {
        Relation::Below(hops) if hops > 0 && hops <= hops_max => Some(hops),
        _ => None,
    };
    let mut starts = vec![0u32; nodes + 1];
    for entry in reach.items.iter().filter(|r| explained(r).is_some()) {
        starts[entry.root as usize + 1] += 1;
    }
    for at in 0..nodes {
        starts[at + 1] += starts[at];
    }
    let mut next = starts.clone();
    let mut items = vec![(0, 0); starts[nodes] as usize];
    for node in 0..nodes as Node {
        for entry in reach.of(node) {
            if let Some(hops) = explained(entry) {
                let at = &mut next[entry.root as usize];
                items[*at as usize] = (node, hops);
                *at += 1;
            }
        }
    }
    Flat { starts, items }
}

/// A breadth-first walk with reusable memory.
struct Walker {
    seen_in: Vec<u32>,
    round: u32,
    found: Vec<(Node, u8)>,
}

impl Walker {
    fn new(nodes: usize) -> Self {
        Self { seen_in: vec![0; nodes], round: 0, found: Vec::new() }
    }

    /// At most `limit` nodes within `hops_max` of `start`, nearest first, `start` itself included.
    fn walk<'g>(
        &mut self,
        start: Node,
        next: impl Fn(Node) -> &'g [Node],
        hops_max: u8,
        limit: usize,
    ) -> &[(Node, u8)] {
        self.round += 1;
        self.found.clear();
        self.found.push((start, 0));
        self.seen_in[start as usize] = self.round;
        let mut at = 0;
        while let Some(&(node, hops)) = self.found.get(at) {
            at += 1;
            if hops == hops_max {
                break;
            }
            for &other in next(node) {
                if self.found.len() == limit {
                    return &self.found;
                }
                if self.seen_in[other as usize] != self.round {
                    self.seen_in[other as usize] = self.round;
                    self.found.push((other, hops + 1));
                }
            }
        }
        &self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::TopologyBuilder;

    fn walks(edges: &[(&str, &str)]) -> (Topology, Walks) {
        let mut builder = TopologyBuilder::new();
        edges.iter().for_each(|(a, b)| builder.edge(a, b));
        let (topology, _) = builder.build();
        let walks = Walks::new(&topology, &Grouping::default(), 3);
        (topology, walks)
    }

    #[test]
    fn reach_is_nearest_first_and_survives_cycles() {
        let (topology, walks) = walks(&[("a", "b"), ("b", "c"), ("c", "a"), ("x", "a")]);
        let a = topology.find("a").expect("known");
        let list: Vec<_> =
            walks.reach(a).iter().map(|r| (topology.name(r.root), r.relation)).collect();
        let expected = [
            ("a", Relation::Below(0)),
            ("b", Relation::Below(1)),
            ("c", Relation::Below(2)),
            ("x", Relation::Dependent),
        ];
        assert_eq!(list, expected);
        let above: Vec<_> = walks.above(a).iter().map(|&(n, h)| (topology.name(n), h)).collect();
        assert_eq!(above, [("b", 2), ("c", 1), ("x", 1)]);
    }

    #[test]
    fn a_hub_costs_its_audience() {
        let (topology, walks) = walks(&[("a", "hub"), ("b", "hub"), ("c", "hub"), ("d", "leaf")]);
        let prior = |name| walks.prior(topology.find(name).expect("known")).to_f64();
        assert!((prior("hub") + ln(1.0 + 3.0 * 0.8)).abs() < 1e-6);
        assert!((prior("a") + ln(1.2)).abs() < 1e-6);
        assert!(prior("leaf") > prior("hub"));
    }
}
