//! The place where Hypocenter's engine is plugged into the scorer.
//!
//! This file alone knows that the thing measured is Hypocenter; the rest of the scorer sees a
//! [`Subject`]. It runs what `hypocenter replay` runs, under the default policy.

use std::io::{self, Sink};

use anyhow::{Result, anyhow, ensure};
use hypocenter::replay::Player;
use hypocenter::shard::{Setup, ShardRunner};
use hypocenter::source::{Record, Shard};
use hypocenter::topology_file::TopologyFile;
use hypocenter::wire::Options;
use hypocenter_engine::{HashSeed, IncidentId, Policy, Timestamp};

use super::data::{Case, Storm};
use super::predictions::MemberLine;

/// Ranks the entities of a single-fault case, best candidate first.
///
/// It must use `alerts` and `topology` only.
pub type Rank = fn(&Case) -> Result<Vec<String>>;

/// Puts every alert instance of a storm into an incident, or into none.
///
/// It must use `alerts` and `topology` only. One line for each `fingerprint` and `startsAt`.
pub type Group = fn(&Storm) -> Result<Vec<MemberLine>>;

/// What is measured: something that ranks and groups.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// The candidates of a case.
    pub rank: Rank,
    /// The incidents of a storm.
    pub group: Group,
}

/// Hypocenter as it is measured, or `None` in a build that has no engine: then only the simple
/// rules are scored.
#[must_use]
pub fn subject() -> Option<Subject> {
    Some(Subject { rank, group })
}

/// A case holds one fault and asks which entity is at fault; that its alerts belong together is
/// given. So all its incidents are explained together, as the engine does it for an engineer who
/// supposes that. Suppressed alerts stay out.
fn rank(case: &Case) -> Result<Vec<String>> {
    let (runner, _) = play(&case.alerts, &case.topology)?;
    let engine = runner.engine();
    let ids: Vec<IncidentId> = engine.incidents().map(|incident| incident.id()).collect();
    let ranked = engine.explain_together(&ids);
    Ok(ranked.into_iter().map(|(entity, _)| entity.to_owned()).collect())
}

fn group(storm: &Storm) -> Result<Vec<MemberLine>> {
    let (_, player) = play(&storm.alerts, &storm.topology)?;
    let line = |line: hypocenter::replay::MemberLine| MemberLine {
        fingerprint: line.fingerprint,
        starts_at: line.starts_at,
        incident: line.incident,
        root: line.root,
    };
    Ok(player.members().map(line).collect())
}

fn play(alerts: &[u8], topology: &[u8]) -> Result<(ShardRunner, Player<Sink>)> {
    let topology = TopologyFile::parse(std::str::from_utf8(topology)?)
        .map_err(|problems| anyhow!("topology: {problems:?}"))?
        .topology;
    let setup = Setup {
        policy: Policy::default(),
        topology,
        seed: HashSeed(0),
        decode: Options::default(),
    };
    let shard = Shard { input: "score".to_owned(), partition: 0 };
    let mut runner = ShardRunner::new(&setup, shard.clone(), 0);
    let mut player = Player::new(io::sink());
    for (payload, position) in alerts.split(|&byte| byte == b'\n').zip(1..) {
        if !payload.is_empty() {
            // The recording's own times count: the wall clock is not looked at.
            let record = Record { shard: &shard, position, time: None, payload };
            runner.record(&record, Timestamp::MIN, &mut player);
        }
    }
    ensure!(player.rejections().is_empty(), "cannot read {:?}", player.rejections());
    Ok((runner, player))
}
