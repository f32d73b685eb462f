//! The daemon and command line around the engine: sources, decoding, sinks.

pub mod admin;
pub mod cli;
pub mod commands;
pub mod config;
pub mod duration;
pub mod file_error;
pub mod logging;
pub mod metrics;
pub mod redact;
pub mod sink;
pub mod source;
pub mod text_file;
pub mod topology_file;
pub mod yaml;
