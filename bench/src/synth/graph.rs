//! Dependency graphs, drawn.

use std::collections::BTreeMap;

use hypocenter_engine::{Topology, TopologyBuilder};

use super::numbers::Numbers;

/// Entities by number, and who depends on whom.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    pub(super) names: Vec<String>,
    /// What each depends on.
    pub(super) callees: Vec<Vec<usize>>,
    /// What depends on each.
    pub(super) callers: Vec<Vec<usize>>,
}

/// Part of the dependencies in [`Graph::attachment`] that go where many go already. The rest goes
/// anywhere.
const PREFERENTIAL: f64 = 0.6;

impl Graph {
    /// Preferential attachment, as service landscapes grow: each service depends on one to four
    /// earlier ones, most of them those on which many depend already.
    ///
    /// Then random services are made to depend on the largest hub until so many do.
    pub(super) fn attachment(services: usize, dependents: usize, seed: u64) -> Self {
        let mut numbers = Numbers::new("attachment", seed);
        let mut graph = Self::default();
        let mut chosen = vec![0];
        for from in 0..services {
            graph.add(format!("service-{from:06}"));
            for _ in 0..numbers.between(1, 4) {
                let to = match numbers.chance(PREFERENTIAL) {
                    true => numbers.pick(&chosen),
                    false => numbers.below(from.max(1)),
                };
                if graph.link(from, to) {
                    chosen.push(to);
                }
            }
        }
        let hub = graph.hubs(1)[0];
        let later = services - hub - 1;
        while graph.callers[hub].len() < dependents.min(later) {
            graph.link(hub + 1 + numbers.below(later), hub);
        }
        graph
    }

    /// A new entity that depends on nothing yet.
    pub(super) fn add(&mut self, name: String) -> usize {
        self.names.push(name);
        self.callees.push(Vec::new());
        self.callers.push(Vec::new());
        self.names.len() - 1
    }

    /// Makes `from` depend on `to`; false when it does already, or they are the same.
    pub(super) fn link(&mut self, from: usize, to: usize) -> bool {
        let is_new = from != to && !self.callees[from].contains(&to);
        if is_new {
            self.callees[from].push(to);
            self.callers[to].push(from);
        }
        is_new
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// The entities on which most depend, most first.
    pub(super) fn hubs(&self, count: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..self.len()).collect();
        all.sort_by_key(|&entity| (std::cmp::Reverse(self.callers[entity].len()), entity));
        all.truncate(count);
        all
    }

    /// Everything that depends on an entity within so many hops, itself included, with its
    /// distance.
    pub(super) fn dependents(&self, of: usize, hops: u8) -> BTreeMap<usize, u8> {
        walk(&self.callers, of, hops)
    }

    /// Everything that an entity depends on within so many hops, itself included.
    pub(super) fn dependencies(&self, of: usize, hops: u8) -> BTreeMap<usize, u8> {
        walk(&self.callees, of, hops)
    }

    /// For the engine.
    pub(super) fn topology(&self) -> Topology {
        let mut builder = TopologyBuilder::new();
        for name in &self.names {
            builder.node(name);
        }
        for (from, to) in self.edges() {
            builder.edge(from, to);
        }
        builder.build().0
    }

    /// All dependencies, by name.
    pub(super) fn edges(&self) -> impl Iterator<Item = (&str, &str)> {
        let name = |entity: usize| self.names[entity].as_str();
        let of =
            move |from: usize| self.callees[from].iter().map(move |&to| (name(from), name(to)));
        (0..self.len()).flat_map(of)
    }
}

fn walk(along: &[Vec<usize>], from: usize, hops: u8) -> BTreeMap<usize, u8> {
    let mut found = BTreeMap::from([(from, 0)]);
    let mut front = vec![from];
    for hop in 1..=hops {
        let mut next = Vec::new();
        for entity in front {
            for &neighbour in &along[entity] {
                found.entry(neighbour).or_insert_with(|| {
                    next.push(neighbour);
                    hop
                });
            }
        }
        front = next;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attachment_grows_hubs() {
        for seed in 1..=3 {
            let graph = Graph::attachment(10_000, 0, seed);
            let edges = graph.edges().count();
            assert!((22_000..27_000).contains(&edges), "{edges} edges");
            let fan_in = graph.callers[graph.hubs(1)[0]].len();
            assert!((200..1_000).contains(&fan_in), "seed {seed}: the hub has {fan_in}");
        }
    }

    #[test]
    fn a_hub_is_made_as_large_as_asked() {
        let graph = Graph::attachment(2_000, 900, 1);
        assert_eq!(graph.callers[graph.hubs(1)[0]].len(), 900);
    }

    #[test]
    fn walks_keep_the_shortest_distance() {
        let mut graph = Graph::default();
        let [a, b, c] = ["a", "b", "c"].map(|name| graph.add(name.to_owned()));
        assert!(graph.link(a, b) && graph.link(b, c) && graph.link(a, c) && !graph.link(a, a));
        assert_eq!(graph.dependents(c, 9), BTreeMap::from([(a, 1), (b, 1), (c, 0)]));
        assert_eq!(graph.dependencies(a, 1), BTreeMap::from([(a, 0), (b, 1), (c, 1)]));
    }
}
