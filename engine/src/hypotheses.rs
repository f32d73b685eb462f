//! The bounded table of roots that one incident considers.
//!
//! Each root carries two figures from the same alerts: the likelihood by which alerts are grouped,
//! and the score by which the candidate is chosen.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::limits::HYPOTHESES_MAX;
use crate::model::{Entity, Link, Model};
use crate::score::Score;

/// One possible root.
#[derive(Clone, Copy, Debug, BorshDeserialize, BorshSerialize)]
pub(crate) struct Hypothesis {
    pub(crate) entity: Entity,
    /// Its price, `ln(1/Z)`.
    pub(crate) prior: Score,
    /// Log-likelihood, relative to "this root explains none of the members".
    pub(crate) likelihood: Score,
    /// What the symptoms above it come to.
    pub(crate) sums: Sums,
    /// Score as a candidate; [`Score::WORST`] when nothing speaks for it.
    pub(crate) score: Score,
    /// Whether it can be a candidate at all.
    pub(crate) nameable: bool,
}

/// What the symptoms above a root come to, kept up to date by differences.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, BorshDeserialize, BorshSerialize)]
pub(crate) struct Sums {
    /// The symptoms it would explain.
    pub(crate) explained: Score,
    /// The same if it is silent: then distance counts little, since what lies on the way alerts.
    pub(crate) quietly: Score,
    /// The pull of what it would explain.
    pub(crate) covered: Score,
    /// Direct dependents that alert.
    pub(crate) complaining: u32,
    /// Of a host: the workloads that alert on it.
    pub(crate) workloads: Workloads,
}

/// Whether several distinct workloads were seen. Two of them are kept, the outermost by number, so
/// that the order in which they come does not matter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, BorshDeserialize, BorshSerialize)]
pub(crate) struct Workloads(Option<(Entity, Entity)>);

impl Workloads {
    pub(crate) fn add(&mut self, workload: Entity) {
        let (first, last) = self.0.unwrap_or((workload, workload));
        self.0 = Some((first.min(workload), last.max(workload)));
    }

    /// Whether there are two or more.
    pub(crate) fn are_several(self) -> bool {
        self.0.is_some_and(|(first, last)| first != last)
    }
}

/// At most [`HYPOTHESES_MAX`] roots.
#[derive(Clone, Debug, Default, BorshDeserialize, BorshSerialize)]
pub(crate) struct Hypotheses {
    /// Entities of `list`, side by side: a look-up reads these few cache lines alone.
    #[borsh(skip)]
    entities: Vec<Entity>,
    list: Vec<Hypothesis>,
    #[borsh(skip)]
    best: Score,
}

impl Hypotheses {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Hypothesis> {
        self.list.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// The root at a place, below [`Self::len`].
    pub(crate) fn nth(&self, at: usize) -> Hypothesis {
        self.list[at]
    }

    pub(crate) fn set_score(&mut self, at: usize, score: Score) {
        self.list[at].score = score;
    }

    pub(crate) fn get(&self, entity: Entity) -> Option<&Hypothesis> {
        self.position(entity).map(|at| &self.list[at])
    }

    pub(crate) fn get_mut(&mut self, entity: Entity) -> Option<&mut Hypothesis> {
        self.position(entity).map(|at| &mut self.list[at])
    }

    fn position(&self, entity: Entity) -> Option<usize> {
        self.entities.iter().position(|&e| e == entity)
    }

    /// The largest likelihood of all.
    pub(crate) fn best_likelihood(&self) -> Score {
        self.best
    }

    /// Makes room for the first roots at once.
    pub(crate) fn reserve(&mut self, roots: usize) {
        if self.list.is_empty() {
            self.entities.reserve_exact(roots);
            self.list.reserve_exact(roots);
        }
    }

    pub(crate) fn push(&mut self, hypothesis: Hypothesis) {
        self.entities.push(hypothesis.entity);
        self.list.push(hypothesis);
    }

    /// Raises the likelihoods of the roots that explain a symptom whose pull rose.
    pub(crate) fn explain(&mut self, links: &[Link], before: Score, after: Score) {
        let (before, after) = (before.to_f64(), after.to_f64());
        for link in links {
            if let Some(root) = self.get_mut(link.root) {
                // The difference of two products: steps add up to the whole, to the millionth.
                root.likelihood += link.explained.times(after) - link.explained.times(before);
            }
        }
    }

    /// Recomputes the best likelihood and drops the least likely roots beyond the maximum, but
    /// never `keep`. The dropped entities go to `dropped`.
    pub(crate) fn settle(&mut self, keep: Option<Entity>, dropped: &mut Vec<Entity>) {
        while self.list.len() > HYPOTHESES_MAX {
            // The least likely; of equals the one admitted last.
            let worst = (0..self.list.len())
                .filter(|&at| Some(self.list[at].entity) != keep)
                .min_by_key(|&at| (self.list[at].likelihood, usize::MAX - at));
            let Some(at) = worst else { break };
            self.entities.remove(at);
            dropped.push(self.list.remove(at).entity);
        }
        self.note_best();
    }

    fn note_best(&mut self) {
        self.best = self.list.iter().map(|h| h.likelihood).max().unwrap_or_default();
    }

    /// Finds anew what is not in a snapshot.
    pub(crate) fn index(&mut self) {
        self.entities = self.list.iter().map(|h| h.entity).collect();
        self.note_best();
    }

    /// The best two candidates. Equal scores: more dependencies of its own first (more that can
    /// have gone wrong unseen), then by name.
    pub(crate) fn leaders(&self, model: Model<'_>) -> (Option<Entity>, Option<Entity>) {
        let before = |a: &Hypothesis, b: &Hypothesis| {
            let depends = |h: &Hypothesis| model.dependencies(h.entity).len();
            a.score
                .cmp(&b.score)
                .then_with(|| depends(a).cmp(&depends(b)))
                .then_with(|| model.name(b.entity).cmp(model.name(a.entity)))
                .is_gt()
        };
        let (mut first, mut second): (Option<&Hypothesis>, Option<&Hypothesis>) = (None, None);
        for hypothesis in self.list.iter().filter(|h| h.score > Score::WORST) {
            if first.is_none_or(|f| before(hypothesis, f)) {
                second = first;
                first = Some(hypothesis);
            } else if second.is_none_or(|s| before(hypothesis, s)) {
                second = Some(hypothesis);
            }
        }
        (first.map(|h| h.entity), second.map(|h| h.entity))
    }

    /// All candidates, best first.
    pub(crate) fn ranked(&self, model: Model<'_>) -> Vec<Hypothesis> {
        let mut list: Vec<Hypothesis> =
            self.list.iter().filter(|h| h.score > Score::WORST).copied().collect();
        list.sort_by(|a, b| {
            let depends = |h: &Hypothesis| model.dependencies(h.entity).len();
            b.score
                .cmp(&a.score)
                .then_with(|| depends(b).cmp(&depends(a)))
                .then_with(|| model.name(a.entity).cmp(model.name(b.entity)))
        });
        list
    }
}
