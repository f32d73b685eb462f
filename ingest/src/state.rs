//! What survives a restart: snapshots of each shard's engine, on disk.
//!
//! A snapshot is made by a standby, a second engine on a thread of its own that follows the first
//! one step by step, so that deciding never waits for it. It counts once every output of what it
//! covers has arrived: from any snapshot that counts, nothing is lost by reading on. See decision
//! 0011.

pub mod files;
mod keeper;
mod standby;
mod steps;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hypocenter_engine::{
    Engine, Footprint, HashSeed, Policy, Snapshot, StateError, Stats, Timestamp, Topology,
};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

pub use self::keeper::{Keeper, Progress};

use self::files::Files;
use crate::source::{Resume, Shard};

/// Where a shard was when its engine was saved: the note in a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Everything before this position is decided.
    pub next: u64,
    /// Least delay seen between a record's log time and its arrival, in nanoseconds.
    pub delay: Option<i64>,
    /// The wall clock then, in nanoseconds since 1970.
    pub wall: i64,
}

/// What two engines in the same state agree on, without a look at each of their entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Digest {
    stats: Stats,
    now: Timestamp,
    held: Footprint,
    topology: u64,
}

impl Digest {
    /// Of an engine between two of its steps.
    #[must_use]
    pub fn of(engine: &Engine) -> Self {
        Self {
            stats: *engine.stats(),
            now: engine.now(),
            held: engine.footprint(),
            topology: engine.topology().version(),
        }
    }
}

/// What a shard begins with.
pub struct Begin {
    /// The graph that it goes over to.
    pub graph: Arc<Snapshot>,
    /// Its engine, and where that was saved; `None`: there is no snapshot for this start.
    pub restored: Option<(Engine, Place)>,
    /// Who makes snapshots from now on; `None`: the disk forbids it, and that was logged.
    pub keeper: Option<Keeper>,
}

/// How the snapshots that were looked at at the start turned out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Loads {
    /// Shards that began with one.
    pub loaded: u64,
    /// Shards for which there was none.
    pub none: u64,
    /// Files that could not be used.
    pub refused: u64,
}

/// All snapshots of a process, in one directory that no other process uses.
pub struct Store {
    root: PathBuf,
    interval: Duration,
    inner: Mutex<Inner>,
    /// Held as long as the process lives.
    _lock: File,
}

#[derive(Default)]
struct Inner {
    world: Option<World>,
    found: BTreeMap<Shard, Found>,
    loads: Loads,
}

/// What engines of this process work with.
#[derive(Clone)]
struct World {
    policy: Policy,
    graph: Arc<Snapshot>,
}

/// A snapshot that is loaded for a shard that is about to come to us.
struct Found {
    engine: Engine,
    place: Place,
    bytes: Vec<u8>,
}

/// Why the directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("state.dir {}: {why}", dir.display())]
pub struct StoreError {
    dir: PathBuf,
    why: String,
}

/// Why a file is not loaded.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("its topology is too long ago, or of another directory")]
    Topology,
    #[error("its note cannot be read: {0}")]
    Note(#[from] serde_json::Error),
    #[error("it is named after position {named} and covers up to {next}")]
    Misnamed { named: u64, next: u64 },
}

impl Refusal {
    /// Whether the file is of no use to anybody, rather than made under another configuration.
    fn is_damage(&self) -> bool {
        use StateError::{Other, OtherVersion};
        let is_other = |error: &StateError| matches!(error, Other { .. } | OtherVersion { .. });
        match self {
            Self::Topology => false,
            Self::State(error) => !is_other(error),
            Self::Unreadable(_) | Self::Note(_) | Self::Misnamed { .. } => true,
        }
    }
}

