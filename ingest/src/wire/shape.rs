//! Which of the known shapes a body has.

use hypocenter_engine::Timestamp;
use simd_json::StaticNode;
use simd_json::tape::Node;

use super::alert::unix_seconds;
use super::body::BodyFault;
use super::tape::{Elements, Entries, kind};

/// The shape that was recognised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Shape {
    /// Alertmanager's webhook payload: an object with `alerts`.
    Webhook,
    /// A body of `POST /api/v2/alerts`: an array of alerts, or `null`.
    Alerts,
    /// One alert object.
    Alert,
    /// A recording line of some other request; there is no alert in it.
    NotAlerts,
}

/// What a body holds.
pub(super) enum Content<'n, 'b> {
    /// Alerts, one after the other.
    Many { shape: Shape, elements: Option<Elements<'n, 'b>>, truncated: u64 },
    /// The body itself is the alert.
    One,
    /// The body of another request, and when that came in.
    Recording { body: &'b str, received_at: Timestamp },
    /// A recording line of a request that carries no alerts.
    OtherRecording,
}

/// Recognises the value at the top of the tape.
pub(super) fn recognise<'n, 'b>(nodes: &'n [Node<'b>]) -> Result<Content<'n, 'b>, BodyFault> {
    let many = |elements| Content::Many { shape: Shape::Alerts, elements, truncated: 0 };
    match nodes.first() {
        Some(Node::Array { .. }) => Ok(many(Elements::of(nodes, 0))),
        Some(Node::Static(StaticNode::Null)) => Ok(many(None)),
        Some(Node::Object { .. }) => Top::find(nodes).content(nodes),
        other => Err(BodyFault::Shape(kind(other))),
    }
}

/// The top-level fields by which a shape is told; of equal names the last.
#[derive(Default)]
struct Top<'n, 'b> {
    alerts: Option<usize>,
    labels: bool,
    truncated: Option<&'n Node<'b>>,
    body: Option<&'n Node<'b>>,
    time: Option<&'n Node<'b>>,
    method: Option<&'n Node<'b>>,
    path: Option<&'n Node<'b>>,
}

impl<'n, 'b> Top<'n, 'b> {
    fn find(nodes: &'n [Node<'b>]) -> Self {
        let mut top = Self::default();
        for (name, value) in Entries::of(nodes, 0).into_iter().flatten() {
            match name {
                "labels" => top.labels = true,
                "alerts" => top.alerts = Some(value),
                "truncatedAlerts" => top.truncated = nodes.get(value),
                "body" => top.body = nodes.get(value),
                "t" => top.time = nodes.get(value),
                "method" => top.method = nodes.get(value),
                "path" => top.path = nodes.get(value),
                _ => {}
            }
        }
        top
    }

    fn content(self, nodes: &'n [Node<'b>]) -> Result<Content<'n, 'b>, BodyFault> {
        if let Some(at) = self.alerts {
            let elements = Elements::of(nodes, at);
            if elements.is_none() && !is_null(nodes.get(at)) {
                return Err(BodyFault::Shape("an object whose `alerts` is not an array"));
            }
            return Ok(Content::Many {
                shape: Shape::Webhook,
                elements,
                truncated: count(self.truncated),
            });
        }
        if self.labels {
            return Ok(Content::One);
        }
        let (Some(Node::String(body)), Some(received_at)) =
            (self.body, self.time.and_then(unix_seconds))
        else {
            return Err(BodyFault::Shape("an object with neither `alerts` nor `labels`"));
        };
        if self.is_for_alerts() {
            Ok(Content::Recording { body, received_at })
        } else {
            Ok(Content::OtherRecording)
        }
    }

    /// Whether the recorded request delivers alerts: a POST, and not to another part of an API.
    fn is_for_alerts(&self) -> bool {
        let posted = matches!(self.method, None | Some(Node::String("POST")));
        let path = match self.path {
            Some(Node::String(path)) => path.split('?').next().unwrap_or_default(),
            _ => "",
        };
        let is_api = ["/api/v1/", "/api/v2/", "/-/"].iter().any(|api| path.contains(api));
        posted && (!is_api || path.ends_with("/alerts"))
    }
}

const fn is_null(node: Option<&Node<'_>>) -> bool {
    matches!(node, Some(Node::Static(StaticNode::Null)))
}

fn count(node: Option<&Node<'_>>) -> u64 {
    match node {
        Some(Node::Static(StaticNode::U64(count))) => *count,
        Some(Node::Static(StaticNode::I64(count))) => u64::try_from(*count).unwrap_or(0),
        _ => 0,
    }
}
