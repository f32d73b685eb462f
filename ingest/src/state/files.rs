//! Snapshot files of one shard: there whole or not at all, and the last three are kept.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::source::Shard;

/// Snapshots that are kept.
pub const GENERATIONS: usize = 3;

const SNAPSHOT: &str = "snapshot";
/// One that is being written.
const UNFINISHED: &str = "unfinished";
/// One that could not be read, for whoever wants to know why.
const DAMAGED: &str = "damaged";

/// What stays as it is in the name of a shard's directory. It ends with a number: none is special.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// The snapshots of one shard.
#[derive(Debug)]
pub struct Files {
    dir: PathBuf,
}

/// A snapshot that is on disk and does not count yet.
#[derive(Debug)]
pub struct Written {
    next: u64,
    path: PathBuf,
    /// Its size.
    pub bytes: u64,
}

impl Files {
    /// Those of a shard, in a directory of its own below `root`. What a process left half written
    /// is removed.
    ///
    /// # Errors
    /// When the directory cannot be made or read.
    pub fn open(root: &Path, shard: &Shard) -> io::Result<Self> {
        let name = utf8_percent_encode(&shard.input, NAME);
        let dir = root.join(format!("{name}-{}", shard.partition));
        if !dir.is_dir() {
            DirBuilder::new().mode(0o700).create(&dir)?;
            sync_directory(root)?;
        }
        let files = Self { dir };
        for (_, path) in files.list(UNFINISHED)? {
            fs::remove_file(path)?;
        }
        Ok(files)
    }

    /// Those of all shards below `root`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn all(root: &Path) -> io::Result<Vec<Self>> {
        let entries = fs::read_dir(root)?.map(|entry| entry.map(|entry| entry.path()));
        let dirs = entries.filter(|dir| dir.as_ref().map_or(true, |dir| dir.is_dir()));
        dirs.map(|dir| dir.map(|dir| Self { dir })).collect()
    }

    /// All snapshots, by the position after the last one that they cover.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn newest_first(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        self.list(SNAPSHOT)
    }

    fn list(&self, extension: &str) -> io::Result<Vec<(u64, PathBuf)>> {
        let mut list = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let is_one = path.extension().is_some_and(|found| found == extension);
            let next = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
            if let Some(next) = next.filter(|_| is_one) {
                list.push((next, path));
            }
        }
        list.sort_unstable_by(|a, b| b.cmp(a));
        Ok(list)
    }

    fn path(&self, next: u64, extension: &str) -> PathBuf {
        // As many digits as the largest position has.
        self.dir.join(format!("{next:020}.{extension}"))
    }

    /// Removes snapshots that cover more than what lies before `known`.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn forget_beyond(&self, known: u64) -> io::Result<()> {
        for (_, path) in self.list(SNAPSHOT)?.iter().filter(|(next, _)| *next > known) {
            fs::remove_file(path)?;
        }
        Ok(())
    }

    /// Writes one that covers what lies before `next`, and waits until the disk has it. It counts
    /// once it is published.
    ///
    /// # Errors
    /// When it cannot be written; nothing is left of it then.
    pub fn write(
        &self,
        next: u64,
        save: impl FnOnce(&mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()>,
    ) -> io::Result<Written> {
        let path = self.path(next, UNFINISHED);
        let mut bytes = 0;
        let written = (|| {
            let mut options = OpenOptions::new();
            // It holds the key of the hash tables, which senders must not know.
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(&path)?;
            save(&mut |piece| {
                bytes += piece.len() as u64;
                file.write_all(piece)
            })?;
            file.sync_all()
        })();
        match written {
            Ok(()) => Ok(Written { next, path, bytes }),
            Err(error) => {
                // What the disk could not take, or said that it could not, is worth nothing.
                drop(fs::remove_file(&path));
                Err(error)
            }
        }
    }

    /// Lets a snapshot count, and removes those that are not needed any more.
    ///
    /// # Errors
    /// When the disk does not say that it has it.
    pub fn publish(&self, written: &Written) -> io::Result<()> {
        fs::rename(&written.path, self.path(written.next, SNAPSHOT))?;
        sync_directory(&self.dir)?;
        for (_, path) in self.list(SNAPSHOT)?.iter().skip(GENERATIONS) {
            fs::remove_file(path)?;
        }
        for (_, path) in self.list(DAMAGED)?.iter().skip(1) {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

/// Keeps a file that cannot be read, where nobody tries it again.
pub fn set_aside(path: &Path) {
    if let Err(error) = fs::rename(path, path.with_extension(DAMAGED)) {
        tracing::warn!(file = %path.display(), "cannot be set aside: {error}");
    }
}

fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard() -> Shard {
        Shard { input: "../a b".to_owned(), partition: 3 }
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).expect("a directory");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    fn write(files: &Files, next: u64) -> Written {
        files.write(next, |out| out(b"some").and_then(|()| out(b"thing"))).expect("written")
    }

    #[test]
    fn three_are_kept_and_what_is_unfinished_does_not_count() {
        let root = tempfile::tempdir().expect("a directory");
        let files = Files::open(root.path(), &shard()).expect("opened");
        assert_eq!(names(root.path()), ["..%2Fa%20b-3"]);
        for next in [5, 7, 30, 100] {
            let written = write(&files, next);
            assert_eq!(written.bytes, 9);
            files.publish(&written).expect("published");
        }
        write(&files, 200);
        let nexts = |files: &Files| -> Vec<u64> {
            files.newest_first().expect("listed").into_iter().map(|(next, _)| next).collect()
        };
        assert_eq!(nexts(&files), [100, 30, 7]);
        let files = Files::open(root.path(), &shard()).expect("opened again");
        assert_eq!(names(&files.dir).len(), 3, "the unfinished one is gone");
        files.forget_beyond(30).expect("forgotten");
        assert_eq!(nexts(&files), [30, 7]);
        set_aside(&files.path(30, SNAPSHOT));
        assert_eq!(nexts(&files), [7]);
    }

    #[test]
    fn nothing_is_left_of_one_that_fails() {
        let root = tempfile::tempdir().expect("a directory");
        let files = Files::open(root.path(), &shard()).expect("opened");
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let error = files.write(1, |out| out(b"half").and(Err(full()))).expect_err("it fails");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(names(&files.dir), Vec::<String>::new());
    }
}
