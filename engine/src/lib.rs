//! Hypocenter's core: a deterministic state machine that turns alert events into incidents and
//! names exactly one root-cause candidate for each.
//!
//! An [`AlertEvent`] is one raw observation: "this alert fires" or "it is resolved". The
//! [`Engine`] finds the alert it is about by its [`Labels`]. If that alert is known and goes on as
//! before, only counters change. A new one is mapped to an entity of the [`Topology`], and joins
//! the incident whose root explains it better than a root of its own would; otherwise it opens an
//! incident. Each alert adds evidence for its own entity and for those that it depends on, and the
//! entity with the most of it is the incident's candidate.
//!
//! What the engine says are [`Decision`]s, in a buffer of the caller's. `Published` among them asks
//! the caller to read a new version of an incident, with [`Engine::incident`]. Everything that can
//! be tuned is in the [`Policy`].
//!
//! The engine does no I/O, reads no clock and starts no thread. Time is an argument, and what falls
//! due is decided as of its deadline: [`Engine::advance`] may be called late, early or twice. The
//! same calls give the same decisions, on every machine.
//!
//! ```
//! use hypocenter_engine::{
//!     AlertEvent, Decision, Decisions, Engine, HashSeed, LabelLimits, Labels, Phase, Policy,
//!     Progress, Seq, Span, Timestamp, TopologyBuilder,
//! };
//!
//! // Who depends on whom: failure flows against these edges.
//! let mut graph = TopologyBuilder::new();
//! graph.edge("frontend", "cart");
//! graph.edge("cart", "redis");
//! let (topology, _) = graph.build();
//!
//! let mut engine = Engine::new(Policy::default(), topology, "test/0", HashSeed(7));
//! let mut decisions = Decisions::new();
//! let mut published = None;
//!
//! // The symptom comes first, and the cause a second later.
//! for (seq, (alertname, service)) in
//!     [("HighLatency", "frontend"), ("RedisDown", "redis")].into_iter().enumerate()
//! {
//!     let mut pairs = vec![
//!         ("alertname", alertname),
//!         ("service", service),
//!         ("severity", "critical"),
//!     ];
//!     let labels = Labels::canonical(&mut pairs, &LabelLimits::default())?;
//!     let now = Timestamp::from_millis(1_000 * (seq as i64 + 1));
//!     let event = AlertEvent {
//!         labels,
//!         starts_at: Some(now),
//!         ends_at: None,
//!         held: Span::ZERO,
//!         status: None,
//!         breach: None,
//!     };
//!     decisions.clear();
//!     engine.apply(Seq(seq as u64), &event, now, &mut decisions);
//!     for decision in decisions.as_slice() {
//!         if let &Decision::Published { incident, version } = decision {
//!             published = Some((incident, version));
//!         }
//!     }
//! }
//!
//! // Both are one incident, in its second version, and the cause is named.
//! let (id, version) = published.expect("an incident");
//! let incident = engine.incident(id).expect("it can be read");
//! assert_eq!((incident.version(), version), (2, 2));
//! assert_eq!(incident.member_counts(), (2, 2));
//! let candidate = incident.root_cause().expect("there is one from the first alert on");
//! assert_eq!(candidate.entity, "redis");
//! assert_eq!(incident.evidence()[0].code.name(), "OWN_ALERT");
//! assert_eq!(incident.phase(), Phase::Open);
//!
//! // Nothing more comes. Time passes, and the incident settles, as of its deadline.
//! let settled = loop {
//!     let due = engine.next_deadline().expect("it will settle");
//!     decisions.clear();
//!     if engine.advance(due, &mut decisions) == Progress::More {
//!         break due;
//!     }
//! };
//! assert_eq!(decisions.as_slice()[0], Decision::Settled { incident: id });
//! assert_eq!(engine.incident(id).map(|incident| incident.updated()), Some(settled));
//! # Ok::<(), hypocenter_engine::LabelError>(())
//! ```
#![forbid(unsafe_code)]

mod alerts;
mod background;
mod chain;
mod decision;
mod directory;
mod engine;
mod entity;
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
mod paths;
#[cfg(not(feature = "planted"))]
mod planted;
#[cfg(feature = "planted")]
pub mod planted;
mod policy;
mod regraph;
mod score;
mod snapshot;
mod state;
mod stats;
mod subject;
mod symbol;
mod symptom;
mod table;
mod time;
mod timers;
mod topology;
mod trace;
mod view;
mod walk;

pub use decision::{Decision, Decisions, Episode, IncidentId, RerankCause, Suppressor};
pub use directory::Found;
pub use engine::{Engine, Footprint, OtherParameters, Progress, Supposed};
pub use entity::{EntityKind, EntityName};
pub use event::{AlertEvent, Breach, Seq, Side, Status};
pub use incident::Phase;
pub use kind::{Kind, KindWords};
pub use label::{Fingerprint, LabelError, LabelLimits, Labels};
pub use limits::{Limit, Limits};
pub use mapping::{
    Action, Exporter, Mapped, Mapping, MappingError, MappingRule, MappingSpec, Tried,
    default_aliases, default_exporters, default_rules, workload_of_pod,
};
pub use paths::{NoPath, PathView, Stop};
pub use policy::{
    Grouping, KindWeight, KindWeights, LabelRoles, Policy, PolicyError, PolicySpec, Ranking, Times,
};
pub use score::Score;
pub use snapshot::{Snapshot, SnapshotError};
pub use state::{STATE_VERSION, StateError, StateHeader};
pub use stats::Stats;
pub use subject::Severity;
pub use table::HashSeed;
pub use time::{Span, Timestamp};
pub use topology::{EdgeKind, Topology, TopologyBuilder, TopologyReport};
pub use trace::{Alternative, Comparison, Placement, Verdict, Weighed};
pub use view::{CandidateView, Code, Degraded, Evidence, IncidentView, MemberView, WhyNot};
