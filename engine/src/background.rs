//! What is usual around here: how often entities begin to alert whatever the cause, which roots
//! had several of their dependents begin at once, and which alerts tend to stay alone.
//!
//! All of it is learned from the stream, bounded, and a function of the input alone.

use std::collections::VecDeque;
use std::hash::Hash;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::limits::{BEGINNINGS_MAX, DEPENDENTS_MAX, HABITS_MAX, PARTS_MAX};
use crate::model::Entity;
use crate::score::{Score, ln, ln_factorial};
use crate::state::{Frames, Reader, Section, StateError};
use crate::table::{HashSeed, Map};
use crate::time::{Span, Timestamp};
use crate::topology::Node;

/// A tenant, by the hash of its name: names come and go, this stays.
pub(crate) type Tenant = u64;

/// A connected part of the graph, by the hash of its oldest entity's name.
pub(crate) type PartName = u64;

/// What is remembered of the stream.
#[derive(Debug)]
pub(crate) struct Background {
    parts: Recent<(Tenant, PartName), Part>,
    roots: Recent<(Tenant, Node), VecDeque<(Entity, Timestamp)>>,
    habits: Recent<u64, Habit>,
}

/// A connected part of the graph, as one tenant sees it.
#[derive(Debug, BorshDeserialize, BorshSerialize)]
struct Part {
    /// Since when it has been watched.
    since: Timestamp,
    /// When entities began to alert, earliest first.
    beginnings: VecDeque<Timestamp>,
}

/// How often an alert was alone in its incident, and how often it was not.
#[derive(Clone, Copy, Debug, Default, BorshDeserialize, BorshSerialize)]
struct Habit {
    alone: u32,
    together: u32,
}

/// How usual it is, around one entity at one time, that an entity begins to alert.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings {
    /// How many did lately.
    began: usize,
    /// Entities times seconds over which they were counted.
    watched: f64,
}

impl Surroundings {
    /// The same, as if `known` further beginnings were explained.
    pub(crate) fn without(self, known: u32) -> Self {
        Self { began: self.began.saturating_sub(known as usize), ..self }
    }

    /// How likely an entity begins to alert within `span` for a reason other than the `known`
    /// ones that are explained already.
    pub(crate) fn chance(&self, known: u32, span: Span) -> f64 {
        // One more than was seen: what has never happened here may still happen.
        let others = self.began.saturating_sub(known as usize) as f64 + 1.0;
        (others / self.watched * span.as_secs_f64()).clamp(1e-6, 0.95)
    }
}

impl Background {
    pub(crate) fn new(seed: HashSeed) -> Self {
        Self {
            parts: Recent::new(seed, PARTS_MAX),
            roots: Recent::new(seed, PARTS_MAX),
            habits: Recent::new(seed, HABITS_MAX),
        }
    }

    /// Notes that something was heard of a part of the graph.
    pub(crate) fn watch(&mut self, part: (Tenant, PartName), now: Timestamp) {
        self.part(part, now);
    }

    /// Notes that an entity of a part began to alert.
    pub(crate) fn note(&mut self, part: (Tenant, PartName), onset: Timestamp, now: Timestamp) {
        let beginnings = &mut self.part(part, now).beginnings;
        // Mostly the last; what was held for hours before it fired is not.
        let at = beginnings.partition_point(|&known| known <= onset);
        beginnings.insert(at, onset);
        if beginnings.len() > BEGINNINGS_MAX {
            beginnings.pop_front();
        }
    }

    /// Notes that a direct dependent of `root` began to alert. Those that did within `span`.
    pub(crate) fn note_dependent(
        &mut self,
        (tenant, root): (Tenant, Node),
        dependent: Entity,
        onset: Timestamp,
        span: Span,
    ) -> &VecDeque<(Entity, Timestamp)> {
        let list = self.roots.entry_or((tenant, root), VecDeque::new);
        let oldest = onset.minus(span);
        list.retain(|&(entity, at)| at >= oldest && entity != dependent);
        if list.len() == DEPENDENTS_MAX {
            list.pop_front();
        }
        list.push_back((dependent, onset));
        list
    }

