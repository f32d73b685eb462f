//! How trouble gets from an incident's candidate to the entities that alert in it, for those who
//! read the record. It explains what was decided, and decides nothing.

use std::cmp::Reverse;

use crate::incident::Incident;
use crate::model::{Entity, Model};
use crate::score::Score;
use crate::topology::Node;

/// The way from the candidate to one entity that alerts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PathView<'a> {
    /// The entity.
    pub entity: &'a str,
    /// Candidate first, the entity last, each depending on the one before it; or why there is no
    /// such way.
    pub stops: Result<Vec<Stop<'a>>, NoPath<'a>>,
}

/// An entity on the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stop<'a> {
    /// Its name.
    pub entity: &'a str,
    /// Whether it alerts in this incident; if not, trouble passed through it in silence.
    pub alerting: bool,
}

/// Why there is no way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoPath<'a> {
    /// The entity is not in the graph.
    OutsideTopology,
    /// The candidate is not in the graph.
    CandidateOutsideTopology,
    /// The way goes in the other direction: the candidate depends on the entity, and load and
    /// traffic pass down.
    CandidateDependsOnIt,
    /// Another root, a less likely cause, explains both.
    OtherRoot(&'a str),
    /// No root within reach explains both: others brought the two together.
    OutOfReach,
}

impl NoPath<'_> {
    /// Name in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OutsideTopology => "OUTSIDE_TOPOLOGY",
            Self::CandidateOutsideTopology => "CANDIDATE_OUTSIDE_TOPOLOGY",
            Self::CandidateDependsOnIt => "CANDIDATE_DEPENDS_ON_IT",
            Self::OtherRoot(_) => "OTHER_ROOT",
            Self::OutOfReach => "OUT_OF_REACH",
        }
    }
}

/// The ways from the candidate to the first `count` entities that alert, in the order in which
/// they joined. Costs a scan of the roots of each, whatever the size of the graph.
pub(crate) fn paths<'a>(
    model: Model<'a>,
    incident: &'a Incident,
    count: usize,
) -> Vec<PathView<'a>> {
    let Some(root) = incident.candidate else {
        return Vec::new();
    };
    let ways = Ways { model, incident, root };
    let mut others = None;
    let alerting = incident.symptoms.iter().filter(|s| s.is_alerting()).map(|s| s.entity);
    let view = |entity| PathView {
        entity: model.name(entity),
        stops: ways.down(entity).ok_or_else(|| ways.why_none(entity, &mut others)),
    };
    alerting.take(count).map(view).collect()
}

struct Ways<'a> {
    model: Model<'a>,
    incident: &'a Incident,
    root: Entity,
}

impl<'a> Ways<'a> {
    /// One shortest way: from the entity down, preferring next what alerts itself, then by name.
    fn down(&self, entity: Entity) -> Option<Vec<Stop<'a>>> {
        let mut stops = vec![self.stop(entity)];
        if entity != self.root {
            let (mut at, root) = (entity.node()?, self.root.node()?);
            let mut hops = self.model.walks.hops(at, root)?;
            while at != root {
                hops -= 1;
                // What is within the reach of an entity is within that of what it is reached by.
                let below = self.model.topology.dependencies(at).iter().copied();
                let nearer = |&next: &Node| match hops {
                    0 => next == root,
                    _ => self.model.walks.hops(next, root) == Some(hops),
                };
                let silent = |&next: &Node| !self.alerts(Entity::inside(next));
                at = below.filter(nearer).min_by_key(silent)?;
                stops.push(self.stop(Entity::inside(at)));
            }
        }
        stops.reverse();
        Some(stops)
    }

    fn stop(&self, entity: Entity) -> Stop<'a> {
        Stop { entity: self.model.name(entity), alerting: self.alerts(entity) }
    }

    fn alerts(&self, entity: Entity) -> bool {
        self.incident.symptom(entity).is_some_and(|s| s.is_alerting())
    }

    /// Why no way leads down; `others` are the roots that explain the candidate, found once.
    fn why_none(&self, entity: Entity, others: &mut Option<Vec<(Node, Score)>>) -> NoPath<'a> {
        let (Some(node), root) = (entity.node(), self.root.node()) else {
            return NoPath::OutsideTopology;
        };
        let Some(root) = root else {
            return NoPath::CandidateOutsideTopology;
        };
        if self.model.walks.hops(root, node).is_some() {
            return NoPath::CandidateDependsOnIt;
        }
        let others = others.get_or_insert_with(|| self.others(root));
        let likelihood = |other: Node| {
            let at = others.binary_search_by_key(&other, |&(root, _)| root).ok()?;
            // Of equals by name: numbers depend on what the graph was before.
            Some((others[at].1, Reverse(self.model.topology.name(other))))
        };
        let explains = self.model.walks.reach(node).iter().filter_map(|r| likelihood(r.root));
        match explains.max() {
            Some((_, Reverse(other))) => NoPath::OtherRoot(other),
            None => NoPath::OutOfReach,
        }
    }

    /// The roots that the incident considers and that explain the candidate, by node, with their
    /// likelihoods.
    fn others(&self, root: Node) -> Vec<(Node, Score)> {
        let considered = |other: Node| {
            let entity = Entity::inside(other);
            let hypothesis = self.incident.hypotheses.get(entity).filter(|_| other != root)?;
            Some((other, hypothesis.likelihood))
        };
        let reach = self.model.walks.reach(root).iter();
        let mut others: Vec<_> = reach.filter_map(|r| considered(r.root)).collect();
        others.sort_unstable_by_key(|&(other, _)| other);
        others
    }
}
