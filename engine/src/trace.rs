//! What was weighed when an alert was placed, for those who ask why. Off unless asked for; it
//! watches and decides nothing.

use crate::decision::{Episode, IncidentId};
use crate::grouping::{Joint, Match};
use crate::incident::IncidentKey;
use crate::incidents::Incidents;
use crate::kind::Kind;
use crate::limits::Limit;
use crate::model::{Model, Observation};
use crate::score::Score;
use crate::time::Timestamp;

/// One thing that was weighed. What came of it are the decisions of the same call.
#[derive(Clone, PartialEq, Debug)]
pub enum Weighed {
    /// Which incident an alert belongs to.
    Placement(Placement),
    /// Whether two incidents are one.
    Comparison(Comparison),
}

/// An alert, and every live incident that considers a root which could explain it.
#[derive(Clone, PartialEq, Debug)]
pub struct Placement {
    /// The alert.
    pub alert: Episode,
    /// Log time.
    pub now: Timestamp,
    /// The onset that counts: its start, but not longer ago than `times.lateness`.
    pub onset: Timestamp,
    /// The entity that it is about.
    pub entity: String,
    /// Whether that entity is in the graph.
    pub in_topology: bool,
    /// The mapping rule that named it; `None`: no rule matched.
    pub mapped_by: Option<String>,
    /// The kind of alert.
    pub kind: Kind,
    /// How far over its limit: 0.5 just over, 2 at most.
    pub strength: Score,
    /// `ln` of the least likelihood ratio to join.
    pub threshold: Score,
    /// The incidents, most likely first; of equals the newer one.
    pub alternatives: Vec<Alternative>,
}

/// An incident that might take an alert.
#[derive(Clone, PartialEq, Debug)]
pub struct Alternative {
    /// The incident.
    pub incident: IncidentId,
    /// The root that explains both best; `None` when the entity is a member already, or shares the
    /// fallback labels, and that is reason enough.
    pub root: Option<String>,
    /// `ln` of the likelihood ratio of "one root for both" against "two roots";
    /// [`Score::WORST`] when nothing speaks for it.
    pub ratio: Score,
    /// What of it is distance in time, 0 at most.
    pub decay: Score,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of an alternative.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The alert joins it.
    Joins,
    /// It is likely enough, and another one is more so: the two may be merged.
    SecondTo,
    /// It is not likely enough.
    Unlikely,
    /// Its last new evidence is too long ago.
    TooLate,
    /// It is likely enough, and a limit forbids it.
    Refused(Limit),
    /// None is likely enough, and the alert was a member of this one before: it goes back there.
    GoesBack,
}

impl Verdict {
    /// Name in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Joins => "joins",
            Self::SecondTo => "second",
            Self::Unlikely => "unlikely",
            Self::TooLate => "too_late",
            Self::Refused(_) => "refused",
            Self::GoesBack => "goes_back",
        }
    }
}

/// Two incidents that might be one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Comparison {
    /// One.
    pub first: IncidentId,
    /// The other.
    pub second: IncidentId,
    /// `ln` of the likelihood ratio of one root for both against one each; `None` when it does not
    /// come to that.
    pub ratio: Option<Score>,
    /// Whether they are made one.
    pub merged: bool,
    /// What forbids it before anything is weighed.
    pub refused: Option<&'static str>,
}

/// Keeps what was weighed until somebody takes it.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    list: Vec<Weighed>,
}

impl Trace {
    pub(crate) fn take(&mut self) -> Vec<Weighed> {
        std::mem::take(&mut self.list)
    }

    pub(crate) fn placed(
        &mut self,
        model: Model<'_>,
        incidents: &Incidents,
        alert: Episode,
        (now, onset): (Timestamp, Timestamp),
        seen: &Observation,
        (found, home): (&[Match], Option<IncidentKey>),
    ) {
        let threshold = model.policy.logs.join_ratio;
        let mut found = found.to_vec();
        found.sort_by_key(|m| (std::cmp::Reverse(m.ratio), std::cmp::Reverse(m.order())));
        let joins = found.iter().position(|m| m.ratio >= threshold && m.limit.is_none());
        let home = home.filter(|_| joins.is_none());
        let alternative = |(at, m): (usize, &Match)| {
            let verdict = match m.limit {
                _ if home == Some(m.incident) => Verdict::GoesBack,
                _ if m.ratio <= Score::WORST => Verdict::TooLate,
                _ if m.ratio < threshold => Verdict::Unlikely,
                Some(limit) => Verdict::Refused(limit),
                None if joins == Some(at) => Verdict::Joins,
                None => Verdict::SecondTo,
            };
            Some(Alternative {
                incident: incidents.get(m.incident)?.id,
                root: m.root.map(|root| model.name(root).to_owned()),
                ratio: m.ratio,
                decay: m.decay,
                verdict,
            })
        };
        let mut alternatives: Vec<Alternative> =
            found.iter().enumerate().filter_map(alternative).collect();
        // One that was resolved is not among those that may be joined.
        let resolved = home.filter(|&home| found.iter().all(|m| m.incident != home));
        alternatives.extend(resolved.and_then(|home| incidents.get(home)).map(|home| {
            Alternative {
                incident: home.id,
                root: None,
                ratio: Score::WORST,
                decay: Score::ZERO,
                verdict: Verdict::GoesBack,
            }
        }));
        self.list.push(Weighed::Placement(Placement {
            alert,
            now,
            onset,
            entity: model.name(seen.subject.entity).to_owned(),
            in_topology: model.in_graph(seen.subject.entity),
            mapped_by: seen.subject.mapped_by.map(|rule| model.symbols.text(rule).to_owned()),
            kind: seen.subject.kind,
            strength: seen.strength,
            threshold,
            alternatives,
        }));
    }

    pub(crate) fn compared(&mut self, first: IncidentId, second: IncidentId, verdict: Joint) {
        let (ratio, merged, refused) = match verdict {
            Joint::TooOld => (None, false, Some("merge_window")),
            Joint::TooLong => (None, false, Some("max_duration")),
            Joint::TooMany => (None, false, Some("members_max")),
            Joint::Unlikely(ratio) => (Some(ratio), false, None),
            Joint::One(ratio) => (Some(ratio), true, None),
        };
        let comparison = Comparison { first, second, ratio, merged, refused };
        self.list.push(Weighed::Comparison(comparison));
    }
}
