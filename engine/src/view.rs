//! Read-only views of incidents: everything a record needs, computed when it is asked for.

use crate::decision::{Episode, IncidentId, RerankCause};
use crate::directory::Found;
use crate::event::Seq;
use crate::evidence::Terms;
use crate::hypotheses::Hypothesis;
use crate::incident::{Incident, Phase};
use crate::kind::Kind;
use crate::limits::Limit;
use crate::model::{Entity, Model};
use crate::paths::{PathView, paths};
use crate::score::Score;
use crate::subject::Severity;
use crate::time::Timestamp;

/// An incident as it is now.
#[derive(Clone, Copy)]
pub struct IncidentView<'a> {
    model: Model<'a>,
    incident: &'a Incident,
}

/// The entity held to be the cause, or one that was considered.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CandidateView<'a> {
    /// Its name.
    pub entity: &'a str,
    /// The kind of its strongest alert; `None` for a silent candidate.
    pub kind: Option<Kind>,
    /// Its strongest alert; `None` for a silent candidate.
    pub alert: Option<Episode>,
    /// That alert's name.
    pub alertname: Option<&'a str>,
    /// Sum of its evidence.
    pub score: Score,
    /// Share of belief among all candidates and "none of these", 0 to 1.
    pub confidence: Score,
}

impl CandidateView<'_> {
    /// Whether it has no alert of its own.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.alert.is_none()
    }
}

/// What a term of evidence is about. The codes are stable.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Code {
    /// The candidate's own strongest alert.
    OwnAlert,
    /// Several different callees are slow from the candidate: it is starved itself.
    StarvedCaller,
    /// It explains the symptom of an entity that depends on it.
    Explains,
    /// It explains further symptoms, taken together.
    ExplainsOthers,
    /// Not all that depend on it complain. Only for a silent candidate.
    Disagreement,
    /// Something alerts that it does not explain. Only for a silent candidate.
    Unexplained,
    /// It has no alert of its own.
    Silent,
}

impl Code {
    /// Name in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OwnAlert => "OWN_ALERT",
            Self::StarvedCaller => "STARVED_CALLER",
            Self::Explains => "EXPLAINS",
            Self::ExplainsOthers => "EXPLAINS_OTHERS",
            Self::Disagreement => "DISAGREEMENT",
            Self::Unexplained => "UNEXPLAINED",
            Self::Silent => "SILENT",
        }
    }
}

/// One term of a candidate's score. Contributions sum to the score exactly.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Evidence<'a> {
    /// What it is about.
    pub code: Code,
    /// The entity that is explained, for [`Code::Explains`].
    pub entity: Option<&'a str>,
    /// The kind of alert, for [`Code::OwnAlert`].
    pub kind: Option<Kind>,
    /// What is observed: the strength of an alert (0.5 just over its limit, 2 at most), the sum of
    /// symptoms, or 1.
    pub value: Score,
    /// What a unit of it weighs under the policy and at this distance.
    pub weight: Score,
    /// Value times weight.
    pub contribution: Score,
    /// How many: hops for `Explains`, entities for `ExplainsOthers`, slow callees for
    /// `StarvedCaller`, complaining dependents for `Disagreement`, alerting
    /// entities that it does not explain for `Unexplained`, else 1.
    pub count: u32,
    /// Of how many, for `Disagreement`, `Unexplained` and `StarvedCaller`; else `count`.
    pub of: u32,
}

impl Evidence<'_> {
    /// A term whose weight follows from what it contributes.
    fn new(code: Code, value: Score, contribution: Score, (count, of): (u32, u32)) -> Self {
        let weight = match value.micros() {
            0 => Score::ZERO,
            _ => Score::from_f64(contribution.to_f64() / value.to_f64()),
        };
        Self { code, entity: None, kind: None, value, weight, contribution, count, of }
    }
}

/// A candidate that lost, and where.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct WhyNot<'a> {
    /// The losing candidate.
    pub candidate: CandidateView<'a>,
    /// The term on which it lost most.
    pub lost_on: Code,
    /// By how much on that term.
    pub by: Score,
    /// By how much over all.
    pub margin: Score,
}

/// One member.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct MemberView<'a> {
    /// Identity and start of its latest episode in this incident.
    pub alert: Episode,
    /// The alert's name.
    pub alertname: &'a str,
    /// The entity it is about.
    pub entity: &'a str,
    /// Its kind.
    pub kind: Kind,
    /// Its severity.
    pub severity: Severity,
    /// Whether it fires now.
    pub firing: bool,
    /// The mapping rule that named the entity; `None`: no rule matched.
    pub mapped_by: Option<&'a str>,
    /// How the entity was found by that name.
    pub found: Found,
}

