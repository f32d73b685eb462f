//! What two configurations make of the same recording, side by side.
//!
//! Incidents are matched by what is in them: those of either side that share an alert episode,
//! directly or by way of others, are one [`Group`].

mod gate;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use hypocenter_engine::{Decision, Engine, Episode, IncidentId};
use serde::Serialize;

use crate::outcome::{Outcome, Place};
use crate::record::rfc3339;
use crate::shard::{Listener, Rejection, Version};

pub use gate::{Bound, Gates};

/// Version of the shape of the JSON.
const SCHEMA_VERSION: u32 = 1;

/// What one configuration makes of a recording.
#[derive(Debug, Default)]
pub struct Side {
    outcome: Outcome,
    names: BTreeMap<Episode, (String, String)>,
    seen: BTreeMap<IncidentId, usize>,
    records: u64,
    rejected: u64,
}

/// Two sides compared.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Diff {
    /// Version of this shape.
    pub schema_version: u32,
    /// Figures of the first configuration.
    pub a: Totals,
    /// Figures of the second one.
    pub b: Totals,
    /// How many groups there are of each kind.
    pub count: BTreeMap<Kind, usize>,
    /// Groups with one incident on each side whose candidates differ.
    pub candidates_changed: usize,
    /// Groups in which anything differs, the candidate or the members.
    pub changed: usize,
    /// Those groups, with their members.
    pub groups: Vec<Group>,
    /// Alert episodes that the first configuration suppresses and the second one does not.
    pub placed_by_b_only: Vec<Moved>,
    /// The other way round.
    pub placed_by_a_only: Vec<Moved>,
}

/// Figures of one side.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Totals {
    /// The configuration file.
    pub config: String,
    /// Hash of its policy.
    pub policy: String,
    /// Incidents, without those that were merged into others.
    pub incidents: usize,
    /// Of these, with one alert alone.
    pub singles: usize,
    /// Incident records published.
    pub records: u64,
    /// Alert episodes in incidents.
    pub placed: usize,
    /// Alert episodes suppressed, by reason.
    pub suppressed: BTreeMap<&'static str, usize>,
    /// Records and single alerts that could not be read.
    pub rejected: u64,
}

/// How the incidents of one group relate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One incident on each side, with the same members.
    Same,
    /// One on each side; some members are elsewhere or suppressed on the other side.
    Members,
    /// One of A is several of B.
    Split,
    /// Several of A are one of B.
    Merged,
    /// Several on each side that share members.
    Mixed,
    /// B suppresses all its alerts.
    OnlyA,
    /// A suppresses all its alerts.
    OnlyB,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Same,
        Self::Members,
        Self::Split,
        Self::Merged,
        Self::Mixed,
        Self::OnlyA,
        Self::OnlyB,
    ];

    /// Name in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Same => "same members",
            Self::Members => "other members",
            Self::Split => "split",
            Self::Merged => "merged",
            Self::Mixed => "mixed",
            Self::OnlyA => "only A",
            Self::OnlyB => "only B",
        }
    }
}

/// Incidents of both sides that share alerts.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Group {
    /// How they relate.
    pub kind: Kind,
    /// Whether there is one on each side, and their candidates differ.
    pub candidate_changed: bool,
    /// Those of the first configuration.
    pub a: Vec<Incident>,
    /// Those of the second one.
    pub b: Vec<Incident>,
}

/// One incident at its end.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Incident {
    /// Its id.
    pub incident: String,
    /// Its candidate.
    pub root: String,
    /// That one's confidence.
    pub confidence: f64,
    /// Its members.
    pub members: Vec<Member>,
}

/// One alert episode.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct Member {
    /// The alert.
    pub fingerprint: String,
    /// Start of the episode.
    pub starts_at: String,
    /// The alert's name; empty where it is in no incident.
    pub alertname: String,
    /// The entity that it is about; empty likewise.
    pub entity: String,
}

