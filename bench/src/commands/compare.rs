//! `compare`: one run beside another.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::measure::compare::compare as table;
use crate::measure::engine::Run;

/// Arguments of `compare`.
#[derive(Args, Clone, Debug)]
pub struct CompareArgs {
    /// The run before: a file that `engine --results` wrote; its last line counts.
    #[arg(value_name = "A")]
    pub before: PathBuf,
    /// The run after, likewise.
    #[arg(value_name = "B")]
    pub after: PathBuf,
}

/// Compares; what is to be printed.
///
/// # Errors
/// When a run cannot be read, or B is worse than A beyond the noise.
pub fn compare(args: &CompareArgs) -> Result<String> {
    let (text, worse) = table(&read(&args.before)?, &read(&args.after)?);
    if worse {
        bail!("B is worse than A\n\n{text}");
    }
    Ok(text)
}

fn read(file: &Path) -> Result<Run> {
    let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let last = text.lines().rfind(|line| !line.trim().is_empty());
    let last = last.with_context(|| format!("{} has no line", file.display()))?;
    serde_json::from_str(last).with_context(|| {
        format!("the last line of {} is no run of `engine --results`", file.display())
    })
}
