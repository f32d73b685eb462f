//! What the engine's tests share: owned events, and a player that writes down all that is decided.

#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses a part of it")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use hypocenter_engine::{
    AlertEvent, Breach, Decision, Decisions, Engine, Episode, Fingerprint, HashSeed, IncidentId,
    IncidentView, LabelLimits, Labels, OtherParameters, Policy, PolicySpec, Progress, Score, Seq,
    Snapshot, Span, Status, Timestamp, Topology, TopologyBuilder,
};

/// An event that owns its texts. Times are in milliseconds.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Event {
    pub(crate) now: i64,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) starts: Option<i64>,
    pub(crate) ends: Option<i64>,
    pub(crate) status: Option<Status>,
    pub(crate) breach: Option<Breach>,
    /// How long the condition had held when it began to fire.
    pub(crate) held: i64,
}

impl Event {
    pub(crate) fn label(&self, name: &str) -> &str {
        let found = self.labels.iter().find(|(n, _)| n == name);
        found.map_or("", |(_, value)| value)
    }

    pub(crate) fn apply(&self, engine: &mut Engine, seq: u64, decisions: &mut Decisions) {
        self.with_labels(|labels| {
            let event = AlertEvent {
                labels,
                starts_at: self.starts.map(Timestamp::from_millis),
                held: Span::from_millis(self.held.unsigned_abs()),
                ends_at: self.ends.map(Timestamp::from_millis),
                status: self.status,
                breach: self.breach,
            };
            engine.apply(Seq(seq), &event, Timestamp::from_millis(self.now), decisions);
        });
    }

    pub(crate) fn fingerprint(&self, policy: &Policy) -> Fingerprint {
        self.with_labels(|labels| labels.fingerprint_without(&policy.spec().labels.replica))
    }

    fn with_labels<T>(&self, read: impl FnOnce(Labels<'_>) -> T) -> T {
        let mut pairs: Vec<(&str, &str)> =
            self.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let labels = Labels::canonical(&mut pairs, &LabelLimits::default());
        read(labels.expect("labels of tests are valid"))
    }
}

/// A graph from `a>b b>c d`: `a` depends on `b`, and `d` on nothing.
pub(crate) fn graph(text: &str) -> Topology {
    graph_builder(text).build().0
}

/// The same, not yet built.
pub(crate) fn graph_builder(text: &str) -> TopologyBuilder {
    let mut builder = TopologyBuilder::new();
    for word in text.split_whitespace() {
        match word.split_once('>') {
            Some((from, to)) => builder.edge(from, to),
            None => builder.node(word),
        }
    }
    builder
}

/// The default policy, but for what `change` does.
pub(crate) fn policy(change: impl FnOnce(&mut PolicySpec)) -> Policy {
    let mut spec = PolicySpec::default();
    change(&mut spec);
    Policy::new(spec).expect("policies of tests are valid")
}

/// An engine that is checked after each step, and all that it says, as text.
pub(crate) struct Player {
    pub(crate) engine: Engine,
    pub(crate) seq: u64,
    /// One line a decision; under a published version its content.
    pub(crate) told: Vec<String>,
    /// Times are written relative to this.
    pub(crate) epoch: i64,
    names: BTreeMap<Fingerprint, String>,
    ids: BTreeMap<String, String>,
    versions: BTreeMap<String, u64>,
    decisions: Decisions,
    /// How much of a published version is written down.
    pub(crate) detail: Detail,
    /// Name incidents by their first alert and not by number: then two runs compare part by part.
    pub(crate) by_seed: bool,
}

/// How much of a published version is written down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Detail {
    /// That it is published.
    Version,
    /// The candidate.
    Short,
    /// Everything.
    Full,
}

impl Player {
    pub(crate) fn new(policy: Policy, topology: Topology, seed: u64) -> Self {
        Self {
            engine: Engine::new(policy, topology, "test/0", HashSeed(seed)),
            seq: 0,
            told: Vec::new(),
            epoch: 0,
            names: BTreeMap::new(),
            ids: BTreeMap::new(),
            versions: BTreeMap::new(),
            decisions: Decisions::new(),
            detail: Detail::Short,
            by_seed: false,
        }
    }

    /// Decides what is due by `to`, reading each version that is published.
    pub(crate) fn advance(&mut self, to: i64) {
        loop {
            self.decisions.clear();
            let progress = self.engine.advance(Timestamp::from_millis(to), &mut self.decisions);
            self.engine.check();
            self.note();
            if progress == Progress::Done {
                break;
            }
        }
    }

