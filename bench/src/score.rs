//! Accuracy: predictions against labelled faults, next to simple rules on the same data.
//!
//! Two questions are measured. *Ranking*: in a single-fault case, how high does the true root
//! cause stand? *Grouping*: in a storm of overlapping faults, do alerts of one fault, and only
//! those, share an incident, and does the incident name the fault's root cause?
//!
//! Predictions of Hypocenter and of anything else go the same way, as the lines of
//! [`predictions`], which can be written, looked at, and scored again.

pub mod ablation;
mod agreement;
mod alerting;
pub mod baselines_grouping;
pub mod baselines_ranking;
pub mod calibration;
pub mod data;
pub mod evaluation;
mod files;
mod graph;
pub mod grouping;
mod groups;
pub mod hypocenter;
pub mod predictions;
pub mod ranking;
pub mod table;
