//! What the engine says.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::event::Seq;
use crate::label::Fingerprint;
use crate::limits::Limit;
use crate::time::Timestamp;

/// Public name of an incident, derived from its tenant, first alert and shard: a replay gives the
/// same. In order of names, incidents are in the order in which their first alerts began.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshDeserialize, BorshSerialize)]
pub struct IncidentId(u128);

impl IncidentId {
    /// Bits of hash below the milliseconds.
    const HASH_BITS: u32 = 35;
    /// Milliseconds since the Unix epoch, up to the year 3084.
    const MILLIS_MAX: u128 = (1 << 45) - 1;

    /// An id for an incident whose first alert began at `start`.
    pub(crate) fn new(start: Timestamp, hash: u64) -> Self {
        let millis = u128::try_from(start.as_millis()).unwrap_or(0).min(Self::MILLIS_MAX);
        Self(millis << Self::HASH_BITS | u128::from(hash >> (u64::BITS - Self::HASH_BITS)))
    }

    /// Another id close by, for when this one is taken.
    pub(crate) fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

impl fmt::Display for IncidentId {
    /// `inc-` and 16 digits of Crockford's base 32.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        f.write_str("inc-")?;
        for place in (0..16).rev() {
            let digit = (self.0 >> (place * 5)) & 31;
            write!(f, "{}", char::from(DIGITS[digit as usize]))?;
        }
        Ok(())
    }
}

impl fmt::Debug for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One firing of one alert: its identity and when this firing began, as first announced.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, BorshDeserialize, BorshSerialize,
)]
pub struct Episode {
    /// The alert.
    pub fingerprint: Fingerprint,
    /// `startsAt` of the event that announced it, or the time of that event when unset.
    pub starts_at: Timestamp,
}

/// Why an alert is kept out of all incidents.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, BorshDeserialize, BorshSerialize)]
pub enum Suppressor {
    /// It began to fire too often lately.
    Flapping,
    /// It had been firing for long when it was first seen.
    Chronic,
    /// It is not about the monitored world.
    Meta,
    /// The incident table is full.
    Overflow,
}

impl Suppressor {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Flapping, Self::Chronic, Self::Meta, Self::Overflow];

    /// Name in records and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flapping => "flapping",
            Self::Chronic => "chronic",
            Self::Meta => "meta",
            Self::Overflow => "overflow",
        }
    }
}

/// One thing the engine says. Small and [`Copy`]: texts are looked up in the views.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Decision {
    /// An incident begins with this alert.
    Opened {
        /// The new incident.
        incident: IncidentId,
        /// Its first alert.
        alert: Episode,
        /// The limit that kept the alert out of the incident that explains it.
        refused: Option<Limit>,
    },
    /// One root explains the incident and this alert.
    Joined {
        /// The incident.
        incident: IncidentId,
        /// The new member.
        alert: Episode,
    },
    /// The alert is known and fires, or is resolved, as before: only counters change.
    Repeated {
        /// The alert.
        alert: Episode,
    },
    /// The alert no longer fires.
    Resolved {
        /// The alert.
        alert: Episode,
        /// Nobody said so: its time was up.
        expired: bool,
    },
    /// A resolve for an alert that is not known to have fired.
    ResolvedUnknown {
        /// The alert.
        fingerprint: Fingerprint,
    },
    /// The alert is kept out of all incidents.
    Suppressed {
        /// The alert.
        alert: Episode,
        /// Why.
        by: Suppressor,
    },
    /// One root explains both incidents: the younger one ends.
    Merged {
        /// The incident that ends.
        incident: IncidentId,
        /// The older one, which goes on.
        into: IncidentId,
    },
    /// The candidate is another entity than before.
    Reranked {
        /// The incident.
        incident: IncidentId,
        /// Why.
        cause: RerankCause,
    },
    /// The candidate has stood for `settle_for`.
    Settled {
        /// The incident.
        incident: IncidentId,
    },
    /// No member has fired for `quiet_for`.
    Closed {
        /// The incident.
        incident: IncidentId,
    },
    /// The incident was resolved, and one of its members fires anew.
    Reopened {
        /// The incident.
        incident: IncidentId,
    },
    /// The incident has a new version: a record of it is due. Read it with
    /// [`crate::Engine::incident`] before the next call.
    Published {
        /// The incident.
        incident: IncidentId,
        /// Its new version, from 1.
        version: u64,
    },
    /// A table is full and the event was left out.
    Shed {
        /// The event.
        seq: Seq,
        /// The table.
        limit: Limit,
    },
}

/// Why a candidate changed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, BorshDeserialize, BorshSerialize)]
pub enum RerankCause {
    /// Another alert joined.
    NewAlert,
    /// A member got worse.
    WorseAlert,
    /// Another incident was merged into this one.
    Merge,
    /// The graph has changed.
    Topology,
}

impl RerankCause {
    /// Name in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NewAlert => "new_alert",
            Self::WorseAlert => "worse_alert",
            Self::Merge => "merge",
            Self::Topology => "topology",
        }
    }
}

/// The caller's buffer of decisions, in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub struct Decisions {
    list: Vec<Decision>,
}

impl Decisions {
    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all decisions and keeps the memory.
    pub fn clear(&mut self) {
        self.list.clear();
    }

    /// The decisions so far.
    #[must_use]
    pub fn as_slice(&self) -> &[Decision] {
        &self.list
    }

    pub(crate) fn push(&mut self, decision: Decision) {
        self.list.push(decision);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_have_one_form_and_sort_by_time() {
        let id = |millis, hash| IncidentId::new(Timestamp::from_millis(millis), hash).to_string();
        assert_eq!(id(0, 0), "inc-0000000000000000");
        assert_eq!(id(i64::MAX, u64::MAX), "inc-8cdxx0pqpzzzzzzz");
        assert_eq!(id(-5, 0), "inc-0000000000000000");
        assert!(id(1_795_329_008_189, u64::MAX) < id(1_795_329_008_190, 0));
    }
}
