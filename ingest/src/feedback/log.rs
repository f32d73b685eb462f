//! The append-only log: one judgement a line, on disk before it counts.
//!
//! A writer that dies in the middle leaves a line without an end; the next one ends it, and it is
//! counted as damaged. Several processes may write: each append holds a lock beside the log, and
//! reads first what others have written. A log that has grown to its bound is put aside as `.1`,
//! which becomes `.2`, and the oldest one beyond the bound is deleted.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::Taken;
use super::judgement::Judgement;
use super::ledger::Ledger;

/// Bounds on the log's size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Bytes of one file at which the next one is begun.
    pub bytes_max: u64,
    /// Files kept, the one that is written included.
    pub files_max: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { bytes_max: 16 << 20, files_max: 4 }
    }
}

/// Why the log cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("feedback log {}: {doing}: {why}", file.display())]
pub struct LogError {
    /// The file.
    pub file: PathBuf,
    /// What was being done.
    pub doing: &'static str,
    /// Why it failed.
    pub why: io::Error,
}

/// Lines that cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Damage {
    places: Vec<String>,
    more: u64,
}

/// Places of damaged lines that are kept to be shown.
const PLACES_SHOWN: usize = 10;

impl Damage {
    /// How many.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.places.len() as u64 + self.more
    }

    /// The first of them, each with its file, line and fault.
    #[must_use]
    pub fn places(&self) -> &[String] {
        &self.places
    }

    fn note(&mut self, place: String) {
        if self.places.len() < PLACES_SHOWN {
            self.places.push(place);
        } else {
            self.more += 1;
        }
    }
}

/// The log of one process.
#[derive(Debug)]
pub struct Log {
    file: PathBuf,
    bounds: Bounds,
    /// How far the file has been read, and how many lines that are.
    read: u64,
    lines: u64,
    /// Which file that was: a rotation by somebody else makes another one.
    identity: Option<u64>,
    damage: Damage,
    /// The last line has no end: it is read when somebody has ended it.
    torn: bool,
    started: bool,
}

impl Log {
    /// The log in a file, which is made when it is missing, at its first judgement.
    #[must_use]
    pub fn new(file: &Path, bounds: Bounds) -> Self {
        let file = file.to_path_buf();
        let damage = Damage::default();
        let (read, lines, identity, torn, started) = (0, 0, None, false, false);
        Self { file, bounds, read, lines, identity, damage, torn, started }
    }

    /// What could not be read, a last line without an end not counted.
    #[must_use]
    pub fn damage(&self) -> &Damage {
        &self.damage
    }

    /// Whether the last line has no end: whoever wrote it died over it.
    #[must_use]
    pub fn is_torn(&self) -> bool {
        self.torn
    }

