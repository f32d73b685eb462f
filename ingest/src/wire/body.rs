//! What can be wrong with a whole body, where, and how that is said.

use std::fmt;

use simd_json::ErrorType;

/// A whole body was refused: nothing in it was handed out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BodyError {
    /// What is wrong.
    pub fault: BodyFault,
    /// Where, if it is at one place.
    pub place: Option<Place>,
    /// The place is inside the `body` of a recording line, not in the line itself.
    pub recorded: bool,
}

/// A place in a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Offset in bytes, from 0.
    pub byte: usize,
    /// Line, from 1.
    pub line: usize,
    /// Column in bytes, from 1.
    pub column: usize,
}

/// What is wrong with a whole body.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyFault {
    /// Nothing but white space.
    #[error("the body is empty; to send no alerts, send []")]
    Empty,
    /// Over the size limit.
    #[error("the body has {bytes} bytes or more, at most {max} are accepted; send smaller batches")]
    TooLarge {
        /// How many bytes came.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Starts with the gzip magic.
    #[error("the body is gzip data; send it uncompressed")]
    Compressed,
    /// Starts with a byte order mark.
    #[error("the body starts with a byte order mark; send UTF-8 without one")]
    ByteOrderMark,
    /// Not UTF-8.
    #[error("invalid UTF-8; send the text as UTF-8")]
    Utf8,
    /// Nested deeper than the limit.
    #[error("nested deeper than {max} levels")]
    TooDeep {
        /// The limit.
        max: usize,
    },
    /// The JSON stops in the middle.
    #[error("broken JSON: it ends before it is complete, the body may have been cut off")]
    Incomplete,
    /// Something follows the first JSON value.
    #[error("broken JSON: something follows the first value; send one value in one body")]
    Trailing,
    /// The JSON is broken.
    #[error("broken JSON: {0}")]
    Json(&'static str),
    /// Good JSON, but no shape that is known.
    #[error(
        "the body is {0}; expected an Alertmanager webhook (an object with `alerts`), an array of \
         alerts, one alert (an object with `labels`), or a record of Alertmanager's event recorder \
         (an object with `data`)"
    )]
    Shape(&'static str),
    /// A known shape at the wrong door.
    #[error("{0}")]
    Door(&'static str),
}

impl BodyError {
    pub(super) const fn whole(fault: BodyFault) -> Self {
        Self { fault, place: None, recorded: false }
    }

    pub(super) fn recorded(self) -> Self {
        Self { recorded: true, ..self }
    }

    fn at(fault: BodyFault, body: &[u8], byte: usize) -> Self {
        let before = body.get(..byte).unwrap_or(body);
        let line_start = before.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        let line = 1 + before.iter().filter(|&&b| b == b'\n').count();
        let place = Place { byte: before.len(), line, column: before.len() - line_start + 1 };
        Self { fault, place: Some(place), recorded: false }
    }

    /// Says what the JSON parser found, with a place. Runs on bad bodies only.
    pub(super) fn from_json(body: &[u8], error: &simd_json::Error, depth_max: usize) -> Self {
        if let Err(utf8) = std::str::from_utf8(body) {
            return Self::at(BodyFault::Utf8, body, utf8.valid_up_to());
        }
        let in_string = matches!(
            error.error(),
            ErrorType::InvalidEscape
                | ErrorType::InvalidUnicodeEscape
                | ErrorType::InvalidUnicodeCodepoint
                | ErrorType::InvalidUtf8
        );
        if (in_string || error.character().is_none())
            && let Some((fault, byte)) = string_fault(body)
        {
            return Self::at(fault, body, byte);
        }
        let byte = error.index();
        match error.error() {
            ErrorType::Syntax | ErrorType::Eof => Self::at(BodyFault::Incomplete, body, body.len()),
            ErrorType::TrailingData => Self::at(BodyFault::Trailing, body, byte),
            ErrorType::InternalError if is_whole(body, byte) => {
                let rest = body.get(byte + 1..).unwrap_or_default();
                let gap = rest.iter().take_while(|b| b.is_ascii_whitespace());
                Self::at(BodyFault::Trailing, body, byte + 1 + gap.count())
            }
            ErrorType::DepthLimitExceeded => {
                Self::at(BodyFault::TooDeep { max: depth_max }, body, byte)
            }
            other => Self::at(BodyFault::Json(words(other)), body, byte),
        }
    }

    /// A short name from a fixed set, for counters and dead letters.
    #[must_use]
    pub const fn class(&self) -> &'static str {
        match self.fault {
            BodyFault::Empty => "empty",
            BodyFault::TooLarge { .. } => "too_large",
            BodyFault::Compressed => "compressed",
            BodyFault::ByteOrderMark | BodyFault::Utf8 => "encoding",
            BodyFault::TooDeep { .. } => "too_deep",
            BodyFault::Incomplete | BodyFault::Trailing | BodyFault::Json(_) => "json",
            BodyFault::Shape(_) | BodyFault::Door(_) => "shape",
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Place { byte, line, column }) = self.place {
            write!(f, "byte {byte} (line {line}, column {column})")?;
            f.write_str(if self.recorded { " of the recorded body: " } else { ": " })?;
        } else if self.recorded {
            f.write_str("the recorded body: ")?;
        }
        self.fault.fmt(f)
    }
}

