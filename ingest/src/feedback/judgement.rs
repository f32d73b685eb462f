//! One verdict, and what makes it valid.

use hypocenter_engine::Timestamp;
use serde::{Deserialize, Serialize};

/// Longest text of each sort, in bytes.
const WHO_MAX: usize = 128;
const ENTITY_MAX: usize = 512;
const KEY_MAX: usize = 128;
const NOTE_MAX: usize = 1000;

/// What somebody says of an incident's candidate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is the root cause.
    Confirm,
    /// It is not.
    Reject,
}

impl Verdict {
    /// Name in output and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::Reject => "reject",
        }
    }
}

/// Which way it came.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// The command line, straight into the log.
    File,
    /// HTTP.
    Http,
    /// A Kafka topic.
    Kafka,
}

/// One line of the log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Judgement {
    /// When it was taken, in milliseconds since 1970.
    pub at_ms: i64,
    /// The incident.
    pub incident: String,
    /// The verdict.
    pub verdict: Verdict,
    /// The entity that was the root cause, if that is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
    /// Who says so.
    pub who: String,
    /// Two judgements with the same key are one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Anything else that they want to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Which way it came.
    pub via: Via,
}

/// Why a judgement is not valid.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{field}: {what}")]
pub struct Invalid {
    /// The field.
    pub field: &'static str,
    /// What is wrong, and what is allowed.
    pub what: String,
}

/// What a client sends: some of a judgement.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sent {
    #[serde(default)]
    pub(super) incident: Option<String>,
    verdict: Verdict,
    #[serde(default)]
    entity: Option<String>,
    who: String,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    note: Option<String>,
}

impl Sent {
    /// Reads a body. `incident` and `key` are used where the body has none.
    pub(super) fn read(
        body: &[u8],
        (incident, key): (Option<&str>, Option<String>),
        via: Via,
        now: Timestamp,
    ) -> Result<Judgement, Invalid> {
        let sent: Self = serde_json::from_slice(body).map_err(|error| Invalid {
            field: "body",
            what: format!(
                "{error}; it must be JSON such as {{\"verdict\": \"confirm\", \"who\": \"ada\"}}"
            ),
        })?;
        let named = match (incident, sent.incident) {
            (Some(asked), Some(other)) if asked != other => {
                let what = format!("is {other}, but the request is about {asked}");
                return Err(Invalid { field: "incident", what });
            }
            (Some(asked), _) => asked.to_owned(),
            (None, Some(named)) => named,
            (None, None) => {
                return Err(Invalid { field: "incident", what: "is missing".to_owned() });
            }
        };
        Judgement {
            at_ms: now.as_millis(),
            incident: named,
            verdict: sent.verdict,
            entity: sent.entity,
            who: sent.who,
            key: sent.key.or(key),
            note: sent.note,
            via,
        }
        .check()
    }
}

impl Judgement {
    /// The judgement, if it is valid.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn check(self) -> Result<Self, Invalid> {
        let id = self.incident.strip_prefix("inc-").filter(|id| id.len() == 16);
        let is_id = |id: &str| id.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
        if !id.is_some_and(is_id) {
            let what = "is no incident's id: inc- and 16 letters or digits".to_owned();
            return Err(Invalid { field: "incident", what });
        }
        text("who", Some(&self.who), WHO_MAX)?;
        text("entity", self.entity.as_deref(), ENTITY_MAX)?;
        text("key", self.key.as_deref(), KEY_MAX)?;
        text("note", self.note.as_deref(), NOTE_MAX)?;
        Ok(self)
    }
}

fn text(field: &'static str, text: Option<&str>, bytes_max: usize) -> Result<(), Invalid> {
    let what = match text {
        Some(text) if text.trim().is_empty() => "is empty".to_owned(),
        Some(text) if text.len() > bytes_max => {
            format!("has {} bytes, at most {bytes_max} are taken", text.len())
        }
        _ => return Ok(()),
    };
    Err(Invalid { field, what })
}
