//! What the tests of the decoder share: owned copies of what it hands out.

use std::path::PathBuf;

use hypocenter::wire::{BodyError, Decoded, Decoder, Options, Rejected, Summary};
use hypocenter_engine::{Breach, Status, Timestamp};

/// An owned copy of [`Decoded`].
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Owned {
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) starts_at: Option<Timestamp>,
    pub(crate) ends_at: Option<Timestamp>,
    pub(crate) status: Option<Status>,
    pub(crate) breach: Option<Breach>,
    pub(crate) received_at: Option<Timestamp>,
    pub(crate) fingerprint: String,
    pub(crate) stated: Option<String>,
}

impl Owned {
    fn of(decoded: Decoded<'_>) -> Self {
        let event = decoded.event;
        let pairs = event.labels.pairs().iter();
        Self {
            labels: pairs.map(|&(n, v)| (n.to_owned(), v.to_owned())).collect(),
            starts_at: event.starts_at,
            ends_at: event.ends_at,
            status: event.status,
            breach: event.breach,
            received_at: decoded.received_at,
            fingerprint: event.labels.fingerprint().to_string(),
            stated: decoded.fingerprint.map(str::to_owned),
        }
    }
}

/// What a body came to, and everything that was handed out.
pub(crate) type Outcome = Result<(Summary, Vec<Result<Owned, Rejected>>), BodyError>;

/// Decodes with a decoder that is used again.
pub(crate) fn decode_with(decoder: &mut Decoder, body: &[u8]) -> Outcome {
    let mut out = Vec::new();
    let summary = decoder.decode(body, &mut |alert| out.push(alert.map(Owned::of)))?;
    let accepted = out.iter().filter(|alert| alert.is_ok()).count();
    assert_eq!(summary.accepted as usize, accepted);
    assert_eq!((summary.accepted + summary.rejected) as usize, out.len());
    Ok((summary, out))
}

/// Decodes with a new decoder.
pub(crate) fn decode(body: &[u8]) -> Outcome {
    decode_with(&mut Decoder::new(Options::default()), body)
}

/// A file of the recordings.
pub(crate) fn recording(path: &str) -> PathBuf {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/recordings");
    PathBuf::from(root).join(path)
}

/// The contents of a file of the recordings.
pub(crate) fn read(path: &str) -> Vec<u8> {
    let path = recording(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
