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
    /// Records of Alertmanager's event recorder.
    Events,
    /// Something known in which there is no alert: a recorded request of another kind, an event
    /// about something else.
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
    /// Records of the event recorder.
    Events(Events<'n, 'b>),
    /// Something known that carries no alerts.
    NotAlerts,
}

impl Content<'_, '_> {
    /// The shape, unless it is still to be seen inside a recording.
    pub(super) fn shape(&self) -> Option<Shape> {
        match self {
            Self::Many { shape, .. } => Some(*shape),
            Self::One => Some(Shape::Alert),
            Self::Events(_) => Some(Shape::Events),
            Self::NotAlerts => Some(Shape::NotAlerts),
            Self::Recording { .. } => None,
        }
    }
}

/// Recognises the value at the top of the tape.
pub(super) fn recognise<'n, 'b>(nodes: &'n [Node<'b>]) -> Result<Content<'n, 'b>, BodyFault> {
    let many = |elements| Content::Many { shape: Shape::Alerts, elements, truncated: 0 };
    match nodes.first() {
        Some(Node::Array { .. }) if Events::begins(nodes, 1) => {
            Ok(Content::Events(Events { one: None, many: Elements::of(nodes, 0) }))
        }
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
    data: bool,
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
                "data" => top.data = matches!(nodes.get(value), Some(Node::Object { .. })),
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
        if self.data {
            return Ok(Content::Events(Events { one: Some(0), many: None }));
        }
        let (Some(Node::String(body)), Some(received_at)) =
            (self.body, self.time.and_then(unix_seconds))
        else {
            return Err(BodyFault::Shape("an object with neither `alerts` nor `labels`"));
        };
        if self.is_for_alerts() {
            Ok(Content::Recording { body, received_at })
        } else {
            Ok(Content::NotAlerts)
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

/// Records of Alertmanager's event recorder: one, or a list as its webhook sends them in batches.
pub(super) struct Events<'n, 'b> {
    one: Option<usize>,
    many: Option<Elements<'n, 'b>>,
}

impl Events<'_, '_> {
    /// Whether the value at `at` is a record: no alert has a field `data` and no labels.
    fn begins(nodes: &[Node<'_>], at: usize) -> bool {
        let has =
            |sought| Entries::of(nodes, at).is_some_and(|mut all| all.any(|(n, _)| n == sought));
        has("data") && !has("labels")
    }

    /// Hands out the place of each alert in them. Records about silences, inhibitions and the
    /// process itself hold none.
    pub(super) fn alerts(self, nodes: &[Node<'_>], each: &mut dyn FnMut(usize)) {
        for record in self.one.into_iter().chain(self.many.into_iter().flatten()) {
            let Some(data) = field(nodes, record, "data") else { continue };
            for (name, value) in Entries::of(nodes, data).into_iter().flatten() {
                match name {
                    "alertCreated" => field(nodes, value, "alert").into_iter().for_each(&mut *each),
                    "alertResolved" | "alertGrouped" => {
                        let alert = field(nodes, value, "alert");
                        let details = alert.and_then(|alert| field(nodes, alert, "details"));
                        details.into_iter().for_each(&mut *each);
                    }
                    "notification" => {
                        let list =
                            field(nodes, value, "alerts").and_then(|at| Elements::of(nodes, at));
                        let details = |alert| field(nodes, alert, "details");
                        list.into_iter().flatten().filter_map(details).for_each(&mut *each);
                    }
                    _ => {}
                }
            }
        }
    }
}

/// The value of a field of the object at `at`; of equal names the last.
fn field(nodes: &[Node<'_>], at: usize, sought: &str) -> Option<usize> {
    Entries::of(nodes, at)?.filter(|(name, _)| *name == sought).last().map(|(_, value)| value)
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
