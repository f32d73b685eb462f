//! What an engine was told, for another one to be told the same.

use std::sync::Arc;

use hypocenter_engine::{
    AlertEvent, Decisions, Engine, Policy, Progress, Seq, Snapshot, Span, Timestamp,
};

use crate::wire::{Batch, Scratch};

/// Steps of one engine, in order.
#[derive(Debug, Default)]
pub(super) struct Steps {
    steps: Vec<Step>,
    events: Batch,
}

#[derive(Debug)]
enum Step {
    /// The next event of the batch.
    Apply { seq: Seq, time: Timestamp, held: Span },
    /// Time passes.
    Advance(Timestamp),
    /// Another graph is in force.
    Graph(Arc<Snapshot>, Timestamp),
    /// Another mapping is in force.
    Mapping(Box<Policy>, Timestamp),
}

impl Steps {
    pub(super) fn apply(&mut self, seq: Seq, event: &AlertEvent<'_>, time: Timestamp) {
        self.events.push(event);
        self.steps.push(Step::Apply { seq, time, held: event.held });
    }

    pub(super) fn advance(&mut self, to: Timestamp) {
        self.steps.push(Step::Advance(to));
    }

    pub(super) fn place_on(&mut self, graph: Arc<Snapshot>, at: Timestamp) {
        self.steps.push(Step::Graph(graph, at));
    }

    pub(super) fn map_by(&mut self, policy: Policy, at: Timestamp) {
        self.steps.push(Step::Mapping(Box::new(policy), at));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Memory held, about.
    pub(super) fn bytes(&self) -> usize {
        self.events.bytes() + self.steps.len() * size_of::<Step>()
    }

    /// Tells an engine all of them, and forgets what it decides.
    pub(super) fn tell(&self, engine: &mut Engine, scratch: &mut Scratch) {
        let mut decisions = Decisions::new();
        let mut steps = self.steps.iter();
        self.events.each(scratch, &mut |event| {
            for step in steps.by_ref() {
                decisions.clear();
                if let Step::Apply { seq, time, held } = *step {
                    engine.apply(seq, &AlertEvent { held, ..*event }, time, &mut decisions);
                    break;
                }
                step.tell(engine, &mut decisions);
            }
        });
        steps.for_each(|step| step.tell(engine, &mut decisions));
    }
}

impl Step {
    /// Tells an engine a step without an event.
    fn tell(&self, engine: &mut Engine, decisions: &mut Decisions) {
        decisions.clear();
        match self {
            Self::Apply { .. } => unreachable!("each has its event"),
            Self::Advance(to) => while engine.advance(*to, decisions) == Progress::More {},
            Self::Graph(graph, at) => {
                let taken = engine.set_topology(Arc::clone(graph), *at, decisions);
                taken.expect("what the first engine has taken, its equal takes");
            }
            Self::Mapping(policy, at) => {
                let taken = engine.set_mapping((**policy).clone(), *at, decisions);
                taken.expect("what the first engine has taken, its equal takes");
            }
        }
    }
}
