//! One alert object of the tape, checked and handed out.

use hypocenter_engine::{AlertEvent, Labels, Span, Status, Timestamp};
use simd_json::StaticNode;
use simd_json::tape::Node;

use super::breach::{self, plain};
use super::fault::Reason;
use super::tape::{Elements, Entries, kind};
use super::time;
use super::{Decoded, Options, excerpt};

/// Label pairs of one alert; the allocation is used again for the next.
pub(super) type Pairs<'b> = Vec<(&'b str, &'b str)>;

/// How an alert object is written down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// As Alertmanager's API and webhook have it.
    Plain,
    /// As its event recorder has it: labels in a list, `resolved` instead of a status.
    Recorded,
}

/// How long an alert of the event recorder fires past the end that Alertmanager knew when it wrote
/// the record. It writes no heartbeats but its notifications, which are repeated after 4 h unless
/// configured otherwise, and writes the resolve down late, or never when its buffer was full.
const RECORDED_HOLD: Span = Span::from_secs(5 * 3600);

/// What is known of an alert and is only shown.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Details<'a> {
    nodes: &'a [Node<'a>],
    annotations: Option<usize>,
    /// Where the alert came from, as sent: not checked to be an address.
    pub generator_url: Option<&'a str>,
}

impl<'a> Details<'a> {
    /// Annotations as sent, in that order; those that are not text are left out.
    pub fn annotations(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let nodes = self.nodes;
        let plain = self.annotations.and_then(|at| Entries::of(nodes, at)).into_iter().flatten();
        let plain = plain.filter_map(|(name, value)| match nodes.get(value) {
            Some(Node::String(text)) => Some((name, *text)),
            _ => None,
        });
        let listed = self.annotations.and_then(|at| listed(nodes, at)).into_iter().flatten();
        // Of an object with a list in it nothing is text, and the other way round.
        plain.chain(listed.filter_map(|at| key_value(nodes, at)))
    }
}

/// Reads the value at `at` as an alert.
pub(super) fn read<'a, 'b: 'a>(
    nodes: &'a [Node<'b>],
    at: usize,
    form: Form,
    pairs: &'a mut Pairs<'b>,
    options: &Options,
) -> Result<Decoded<'a>, Reason> {
    let fields = Fields::find(nodes, at)?;
    match form {
        Form::Plain => read_labels(nodes, fields.labels, pairs)?,
        Form::Recorded => read_listed_labels(nodes, fields.labels, pairs)?,
    }
    let labels = Labels::canonical(pairs, &options.labels)?;
    let starts_at = read_time("startsAt", fields.starts_at)?;
    let mut ends_at = read_time("endsAt", fields.ends_at)?;
    if let (Some(start), Some(end)) = (starts_at, ends_at)
        && end < start
    {
        return Err(Reason::EndsBeforeStart);
    }
    let mut status = read_status(fields.status)?;
    if form == Form::Recorded {
        let resolved = matches!(fields.resolved, Some(Node::Static(StaticNode::Bool(true))));
        status = Some(if resolved { Status::Resolved } else { Status::Firing });
        if !resolved {
            ends_at = ends_at.map(|end| end.plus(RECORDED_HOLD));
        }
    }
    let breach = read_breach(nodes, fields.annotations, options);
    let event = AlertEvent { labels, starts_at, ends_at, held: Span::ZERO, status, breach };
    let text = |node: Option<&Node<'b>>| match node {
        Some(Node::String(text)) => Some(*text),
        _ => None,
    };
    let generator_url = text(fields.generator_url);
    let details = Details { nodes, annotations: fields.annotations, generator_url };
    let fingerprint = text(fields.fingerprint);
    Ok(Decoded { event, received_at: read_received(fields.ts_ms)?, fingerprint, details })
}

/// The fields that count; of equal names the last, all others are ignored.
#[derive(Default)]
struct Fields<'n, 'b> {
    labels: Option<usize>,
    annotations: Option<usize>,
    starts_at: Option<&'n Node<'b>>,
    ends_at: Option<&'n Node<'b>>,
    status: Option<&'n Node<'b>>,
    resolved: Option<&'n Node<'b>>,
    fingerprint: Option<&'n Node<'b>>,
    generator_url: Option<&'n Node<'b>>,
    ts_ms: Option<&'n Node<'b>>,
}

impl<'n, 'b> Fields<'n, 'b> {
    fn find(nodes: &'n [Node<'b>], at: usize) -> Result<Self, Reason> {
        let entries =
            Entries::of(nodes, at).ok_or_else(|| Reason::NotAnObject(kind(nodes.get(at))))?;
        let mut fields = Self::default();
        for (name, value) in entries {
            match name {
                "labels" => fields.labels = Some(value),
                "annotations" => fields.annotations = Some(value),
                "startsAt" => fields.starts_at = nodes.get(value),
                "endsAt" => fields.ends_at = nodes.get(value),
                "status" => fields.status = nodes.get(value),
                "resolved" => fields.resolved = nodes.get(value),
                "fingerprint" => fields.fingerprint = nodes.get(value),
                "generatorURL" => fields.generator_url = nodes.get(value),
                "ts_ms" => fields.ts_ms = nodes.get(value),
                _ => {}
            }
        }
        Ok(fields)
    }
}

