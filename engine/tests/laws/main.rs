//! Laws: what holds for every graph, every script of alerts and every policy.
//!
//! Each law says which promise it covers: E1 to E17 are the engine's promises, S, M and L what is
//! usually asked of a stream processor (safety, metamorphic laws, liveness). The cases are the
//! same in every run; `scripts/laws` asks for more of them, or for others. `Engine::check`, which
//! recomputes every figure of the state, runs after each step of most laws.

#![expect(clippy::disallowed_methods, reason = "the number of cases is the caller's choice")]
#![expect(clippy::disallowed_types, reason = "how long a law takes is told, and decides nothing")]

mod grouping;
mod harness;
mod identity;
mod limits;
mod oracle;
#[cfg(feature = "planted")]
mod planted;
mod ranking;
mod registry;
mod state;
#[path = "../support/mod.rs"]
mod support;
mod swaps;
mod time;
mod world;
