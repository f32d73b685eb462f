//! Walking simd-json's tape without building values: a node, and how to step over it.

use simd_json::StaticNode;
use simd_json::tape::Node;

/// The index of the node after the value at `at`.
fn after(nodes: &[Node<'_>], at: usize) -> usize {
    match nodes.get(at) {
        Some(Node::Object { count, .. } | Node::Array { count, .. }) => at + 1 + count,
        _ => at + 1,
    }
}

/// What a node is, in words.
pub(super) const fn kind(node: Option<&Node<'_>>) -> &'static str {
    match node {
        None => "missing",
        Some(Node::String(_)) => "a string",
        Some(Node::Object { .. }) => "an object",
        Some(Node::Array { .. }) => "an array",
        Some(Node::Static(StaticNode::Null)) => "null",
        Some(Node::Static(StaticNode::Bool(_))) => "a boolean",
        Some(Node::Static(_)) => "a number",
    }
}

/// The fields of an object: name, and the index of the value.
pub(super) struct Entries<'n, 'b> {
    nodes: &'n [Node<'b>],
    at: usize,
    left: usize,
}

impl<'n, 'b> Entries<'n, 'b> {
    /// The fields of the object at `at`; `None` when it is none.
    pub(super) fn of(nodes: &'n [Node<'b>], at: usize) -> Option<Self> {
        let Some(Node::Object { len, .. }) = nodes.get(at) else {
            return None;
        };
        Some(Self { nodes, at: at + 1, left: *len })
    }
}

impl<'b> Iterator for Entries<'_, 'b> {
    type Item = (&'b str, usize);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let Some(Node::String(name)) = self.nodes.get(self.at) else {
            return None;
        };
        let value = self.at + 1;
        self.at = after(self.nodes, value);
        Some((name, value))
    }
}

/// The elements of an array, as indices.
pub(super) struct Elements<'n, 'b> {
    nodes: &'n [Node<'b>],
    at: usize,
    left: usize,
}

impl<'n, 'b> Elements<'n, 'b> {
    /// The elements of the array at `at`; `None` when it is none.
    pub(super) fn of(nodes: &'n [Node<'b>], at: usize) -> Option<Self> {
        let Some(Node::Array { len, .. }) = nodes.get(at) else {
            return None;
        };
        Some(Self { nodes, at: at + 1, left: *len })
    }
}

impl Iterator for Elements<'_, '_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let at = self.at;
        self.at = after(self.nodes, at);
        Some(at)
    }
}
