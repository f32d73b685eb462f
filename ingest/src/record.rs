//! The incident record: what Hypocenter says to the world, in one versioned JSON shape.
//!
//! `docs/incident.schema.json` is generated from the types below. Evolution is additive: fields
//! may be added, none is renamed, removed or changes its meaning within a schema version.
//!
//! A record holds nothing that is not a function of the input log, policy and topology, so that a
//! replay gives the same bytes. Measured latencies travel beside it, in headers and metrics.

use hypocenter_engine::{
    CandidateView, Code, Engine, Episode, Evidence, IncidentView, Kind, NoPath, PathView, Score,
    Timestamp, WhyNot,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::source::Shard;

/// Version of the record's schema.
pub const SCHEMA_VERSION: u32 = 1;
/// Members listed in a record; `members.count` tells how many there are.
pub const MEMBERS_LISTED: usize = 50;
/// Losing candidates that are told about.
const WHY_NOT_LISTED: usize = 3;
/// Affected entities that are named, and whose paths are told.
const AFFECTED_LISTED: usize = 100;
/// Top-most entities that are named.
const TOP_MOST_LISTED: usize = 8;

/// One version of one incident.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Hypocenter incident record", deny_unknown_fields)]
pub struct IncidentRecord<'a> {
    /// Version of this schema: 1.
    pub schema_version: u32,
    /// Id of the incident, derived from its tenant and first alert. Key of the record.
    pub incident: String,
    /// Version of the incident, from 1. Of two records of an incident, drop the one whose version
    /// is not greater than one you have seen.
    pub version: u64,
    /// Where the incident is in its life.
    pub phase: PhaseName,
    /// The incident that this one went into; set in phase `merged` only.
    pub merged_into: Option<String>,
    /// Value of the tenant label; empty when tenants are not configured.
    pub tenant: &'a str,
    /// Highest severity of its members: `critical`, `warning`, `info` or `none`.
    pub severity: &'static str,
    /// One line for people.
    pub title: String,
    /// Earliest onset of its members (RFC 3339, UTC).
    pub onset: Time,
    /// When it was opened, in log time.
    pub opened: Time,
    /// When it got this version, in log time.
    pub updated: Time,
    /// The entity held to be the root cause.
    pub root_cause: RootCause<'a>,
    /// The second-best candidate.
    pub runner_up: Option<Candidate<'a>>,
    /// Score of the candidate minus that of the runner-up.
    pub margin: Number,
    /// Why the candidate last changed; null while it is the first one.
    pub rerank_cause: Option<&'static str>,
    /// Why this candidate. Contributions sum to its score.
    pub evidence: Vec<EvidenceTerm<'a>>,
    /// Why not the next candidates.
    pub why_not: Vec<Lost<'a>>,
    /// What is affected.
    pub impact: Impact<'a>,
    /// How the trouble came from the candidate to each entity of `impact.affected`, in that order.
    pub paths: Vec<PathTo<'a>>,
    /// The alerts explained together.
    pub members: Members<'a>,
    /// How many events became this incident.
    pub dedup: Dedup,
    /// From which inputs, under which graph and policy.
    pub provenance: Provenance<'a>,
    /// What the engine had to do without: `outside_topology`, `unmapped`, `ambiguous`, `blind`,
    /// `refused_duration`, `refused_members`, `topology_stale`.
    pub degraded: Vec<String>,
}

/// Where an incident is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PhaseName {
    /// The candidate may still change soon.
    Open,
    /// The candidate has stood for a while: page on this.
    Settled,
    /// No member fires any more. Over, unless one of them fires anew soon.
    Resolved,
    /// It went into an older incident. Final.
    Merged,
}

/// A time in RFC 3339, UTC.
#[derive(Clone, Copy, Debug)]
pub struct Time(pub Timestamp);

/// A decimal number with at most six places.
#[derive(Clone, Copy, Debug)]
pub struct Number(pub Score);

