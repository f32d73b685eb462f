//! The daemon and command line around the engine: sources, decoding, sinks.

mod kafka;
pub mod kafka_mock;
pub mod sink;
pub mod source;
pub mod wire;
