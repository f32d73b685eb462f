//! The alert table: every alert that fires or fired lately, by the keyed hash of its labels.

mod index;

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hash, Hasher};

use ahash::RandomState;
use borsh::{BorshDeserialize, BorshSerialize};

use self::index::Index;
use crate::decision::{Episode, Suppressor};
use crate::incident::IncidentKey;
use crate::label::Fingerprint;
use crate::score::Score;
use crate::state::{Frames, Reader, Section, StateError, verify_free};
use crate::subject::Subject;
use crate::symbol::Symbol;
use crate::table::HashSeed;
use crate::time::{Span, Timestamp};

/// Place of an alert in the table; stale once the alert is forgotten.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, BorshDeserialize, BorshSerialize)]
pub(crate) struct AlertKey {
    slot: u32,
    generation: u32,
}

/// Whether an alert fires.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshDeserialize, BorshSerialize)]
pub(crate) enum State {
    /// It fires until told otherwise, or until this time.
    Firing { until: Timestamp, timeout: bool },
    /// It was over at this time.
    Resolved { at: Timestamp },
}

/// Where an alert's current or latest episode was put.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshDeserialize, BorshSerialize)]
pub(crate) enum Place {
    /// In an incident, as this member.
    Member(IncidentKey, u32),
    /// In none.
    Suppressed(Suppressor),
}

/// One alert. What a repeat looks at comes first, in one line of the cache.
#[derive(Debug, BorshDeserialize, BorshSerialize)]
#[repr(C, align(64))]
pub(crate) struct Alert {
    /// Of its slot; the table sets it.
    pub(crate) generation: u32,
    pub(crate) tenant: Symbol,
    pub(crate) fingerprint: Fingerprint,
    /// Start of the current or latest episode, as first announced.
    pub(crate) starts_at: Timestamp,
    pub(crate) state: State,
    pub(crate) place: Place,
    /// When the timer for this alert goes off.
    pub(crate) timer_at: Timestamp,
    /// Largest ratio of value to limit in this episode that was weighed.
    pub(crate) ratio: f64,
    /// Worst strength and excess of this episode.
    pub(crate) strength: Score,
    pub(crate) excess: Option<f64>,
    pub(crate) subject: Subject,
    pub(crate) hash: u64,
    /// How long the condition had held by then.
    pub(crate) held: Span,
    /// When its latest episode that is over ended.
    pub(crate) ended: Timestamp,
    /// Latest onsets within the flap window, oldest first; few.
    pub(crate) onsets: Vec<Timestamp>,
    pub(crate) flapping_until: Timestamp,
    /// Its latest place in the queue for eviction.
    pub(crate) resolved_nr: u64,
}

impl Alert {
    pub(crate) fn episode(&self) -> Episode {
        Episode { fingerprint: self.fingerprint, starts_at: self.starts_at }
    }

    pub(crate) fn is_firing(&self) -> bool {
        matches!(self.state, State::Firing { .. })
    }

    /// When a flapping alert, if it goes on firing, is steady enough to be placed after all.
    pub(crate) fn steady_at(&self, steady: Span) -> Option<Timestamp> {
        let flaps = self.is_firing() && self.place == Place::Suppressed(Suppressor::Flapping);
        self.onsets.last().filter(|_| flaps).map(|onset| onset.plus(steady))
    }

    /// Notes an onset. Whether the alert is flapping now.
    pub(crate) fn note_onset(
        &mut self,
        now: Timestamp,
        window: Span,
        onsets: u8,
        hold: Span,
    ) -> bool {
        self.onsets.push(now);
        while self.onsets.first().is_some_and(|&first| now.since(first) > window)
            || self.onsets.len() > usize::from(onsets)
        {
            self.onsets.remove(0);
        }
        if self.onsets.len() >= usize::from(onsets) {
            self.flapping_until = self.flapping_until.max(now.plus(hold));
        }
        let flapping = self.flapping_until > now;
        if flapping {
            let half = Span::from_millis((hold.as_nanos() / 2_000_000) as u64);
            self.flapping_until = self.flapping_until.max(now.plus(half));
        }
        flapping
    }
}

/// All alerts.
#[derive(Debug)]
pub(crate) struct Alerts {
    hasher: RandomState,
    index: Index,
    slots: Vec<Option<Alert>>,
    /// Slots that are free, with the generation of who comes next.
    free: Vec<(u32, u32)>,
    /// Resolved alerts in the order in which they were, for eviction. May hold stale entries:
    /// an alert's valid one has its `resolved_nr`.
    resolved: VecDeque<(AlertKey, u64)>,
    next_resolved_nr: u64,
    live: u32,
}

impl Alerts {
    pub(crate) fn new(seed: HashSeed) -> Self {
        Self {
            hasher: seed.state(),
            index: Index::default(),
            slots: Vec::new(),
            free: Vec::new(),
            resolved: VecDeque::new(),
            next_resolved_nr: 0,
            live: 0,
        }
    }

