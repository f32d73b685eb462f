//! The connected parts of a graph, and the neighbours of each node.

use borsh::{BorshDeserialize, BorshSerialize};

use petgraph::unionfind::UnionFind;

use super::Node;

/// Which connected part of the graph each node is in, directions aside.
#[derive(Clone, Debug, Default, BorshDeserialize, BorshSerialize)]
pub(super) struct Parts {
    /// By node: the part.
    of: Vec<u32>,
    /// By part: its name, and how many nodes it has.
    parts: Vec<(u64, u32)>,
}

impl Parts {
    /// `order`: the living nodes, such that the first of a part gives it its name by `name`.
    pub(super) fn new(
        nodes: usize,
        edges: &[(Node, Node)],
        order: impl Iterator<Item = Node>,
        name: impl Fn(Node) -> u64,
    ) -> Self {
        let mut union = UnionFind::<Node>::new(nodes);
        for &(from, to) in edges {
            union.union(from, to);
        }
        let labels = union.into_labeling();
        let mut part_of = vec![u32::MAX; nodes];
        let mut parts: Vec<(u64, u32)> = Vec::new();
        for node in order {
            let part = &mut part_of[labels[node as usize] as usize];
            if *part == u32::MAX {
                *part = parts.len() as u32;
                parts.push((name(node), 0));
            }
            parts[*part as usize].1 += 1;
        }
        let of = labels.into_iter().map(|label| part_of[label as usize]).collect();
        Self { of, parts }
    }

    /// Whether each of so many nodes is in a part that there is, or in none.
    pub(super) fn is_sound(&self, nodes: usize) -> bool {
        let is = |&part: &u32| part == u32::MAX || (part as usize) < self.parts.len();
        self.of.len() == nodes && self.of.iter().all(is)
    }

    /// Name and size of the part that a node is in; `None` for one that is gone.
    pub(super) fn of(&self, node: Node) -> Option<(u64, u32)> {
        self.parts.get(self.of[node as usize] as usize).copied()
    }
}

/// Neighbours of each node in one flat array.
#[derive(Clone, Debug, Default, BorshDeserialize, BorshSerialize)]
pub(super) struct Adjacency {
    starts: Vec<u32>,
    targets: Vec<Node>,
}

impl Adjacency {
    /// The neighbours of a node are in the order in which its edges come.
    pub(super) fn new(nodes: usize, edges: impl Iterator<Item = (Node, Node)> + Clone) -> Self {
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
        Self { starts, targets }
    }

    /// Whether it is about so many nodes, and leads to none beyond.
    pub(super) fn is_sound(&self, nodes: usize) -> bool {
        self.starts.len() == nodes + 1
            && self.starts.first() == Some(&0)
            && self.starts.is_sorted()
            && self.starts.last().is_some_and(|&end| end as usize == self.targets.len())
            && self.targets.iter().all(|&node| (node as usize) < nodes)
    }

    pub(super) fn of(&self, node: Node) -> &[Node] {
        &self.targets[self.range(node)]
    }

    /// Where the neighbours of a node stand in the array of all.
    pub(super) fn range(&self, node: Node) -> std::ops::Range<usize> {
        let at = node as usize;
        self.starts[at] as usize..self.starts[at + 1] as usize
    }

    pub(super) fn len(&self) -> usize {
        self.targets.len()
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        (self.starts.capacity() + self.targets.capacity()) * size_of::<u32>()
    }
}
