//! The engine: all control flow, and no arithmetic. Stages are called from here and never call
//! each other or back.

mod check;
mod footprint;
mod gathering;
pub(crate) mod holders;
mod known;
mod passing;
mod placing;
mod reading;
mod swapping;

pub use footprint::Footprint;
pub use swapping::OtherParameters;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::alerts::Alerts;
use crate::background::{Background, Surroundings};
use crate::decision::{Decision, Decisions, IncidentId};
use crate::event::{AlertEvent, Seq};
use crate::evidence::Turnover;
use crate::grouping::Matches;
use crate::hypotheses::Hypothesis;
use crate::incident::{Incident, IncidentKey, Opening, Phase};
use crate::incidents::Incidents;
use crate::model::{Link, World};
use crate::planted::planted;
use crate::policy::Policy;
use crate::score::Score;
use crate::snapshot::Snapshot;
use crate::stats::Stats;
use crate::symbol::Symbols;
use crate::table::HashSeed;
use crate::time::Timestamp;
use crate::timers::{Owner, Timers};
use crate::topology::Topology;
use crate::trace::{Trace, Weighed};
use crate::view::IncidentView;

/// A deterministic state machine: alert events and time in, decisions out.
///
/// It does no I/O and reads no clock. The same calls with the same arguments give the same
/// decisions, whatever the [`HashSeed`]. The caller's part: `seq` strictly increases, and the
/// decisions are read before the next call.
#[derive(Debug)]
pub struct Engine {
    pub(crate) world: World,
    pub(crate) seed: HashSeed,
    pub(crate) shard: Box<str>,
    pub(crate) alerts: Alerts,
    pub(crate) incidents: Incidents,
    pub(crate) background: Background,
    pub(crate) timers: Timers,
    pub(crate) now: Timestamp,
    pub(crate) seq: Seq,
    pub(crate) stats: Stats,
    /// Incidents that changed in this step, in that order.
    changed: Vec<IncidentKey>,
    /// Slots of incidents that are taken over to the graph in force.
    pub(crate) renewed_slots: usize,
    /// Incidents that ended, in that order: they can be read for a while.
    pub(crate) ended: VecDeque<IncidentKey>,
    // Memory that is used again from event to event.
    links: Vec<Link>,
    /// What is usual around the alert that is being placed.
    around: Option<Surroundings>,
    matches: Matches,
    turnover: Turnover,
    /// What was weighed, while somebody wants to know.
    trace: Option<Box<Trace>>,
}

/// Whether [`Engine::advance`] is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "call `advance` again while it says `More`"]
pub enum Progress {
    /// Something was decided: read it and call again.
    More,
    /// Nothing is due any more.
    Done,
}

/// A candidate of several incidents taken for one.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Supposed<'a> {
    /// Its name.
    pub entity: &'a str,
    /// Sum of its evidence.
    pub score: Score,
    /// Share of belief among all candidates and "none of these", 0 to 1.
    pub confidence: Score,
}

impl Engine {
    /// An engine without alerts. `shard` names the input partition: it keeps ids of different
    /// partitions apart.
    #[must_use]
    pub fn new(policy: Policy, topology: Topology, shard: &str, seed: HashSeed) -> Self {
        let graph = Arc::new(Snapshot::new(topology, &policy));
        Self::on(policy, graph, shard, seed)
    }

    /// The same on a graph that others may share.
    ///
    /// # Panics
    /// When the snapshot was made under another policy.
    #[must_use]
    pub fn on(policy: Policy, graph: Arc<Snapshot>, shard: &str, seed: HashSeed) -> Self {
        assert!(graph.is_for(&policy), "the snapshot was made under this policy");
        let symbols = Symbols::new(seed);
        Self {
            world: World { policy, graph, before: None, turn: 0, symbols },
            seed,
            shard: shard.into(),
            alerts: Alerts::new(seed),
            incidents: Incidents::new(seed),
            background: Background::new(seed),
            timers: Timers::default(),
            now: Timestamp::MIN,
            seq: Seq::default(),
            stats: Stats::default(),
            changed: Vec::new(),
            renewed_slots: 0,
            ended: VecDeque::new(),
            links: Vec::new(),
            around: None,
            matches: Matches::default(),
            turnover: Turnover::default(),
            trace: None,
        }
    }

