//! Incident records as lines on standard output.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::time::Duration;

use super::{Cause, Outgoing, Sink, SinkError};
use crate::metrics::SinkCounters;

/// Writes each record as one line at once. A reader that goes away ends the daemon: what it did not
/// take is not acknowledged, so its input is not committed.
#[derive(Debug)]
pub struct StdoutSink<W: Write = io::Stdout> {
    out: W,
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
        Self { out, delivered: Vec::new(), counters }
    }

    fn write(&mut self, body: &[u8]) -> io::Result<()> {
        self.out.write_all(body)?;
        self.out.write_all(b"\n")?;
        self.out.flush()
    }
}

impl<W: Write> Sink for StdoutSink<W> {
    fn send(&mut self, record: &Outgoing<'_>) -> Result<(), SinkError> {
        self.write(record.body).map_err(|error| SinkError {
            what: "writing to standard output".to_owned(),
            why: match error.kind() {
                ErrorKind::BrokenPipe => "its reader has gone".to_owned(),
                _ => error.to_string(),
            },
        })?;
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
    }

    #[test]
    fn what_a_reader_that_left_did_not_take_is_not_acknowledged() {
        let mut sink = StdoutSink::on(Broken, Arc::default());
        let error = sink.send(&outgoing("a", 1, b"{}")).expect_err("the reader has gone");
        assert!(error.to_string().contains("its reader has gone"), "{error}");
        sink.acknowledged(&mut |_| panic!("nothing arrived")).expect("nothing to say");
    }
}
