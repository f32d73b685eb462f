//! What Alertmanager should know: the alerts of every incident, posted until they are over, and
//! for a while after that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hypocenter_engine::{Span, Timestamp};

use super::Naming;
use super::former::{Former, FormerLife};
use super::incident::Incident;
use crate::source::Shard;

/// Labels of an alert, sorted by name: its identity.
pub(super) type Labels = BTreeMap<String, String>;

/// Most incidents that are kept in Alertmanager at once.
const INCIDENTS_MAX: usize = 10_000;
/// Most alerts about affected entities, of all incidents together: Alertmanager compares each of
/// them with each alert that might be inhibited.
const MEMBERS_TOTAL_MAX: usize = 5_000;
/// Label sets of one incident that are over and still told of; candidates change rarely.
const ENDED_MAX: usize = 256;
/// A version this close to the wall clock is news; older ones are history that is caught up on.
const FRESH: Span = Span::from_secs(30);

/// One alert.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Posted {
    pub(super) annotations: Arc<Vec<(&'static str, String)>>,
    pub(super) starts_at: Timestamp,
    /// When it was over; `None` while it fires.
    pub(super) ended_at: Option<Timestamp>,
}

/// The alerts of one incident.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    shard: Shard,
    pub(super) incident: String,
    pub(super) alerts: BTreeMap<Labels, Posted>,
    /// The highest severity so far, so that it never falls.
    severity: String,
    /// The change of the table that this entry comes from.
    changed: u64,
    /// How many of the alerts are about affected entities and fire.
    members: usize,
    /// Its candidate and what is affected.
    entities: Vec<String>,
}

/// All incidents.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: BTreeMap<String, Arc<Entry>>,
    /// Shards whose newest state is known: what comes from others may be long over.
    live: Vec<Shard>,
    members: usize,
    changes: u64,
    former: FormerLife,
}

/// What became of a version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Applied {
    /// It is in the table, or need not be.
    Done,
    /// There is no room for it.
    Full,
    /// There is no room for its affected entities.
    WithoutMembers,
}

impl Table {
    /// How many changes there have been.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// Takes in a version of an incident.
    pub(super) fn apply(
        &mut self,
        shard: &Shard,
        incident: &Incident,
        naming: &Naming,
        wall: Timestamp,
    ) -> Applied {
        let Some((opened, updated)) = incident.times() else {
            return Applied::Done;
        };
        if wall.since(updated) <= FRESH {
            self.note_live(shard);
        }
        let known = self.entries.get(&incident.incident);
        if known.is_none() {
            // What was never told of need not be told to be over.
            if incident.is_over() || incident.members.count < naming.alerts_min {
                return Applied::Done;
            }
            if self.entries.len() >= INCIDENTS_MAX {
                return Applied::Full;
            }
        }
        let mut entry = match known {
            Some(known) => Entry::clone(known),
            None => Entry {
                incident: incident.incident.clone(),
                severity: incident.severity.clone(),
                ..Entry::new(shard)
            },
        };
        self.members -= entry.members;
        let room = MEMBERS_TOTAL_MAX - self.members;
        let all_fit = entry.update(incident, naming, opened, updated.min(wall), room);
        self.members += entry.members;
        self.changes += 1;
        entry.changed = self.changes;
        if !incident.is_over() {
            entry.entities = incident.entities().cloned().collect();
        }
        self.entries.insert(entry.incident.clone(), Arc::new(entry));
        self.contradict(&incident.incident, wall);
        if all_fit { Applied::Done } else { Applied::WithoutMembers }
    }

    /// Takes note of what was told in a former life. Whether there was room for all of it.
    pub(super) fn remember(
        &mut self,
        alerts: Vec<(Labels, Timestamp, String)>,
        wall: Timestamp,
    ) -> bool {
        let all_fit = self.former.add(alerts);
        let known: Vec<String> = self.entries.keys().cloned().collect();
        known.iter().for_each(|id| self.contradict(id, wall));
        all_fit
    }

    /// What is left of a former life has ended by itself.
    pub(super) fn forget_former(&mut self) {
        self.former = FormerLife::default();
    }

    /// Ends the alerts of a former life that an incident contradicts.
    fn contradict(&mut self, id: &str, wall: Timestamp) {
        let Some(entry) = self.entries.get(id).cloned() else { return };
        for (former_id, former) in self.former.take(id, entry.entities.iter()) {
            let mut into = match self.entries.get(&former_id) {
                Some(known) => Entry::clone(known),
                None => Entry { incident: former_id.clone(), ..Entry::new(&entry.shard) },
            };
            let ended = into.end(former, id, wall);
            if ended == 0 {
                continue;
            }
            let what = "alerts from before the restart are contradicted and end";
            tracing::info!(incident = id, former = former_id, alerts = ended, "{what}");
            self.changes += 1;
            into.changed = self.changes;
            self.entries.insert(into.incident.clone(), Arc::new(into));
        }
    }

