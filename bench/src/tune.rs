//! Tuning: searches the policy's parameters on labelled data, judged on systems left out.
//!
//! The configuration file is the parameter space: whatever number or duration `default.yml` has
//! under its policy sections can be searched, and what is found is a configuration file.

pub mod folds;
pub mod measure;
pub mod objective;
pub mod report;
pub mod search;
pub mod space;
pub mod tree;