impl std::error::Error for BodyError {}

/// Whether the outermost array or object ends at `byte`. The parser has one error for something
/// that follows it and for a value that is missing: a bracket after `,` or `:`, or the first byte.
fn is_whole(body: &[u8], byte: usize) -> bool {
    let before = body.get(..byte).unwrap_or_default().trim_ascii_end();
    let is_end = matches!(body.get(byte), Some(b']' | b'}'));
    is_end && !matches!(before.last(), None | Some(b',' | b':'))
}

/// The first fault inside a string: a control character, a bad escape, or no end.
///
/// The parser gives no place for these: its first pass has none, and the one of a bad escape is
/// counted from somewhere inside the string.
fn string_fault(body: &[u8]) -> Option<(BodyFault, usize)> {
    let mut at = 0;
    let mut inside = false;
    while let Some(&byte) = body.get(at) {
        match byte {
            b'"' => inside = !inside,
            0..=0x1F if inside => {
                let why = "a control character inside a string; escape it (\\n, \\t, \\u0000)";
                return Some((BodyFault::Json(why), at));
            }
            b'\\' if inside => {
                let Some(length) = escape_length(body.get(at..).unwrap_or_default()) else {
                    return Some((BodyFault::Json(BAD_ESCAPE), at));
                };
                at += length - 1;
            }
            _ => {}
        }
        at += 1;
    }
    inside.then_some((BodyFault::Incomplete, body.len()))
}

const BAD_ESCAPE: &str = "an unknown escape in a string, a \\u without four hex digits, or half of \
                          a surrogate pair";

/// The length of the escape that `text` begins with; `None` when it is none. An escape that the
/// end of the body cuts off passes: what is wrong then is the missing end.
fn escape_length(text: &[u8]) -> Option<usize> {
    let is_cut_off = |from: usize, length| {
        let rest = text.get(from..).unwrap_or_default();
        rest.len() < length && !rest.contains(&b'"')
    };
    match text.get(1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') | None => Some(2),
        Some(b'u') if is_cut_off(0, 6) => Some(text.len()),
        Some(b'u') => match code_unit(text)? {
            0xD800..=0xDBFF if is_cut_off(6, 6) => Some(text.len()),
            0xD800..=0xDBFF => match code_unit(text.get(6..)?)? {
                0xDC00..=0xDFFF => Some(12),
                _ => None,
            },
            0xDC00..=0xDFFF => None,
            _ => Some(6),
        },
        Some(_) => None,
    }
}

/// The UTF-16 code unit of a `\\uXXXX` escape.
fn code_unit(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |unit, &digit| Some(unit * 16 + char::from(digit).to_digit(16)?))
}

const fn words(error: &ErrorType) -> &'static str {
    match error {
        ErrorType::ExpectedArrayContent => "expected `,` or `]`",
        ErrorType::ExpectedObjectContent => "expected a field name in quotes, `,` or `}`",
        ErrorType::ExpectedObjectKey => "expected a field name in quotes",
        ErrorType::ExpectedObjectColon => "expected `:` after a field name",
        ErrorType::ExpectedTrue | ErrorType::ExpectedFalse | ErrorType::ExpectedNull => {
            "expected `true`, `false` or `null`"
        }
        ErrorType::InvalidNumber | ErrorType::InvalidExponent | ErrorType::Overflow => {
            "a number that is malformed or too large"
        }
        _ => "unexpected character",
    }
}
