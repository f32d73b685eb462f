//! The incident table, and which incidents consider which root.

use crate::decision::IncidentId;
use crate::incident::{Incident, IncidentKey};
use crate::limits::LIVE_PER_ENTITY_MAX;
use crate::model::Entity;
use crate::planted::planted;
use crate::state::{Frames, Reader, Section, StateError, verify_free};
use crate::symbol::Symbol;
use crate::table::{HashSeed, Map};

/// All incidents that are not over, and those that ended in the current step.
#[derive(Debug)]
pub(crate) struct Incidents {
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_id: Map<IncidentId, IncidentKey>,
    /// Live incidents by the roots they consider; the newest last.
    considering: Map<(Symbol, Entity), Newest>,
    live: u32,
    next_order: u64,
}

/// The newest incidents that consider one root, the oldest of them first. In place: there is one
/// of these for every root of every incident.
#[derive(Clone, Copy, Debug)]
struct Newest {
    keys: [IncidentKey; LIVE_PER_ENTITY_MAX],
    len: usize,
}

impl Newest {
    fn of(key: IncidentKey) -> Self {
        Self { keys: [key; LIVE_PER_ENTITY_MAX], len: 1 }
    }

    fn as_slice(&self) -> &[IncidentKey] {
        &self.keys[..self.len]
    }

    fn push(&mut self, key: IncidentKey) {
        if self.len == LIVE_PER_ENTITY_MAX {
            self.keys.rotate_left(1);
            self.len -= 1;
        }
        self.keys[self.len] = key;
        self.len += 1;
    }

    fn remove(&mut self, key: IncidentKey) {
        if let Some(at) = self.as_slice().iter().position(|&k| k == key) {
            self.keys[at..self.len].rotate_left(1);
            self.len -= 1;
        }
    }
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    incident: Option<Box<Incident>>,
}

