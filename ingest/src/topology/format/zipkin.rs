//! Zipkin's dependencies: `GET /api/v2/dependencies`.

use super::jaeger::{Link, add};
use super::{Draft, FormatError};

pub(super) fn read(bytes: &[u8], draft: &mut Draft) -> Result<(), FormatError> {
    let links: Vec<Link<'_>> =
        serde_json::from_slice(bytes).map_err(|error| FormatError::json(&error, bytes))?;
    add(&links, draft);
    Ok(())
}
