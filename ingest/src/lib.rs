//! The daemon and command line around the engine: sources, decoding, sinks.

pub mod sink;
pub mod source;
pub mod wire;
