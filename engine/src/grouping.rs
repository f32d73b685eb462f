//! Which incident an alert belongs to: the one whose best root explains it better than a root of
//! its own would.

use crate::incident::{Incident, IncidentKey};
use crate::incidents::Incidents;
use crate::limits::{LIVE_PER_ENTITY_MAX, Limit};
use crate::model::{Entity, Link, Model, Observation};
use crate::planted::planted;
use crate::policy::Grouping;
use crate::score::{Score, ln};
use crate::symbol::Symbol;
use crate::time::{Span, Timestamp};

/// An incident that could take an alert.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Match {
    pub(crate) incident: IncidentKey,
    /// Log-likelihood ratio of "one root for both" against "two roots", with the decay in time.
    pub(crate) ratio: Score,
    /// The root that explains both best; `None` where another rule says that they belong together.
    pub(crate) root: Option<Entity>,
    /// What of the ratio is the decay in time.
    pub(crate) decay: Score,
    /// The decay in time alone, and the one for what an incident stands on.
    near: Score,
    near_standing: Score,
    order: u64,
    pub(crate) limit: Option<Limit>,
}

impl Match {
    /// Larger is newer.
    pub(crate) fn order(&self) -> u64 {
        self.order
    }

    /// Takes note of a reason to join: the best one counts.
    fn consider(&mut self, root: Option<Entity>, fit: Score, decay: Score) {
        if fit + decay > self.ratio {
            (self.ratio, self.root, self.decay) = (fit + decay, root, decay);
        }
    }
}

/// What the incidents say to a new alert, best first.
#[derive(Debug, Default)]
pub(crate) struct Matches {
    list: Vec<Match>,
    /// By incident slot: the round in which it was met, and where in `list`.
    met: Vec<(u32, u32)>,
    round: u32,
    /// The list with those that were not likely enough, when somebody wants to know.
    pub(crate) all: Option<Vec<Match>>,
}

impl Matches {
    /// Asks every live incident that considers a root which could explain the alert.
    pub(crate) fn find(
        &mut self,
        model: Model<'_>,
        incidents: &Incidents,
        tenant: Symbol,
        seen: &Observation,
        links: &[Link],
        onset: Timestamp,
    ) {
        self.begin(incidents.slots());
        let spec = &model.policy.spec;
        let alone = links.iter().map(|l| l.weight + l.prior).max().unwrap_or_default();
        for link in links {
            for &key in incidents.considering(tenant, link.root) {
                let Some(incident) = incidents.get(key) else {
                    continue;
                };
                let at = self.meet(incident, onset, &spec.grouping);
                let found = &mut self.list[at];
                let stands = incident.stands_on(link.root, spec.grouping.standing_entities);
                let near = if stands { found.near_standing } else { found.near };
                if near == Score::WORST {
                    // Too long ago, which most incidents on a busy entity are.
                    continue;
                }
                if let Some(root) = incident.hypotheses.get(link.root) {
                    let behind = root.likelihood - incident.hypotheses.best_likelihood();
                    found.consider(Some(link.root), behind + link.weight - alone, near);
                }
            }
        }
        let limits = (spec.limits.members_max, spec.times.max_duration);
        for found in &mut self.list {
            let Some(incident) = incidents.get(found.incident) else {
                continue;
            };
            let own = incident.symptom(seen.subject.entity);
            let group = seen.subject.fallback;
            if own.is_some_and(|s| s.is_alerting())
                || group.is_some_and(|group| incident.hypotheses.get(group).is_some())
            {
                // The entity is a member already, or the labels that the policy groups by are
                // those of a member: never worse than a root of its own.
                found.consider(None, Score::ZERO, found.near);
            }
            found.limit = incident.refuses(onset, limits);
        }
        if let Some(all) = &mut self.all {
            all.clone_from(&self.list);
        }
        self.list.retain(|m| m.ratio >= model.policy.logs.join_ratio);
        // Of equals the newer incident.
        self.list.sort_by_key(|m| (std::cmp::Reverse(m.ratio), std::cmp::Reverse(m.order)));
    }

    fn begin(&mut self, slots: usize) {
        self.list.clear();
        self.met.resize(slots.max(self.met.len()), (0, 0));
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            self.met.fill((0, 0));
            self.round = 1;
        }
    }

    /// Where in the list an incident is, which is put there when it is met first.
    fn meet(&mut self, incident: &Incident, onset: Timestamp, grouping: &Grouping) -> usize {
        let met = &mut self.met[incident.key.slot as usize];
        if met.0 != self.round {
            *met = (self.round, self.list.len() as u32);
            let gap = incident.gap(onset);
            self.list.push(Match {
                incident: incident.key,
                ratio: Score::WORST,
                root: None,
                decay: Score::WORST,
                near: nearness(gap, grouping.window),
                near_standing: nearness(gap, grouping.standing_window),
                order: incident.order,
                limit: None,
            });
        }
        met.1 as usize
    }

    /// The incident to join; otherwise the limit that refused the best one.
    pub(crate) fn best(&self) -> Result<IncidentKey, Option<Limit>> {
        match self.list.iter().find(|m| m.limit.is_none()) {
            Some(found) => Ok(found.incident),
            None => Err(self.list.first().and_then(|m| m.limit)),
        }
    }

    /// The runners-up of `joined`, which may turn out to be the same incident.
    pub(crate) fn others(&self, joined: IncidentKey) -> impl Iterator<Item = IncidentKey> {
        // A cause that comes last may have as many incidents of its symptoms as a root leads to.
        self.list
            .iter()
            .map(|m| m.incident)
            .filter(move |&key| key != joined)
            .take(LIVE_PER_ENTITY_MAX)
    }
}

/// `ln` of a likelihood ratio that falls linearly to zero over `window`.
fn nearness(gap: Span, window: Span) -> Score {
    let left = 1.0 - gap.as_secs_f64() / window.as_secs_f64();
    if left > 0.0 { Score::from_f64(ln(left)) } else { Score::WORST }
}

/// Whether two incidents are one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Joint {
    /// The younger one is too old to be merged.
    TooOld,
    /// Together they would last longer than an incident may.
    TooLong,
    /// Together they would have too many members.
    TooMany,
    /// One root for both is not likely enough: this is `ln` of the ratio.
    Unlikely(Score),
    /// It is.
    One(Score),
}

/// Whether one root for both incidents is likely enough to make them one.
pub(crate) fn joint(model: Model<'_>, a: &Incident, b: &Incident, onset: Timestamp) -> Joint {
    let spec = &model.policy.spec;
    let old = onset.since(a.onset.max(b.onset)) > spec.times.merge_window;
    if planted!(MergeWindowIgnored: false, old) {
        return Joint::TooOld;
    }
    if a.newest.max(b.newest).since(a.onset.min(b.onset)) > spec.times.max_duration {
        return Joint::TooLong;
    }
    if a.members.len() + b.members.len() > spec.limits.members_max as usize {
        return Joint::TooMany;
    }
    let apart = a.onset.since(b.onset).max(b.onset.since(a.onset));
    let ratio = a.merge_ratio(model, b) + nearness(apart, spec.grouping.window);
    if ratio >= model.policy.logs.join_ratio { Joint::One(ratio) } else { Joint::Unlikely(ratio) }
}
