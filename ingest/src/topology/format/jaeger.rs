//! Jaeger's dependencies: `GET /api/dependencies`.

use std::borrow::Cow;

use hypocenter_engine::EdgeKind;
use serde::Deserialize;

use super::{Draft, FormatError};

#[derive(Deserialize)]
struct Answer<'t> {
    #[serde(borrow)]
    data: Option<Vec<Link<'t>>>,
    errors: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Link<'t> {
    #[serde(borrow)]
    parent: Cow<'t, str>,
    #[serde(borrow)]
    child: Cow<'t, str>,
    call_count: Option<f64>,
}

pub(super) fn read(bytes: &[u8], draft: &mut Draft) -> Result<(), FormatError> {
    let answer: Answer<'_> =
        serde_json::from_slice(bytes).map_err(|error| FormatError::json(&error, bytes))?;
    let errors = answer.errors.filter(|errors| {
        !errors.is_null() && errors.as_array().is_none_or(|list| !list.is_empty())
    });
    if let Some(errors) = errors {
        return Err(FormatError::new(format!("Jaeger says: {errors}")));
    }
    let links = answer.data.ok_or_else(|| FormatError::new("has no `data`"))?;
    add(&links, draft);
    Ok(())
}

pub(super) fn add(links: &[Link<'_>], draft: &mut Draft) {
    for link in links {
        if link.call_count.is_some_and(|count| count <= 0.0) {
            draft.skipped.idle += 1;
            continue;
        }
        let from = draft.peer(("", ""), &link.parent, None);
        let to = draft.peer(("", ""), &link.child, None);
        draft.edge(from, to, EdgeKind::Calls);
    }
}
