//! The whole state of an engine as bytes, and back.
//!
//! A saved state is a magic number and a version, then frames: each names its section, has a number
//! and a checksum, and holds whole items. Nothing is believed before it is checked, and what can be
//! found anew from the rest (indices, sums of them) is not in it. The layout of an item is that of
//! its struct, so every change of a struct, and every change of what its figures mean, is another
//! [`STATE_VERSION`]; `ingest/tests/engine_state.rs` holds the bytes of the present one.

mod frames;
mod verify;

use std::collections::VecDeque;
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};

pub(crate) use self::frames::{Frames, Reader, Section};
use crate::alerts::Alerts;
use crate::background::Background;
use crate::engine::Engine;
use crate::event::Seq;
use crate::incident::IncidentKey;
use crate::incidents::Incidents;
use crate::model::World;
use crate::policy::Policy;
use crate::snapshot::Snapshot;
use crate::stats::Stats;
use crate::symbol::Symbols;
use crate::table::HashSeed;
use crate::time::Timestamp;
use crate::timers::Timers;
use crate::topology::Topology;

/// Version of the layout and of the meaning of what is in it. One of any other version is
/// refused, never misread: the state is then rebuilt from the input.
pub const STATE_VERSION: u32 = 3;

/// What a saved state begins with.
const MAGIC: [u8; 8] = *b"hypocntr";

/// What a saved state says of itself.
#[derive(Clone, PartialEq, Eq, Debug, BorshDeserialize, BorshSerialize)]
pub struct StateHeader {
    /// The engine's version that made it.
    pub made_by: String,
    /// The input partition.
    pub shard: String,
    /// [`Policy::hash`].
    pub policy: u64,
    /// [`Topology::version`].
    pub topology: u64,
    /// Log time up to which the engine had decided.
    pub now: Timestamp,
    /// The latest event.
    pub seq: Seq,
    /// What the caller of [`Engine::save`] wants to know again.
    pub note: Vec<u8>,
    /// Under which alerts are looked up, and what it makes of a known text: another build may hash
    /// otherwise.
    seed: u64,
    probe: u64,
    /// How much of the larger tables to make room for.
    alerts: u32,
    texts: u32,
}

/// Why bytes are not a state that an engine can begin with. None of them harms: the state is
/// rebuilt from the input instead.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// It does not begin like one.
    #[error("not a saved state: it begins with other bytes")]
    Alien,
    /// Made by an older or newer version.
    #[error("version {found} of the state format, and this program reads {STATE_VERSION}")]
    OtherVersion {
        /// Its version.
        found: u32,
    },
    /// It ends too early.
    #[error("cut off after {at} bytes")]
    Truncated {
        /// How many bytes are whole.
        at: usize,
    },
    /// A checksum is wrong, or a part does not belong where it stands.
    #[error("damaged at byte {at}")]
    Damaged {
        /// Where.
        at: usize,
    },
    /// It belongs to other input or to another configuration.
    #[error("made under another {what}")]
    Other {
        /// `shard`, `policy` or `hash function`.
        what: &'static str,
    },
    /// Whole, and yet not the state of any engine.
    #[error("its parts do not agree: {what}")]
    Inconsistent {
        /// What does not.
        what: &'static str,
    },
}

/// All that is not in a table.
#[derive(BorshDeserialize, BorshSerialize)]
struct Rest {
    now: Timestamp,
    seq: Seq,
    stats: Stats,
    ended: VecDeque<IncidentKey>,
    turn: u64,
    renewed_slots: u64,
}

