//! What comes in: one observation of an alert, valid by construction.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::label::Labels;
use crate::time::{Span, Timestamp};

/// Position of an event in its input: a Kafka offset, a line number. Strictly increasing.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    BorshDeserialize,
    BorshSerialize,
)]
pub struct Seq(pub u64);

/// One raw observation, "this alert is firing" or "it is resolved", as received.
///
/// Times are the sender's and are data only: they never move the engine's clock.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AlertEvent<'a> {
    /// The alert's identity.
    pub labels: Labels<'a>,
    /// When the sender says it began to fire; `None` when unset.
    pub starts_at: Option<Timestamp>,
    /// When it ended or will be considered ended; `None` when unset.
    pub ends_at: Option<Timestamp>,
    /// How long the condition had held when the alert began to fire: the `for` of its rule, as far
    /// as it is known, else zero. The onset lies this long before `starts_at`.
    pub held: Span,
    /// What the sender says outright. `None`: resolved exactly when `ends_at` is not after now.
    pub status: Option<Status>,
    /// How far over its limit the metric is, when the alert says so in numbers.
    pub breach: Option<Breach>,
}

/// The sender's explicit status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// The condition holds.
    Firing,
    /// The condition no longer holds.
    Resolved,
}

/// A measured value against its limit, both finite and in the metric's own unit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Breach {
    /// The measured value.
    pub value: f64,
    /// The limit of the rule.
    pub threshold: f64,
    /// Which side of the limit is bad.
    pub side: Side,
}

/// Which side of the limit is bad.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The alert fires above its limit.
    Above,
    /// The alert fires below its limit.
    Below,
}
