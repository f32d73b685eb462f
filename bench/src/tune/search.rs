//! Ways through the space. All of them see the training data alone, and all are repeatable.

use std::collections::BTreeSet;

use anyhow::{Context, Result};

use super::measure::Measure;
use super::objective::Objective;
use super::space::{Number, Parameter, Point, Space};
use crate::score::evaluation::Evaluation;

/// How to search.
#[derive(Clone, Debug)]
pub enum Method {
    /// One parameter at a time, over and over, until nothing gains any more.
    Coordinate,
    /// Points at random around the start: each parameter is changed with a chance of one in three,
    /// by a factor of up to two.
    Random,
    /// All combinations of given values.
    Grid(Vec<(Parameter, Vec<Number>)>),
}

/// What bounds a search.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Most points to look at, for one search.
    pub evaluations: usize,
    /// A parameter is moved only for at least this much: smaller gains are chance.
    pub gain_min: f64,
    /// Seed of all chance.
    pub seed: u64,
    /// Whether a point may be worse than the start on a system that it is picked with, as long as
    /// it gains on all together.
    pub may_harm: bool,
}

/// What a point is picked with.
#[derive(Clone, Debug)]
pub struct Train {
    /// Names of sets and storms.
    pub all: BTreeSet<String>,
    /// The same by system.
    pub by_system: Vec<BTreeSet<String>>,
}

impl Train {
    /// The value of a point, unless it harms a system more than the start does.
    fn value(
        &self,
        evaluation: &Evaluation,
        start: &Evaluation,
        objective: &Objective,
        may_harm: bool,
    ) -> f64 {
        let on = |evaluation: &Evaluation, names: &BTreeSet<String>| {
            objective.of(&evaluation.headline_of(|name| names.contains(name)))
        };
        let harms = |names: &BTreeSet<String>| on(evaluation, names) < on(start, names) - ROUNDING;
        if !may_harm && self.by_system.iter().any(harms) {
            return f64::NEG_INFINITY;
        }
        on(evaluation, &self.all)
    }
}

/// Sums of figures differ by this much, and mean the same.
const ROUNDING: f64 = 1e-9;

/// The best point for `train`.
///
/// # Errors
/// When the data cannot be read, or the start has no figures on it.
pub fn best(
    measure: &mut Measure<'_>,
    method: &Method,
    objective: &Objective,
    train: &Train,
    bounds: Bounds,
) -> Result<Point> {
    let start = Point::default();
    measure.measure(std::slice::from_ref(&start))?;
    let start = measure.get(&start).cloned().context("the policy to start from is not valid")?;
    let value =
        |evaluation: &Evaluation| train.value(evaluation, &start, objective, bounds.may_harm);
    let space = measure.space;
    let list = match method {
        Method::Coordinate => return coordinate(measure, &value, bounds),
        Method::Random => random(space, bounds),
        Method::Grid(axes) => grid(axes),
    };
    measure.measure(&list)?;
    let mut found = Point::default();
    let mut best = at(measure, &found, &value)?;
    for point in list {
        let new = measure.get(&point).map(&value);
        if let Some(new) = new.filter(|&new| new >= best + bounds.gain_min) {
            (found, best) = (point, new);
        }
    }
    Ok(found)
}

/// The value of a point that must have one.
fn at(measure: &mut Measure<'_>, point: &Point, value: &dyn Fn(&Evaluation) -> f64) -> Result<f64> {
    measure.measure(std::slice::from_ref(point))?;
    let start = measure.get(point).map(value).filter(|value| value.is_finite());
    start.context("the policy to start from has no figures on this data")
}

fn coordinate(
    measure: &mut Measure<'_>,
    value: &dyn Fn(&Evaluation) -> f64,
    bounds: Bounds,
) -> Result<Point> {
    let mut chance = fastrand::Rng::with_seed(bounds.seed);
    let mut parameters = measure.space.parameters.clone();
    let mut found = Point::default();
    let mut best = at(measure, &found, value)?;
    let mut looked_at = 1;
    // Parameters in a row without a gain: after all of them nothing can change.
    let mut idle = 0;
    while idle < parameters.len() {
        chance.shuffle(&mut parameters);
        for parameter in &parameters {
            let here = measure.space.value(parameter, &found);
            let list: Vec<Point> =
                here.neighbours().into_iter().map(|value| found.with(parameter, value)).collect();
            looked_at += list.len();
            if looked_at > bounds.evaluations {
                return Ok(found);
            }
            measure.measure(&list)?;
            let gain = list.into_iter().filter_map(|p| Some((measure.get(&p).map(value)?, p)));
            // Of equals the first, which is the nearest.
            let gain = gain.reduce(|a, b| if b.0 > a.0 { b } else { a });
            idle += 1;
            if let Some((new, point)) = gain.filter(|(new, _)| *new >= best + bounds.gain_min) {
                (found, best, idle) = (point, new, 0);
            }
            if idle >= parameters.len() {
                break;
            }
        }
    }
    Ok(found)
}

/// Points around the start.
#[must_use]
pub fn random(space: &Space, bounds: Bounds) -> Vec<Point> {
    let mut chance = fastrand::Rng::with_seed(bounds.seed);
    let mut list = Vec::new();
    while list.len() < bounds.evaluations {
        let mut point = Point::default();
        for parameter in &space.parameters {
            if chance.u32(0..3) == 0 {
                let factor = 2f64.powf(chance.f64() * 2.0 - 1.0);
                point = point.with(parameter, parameter.base.scaled(factor));
            }
        }
        list.push(point);
    }
    list
}

/// All combinations of the axes' values.
#[must_use]
pub fn grid(axes: &[(Parameter, Vec<Number>)]) -> Vec<Point> {
    let mut list = vec![Point::default()];
    for (parameter, values) in axes {
        let along =
            |point: &Point| values.iter().map(|&value| point.with(parameter, value)).collect();
        list = list.iter().flat_map(|point| -> Vec<Point> { along(point) }).collect();
    }
    list
}
