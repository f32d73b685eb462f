//! One incident: its members, what they are symptoms of, and where it is in its life.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::alerts::AlertKey;
use crate::decision::{Episode, IncidentId, RerankCause};
use crate::event::Seq;
use crate::hypotheses::Hypotheses;
use crate::limits::Limit;
use crate::model::Entity;
use crate::planted::planted;
use crate::score::Score;
use crate::subject::Subject;
use crate::symbol::Symbol;
use crate::symptom::Symptom;
use crate::table::{HashSeed, Map};
use crate::time::{Span, Timestamp};

/// Place of an incident in the table; stale once it is over.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, BorshDeserialize, BorshSerialize)]
pub(crate) struct IncidentKey {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

/// Where an incident is in its life.
///
/// ```text
/// open --settle_for without another candidate--> settled --another candidate--> open
/// open, settled --quiet_for without a firing member--> resolved --a member fires anew--> open
/// open, settled --an older incident explains it--> merged
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, BorshDeserialize, BorshSerialize)]
pub enum Phase {
    /// The candidate may still change soon.
    Open,
    /// The candidate has stood for `settle_for`.
    Settled,
    /// No member has fired for `quiet_for`. Over, unless a member fires anew within
    /// `reopen_within` of its end.
    Resolved,
    /// It went into an older incident. Final.
    Merged,
}

impl Phase {
    /// Name in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Settled => "settled",
            Self::Resolved => "resolved",
            Self::Merged => "merged",
        }
    }

    /// Whether the incident is over.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Resolved | Self::Merged)
    }
}

/// One alert of an incident. It stays when the alert is forgotten, and holds the texts it needs.
#[derive(Clone, Copy, Debug, BorshDeserialize, BorshSerialize)]
pub(crate) struct Member {
    pub(crate) alert: AlertKey,
    /// Its latest episode in this incident.
    pub(crate) episode: Episode,
    pub(crate) subject: Subject,
    pub(crate) firing: bool,
}

/// One incident.
#[derive(Debug, BorshDeserialize, BorshSerialize)]
pub(crate) struct Incident {
    pub(crate) key: IncidentKey,
    pub(crate) id: IncidentId,
    /// Position among all incidents ever opened: smaller is older.
    pub(crate) order: u64,
    pub(crate) tenant: Symbol,
    pub(crate) phase: Phase,
    pub(crate) version: u64,
    pub(crate) opened: Timestamp,
    pub(crate) updated: Timestamp,
    /// Earliest onset of its members.
    pub(crate) onset: Timestamp,
    /// Latest onset that was new evidence: a new rule on an entity.
    pub(crate) newest: Timestamp,
    pub(crate) members: Vec<Member>,
    pub(crate) symptoms: Vec<Symptom>,
    /// Where each entity stands in `symptoms`.
    #[borsh(skip)]
    pub(crate) by_entity: Map<Entity, u32>,
    pub(crate) hypotheses: Hypotheses,
    pub(crate) candidate: Option<Entity>,
    pub(crate) runner_up: Option<Entity>,
    /// When the candidate last changed, and why.
    pub(crate) reranked_at: Timestamp,
    pub(crate) rerank_cause: Option<RerankCause>,
    pub(crate) firing: u32,
    /// Entities that alert in it.
    pub(crate) alerting: u32,
    /// The pull of all that alerts in it.
    pub(crate) pull: Score,
    /// When the last member stopped firing.
    pub(crate) quiet_since: Timestamp,
    pub(crate) first_seq: Seq,
    pub(crate) last_seq: Seq,
    pub(crate) events: u64,
    pub(crate) repeats: u64,
    pub(crate) flaps: u64,
    pub(crate) into: Option<IncidentId>,
    /// The incidents that went into it: all of them name it, however they came.
    pub(crate) taken_in: Vec<IncidentKey>,
    /// The limit that kept its first alert, or a later one, out of where it belonged.
    pub(crate) refused: Option<Limit>,
    pub(crate) timer_at: Timestamp,
    /// How often the graph had changed when its figures were computed.
    pub(crate) turn: u64,
}

/// What a new incident begins with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    pub(crate) key: IncidentKey,
    pub(crate) id: IncidentId,
    pub(crate) order: u64,
    pub(crate) tenant: Symbol,
    pub(crate) now: Timestamp,
    pub(crate) onset: Timestamp,
    pub(crate) seq: Seq,
    pub(crate) refused: Option<Limit>,
    pub(crate) seed: HashSeed,
    pub(crate) turn: u64,
}

