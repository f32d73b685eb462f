//! Hypocenter's core: a deterministic state machine that turns alert events into incidents and
//! names exactly one root-cause candidate for each.
#![forbid(unsafe_code)]

mod alerts;
mod decision;
mod engine;
mod event;
mod evidence;
mod grouping;
mod hash;
mod hypotheses;
mod incident;
mod incidents;
mod kind;
mod label;
mod limits;
mod mapping;
mod model;
mod policy;
mod score;
mod stats;
mod subject;
mod symbol;
mod symptom;
mod table;
mod time;
mod timers;
mod topology;
mod view;
mod walk;

pub use decision::{Decision, Decisions, Episode, IncidentId, RerankCause, Suppressor};
pub use engine::{Engine, Footprint, Progress};
pub use event::{AlertEvent, Breach, Seq, Side, Status};
pub use incident::Phase;
pub use kind::{Kind, KindWords};
pub use label::{Fingerprint, LabelError, LabelLimits, Labels};
pub use limits::{Limit, Limits};
pub use mapping::{Mapped, Mapping, MappingError, MappingRule, default_mapping};
pub use policy::{
    Grouping, KindWeight, KindWeights, LabelRoles, MappingSpec, Policy, PolicyError, PolicySpec,
    Ranking, Times,
};
pub use score::Score;
pub use stats::Stats;
pub use subject::Severity;
pub use table::HashSeed;
pub use time::{Span, Timestamp};
pub use topology::{Topology, TopologyBuilder, TopologyReport};
pub use view::{CandidateView, Code, Degraded, Evidence, IncidentView, MemberView, WhyNot};
