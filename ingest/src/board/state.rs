//! What a board holds, on one thread at a time.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use hypocenter_engine::{Fingerprint, IncidentId};

use super::{BoardLimits, Entry, Published};
use crate::record::PhaseName;
use crate::source::Shard;

/// What an entry takes besides its record, in bytes, about.
const ENTRY_BYTES: usize = 512;

/// Something that changed.
#[derive(Debug)]
pub(super) enum Change {
    Member(IncidentId, Fingerprint),
    Merged(IncidentId, IncidentId),
    Version(Arc<Entry>),
    Forget(Shard),
}

/// Which incidents are wanted; what is empty lets everything through.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// In one of these phases.
    pub phases: Vec<PhaseName>,
    /// Of one of these tenants.
    pub tenants: Vec<String>,
    /// Of one of these severities.
    pub severities: Vec<String>,
    /// With one of these entities as the candidate.
    pub entities: Vec<String>,
}

impl Filter {
    fn admits(&self, entry: &Entry) -> bool {
        let is_in = |list: &[String], text: &str| list.is_empty() || list.iter().any(|t| t == text);
        (self.phases.is_empty() || self.phases.contains(&entry.phase))
            && is_in(&self.tenants, &entry.tenant)
            && is_in(&self.severities, entry.severity)
            && is_in(&self.entities, &entry.entity)
    }
}

/// A reader was too slow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Missed {
    /// How many versions it has not seen.
    pub versions: u64,
    /// The number of the latest one.
    pub latest: u64,
}

#[derive(Debug)]
pub(super) struct State {
    limits: BoardLimits,
    /// By id: in the order of their first alerts.
    entries: BTreeMap<Box<str>, Arc<Entry>>,
    members: HashMap<IncidentId, Vec<Fingerprint>>,
    /// Those that are over, in that order.
    ended: VecDeque<Arc<Entry>>,
    recent: VecDeque<Published>,
    latest: u64,
    bytes: usize,
    left_out: u64,
}

impl State {
    pub(super) fn new(limits: BoardLimits) -> Self {
        Self {
            limits,
            entries: BTreeMap::new(),
            members: HashMap::new(),
            ended: VecDeque::new(),
            recent: VecDeque::new(),
            latest: 0,
            bytes: 0,
            left_out: 0,
        }
    }

    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::Member(incident, member) => {
                self.members.entry(incident).or_default().push(member);
            }
            Change::Merged(from, into) => {
                let members = self.members.remove(&from).unwrap_or_default();
                self.members.entry(into).or_default().extend(members);
            }
            Change::Version(entry) => self.version(entry),
            Change::Forget(shard) => {
                let gone = self.entries.values().filter(|entry| entry.shard == shard);
                let gone: Vec<Arc<Entry>> = gone.cloned().collect();
                gone.iter().for_each(|entry| self.remove(entry));
            }
        }
    }

    fn version(&mut self, entry: Arc<Entry>) {
        self.latest += 1;
        self.recent.push_back(Published { number: self.latest, entry: Arc::clone(&entry) });
        while self.recent.len() > self.limits.changes_max {
            self.recent.pop_front();
        }
        self.bytes += bytes_of(&entry);
        if let Some(old) = self.entries.insert(entry.id.clone(), Arc::clone(&entry)) {
            self.bytes -= bytes_of(&old);
        }
        if is_over(entry.phase) {
            self.ended.push_back(Arc::clone(&entry));
        }
        while let Some(oldest) = self.ended.front()
            && entry.updated.since(oldest.updated) > self.limits.retain_for
        {
            self.forget_ended();
        }
        while self.bytes > self.limits.bytes_max && self.entries.len() > 1 {
            self.left_out += 1;
            if !self.forget_ended()
                && let Some(oldest) = self.entries.values().next().cloned()
            {
                self.remove(&oldest);
            }
        }
    }

    /// Forgets the one that has been over for longest; whether there was one.
    fn forget_ended(&mut self) -> bool {
        let Some(oldest) = self.ended.pop_front() else { return false };
        self.remove(&oldest);
        true
    }

    fn remove(&mut self, entry: &Entry) {
        if let Some(old) = self.entries.remove(&entry.id) {
            self.bytes -= bytes_of(&old);
        }
        self.members.remove(&entry.key);
    }

    pub(super) fn incident(&self, id: &str) -> Option<Arc<Entry>> {
        self.entries.get(id).cloned()
    }

    pub(super) fn list(
        &self,
        filter: &Filter,
        before: Option<&str>,
        limit: usize,
    ) -> (Vec<Arc<Entry>>, bool) {
        let newest_first = self.entries.iter().rev();
        let older =
            newest_first.skip_while(|(id, _)| before.is_some_and(|before| &***id >= before));
        let mut wanted = older.map(|(_, entry)| entry).filter(|entry| filter.admits(entry));
        let list = wanted.by_ref().take(limit).cloned().collect();
        (list, wanted.next().is_some())
    }

    pub(super) fn groups(&self) -> Vec<(Arc<Entry>, Vec<Fingerprint>)> {
        let live = self.entries.values().filter(|entry| !is_over(entry.phase));
        let members =
            |entry: &Arc<Entry>| self.members.get(&entry.key).cloned().unwrap_or_default();
        live.map(|entry| (Arc::clone(entry), members(entry))).collect()
    }

    pub(super) fn since(&self, number: u64) -> Result<Vec<Published>, Missed> {
        let oldest = self.recent.front().map_or(self.latest + 1, |first| first.number);
        if number + 1 < oldest {
            let versions = self.latest.saturating_sub(number);
            return Err(Missed { versions, latest: self.latest });
        }
        let seen = usize::try_from(number + 1 - oldest).unwrap_or(usize::MAX);
        Ok(self.recent.iter().skip(seen).cloned().collect())
    }

    pub(super) fn latest(&self) -> u64 {
        self.latest
    }

    pub(super) fn size(&self) -> (u64, u64) {
        (self.bytes as u64, self.left_out)
    }
}

fn bytes_of(entry: &Entry) -> usize {
    entry.body.len() + ENTRY_BYTES
}

const fn is_over(phase: PhaseName) -> bool {
    matches!(phase, PhaseName::Resolved | PhaseName::Merged)
}
