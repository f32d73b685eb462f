//! Prometheus' answer to an instant query.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use super::FormatError;

/// One series of the answer.
#[derive(Deserialize)]
pub(super) struct Sample<'t> {
    #[serde(borrow)]
    metric: BTreeMap<Cow<'t, str>, Cow<'t, str>>,
    #[serde(borrow)]
    value: (f64, Cow<'t, str>),
}

impl Sample<'_> {
    /// A label; empty when it is not set.
    pub(super) fn get(&self, label: &str) -> &str {
        self.metric.get(label).map_or("", |value| value)
    }

    pub(super) fn has(&self, label: &str) -> bool {
        self.metric.contains_key(label)
    }

    /// Whether something goes this way: a number above zero.
    pub(super) fn flows(&self) -> bool {
        self.value.1.parse::<f64>().is_ok_and(|value| value > 0.0)
    }
}

#[derive(Deserialize)]
struct Answer<'t> {
    #[serde(borrow)]
    status: Option<Cow<'t, str>>,
    #[serde(borrow)]
    error: Option<Cow<'t, str>>,
    #[serde(borrow)]
    data: Option<Data<'t>>,
}

#[derive(Deserialize)]
struct Data<'t> {
    #[serde(borrow, rename = "resultType")]
    sort: Cow<'t, str>,
    #[serde(borrow)]
    result: &'t serde_json::value::RawValue,
}

pub(super) fn read(bytes: &[u8]) -> Result<Vec<Sample<'_>>, FormatError> {
    let answer: Answer<'_> =
        serde_json::from_slice(bytes).map_err(|error| FormatError::json(&error, bytes))?;
    if answer.status.as_deref() != Some("success") {
        let why = answer.error.as_deref().unwrap_or("it says no why");
        return Err(FormatError::new(format!("is no answer of Prometheus with success: {why}")));
    }
    let data = answer.data.ok_or_else(|| FormatError::new("has no `data`"))?;
    if data.sort != "vector" {
        let what = format!("is a {}; the query must give an instant vector", data.sort);
        return Err(FormatError::new(what));
    }
    serde_json::from_str(data.result.get())
        .map_err(|error| FormatError::new(format!("data.result: {error}")))
}