    /// From now on, keeps what is weighed for each alert that is placed, for
    /// [`Engine::take_trace`]. Decisions stay the same; placing an alert takes longer.
    pub fn start_trace(&mut self) {
        self.trace = Some(Box::default());
        self.matches.all = Some(Vec::new());
    }

    /// What was weighed since the last call, in order; empty without [`Engine::start_trace`]. Call
    /// it after each event: what nobody takes is kept.
    pub fn take_trace(&mut self) -> Vec<Weighed> {
        self.trace.as_mut().map(|trace| trace.take()).unwrap_or_default()
    }

    /// Applies one event at log time `now`; deadlines that are due by then come first. Call
    /// [`Engine::advance`] until it is done before, to read each version that they publish.
    ///
    /// Never fails and never blocks. `now` is clamped to the latest time seen.
    pub fn apply(
        &mut self,
        seq: Seq,
        event: &AlertEvent<'_>,
        now: Timestamp,
        decisions: &mut Decisions,
    ) {
        self.pass_all(now, decisions);
        if now < self.now {
            self.stats.clock_clamped += 1;
        }
        self.now = self.now.max(now);
        self.begin_step(self.now);
        self.prune_timers();
        self.renew_some(decisions);
        self.seq = seq;
        self.stats.events += 1;
        let dropped = &self.world.policy.spec.labels.replica;
        let hash =
            self.alerts.hash(event.labels.pairs(), planted!(ReplicaCounted: &[][..], dropped));
        match (self.alerts.find(hash), self.is_resolved(event)) {
            (Some(key), true) => self.resolve_known(key, event, decisions),
            (Some(key), false) => self.fire_known(key, event, decisions),
            (None, true) => {
                self.stats.resolves_unknown += 1;
                let fingerprint = self.fingerprint(event);
                decisions.push(Decision::ResolvedUnknown { fingerprint });
            }
            (None, false) => self.fire_new(hash, event, decisions),
        }
        self.publish(decisions);
    }

    /// Decides what is due by `now`, up to and including one published version. Calling it early
    /// or twice is harmless.
    pub fn advance(&mut self, now: Timestamp, decisions: &mut Decisions) -> Progress {
        self.begin_step(now.max(self.now));
        while let Some((at, owner)) = self.timers.take_due(now) {
            // What falls due is decided as of its deadline, however late the call.
            self.now = self.now.max(at);
            match owner {
                Owner::Alert(key) => self.alert_due(key, at, decisions),
                Owner::Incident(key) => self.incident_due(key, at, decisions),
            }
            if !self.changed.is_empty() {
                self.publish(decisions);
                return Progress::More;
            }
        }
        Progress::Done
    }

