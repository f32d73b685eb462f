//! Synthetic faults: alert streams made from a cause, so that the truth is known, at sizes and
//! speeds that no recording has.
//!
//! A [`scenario::Scenario`] is a dependency graph, the alerts that each fault and each piece of
//! noise raises, and the events in which a Prometheus would tell of them. All of it follows from a
//! seed: the same seed gives the same bytes. [`play`] runs the real engine over it, and the scorer
//! of recorded storms judges the result.
//!
//! What is drawn, and why, is described in `docs/synthetic.md`.

mod cascade;
mod decoys;
mod graph;
mod kinds;
mod layered;
mod numbers;
pub mod play;
mod report;
mod rules;
mod scale;
pub mod scenario;
mod slow;
mod stream;
pub mod workload;
pub mod write;

pub use kinds::{Draw, Kind, Maker, Options, scenarios};
pub use report::report;