fn read_labels<'b>(
    nodes: &[Node<'b>],
    at: Option<usize>,
    pairs: &mut Pairs<'b>,
) -> Result<(), Reason> {
    let at = at.ok_or(Reason::NoLabels("missing"))?;
    let entries = Entries::of(nodes, at).ok_or_else(|| Reason::NoLabels(kind(nodes.get(at))))?;
    pairs.clear();
    for (name, value) in entries {
        match nodes.get(value) {
            Some(Node::String(text)) => pairs.push((name, text)),
            // Go reads null as the empty text, which removes the label.
            Some(Node::Static(StaticNode::Null)) => pairs.push((name, "")),
            other => {
                let name = excerpt(name);
                let found = kind(other);
                return Err(Reason::LabelType { name, found });
            }
        }
    }
    Ok(())
}

/// `{"labels": [{"key": ..., "value": ...}]}`. What is empty is left out in this format.
fn read_listed_labels<'b>(
    nodes: &[Node<'b>],
    at: Option<usize>,
    pairs: &mut Pairs<'b>,
) -> Result<(), Reason> {
    let at = at.ok_or(Reason::NoLabels("missing"))?;
    let elements = listed(nodes, at).ok_or_else(|| Reason::NoLabels(kind(nodes.get(at))))?;
    pairs.clear();
    for element in elements {
        let pair = key_value(nodes, element);
        pairs.push(pair.ok_or(Reason::NoLabels("a list with something else than pairs"))?);
    }
    Ok(())
}

/// The elements of the list in an object with a field `labels`.
fn listed<'n, 'b>(nodes: &'n [Node<'b>], at: usize) -> Option<Elements<'n, 'b>> {
    let mut list = None;
    for (name, value) in Entries::of(nodes, at)? {
        if name == "labels" {
            list = Elements::of(nodes, value);
        }
    }
    list
}

fn key_value<'b>(nodes: &[Node<'b>], at: usize) -> Option<(&'b str, &'b str)> {
    let (mut key, mut text) = ("", "");
    for (name, value) in Entries::of(nodes, at)? {
        match (name, nodes.get(value)) {
            ("key", Some(Node::String(found))) => key = found,
            ("value", Some(Node::String(found))) => text = found,
            _ => {}
        }
    }
    Some((key, text))
}

fn read_time(field: &'static str, node: Option<&Node<'_>>) -> Result<Option<Timestamp>, Reason> {
    match node {
        None | Some(Node::Static(StaticNode::Null)) => Ok(None),
        Some(Node::String(text)) => {
            time::parse(text).map_err(|why| Reason::Time { field, text: excerpt(text), why })
        }
        other => {
            let found = kind(other);
            Err(Reason::TimeType { field, found })
        }
    }
}

fn read_status(node: Option<&Node<'_>>) -> Result<Option<Status>, Reason> {
    match node {
        // Alertmanager's own answers have an object here: suppression, not the alert's state.
        None | Some(Node::Static(StaticNode::Null) | Node::Object { .. }) => Ok(None),
        Some(Node::String("firing")) => Ok(Some(Status::Firing)),
        Some(Node::String("resolved")) => Ok(Some(Status::Resolved)),
        Some(Node::String(text)) => Err(Reason::Status(format!("{:?}", excerpt(text)))),
        other => Err(Reason::Status(kind(other).to_owned())),
    }
}

fn read_breach(
    nodes: &[Node<'_>],
    at: Option<usize>,
    options: &Options,
) -> Option<hypocenter_engine::Breach> {
    let mut found = breach::Found::default();
    for (name, value) in Entries::of(nodes, at?)? {
        found.offer(&options.breach, name, nodes.get(value)?);
    }
    found.breach()
}

fn read_received(node: Option<&Node<'_>>) -> Result<Option<Timestamp>, Reason> {
    match node {
        None | Some(Node::Static(StaticNode::Null)) => Ok(None),
        Some(Node::Static(StaticNode::I64(millis))) => Ok(Some(Timestamp::from_millis(*millis))),
        Some(Node::Static(StaticNode::U64(millis))) => {
            let millis = i64::try_from(*millis).unwrap_or(i64::MAX);
            Ok(Some(Timestamp::from_millis(millis)))
        }
        other => Err(Reason::ReceiveTime(kind(other))),
    }
}

/// Unix seconds, as a recording has them, to the microsecond: a double holds no more today.
#[expect(clippy::cast_possible_truncation, reason = "the cast saturates, as it should")]
pub(super) fn unix_seconds(node: &Node<'_>) -> Option<Timestamp> {
    let micros = (plain(node)? * 1e6).round() as i64;
    Some(Timestamp::from_nanos(micros.saturating_mul(1000)))
}