    /// Reads what was written since the last time, by whomever.
    ///
    /// # Errors
    /// [`LogError`] when a file cannot be read.
    pub fn catch_up(&mut self, ledger: &mut Ledger) -> Result<(), LogError> {
        let size = match fs::metadata(&self.file) {
            Ok(found) => Some((identity(&found), found.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(why) => return Err(self.failed("look at it", why)),
        };
        let rotated = self.identity != size.map(|(identity, _)| identity);
        if !self.started || rotated || size.is_some_and(|(_, size)| size < self.read) {
            (self.read, self.lines, self.damage) = (0, 0, Damage::default());
            ledger.clear();
            for age in (1..self.bounds.files_max).rev() {
                let file = aged(&self.file, age);
                if file.exists() {
                    let end = read_file(&file, (0, 0), &mut self.damage, &mut |j| ledger.add(&j))?;
                    end.note_torn(&file, &mut self.damage);
                }
            }
            self.started = true;
        }
        self.identity = size.map(|(identity, _)| identity);
        if size.is_some_and(|(_, size)| size > self.read) {
            let from = (self.read, self.lines);
            let end = read_file(&self.file, from, &mut self.damage, &mut |j| ledger.add(&j))?;
            (self.read, self.lines, self.torn) = (end.position, end.lines, end.torn);
        }
        Ok(())
    }

    /// Appends a judgement that the ledger does not know, and makes it durable.
    ///
    /// # Errors
    /// [`LogError`] when that fails.
    pub fn append(&mut self, judgement: Judgement, ledger: &mut Ledger) -> Result<Taken, LogError> {
        let _lock = self.lock()?;
        self.catch_up(ledger)?;
        if ledger.knows(&judgement) {
            return Ok(Taken::Duplicate);
        }
        if self.read >= self.bounds.bytes_max {
            self.rotate()?;
        }
        let mut line = match serde_json::to_vec(&judgement) {
            Ok(line) => line,
            Err(error) => unreachable!("a judgement is JSON: {error}"),
        };
        line.push(b'\n');
        let is_new = !self.file.exists();
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .open(&self.file)
            .map_err(|why| self.failed("open it to append", why))?;
        let torn = is_torn(&mut file).map_err(|why| self.failed("look at its end", why))?;
        if torn {
            // Ends what somebody left unfinished: it counts, if nothing but its end is missing.
            line.insert(0, b'\n');
        }
        file.write_all(&line)
            .and_then(|()| file.sync_data())
            .map_err(|why| self.failed("append to it", why))?;
        if is_new {
            self.sync_folder()?;
        }
        self.catch_up(ledger)?;
        Ok(Taken::Stored)
    }

    /// Held while dropping it lets go.
    fn lock(&self) -> Result<File, LogError> {
        let beside = with_suffix(&self.file, ".lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(beside);
        let lock = lock.map_err(|why| self.failed("open its lock", why))?;
        lock.lock().map_err(|why| self.failed("lock it", why))?;
        Ok(lock)
    }

    fn rotate(&mut self) -> Result<(), LogError> {
        let kept = self.bounds.files_max.max(1);
        if kept == 1 {
            fs::remove_file(&self.file).map_err(|why| self.failed("begin it anew", why))?;
        }
        for age in (1..kept).rev() {
            let from = if age == 1 { self.file.clone() } else { aged(&self.file, age - 1) };
            if from.exists() {
                fs::rename(&from, aged(&self.file, age))
                    .map_err(|why| self.failed("put it aside", why))?;
            }
        }
        Ok(())
    }

    fn sync_folder(&self) -> Result<(), LogError> {
        let folder = self.file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = File::open(folder.unwrap_or(Path::new(".")));
        folder
            .and_then(|folder| folder.sync_all())
            .map_err(|why| self.failed("make its folder durable", why))
    }

    fn failed(&self, doing: &'static str, why: io::Error) -> LogError {
        LogError { file: self.file.clone(), doing, why }
    }
}

/// Reads a log file, from front to end; what cannot be read is returned.
///
/// # Errors
/// [`LogError`] when the file cannot be read at all.
pub fn read(file: &Path, each: &mut dyn FnMut(Judgement)) -> Result<Damage, LogError> {
    let mut damage = Damage::default();
    read_file(file, (0, 0), &mut damage, each)?.note_torn(file, &mut damage);
    Ok(damage)
}

/// Where reading ended.
struct End {
    /// After the last line that has an end.
    position: u64,
    /// Lines up to there.
    lines: u64,
    /// Whether something comes after it.
    torn: bool,
}

impl End {
    fn note_torn(&self, file: &Path, damage: &mut Damage) {
        if self.torn {
            damage.note(format!("{}:{}: has no end", file.display(), self.lines + 1));
        }
    }
}

/// Reads from a position and a line number on.
fn read_file(
    file: &Path,
    (from, mut number): (u64, u64),
    damage: &mut Damage,
    each: &mut dyn FnMut(Judgement),
) -> Result<End, LogError> {
    let failed = |why| LogError { file: file.to_path_buf(), doing: "read it", why };
    let mut bytes = Vec::new();
    let mut opened = File::open(file).map_err(failed)?;
    opened.seek(SeekFrom::Start(from)).map_err(failed)?;
    opened.read_to_end(&mut bytes).map_err(failed)?;
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    for line in bytes[..whole].split_inclusive(|&byte| byte == b'\n') {
        number += 1;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let parsed = serde_json::from_slice::<Judgement>(line).map_err(|error| error.to_string());
        match parsed.and_then(|judgement| judgement.check().map_err(|error| error.to_string())) {
            Ok(judgement) => each(judgement),
            Err(why) => damage.note(format!("{}:{number}: {why}", file.display())),
        }
    }
    Ok(End { position: from + whole as u64, lines: number, torn: whole < bytes.len() })
}

/// Whether a file ends in the middle of a line.
fn is_torn(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != [b'\n'])
}

fn aged(file: &Path, age: u32) -> PathBuf {
    with_suffix(file, &format!(".{age}"))
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(unix)]
fn identity(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn identity(_: &fs::Metadata) -> u64 {
    0
}