    /// The newest state of a shard is known.
    pub(super) fn note_live(&mut self, shard: &Shard) {
        if !self.live.contains(shard) {
            self.live.push(shard.clone());
            // Nothing of it has been told so far.
            self.changes += 1;
            let changes = self.changes;
            for entry in self.entries.values_mut().filter(|entry| entry.shard == *shard) {
                Arc::make_mut(entry).changed = changes;
            }
        }
    }

    /// Somebody else has the shard now, and tells of its incidents.
    pub(super) fn release(&mut self, shard: &Shard) {
        self.live.retain(|live| live != shard);
        self.entries.retain(|_, entry| entry.shard != *shard);
        self.members = self.entries.values().map(|entry| entry.members).sum();
    }

    /// The incidents to tell of that have changed since.
    pub(super) fn since(&self, changes: u64) -> Vec<Arc<Entry>> {
        let told =
            |entry: &&Arc<Entry>| entry.changed > changes && self.live.contains(&entry.shard);
        self.entries.values().filter(told).cloned().collect()
    }

    /// Drops what was over long enough ago.
    pub(super) fn purge(&mut self, wall: Timestamp, resolve_for: Duration) {
        let resolve_for = Span::from_millis(resolve_for.as_millis() as u64);
        let is_told =
            |posted: &Posted| posted.ended_at.is_none_or(|ended| wall.since(ended) <= resolve_for);
        self.entries.retain(|_, entry| {
            if entry.alerts.values().any(|posted| !is_told(posted)) {
                Arc::make_mut(entry).alerts.retain(|_, posted| is_told(posted));
            }
            !entry.alerts.is_empty()
        });
    }
}

impl Entry {
    fn new(shard: &Shard) -> Self {
        Self {
            shard: shard.clone(),
            incident: String::new(),
            alerts: BTreeMap::new(),
            severity: String::new(),
            changed: 0,
            members: 0,
            entities: Vec::new(),
        }
    }

    /// Ends alerts of a former life, but for those that are told again. How many.
    fn end(&mut self, former: Former, by: &str, now: Timestamp) -> usize {
        let before = self.alerts.len();
        let text = format!("Over: Hypocenter was started again and decided anew, incident {by}");
        let annotations = Arc::new(vec![("summary", text)]);
        for (labels, starts_at) in former.alerts {
            self.alerts.entry(labels).or_insert_with(|| {
                let (annotations, ended_at) = (Arc::clone(&annotations), Some(now.max(starts_at)));
                Posted { annotations, starts_at, ended_at }
            });
        }
        self.alerts.len() - before
    }

    /// Makes its alerts those of a version. Label sets that it no longer has are over. Whether
    /// there was room for all affected entities.
    fn update(
        &mut self,
        incident: &Incident,
        naming: &Naming,
        opened: Timestamp,
        now: Timestamp,
        room: usize,
    ) -> bool {
        if rank(&incident.severity) > rank(&self.severity) {
            incident.severity.clone_into(&mut self.severity);
        }
        let mut wanted = BTreeMap::new();
        let mut all_fit = true;
        self.members = 0;
        if !incident.is_over() {
            let annotations = Arc::new(incident.annotations());
            wanted.insert(naming.root_labels(incident, &self.severity), annotations);
            let members = naming.member_labels(incident, room);
            all_fit = members.is_some();
            let note = Arc::new(vec![("summary", note(incident))]);
            for labels in members.into_iter().flatten() {
                self.members += 1;
                wanted.insert(labels, Arc::clone(&note));
            }
        }
        for (labels, posted) in &mut self.alerts {
            if !wanted.contains_key(labels) && posted.ended_at.is_none() {
                posted.ended_at = Some(now.max(posted.starts_at));
            }
        }
        for (labels, annotations) in wanted {
            let starts_at = opened.min(now);
            let posted = Posted { annotations, starts_at, ended_at: None };
            self.alerts.insert(labels, posted);
        }
        self.bound_ended();
        all_fit
    }

    /// Forgets the label sets that were over first; they end by themselves in Alertmanager.
    fn bound_ended(&mut self) {
        let mut ended: Vec<Timestamp> = self.alerts.values().filter_map(|p| p.ended_at).collect();
        if ended.len() > ENDED_MAX {
            ended.sort_unstable();
            let oldest = ended[ended.len() - ENDED_MAX];
            self.alerts.retain(|_, posted| posted.ended_at.is_none_or(|at| at >= oldest));
        }
    }
}

fn note(incident: &Incident) -> String {
    let candidate = &incident.root_cause.candidate.entity;
    format!("Part of incident {}, whose candidate is {candidate}", incident.incident)
}

fn rank(severity: &str) -> usize {
    ["none", "info", "warning", "critical"].iter().position(|s| *s == severity).unwrap_or(0)
}
