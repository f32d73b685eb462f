//! Hypocenter's core: a deterministic state machine that turns alert events into incidents and
//! names exactly one root-cause candidate for each.
#![forbid(unsafe_code)]

mod event;
mod label;
mod time;

pub use event::{AlertEvent, Breach, Seq, Side, Status};
pub use label::{Fingerprint, LabelError, LabelLimits, Labels};
pub use time::{Span, Timestamp};
