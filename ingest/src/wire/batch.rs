//! The alerts of one body, decoded and owned: what one thread has read, for another one to apply.
//!
//! Texts lie in one allocation and all that refers to them in two more, so that a batch costs three
//! allocations whatever the number of its alerts, and no text is parsed twice.

use hypocenter_engine::{AlertEvent, Breach, LabelLimits, Labels, Span, Status, Timestamp};

use super::alert::Pairs;
use super::{Rejected, recycled};

/// Decoded alerts, in order.
#[derive(Debug, Default)]
pub struct Batch {
    text: String,
    /// Ends of name and value in `text`, which begin where the one before ends.
    pairs: Vec<(u32, u32)>,
    events: Vec<Event>,
    /// Alerts of the body that were refused.
    pub rejected: Vec<Rejected>,
}

#[derive(Debug)]
struct Event {
    /// End of its labels in `pairs`.
    pairs: u32,
    starts_at: Option<Timestamp>,
    ends_at: Option<Timestamp>,
    status: Option<Status>,
    breach: Option<Breach>,
}

impl Batch {
    /// An empty one with room for what a body of this size usually has.
    #[must_use]
    pub fn for_body(bytes: usize) -> Self {
        Self {
            text: String::with_capacity(bytes / 2),
            pairs: Vec::with_capacity(bytes / 64),
            events: Vec::with_capacity(bytes / 512),
            rejected: Vec::new(),
        }
    }

    /// Adds an alert.
    pub fn push(&mut self, event: &AlertEvent<'_>) {
        // A body is far smaller than 4 GiB.
        let end = |text: &String| text.len() as u32;
        for (name, value) in event.labels.pairs() {
            self.text.push_str(name);
            let name_end = end(&self.text);
            self.text.push_str(value);
            self.pairs.push((name_end, end(&self.text)));
        }
        // `held` is looked up by who applies it.
        let AlertEvent { starts_at, ends_at, status, breach, .. } = *event;
        let pairs = self.pairs.len() as u32;
        self.events.push(Event { pairs, starts_at, ends_at, status, breach });
    }

    /// Memory held, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.len()
            + self.pairs.len() * size_of::<(u32, u32)>()
            + self.events.len() * size_of::<Event>()
    }

    /// How many alerts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there is none, refused ones included.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.rejected.is_empty()
    }

    /// Hands out the alerts, in order. `scratch` is memory that is used again.
    pub fn each(&self, scratch: &mut Scratch, each: &mut dyn FnMut(&AlertEvent<'_>)) {
        // They were within the limits when they were decoded.
        let limits = LabelLimits {
            count_max: usize::MAX,
            name_bytes_max: usize::MAX,
            value_bytes_max: usize::MAX,
        };
        let mut pairs = recycled(std::mem::take(&mut scratch.0));
        let (mut at, mut begin) = (0, 0);
        for event in &self.events {
            pairs.clear();
            for &(name_end, end) in &self.pairs[at..event.pairs as usize] {
                let name = &self.text[begin..name_end as usize];
                pairs.push((name, &self.text[name_end as usize..end as usize]));
                begin = end as usize;
            }
            at = event.pairs as usize;
            let Event { starts_at, ends_at, status, breach, .. } = *event;
            if let Ok(labels) = Labels::canonical(&mut pairs, &limits) {
                each(&AlertEvent { labels, starts_at, ends_at, held: Span::ZERO, status, breach });
            }
        }
        scratch.0 = recycled(pairs);
    }
}

/// Memory for [`Batch::each`].
#[derive(Debug, Default)]
pub struct Scratch(Pairs<'static>);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Decoder, Options};

    #[test]
    fn what_goes_in_comes_out() {
        let body = br#"[{"labels":{"b":"2","a":"1"},"startsAt":"2026-01-01T00:00:00Z","status":"firing",
            "annotations":{"value":"3","threshold":">1"}},{"labels":{}},{"labels":{"alertname":"\u00e4"}}]"#;
        let mut decoder = Decoder::new(Options::default());
        let (mut batch, mut seen) = (Batch::for_body(body.len()), Vec::new());
        let summary = decoder.decode(body, &mut |decoded| match decoded {
            Ok(decoded) => {
                batch.push(&decoded.event);
                seen.push(format!("{:?}", decoded.event));
            }
            Err(rejected) => batch.rejected.push(rejected),
        });
        assert_eq!(summary.map(|s| (s.accepted, s.rejected)), Ok((2, 1)));
        let (mut scratch, mut again) = (Scratch::default(), Vec::new());
        batch.each(&mut scratch, &mut |event| again.push(format!("{event:?}")));
        assert_eq!(again, seen);
        assert_eq!((batch.len(), batch.rejected.len()), (2, 1));
    }
}