    /// Changes over to another graph, written as for [`graph`].
    pub(crate) fn swap(&mut self, text: &str, at: i64) {
        self.advance(at);
        let (topology, _) = graph_builder(text).build_after(self.engine.topology());
        let next = Arc::new(Snapshot::new(topology, self.engine.policy()));
        self.decisions.clear();
        let done = self.engine.set_topology(next, Timestamp::from_millis(at), &mut self.decisions);
        assert_eq!(done, Ok(()), "a graph of tests fits");
        self.engine.check();
        self.note();
    }

    /// Changes over to other parameters, of which mapping and kinds may differ.
    pub(crate) fn remap(&mut self, policy: Policy, at: i64) -> Result<(), OtherParameters> {
        self.advance(at);
        self.decisions.clear();
        let at = Timestamp::from_millis(at);
        let done = self.engine.set_mapping(policy, at, &mut self.decisions);
        self.engine.check();
        self.note();
        done
    }

    /// Applies an event, without advancing before.
    pub(crate) fn apply(&mut self, event: &Event) {
        self.seq += 1;
        let fingerprint = event.fingerprint(self.engine.policy());
        let mut name = format!("{}@{}", event.label("alertname"), event.label("service"));
        if !event.label("team").is_empty() {
            write!(name, "/{}", event.label("team")).expect("a string");
        }
        self.names.insert(fingerprint, name);
        self.decisions.clear();
        event.apply(&mut self.engine, self.seq, &mut self.decisions);
        self.engine.check();
        assert!(!self.decisions.as_slice().is_empty(), "an event is told");
        self.note();
    }

    /// Advances to the event and applies it.
    pub(crate) fn step(&mut self, event: &Event) {
        self.advance(event.now);
        self.apply(event);
    }

    pub(crate) fn play(&mut self, events: &[Event]) {
        events.iter().for_each(|event| self.step(event));
    }

    pub(crate) fn text(&self) -> String {
        self.told.join("\n")
    }

    fn note(&mut self) {
        let list = self.decisions.as_slice().to_vec();
        let now = (self.engine.now().as_millis() - self.epoch) as f64 / 1000.0;
        for decision in list {
            let mut line = format!("{now} ");
            self.tell(&decision, &mut line);
            if let Decision::Published { incident, version } = decision {
                let id = self.id(incident);
                let before = self.versions.insert(id.clone(), version).unwrap_or(0);
                assert_eq!(version, before + 1, "versions grow by one");
                let content = self.content(incident);
                write!(line, "{content}").expect("a string");
            }
            self.told.push(line);
        }
    }

    fn tell(&mut self, decision: &Decision, line: &mut String) {
        let text = match *decision {
            Decision::Opened { incident, alert, refused } => {
                self.name_incident(incident, alert);
                let why =
                    refused.map_or(String::new(), |limit| format!(" refused={}", limit.name()));
                format!("opened {} {}{why}", self.id(incident), self.alert(alert))
            }
            Decision::Joined { incident, alert } => {
                format!("joined {} {}", self.id(incident), self.alert(alert))
            }
            Decision::Repeated { alert } => format!("repeated {}", self.alert(alert)),
            Decision::Resolved { alert, expired } => {
                let how = if expired { "expired" } else { "resolved" };
                format!("{how} {}", self.alert(alert))
            }
            Decision::ResolvedUnknown { fingerprint } => {
                format!("resolved_unknown {}", self.names[&fingerprint])
            }
            Decision::Suppressed { alert, by } => {
                format!("suppressed {} {}", self.alert(alert), by.name())
            }
            Decision::Merged { incident, into } => {
                format!("merged {} into {}", self.id(incident), self.id(into))
            }
            Decision::Reranked { incident, cause } => {
                format!("reranked {} {}", self.id(incident), cause.name())
            }
            Decision::Settled { incident } => format!("settled {}", self.id(incident)),
            Decision::Closed { incident } => format!("closed {}", self.id(incident)),
            Decision::Reopened { incident } => format!("reopened {}", self.id(incident)),
            Decision::Published { incident, version } => {
                format!("published {} v{version}", self.id(incident))
            }
            Decision::Shed { limit, .. } => format!("shed {}", limit.name()),
            ref other => panic!("a decision without a text: {other:?}"),
        };
        line.push_str(&text);
    }