/// The entity held to be the root cause.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RootCause<'a> {
    /// What is known of any candidate.
    #[serde(flatten)]
    pub candidate: Candidate<'a>,
    /// Whether the confidence is too low to rely on: probably the cause is not among the alerting
    /// entities.
    pub low_confidence: bool,
}

/// A candidate.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Candidate<'a> {
    /// Its name.
    pub entity: &'a str,
    /// Kind of the alert that shows it best; null when silent.
    pub kind: Option<&'static str>,
    /// Fingerprint of that alert; null when silent.
    pub fingerprint: Option<String>,
    /// Name of that alert; null when silent.
    pub alertname: Option<&'a str>,
    /// Sum of its evidence. One full latency alert is 1.
    pub score: Number,
    /// Share of belief, 0 to 1, among all candidates and "none of these".
    pub confidence: Number,
    /// Whether it has no alert of its own.
    pub silent: bool,
}

/// One term of the candidate's score.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EvidenceTerm<'a> {
    /// `OWN_ALERT`, `STARVED_CALLER`, `EXPLAINS`, `EXPLAINS_OTHERS`, `DISAGREEMENT`,
    /// `UNEXPLAINED`, `SILENT`.
    pub code: &'static str,
    /// The same for people.
    pub text: String,
    /// The entity that is explained.
    pub entity: Option<&'a str>,
    /// What is observed: strength of alerts, 0.5 just over the limit, 2 at most.
    pub value: Number,
    /// What a unit of it weighs.
    pub weight: Number,
    /// Value times weight.
    pub contribution: Number,
}

/// A candidate that lost.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Lost<'a> {
    /// The candidate.
    #[serde(flatten)]
    pub candidate: Candidate<'a>,
    /// Code of the term on which it lost most.
    pub lost_on: &'static str,
    /// By how much on that term.
    pub by: Number,
    /// By how much over all.
    pub margin: Number,
    /// The same for people.
    pub text: String,
}

/// What is affected.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Impact<'a> {
    /// Entities that alert.
    pub entities: usize,
    /// The first 100 of these, in the order in which they joined.
    pub affected: Vec<&'a str>,
    /// Alerting entities on which no other alerting one depends: where users feel it.
    pub top_most: Vec<&'a str>,
    /// How many of these there are; `top_most` names the first.
    pub top_most_count: usize,
}

/// How the trouble came from the candidate to one entity.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PathTo<'a> {
    /// The entity.
    pub entity: &'a str,
    /// One shortest way: the candidate first, the entity last, each depending on the one before
    /// it. Null when there is none.
    pub path: Option<Vec<&'a str>>,
    /// Entities on the way that do not alert in this incident.
    pub silent: Vec<&'a str>,
    /// Why there is no way; null when there is one.
    pub no_path: Option<WithoutPath<'a>>,
}

/// Why no path leads from the candidate to an entity.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WithoutPath<'a> {
    /// `OUTSIDE_TOPOLOGY`, `CANDIDATE_OUTSIDE_TOPOLOGY`, `CANDIDATE_DEPENDS_ON_IT`, `OTHER_ROOT`,
    /// `OUT_OF_REACH`.
    pub code: &'static str,
    /// The root that explains both, for `OTHER_ROOT`.
    pub root: Option<&'a str>,
    /// The same for people.
    pub text: String,
}

/// The alerts explained together.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Members<'a> {
    /// How many.
    pub count: usize,
    /// How many of them fire.
    pub firing: u32,
    /// How many of them say that monitoring fails: so much less is seen.
    pub blind: u32,
    /// The first ones, in the order in which they joined.
    pub listed: Vec<Member<'a>>,
    /// Whether `listed` lacks some.
    pub truncated: bool,
}

