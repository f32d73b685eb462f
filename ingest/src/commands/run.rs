//! `run`.

use super::{Exit, Failure};
use crate::cli::RunArgs;

/// Does what `run` asks for.
///
/// # Errors
/// [`Failure`] with the exit code.
pub fn run(_args: &RunArgs) -> Result<(), Failure> {
    Err(Failure::new(Exit::Runtime, "run: not wired yet"))
}