    /// What is usual in a part of `size` entities, by what happened within `span` before `onset`.
    pub(crate) fn surroundings(
        &self,
        part: (Tenant, PartName),
        size: u32,
        (onset, now): (Timestamp, Timestamp),
        span: Span,
    ) -> Surroundings {
        let Some(part) = self.parts.get(&part) else {
            return Surroundings { began: 0, watched: f64::from(size) };
        };
        let began = part.began_since(onset.minus(span));
        // Who has watched for a minute does not know that it is quiet here.
        let mut watched = now.since(part.since).max(Span::from_secs(60)).min(span);
        if let Some(&first) = part.beginnings.front().filter(|_| began == BEGINNINGS_MAX) {
            watched = onset.since(first).clamp(Span::from_secs(1), watched);
        }
        Surroundings { began, watched: f64::from(size) * watched.as_secs_f64() }
    }

    /// How many entities of a part began to alert within `span` before `onset`.
    pub(crate) fn began(&self, at: (Tenant, PartName), onset: Timestamp, span: Span) -> usize {
        self.parts.get(&at).map_or(0, |part| part.began_since(onset.minus(span)))
    }

    /// Notes whether an alert was alone when its incident was over.
    pub(crate) fn note_habit(&mut self, alert: u64, alone: bool) {
        let habit = self.habits.entry_or(alert, Habit::default);
        let count = if alone { &mut habit.alone } else { &mut habit.together };
        *count = count.saturating_add(1);
    }

    /// How much less an alert says that was alone before: `ln` of a factor. Each time alone
    /// counts `weight` times as much as once with others.
    pub(crate) fn habit(&self, alert: u64, weight: f64) -> Score {
        let Some(habit) = self.habits.get(&alert).filter(|habit| habit.alone > 0) else {
            return Score::ZERO;
        };
        let together = 1.0 + f64::from(habit.together);
        Score::from_f64(ln(together / (together + weight * f64::from(habit.alone))))
    }

    /// Whether all that is remembered is about the first `nodes` nodes.
    pub(crate) fn is_within(&self, nodes: usize) -> bool {
        let is = |node: Node| (node as usize) < nodes;
        self.roots.each().all(|((_, root), list)| {
            is(root) && list.iter().all(|(entity, _)| entity.node().is_some_and(is))
        })
    }

    pub(crate) fn save<E>(&self, out: &mut Frames<'_, E>) -> Result<(), E> {
        self.parts.each().try_for_each(|item| out.item(Section::Parts, &item))?;
        self.roots.each().try_for_each(|item| out.item(Section::Roots, &item))?;
        self.habits.each().try_for_each(|item| out.item(Section::Habits, &item))
    }

    pub(crate) fn restore(frames: &mut Reader<'_>, seed: HashSeed) -> Result<Self, StateError> {
        let Self { mut parts, mut roots, mut habits } = Self::new(seed);
        frames.each(Section::Parts, |(key, part)| parts.push(key, part))?;
        frames.each(Section::Roots, |(key, list)| roots.push(key, list))?;
        frames.each(Section::Habits, |(key, habit)| habits.push(key, habit))?;
        Ok(Self { parts, roots, habits })
    }

    fn part(&mut self, part: (Tenant, PartName), now: Timestamp) -> &mut Part {
        let new = || Part { since: now, beginnings: VecDeque::new() };
        self.parts.entry_or(part, new)
    }
}

impl Part {
    fn began_since(&self, oldest: Timestamp) -> usize {
        self.beginnings.len() - self.beginnings.partition_point(|&at| at < oldest)
    }
}

/// How much better the coincidence that `alerting` of `dependents` began at once is explained by
/// a fault of what they depend on than by chance: `ln` of the odds, the price of the fault
/// included. `chance` is how likely an entity begins to alert anyway.
pub(crate) fn coincidence(alerting: usize, dependents: usize, chance: f64) -> f64 {
    let (k, n) = (alerting as f64, dependents.max(alerting) as f64);
    // A fault reaches an unknown share q of the dependents, every share as likely as another:
    // the integral of q^k (1-q)^(n-k) over q, which is 1 / ((n+1) C(n,k)).
    let ways = ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k);
    let fault = -ln(n + 1.0) - ways;
    let chance = chance.clamp(1e-9, 1.0 - 1e-9);
    fault + ln(chance) - k * ln(chance) - (n - k) * ln(1.0 - chance)
}