    /// Keyed hash of a label set without the dropped labels. Its key is not known to senders, so
    /// that nobody can make two alerts collide; by chance two of a million do once in 10^7 runs.
    pub(crate) fn hash(&self, pairs: &[(&str, &str)], dropped: &[String]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        for (name, value) in pairs {
            if dropped.is_empty() || !dropped.iter().any(|d| d == name) {
                name.hash(&mut hasher);
                value.hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    pub(crate) fn find(&self, hash: u64) -> Option<AlertKey> {
        self.index.get(hash)
    }

    pub(crate) fn get(&self, key: AlertKey) -> Option<&Alert> {
        let alert = self.slots[key.slot as usize].as_ref();
        alert.filter(|alert| alert.generation == key.generation)
    }

    pub(crate) fn get_mut(&mut self, key: AlertKey) -> Option<&mut Alert> {
        let alert = self.slots[key.slot as usize].as_mut();
        alert.filter(|alert| alert.generation == key.generation)
    }

    pub(crate) fn insert(&mut self, alert: Alert) -> AlertKey {
        let (slot, generation) = self.free.pop().unwrap_or((self.slots.len() as u32, 0));
        let alert = Alert { generation, ..alert };
        let key = AlertKey { slot, generation };
        self.index.insert(alert.hash, key);
        match self.slots.get_mut(slot as usize) {
            Some(free) => *free = Some(alert),
            None => self.slots.push(Some(alert)),
        }
        self.live += 1;
        key
    }

    pub(crate) fn remove(&mut self, key: AlertKey) -> Option<Alert> {
        self.get(key)?;
        let alert = self.slots[key.slot as usize].take()?;
        self.index.remove(alert.hash);
        self.free.push((key.slot, key.generation.wrapping_add(1)));
        self.live -= 1;
        Some(alert)
    }

    /// Notes that an alert is resolved: it may be evicted when the table is full.
    pub(crate) fn note_resolved(&mut self, key: AlertKey) {
        self.next_resolved_nr += 1;
        let nr = self.next_resolved_nr;
        if let Some(alert) = self.get_mut(key) {
            alert.resolved_nr = nr;
        }
        self.resolved.push_back((key, nr));
        // Stale entries are dropped here, so that the queue stays about as short as the table.
        if self.resolved.len() > 64 && self.resolved.len() > 2 * self.slots.len() {
            let mut resolved = std::mem::take(&mut self.resolved);
            resolved.retain(|&entry| self.is_queued(entry));
            self.resolved = resolved;
        }
    }

    fn is_queued(&self, (key, nr): (AlertKey, u64)) -> bool {
        self.get(key).is_some_and(|alert| !alert.is_firing() && alert.resolved_nr == nr)
    }

    /// The resolved alert that has been so for longest.
    pub(crate) fn evictable(&mut self) -> Option<AlertKey> {
        while let Some(entry) = self.resolved.pop_front() {
            if self.is_queued(entry) {
                return Some(entry.0);
            }
        }
        None
    }

    /// All alerts, in no useful order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (AlertKey, &Alert)> {
        (0..).zip(&self.slots).filter_map(|(slot, alert)| {
            let alert = alert.as_ref()?;
            Some((AlertKey { slot, generation: alert.generation }, alert))
        })
    }

    /// Asserts that the table's parts agree.
    pub(crate) fn check(&self) {
        let live = self.live as usize;
        assert_eq!(self.iter().count(), live, "alerts are counted");
        assert_eq!(self.index.len(), live, "every alert is indexed");
        assert_eq!(self.slots.len(), live + self.free.len(), "free slots");
        for (key, alert) in self.iter() {
            assert_eq!(self.find(alert.hash), Some(key), "an alert is found");
            assert!(
                alert.is_firing() || self.resolved.contains(&(key, alert.resolved_nr)),
                "a resolved alert can be evicted"
            );
        }
        let bound = 64.max(2 * self.slots.len());
        assert!(self.resolved.len() <= bound, "the queue is bounded");
    }

    pub(crate) fn len(&self) -> u32 {
        self.live
    }

    /// How many slots there are.
    pub(crate) fn slots(&self) -> u32 {
        self.slots.len() as u32
    }

    /// Whether a key, which may be stale, names a slot that there is.
    pub(crate) fn has_slot(&self, key: AlertKey) -> bool {
        (key.slot as usize) < self.slots.len()
    }

    pub(crate) fn save<E>(&self, out: &mut Frames<'_, E>) -> Result<(), E> {
        self.slots.iter().try_for_each(|slot| out.item(Section::Alerts, slot))?;
        let queues = (&self.free, &self.resolved, self.next_resolved_nr);
        out.item(Section::AlertQueues, &queues)
    }

    pub(crate) fn restore(
        frames: &mut Reader<'_>,
        seed: HashSeed,
        slots: u32,
    ) -> Result<Self, StateError> {
        let mut alerts = Self::new(seed);
        // An alert has more bytes than that.
        let room = (frames.left() / 64).min(slots as usize);
        alerts.slots.reserve(room);
        alerts.index.reserve(room);
        frames.each(Section::Alerts, |alert: Option<Alert>| {
            let slot = alerts.slots.len() as u32;
            if let Some(Alert { hash, generation, .. }) = alert {
                if alerts.index.get(hash).is_some() {
                    return Err("an alert stands once");
                }
                alerts.index.insert(hash, AlertKey { slot, generation });
                alerts.live += 1;
            }
            alerts.slots.push(alert);
            Ok(())
        })?;
        (alerts.free, alerts.resolved, alerts.next_resolved_nr) =
            frames.one(Section::AlertQueues)?;
        let inconsistent = |what| StateError::Inconsistent { what };
        let is_free = |at: usize| alerts.slots[at].is_none();
        let free: Vec<u32> = alerts.free.iter().map(|&(slot, _)| slot).collect();
        verify_free(&free, alerts.slots.len(), is_free).map_err(inconsistent)?;
        if alerts.resolved.iter().any(|&(key, _)| !alerts.has_slot(key)) {
            return Err(inconsistent("what may be evicted is in the table"));
        }
        Ok(alerts)
    }
}
