//! Which incident an alert belongs to, which incidents are one, and how they live: E8 to E14.

use std::collections::BTreeMap;

use hypocenter_engine::{Decision, Engine, Fingerprint, IncidentId, Phase};

use super::alerts::Place;
use super::formulas::{Model, Seen};
use super::{NEAR, Oracle, millis};

/// What the engine keeps in mind of the incidents that one root leads to.
const IN_MIND: usize = 8;

#[derive(Clone, Debug)]
pub(super) struct Incident {
    pub(super) order: usize,
    pub(super) tenant: String,
    pub(super) phase: Phase,
    pub(super) version: u64,
    pub(super) into: Option<IncidentId>,
    /// Whether each member fires.
    pub(super) members: BTreeMap<Fingerprint, bool>,
    pub(super) seen: Vec<Seen>,
    pub(super) onset: i64,
    /// Latest onset of a rule that was new on its entity.
    pub(super) newest: i64,
    pub(super) quiet_since: i64,
    pub(super) candidate: Option<String>,
    pub(super) chosen_at: i64,
}

impl Incident {
    fn fires(&self) -> bool {
        self.members.values().any(|&fires| fires)
    }

    /// When it settles or is over, if nothing more comes.
    pub(super) fn due(&self, model: &Model) -> Option<i64> {
        let times = &model.spec.times;
        let settles =
            (self.phase == Phase::Open).then(|| self.chosen_at + millis(times.settle_for));
        let over = (!self.phase.is_final() && !self.fires())
            .then(|| self.quiet_since + millis(times.quiet_for));
        [settles, over].into_iter().flatten().min()
    }

    /// How long an onset lies outside the time of its evidence.
    fn gap(&self, onset: i64) -> i64 {
        (onset - self.newest).max(self.onset - onset).max(0)
    }
}

/// An incident that an alert may join.
#[derive(Clone, Debug)]
struct Match {
    id: IncidentId,
    order: usize,
    ratio: f64,
    refuses: bool,
}

impl Oracle {
    pub(super) fn incident_due(&mut self, id: IncidentId, at: i64) {
        let times = self.model.spec.times;
        let incident = self.incidents.get_mut(&id).expect("known");
        let over = !incident.fires() && incident.quiet_since + millis(times.quiet_for) <= at;
        incident.phase = if over { Phase::Resolved } else { Phase::Settled };
        self.changed.push(id);
    }

