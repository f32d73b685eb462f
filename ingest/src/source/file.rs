//! Files as a source, for `replay`: read one after the other as one stream, as fast as they can be.
//!
//! A file holds one body a line, or one body printed over several lines, plain or gzip. Positions count on from file to file; [`Progress`]
//! translates them back. Live standard input is another source: [`super::stdin`].

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::lines::Lines;
use super::{Assignment, Input, Polled, Record, Shard, Source, SourceError};

/// Longest line of a file, in bytes.
pub const LINE_BYTES_MAX: usize = 64 << 20;
/// Most lines handed out by one poll.
const BATCH_MAX: usize = 256;

/// Reads the given files, in the order given, as one shard `replay`/0.
///
/// Reading is synchronous: `poll` ignores its timeout and never returns [`Polled::Idle`]. Records
/// have no time of their own. A file that cannot be read to its end makes one `poll` fail, after
/// everything before the damage was handed out; the next `poll` goes on with the next file, so that
/// the caller decides whether that is the end. A line over the limit comes cut to one byte more
/// than the limit, and the decoder refuses it.
pub struct FileSource {
    shard: Shard,
    names: std::vec::IntoIter<String>,
    open: Option<Lines>,
    /// Position of the last line of the files before the open one.
    base: u64,
    line_bytes_max: usize,
    progress: Arc<Progress>,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Fresh,
    Reading,
    Over,
}

/// How far a [`FileSource`] has come. Shared with it: ask while it is polled.
#[derive(Debug, Default)]
pub struct Progress {
    total: Option<u64>,
    read: AtomicU64,
    /// For each file begun: position before its first line, and name.
    files: Mutex<Vec<(u64, String)>>,
}

impl Progress {
    /// Size of all files on disk; `None` when standard input or a pipe is one of them.
    #[must_use]
    pub fn total_bytes(&self) -> Option<u64> {
        self.total
    }

    /// Bytes read from disk so far.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// File and line number (from 1) of a position that was handed out.
    #[must_use]
    pub fn place(&self, position: u64) -> Option<(String, u64)> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let (base, name) = files.iter().rfind(|(base, _)| *base < position)?;
        Some((name.clone(), position - base))
    }
}

impl FileSource {
    /// A source that reads the named files; `-` is standard input.
    ///
    /// # Errors
    /// [`SourceError`] when a file cannot be opened, or is a directory: before anything is read.
    pub fn open(names: Vec<String>) -> Result<Self, SourceError> {
        let mut total = Some(0);
        for name in &names {
            let size = size_of(name)?;
            total = total.zip(size).map(|(total, size)| total + size);
        }
        Ok(Self {
            shard: Shard { input: "replay".to_owned(), partition: 0 },
            names: names.into_iter(),
            open: None,
            base: 0,
            line_bytes_max: LINE_BYTES_MAX,
            progress: Arc::new(Progress { total, ..Progress::default() }),
            state: State::Fresh,
        })
    }

    /// The same source with another limit on the length of a line.
    #[must_use]
    pub fn with_line_bytes_max(self, line_bytes_max: usize) -> Self {
        Self { line_bytes_max, ..self }
    }

    /// Where to ask how far it has come.
    #[must_use]
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Opens the next file, if there is one.
    fn advance(&mut self) -> Result<bool, SourceError> {
        let Some(name) = self.names.next() else {
            return Ok(false);
        };
        let input: Box<dyn Read + Send> = if name == "-" {
            self.counted(io::stdin())
        } else {
            self.counted(File::open(&name).map_err(|error| unreadable(&name, &error))?)
        };
        let lines = Lines::new(input, self.line_bytes_max);
        self.open = Some(lines.map_err(|error| unreadable(&name, &error))?.or_one_body());
        let mut files = self.progress.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.push((self.base, name));
        Ok(true)
    }

    fn counted(&self, input: impl Read + Send + 'static) -> Box<dyn Read + Send> {
        Box::new(Counted { input, progress: Arc::clone(&self.progress) })
    }

    /// Closes the open file.
    fn finish(&mut self) {
        if let Some(lines) = self.open.take() {
            self.base += lines.number();
        }
    }
}

impl Source for FileSource {
    fn poll(
        &mut self,
        _timeout: Duration,
        each: &mut dyn FnMut(Input<'_>),
    ) -> Result<Polled, SourceError> {
        match self.state {
            State::Fresh => {
                self.state = State::Reading;
                let shard = self.shard.clone();
                each(Input::Assigned(&Assignment { shard, committed: None, start: None }));
            }
            State::Reading => {}
            State::Over => return Ok(Polled::End),
        }
        for _ in 0..BATCH_MAX {
            let Some(lines) = &mut self.open else {
                if !self.advance()? {
                    self.state = State::Over;
                    each(Input::Revoked(&self.shard));
                    return Ok(Polled::Busy);
                }
                continue;
            };
            match lines.next() {
                Ok(false) => self.finish(),
                Err(error) => {
                    let position = self.base + lines.number();
                    self.finish();
                    return Err(self.broken(position, &error));
                }
                Ok(true) => {
                    let position = self.base + lines.number();
                    each(Input::Record(Record {
                        shard: &self.shard,
                        position,
                        time: None,
                        payload: lines.line(),
                    }));
                }
            }
        }
        Ok(Polled::Busy)
    }

    fn commit(&mut self, _shard: &Shard, _next: u64) {}

    fn close(&mut self) {
        self.open = None;
        self.state = State::Over;
    }
}

impl FileSource {
    fn broken(&self, position: u64, error: &io::Error) -> SourceError {
        let (name, line) = self.progress.place(position).unwrap_or_default();
        let why = match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                "the gzip data stops in the middle; the lines before this one were read, the file \
                 was probably cut off while it was copied"
                    .to_owned()
            }
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                format!("damaged gzip data ({error}); the lines before this one were read")
            }
            _ => format!("{error}; the lines before this one were read"),
        };
        SourceError { what: format!("reading {name}, line {line}"), why }
    }
}

/// The size of a file; `None` for standard input and pipes. Fails early on what cannot be read.
fn size_of(name: &str) -> Result<Option<u64>, SourceError> {
    if name == "-" {
        return Ok(None);
    }
    let file = File::open(Path::new(name)).map_err(|error| unreadable(name, &error))?;
    let meta = file.metadata().map_err(|error| unreadable(name, &error))?;
    if meta.is_dir() {
        return Err(SourceError {
            what: format!("opening {name}"),
            why: format!("it is a directory; name the files in it, such as {name}/*.jsonl"),
        });
    }
    Ok(meta.is_file().then_some(meta.len()))
}

fn unreadable(name: &str, error: &io::Error) -> SourceError {
    let why = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "no permission to read it".to_owned(),
        _ => error.to_string(),
    };
    SourceError { what: format!("opening {name}"), why }
}

/// Counts the bytes that are read.
struct Counted<R> {
    input: R,
    progress: Arc<Progress>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.progress.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
