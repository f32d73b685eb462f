//! Hypocenter's core: a deterministic state machine that turns alert events into incidents and
//! names exactly one root-cause candidate for each.
#![forbid(unsafe_code)]

mod event;
mod hash;
mod kind;
mod label;
mod limits;
mod mapping;
mod policy;
mod score;
mod symbol;
mod table;
mod time;
mod topology;
mod walk;

pub use event::{AlertEvent, Breach, Seq, Side, Status};
pub use kind::{Kind, KindWords};
pub use label::{Fingerprint, LabelError, LabelLimits, Labels};
pub use limits::{Limit, Limits};
pub use mapping::{Mapped, Mapping, MappingError, MappingRule, default_mapping};
pub use policy::{
    Grouping, KindWeight, KindWeights, LabelRoles, MappingSpec, Policy, PolicyError, PolicySpec,
    Ranking, Times,
};
pub use score::Score;
pub use table::HashSeed;
pub use time::{Span, Timestamp};
pub use topology::{Topology, TopologyBuilder, TopologyReport};