/// One alert.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Member<'a> {
    /// Alertmanager's fingerprint.
    pub fingerprint: String,
    /// Start of its latest episode, as first announced.
    pub starts_at: Time,
    /// Its name.
    pub alertname: &'a str,
    /// The entity it is about.
    pub entity: &'a str,
    /// Its kind.
    pub kind: &'static str,
    /// Its severity.
    pub severity: &'static str,
    /// Whether it fires.
    pub firing: bool,
    /// Dependencies from its entity down to the candidate; null when no short path leads there.
    pub hops: Option<u8>,
    /// The mapping rule that named the entity; null when none matched.
    pub mapped_by: Option<&'a str>,
    /// How the entity was found by the name that the rule gave: `exact`; `folded` (another
    /// spelling); `owner` (the workload or service that the graph gives for it, or that the alert
    /// names beside a pod that is not in the graph); `guessed_owner`
    /// (the workload that a pod's name tells of); `ambiguous` (several could be meant: its
    /// namespace, if that is known); `outside` (not in the graph).
    pub found: &'static str,
}

/// How many events became this incident.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Dedup {
    /// Events about its members.
    pub events: u64,
    /// Of these, repeats of what was known.
    pub repeats: u64,
    /// Times that a member fired again.
    pub flaps: u64,
}

/// From which inputs, under which graph and policy.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Provenance<'a> {
    /// Topic, or `replay`, or `-`.
    pub input: &'a str,
    /// Partition of the input.
    pub partition: u32,
    /// Position (offset, line) of the first event.
    pub first: u64,
    /// Position of the latest event before this version.
    pub last: u64,
    /// Hash of the dependency graph.
    pub topology: String,
    /// Hash of all parameters.
    pub policy: String,
    /// Hash of the table of rules' durations; null without one.
    pub rules: Option<String>,
    /// Version of the engine.
    pub engine: &'static str,
}

impl Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&rfc3339(self.0))
    }
}

impl JsonSchema for Time {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }
}

impl Serialize for Number {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0.to_f64())
    }
}

impl JsonSchema for Number {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Number".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "number" })
    }
}

/// A time for records: RFC 3339 in UTC, with as many fraction digits as it needs.
#[must_use]
pub fn rfc3339(time: Timestamp) -> String {
    match jiff::Timestamp::from_nanosecond(time.as_nanos().into()) {
        Ok(time) => time.to_string(),
        // Out of the calendar's range, which 64 bits of nanoseconds are not.
        Err(_) => time.as_nanos().to_string(),
    }
}

impl<'a> IncidentRecord<'a> {
    /// The record of an incident as it is now.
    #[must_use]
    pub fn new(engine: &Engine, view: &IncidentView<'a>, shard: &'a Shard) -> Self {
        let root = view.root_cause();
        let (first, last) = view.positions();
        let (events, repeats, flaps) = view.dedup();
        let (top_most, top_most_count) = view.top_most(TOP_MOST_LISTED);
        Self {
            schema_version: SCHEMA_VERSION,
            incident: view.id().to_string(),
            version: view.version(),
            phase: phase(view),
            merged_into: view.merged_into().map(|id| id.to_string()),
            tenant: view.tenant(),
            severity: view.severity().name(),
            title: title(view, root.as_ref()),
            onset: Time(view.onset()),
            opened: Time(view.opened()),
            updated: Time(view.updated()),
            root_cause: RootCause {
                candidate: root.as_ref().map_or_else(Candidate::nobody, Candidate::new),
                low_confidence: view.is_low_confidence(),
            },
            runner_up: view.runner_up().as_ref().map(Candidate::new),
            margin: Number(view.margin()),
            rerank_cause: view.rerank_cause().map(|cause| cause.name()),
            evidence: view.evidence().iter().map(EvidenceTerm::new).collect(),
            why_not: view.why_not(WHY_NOT_LISTED).iter().map(Lost::new).collect(),
            impact: Impact {
                entities: view.entities(),
                affected: view.affected(AFFECTED_LISTED).collect(),
                top_most,
                top_most_count,
            },
            paths: view.paths(AFFECTED_LISTED).iter().map(PathTo::new).collect(),
            members: members(view),
            dedup: Dedup { events, repeats, flaps },
            provenance: Provenance {
                input: &shard.input,
                partition: shard.partition,
                first: first.0,
                last: last.0,
                topology: format!("{:016x}", view.topology_version()),
                policy: format!("{:016x}", engine.policy().hash()),
                rules: None,
                engine: env!("CARGO_PKG_VERSION"),
            },
            degraded: degraded(view),
        }
    }
}

