//! `demo`.

use super::{Exit, Failure};
use crate::cli::DemoArgs;

/// Does what `demo` asks for.
///
/// # Errors
/// [`Failure`] with the exit code.
pub fn demo(_args: &DemoArgs) -> Result<(), Failure> {
    Err(Failure::new(Exit::Runtime, "demo: not wired yet"))
}