/// Flags that say what the engine had to do without.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Degraded {
    /// Some member's entity is not in the graph: it was grouped by entity and labels alone.
    pub outside_topology: bool,
    /// No mapping rule matched some member.
    pub unmapped: bool,
    /// Some member's entity could be several of the graph.
    pub ambiguous: bool,
    /// Members that say that less is seen of the entity that they are about.
    pub blind: u32,
    /// A limit kept an alert out of the incident that explains it.
    pub refused: Option<Limit>,
}

/// Explained symptoms listed one by one; the rest is summed up.
const EXPLAINS_LISTED: usize = 8;

impl<'a> IncidentView<'a> {
    pub(crate) fn new(model: Model<'a>, incident: &'a Incident) -> Self {
        Self { model, incident }
    }

    /// Its public name.
    #[must_use]
    pub fn id(&self) -> IncidentId {
        self.incident.id
    }

    /// Its version, from 1; only ever grows.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.incident.version
    }

    /// Version of the graph under which its evidence is weighed.
    #[must_use]
    pub fn topology_version(&self) -> u64 {
        self.model.topology.version()
    }

    /// Where it is in its life.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.incident.phase
    }

    /// The incident it went into, once it is merged.
    #[must_use]
    pub fn merged_into(&self) -> Option<IncidentId> {
        self.incident.into
    }

    /// Its tenant; empty when tenants are not configured.
    #[must_use]
    pub fn tenant(&self) -> &'a str {
        self.model.symbols.text(self.incident.tenant)
    }

    /// The highest severity of its members.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.incident.members.iter().map(|m| m.subject.severity).max().unwrap_or_default()
    }

    /// Earliest onset of its members.
    #[must_use]
    pub fn onset(&self) -> Timestamp {
        self.incident.onset
    }

    /// When it was opened.
    #[must_use]
    pub fn opened(&self) -> Timestamp {
        self.incident.opened
    }

    /// When it got this version.
    #[must_use]
    pub fn updated(&self) -> Timestamp {
        self.incident.updated
    }

    /// Why the candidate changed last; `None` while it is the first one.
    #[must_use]
    pub fn rerank_cause(&self) -> Option<RerankCause> {
        self.incident.rerank_cause
    }

    /// The current candidate. There is one from the first alert on.
    #[must_use]
    pub fn root_cause(&self) -> Option<CandidateView<'a>> {
        self.incident.candidate.and_then(|entity| self.candidate(entity))
    }

    /// The second best.
    #[must_use]
    pub fn runner_up(&self) -> Option<CandidateView<'a>> {
        self.incident.runner_up.and_then(|entity| self.candidate(entity))
    }

    /// Whether the candidate's confidence is below the policy's `low_confidence`.
    #[must_use]
    pub fn is_low_confidence(&self) -> bool {
        let low = Score::from_f64(self.model.policy.spec.ranking.low_confidence);
        self.root_cause().is_none_or(|c| c.confidence < low)
    }

    /// Score of the candidate minus that of the runner-up, or its score when there is none.
    #[must_use]
    pub fn margin(&self) -> Score {
        let score = |entity| self.incident.score(entity).unwrap_or_default();
        score(self.incident.candidate) - score(self.incident.runner_up)
    }

    /// All candidates, best first.
    #[must_use]
    pub fn candidates(&self) -> Vec<CandidateView<'a>> {
        let ranked = self.incident.hypotheses.ranked(self.model);
        ranked.iter().filter_map(|h| self.candidate(h.entity)).collect()
    }

    fn candidate(&self, entity: Entity) -> Option<CandidateView<'a>> {
        let root = self.incident.hypotheses.get(entity)?;
        let own = self.incident.symptom(entity).and_then(|s| s.own(self.model));
        let member = own.map(|own| &self.incident.members[own.member as usize]);
        Some(CandidateView {
            entity: self.model.name(entity),
            kind: own.map(|own| own.kind),
            alert: member.map(|m| m.episode),
            alertname: member.map(|m| self.model.symbols.text(m.subject.rule)),
            score: root.score,
            confidence: self.confidence(root),
        })
    }

    /// Share of the candidate in the odds of all, "none of these" included.
    pub(crate) fn confidence(&self, root: &Hypothesis) -> Score {
        let none = Score::from_f64(self.model.policy.spec.ranking.none_score);
        let scores =
            || self.incident.hypotheses.iter().map(|h| h.score).filter(|&s| s > Score::WORST);
        let best = scores().max().unwrap_or(none).max(none);
        let all: u64 = scores().map(|s| self.model.odds(s, best)).sum();
        let all = all + self.model.odds(none, best);
        Score::from_f64(self.model.odds(root.score, best) as f64 / all as f64)
    }

    /// The terms that made the candidate win, largest first. Their contributions sum to its score.
    #[must_use]
    pub fn evidence(&self) -> Vec<Evidence<'a>> {
        let Some(root) = self.incident.candidate.and_then(|e| self.incident.hypotheses.get(e))
        else {
            return Vec::new();
        };
        let terms = self.incident.terms(self.model, root);
        let mut list = self.own_terms(root, &terms);
        list.extend(self.explained_terms(root, &terms));
        list.sort_by(|a, b| {
            let size = |e: &Evidence<'_>| e.contribution.micros().abs();
            size(b).cmp(&size(a)).then_with(|| a.entity.cmp(&b.entity))
        });
        list
    }

    fn own_terms(&self, root: &Hypothesis, terms: &Terms) -> Vec<Evidence<'a>> {
        let mut list = Vec::new();
        if let Some(own) = terms.own {
            let term = Evidence::new(Code::OwnAlert, own.strength, own.score, (1, 1));
            list.push(Evidence { kind: Some(own.kind), ..term });
        }
        if let Some(starved) = terms.starved {
            let counts = (starved.slow, starved.callees);
            list.push(Evidence::new(Code::StarvedCaller, starved.worst, starved.score, counts));
        }
        if terms.silent < Score::ZERO {
            list.push(Evidence::new(Code::Silent, Score::ONE, terms.silent, (1, 1)));
        }
        if terms.disagreement < Score::ZERO {
            let (value, less) = (terms.explained, terms.disagreement);
            list.push(Evidence::new(Code::Disagreement, value, less, terms.complaining));
        }
        if terms.unexplained < Score::ZERO {
            let value = terms.explained + terms.disagreement;
            let explained = self.incident.symptoms_above(self.model, root.entity).count() as u32;
            let counts = (self.incident.alerting.saturating_sub(explained), self.incident.alerting);
            list.push(Evidence::new(Code::Unexplained, value, terms.unexplained, counts));
        }
        list
    }

    fn explained_terms(&self, root: &Hypothesis, terms: &Terms) -> Vec<Evidence<'a>> {
        if !self.incident.is_shared(self.model, root) {
            return Vec::new();
        }
        let own = self.incident.symptom(root.entity);
        let mut list: Vec<Evidence<'a>> = self
            .incident
            .symptoms_above(self.model, root.entity)
            .map(|(at, hops)| {
                let symptom = &self.incident.symptoms[at];
                let value = symptom.asks(self.model, root.entity);
                let part = match terms.own {
                    Some(_) => symptom.explained_by(self.model, (root.entity, own), hops),
                    None => symptom.quietly_explained(self.model, root.entity, hops),
                };
                let count = hops.into();
                let term = Evidence::new(Code::Explains, value, part, (count, count));
                Evidence { entity: Some(self.model.name(symptom.entity)), ..term }
            })
            .filter(|e| e.contribution > Score::ZERO)
            .collect();
        list.sort_by(|a, b| {
            b.contribution.cmp(&a.contribution).then_with(|| a.entity.cmp(&b.entity))
        });
        let others = list.split_off(list.len().min(EXPLAINS_LISTED));
        if !others.is_empty() {
            let listed: Score = list.iter().map(|e| e.contribution).sum();
            let (value, count) = (others.iter().map(|e| e.value).sum(), others.len() as u32);
            let rest = terms.explained - listed;
            list.push(Evidence::new(Code::ExplainsOthers, value, rest, (count, count)));
        }
        list
    }

    /// The next candidates, at most `count`, and the term on which each lost most.
    #[must_use]
    pub fn why_not(&self, count: usize) -> Vec<WhyNot<'a>> {
        let ranked = self.incident.hypotheses.ranked(self.model);
        let Some((first, rest)) = ranked.split_first() else {
            return Vec::new();
        };
        let best = by_code(&self.incident.terms(self.model, first));
        let lost = |loser: &Hypothesis| {
            let terms = self.incident.terms(self.model, loser);
            let theirs = by_code(&terms);
            // Without an alert of its own, what it lacks by way of one is its silence.
            let best = if terms.own.is_none() { by_silence(best) } else { best };
            let gaps = best.iter().zip(&theirs).map(|(&(code, a), &(_, b))| (code, a - b));
            // The largest gap; of equals the first term.
            let worst = gaps.rev().max_by_key(|&(_, gap)| gap)?;
            Some(WhyNot {
                candidate: self.candidate(loser.entity)?,
                lost_on: worst.0,
                by: worst.1,
                margin: first.score - loser.score,
            })
        };
        rest.iter().take(count).filter_map(lost).collect()
    }

    /// The path of dependencies from a member's entity down to the candidate is this long; `None`
    /// when there is none within the reach of the ranking.
    #[must_use]
    pub fn hops_to_root(&self, member: usize) -> Option<u8> {
        let (root, entity) =
            (self.incident.candidate?, self.incident.members[member].subject.entity);
        if root == entity { Some(0) } else { self.model.hops(entity, root) }
    }

    /// One shortest way from the candidate to each entity of [`Self::affected`], or why there is
    /// none.
    #[must_use]
    pub fn paths(&self, count: usize) -> Vec<PathView<'a>> {
        paths(self.model, self.incident, count)
    }

    /// How many alerts belong to it, and how many of them fire.
    #[must_use]
    pub fn member_counts(&self) -> (usize, u32) {
        (self.incident.members.len(), self.incident.firing)
    }

    /// Its members in the order in which they joined.
    pub fn members(&self) -> impl ExactSizeIterator<Item = MemberView<'a>> {
        let model = self.model;
        self.incident.members.iter().map(move |member| MemberView {
            alert: member.episode,
            alertname: model.symbols.text(member.subject.rule),
            entity: model.name(member.subject.entity),
            kind: member.subject.kind,
            severity: member.subject.severity,
            firing: member.firing,
            mapped_by: member.subject.mapped_by.map(|s| model.symbols.text(s)),
            found: member.subject.found,
        })
    }

    /// How many entities alert in it.
    #[must_use]
    pub fn entities(&self) -> usize {
        self.incident.alerting as usize
    }

    /// The entities that alert in it, at most `count`, in the order in which they joined.
    pub fn affected(&self, count: usize) -> impl Iterator<Item = &'a str> {
        let model = self.model;
        let alerting = self.incident.symptoms.iter().filter(|s| s.is_alerting());
        alerting.take(count).map(move |s| model.name(s.entity))
    }

    /// The top-most alerting entities, on which no other alerting member depends: where users
    /// feel it. At most `count`, in the order in which they joined, and how many there are.
    #[must_use]
    pub fn top_most(&self, count: usize) -> (Vec<&'a str>, usize) {
        let incident = self.incident;
        let felt_above = |entity: Entity| {
            let mut above = incident.symptoms_above(self.model, entity);
            above.any(|(_, hops)| hops == 1)
        };
        let mut names = Vec::new();
        let mut all = 0;
        for symptom in incident.symptoms.iter().filter(|s| s.is_alerting()) {
            if !felt_above(symptom.entity) {
                all += 1;
                if names.len() < count {
                    names.push(self.model.name(symptom.entity));
                }
            }
        }
        (names, all)
    }

    /// Events about its members, repeats among them, and times a member flapped.
    #[must_use]
    pub fn dedup(&self) -> (u64, u64, u64) {
        (self.incident.events, self.incident.repeats, self.incident.flaps)
    }

    /// Input positions of its first event and of the latest one that changed it.
    #[must_use]
    pub fn positions(&self) -> (Seq, Seq) {
        (self.incident.first_seq, self.incident.last_seq)
    }

    /// What the engine had to do without.
    #[must_use]
    pub fn degraded(&self) -> Degraded {
        let members = &self.incident.members;
        Degraded {
            outside_topology: members.iter().any(|m| !self.model.in_graph(m.subject.entity)),
            unmapped: members.iter().any(|m| m.subject.mapped_by.is_none()),
            ambiguous: members.iter().any(|m| m.subject.found == Found::Ambiguous),
            blind: members.iter().filter(|m| m.subject.kind == Kind::Blind).count() as u32,
            refused: self.incident.refused,
        }
    }
}

/// Scores by code, in the order in which ties are told.
fn by_code(terms: &Terms) -> [(Code, Score); 6] {
    let own = terms.own.map_or(Score::ZERO, |own| own.score);
    let starved = terms.starved.map_or(Score::ZERO, |starved| starved.score);
    [
        (Code::OwnAlert, own),
        (Code::Explains, terms.explained),
        (Code::StarvedCaller, starved),
        (Code::Disagreement, terms.disagreement),
        (Code::Unexplained, terms.unexplained),
        (Code::Silent, terms.silent),
    ]
}

/// The same, with the own alert counted where silence is.
fn by_silence(mut scores: [(Code, Score); 6]) -> [(Code, Score); 6] {
    let own = std::mem::take(&mut scores[0].1);
    scores[5].1 += own;
    scores
}