impl Store {
    /// The store in a directory, which is made if it is missing. A snapshot is taken every
    /// `interval` while something happens. Before anything else, [`Store::exchange`] says under what.
    ///
    /// # Errors
    /// [`StoreError`] when the directory cannot be written, or another process uses it.
    pub fn open(dir: &Path, interval: Duration) -> Result<Self, StoreError> {
        let failed = |why: String| StoreError { dir: dir.to_path_buf(), why };
        let lock = fs::create_dir_all(dir).and_then(|()| {
            let mut options = OpenOptions::new();
            options.create(true).truncate(false).write(true).mode(0o600).open(dir.join("lock"))
        });
        let lock = lock.map_err(|error| {
            failed(format!("{error}; it must be a directory that this process may write"))
        })?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let why = "another process uses it; each needs a directory of its own";
                return Err(failed(why.to_owned()));
            }
            Err(fs::TryLockError::Error(error)) => return Err(failed(format!("lock: {error}"))),
        }
        let (root, inner) = (dir.to_path_buf(), Mutex::default());
        Ok(Self { root, interval, inner, _lock: lock })
    }

    /// From now on, engines work with these.
    pub fn exchange(&self, policy: Policy, graph: Arc<Snapshot>) {
        self.inner().world = Some(World { policy, graph });
    }

    /// The graph of the newest snapshot of any shard, of those that can be read. The graph that
    /// [`Store::exchange`] is told at the start should be this one, or come after it.
    #[must_use]
    pub fn last_graph(&self) -> Option<Topology> {
        let newest = |shard: Files| {
            let list = shard.newest_first().unwrap_or_default();
            list.into_iter().find_map(|(_, path)| {
                let bytes = fs::read(path).ok()?;
                let header = Engine::state_header(&bytes).ok()?;
                let place: Place = serde_json::from_slice(&header.note).ok()?;
                Some((place.wall, Engine::saved_topology(&bytes).ok()?))
            })
        };
        let shards = Files::all(&self.root).unwrap_or_default().into_iter();
        shards.filter_map(newest).max_by_key(|(wall, _)| *wall).map(|(_, graph)| graph)
    }

    /// The graph that engines work with.
    ///
    /// # Panics
    /// Before [`Store::exchange`].
    #[must_use]
    pub fn graph(&self) -> Arc<Snapshot> {
        self.world().graph
    }

    fn world(&self) -> World {
        self.inner().world.clone().expect("`exchange` is called before anything else")
    }

    /// What a shard begins with whose first record is at `start`. What lies before `known` may have
    /// been decided by somebody; snapshots of what lies beyond are of another past. `wall` is the
    /// wall clock: where it was set back since, what a snapshot knows of log time is void.
    pub fn begin(
        &self,
        shard: &Shard,
        seed: HashSeed,
        (start, known): (Option<u64>, u64),
        wall: Timestamp,
    ) -> Begin {
        let World { policy, graph } = self.world();
        let mut inner = self.inner();
        let found = inner.found.remove(shard).filter(|found| Some(found.place.next) == start);
        match found {
            Some(_) => inner.loads.loaded += 1,
            None => inner.loads.none += 1,
        }
        drop(inner);
        let (restored, bytes) = match found {
            Some(Found { engine, place, bytes }) => {
                let delay = place.delay.filter(|_| place.wall <= wall.as_nanos());
                (Some((engine, Place { delay, ..place })), Some(bytes))
            }
            None => (None, None),
        };
        let files = Files::open(&self.root, shard).and_then(|files| {
            files.forget_beyond(known.max(start.unwrap_or(0)))?;
            Ok(files)
        });
        let covered = restored.as_ref().map_or(known, |(_, place)| place.next);
        let (theirs, name) = (Arc::clone(&graph), shard.to_string());
        let engine = move || match bytes {
            Some(bytes) => Engine::restore(&bytes, policy, &theirs, &name),
            None => Ok(Engine::on(policy, theirs, &name, seed)),
        };
        let keeper = files.and_then(|files| Keeper::start(files, self.interval, covered, engine));
        if let Err(error) = &keeper {
            let (input, partition) = (&shard.input, shard.partition);
            warn!(input, partition, "no snapshots are taken: {error}");
        }
        Begin { graph, restored, keeper: keeper.ok() }
    }

    /// How the snapshots turned out so far.
    #[must_use]
    pub fn loads(&self) -> Loads {
        self.inner().loads
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn load(&self, shard: &Shard, named: u64, path: &Path) -> Result<Found, Refusal> {
        let bytes = fs::read(path)?;
        let place: Place = serde_json::from_slice(&Engine::state_header(&bytes)?.note)?;
        if place.next != named {
            return Err(Refusal::Misnamed { named, next: place.next });
        }
        let name = shard.to_string();
        let World { policy, graph } = self.world();
        let engine = Engine::restore(&bytes, policy, &graph, &name)?;
        if !graph.topology().comes_after(engine.topology()) {
            return Err(Refusal::Topology);
        }
        Ok(Found { engine, place, bytes })
    }
}

impl Resume for Store {
    /// Loads the newest snapshot that can be used. A file that cannot is logged, and the one before
    /// it is tried.
    fn resume(&self, shard: &Shard, may: &dyn Fn(u64) -> bool) -> Option<u64> {
        let list = Files::open(&self.root, shard).and_then(|files| files.newest_first());
        let list = list.unwrap_or_else(|error| {
            warn!(%shard, dir = %self.root.display(), "snapshots cannot be listed: {error}");
            Vec::new()
        });
        let usable = list.into_iter().filter(|(next, _)| may(*next));
        for (next, path) in usable {
            let file = path.display();
            match self.load(shard, next, &path) {
                Ok(found) => {
                    let (alerts, incidents) =
                        (found.engine.alerts_live(), found.engine.incidents_live());
                    info!(%shard, %file, next, alerts, incidents, "snapshot loaded");
                    self.inner().found.insert(shard.clone(), found);
                    return Some(next);
                }
                Err(refusal) => {
                    self.inner().loads.refused += 1;
                    warn!(%shard, %file, "snapshot refused, the one before it is tried: {refusal}");
                    if refusal.is_damage() {
                        files::set_aside(&path);
                    }
                }
            }
        }
        info!(%shard, "no snapshot: the state is rebuilt from the input");
        None
    }
}
