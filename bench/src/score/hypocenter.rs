//! The place where Hypocenter's engine is plugged into the scorer.
//!
//! This file alone knows that the thing measured is Hypocenter; the rest of the scorer sees its
//! predictions. It runs what `hypocenter replay` runs, under a policy of your choice.

use anyhow::{Result, anyhow, ensure};
use hypocenter::commands::load_holds;
use hypocenter::commands::replay::decode_options;
use hypocenter::config::Config;
use hypocenter::outcome::{Outcome, Place};
use hypocenter::record::rfc3339;
use hypocenter::shard::{Listener, Rejection, Setup, ShardRunner, Version};
use hypocenter::source::{Record, Shard};
use hypocenter::topology_file::TopologyFile;
use hypocenter_engine::{Decision, Engine, HashSeed, IncidentId, Timestamp};

use super::data::{Case, Storm};
use super::predictions::{MemberLine, RankedLine};

/// Hypocenter under one configuration. It uses a case's or storm's `alerts` and `topology` only.
#[derive(Clone, Debug)]
pub struct Hypocenter {
    config: Config,
}

impl Hypocenter {
    /// What `hypocenter replay` would be with this configuration; its inputs, outputs and topology
    /// are not touched.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    /// Ranks the entities of a single-fault case, best candidate first.
    ///
    /// A case holds one fault and asks which entity is at fault; that its alerts belong together is
    /// given. So all its incidents are explained together, as the engine does it for an engineer
    /// who supposes that. Suppressed alerts stay out.
    ///
    /// # Errors
    /// When the case cannot be read.
    pub fn rank(&self, case: &Case) -> Result<RankedLine> {
        let (runner, _) = self.play(&case.alerts, &case.topology)?;
        let engine = runner.engine();
        let ids: Vec<IncidentId> = engine.incidents().map(|incident| incident.id()).collect();
        let ranked = engine.explain_together(&ids);
        Ok(RankedLine {
            case: case.name.clone(),
            confidence: ranked.first().map(|first| first.confidence.to_f64()),
            ranked: ranked.into_iter().map(|root| root.entity.to_owned()).collect(),
        })
    }

    /// Puts every alert instance of a storm into an incident, or into none.
    ///
    /// # Errors
    /// When the storm cannot be read.
    pub fn group(&self, storm: &Storm) -> Result<Vec<MemberLine>> {
        let (_, heard) = self.play(&storm.alerts, &storm.topology)?;
        let lines = heard.outcome.places().map(|(episode, place)| {
            let incident = match place {
                Place::Incident(id) => Some(id),
                Place::Suppressed(_) => None,
            };
            let said = incident.and_then(|id| heard.outcome.said(id));
            MemberLine {
                fingerprint: episode.fingerprint.to_string(),
                starts_at: rfc3339(episode.starts_at),
                incident: incident.map(|id| id.to_string()),
                root: said.map(|said| said.root.clone()),
                confidence: said.map(|said| said.confidence),
            }
        });
        Ok(lines.collect())
    }

    /// Nanoseconds from record to decisions, summed over the events of a storm, and how many events
    /// there are.
    ///
    /// # Errors
    /// When the storm cannot be read.
    pub fn spend(&self, storm: &Storm) -> Result<(u64, u64)> {
        let (runner, heard) = self.play(&storm.alerts, &storm.topology)?;
        Ok((heard.nanos, runner.engine().stats().events))
    }

    fn play(&self, alerts: &[u8], topology: &[u8]) -> Result<(ShardRunner, Heard)> {
        let topology = TopologyFile::parse(std::str::from_utf8(topology)?)
            .map_err(|problems| anyhow!("topology: {problems:?}"))?
            .topology;
        let setup = Setup {
            policy: self.config.policy.clone(),
            topology,
            seed: HashSeed(0),
            decode: decode_options(&self.config),
            holds: load_holds(&self.config.neighbours.rules)?,
        };
        let shard = Shard { input: "score".to_owned(), partition: 0 };
        let mut runner = ShardRunner::new(&setup, shard.clone(), 0);
        let mut heard = Heard::default();
        for (payload, position) in alerts.split(|&byte| byte == b'\n').zip(1..) {
            if !payload.is_empty() {
                // The recording's own times count: the wall clock is not looked at.
                let record = Record { shard: &shard, position, time: None, payload };
                runner.record(&record, Timestamp::MIN, &mut heard);
            }
        }
        ensure!(heard.refused.is_empty(), "cannot read {}", heard.refused.join("; "));
        Ok((runner, heard))
    }
}

/// What a run said.
#[derive(Default)]
struct Heard {
    outcome: Outcome,
    refused: Vec<String>,
    nanos: u64,
}

impl Listener for Heard {
    fn decided(&mut self, decision: &Decision) {
        self.outcome.decided(decision);
    }

    fn published(&mut self, engine: &Engine, version: &Version<'_>) {
        self.outcome.published(engine, version.incident);
    }

    fn rejected(&mut self, rejection: &Rejection<'_>) {
        if self.refused.len() < 10 {
            self.refused.push(format!("line {}: {}", rejection.position, rejection.reason));
        }
    }

    fn timed(&mut self, nanos: u64) {
        self.nanos += nanos;
    }
}
