//! One alert as it is shown.

use std::sync::Arc;

use hypocenter_engine::{Fingerprint, Timestamp};

use crate::wire::Details;

/// What an alert takes besides its texts, in bytes, about.
const STORED_BYTES: usize = 320;

/// One alert. Clones share its texts.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its identity, without replica labels.
    pub fingerprint: Fingerprint,
    /// Its labels, sorted by name.
    pub labels: Arc<Pairs>,
    /// Its annotations, as last sent.
    pub annotations: Arc<Pairs>,
    /// Where it came from, as sent.
    pub generator_url: Arc<str>,
    /// When it began to fire.
    pub starts_at: Timestamp,
    /// When it is over.
    pub ends_at: Timestamp,
    /// When it was last sent.
    pub updated_at: Timestamp,
    /// Nobody said when it is over.
    timeout: bool,
    /// Its size, about.
    bytes: u32,
    /// A hash of annotations and address.
    pub(super) details: u64,
}

/// Names and values in two allocations.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Pairs {
    text: Box<str>,
    /// Ends of name and value.
    ends: Box<[(u32, u32)]>,
}

impl Pairs {
    fn new<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let (mut text, mut ends) = (String::new(), Vec::new());
        for (name, value) in pairs {
            text.push_str(name);
            // A body is far smaller than 4 GiB.
            let name_end = text.len() as u32;
            text.push_str(value);
            ends.push((name_end, text.len() as u32));
        }
        Self { text: text.into_boxed_str(), ends: ends.into_boxed_slice() }
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let begins = std::iter::once(0).chain(self.ends.iter().map(|&(_, end)| end));
        begins.zip(&self.ends).map(|(begin, &(name_end, end))| {
            let (begin, name_end, end) = (begin as usize, name_end as usize, end as usize);
            (&self.text[begin..name_end], &self.text[name_end..end])
        })
    }

    /// The value of a name; empty when there is none, as in matchers.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    fn bytes(&self) -> usize {
        self.text.len() + 8 * self.ends.len()
    }
}

/// Start, end, and whether the end is a timeout.
pub(super) type Lifetime = (Timestamp, Timestamp, bool);

impl Stored {
    pub(super) fn new<'a>(
        fingerprint: Fingerprint,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        (details, hash): (&Details<'_>, u64),
        (starts_at, ends_at, timeout): Lifetime,
        now: Timestamp,
    ) -> Self {
        let mut stored = Self {
            fingerprint,
            labels: Arc::new(Pairs::new(labels)),
            annotations: Arc::default(),
            generator_url: Arc::default(),
            starts_at,
            ends_at,
            updated_at: now,
            timeout,
            bytes: 0,
            details: hash,
        };
        stored.take(details, hash);
        stored
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes as usize
    }

    /// Takes over annotations and address, whose hash is given.
    pub(super) fn take(&mut self, details: &Details<'_>, hash: u64) {
        self.annotations = Arc::new(Pairs::new(details.annotations()));
        self.generator_url = details.generator_url.unwrap_or_default().into();
        self.details = hash;
        let texts = self.labels.bytes() + self.annotations.bytes() + self.generator_url.len();
        // A body is far smaller than 4 GiB.
        self.bytes = (STORED_BYTES + texts) as u32;
    }

    /// Merges what is newly said of its lifetime, as Alertmanager does.
    pub(super) fn merge(&mut self, (starts_at, ends_at, timeout): Lifetime, now: Timestamp) {
        self.updated_at = now;
        let inside = |at: Timestamp| at > self.starts_at && at < self.ends_at;
        let (old_end, old_timeout) = (self.ends_at, self.timeout);
        if !inside(starts_at) && !inside(ends_at) {
            (self.starts_at, self.ends_at, self.timeout) = (starts_at, ends_at, timeout);
            return;
        }
        self.starts_at = self.starts_at.min(starts_at);
        let is_resolved = ends_at <= now;
        let keeps_old =
            old_end > ends_at && if is_resolved { old_end <= now } else { !old_timeout };
        self.ends_at = if keeps_old { old_end } else { ends_at };
        self.timeout = timeout;
    }
}
