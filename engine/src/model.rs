//! What all stages read and none changes: policy, graph and texts; and the entities they speak of.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::entity::EntityName;
use crate::incident::Incident;
use crate::policy::Policy;
use crate::score::{Score, exp, ln};
use crate::snapshot::Snapshot;
use crate::subject::Subject;
use crate::symbol::{Symbol, Symbols};
use crate::topology::{Node, Topology};
use crate::walk::{Relation, Walks};

/// An entity: a node of the graph, or a name outside it.
///
/// Kept as the complement of its number, which leaves zero for "none".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshDeserialize, BorshSerialize)]
pub(crate) struct Entity(NonZeroU32);

const OUTSIDE: u32 = 1 << 31;

impl Entity {
    pub(crate) const fn inside(node: Node) -> Self {
        Self::numbered(node)
    }

    pub(crate) const fn outside(name: Symbol) -> Self {
        Self::numbered(name.index() | OUTSIDE)
    }

    const fn numbered(number: u32) -> Self {
        Self(NonZeroU32::new(!number).expect("there are fewer than 2^31 nodes and texts"))
    }

    const fn number(self) -> u32 {
        !self.0.get()
    }

    /// The same, as a node if it is outside the graph and the graph has its name by now.
    pub(crate) fn within(self, topology: &Topology, symbols: &Symbols) -> Self {
        let name = self.symbol().map(|name| EntityName::parse(symbols.text(name)));
        let found = name.and_then(|name| topology.look_up(&name).node);
        found.map_or(self, Self::inside)
    }

    /// Its node, if it is in the graph, or was in an earlier one.
    pub(crate) const fn node(self) -> Option<Node> {
        if self.number() & OUTSIDE == 0 { Some(self.number()) } else { None }
    }

    /// Its name, if it is outside the graph. Who stores the entity must hold this symbol.
    pub(crate) const fn symbol(self) -> Option<Symbol> {
        match self.number() {
            inside if inside & OUTSIDE == 0 => None,
            outside => Some(Symbol::from_index(outside & !OUTSIDE)),
        }
    }
}

impl fmt::Debug for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entity({})", self.number())
    }
}

/// One new or worse observation of one alert, with all that grouping and ranking need of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observation {
    pub(crate) subject: Subject,
    /// How far over its limit: 0.5 just over, 2 at most.
    pub(crate) strength: Score,
    /// Value minus limit in the metric's unit, where a delay is given in numbers.
    pub(crate) excess: Option<f64>,
}

/// One root that could explain an observation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) root: Entity,
    /// Dependencies from the entity down to the root; 0 for itself, and for what is not below it.
    pub(crate) hops: u8,
    /// How expected the alert is under this root: `ln w`, with what its kind says of itself.
    pub(crate) weight: Score,
    /// How much better than a leak this root explains it.
    pub(crate) explained: Score,
    /// The price of the root, `ln(1/Z)`.
    pub(crate) prior: Score,
    /// Whether the root can be a candidate (a fallback group cannot).
    pub(crate) nameable: bool,
}

/// A fallback group stands for two entities.
const FALLBACK_AUDIENCE: f64 = 2.0;

/// What the engine reads and, but for the texts and a change of the graph, never changes.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) policy: Policy,
    pub(crate) graph: Arc<Snapshot>,
    /// The graph before, while the figures of some incident are still from it.
    pub(crate) before: Option<Arc<Snapshot>>,
    /// How often the graph has changed.
    pub(crate) turn: u64,
    pub(crate) symbols: Symbols,
}

impl World {
    pub(crate) fn model(&self) -> Model<'_> {
        self.model_on(&self.graph)
    }

    /// The model under which an incident's figures were computed.
    pub(crate) fn model_of(&self, incident: &Incident) -> Model<'_> {
        match &self.before {
            Some(before) if incident.turn != self.turn => self.model_on(before),
            _ => self.model(),
        }
    }

    fn model_on<'a>(&'a self, graph: &'a Snapshot) -> Model<'a> {
        let (topology, walks) = (&graph.topology, &graph.walks);
        Model { policy: &self.policy, topology, walks, symbols: &self.symbols }
    }
}

/// What all stages read.
#[derive(Clone, Copy)]
pub(crate) struct Model<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) topology: &'a Topology,
    pub(crate) walks: &'a Walks,
    pub(crate) symbols: &'a Symbols,
}

