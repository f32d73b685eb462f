//! Reading an event: its end, its strength, the id of an incident it opens.

use super::Engine;
use crate::decision::{Episode, IncidentId};
use crate::event::{AlertEvent, Breach, Side, Status};
use crate::hash::Fnv;
use crate::kind::Kind;
use crate::label::Fingerprint;
use crate::model::Observation;
use crate::planted::planted;
use crate::score::Score;
use crate::subject::{Severity, Subject};
use crate::symbol::Symbol;
use crate::time::Timestamp;

impl Engine {
    pub(super) fn fingerprint(&self, event: &AlertEvent<'_>) -> Fingerprint {
        event.labels.fingerprint_without(&self.world.policy.spec.labels.replica)
    }

    pub(super) fn is_resolved(&self, event: &AlertEvent<'_>) -> bool {
        match event.status {
            Some(status) => status == Status::Resolved,
            None => event.ends_at.is_some_and(|end| end <= self.now),
        }
    }

    /// An announced start as an onset: neither in the future nor further back than `lateness`.
    /// How long the condition had held by then is for the caller to take off: it says nothing of
    /// how late the alert came.
    pub(super) fn onset(&self, starts_at: Timestamp) -> Timestamp {
        let latest = planted!(FutureStartBelieved: Timestamp::MAX, self.now);
        starts_at.clamp(self.now.minus(self.world.policy.spec.times.lateness), latest)
    }

    pub(super) fn end_of(&self, event: &AlertEvent<'_>) -> (Timestamp, bool) {
        match event.ends_at {
            // A firing webhook alert may carry an end that has passed: it fires all the same.
            Some(end) if end > self.now => (end, false),
            _ => {
                let end = self.now.plus(self.world.policy.spec.times.resolve_timeout);
                (planted!(ExpiryOffByOne: end.plus(crate::time::Span::from_millis(1)), end), true)
            }
        }
    }

    pub(super) fn observation(&self, subject: Subject, breach: Option<Breach>) -> Observation {
        let model = self.world.model();
        let by_severity = self.world.policy.spec.ranking.strength_by_severity;
        let strength = match breach {
            Some(breach) => model.strength(ratio(breach, subject.kind)),
            None => Score::from_f64(match subject.severity {
                Severity::Critical => by_severity[0],
                Severity::Warning | Severity::None => by_severity[1],
                Severity::Info => by_severity[2],
            }),
        };
        let excess = breach.and_then(|breach| excess(breach, subject.kind));
        Observation { subject, strength, excess }
    }

    /// Derived from tenant, first episode and partition: a replay gives the same.
    ///
    /// An episode that goes on for long, or says that it begins at an absurd time, may open one
    /// incident after another. The earlier one may be forgotten by then, so these ids also hold
    /// when they were opened: none is given twice.
    pub(super) fn incident_id(&self, tenant: Symbol, first: Episode) -> IncidentId {
        let mut hash = Fnv::new();
        hash.write(self.world.symbols.text(tenant).as_bytes());
        hash.write(&first.fingerprint.0.to_le_bytes());
        hash.write(&first.starts_at.as_nanos().to_le_bytes());
        hash.write(self.shard.as_bytes());
        let apart = self.now.since(first.starts_at).max(first.starts_at.since(self.now));
        if apart.as_nanos() > self.world.policy.spec.times.retain_for.as_nanos() / 2 {
            hash.write(&self.now.as_nanos().to_le_bytes());
        }
        let mut id = IncidentId::new(first.starts_at, mix(hash.finish()));
        while self.incidents.find(id).is_some() {
            id = id.next();
        }
        id
    }
}

/// How far over the limit, where a delay is given in numbers.
pub(super) fn excess(breach: Breach, kind: Kind) -> Option<f64> {
    let Breach { value, threshold, side } = breach;
    (side == Side::Above && kind.is_delay()).then(|| (value - threshold).max(0.0))
}

/// How many times over the limit. For success shares: of the error budget.
pub(super) fn ratio(breach: Breach, kind: Kind) -> f64 {
    let Breach { value, threshold, side } = breach;
    // A limit of zero or less has no ratio: as much as ten times over.
    const NO_RATIO: f64 = 10.0;
    match side {
        Side::Above if threshold > 0.0 => (value / threshold).max(1.0),
        Side::Above => NO_RATIO,
        Side::Below if kind == Kind::Error && threshold > 0.0 && threshold <= 100.0 => {
            // 97 % against 99 % is three times the error budget, not two per cent off.
            let top = if threshold <= 1.0 { 1.0 } else { 100.0 };
            ((top - value) / (top - threshold).max(top / 1000.0)).max(1.0)
        }
        Side::Below => (threshold / value.max(threshold / NO_RATIO)).max(1.0),
    }
}

/// Spreads the bits of a hash (the finaliser of SplitMix64).
const fn mix(hash: u64) -> u64 {
    let mut z = hash;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
