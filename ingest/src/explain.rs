//! Why an incident is what it is, re-derived from its recorded input.
//!
//! [`Collector`] listens to a replay that is traced and keeps, for every alert, what became of each
//! of its events, and for every incident its versions. [`Explanation`] picks what concerns one
//! incident, or one of its alerts.

mod chain;
mod collect;
mod text;

pub use chain::{AlertChain, Explanation, NotFound, Step, Weighing};
pub use collect::Collector;
