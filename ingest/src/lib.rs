//! The daemon and command line around the engine: sources, decoding, sinks.

pub mod admin;
mod backoff;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod duration;
pub mod file_error;
pub mod http_client;
mod kafka;
pub mod kafka_mock;
pub mod logging;
pub mod metrics;
pub mod offsets;
pub mod outbox;
pub mod outcome;
pub mod pipeline;
pub mod record;
pub mod redact;
pub mod replay;
pub mod shard;
pub mod sink;
pub mod source;
pub mod text_file;
pub mod topology_file;
pub mod wire;
pub mod yaml;
