//! What can be wrong with one alert of a body, and how that is said.

use hypocenter_engine::LabelError;

use super::time::TimeError;

/// One alert of a body was refused; the others are not concerned.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("alert {} of the body: {reason}", index + 1)]
pub struct Rejected {
    /// Which one, counted from 0.
    pub index: u32,
    /// Why.
    pub reason: Reason,
}

/// Why one alert was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The element is not an object.
    #[error("it is {0}, must be an object with `labels`")]
    NotAnObject(&'static str),
    /// There is no field `labels`, or it is no object.
    #[error("`labels` is {0}, must be an object of strings")]
    NoLabels(&'static str),
    /// A label has a value that is no string.
    #[error("label {name:?} is {found}, must be a string")]
    LabelType {
        /// The label's name, cut to 64 bytes.
        name: String,
        /// What its value is.
        found: &'static str,
    },
    /// The label set is empty or exceeds a limit.
    #[error(transparent)]
    Labels(#[from] LabelError),
    /// A time is no string.
    #[error("`{field}` is {found}, must be a string such as \"2006-01-02T15:04:05Z\"")]
    TimeType {
        /// `startsAt` or `endsAt`.
        field: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A time cannot be read.
    #[error("`{field}` {text:?}: {why}")]
    Time {
        /// `startsAt` or `endsAt`.
        field: &'static str,
        /// The text, cut to 64 bytes.
        text: String,
        /// What is wrong with it.
        why: TimeError,
    },
    /// It ends before it starts.
    #[error("`endsAt` is before `startsAt`")]
    EndsBeforeStart,
    /// The status is neither `firing` nor `resolved`.
    #[error("`status` is {0}, must be \"firing\" or \"resolved\"")]
    Status(String),
    /// The receive time is no whole number.
    #[error("`ts_ms` is {0}, must be a whole number of milliseconds since 1970")]
    ReceiveTime(&'static str),
}

impl Reason {
    /// A short name from a fixed set, for counters.
    #[must_use]
    pub const fn class(&self) -> &'static str {
        match self {
            Self::NotAnObject(_) => "not_an_object",
            Self::NoLabels(_) => "no_labels",
            Self::LabelType { .. } => "label_type",
            Self::Labels(LabelError::Empty) => "labels_empty",
            Self::Labels(LabelError::EmptyName { .. }) => "label_name_empty",
            Self::Labels(_) => "label_limit",
            Self::TimeType { .. } | Self::Time { .. } => "time",
            Self::EndsBeforeStart => "ends_before_start",
            Self::Status(_) => "status",
            Self::ReceiveTime(_) => "receive_time",
        }
    }
}
