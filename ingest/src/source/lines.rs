//! Lines of a byte stream, plain or gzip, with a bound on their length.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

/// Size of the read buffers.
const BUFFER_BYTES: usize = 128 << 10;

/// Reads one line after the other.
pub(super) struct Lines {
    input: Box<dyn BufRead + Send>,
    line: Vec<u8>,
    /// Lines begun so far: the number of the current one, from 1.
    number: u64,
    bytes_max: usize,
    /// Whether the stream may still turn out to be one body over several lines.
    may_be_one: bool,
}

impl Lines {
    /// Lines of `input`, which is gzip data if it begins like it.
    pub(super) fn new(input: Box<dyn Read + Send>, bytes_max: usize) -> io::Result<Self> {
        let mut input = BufReader::with_capacity(BUFFER_BYTES, input);
        let input: Box<dyn BufRead + Send> = if is_gzip(&mut input)? {
            let unpacked = MultiGzDecoder::new(input);
            Box::new(BufReader::with_capacity(BUFFER_BYTES, unpacked))
        } else {
            Box::new(input)
        };
        Ok(Self { input, line: Vec::new(), number: 0, bytes_max, may_be_one: false })
    }

    /// The same, but if the first line is nothing but `[` or `{`, then the whole stream is one
    /// body, printed for humans. No body on one line begins like that. Not for live streams: it
    /// waits for the end.
    pub(super) fn or_one_body(self) -> Self {
        Self { may_be_one: true, ..self }
    }

    /// The number of the last line, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The last line, without its end.
    pub(super) fn line(&self) -> &[u8] {
        &self.line
    }

    /// Goes to the next line that is not blank; `false` at the end. Of a line that is too long the
    /// first `bytes_max + 1` bytes come, so that whoever decodes it sees that it is too long; the
    /// rest is skipped.
    ///
    /// After an error all lines before it have been handed out; the one it is in is lost.
    pub(super) fn next(&mut self) -> io::Result<bool> {
        loop {
            self.line.clear();
            let limit = (self.bytes_max as u64).saturating_add(1);
            self.number += 1;
            let mut bounded = self.input.by_ref().take(limit);
            if bounded.read_until(b'\n', &mut self.line)? == 0 {
                self.number -= 1;
                return Ok(false);
            }
            if self.line.last() == Some(&b'\n') {
                self.line.pop();
            } else if self.line.len() > self.bytes_max {
                self.input.skip_until(b'\n')?;
            }
            if self.line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let is_first = std::mem::take(&mut self.may_be_one);
            if is_first && matches!(self.line.trim_ascii(), b"[" | b"{") {
                self.take_all()?;
            }
            return Ok(true);
        }
    }

    /// Adds the rest of the stream to the line, up to the limit.
    fn take_all(&mut self) -> io::Result<()> {
        self.line.push(b'\n');
        let room = self.bytes_max.saturating_add(1).saturating_sub(self.line.len()) as u64;
        self.input.by_ref().take(room).read_to_end(&mut self.line)?;
        io::copy(&mut self.input, &mut io::sink())?;
        Ok(())
    }
}

/// Whether the next byte is the first one of gzip data. One is enough: no JSON begins with it, and
/// a pipe may not have two yet.
fn is_gzip(input: &mut impl BufRead) -> io::Result<bool> {
    loop {
        match input.fill_buf() {
            Ok(bytes) => return Ok(bytes.first() == Some(&0x1F)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(input: &'static [u8], bytes_max: usize) -> Vec<(u64, String)> {
        let mut lines = Lines::new(Box::new(input), bytes_max).expect("readable");
        let mut out = Vec::new();
        while lines.next().expect("readable") {
            let line = String::from_utf8_lossy(lines.line()).into_owned();
            out.push((lines.number(), line));
        }
        out
    }

    fn owned(lines: &[(u64, &str)]) -> Vec<(u64, String)> {
        lines.iter().map(|&(n, l)| (n, l.to_owned())).collect()
    }

    #[test]
    fn blank_lines_count_but_do_not_come() {
        assert_eq!(all(b"", 9), owned(&[]));
        assert_eq!(all(b"\n\r\n  \n", 9), owned(&[]));
        assert_eq!(all(b"a\n\nb\r\n\nc", 9), owned(&[(1, "a"), (3, "b\r"), (5, "c")]));
    }

    #[test]
    fn a_body_printed_for_humans_is_one() {
        let one = |input: &'static [u8], bytes_max| {
            let lines = Lines::new(Box::new(input), bytes_max).expect("readable");
            let mut lines = lines.or_one_body();
            let mut out = Vec::new();
            while lines.next().expect("readable") {
                out.push((lines.number(), lines.line().to_vec()));
            }
            out
        };
        assert_eq!(one(b"\n[ \r\n 1\n]\n", 99), [(2, b"[ \r\n 1\n]\n".to_vec())]);
        assert_eq!(one(b"{\n12345\n}\n", 5), [(1, b"{\n1234".to_vec())]);
        assert_eq!(one(b"[]\n[\n", 99), [(1, b"[]".to_vec()), (2, b"[".to_vec())]);
    }

    #[test]
    fn long_lines_are_cut_and_the_next_line_is_whole() {
        assert_eq!(all(b"12345\nab\n", 3), owned(&[(1, "1234"), (2, "ab")]));
        assert_eq!(all(b"123\nab", 3), owned(&[(1, "123"), (2, "ab")]));
        assert_eq!(all(b"1234\nab", 3), owned(&[(1, "1234"), (2, "ab")]));
        assert_eq!(all(b"12345", 3), owned(&[(1, "1234")]));
    }
}