impl Incidents {
    pub(crate) fn new(seed: HashSeed) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_id: Map::new(seed),
            considering: Map::new(seed),
            live: 0,
            next_order: 0,
        }
    }

    /// The key and the order of the next incident.
    pub(crate) fn reserve(&mut self) -> (IncidentKey, u64) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, incident: None });
            (self.slots.len() - 1) as u32
        });
        self.next_order += 1;
        let generation = self.slots[slot as usize].generation;
        (IncidentKey { slot, generation }, self.next_order)
    }

    pub(crate) fn insert(&mut self, incident: Incident) {
        let key = incident.key;
        let before = self.by_id.insert(incident.id, key);
        assert!(before.is_none(), "incident ids are unique among live incidents");
        self.slots[key.slot as usize].incident = Some(Box::new(incident));
        self.live += 1;
    }

    pub(crate) fn remove(&mut self, key: IncidentKey) -> Option<Box<Incident>> {
        self.get(key)?;
        let slot = &mut self.slots[key.slot as usize];
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(key.slot);
        let incident = slot.incident.take()?;
        self.by_id.remove(&incident.id);
        self.live -= 1;
        Some(incident)
    }

    pub(crate) fn get(&self, key: IncidentKey) -> Option<&Incident> {
        let slot = &self.slots[key.slot as usize];
        slot.incident.as_deref().filter(|_| slot.generation == key.generation)
    }

    pub(crate) fn get_mut(&mut self, key: IncidentKey) -> Option<&mut Incident> {
        let slot = &mut self.slots[key.slot as usize];
        slot.incident.as_deref_mut().filter(|_| slot.generation == key.generation)
    }

    /// Two different incidents: the first to change, the second to read.
    pub(crate) fn get_pair(
        &mut self,
        change: IncidentKey,
        read: IncidentKey,
    ) -> Option<(&mut Incident, &Incident)> {
        let (a, b) = (change.slot as usize, read.slot as usize);
        let [a, b] = self.slots.get_disjoint_mut([a, b]).ok()?;
        let fresh = a.generation == change.generation && b.generation == read.generation;
        match (&mut a.incident, &b.incident) {
            (Some(a), Some(b)) if fresh => Some((a, b)),
            _ => None,
        }
    }

    /// How many slots there are; every key's slot is below.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The incident that stands in a slot.
    pub(crate) fn in_slot(&self, slot: usize) -> Option<IncidentKey> {
        self.slots[slot].incident.as_deref().map(|incident| incident.key)
    }

    pub(crate) fn find(&self, id: IncidentId) -> Option<&Incident> {
        self.by_id.get(&id).and_then(|&key| self.get(key))
    }

    /// The live incidents that consider `root` for a tenant.
    pub(crate) fn considering(&self, tenant: Symbol, root: Entity) -> &[IncidentKey] {
        self.considering.get(&(tenant, root)).map_or(&[], Newest::as_slice)
    }

    /// Notes that an incident considers `root`. The oldest one beyond the maximum is forgotten
    /// here: it goes on, but this root no longer leads new alerts to it.
    pub(crate) fn consider(&mut self, tenant: Symbol, root: Entity, key: IncidentKey) {
        match self.considering.get_mut(&(tenant, root)) {
            Some(newest) => newest.push(key),
            None => drop(self.considering.insert((tenant, root), Newest::of(key))),
        }
    }

    /// Notes that an incident no longer considers `root`.
    pub(crate) fn disregard(&mut self, tenant: Symbol, root: Entity, key: IncidentKey) {
        if let Some(newest) = self.considering.get_mut(&(tenant, root)) {
            newest.remove(key);
            if newest.len == 0 {
                self.considering.remove(&(tenant, root));
            }
        }
    }

    /// Asserts that the table's parts agree.
    pub(crate) fn check(&self) {
        let live = self.live as usize;
        assert_eq!(self.iter().count(), live, "incidents are counted");
        assert_eq!(self.by_id.len(), live, "every id is indexed");
        assert_eq!(self.slots.len(), live + self.free.len(), "free slots");
        for incident in self.iter() {
            let (key, id) = (incident.key, incident.id);
            assert_eq!(self.by_id.get(&id), Some(&key), "{id} is found");
            assert!(self.get(key).is_some(), "{id} stands in its slot");
        }
    }

    pub(crate) fn len(&self) -> u32 {
        self.live
    }

    /// Whether a key, which may be stale, names a slot that there is.
    pub(crate) fn has_slot(&self, key: IncidentKey) -> bool {
        (key.slot as usize) < self.slots.len()
    }

    pub(crate) fn save<E>(&self, out: &mut Frames<'_, E>) -> Result<(), E> {
        let slots = self.slots.iter().map(|slot| (slot.generation, &slot.incident));
        slots.into_iter().try_for_each(|slot| out.item(Section::Incidents, &slot))?;
        out.item(Section::IncidentQueues, &(&self.free, self.next_order))?;
        // Each list once, where the first incident on it stands: the map has no order of its own.
        for incident in self.iter() {
            for root in incident.hypotheses.iter().map(|root| root.entity) {
                let keys = self.considering(incident.tenant, root);
                if keys.first() == Some(&incident.key) {
                    out.item(Section::Considering, &(incident.tenant, root, keys))?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn restore(frames: &mut Reader<'_>, seed: HashSeed) -> Result<Self, StateError> {
        let inconsistent = |what| StateError::Inconsistent { what };
        let mut incidents = Self::new(seed);
        frames.each(Section::Incidents, |(generation, mut incident)| {
            if let Some(incident) = &mut incident {
                let incident: &mut Incident = incident;
                let slot = incidents.slots.len() as u32;
                if incident.key != (IncidentKey { slot, generation }) {
                    return Err("an incident stands in its slot");
                }
                incident.index(seed)?;
                if incidents.by_id.insert(incident.id, incident.key).is_some() {
                    return Err("an incident stands once");
                }
                incidents.live += 1;
            }
            incidents.slots.push(Slot { generation, incident: incident.map(Box::new) });
            Ok(())
        })?;
        (incidents.free, incidents.next_order) = frames.one(Section::IncidentQueues)?;
        let is_free = |at: usize| incidents.slots[at].incident.is_none();
        verify_free(&incidents.free, incidents.slots.len(), is_free).map_err(inconsistent)?;
        frames.each(Section::Considering, |(tenant, root, keys): (_, _, Vec<IncidentKey>)| {
            if keys.is_empty()
                || keys.len() > LIVE_PER_ENTITY_MAX
                || !keys.iter().all(|&key| incidents.may_consider(tenant, root, key))
            {
                return Err("a root leads to those who consider it");
            }
            let newest_last =
                planted!(RestoredOrderLost: keys.iter().rev().copied().collect(), keys);
            newest_last.into_iter().for_each(|key| incidents.consider(tenant, root, key));
            Ok(())
        })?;
        Ok(incidents)
    }

    fn may_consider(&self, tenant: Symbol, root: Entity, key: IncidentKey) -> bool {
        let incident = if self.has_slot(key) { self.get(key) } else { None };
        incident.is_some_and(|i| {
            i.tenant == tenant && !i.phase.is_final() && i.hypotheses.get(root).is_some()
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Incident> {
        self.slots.iter().filter_map(|slot| slot.incident.as_deref())
    }

    pub(crate) fn roots_considered(&self) -> usize {
        self.considering.len()
    }
}
