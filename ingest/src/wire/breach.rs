//! How far over its limit a metric is, read from an alert's annotations.
//!
//! Nothing here can cost an alert: an annotation that is no number is no breach.

use hypocenter_engine::{Breach, Side};
use simd_json::StaticNode;
use simd_json::tape::Node;

/// The annotations that carry a measured value and its limit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BreachNames {
    /// The annotation with the measured value, such as `"0.93"`.
    pub value: String,
    /// The annotation with the limit, such as `">0.9"`, `"< 99"` or `"5"` (which means above).
    pub threshold: String,
}

impl Default for BreachNames {
    fn default() -> Self {
        Self { value: "value".to_owned(), threshold: "threshold".to_owned() }
    }
}

/// Both annotations, where they are present.
#[derive(Clone, Copy, Default)]
pub(super) struct Found<'n, 'b> {
    value: Option<&'n Node<'b>>,
    threshold: Option<&'n Node<'b>>,
}

impl<'n, 'b> Found<'n, 'b> {
    /// Keeps an annotation if it is one of the two; the last of equal names wins.
    pub(super) fn offer(&mut self, names: &BreachNames, name: &str, node: &'n Node<'b>) {
        if name == names.value {
            self.value = Some(node);
        } else if name == names.threshold {
            self.threshold = Some(node);
        }
    }

    /// The breach, if both are there and are finite numbers.
    pub(super) fn breach(self) -> Option<Breach> {
        let (threshold, side) = match self.threshold? {
            Node::String(text) => limit(text)?,
            node => (plain(node)?, Side::Above),
        };
        let value = match self.value? {
            Node::String(text) => number(text)?,
            node => plain(node)?,
        };
        Some(Breach { value, threshold, side })
    }
}

/// A JSON number.
#[expect(clippy::cast_precision_loss, reason = "a measured value, not a count")]
pub(super) fn plain(node: &Node<'_>) -> Option<f64> {
    let value = match node {
        Node::Static(StaticNode::I64(value)) => *value as f64,
        Node::Static(StaticNode::U64(value)) => *value as f64,
        Node::Static(StaticNode::F64(value)) => *value,
        _ => return None,
    };
    value.is_finite().then_some(value)
}

fn number(text: &str) -> Option<f64> {
    let value: f64 = text.trim().parse().ok()?;
    value.is_finite().then_some(value)
}

/// A limit with its side: `>`, `>=`, `<`, `<=` before a number, or a number alone.
fn limit(text: &str) -> Option<(f64, Side)> {
    let text = text.trim();
    let (side, rest) = match text.as_bytes().first()? {
        b'>' => (Side::Above, text.strip_prefix('>')?),
        b'<' => (Side::Below, text.strip_prefix('<')?),
        _ => return Some((number(text)?, Side::Above)),
    };
    Some((number(rest.strip_prefix('=').unwrap_or(rest))?, side))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        let table = [
            (">0.146", Some((0.146, Side::Above))),
            ("<99", Some((99.0, Side::Below))),
            (">= 5", Some((5.0, Side::Above))),
            (" <=-1e3 ", Some((-1000.0, Side::Below))),
            ("7", Some((7.0, Side::Above))),
            ("+7", Some((7.0, Side::Above))),
            ("", None),
            (">", None),
            (">>1", None),
            ("=5", None),
            (">inf", None),
            (">NaN", None),
            (">1e999", None),
            ("90%", None),
            ("> limit", None),
        ];
        for (text, expected) in table {
            assert_eq!(limit(text), expected, "{text:?}");
        }
    }

    #[test]
    fn values() {
        for (text, expected) in [
            ("0.93", Some(0.93)),
            (" -2 ", Some(-2.0)),
            ("NaN", None),
            ("+Inf", None),
            ("1e400", None),
            ("", None),
            ("93.1%", None),
        ] {
            assert_eq!(number(text), expected, "{text:?}");
        }
    }
}
