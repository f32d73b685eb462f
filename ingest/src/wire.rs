//! The one decoder for everything that comes in: Kafka values, HTTP bodies, lines of files.
//!
//! The shape of a body is recognised, not configured: an Alertmanager webhook, an array of alerts
//! as Prometheus posts it, one alert, or a line of a recording that holds one of these. What is
//! accepted, and where that differs from Alertmanager on purpose, is in `docs/decoder.md`.
//!
//! A body is copied once, parsed by simd-json onto a tape of nodes, and walked; texts are slices
//! of the copy. All buffers are used again: once they have grown, decoding allocates only to say
//! what was wrong. The parser and the walk use no recursion, so nesting costs no stack.

mod alert;
mod batch;
mod body;
mod breach;
mod date;
mod fault;
mod shape;
mod tape;
pub mod time;

use hypocenter_engine::{AlertEvent, LabelLimits, Timestamp};
use simd_json::tape::{Node, Tape};
use simd_json::{Buffers, INPUT_PADDING};

pub use alert::Details;
pub use batch::{Batch, Scratch};
pub use body::{BodyError, BodyFault, Place};
pub use breach::BreachNames;
pub use fault::{Reason, Rejected};
pub use shape::Shape;

use alert::{Form, Pairs};
use shape::Content;

/// Largest body from the network, in bytes: 256 alerts of 16 KiB.
pub const BODY_BYTES_MAX: usize = 4 << 20;
/// Deepest nesting of a body. Real ones have four levels.
pub const DEPTH_MAX: usize = 32;
/// Buffers that a body larger than this has blown up are let go after it.
const KEEP_BYTES_MAX: usize = 1 << 20;

/// What the decoder accepts, and where it looks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Bounds on one alert's labels.
    pub labels: LabelLimits,
    /// Largest body, in bytes. Parsing takes up to 40 bytes of memory for each byte of it.
    pub body_bytes_max: usize,
    /// The annotations that carry a measured value and its limit.
    pub breach: BreachNames,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            labels: LabelLimits::default(),
            body_bytes_max: BODY_BYTES_MAX,
            breach: BreachNames::default(),
        }
    }
}

/// One alert of a body.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Decoded<'a> {
    /// The event, valid.
    pub event: AlertEvent<'a>,
    /// When it was received, where the body itself says so: recordings only. A body from the
    /// network may claim anything here; whoever reads from there must not use it.
    pub received_at: Option<Timestamp>,
    /// The sender's `fingerprint` field, as it stands there. Never trusted: the engine computes
    /// its own from the labels.
    pub fingerprint: Option<&'a str>,
    /// What is shown and never looked at by the engine.
    pub details: Details<'a>,
}

/// Through which door a body comes in. What may be sent there is said by the shape alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Door {
    /// Files and topics: every shape, recordings too.
    #[default]
    Any,
    /// Alertmanager's API: a list of alerts.
    Api,
    /// What Alertmanager sends: its webhook's payload, and records of its event recorder.
    Webhook,
}

impl Door {
    /// What a body is refused with that has another shape.
    fn admits(self, content: &Content<'_, '_>) -> Result<(), BodyFault> {
        let shape = content.shape();
        match self {
            Self::Any => Ok(()),
            Self::Api if shape == Some(Shape::Alerts) => Ok(()),
            Self::Webhook
                if matches!(shape, Some(Shape::Webhook | Shape::Events | Shape::NotAlerts)) =>
            {
                Ok(())
            }
            Self::Api => Err(BodyFault::Door(
                "a list of alerts belongs here; to /webhook goes what Alertmanager's webhook sends",
            )),
            Self::Webhook => Err(BodyFault::Door(
                "what Alertmanager's webhook or event recorder sends belongs here; a list of alerts goes to /api/v2/alerts",
            )),
        }
    }
}

/// What a body came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Summary {
    /// The shape, inside the recording if it is one.
    pub shape: Shape,
    /// Alerts handed out.
    pub accepted: u32,
    /// Alerts refused.
    pub rejected: u32,
    /// Alerts that the sender left out (a webhook's `truncatedAlerts`): more than 0 means that its
    /// `max_alerts` is set and the feed is not complete.
    pub truncated: u64,
}

/// Takes what is found in a body, in order.
pub type Each<'f> = dyn FnMut(Result<Decoded<'_>, Rejected>) + 'f;

/// Decodes one body after the other, with buffers that are used again.
pub struct Decoder {
    options: Options,
    door: Door,
    /// The padded copy of the body, which the parser unescapes in place.
    text: Vec<u8>,
    /// The body inside a recording line.
    inner: Vec<u8>,
    buffers: Buffers,
    tape: Tape<'static>,
    pairs: Pairs<'static>,
}

