//! The files of an evaluation folder, from disk or from a compressed archive, in memory.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::read::GzDecoder;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

/// The names that mean something; every other file is left unread.
const NAMES: [&str; 5] =
    ["split.json", "alerts.jsonl", "topology.json", "truth.json", "alerts.truth.jsonl"];

/// Folders below the given one that are searched: a folder of sets, a set, a case.
const DEPTH: usize = 3;

/// File contents by path below the root.
pub(super) struct Files {
    root: PathBuf,
    contents: BTreeMap<PathBuf, Vec<u8>>,
}

impl Files {
    /// Reads a folder, or a `.tar.gz` archive as if it were unpacked.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut files = Self { root: root.to_path_buf(), contents: BTreeMap::new() };
        let kind = fs::metadata(root).with_context(|| {
            format!("{}: name a folder or a .tar.gz archive that exists", root.display())
        })?;
        if kind.is_dir() {
            files.walk(Path::new(""), DEPTH)?;
        } else {
            files
                .unpack()
                .with_context(|| format!("{}: not a readable .tar.gz archive", root.display()))?;
        }
        Ok(files)
    }

    /// Hash of all names and contents; the first 16 digits of a SHA-256.
    pub(super) fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for (path, bytes) in &self.contents {
            let name = path.to_string_lossy();
            for part in [name.as_bytes(), bytes] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
        }
        hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    fn walk(&mut self, folder: &Path, depth: usize) -> Result<()> {
        let full = self.root.join(folder);
        let entries = fs::read_dir(&full).with_context(|| format!("read {}", full.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("read {}", full.display()))?;
            let path = folder.join(entry.file_name());
            let full = entry.path();
            if full.is_dir() {
                if depth > 0 {
                    self.walk(&path, depth - 1)?;
                }
            } else if is_wanted(&path) {
                let bytes = fs::read(&full).with_context(|| format!("read {}", full.display()))?;
                self.contents.insert(path, bytes);
            }
        }
        Ok(())
    }

    fn unpack(&mut self) -> Result<()> {
        let file = BufReader::new(File::open(&self.root)?);
        let mut archive = tar::Archive::new(GzDecoder::new(file));
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = entry.path()?.components().collect::<PathBuf>();
            let path = path.strip_prefix(".").map(Path::to_path_buf).unwrap_or(path);
            if entry.header().entry_type().is_file() && is_wanted(&path) {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes)?;
                self.contents.insert(path, bytes);
            }
        }
        Ok(())
    }

    /// The folders that hold a file of this name, in order of their paths.
    pub(super) fn folders_with(&self, name: &str) -> Vec<PathBuf> {
        let holds = |path: &&PathBuf| path.file_name().is_some_and(|last| last == name);
        let paths = self.contents.keys().filter(holds);
        paths.filter_map(|path| path.parent().map(Path::to_path_buf)).collect()
    }

    /// What a folder is called: its last component, or the root's own name.
    pub(super) fn name_of(&self, folder: &Path) -> Result<String> {
        let own = if folder.file_name().is_some() { folder } else { &self.root };
        // `.` and `..` have no name until they are resolved.
        let resolved =
            if own.file_name().is_some() { own.to_path_buf() } else { own.canonicalize()? };
        let name = resolved.file_name().and_then(|name| name.to_str());
        let name = name.with_context(|| format!("{}: has no UTF-8 name", own.display()))?;
        Ok(name.trim_end_matches(".tar.gz").to_owned())
    }

    /// Takes the contents of a file out.
    pub(super) fn take(&mut self, path: &Path) -> Result<Vec<u8>> {
        let missing = || format!("{}: no {} in it", self.root.display(), path.display());
        self.contents.remove(path).with_context(missing)
    }

    /// Takes a file out and reads it as JSON.
    pub(super) fn take_json<T: DeserializeOwned>(&mut self, path: &Path) -> Result<T> {
        let bytes = self.take(path)?;
        serde_json::from_slice(&bytes).with_context(|| self.root.join(path).display().to_string())
    }
}

fn is_wanted(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| NAMES.contains(&name))
}

/// Reads one JSON value a line; empty lines are skipped. `what` names the source in errors.
pub(super) fn json_lines<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<Vec<T>> {
    let text = std::str::from_utf8(bytes).with_context(|| format!("{what}: not UTF-8"))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let values = lines.map(|(index, line)| {
        serde_json::from_str(line).with_context(|| format!("{what}, line {}", index + 1))
    });
    values.collect()
}