    fn alert(&self, episode: Episode) -> String {
        let from = episode.starts_at.as_millis() - self.epoch;
        format!("{}[{}]", self.names[&episode.fingerprint], from as f64 / 1000.0)
    }

    fn name_incident(&mut self, id: IncidentId, seed: Episode) {
        let mut name = format!("#{}", self.ids.len() + 1);
        if self.by_seed {
            name = format!("#{}", self.alert(seed));
            while self.ids.values().any(|taken| *taken == name) {
                name.push('+');
            }
        }
        let before = self.ids.insert(id.to_string(), name);
        assert_eq!(before, None, "an id is given once");
    }

    pub(crate) fn id(&self, id: IncidentId) -> String {
        self.ids[&id.to_string()].clone()
    }

    fn content(&self, id: IncidentId) -> String {
        if self.detail == Detail::Version {
            return String::new();
        }
        let into = self.engine.incident(id).and_then(|view| view.merged_into());
        let into = into.map(|id| self.id(id));
        let view = self.engine.incident(id).expect("published");
        check_view(&view);
        if self.detail == Detail::Full {
            return format!(" {into:?} {}", self.record(&view));
        }
        let root = view.root_cause().expect("an incident has a candidate");
        let silent = if root.is_silent() { " silent" } else { "" };
        let mut text = format!(" {} root={}{silent}", view.phase().name(), root.entity);
        if let Some(into) = into {
            write!(text, " into={into}").expect("a string");
        }
        let (all, firing) = view.member_counts();
        write!(text, " firing={firing}/{all}").expect("a string");
        text
    }

    /// All that a record of an incident needs, but for input positions.
    pub(crate) fn record(&self, view: &IncidentView<'_>) -> String {
        let time = |at: Timestamp| at.as_millis() - self.epoch;
        let mut text = format!(
            "v{} {} tenant={:?} {} onset={} opened={} updated={} {:?} margin={} low={} {:?} {:?} {:?}\n",
            view.version(),
            view.phase().name(),
            view.tenant(),
            view.severity().name(),
            time(view.onset()),
            time(view.opened()),
            time(view.updated()),
            view.rerank_cause().map(|cause| cause.name()),
            view.margin(),
            view.is_low_confidence(),
            view.dedup(),
            view.degraded(),
            view.top_most(10),
        );
        for c in view.candidates() {
            let alert = c.alert.map(|alert| self.alert(alert));
            let (score, sure) = (c.score, c.confidence);
            writeln!(text, "  {} {:?} {alert:?} {score} {sure}", c.entity, c.kind)
                .expect("a string");
        }
        for e in view.evidence() {
            writeln!(text, "  {e:?}").expect("a string");
        }
        for w in view.why_not(3) {
            let (on, by) = (w.lost_on.name(), w.by);
            writeln!(text, "  not {} {on} {by} {}", w.candidate.entity, w.margin)
                .expect("a string");
        }
        for (at, m) in view.members().enumerate() {
            let (alert, hops) = (self.alert(m.alert), view.hops_to_root(at));
            writeln!(text, "  {alert} {} {} {hops:?}", m.entity, m.firing).expect("a string");
        }
        text
    }
}

/// E14 and E15 on one view: the terms sum to the score, and belief is shared out.
pub(crate) fn check_view(view: &IncidentView<'_>) {
    let root = view.root_cause().expect("an incident has a candidate");
    let sum: Score = view.evidence().iter().map(|e| e.contribution).sum();
    assert_eq!(sum, root.score, "the evidence sums to the score");
    let candidates = view.candidates();
    assert_eq!(candidates.first(), Some(&root), "the candidate is the best");
    assert_eq!(candidates.get(1).copied(), view.runner_up(), "the next best");
    let mut all = 0.0;
    for candidate in &candidates {
        let sure = candidate.confidence.to_f64();
        assert!((0.0..=1.0).contains(&sure), "a confidence is a share");
        assert!(candidate.score <= root.score, "none is better");
        all += sure;
    }
    // Each share is rounded to a millionth.
    assert!(all <= 1.0 + 1e-6 * candidates.len() as f64, "shares sum to 1");
    for (why, candidate) in view.why_not(64).iter().zip(&candidates[1..]) {
        assert_eq!(why.candidate, *candidate);
        assert_eq!(why.margin, root.score - candidate.score);
    }
}
