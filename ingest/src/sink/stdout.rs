//! Incident records as lines on standard output.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::time::Duration;

use super::{Cause, Outgoing, Sink, SinkError};
use crate::metrics::SinkCounters;

/// Writes each record as one line at once. When the reader goes away (`| head`), the rest is
/// dropped in silence, and [`StdoutSink::is_closed`] says so.
#[derive(Debug)]
pub struct StdoutSink<W: Write = io::Stdout> {
    out: W,
    closed: bool,
    delivered: Vec<Cause>,
    counters: Arc<SinkCounters>,
}

impl StdoutSink {
    /// On standard output.
    #[must_use]
    pub fn new(counters: Arc<SinkCounters>) -> Self {
        Self::on(io::stdout(), counters)
    }
}

impl<W: Write> StdoutSink<W> {
    /// On any writer.
    pub fn on(out: W, counters: Arc<SinkCounters>) -> Self {
        Self { out, closed: false, delivered: Vec::new(), counters }
    }

    /// Whether the reader went away: nothing that is sent arrives any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    fn write(&mut self, body: &[u8]) -> io::Result<()> {
        self.out.write_all(body)?;
        self.out.write_all(b"\n")?;
        self.out.flush()
    }
}

impl<W: Write> Sink for StdoutSink<W> {
    fn send(&mut self, record: &Outgoing<'_>) -> Result<(), SinkError> {
        if !self.closed {
            match self.write(record.body) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::BrokenPipe => self.closed = true,
                Err(error) => {
                    return Err(SinkError {
                        what: "writing to standard output".to_owned(),
                        why: error.to_string(),
                    });
                }
            }
        }
        SinkCounters::count(&self.counters.sent);
        self.delivered.push(record.cause.clone());
        Ok(())
    }

    fn acknowledged(&mut self, each: &mut dyn FnMut(Cause)) -> Result<(), SinkError> {
        for cause in self.delivered.drain(..) {
            SinkCounters::count(&self.counters.acknowledged);
            each(cause);
        }
        Ok(())
    }

    fn flush(&mut self, _timeout: Duration) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::sink::tests::outgoing;

    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_arrive_at_once_and_are_acknowledged() {
        let counters = Arc::new(SinkCounters::default());
        let mut sink = StdoutSink::on(Vec::new(), Arc::clone(&counters));
        sink.send(&outgoing("a", 1, b"{1}")).expect("sent");
        sink.send(&outgoing("a", 2, b"{2}")).expect("sent");
        assert_eq!(sink.out, b"{1}\n{2}\n");
        let mut positions = Vec::new();
        sink.acknowledged(&mut |cause| positions.push(cause.position)).expect("delivered");
        assert_eq!(positions, [1, 2]);
        assert_eq!(counters.acknowledged.load(Ordering::Relaxed), 2);
        assert!(!sink.is_closed());
    }

    #[test]
    fn a_reader_that_left_is_no_error() {
        let mut sink = StdoutSink::on(Broken, Arc::default());
        for version in 1..=3 {
            sink.send(&outgoing("a", version, b"{}")).expect("dropped");
        }
        let mut number = 0;
        sink.acknowledged(&mut |_| number += 1).expect("delivered");
        assert_eq!(number, 3);
        assert!(sink.is_closed());
    }
}
