//! Records that wait for delivery: one for each incident, the newest.

use std::collections::{HashMap, VecDeque};

use super::Job;
use crate::sink::Cause;

/// Incidents in the order in which their oldest undelivered record came.
#[derive(Debug, Default)]
pub(super) struct Pending {
    order: VecDeque<String>,
    by_incident: HashMap<String, Waiting>,
    causes: usize,
}

#[derive(Debug)]
struct Waiting {
    newest: Job,
    /// Causes of the versions that it replaced.
    replaced: Vec<Cause>,
}

impl Pending {
    /// How many records wait, replaced ones included: they hold memory and acknowledgements.
    pub(super) fn len(&self) -> usize {
        self.causes
    }

    /// Adds a record. It takes the place of an older version that still waits; if it is itself
    /// the older one, which no pipeline sends, only its acknowledgement waits.
    pub(super) fn push(&mut self, job: Job) {
        self.causes += 1;
        match self.by_incident.get_mut(&job.incident) {
            Some(waiting) if waiting.newest.version <= job.version => {
                let old = std::mem::replace(&mut waiting.newest, job);
                waiting.replaced.push(old.cause);
            }
            Some(waiting) => waiting.replaced.push(job.cause),
            None => {
                self.order.push_back(job.incident.clone());
                let (incident, replaced) = (job.incident.clone(), Vec::new());
                let newest = job;
                self.by_incident.insert(incident, Waiting { newest, replaced });
            }
        }
    }

    /// The record to deliver next.
    pub(super) fn first(&self) -> Option<&Job> {
        let incident = self.order.front()?;
        self.by_incident.get(incident).map(|w| &w.newest)
    }

    /// The first record has been delivered, or refused: what to acknowledge, oldest first.
    pub(super) fn finish_first(&mut self) -> Vec<Cause> {
        let incident = self.order.pop_front();
        let Some(waiting) = incident.and_then(|i| self.by_incident.remove(&i)) else {
            return Vec::new();
        };
        let mut causes = waiting.replaced;
        causes.push(waiting.newest.cause);
        self.causes -= causes.len();
        causes
    }

    /// The first record goes behind the others: one that its receiver cannot digest must not hold
    /// up the rest.
    pub(super) fn postpone_first(&mut self) {
        self.order.rotate_left(usize::from(!self.order.is_empty()));
    }
}