/// An alert episode that is suppressed on one side.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Moved {
    /// The episode.
    #[serde(flatten)]
    pub member: Member,
    /// Why it is suppressed there.
    pub suppressed_as: &'static str,
}

impl Side {
    /// The incidents at the end, with their episodes.
    fn incidents(&self) -> BTreeMap<IncidentId, BTreeSet<Episode>> {
        let mut incidents: BTreeMap<IncidentId, BTreeSet<Episode>> = BTreeMap::new();
        for (episode, place) in self.outcome.places() {
            if let Place::Incident(id) = place {
                incidents.entry(id).or_default().insert(episode);
            }
        }
        incidents
    }

    fn totals(&self, config: &str, policy: u64) -> Totals {
        let incidents = self.incidents();
        let mut suppressed = BTreeMap::new();
        for (_, place) in self.outcome.places() {
            if let Place::Suppressed(by) = place {
                *suppressed.entry(by.name()).or_insert(0) += 1;
            }
        }
        Totals {
            config: config.to_owned(),
            policy: format!("{policy:016x}"),
            incidents: incidents.len(),
            singles: incidents.values().filter(|members| members.len() == 1).count(),
            records: self.records,
            placed: incidents.values().map(BTreeSet::len).sum(),
            suppressed,
            rejected: self.rejected,
        }
    }

    fn incident(&self, id: IncidentId, members: &BTreeSet<Episode>) -> Incident {
        let said = self.outcome.said(id);
        Incident {
            incident: id.to_string(),
            root: said.map_or(String::new(), |said| said.root.clone()),
            confidence: said.map_or(0.0, |said| said.confidence),
            members: members.iter().map(|&episode| self.member(episode)).collect(),
        }
    }

    fn member(&self, episode: Episode) -> Member {
        let (alertname, entity) = self.names.get(&episode).cloned().unwrap_or_default();
        let (fingerprint, starts_at) =
            (episode.fingerprint.to_string(), rfc3339(episode.starts_at));
        Member { fingerprint, starts_at, alertname, entity }
    }

    /// What this side places and `other` suppresses.
    fn placed_only_here(&self, other: &Self) -> Vec<Moved> {
        let theirs: BTreeMap<Episode, Place> = other.outcome.places().collect();
        let moved = self.outcome.places().filter_map(|(episode, place)| {
            match (place, theirs.get(&episode)) {
                (Place::Incident(_), Some(Place::Suppressed(by))) => {
                    Some(Moved { member: self.member(episode), suppressed_as: by.name() })
                }
                _ => None,
            }
        });
        moved.collect()
    }
}

impl Listener for Side {
    fn decided(&mut self, decision: &Decision) {
        self.outcome.decided(decision);
    }

    fn published(&mut self, engine: &Engine, version: &Version<'_>) {
        self.records += 1;
        self.outcome.published(engine, version.incident);
        let Some(view) = engine.incident(version.incident) else {
            return;
        };
        // A member that fires again keeps its place and gets a new episode: few do.
        let seen = self.seen.entry(version.incident).or_default();
        let from = if view.dedup().2 > 0 { 0 } else { *seen };
        *seen = view.member_counts().0;
        for member in view.members().skip(from) {
            let names = (member.alertname.to_owned(), member.entity.to_owned());
            self.names.entry(member.alert).or_insert(names);
        }
    }

    fn rejected(&mut self, _: &Rejection<'_>) {
        self.rejected += 1;
    }
}