impl<'a> Model<'a> {
    pub(crate) fn name(self, entity: Entity) -> &'a str {
        match (entity.node(), entity.symbol()) {
            (Some(node), _) => self.topology.name(node),
            (None, Some(symbol)) => self.symbols.text(symbol),
            (None, None) => unreachable!("an entity is inside or outside"),
        }
    }

    /// Whether an entity is in the graph, and not only in one before.
    pub(crate) fn in_graph(self, entity: Entity) -> bool {
        entity.node().is_some_and(|node| self.topology.is_live(node))
    }

    /// Whether it is something on which many workloads run side by side.
    pub(crate) fn is_host(self, entity: Entity) -> bool {
        entity.node().is_some_and(|node| self.topology.kind(node).is_host())
    }

    /// What stands for the workload that an entity is part of.
    pub(crate) fn workload(self, entity: Entity) -> Entity {
        entity.node().map_or(entity, |node| Entity::inside(self.walks.workload(node)))
    }

    pub(crate) fn dependents(self, entity: Entity) -> &'a [Node] {
        entity.node().map_or(&[], |node| self.topology.dependents(node))
    }

    pub(crate) fn dependencies(self, entity: Entity) -> &'a [Node] {
        entity.node().map_or(&[], |node| self.topology.dependencies(node))
    }

    /// The hops from `from` down to `root`, within the reach of the ranking.
    pub(crate) fn hops(self, from: Entity, root: Entity) -> Option<u8> {
        let (from, root) = (from.node()?, root.node()?);
        let hops = self.walks.hops(from, root)?;
        (hops > 0 && hops <= self.policy.spec.ranking.hops_max).then_some(hops)
    }

    /// All roots that could explain an observation, the entity itself first.
    pub(crate) fn links(self, seen: &Observation, links: &mut Vec<Link>) {
        links.clear();
        let subject = &seen.subject;
        match subject.entity.node() {
            Some(node) => {
                for entry in self.walks.reach(node) {
                    let root = Entity::inside(entry.root);
                    links.push(self.link(seen, root, entry.relation));
                }
            }
            None => links.push(self.link(seen, subject.entity, Relation::Below(0))),
        }
        if let Some(caller) = subject.caller {
            let link = self.link(seen, caller, Relation::Caller);
            match links.iter_mut().find(|l| l.root == caller) {
                Some(known) if known.weight < link.weight => *known = link,
                Some(_) => {}
                None => links.push(link),
            }
        }
        if let Some(group) = subject.fallback {
            let prior = -Score::from_f64(ln(FALLBACK_AUDIENCE));
            let link = self.link(seen, group, Relation::Fallback);
            links.push(Link { prior, nameable: false, ..link });
        }
    }

    fn link(self, seen: &Observation, root: Entity, relation: Relation) -> Link {
        let subject = &seen.subject;
        let logs = &self.policy.logs;
        let (weight, explained) = match relation {
            Relation::Below(hops) => {
                (logs.below[usize::from(hops)], logs.explained_below[usize::from(hops)])
            }
            Relation::Dependent => (logs.dependent, logs.explained_dependent),
            Relation::Caller => (logs.caller, logs.explained_caller),
            Relation::Fallback => (logs.fallback, logs.explained_fallback),
        };
        // A CpuHigh says "me", a TrafficLow "not me"; a weak one says it less.
        let sure = seen.strength.to_f64().min(1.0);
        let claim = Score::from_f64(self.policy.spec.weights.of(subject.kind).claim * sure);
        let said = match root == subject.entity {
            true => claim,
            // A crash says nothing against the machine that it happened on.
            false if self.is_host(root) => Score::ZERO,
            false => -claim,
        };
        let hops = match relation {
            Relation::Below(hops) => hops,
            Relation::Dependent | Relation::Caller | Relation::Fallback => 0,
        };
        Link {
            root,
            hops,
            weight: weight + said.min(Score::ZERO),
            explained,
            prior: root.node().map_or(Score::ZERO, |node| self.walks.prior(node)),
            nameable: true,
        }
    }

    /// Bound of what an entity's own alerts may claim, in nats.
    pub(crate) fn claim_bound(self) -> Score {
        Score::from_f64(self.policy.spec.grouping.claim_max)
    }

    /// How strongly `ratio` over the limit speaks.
    pub(crate) fn strength(self, ratio: f64) -> Score {
        let ranking = &self.policy.spec.ranking;
        let strength = ranking.strength_base + ranking.strength_per_ln * ln(ratio.max(1.0));
        Score::from_f64(strength.min(ranking.strength_max))
    }

    /// A score as a weight among other candidates.
    pub(crate) fn odds(self, score: Score, best: Score) -> u64 {
        let temperature = self.policy.spec.ranking.temperature;
        // In billionths: a sum of integers does not depend on its order.
        (exp((score - best).to_f64() / temperature) * 1e9).round() as u64
    }
}
