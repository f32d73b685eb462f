//! Figures of many points, a few at a time, each computed once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Result, anyhow};
use hypocenter::config::Config;

use super::space::{Point, Space};
use crate::score::data::Data;
use crate::score::evaluation::Evaluation;
use crate::score::hypocenter::Hypocenter;
use crate::score::predictions::Predictions;

/// Measures points of a space on some data, and remembers them.
#[derive(Debug)]
pub struct Measure<'a> {
    /// The parameters.
    pub space: &'a Space,
    data: &'a Data,
    jobs: usize,
    /// By configuration text; `None` where the policy refuses the point.
    known: BTreeMap<String, Option<(Point, Evaluation)>>,
}

impl<'a> Measure<'a> {
    /// Measures with so many threads.
    #[must_use]
    pub fn new(space: &'a Space, data: &'a Data, jobs: usize) -> Self {
        Self { space, data, jobs: jobs.max(1), known: BTreeMap::new() }
    }

    /// How many points have been measured.
    #[must_use]
    pub fn count(&self) -> usize {
        self.known.values().flatten().count()
    }

    /// Measures those points that are not known yet.
    ///
    /// # Errors
    /// When the data cannot be read.
    pub fn measure(&mut self, points: &[Point]) -> Result<()> {
        let mut todo: BTreeMap<String, (Point, Config)> = BTreeMap::new();
        for point in points {
            let text = point.render();
            if !self.known.contains_key(&text) {
                match self.space.config(point) {
                    Some(config) => drop(todo.insert(text, (point.clone(), config))),
                    None => drop(self.known.insert(text, None)),
                }
            }
        }
        let todo: Vec<(String, (Point, Config))> = todo.into_iter().collect();
        let next = AtomicUsize::new(0);
        let work = || -> Result<Vec<(usize, Evaluation)>> {
            let mut done = Vec::new();
            while let at = next.fetch_add(1, Ordering::Relaxed)
                && at < todo.len()
            {
                let (_, (_, config)) = &todo[at];
                let made = Predictions::make(self.data, &Hypocenter::new(config.clone()))?;
                done.push((at, Evaluation::of(self.data, &made)?));
            }
            Ok(done)
        };
        let done = thread::scope(|scope| {
            let workers: Vec<_> = (0..self.jobs).map(|_| scope.spawn(work)).collect();
            let join = |worker: thread::ScopedJoinHandle<'_, _>| {
                worker.join().unwrap_or_else(|_| Err(anyhow!("a measuring thread panicked")))
            };
            workers.into_iter().map(join).collect::<Result<Vec<_>>>()
        })?;
        for (at, evaluation) in done.into_iter().flatten() {
            let (text, (point, _)) = &todo[at];
            self.known.insert(text.clone(), Some((point.clone(), evaluation)));
        }
        Ok(())
    }

    /// The figures of a point that was measured; `None` where the policy refuses it.
    #[must_use]
    pub fn get(&self, point: &Point) -> Option<&Evaluation> {
        self.known.get(&point.render())?.as_ref().map(|(_, evaluation)| evaluation)
    }

    /// All points that have been measured.
    #[must_use]
    pub fn points(&self) -> Vec<Point> {
        self.known.values().flatten().map(|(point, _)| point.clone()).collect()
    }
}
