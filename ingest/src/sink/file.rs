//! Incident records as lines at the end of a file.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{Cause, Outgoing, Sink, SinkError};
use crate::metrics::SinkCounters;

/// Adds each record as one line. A record is acknowledged once the operating system has it; a loss
/// of power may still take the last ones.
#[derive(Debug)]
pub struct FileSink {
    path: PathBuf,
    out: BufWriter<File>,
    waiting: Vec<Cause>,
    counters: Arc<SinkCounters>,
}

impl FileSink {
    /// Opens the file, or makes it. What it holds stays; a last line that was cut off is ended.
    ///
    /// # Errors
    /// [`SinkError`] with what to do.
    pub fn open(path: &Path, counters: Arc<SinkCounters>) -> Result<Self, SinkError> {
        let file = open(path).map_err(|error| {
            let why = match error.kind() {
                ErrorKind::NotFound => "its directory does not exist; make it first".to_owned(),
                ErrorKind::PermissionDenied => "this user may not write there".to_owned(),
                ErrorKind::IsADirectory => "it is a directory; name a file in it".to_owned(),
                _ => error.to_string(),
            };
            SinkError { what: format!("opening the output file {}", path.display()), why }
        })?;
        Ok(Self { path: path.to_owned(), out: BufWriter::new(file), waiting: Vec::new(), counters })
    }

    fn failed(&self, error: &io::Error) -> SinkError {
        let hint = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "; make room and start again",
            _ => "",
        };
        SinkError {
            what: format!("writing to the output file {}", self.path.display()),
            why: format!("{error}{hint}"),
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let mut file = options.append(true).create(true).open(path)?;
    let is_regular = file.metadata()?.is_file();
    if is_regular && file.metadata()?.len() > 0 {
        let mut reader = File::open(path)?;
        reader.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        reader.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

impl Sink for FileSink {
    fn send(&mut self, record: &Outgoing<'_>) -> Result<(), SinkError> {
        self.out
            .write_all(record.body)
            .and_then(|()| self.out.write_all(b"\n"))
            .map_err(|error| self.failed(&error))?;
        SinkCounters::count(&self.counters.sent);
        self.waiting.push(record.cause.clone());
        Ok(())
    }

    fn acknowledged(&mut self, each: &mut dyn FnMut(Cause)) -> Result<(), SinkError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.out.flush().map_err(|error| self.failed(&error))?;
        for cause in self.waiting.drain(..) {
            SinkCounters::count(&self.counters.acknowledged);
            each(cause);
        }
        Ok(())
    }

    fn flush(&mut self, _timeout: Duration) -> bool {
        // What fails here fails again, with its error, in `acknowledged`.
        self.out.flush().is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::sink::tests::outgoing;

    #[test]
    fn lines_are_added_and_acknowledged_once_written() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("out.jsonl");
        fs::write(&path, "{old}\n{cut o").expect("written");
        let mut sink = FileSink::open(&path, Arc::default()).expect("opened");
        sink.send(&outgoing("a", 1, b"{1}")).expect("sent");
        sink.send(&outgoing("b", 2, b"{2}")).expect("sent");
        let mut positions = Vec::new();
        sink.acknowledged(&mut |cause| {
            let text = fs::read_to_string(&path).expect("readable");
            assert_eq!(text, "{old}\n{cut o\n{1}\n{2}\n");
            positions.push(cause.position);
        })
        .expect("written");
        assert_eq!(positions, [1, 2]);
        drop(sink);
        let mut again = FileSink::open(&path, Arc::default()).expect("opened");
        again.send(&outgoing("c", 3, b"{3}")).expect("sent");
        assert!(again.flush(Duration::ZERO));
        assert!(fs::read_to_string(&path).expect("readable").ends_with("{2}\n{3}\n"));
    }

    #[test]
    fn errors_name_the_file_and_the_remedy() {
        let dir = tempfile::tempdir().expect("a directory");
        let open = |path: &Path| {
            let error = FileSink::open(path, Arc::default()).expect_err("refused");
            error.to_string()
        };
        assert!(open(dir.path()).contains("it is a directory"), "{}", open(dir.path()));
        let deep = dir.path().join("no/such/out.jsonl");
        let text = open(&deep);
        assert!(text.contains("no/such/out.jsonl: its directory does not exist"), "{text}");
    }

    #[test]
    fn a_full_disk_is_an_error_and_acknowledges_nothing() {
        let full = Path::new("/dev/full");
        if !full.exists() {
            return;
        }
        let mut sink = FileSink::open(full, Arc::default()).expect("opened");
        sink.send(&outgoing("a", 1, b"{}")).expect("in the buffer");
        let mut number = 0;
        let error = sink.acknowledged(&mut |_| number += 1).expect_err("full");
        assert_eq!(number, 0);
        assert!(error.to_string().contains("make room"), "{error}");
    }
}
