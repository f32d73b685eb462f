//! The daemon and command line around the engine: sources, decoding, sinks.

pub mod config;
pub mod duration;
pub mod sink;
pub mod source;
pub mod text_file;
pub mod yaml;