impl Diff {
    /// Compares what two configurations, each given with its name and the hash of its policy, make
    /// of the same recording.
    #[must_use]
    pub fn of((a, a_name): (&Side, (&str, u64)), (b, b_name): (&Side, (&str, u64))) -> Self {
        let (of_a, of_b) = (a.incidents(), b.incidents());
        let groups: Vec<Group> = matched(&of_a, &of_b)
            .into_iter()
            .map(|(in_a, in_b)| {
                let kind = kind(&in_a, &in_b, &of_a, &of_b);
                let side = |side: &Side, ids: &BTreeSet<IncidentId>, of: &Incidents| {
                    ids.iter().map(|id| side.incident(*id, &of[id])).collect::<Vec<_>>()
                };
                let (in_a, in_b) = (side(a, &in_a, &of_a), side(b, &in_b, &of_b));
                let candidate_changed = match (in_a.as_slice(), in_b.as_slice()) {
                    ([one], [other]) => one.root != other.root,
                    _ => false,
                };
                Group { kind, candidate_changed, a: in_a, b: in_b }
            })
            .collect();
        let number = |kind| groups.iter().filter(|group| group.kind == kind).count();
        let count = Kind::ALL.into_iter().map(|kind| (kind, number(kind))).collect();
        let candidates_changed = groups.iter().filter(|group| group.candidate_changed).count();
        let groups: Vec<Group> = groups
            .into_iter()
            .filter(|group| group.kind != Kind::Same || group.candidate_changed)
            .collect();
        Self {
            schema_version: SCHEMA_VERSION,
            a: a.totals(a_name.0, a_name.1),
            b: b.totals(b_name.0, b_name.1),
            count,
            candidates_changed,
            changed: groups.len(),
            groups,
            placed_by_b_only: b.placed_only_here(a),
            placed_by_a_only: a.placed_only_here(b),
        }
    }
}

type Incidents = BTreeMap<IncidentId, BTreeSet<Episode>>;

/// The incidents of both sides, put together where they share an episode.
fn matched(a: &Incidents, b: &Incidents) -> Vec<(BTreeSet<IncidentId>, BTreeSet<IncidentId>)> {
    let holder = |side: &Incidents| -> BTreeMap<Episode, IncidentId> {
        let pairs = side.iter().flat_map(|(id, members)| members.iter().map(|e| (*e, *id)));
        pairs.collect()
    };
    let (in_a, in_b) = (holder(a), holder(b));
    let mut groups = Vec::new();
    let (mut done_a, mut done_b) = (BTreeSet::new(), BTreeSet::new());
    let grow = |start_a: Option<IncidentId>, start_b: Option<IncidentId>| {
        let mut group: (BTreeSet<IncidentId>, BTreeSet<IncidentId>) =
            (start_a.into_iter().collect(), start_b.into_iter().collect());
        let mut open: Vec<(bool, IncidentId)> = start_a.map(|id| (true, id)).into_iter().collect();
        open.extend(start_b.map(|id| (false, id)));
        while let Some((of_a, id)) = open.pop() {
            let members = if of_a { &a[&id] } else { &b[&id] };
            let other = if of_a { &in_b } else { &in_a };
            for next in members.iter().filter_map(|episode| other.get(episode)) {
                let known = if of_a { &mut group.1 } else { &mut group.0 };
                if known.insert(*next) {
                    open.push((!of_a, *next));
                }
            }
        }
        group
    };
    for &id in a.keys() {
        if !done_a.contains(&id) {
            let group = grow(Some(id), None);
            done_a.extend(group.0.iter().copied());
            done_b.extend(group.1.iter().copied());
            groups.push(group);
        }
    }
    groups.extend(b.keys().filter(|id| !done_b.contains(*id)).map(|&id| grow(None, Some(id))));
    groups
}

fn kind(
    in_a: &BTreeSet<IncidentId>,
    in_b: &BTreeSet<IncidentId>,
    a: &Incidents,
    b: &Incidents,
) -> Kind {
    match (in_a.len(), in_b.len()) {
        (_, 0) => Kind::OnlyA,
        (0, _) => Kind::OnlyB,
        (1, 1) => {
            let members = |ids: &BTreeSet<IncidentId>, of: &Incidents| -> BTreeSet<Episode> {
                ids.iter().flat_map(|id| of[id].clone()).collect()
            };
            if members(in_a, a) == members(in_b, b) { Kind::Same } else { Kind::Members }
        }
        (1, _) => Kind::Split,
        (_, 1) => Kind::Merged,
        _ => Kind::Mixed,
    }
}