impl Engine {
    /// Writes the whole state, in pieces of some hundred kilobytes. To be called between any two
    /// other calls. What is being traced is not in it. `note` is the caller's own, and stands in the
    /// header.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn save<E>(
        &self,
        note: &[u8],
        out: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        out(&MAGIC)?;
        out(&STATE_VERSION.to_le_bytes())?;
        let mut frames = Frames::new(out);
        let header = StateHeader {
            made_by: env!("CARGO_PKG_VERSION").to_owned(),
            shard: self.shard.clone().into(),
            policy: self.world.policy.hash(),
            topology: self.topology().version(),
            now: self.now,
            seq: self.seq,
            note: note.to_vec(),
            seed: self.seed.0,
            probe: self.seed.probe(),
            alerts: self.alerts.slots(),
            texts: self.world.symbols.slots(),
        };
        frames.item(Section::Header, &header)?;
        let World { graph, before, turn, symbols, .. } = &self.world;
        for graph in [graph].into_iter().chain(before) {
            frames.item(Section::Graphs, &graph.topology)?;
        }
        symbols.save(&mut frames)?;
        self.alerts.save(&mut frames)?;
        self.incidents.save(&mut frames)?;
        self.background.save(&mut frames)?;
        self.timers.save(&mut frames)?;
        let Self { now, seq, stats, ref ended, renewed_slots, .. } = *self;
        let (ended, turn, renewed_slots) = (ended.clone(), *turn, renewed_slots as u64);
        frames.item(Section::Rest, &Rest { now, seq, stats, ended, turn, renewed_slots })?;
        frames.end()
    }

    /// What a saved state says of itself. Only its beginning is looked at.
    ///
    /// # Errors
    /// [`StateError`] when that cannot be read.
    pub fn state_header(bytes: &[u8]) -> Result<StateHeader, StateError> {
        open(bytes).map(|(header, _)| header)
    }

    /// The graph that was in force. Only that part is looked at.
    ///
    /// # Errors
    /// [`StateError`] when it cannot be read.
    pub fn saved_topology(bytes: &[u8]) -> Result<Topology, StateError> {
        let (_, mut frames) = open(bytes)?;
        let (at, mut first) = (frames.at(), None);
        frames.each(Section::Graphs, |topology: Topology| {
            let is_sound = topology.is_sound();
            first.get_or_insert(topology);
            if is_sound { Ok(()) } else { Err("a graph has its entities and no others") }
        })?;
        first.ok_or(StateError::Damaged { at })
    }

    /// The engine that was saved. It decides from here on what that one would have decided, on the
    /// graph and with the hash seed of that one. If `graph` is that graph, it is shared.
    ///
    /// # Errors
    /// [`StateError`] when the bytes are not a whole state of this version, made by the same shard
    /// under the same policy. Whatever the bytes, it does not panic, and holds no more than a small
    /// multiple of them, but for the walks of their graph.
    pub fn restore(
        bytes: &[u8],
        policy: Policy,
        graph: &Arc<Snapshot>,
        shard: &str,
    ) -> Result<Self, StateError> {
        let (header, mut frames) = open(bytes)?;
        let seed = HashSeed(header.seed);
        let same = |is: bool, what| if is { Ok(()) } else { Err(StateError::Other { what }) };
        same(header.shard == shard, "shard")?;
        same(header.policy == policy.hash(), "policy")?;
        same(header.probe == seed.probe(), "hash function")?;
        let (graph, before) = graphs(&mut frames, &policy, graph)?;
        let symbols = Symbols::restore(&mut frames, seed, header.texts)?;
        let alerts = Alerts::restore(&mut frames, seed, header.alerts)?;
        let incidents = Incidents::restore(&mut frames, seed)?;
        let background = Background::restore(&mut frames, seed)?;
        let timers = Timers::restore(&mut frames)?;
        let Rest { now, seq, stats, ended, turn, renewed_slots } = frames.one(Section::Rest)?;
        frames.end()?;
        let mut engine = Self::on(policy, graph, shard, seed);
        (engine.world.before, engine.world.turn) = (before, turn);
        engine.renewed_slots = renewed_slots as usize;
        (engine.alerts, engine.incidents, engine.background) = (alerts, incidents, background);
        (engine.timers, engine.now, engine.seq) = (timers, now, seq);
        (engine.stats, engine.ended, engine.world.symbols) = (stats, ended, symbols);
        engine.verify().map_err(|what| StateError::Inconsistent { what })?;
        Ok(engine)
    }
}

/// The graph in force, and the one before it while some incident is on that.
fn graphs(
    frames: &mut Reader<'_>,
    policy: &Policy,
    known: &Arc<Snapshot>,
) -> Result<(Arc<Snapshot>, Option<Arc<Snapshot>>), StateError> {
    let (at, mut graphs) = (frames.at(), Vec::new());
    frames.each(Section::Graphs, |topology: Topology| {
        if !topology.is_sound() {
            return Err("a graph has its entities and no others");
        }
        let is_known = known.topology.is(&topology) && known.is_for(policy);
        graphs.push(match is_known {
            true => Arc::clone(known),
            false => Arc::new(Snapshot::new(topology.with_directory(), policy)),
        });
        Ok(())
    })?;
    let mut graphs = graphs.into_iter();
    match (graphs.next(), graphs.next(), graphs.next()) {
        (Some(graph), before, None) => Ok((graph, before)),
        _ => Err(StateError::Damaged { at }),
    }
}

/// Whether a list of free places has each place that is free once.
pub(crate) fn verify_free(
    free: &[u32],
    places: usize,
    is_free: impl Fn(usize) -> bool,
) -> Result<(), &'static str> {
    let mut listed = vec![false; places];
    let mut once = |&at: &u32| {
        listed.get_mut(at as usize).is_some_and(|listed| !std::mem::replace(listed, true))
    };
    let right = free.iter().all(&mut once) && (0..places).all(|at| is_free(at) == listed[at]);
    if right { Ok(()) } else { Err("what is free is listed once") }
}

fn open(bytes: &[u8]) -> Result<(StateHeader, Reader<'_>), StateError> {
    let Some((magic, rest)) = bytes.split_first_chunk() else {
        let is_beginning = !bytes.is_empty() && MAGIC.starts_with(bytes);
        return Err(if is_beginning {
            StateError::Truncated { at: bytes.len() }
        } else {
            StateError::Alien
        });
    };
    if *magic != MAGIC {
        return Err(StateError::Alien);
    }
    let Some((version, rest)) = rest.split_first_chunk() else {
        return Err(StateError::Truncated { at: bytes.len() });
    };
    match u32::from_le_bytes(*version) {
        STATE_VERSION => {}
        found => return Err(StateError::OtherVersion { found }),
    }
    let mut frames = Reader::new(rest, bytes.len() - rest.len());
    let header = frames.one(Section::Header)?;
    Ok((header, frames))
}
