//! The history of deliberate runs: a JSON line each.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

/// Appends a run to a file, which is made when it is not there.
///
/// # Errors
/// That the file cannot be written.
pub fn append(file: &Path, run: &impl Serialize) -> Result<()> {
    let line = serde_json::to_string(run).context("write the run as JSON")?;
    let name = || format!("append to {}", file.display());
    let mut file = OpenOptions::new().create(true).append(true).open(file).with_context(name)?;
    writeln!(file, "{line}").with_context(name)
}