impl IncidentRecord<'_> {
    /// The same, decided under a version of the table of rules' durations.
    #[must_use]
    pub fn with_rules(mut self, version: Option<u64>) -> Self {
        self.provenance.rules = version.map(|version| format!("{version:016x}"));
        self
    }

    /// The same, decided under a graph of which some source has not answered for long, or not.
    #[must_use]
    pub fn with_stale_topology(mut self, is_stale: bool) -> Self {
        self.degraded.extend(is_stale.then(|| "topology_stale".to_owned()));
        self
    }
}

fn phase(view: &IncidentView<'_>) -> PhaseName {
    match view.phase() {
        hypocenter_engine::Phase::Open => PhaseName::Open,
        hypocenter_engine::Phase::Settled => PhaseName::Settled,
        hypocenter_engine::Phase::Resolved => PhaseName::Resolved,
        hypocenter_engine::Phase::Merged => PhaseName::Merged,
    }
}

fn title(view: &IncidentView<'_>, root: Option<&CandidateView<'_>>) -> String {
    let (alerts, entities) = (view.member_counts().0, view.entities());
    let name = root.map_or("unknown", |root| root.entity);
    let shown = root.and_then(|root| root.alertname).unwrap_or("no alert of its own");
    let counted = |n: usize, one: &str, many: &str| match n {
        1 => format!("1 {one}"),
        n => format!("{n} {many}"),
    };
    let (alerts, entities) =
        (counted(alerts, "alert", "alerts"), counted(entities, "entity", "entities"));
    format!("{name}: {shown} ({alerts} on {entities})")
}

fn members<'a>(view: &IncidentView<'a>) -> Members<'a> {
    let (count, firing) = view.member_counts();
    let member = |(at, member): (usize, hypocenter_engine::MemberView<'a>)| Member {
        fingerprint: member.alert.fingerprint.to_string(),
        starts_at: Time(member.alert.starts_at),
        alertname: member.alertname,
        entity: member.entity,
        kind: member.kind.name(),
        severity: member.severity.name(),
        firing: member.firing,
        hops: view.hops_to_root(at),
        mapped_by: member.mapped_by,
        found: member.found.name(),
    };
    let listed: Vec<_> = view.members().take(MEMBERS_LISTED).enumerate().map(member).collect();
    let blind = view.degraded().blind;
    Members { count, firing, blind, truncated: listed.len() < count, listed }
}

fn degraded(view: &IncidentView<'_>) -> Vec<String> {
    let flags = view.degraded();
    let mut list = Vec::new();
    if flags.outside_topology {
        list.push("outside_topology".to_owned());
    }
    if flags.unmapped {
        list.push("unmapped".to_owned());
    }
    if flags.ambiguous {
        list.push("ambiguous".to_owned());
    }
    if flags.blind > 0 {
        list.push("blind".to_owned());
    }
    if let Some(limit) = flags.refused {
        list.push(format!("refused_{}", limit.name()));
    }
    list
}

impl<'a> Candidate<'a> {
    fn new(view: &CandidateView<'a>) -> Self {
        let fingerprint = |episode: Episode| episode.fingerprint.to_string();
        Self {
            entity: view.entity,
            kind: view.kind.map(Kind::name),
            fingerprint: view.alert.map(fingerprint),
            alertname: view.alertname,
            score: Number(view.score),
            confidence: Number(view.confidence),
            silent: view.is_silent(),
        }
    }

    /// An incident has a candidate from its first alert on; this is for the type's sake.
    fn nobody() -> Self {
        let zero = Number(Score::ZERO);
        Self {
            entity: "",
            kind: None,
            fingerprint: None,
            alertname: None,
            score: zero,
            confidence: zero,
            silent: true,
        }
    }
}

