//! Which incident an alert belongs to, which incidents are one, and how they live: E8 to E14.

use std::collections::{BTreeMap, BTreeSet};

use hypocenter_engine::{Decision, Engine, Fingerprint, IncidentId, Kind, Phase};

use super::alerts::Place;
use super::formulas::{Model, Seen};
use super::{NEAR, Oracle, millis};

/// What the engine keeps in mind of the incidents that one root leads to.
const IN_MIND: usize = 8;

/// An incident that ended, and the one that goes on.
type Merge = (IncidentId, IncidentId);

#[derive(Clone, Debug)]
pub(super) struct Incident {
    pub(super) order: usize,
    pub(super) tenant: String,
    pub(super) phase: Phase,
    pub(super) version: u64,
    pub(super) into: Option<IncidentId>,
    /// Whether each member fires.
    pub(super) members: BTreeMap<Fingerprint, bool>,
    /// The members, each as often as it was forgotten and came anew.
    keys: BTreeSet<(Fingerprint, usize)>,
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

    /// How many entities alert in it.
    fn alerting(&self) -> usize {
        self.seen.iter().map(|seen| &seen.entity).collect::<BTreeSet<_>>().len()
    }

    fn alerts_on(&self, entity: &str) -> bool {
        self.seen.iter().any(|seen| seen.entity == entity)
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
    /// The ratio is no less, and no more.
    between: [f64; 2],
    refuses: bool,
}

impl Oracle {
    pub(super) fn incident_due(&mut self, id: IncidentId, at: i64) {
        let times = self.model.spec.times;
        let incident = self.incidents.get_mut(&id).expect("known");
        let over = !incident.fires() && incident.quiet_since + millis(times.quiet_for) <= at;
        incident.phase = if over { Phase::Resolved } else { Phase::Settled };
        if over {
            let alone = incident.alerting() == 1;
            for (name, nr) in &incident.keys {
                if self.alerts.get(name).is_some_and(|alert| alert.nr == *nr) {
                    let (apart, together) = self.habits.entry(*name).or_default();
                    *(if alone { apart } else { together }) += 1;
                }
            }
        }
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

    /// Everything that an alert may join, likeliest first.
    fn matches(&self, name: Fingerprint, tenant: &str, seen: &Seen, onset: i64) -> Vec<Match> {
        let g = &self.model.spec.grouping;
        let habit = self.habit(name);
        let one = |(&id, incident): (&IncidentId, &Incident)| {
            let gap = incident.gap(onset);
            let near = Model::nearness(gap, millis(g.window));
            let late = near.max(Model::nearness(gap, millis(g.late_window)));
            let at_least = |root: &str| near + self.silence(tenant, &seen.entity, root);
            let at_most = |root: &str| {
                let own = if root.is_empty() { seen.entity.as_str() } else { root };
                if self.goes_on(incident, own) { late } else { at_least(root) }
            };
            let least = self.model.ratio(seen, &incident.seen, at_least) + habit;
            let most = self.model.ratio(seen, &incident.seen, at_most) + habit;
            let full = incident.members.len() >= self.model.spec.limits.members_max as usize;
            Match {
                id,
                order: incident.order,
                between: [least, most],
                refuses: full || self.frozen(incident, onset),
            }
        };
        let mut list: Vec<Match> = self.live(tenant).map(one).collect();
        list.retain(|m| m.between[1] >= g.join_ratio.ln() - NEAR);
        list.sort_by(|a, b| b.between[1].total_cmp(&a.between[1]).then(b.order.cmp(&a.order)));
        list
    }

    /// Less for each entity that is silent on the way to a root of a large audience, up to the
    /// nearest that alerts.
    fn silence(&self, tenant: &str, entity: &str, root: &str) -> f64 {
        let (graph, g) = (&self.model.graph, &self.model.spec.grouping);
        let below = graph.reach(entity, g.hops_max);
        let Some(&hops) = below.get(root).filter(|&&hops| hops > 1) else { return 0.0 };
        if self.model.price(root) >= -(16.0_f64.ln()) {
            return 0.0;
        }
        let alerts = |other: &str| self.live(tenant).any(|(_, i)| i.alerts_on(other));
        let leads = |other: &str, at: u8| {
            graph.reach(other, g.hops_max).get(root).is_some_and(|&further| further <= hops - at)
        };
        let between = below
            .iter()
            .filter(|&(other, &at)| at > 0 && at < hops && alerts(other) && leads(other, at));
        let nearest = between.map(|(_, &at)| at).min().unwrap_or(hops);
        f64::from(nearest - 1) * g.silent_hop.ln()
    }

    /// Less for an alert that was alone before.
    fn habit(&self, name: Fingerprint) -> f64 {
        let (alone, together) = self.habits.get(&name).copied().unwrap_or_default();
        let together = 1.0 + f64::from(together);
        let weight = self.model.spec.grouping.habit_weight;
        (together / (together + weight * f64::from(alone))).ln()
    }

    /// Whether a root fires still, or is silent while something else fires.
    fn goes_on(&self, incident: &Incident, root: &str) -> bool {
        let alerts = incident.alerts_on(root);
        incident.members.iter().any(|(name, &fires)| {
            let is_root = || self.alerts.get(name).is_some_and(|alert| alert.seen.entity == root);
            fires && (!alerts || is_root())
        })
    }

    /// The resolved incident to which an alert goes back when nothing explains it better.
    fn way_back(&self, name: Fingerprint, onset: i64) -> Option<IncidentId> {
        let soon = millis(self.model.spec.times.reopen_within);
        let ended = self.alerts[&name].ended.filter(|ended| onset - ended <= soon);
        let id = self.home(name).filter(|_| ended.is_some())?;
        let incident = &self.incidents[&id];
        let is_home = incident.phase == Phase::Resolved && incident.alerting() > 1;
        (is_home && !self.frozen(incident, onset)).then_some(id)
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
        let back = self.way_back(name, onset);
        let (before, (id, opens), after) = Self::told(name, said);
        for (from, into) in before {
            assert!(self.coincide(from, into, seen, onset), "{from} {into} are apart");
            self.take_in(engine, from, into);
        }
        let matches = self.matches(name, &tenant, seen, onset);
        let enough = self.model.spec.grouping.join_ratio.ln();
        let free: Vec<&Match> = matches.iter().filter(|m| !m.refuses).collect();
        let best = free.iter().map(|m| m.between[0]).fold(f64::NEG_INFINITY, f64::max);
        if opens {
            assert!(best < enough + NEAR && back.is_none(), "it joins: {matches:?} {back:?}");
            self.open(id, tenant, onset);
        } else {
            let explains = free.iter().any(|m| m.id == id && m.between[1] >= best - NEAR);
            let returns = best < enough + NEAR && back == Some(id);
            assert!(explains || returns, "{id} of {matches:?}");
        }
        let nr = self.alerts[&name].nr;
        let incident = self.incidents.get_mut(&id).expect("it is there");
        if incident.phase == Phase::Resolved {
            (incident.phase, incident.chosen_at) = (Phase::Open, self.now);
        }
        incident.members.insert(name, true);
        incident.keys.insert((name, nr));
        incident.onset = incident.onset.min(onset);
        self.alerts.get_mut(&name).expect("known").place = Place::Incident(id);
        self.changed.push(id);
        self.observe(engine, id, seen, Some(onset));
        if !opens {
            self.merge(engine, id, &matches, onset, &after);
        }
    }

    /// What was said of an alert: merges before it was placed, where it went and whether that was
    /// new, merges afterwards.
    fn told(name: Fingerprint, said: &[Decision]) -> (Vec<Merge>, (IncidentId, bool), Vec<Merge>) {
        let placed = |decision: &Decision| match *decision {
            Decision::Opened { incident, alert, .. } => Some((alert.fingerprint, incident, true)),
            Decision::Joined { incident, alert } => Some((alert.fingerprint, incident, false)),
            _ => None,
        };
        let mine = |decision: &Decision| placed(decision).is_some_and(|(who, ..)| who == name);
        let at = said.iter().position(mine).unwrap_or_else(|| panic!("{name:?} in {said:?}"));
        let (_, id, opens) = placed(&said[at]).expect("found");
        let merges = |part: &[Decision]| -> Vec<Merge> {
            let merge = |decision: &Decision| match *decision {
                Decision::Merged { incident, into } => Some((incident, into)),
                _ => None,
            };
            part.iter().filter_map(merge).collect()
        };
        let is_first = !said[..at].iter().any(|decision| placed(decision).is_some());
        let before = if is_first { merges(&said[..at]) } else { Vec::new() };
        let next = said[at + 1..].iter().position(|decision| placed(decision).is_some());
        let after = &said[at + 1..next.map_or(said.len(), |next| at + 1 + next)];
        (before, (id, opens), merges(after))
    }

    /// Whether two incidents may coincide under a dependency of what is seen.
    fn coincide(&self, from: IncidentId, into: IncidentId, seen: &Seen, onset: i64) -> bool {
        let span = millis(self.model.spec.grouping.coincidence_window);
        let graph = &self.model.graph;
        let (from, into) = (&self.incidents[&from], &self.incidents[&into]);
        let is_under = |root: &String| {
            let mut group = graph.dependents(root);
            // Three at once, of more than three.
            let is_group = group.len() > 3 && group.contains(&seen.entity);
            group.insert(root.clone());
            let alerts = |i: &Incident| group.iter().any(|entity| i.alerts_on(entity));
            let likelihoods = self.model.likelihoods(&from.seen);
            let best = likelihoods.values().copied().fold(f64::NEG_INFINITY, f64::max);
            // Its own evidence does not speak against it.
            let fits = likelihoods
                .get(root)
                .is_some_and(|likelihood| likelihood - self.model.price(root) + 0.5 >= best - NEAR);
            is_group && alerts(from) && alerts(into) && fits
        };
        let is_cause = matches!(seen.kind, Kind::Saturation | Kind::Crash);
        let roots = graph.below.get(&seen.entity).into_iter().flatten();
        let lately = onset - from.newest <= span;
        !is_cause && lately && self.fit(from, into) && roots.into_iter().any(is_under)
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
            keys: BTreeSet::new(),
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
        told: &[Merge],
    ) {
        let enough = self.model.spec.grouping.join_ratio.ln();
        let second = |id: IncidentId, least: usize| {
            matches.iter().any(|m| m.id == id && m.between[least] >= enough - NEAR)
        };
        for &(from, into) in told {
            assert!(from == joined || into == joined, "{from} and {into}, not {joined}");
            let other = if from == joined { into } else { from };
            let likely =
                second(other, 1) && self.one_for_both(joined, other, onset) >= enough - NEAR;
            let part = || self.fragment(joined, other) >= enough - NEAR;
            assert!(likely || part(), "{joined} {other} are merged for no reason");
            self.take_in(engine, from, into);
            joined = into;
        }
        // After a merge it is another incident that the others are compared with.
        for m in matches.iter().filter(|m| told.is_empty() && m.id != joined) {
            if m.between[0] >= enough + NEAR {
                let likely = self.one_for_both(joined, m.id, onset);
                assert!(likely < enough + NEAR, "{joined} {} are one: {likely}", m.id);
            }
        }
    }

    /// Whether two incidents together are within the bounds of one.
    fn fit(&self, a: &Incident, b: &Incident) -> bool {
        let spec = &self.model.spec;
        let span = a.newest.max(b.newest) - a.onset.min(b.onset);
        a.members.len() + b.members.len() <= spec.limits.members_max as usize
            && span <= millis(spec.times.max_duration)
    }

    /// How likely one root for both is, or not at all.
    fn one_for_both(&self, a: IncidentId, b: IncidentId, onset: i64) -> f64 {
        let (a, b, spec) = (&self.incidents[&a], &self.incidents[&b], &self.model.spec);
        let young = onset - a.onset.max(b.onset) <= millis(spec.times.merge_window);
        if !young || !self.fit(a, b) {
            return f64::NEG_INFINITY;
        }
        let near = Model::nearness((a.onset - b.onset).abs(), millis(spec.grouping.window));
        self.model.merge_ratio(&a.seen, &b.seen) + near
    }

    /// How likely the smaller one is at most a fragment of the other, which goes on.
    fn fragment(&self, a: IncidentId, b: IncidentId) -> f64 {
        let (a, b) = (&self.incidents[&a], &self.incidents[&b]);
        let (whole, part) = if b.alerting() > a.alerting() { (b, a) } else { (a, b) };
        let grouping = &self.model.spec.grouping;
        let small = b.alerting() < grouping.real_entities as usize;
        // Under its candidate, or another root that is nearly as likely as the best.
        let likelihoods = self.model.likelihoods(&a.seen);
        let best = likelihoods.values().copied().fold(f64::NEG_INFINITY, f64::max);
        let likely = likelihoods.iter().filter(|&(_, &l)| l >= best - 1.0 - NEAR);
        let roots = likely.map(|(root, _)| root.as_str()).chain(a.candidate.as_deref());
        let goes_on = |root: &str| self.model.knows(root) && self.goes_on(whole, root);
        let goes_on = part.fires() && roots.into_iter().any(goes_on);
        if !small || !goes_on || !self.fit(a, b) {
            return f64::NEG_INFINITY;
        }
        let gap = (whole.onset - part.newest).max(part.onset - whole.newest).max(0);
        let late = Model::nearness(gap, millis(grouping.late_window));
        self.model.merge_ratio(&whole.seen, &part.seen) + late
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
        survivor.keys.extend(&loser.keys);
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
