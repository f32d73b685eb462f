//! Measuring speed: how long it takes, what it allocates, what it decides, and where it was run.

pub mod allocations;
pub mod compare;
mod drive;
pub mod engine;
pub mod machine;
pub mod quantiles;
pub mod results;