impl<'a> EvidenceTerm<'a> {
    fn new(term: &Evidence<'a>) -> Self {
        Self {
            code: term.code.name(),
            text: explain(term),
            entity: term.entity,
            value: Number(term.value),
            weight: Number(term.weight),
            contribution: Number(term.contribution),
        }
    }
}

/// A term of evidence in words.
fn explain(term: &Evidence<'_>) -> String {
    let (count, of) = (term.count, term.of);
    let entity = term.entity.unwrap_or_default();
    match term.code {
        Code::OwnAlert => {
            let kind = match term.kind {
                None | Some(Kind::Other) => "",
                Some(kind) => kind.name(),
            };
            let gap = if kind.is_empty() { "" } else { " " };
            let cause = match term.kind {
                Some(kind) if kind.is_cause() => ", a cause in itself",
                _ => "",
            };
            format!("its own {kind}{gap}alert{cause}")
        }
        Code::StarvedCaller => format!("{count} of its {of} callees are slow from here alone"),
        Code::Explains if count == 1 => format!("{entity} depends on it and complains"),
        Code::Explains => format!("{entity} depends on it over {count} hops and complains"),
        Code::ExplainsOthers => format!("{count} further dependents complain"),
        Code::Disagreement => format!("only {count} of its {of} direct dependents complain"),
        Code::Unexplained => format!("it does not explain {count} of the {of} that alert"),
        Code::Silent => "it has no alert of its own".to_owned(),
    }
}

impl<'a> PathTo<'a> {
    fn new(view: &PathView<'a>) -> Self {
        let entity = view.entity;
        match &view.stops {
            Ok(stops) => Self {
                entity,
                path: Some(stops.iter().map(|stop| stop.entity).collect()),
                silent: stops.iter().filter(|s| !s.alerting).map(|s| s.entity).collect(),
                no_path: None,
            },
            Err(why) => Self {
                entity,
                path: None,
                silent: Vec::new(),
                no_path: Some(WithoutPath::new(*why)),
            },
        }
    }
}

impl<'a> WithoutPath<'a> {
    fn new(why: NoPath<'a>) -> Self {
        let root = if let NoPath::OtherRoot(root) = why { Some(root) } else { None };
        let text = match why {
            NoPath::OutsideTopology => "it is not in the graph".to_owned(),
            NoPath::CandidateOutsideTopology => "the candidate is not in the graph".to_owned(),
            NoPath::CandidateDependsOnIt => {
                "the candidate depends on it, and passes load and traffic down".to_owned()
            }
            NoPath::OtherRoot(root) => {
                format!("{root} explains both, but is the less likely cause of them all")
            }
            NoPath::OutOfReach => {
                "no root within reach explains both; other alerts link the two".to_owned()
            }
        };
        Self { code: why.name(), root, text }
    }
}

impl<'a> Lost<'a> {
    fn new(lost: &WhyNot<'a>) -> Self {
        let on = match lost.lost_on {
            _ if lost.margin == Score::ZERO => "equal score, decided by dependencies and name",
            Code::OwnAlert => "its own alerts are weaker",
            Code::Explains | Code::ExplainsOthers => "it explains less of what others complain of",
            Code::StarvedCaller => "its callees do not point at it",
            Code::Disagreement => "fewer of its dependents complain",
            Code::Unexplained => "it leaves more unexplained",
            Code::Silent => "it has no alert of its own",
        };
        Self {
            candidate: Candidate::new(&lost.candidate),
            lost_on: lost.lost_on.name(),
            by: Number(lost.by),
            margin: Number(lost.margin),
            text: on.to_owned(),
        }
    }
}

/// The JSON Schema of the record, as published in `docs/incident.schema.json`.
#[must_use]
pub fn schema() -> String {
    let schema = schemars::schema_for!(IncidentRecord<'static>);
    match serde_json::to_string_pretty(&schema) {
        Ok(text) => text + "\n",
        Err(error) => unreachable!("a schema is JSON: {error}"),
    }
}
