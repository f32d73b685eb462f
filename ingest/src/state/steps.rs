//! What an engine was told, for another one to be told the same.

use hypocenter_engine::{AlertEvent, Decisions, Engine, Progress, Seq, Span, Timestamp};

use crate::wire::{Batch, Scratch};

/// Steps of one engine, in order.
#[derive(Debug, Default)]
pub(super) struct Steps {
    steps: Vec<Step>,
    events: Batch,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The next event of the batch.
    Apply { seq: Seq, time: Timestamp, held: Span },
    /// Time passes.
    Advance(Timestamp),
}

impl Steps {
    pub(super) fn apply(&mut self, seq: Seq, event: &AlertEvent<'_>, time: Timestamp) {
        self.events.push(event);
        self.steps.push(Step::Apply { seq, time, held: event.held });
    }

    pub(super) fn advance(&mut self, to: Timestamp) {
        self.steps.push(Step::Advance(to));
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
                match *step {
                    Step::Advance(to) => advance(engine, to, &mut decisions),
                    Step::Apply { seq, time, held } => {
                        decisions.clear();
                        engine.apply(seq, &AlertEvent { held, ..*event }, time, &mut decisions);
                        break;
                    }
                }
            }
        });
        for step in steps {
            let Step::Advance(to) = *step else { unreachable!("each event has its step") };
            advance(engine, to, &mut decisions);
        }
    }
}

fn advance(engine: &mut Engine, to: Timestamp, decisions: &mut Decisions) {
    loop {
        decisions.clear();
        if engine.advance(to, decisions) == Progress::Done {
            break;
        }
    }
}
