//! The HTTP server from outside: what senders, readers and attackers get.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod api;
mod common;
mod feedback;
mod limits;
mod openapi;
mod probes;
mod security;
