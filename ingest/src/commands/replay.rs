//! `replay`.

use super::{Exit, Failure};
use crate::cli::ReplayArgs;

/// Does what `replay` asks for.
///
/// # Errors
/// [`Failure`] with the exit code.
pub fn replay(_args: &ReplayArgs) -> Result<(), Failure> {
    Err(Failure::new(Exit::Runtime, "replay: not wired yet"))
}
