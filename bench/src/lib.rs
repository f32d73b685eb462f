//! Hypocenter's harness: how good its answers are, measured against simple rules, and what they
//! cost.
//!
//! Nothing depends on this crate. It may use every other one through its public door only, so
//! that what is measured is what a user gets.
#![forbid(unsafe_code)]

pub mod cli;
pub mod commands;
pub mod measure;
pub mod required;
pub mod score;
pub mod synth;
pub mod tune;
