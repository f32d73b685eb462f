//! Tests of the decoder and of the sources of files, from outside.

mod bad_input;
mod common;
mod files;
mod recordings;
mod roundtrip;
