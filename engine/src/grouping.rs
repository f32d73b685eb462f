//! Which incident an alert belongs to: the one whose best root explains it better than a root of
//! its own would.

use crate::background::{Surroundings, coincidence};
use crate::chain::Chain;
use crate::hypotheses::Hypothesis;
use crate::incident::{Incident, IncidentKey};
use crate::incidents::Incidents;
use crate::limits::{HYPOTHESES_MAX, LIVE_PER_ENTITY_MAX, Limit};
use crate::model::{Entity, Link, Model, Observation};
use crate::planted::planted;
use crate::policy::Grouping;
use crate::score::{Score, exp, ln, power};
use crate::symbol::Symbol;
use crate::time::{Span, Timestamp};

/// From so many direct dependents on it matters how many of them are silent, and from so large an
/// audience who is silent on the way.
const CROWD: usize = 16;

/// How much more likely a fragment belongs to what goes on because it fires still as well.
const FIRES_STILL: f64 = 2.0;
/// By this power of the share of [`Grouping::real_entities`] fewer are believed to be no chance.
const REAL_POWER: f64 = 5.0;

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
    /// The decay in time alone, and the one for what goes on.
    near: Score,
    late: Score,
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

/// An alert that looks for its incident.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Newcomer<'a> {
    pub(crate) seen: &'a Observation,
    /// The roots that could explain it.
    pub(crate) links: &'a [Link],
    pub(crate) tenant: Symbol,
    pub(crate) onset: Timestamp,
    /// What is usual around it; `None` outside the graph.
    pub(crate) around: Option<Surroundings>,
    /// Less, as often as it was alone before.
    pub(crate) habit: Score,
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
    pub(crate) fn find(&mut self, model: Model<'_>, incidents: &Incidents, new: &Newcomer<'_>) {
        self.begin(incidents.slots());
        let alone = new.links.iter().map(|l| l.weight + l.prior).max().unwrap_or_default();
        let mut chain = None;
        for link in new.links {
            let mut silent = None;
            for &key in incidents.considering(new.tenant, link.root) {
                let Some(incident) = incidents.get(key) else {
                    continue;
                };
                let at = self.meet(incident, new.onset, &model.policy.spec.grouping);
                let found = &mut self.list[at];
                if found.near == Score::WORST && found.late == Score::WORST {
                    // Too long ago, which most incidents on a busy entity are.
                    continue;
                }
                if let Some(root) = incident.hypotheses.get(link.root) {
                    let behind = root.likelihood - incident.hypotheses.best_likelihood();
                    let silent = *silent.get_or_insert_with(|| {
                        let chain = chain.get_or_insert_with(|| loud(incidents, new));
                        silence(model, chain, link)
                    });
                    let late = lateness(model, incident, root, new, (found.late, silent));
                    let near = (found.near + silent).max(late);
                    let fit =
                        behind + link.weight - alone + crowd(model, incident, root, new, link);
                    found.consider(Some(link.root), fit, near);
                }
            }
        }
        self.weigh_members(model, incidents, new);
        if let Some(all) = &mut self.all {
            all.clone_from(&self.list);
        }
        self.list.retain(|m| m.ratio >= model.policy.logs.join_ratio);
        // Of equals the newer incident.
        self.list.sort_by_key(|m| (std::cmp::Reverse(m.ratio), std::cmp::Reverse(m.order)));
    }

    /// What does not depend on a root: who is a member already, habits, limits.
    fn weigh_members(&mut self, model: Model<'_>, incidents: &Incidents, new: &Newcomer<'_>) {
        let spec = &model.policy.spec;
        let limits = (spec.limits.members_max, spec.times.max_duration);
        for found in &mut self.list {
            let Some(incident) = incidents.get(found.incident) else {
                continue;
            };
            let own = incident.symptom(new.seen.subject.entity).filter(|s| s.is_alerting());
            let group = new.seen.subject.fallback;
            if own.is_some() || group.is_some_and(|g| incident.hypotheses.get(g).is_some()) {
                // The entity is a member already, or the labels that the policy groups by are
                // those of a member: never worse than a root of its own.
                found.consider(None, Score::ZERO, found.near);
            }
            if own.is_some_and(|own| own.firing > 0) && found.late > found.near {
                // What fires on it still, makes another of its rules fire.
                let usual = new.around.map_or(Score::ZERO, |around| {
                    let chance = around.chance(incident.alerting, spec.grouping.late_window);
                    at_most_one(spec.grouping.late_weight / chance)
                });
                found.consider(None, Score::ZERO, found.late + usual);
            }
            if found.ratio > Score::WORST {
                found.ratio += new.habit;
            }
            found.limit = incident.refuses(new.onset, limits);
        }
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
                late: nearness(gap, grouping.late_window),
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

/// `ln` of the ratio for an alert that comes late, while `root` goes on; `late` is the decay.
fn lateness(
    model: Model<'_>,
    incident: &Incident,
    root: &Hypothesis,
    new: &Newcomer<'_>,
    (late, silent): (Score, Score),
) -> Score {
    match new.around {
        Some(around) if late > Score::WORST && is_small(root) && incident.goes_on(root.entity) => {
            let is_own = root.entity == new.seen.subject.entity;
            let reached = if is_own { 1.0 } else { reached(model, root) };
            late + going_on(model, incident, reached * exp(silent.to_f64()), around)
        }
        _ => Score::WORST,
    }
}

/// What below an alert alerts as well, in whatever incident.
fn loud(incidents: &Incidents, new: &Newcomer<'_>) -> Chain {
    Chain::of_links(new.links, |entity| {
        incidents.considering(new.tenant, entity).iter().any(|&key| {
            incidents.get(key).and_then(|i| i.symptom(entity)).is_some_and(|s| s.is_alerting())
        })
    })
}

/// `ln` of how much less expected an alert is because what lies between is silent. Where a root has
/// a small audience, an alert above it is rarely there by chance, whoever is silent.
fn silence(model: Model<'_>, chain: &Chain, link: &Link) -> Score {
    if link.hops < 2 || -link.prior.to_f64() <= ln(CROWD as f64) {
        return Score::ZERO;
    }
    let silent = i64::from(chain.silent(model, link.root, link.hops));
    Score::from_micros(model.policy.logs.silent_hop.micros() * silent)
}

/// Less for a root with more direct dependents than a walk is long, as far as no more of them
/// alert than do everywhere: those that are silent speak against it.
fn crowd(
    model: Model<'_>,
    incident: &Incident,
    root: &Hypothesis,
    new: &Newcomer<'_>,
    link: &Link,
) -> Score {
    let dependents = model.dependents(root.entity).len();
    let is_crowd = dependents > CROWD && root.entity != new.seen.subject.entity;
    let Some(around) = new.around.filter(|_| is_crowd) else {
        return Score::ZERO;
    };
    let chance = around.chance(incident.alerting, model.policy.spec.grouping.coincidence_window);
    let complaining = root.sums.complaining as usize + usize::from(link.hops == 1);
    let mut odds = coincidence(complaining, dependents, chance);
    if incident.symptom(root.entity).is_some_and(|symptom| symptom.is_alerting()) {
        // That it has a fault is no supposition then.
        odds -= ln(chance);
    }
    Score::from_f64(odds).min(Score::ZERO)
}

/// Whether a root's audience is small enough to take late alerts one by one. Larger ones are
/// gathered by coincidence alone.
fn is_small(root: &Hypothesis) -> bool {
    -root.prior.to_f64() <= ln(HYPOTHESES_MAX as f64)
}

/// The share of a root's direct dependents that its fault reaches, as far as is known.
fn reached(model: Model<'_>, root: &Hypothesis) -> f64 {
    let dependents = model.dependents(root.entity).len() as f64;
    ((f64::from(root.sums.complaining) + 1.0) / (dependents + 2.0)).min(1.0)
}

/// How much more likely what goes on explains one more alert than chance does: `ln` of a factor,
/// never more than one.
fn going_on(model: Model<'_>, incident: &Incident, reached: f64, around: Surroundings) -> Score {
    let grouping = &model.policy.spec.grouping;
    let chance = around.chance(incident.alerting, grouping.late_window);
    // A lone alert may be noise; several entities seldom are.
    let share = f64::from(incident.alerting) / f64::from(grouping.real_entities);
    let real = power(share.min(1.0), REAL_POWER);
    let factor = grouping.late_weight * reached * real / chance;
    at_most_one(factor)
}

/// `ln` of a factor that is never more than one; nothing at all for zero.
fn at_most_one(factor: f64) -> Score {
    if factor > 0.0 { Score::from_f64(ln(factor)).min(Score::ZERO) } else { Score::WORST }
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
    let apart = a.onset.since(b.onset).max(b.onset.since(a.onset));
    weigh_joint(model, a, b, nearness(apart, spec.grouping.window))
}

/// Whether a fragment that began earlier or elsewhere is part of `incident`, in which `root` goes
/// on: what would have joined, had it come now.
pub(crate) fn fragment(
    model: Model<'_>,
    incident: &Incident,
    other: &Incident,
    root: Entity,
    around: Surroundings,
) -> Joint {
    let (incident, other) =
        if other.alerting > incident.alerting { (other, incident) } else { (incident, other) };
    match late_fragment(model, incident, other, root, around) {
        Some(late) => weigh_joint(model, incident, other, late),
        None => Joint::Unlikely(Score::WORST),
    }
}

/// `ln` of the ratio for a fragment, if it can be one at all.
fn late_fragment(
    model: Model<'_>,
    incident: &Incident,
    other: &Incident,
    root: Entity,
    around: Surroundings,
) -> Option<Score> {
    let hypothesis = incident.hypotheses.get(root)?;
    let goes_on = incident.goes_on(root) && other.firing > 0;
    let gap = incident.onset.since(other.newest).max(other.onset.since(incident.newest));
    let late = nearness(gap, model.policy.spec.grouping.late_window);
    if !is_small(hypothesis) || !goes_on || late == Score::WORST {
        return None;
    }
    let reached = reached(model, hypothesis);
    let factor = going_on(model, incident, reached, around.without(other.alerting));
    // That it fires still when all the rest does, is no chance either.
    let factor = factor + Score::from_f64(ln(FIRES_STILL));
    Some(late + factor.min(Score::ZERO))
}

/// The bound of one incident that two together are beyond, if they are.
pub(crate) fn beyond(model: Model<'_>, a: &Incident, b: &Incident) -> Option<Joint> {
    let spec = &model.policy.spec;
    if a.newest.max(b.newest).since(a.onset.min(b.onset)) > spec.times.max_duration {
        Some(Joint::TooLong)
    } else if a.members.len() + b.members.len() > spec.limits.members_max as usize {
        Some(Joint::TooMany)
    } else {
        None
    }
}

fn weigh_joint(model: Model<'_>, a: &Incident, b: &Incident, near: Score) -> Joint {
    if let Some(beyond) = beyond(model, a, b) {
        return beyond;
    }
    if near == Score::WORST {
        return Joint::Unlikely(Score::WORST);
    }
    let ratio = a.merge_ratio(model, b) + near;
    if ratio >= model.policy.logs.join_ratio { Joint::One(ratio) } else { Joint::Unlikely(ratio) }
}