    fn live<'o>(&'o self, tenant: &'o str) -> impl Iterator<Item = (&'o IncidentId, &'o Incident)> {
        let live = move |i: &Incident| i.tenant == tenant && !i.phase.is_final();
        self.incidents.iter().filter(move |(_, i)| live(i))
    }

    /// Whether so much time lies between, or so many members are there, that none may join.
    fn frozen(&self, incident: &Incident, onset: i64) -> bool {
        let longest = millis(self.model.spec.times.max_duration);
        onset - incident.onset > longest || incident.newest - onset > longest
    }

    /// Everything that an alert may join, best first.
    fn matches(&self, tenant: &str, seen: &Seen, onset: i64) -> Vec<Match> {
        let g = &self.model.spec.grouping;
        let one = |(&id, incident): (&IncidentId, &Incident)| {
            let gap = incident.gap(onset);
            let near = |root: &str| {
                let stands = self.stands(incident, root);
                let window = if stands { g.standing_window } else { g.window };
                Model::nearness(gap, millis(window))
            };
            let full = incident.members.len() >= self.model.spec.limits.members_max as usize;
            Match {
                id,
                order: incident.order,
                ratio: self.model.ratio(seen, &incident.seen, near),
                refuses: full || self.frozen(incident, onset),
            }
        };
        let mut list: Vec<Match> = self.live(tenant).map(one).collect();
        list.retain(|m| m.ratio >= g.join_ratio.ln() - NEAR);
        list.sort_by(|a, b| b.ratio.total_cmp(&a.ratio).then(b.order.cmp(&a.order)));
        list
    }

    /// Its candidate still fires, and it is too large for chance.
    fn stands(&self, incident: &Incident, root: &str) -> bool {
        let fires = |(name, &fires): (&Fingerprint, &bool)| {
            fires && self.alerts.get(name).is_some_and(|alert| alert.seen.entity == root)
        };
        let mut entities: Vec<&str> = incident.seen.iter().map(|s| s.entity.as_str()).collect();
        entities.sort_unstable();
        entities.dedup();
        incident.candidate.as_deref() == Some(root)
            && entities.len() >= self.model.spec.grouping.standing_entities as usize
            && incident.members.iter().any(fires)
    }

    /// Puts an alert into the incident that explains it best, or into its own, or a new one.
    pub(super) fn assign(
        &mut self,
        engine: &Engine,
        name: Fingerprint,
        seen: &Seen,
        said: &[Decision],
    ) {
        let alert = &self.alerts[&name];
        let (tenant, onset) = (alert.tenant.clone(), self.onset(alert.starts) - alert.held);
        if self.live(&tenant).count() >= IN_MIND {
            self.lost = true;
            return;
        }
        let home = self.home(name).filter(|id| !self.frozen(&self.incidents[id], onset));
        let matches = self.matches(&tenant, seen, onset);
        let enough = self.model.spec.grouping.join_ratio.ln() + NEAR;
        let free: Vec<&Match> = matches.iter().filter(|m| !m.refuses).collect();
        let best = free.first().map_or(f64::NEG_INFINITY, |m| m.ratio);
        let told = said.iter().find_map(|decision| match *decision {
            Decision::Opened { incident, alert, .. } | Decision::Joined { incident, alert }
                if alert.fingerprint == name =>
            {
                Some((incident, matches!(decision, Decision::Opened { .. })))
            }
            _ => None,
        });
        let Some((id, opens)) = told else { panic!("{name:?} is placed: {said:?}") };
        if opens {
            assert!(best < enough && home.is_none(), "it should join: {matches:?} {home:?}");
            self.open(id, tenant, onset);
        } else {
            let explains = free.iter().any(|m| m.id == id && m.ratio >= best - NEAR);
            assert!(explains || (best < enough && home == Some(id)), "{id} of {matches:?}");
        }
        let incident = self.incidents.get_mut(&id).expect("it is there");
        if incident.phase == Phase::Resolved {
            (incident.phase, incident.chosen_at) = (Phase::Open, self.now);
        }
        incident.members.insert(name, true);
        incident.onset = incident.onset.min(onset);
        self.alerts.get_mut(&name).expect("known").place = Place::Incident(id);
        self.changed.push(id);
        self.observe(engine, id, seen, Some(onset));
        self.merge(engine, id, &matches, onset, said);
    }

    fn open(&mut self, id: IncidentId, tenant: String, onset: i64) {
        self.opened += 1;
        let incident = Incident {
            order: self.opened,
            tenant,
            phase: Phase::Open,
            version: 0,
            into: None,
            members: BTreeMap::new(),
            seen: Vec::new(),
            onset,
            newest: onset,
            quiet_since: self.now,
            candidate: None,
            chosen_at: self.now,
        };
        assert!(self.incidents.insert(id, incident).is_none(), "{id} is given once");
    }

    /// Takes in what was seen; `onset` of a new alert.
    pub(super) fn observe(
        &mut self,
        engine: &Engine,
        id: IncidentId,
        seen: &Seen,
        onset: Option<i64>,
    ) {
        let incident = self.incidents.get_mut(&id).expect("known");
        let same = |other: &Seen| {
            (&other.entity, &other.rule, &other.caller) == (&seen.entity, &seen.rule, &seen.caller)
        };
        if let Some(onset) = onset.filter(|_| !incident.seen.iter().any(same)) {
            incident.newest = incident.newest.max(onset);
        }
        let part = self.model.part_of(seen, &incident.seen);
        incident.seen.push(Seen { part, ..seen.clone() });
        self.choose(engine, id);
    }

    /// Merges what turns out to be one, as the engine says and as it should.
    fn merge(
        &mut self,
        engine: &Engine,
        mut joined: IncidentId,
        matches: &[Match],
        onset: i64,
        said: &[Decision],
    ) {
        let mut told: Vec<(IncidentId, IncidentId)> = Vec::new();
        told.extend(said.iter().filter_map(|decision| match *decision {
            Decision::Merged { incident, into } => Some((incident, into)),
            _ => None,
        }));
        told.reverse();
        let enough = self.model.spec.grouping.join_ratio.ln();
        let mut others: Vec<&Match> = matches.iter().filter(|m| m.id != joined).collect();
        while !others.is_empty() {
            // Of those that are equally likely, the one that the engine merges first.
            let alike = others.iter().take_while(|m| m.ratio >= others[0].ratio - NEAR).count();
            let is_next = |m: &&&Match| {
                told.last()
                    .is_some_and(|&(a, b)| (a == m.id && b == joined) || (a == joined && b == m.id))
            };
            let at = others[..alike].iter().position(|m| is_next(&m)).unwrap_or(0);
            let other = others.remove(at);
            let merges = is_next(&&other);
            let likely = self.one_for_both(joined, other.id, onset);
            let expected = likely >= enough;
            let clear = (likely - enough).abs() > NEAR && other.ratio >= enough + NEAR;
            assert!(merges == expected || !clear || alike > 1, "{joined} {} {likely}", other.id);
            if merges {
                let (from, into) = told.pop().expect("checked");
                self.take_in(engine, from, into);
                joined = into;
            }
        }
        assert!(told.is_empty(), "merged for no reason: {told:?}");
    }

    /// How likely one root for both is, or not at all.
    fn one_for_both(&self, a: IncidentId, b: IncidentId, onset: i64) -> f64 {
        let (a, b, spec) = (&self.incidents[&a], &self.incidents[&b], &self.model.spec);
        let young = onset - a.onset.max(b.onset) <= millis(spec.times.merge_window);
        let fits = a.members.len() + b.members.len() <= spec.limits.members_max as usize;
        let span = a.newest.max(b.newest) - a.onset.min(b.onset);
        if !young || !fits || span > millis(spec.times.max_duration) {
            return f64::NEG_INFINITY;
        }
        let near = Model::nearness((a.onset - b.onset).abs(), millis(spec.grouping.window));
        self.model.merge_ratio(&a.seen, &b.seen) + near
    }

    fn take_in(&mut self, engine: &Engine, from: IncidentId, into: IncidentId) {
        let loser = self.incidents.get_mut(&from).expect("known");
        loser.phase = Phase::Merged;
        let loser = loser.clone();
        for (&id, incident) in &mut self.incidents {
            if id == from || incident.into == Some(from) {
                incident.into = Some(into);
                self.changed.push(id);
            }
        }
        for (name, fires) in &loser.members {
            let alert = self.alerts.get_mut(name);
            if let Some(alert) = alert.filter(|a| a.place == Place::Incident(from)) {
                alert.place = Place::Incident(into);
            }
            let survivor = self.incidents.get_mut(&into).expect("known");
            *survivor.members.entry(*name).or_insert(false) |= *fires;
        }
        let survivor = self.incidents.get_mut(&into).expect("known");
        assert!(survivor.order < loser.order, "the older one goes on");
        survivor.seen = Model::joined(&survivor.seen, &loser.seen);
        survivor.onset = survivor.onset.min(loser.onset);
        survivor.newest = survivor.newest.max(loser.newest);
        survivor.quiet_since = survivor.quiet_since.max(loser.quiet_since);
        self.changed.push(into);
        self.choose(engine, into);
    }

    /// The best candidate; of equals the engine's.
    fn choose(&mut self, engine: &Engine, id: IncidentId) {
        let incident = self.incidents.get_mut(&id).expect("known");
        let scores: BTreeMap<String, f64> = self
            .model
            .candidates(&incident.seen)
            .into_iter()
            .map(|(root, terms)| (root, terms.values().sum()))
            .collect();
        let best = scores.values().copied().fold(f64::NEG_INFINITY, f64::max);
        let theirs =
            engine.incident(id).and_then(|view| Some(view.root_cause()?.entity.to_owned()));
        let ours = theirs.filter(|root| scores.get(root).is_some_and(|&s| s >= best - NEAR));
        let ours = ours.or_else(|| Some(scores.into_iter().find(|(_, s)| *s == best)?.0));
        if incident.candidate != ours {
            incident.chosen_at = self.now;
            if incident.candidate.is_some() {
                incident.phase = Phase::Open;
            }
            incident.candidate = ours;
            self.changed.push(id);
        }
    }
}