impl Decoder {
    /// A decoder with empty buffers.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            door: Door::Any,
            text: Vec::new(),
            inner: Vec::new(),
            buffers: Buffers::with_max_depth(0, DEPTH_MAX),
            tape: Tape(Vec::new()),
            pairs: Vec::new(),
        }
    }

    /// A decoder of what comes in through one door only.
    #[must_use]
    pub fn at(door: Door, options: Options) -> Self {
        Self { door, ..Self::new(options) }
    }

    /// Decodes `body` and hands each of its alerts to `each`, in order: the event, or why it was
    /// refused. A refused alert does not concern the others.
    ///
    /// # Errors
    /// [`BodyError`] when the body as a whole cannot be read; nothing was handed out then.
    pub fn decode(&mut self, body: &[u8], each: &mut Each<'_>) -> Result<Summary, BodyError> {
        let outcome = match self.pass(body, None, each) {
            Ok(Pass::Done(summary)) => Ok(summary),
            Ok(Pass::Inner(received_at)) => self.decode_inner(received_at, each),
            Err(error) => Err(error),
        };
        if body.len() > KEEP_BYTES_MAX {
            *self = Self::at(self.door, std::mem::take(&mut self.options));
        }
        outcome
    }

    fn decode_inner(&mut self, at: Timestamp, each: &mut Each<'_>) -> Result<Summary, BodyError> {
        let inner = std::mem::take(&mut self.inner);
        let outcome = self.pass(&inner, Some(at), each);
        self.inner = inner;
        match outcome {
            Ok(Pass::Done(summary)) => Ok(summary),
            Ok(Pass::Inner(_)) => {
                let fault = BodyFault::Shape("a recording line inside a recording line");
                Err(BodyError::whole(fault).recorded())
            }
            Err(error) => Err(error.recorded()),
        }
    }

    /// Parses and walks one body. That of a recording line is left in `inner` for another pass.
    fn pass(
        &mut self,
        body: &[u8],
        received_at: Option<Timestamp>,
        each: &mut Each<'_>,
    ) -> Result<Pass, BodyError> {
        precheck(body, self.options.body_bytes_max)?;
        self.text.clear();
        self.text.extend_from_slice(body);
        self.text.resize(body.len() + INPUT_PADDING, b' ');
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let mut pairs = recycled(std::mem::take(&mut self.pairs));
        let parsed =
            simd_json::fill_tape_padded(&mut self.text, body.len(), &mut self.buffers, &mut tape);
        let outcome = match parsed {
            Ok(()) => shape::recognise(&tape.0)
                .and_then(|content| self.door.admits(&content).map(|()| content))
                .map(|content| {
                    let to = (&mut pairs, &mut self.inner);
                    walk(&tape.0, content, &self.options, received_at, to, each)
                })
                .map_err(BodyError::whole),
            Err(error) => Err(BodyError::from_json(body, &error, DEPTH_MAX)),
        };
        self.pairs = recycled(pairs);
        self.tape = tape.reset();
        outcome
    }
}

enum Pass {
    Done(Summary),
    Inner(Timestamp),
}

/// What can be said without parsing.
fn precheck(body: &[u8], max: usize) -> Result<(), BodyError> {
    let fault = if body.len() > max {
        let bytes = body.len();
        BodyFault::TooLarge { bytes, max }
    } else if body.starts_with(&[0x1F, 0x8B]) {
        BodyFault::Compressed
    } else if body.starts_with(b"\xEF\xBB\xBF") {
        BodyFault::ByteOrderMark
    } else if body.iter().all(u8::is_ascii_whitespace) {
        BodyFault::Empty
    } else {
        return Ok(());
    };
    Err(BodyError::whole(fault))
}

fn walk<'b>(
    nodes: &[Node<'b>],
    content: Content<'_, 'b>,
    options: &Options,
    received_at: Option<Timestamp>,
    (pairs, inner): (&mut Pairs<'b>, &mut Vec<u8>),
    each: &mut Each<'_>,
) -> Pass {
    let mut summary = Summary { shape: Shape::Alert, accepted: 0, rejected: 0, truncated: 0 };
    let mut hand_out =
        |summary: &mut Summary, at, form| match alert::read(nodes, at, form, pairs, options) {
            Ok(decoded) => {
                summary.accepted += 1;
                let received_at = decoded.received_at.or(received_at);
                each(Ok(Decoded { received_at, ..decoded }));
            }
            Err(reason) => {
                let index = summary.accepted + summary.rejected;
                summary.rejected += 1;
                each(Err(Rejected { index, reason }));
            }
        };
    match content {
        Content::One => hand_out(&mut summary, 0, Form::Plain),
        Content::Many { shape, elements, truncated } => {
            (summary.shape, summary.truncated) = (shape, truncated);
            for at in elements.into_iter().flatten() {
                hand_out(&mut summary, at, Form::Plain);
            }
        }
        Content::Events(events) => {
            summary.shape = Shape::Events;
            events.alerts(nodes, &mut |at| hand_out(&mut summary, at, Form::Recorded));
        }
        Content::NotAlerts => summary.shape = Shape::NotAlerts,
        Content::Recording { body, received_at } => {
            inner.clear();
            inner.extend_from_slice(body.as_bytes());
            return Pass::Inner(received_at);
        }
    }
    Pass::Done(summary)
}

/// The same allocation, empty, for texts that live elsewhere. (Collecting a mapped vector of the
/// same layout keeps its allocation; a test holds the standard library to that.)
fn recycled<'to>(mut pairs: Pairs<'_>) -> Pairs<'to> {
    pairs.clear();
    pairs.into_iter().map(|_| ("", "")).collect()
}

/// At most the first 64 bytes of a text, for messages.
fn excerpt(text: &str) -> String {
    let mut end = text.len().min(64);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pairs_keep_their_allocation() {
        let text = "x".to_owned();
        let mut pairs: Pairs<'_> = Vec::with_capacity(100);
        pairs.push((&text, &text));
        let (place, capacity) = (pairs.as_ptr().addr(), pairs.capacity());
        let pairs: Pairs<'static> = recycled(pairs);
        assert_eq!((pairs.as_ptr().addr(), pairs.capacity()), (place, capacity));
        assert!(pairs.is_empty());
    }

    #[test]
    fn a_large_body_does_not_keep_its_memory() {
        let mut decoder = Decoder::new(Options::default());
        let large = format!("[{}1]", "1,".repeat(KEEP_BYTES_MAX));
        let summary = decoder.decode(large.as_bytes(), &mut |_| {}).expect("an array");
        assert_eq!(summary.accepted, 0);
        assert!(decoder.tape.0.capacity() < 1000);
        assert!(decoder.text.capacity() < 1000);
    }
}