impl Incident {
    pub(crate) fn new(opening: &Opening) -> Self {
        let &Opening { key, id, order, tenant, now, onset, seq, refused, seed, turn } = opening;
        Self {
            key,
            id,
            order,
            tenant,
            phase: Phase::Open,
            version: 0,
            opened: now,
            updated: now,
            onset,
            newest: onset,
            members: Vec::new(),
            symptoms: Vec::new(),
            by_entity: Map::new(seed),
            hypotheses: Hypotheses::default(),
            candidate: None,
            runner_up: None,
            reranked_at: now,
            rerank_cause: None,
            firing: 0,
            alerting: 0,
            pull: Score::ZERO,
            quiet_since: now,
            first_seq: seq,
            last_seq: seq,
            events: 0,
            repeats: 0,
            flaps: 0,
            into: None,
            taken_in: Vec::new(),
            refused,
            timer_at: Timestamp::MAX,
            turn,
        }
    }

    /// The limit that keeps an alert with this onset out, if one does.
    pub(crate) fn refuses(&self, onset: Timestamp, limits: (u32, Span)) -> Option<Limit> {
        let (members_max, max_duration) = limits;
        let frozen =
            onset.since(self.onset) > max_duration || self.newest.since(onset) > max_duration;
        let members = self.members.len();
        if planted!(FrozenTakesMore: false, frozen) {
            Some(Limit::Duration)
        } else if planted!(OneMemberTooMany: members > members_max as usize, members >= members_max as usize)
        {
            Some(Limit::Members)
        } else {
            None
        }
    }

    /// How long an onset lies outside the time that the incident's evidence spans.
    pub(crate) fn gap(&self, onset: Timestamp) -> Span {
        onset.since(self.newest).max(self.onset.since(onset))
    }

    pub(crate) fn symptom(&self, entity: Entity) -> Option<&Symptom> {
        self.by_entity.get(&entity).map(|&at| &self.symptoms[at as usize])
    }

    /// Position of an entity's symptom, which is made when there is none.
    pub(crate) fn symptom_at(&mut self, entity: Entity) -> usize {
        let next = self.symptoms.len() as u32;
        let at = *self.by_entity.entry_or(entity, || next);
        if at == next {
            self.symptoms.push(Symptom::new(entity));
        }
        at as usize
    }

    /// When it is settled and when it is over, if nothing more comes.
    pub(crate) fn next_deadline(&self, settle_for: Span, quiet_for: Span) -> Timestamp {
        let settled = match self.phase {
            Phase::Open => self.reranked_at.plus(settle_for),
            _ => Timestamp::MAX,
        };
        let resolved = match self.firing {
            0 => self.quiet_since.plus(quiet_for),
            _ => Timestamp::MAX,
        };
        settled.min(resolved)
    }

    /// Whether this root goes on causing: it fires, or it is silent and something else does.
    pub(crate) fn goes_on(&self, root: Entity) -> bool {
        match self.symptom(root) {
            Some(symptom) if symptom.is_alerting() => symptom.firing > 0,
            _ => self.firing > 0,
        }
    }

    /// Notes that a member fires, for the first time or again.
    pub(crate) fn note_firing(&mut self, member: u32) {
        let member = &mut self.members[member as usize];
        member.firing = true;
        let entity = member.subject.entity;
        self.firing += 1;
        let at = self.symptom_at(entity);
        self.symptoms[at].firing += 1;
    }

    /// Notes that a member stopped firing.
    pub(crate) fn note_quiet(&mut self, member: u32, now: Timestamp) {
        let member = &mut self.members[member as usize];
        assert!(member.firing, "a member stops firing once");
        member.firing = false;
        let entity = member.subject.entity;
        self.firing -= 1;
        let at = self.symptom_at(entity);
        self.symptoms[at].firing -= 1;
        let last = self.quiet_since.max(now);
        self.quiet_since = planted!(QuietSinceFirst: self.quiet_since, last);
    }

    /// Finds anew what is not in a snapshot.
    pub(crate) fn index(&mut self, seed: HashSeed) -> Result<(), &'static str> {
        self.by_entity = Map::new(seed);
        for (at, symptom) in self.symptoms.iter().enumerate() {
            if self.by_entity.insert(symptom.entity, at as u32).is_some() {
                return Err("an entity has one symptom");
            }
        }
        self.hypotheses.index();
        Ok(())
    }

    /// The candidate and the next best.
    pub(crate) fn named(&self) -> impl Iterator<Item = Entity> {
        self.candidate.into_iter().chain(self.runner_up)
    }

    /// Confidence and the like need the score of an entity.
    pub(crate) fn score(&self, entity: Option<Entity>) -> Option<Score> {
        entity.and_then(|e| self.hypotheses.get(e)).map(|h| h.score)
    }
}
