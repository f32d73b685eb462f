//! What Prometheus and Alertmanager next door know: how long conditions must hold before alerts
//! fire, and which alerts are active.
//!
//! Threads of their own ask; nothing here is waited for by the pipeline, and nothing that a
//! neighbour answers, or fails to, ends anything.

pub mod holds;
pub mod resync;
mod rules;
pub mod watch;

pub use holds::{Hold, HoldReader, HoldTable, Holds};