    /// When [`Engine::advance`] next has something to do. It may turn out to be nothing.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    /// One incident: live, or ended less than `retain_for` ago.
    #[must_use]
    pub fn incident(&self, id: IncidentId) -> Option<IncidentView<'_>> {
        let incident = self.incidents.find(id)?;
        Some(IncidentView::new(self.world.model_of(incident), incident))
    }

    /// All incidents that can be read, in no useful order.
    pub fn incidents(&self) -> impl Iterator<Item = IncidentView<'_>> {
        let view = |incident| IncidentView::new(self.world.model_of(incident), incident);
        self.incidents.iter().map(view)
    }

    /// The candidates if these incidents were one, best first: the answer to "suppose all this is
    /// one fault". Incidents merged into another are left out.
    #[must_use]
    pub fn explain_together(&self, ids: &[IncidentId]) -> Vec<Supposed<'_>> {
        let mut parts: Vec<&Incident> =
            ids.iter().filter_map(|&id| self.incidents.find(id)).collect();
        parts.retain(|incident| incident.phase != Phase::Merged);
        parts.sort_by_key(|incident| incident.order);
        let Some(first) = parts.first() else {
            return Vec::new();
        };
        let mut whole = Incident::new(&Opening {
            key: first.key,
            id: first.id,
            order: first.order,
            tenant: first.tenant,
            now: self.now,
            onset: first.onset,
            seq: first.first_seq,
            refused: None,
            seed: self.seed,
            turn: self.world.turn,
        });
        for part in parts {
            whole.absorb(self.world.model(), part, &mut Turnover::default());
        }
        let model = self.world.model();
        let view = IncidentView::new(model, &whole);
        let supposed = |root: &Hypothesis| Supposed {
            entity: model.name(root.entity),
            score: root.score,
            confidence: view.confidence(root),
        };
        whole.hypotheses.ranked(model).iter().map(supposed).collect()
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.world.policy
    }

    /// The graph in force.
    #[must_use]
    pub fn topology(&self) -> &Topology {
        &self.world.graph.topology
    }

    /// The graph in force with what is precomputed from it.
    #[must_use]
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.world.graph
    }

    /// The latest time the engine has been told.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Alerts remembered, firing and lately resolved.
    #[must_use]
    pub fn alerts_live(&self) -> u32 {
        self.alerts.len()
    }

    /// Incidents that are not over.
    #[must_use]
    pub fn incidents_live(&self) -> u32 {
        self.incidents.len() - self.ended.len() as u32
    }
}

impl Engine {
    /// Lets everything pass that is due.
    fn pass_all(&mut self, now: Timestamp, decisions: &mut Decisions) {
        while self.advance(now, decisions) == Progress::More {}
    }

    /// Forgets incidents that ended long enough before `now`, or early when the table is full.
    fn begin_step(&mut self, now: Timestamp) {
        let (times, max) =
            (self.world.policy.spec.times, self.world.policy.spec.limits.incidents_max);
        while let Some(&key) = self.ended.front() {
            let ended = self.incidents.get(key).map_or(Timestamp::MIN, |i| i.updated);
            if now.since(ended) <= times.retain_for && self.incidents.len() < max {
                break;
            }
            self.ended.pop_front();
            if let Some(incident) = self.incidents.remove(key) {
                for member in &incident.members {
                    member.subject.release(&mut self.world.symbols);
                }
                self.world.symbols.release(incident.tenant);
            }
        }
    }

    /// Keeps the table of deadlines as short as the tables of those who wait.
    fn prune_timers(&mut self) {
        let (alerts, incidents) = (&self.alerts, &self.incidents);
        let owners = alerts.len() as usize + incidents.len() as usize;
        self.timers.prune(owners, |at, owner| match owner {
            Owner::Alert(key) => alerts.get(key).is_some_and(|alert| alert.timer_at == at),
            Owner::Incident(key) => incidents.get(key).is_some_and(|i| i.timer_at == at),
        });
    }

    /// Notes that an incident has changed in a way that its readers must hear of.
    fn touch(&mut self, key: IncidentKey) {
        if !self.changed.contains(&key) {
            self.changed.push(key);
        }
    }

    fn publish(&mut self, out: &mut Decisions) {
        let mut changed = std::mem::take(&mut self.changed);
        for key in changed.drain(..) {
            if let Some(incident) = self.incidents.get_mut(key) {
                incident.version +=
                    planted!(VersionNotBumped: u64::from(incident.phase != Phase::Settled), 1);
                incident.updated = self.now;
                incident.last_seq = self.seq;
                self.stats.published += 1;
                let (incident, version) = (incident.id, incident.version);
                out.push(Decision::Published { incident, version });
            }
            self.arm_incident(key);
        }
        self.changed = changed;
    }
}