/// A bounded map that forgets what it has known longest.
#[derive(Debug)]
struct Recent<K, V> {
    map: Map<K, V>,
    order: VecDeque<K>,
    max: usize,
}

impl<K: Copy + Eq + Hash, V> Recent<K, V> {
    fn new(seed: HashSeed, max: usize) -> Self {
        Self { map: Map::new(seed), order: VecDeque::new(), max }
    }

    fn get(&self, key: &K) -> Option<&V> {
        self.map.get(key)
    }

    /// All of them, what has been known longest first.
    fn each(&self) -> impl Iterator<Item = (K, &V)> {
        self.order.iter().filter_map(|&key| Some((key, self.map.get(&key)?)))
    }

    /// Adds what is known for a shorter time than all others.
    fn push(&mut self, key: K, value: V) -> Result<(), &'static str> {
        self.order.push_back(key);
        match self.map.insert(key, value) {
            None if self.order.len() <= self.max => Ok(()),
            None => Err("what is usual is bounded"),
            Some(_) => Err("what is usual stands once"),
        }
    }

    fn entry_or(&mut self, key: K, value: impl FnOnce() -> V) -> &mut V {
        if self.map.get(&key).is_none() {
            if self.order.len() == self.max
                && let Some(oldest) = self.order.pop_front()
            {
                self.map.remove(&oldest);
            }
            self.order.push_back(key);
        }
        self.map.entry_or(key, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Span = Span::from_secs(60);

    #[test]
    fn three_of_forty_at_once_are_no_chance_where_nothing_else_happens() {
        assert!(coincidence(3, 40, 1e-4) > 5.0);
        assert!(coincidence(1, 40, 1e-4) < 0.0);
        assert!(coincidence(3, 40, 0.05) < 0.0);
        assert!(coincidence(46, 921, 0.05) < 0.0, "as many as everywhere");
        assert!(coincidence(300, 921, 0.05) > 100.0);
    }

    #[test]
    fn who_has_not_watched_for_long_expects_more() {
        let mut background = Background::new(HashSeed(1));
        let at = |secs: i64| Timestamp::from_millis(1_000 * secs);
        background.note((1, 0), at(0), at(0));
        let chance = |now: i64| {
            let surroundings =
                background.surroundings((1, 0), 10, (at(now), at(now)), Span::from_secs(1200));
            surroundings.chance(0, MINUTE)
        };
        assert!(chance(60) > chance(600));
        assert!(chance(600) > chance(1100));
        assert!(chance(1300) < chance(1100), "the one beginning is forgotten");
    }

    #[test]
    fn an_onset_of_long_ago_is_not_lately() {
        let mut background = Background::new(HashSeed(1));
        let at = |secs: i64| Timestamp::from_millis(1_000 * secs);
        // A rule that waits for hours has its onset long before it is heard of.
        for onset in [9_000, 9_010, 0, 9_020, 5, 9_005] {
            background.note((1, 0), at(onset), at(9_020));
        }
        let began = |span| background.began((1, 0), at(9_020), Span::from_secs(span));
        assert_eq!([began(5), began(15), began(60), began(9_020)], [1, 3, 4, 6]);
        for _ in 0..BEGINNINGS_MAX {
            background.note((1, 0), at(9_030), at(9_030));
        }
        assert_eq!(background.began((1, 0), at(9_030), Span::from_secs(9_030)), BEGINNINGS_MAX);
    }

    #[test]
    fn an_alert_that_stays_alone_says_less_each_time() {
        let mut background = Background::new(HashSeed(1));
        assert_eq!(background.habit(7, 6.0), Score::ZERO);
        background.note_habit(7, true);
        let once = background.habit(7, 6.0);
        background.note_habit(7, true);
        assert!(background.habit(7, 6.0) < once && once < Score::ZERO);
        background.note_habit(7, false);
        assert!(background.habit(7, 6.0) > once.times(2.0));
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut recent: Recent<u32, u32> = Recent::new(HashSeed(1), 2);
        for key in [1, 2, 1, 3] {
            recent.entry_or(key, || key);
        }
        assert_eq!([1, 2, 3].map(|key| recent.get(&key).copied()), [None, Some(2), Some(3)]);
    }
}
