//! What was found, as Markdown and as a policy file.

use std::process::Command;

use anyhow::Result;

use super::folds::{Fold, all, assemble, folds};
use super::measure::Measure;
use super::objective::Objective;
use super::search::{Bounds, Method, best};
use super::space::{Number, Parameter, Point};
use crate::score::data::Data;
use crate::score::evaluation::{Evaluation, Headline};
use crate::score::hypocenter::Hypocenter;

/// What a search found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The best point on all data.
    pub point: Point,
    /// The figures of the start.
    pub start: Headline,
    /// The figures of the best point, on the data it was picked with.
    pub picked: Headline,
    /// For each fold, the point picked without its system, and that point's figures.
    pub folds: Vec<(Fold, Point, Evaluation)>,
    /// The figures of all data, each part by the point that was picked without its system. `None`
    /// when there is only one system.
    pub left_out: Option<Headline>,
}

/// Searches on all data, and once without each system.
///
/// # Errors
/// When the data cannot be read.
pub fn find(
    measure: &mut Measure<'_>,
    data: &Data,
    method: &Method,
    objective: &Objective,
    bounds: Bounds,
) -> Result<Found> {
    let point = best(measure, method, objective, &all(data), bounds)?;
    let figures = |measure: &Measure<'_>, point: &Point| {
        measure.get(point).cloned().unwrap_or_else(|| unreachable!("a point that was picked"))
    };
    let mut picked = Vec::new();
    for fold in folds(data) {
        let point = best(measure, method, objective, &fold.train, bounds)?;
        let evaluation = figures(measure, &point);
        picked.push((fold, point, evaluation));
    }
    let judged: Vec<(Fold, Evaluation)> =
        picked.iter().map(|(fold, _, figures)| (fold.clone(), figures.clone())).collect();
    Ok(Found {
        start: figures(measure, &Point::default()).headline(),
        picked: figures(measure, &point).headline(),
        point,
        left_out: (!judged.is_empty()).then(|| assemble(&judged)),
        folds: picked,
    })
}

impl Found {
    /// The figures, and what was picked without each system.
    #[must_use]
    pub fn table(&self, measure: &Measure<'_>, objective: &Objective) -> String {
        let mut text = format!("| parameters | objective | {} |\n", Headline::NAMES.join(" | "));
        text += &format!("|{}\n", "---|".repeat(Headline::NAMES.len() + 2));
        let rows = [
            ("as they are", Some(&self.start)),
            ("picked on other systems", self.left_out.as_ref()),
            ("picked on this data, hence flattered", Some(&self.picked)),
        ];
        for (name, figures) in rows {
            if let Some(figures) = figures {
                let cells = figures.shown().join(" | ");
                text += &format!("| {name} | {:.4} | {cells} |\n", objective.of(figures));
            }
        }
        if !self.folds.is_empty() {
            text += "\n| left out | objective on it: as they are | picked without it | what was \
                     picked |\n|---|---|---|---|\n";
        }
        let start = measure.get(&Point::default());
        for (fold, point, evaluation) in &self.folds {
            let of = |evaluation: &Evaluation| {
                objective.of(&evaluation.headline_of(|name| fold.test.contains(name)))
            };
            let before = start.map_or(f64::NAN, of);
            let (system, after, picked) = (&fold.left_out, of(evaluation), shown(point));
            text += &format!("| {system} | {before:.4} | {after:.4} | {picked} |\n");
        }
        text
    }

    /// The policy as a configuration file that says where it comes from.
    #[must_use]
    pub fn file(&self, measure: &Measure<'_>, about: &[(&str, String)]) -> String {
        let mut text = "# A policy found by `hypocenter-bench tune`.\n#\n".to_owned();
        for (name, what) in about {
            text += &format!("# {name}: {what}\n");
        }
        let figures = |figures: &Headline| {
            let pairs = Headline::NAMES.iter().zip(figures.shown());
            pairs.map(|(name, figure)| format!("{name} {figure}")).collect::<Vec<_>>().join(", ")
        };
        text += &format!("# start: {}\n", figures(&self.start));
        if let Some(left_out) = &self.left_out {
            text += &format!("# picked on other systems: {}\n", figures(left_out));
        }
        text +=
            &format!("# this policy, on the data it was picked with: {}\n", figures(&self.picked));
        text + "\n" + &measure.space.file(&self.point)
    }
}

/// A point on one line.
fn shown(point: &Point) -> String {
    let pairs = point.0.iter().map(|(path, number)| format!("{path}: {number}"));
    let text = pairs.collect::<Vec<_>>().join(", ");
    if text.is_empty() { "nothing".to_owned() } else { text }
}

/// What each parameter does on its own, the most telling first: the objective's change at its best
/// other value, on all data and on each system, and at its worst.
///
/// # Errors
/// When the data cannot be read.
pub fn sensitivity(
    measure: &mut Measure<'_>,
    data: &Data,
    objective: &Objective,
) -> Result<String> {
    let start = Point::default();
    let parameters = measure.space.parameters.clone();
    let around = |parameter: &Parameter| -> Vec<(Number, Point)> {
        let values = parameter.base.neighbours().into_iter();
        values.map(|value| (value, start.with(parameter, value))).collect()
    };
    let mut points: Vec<Point> =
        parameters.iter().flat_map(around).map(|(_, point)| point).collect();
    points.push(start.clone());
    measure.measure(&points)?;
    let folds = folds(data);
    let base = measure.get(&start).cloned().unwrap_or_default();
    let gain = |evaluation: &Evaluation| {
        objective.of(&evaluation.headline()) - objective.of(&base.headline())
    };
    let mut rows = Vec::new();
    for parameter in &parameters {
        let values = around(parameter);
        let values = values.iter().filter_map(|(value, p)| Some((*value, measure.get(p)?)));
        let mut values: Vec<_> = values.map(|(value, e)| (gain(e), value, e)).collect();
        values.sort_by(|a, b| b.0.total_cmp(&a.0));
        if let (Some(best), Some(worst)) = (values.first(), values.last()) {
            let by_fold = folds.iter().map(|fold| {
                let on = |e: &Evaluation| objective.of(&e.headline_of(|n| fold.test.contains(n)));
                format!("{:+.4}", on(best.2) - on(&base))
            });
            let by_fold: Vec<String> = by_fold.collect();
            let (path, now) = (&parameter.path, parameter.base);
            let line = format!(
                "| {path} | {now} | {} | {:+.4} | {} | {} | {:+.4} |\n",
                best.1,
                best.0,
                by_fold.join(" | "),
                worst.1,
                worst.0
            );
            rows.push((best.0.abs().max(worst.0.abs()), line));
        }
    }
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let systems: Vec<&str> = folds.iter().map(|fold| fold.left_out.as_str()).collect();
    let mut text = format!(
        "| parameter | now | best other | gain | {} | worst | loss |\n",
        systems.join(" | ")
    );
    text += &format!("|{}\n", "---|".repeat(systems.len() + 6));
    Ok(text + &rows.into_iter().map(|(_, line)| line).collect::<String>())
}

/// Points whose cost is measured.
const COSTED: usize = 40;
/// Runs of which the fastest counts.
const RUNS: usize = 5;

/// Accuracy against latency: the points that no other one beats in both.
///
/// Latency is the mean from record to decisions over all events of all storms, decoding included,
/// the least of five rounds over all points, on one thread of this process: it compares policies on
/// this machine and is no promise.
///
/// # Errors
/// When the data cannot be read.
pub fn front(measure: &Measure<'_>, data: &Data, objective: &Objective) -> Result<String> {
    let value = |point: &Point| measure.get(point).map(|e| objective.of(&e.headline()));
    let mut ranked: Vec<(f64, Point)> =
        measure.points().into_iter().filter_map(|point| Some((value(&point)?, point))).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    // The better half from the top, the others from all over.
    let step = (ranked.len() / (COSTED / 2)).max(1);
    let rest = ranked.iter().skip(COSTED / 2).step_by(step).cloned();
    let mut chosen: Vec<(f64, Point)> =
        ranked.iter().take(COSTED / 2).cloned().chain(rest).collect();
    chosen.retain(|(_, point)| !point.0.is_empty());
    chosen.extend(value(&Point::default()).map(|value| (value, Point::default())));
    let mut costed: Vec<(f64, f64, Point)> =
        chosen.into_iter().map(|(value, point)| (value, f64::INFINITY, point)).collect();
    // Round by round, so that a machine that is busy for a while is so for all.
    for _ in 0..RUNS {
        for (_, least, point) in &mut costed {
            if let Some(config) = measure.space.config(point) {
                *least = least.min(cost(&Hypocenter::new(config), data)?);
            }
        }
    }
    costed.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut text = "| objective | µs for each event | parameters |\n|---|---|---|\n".to_owned();
    let mut best = f64::NEG_INFINITY;
    for (value, nanos, point) in costed {
        let is_start = point.0.is_empty();
        if value > best || is_start {
            let mark = if value > best { "" } else { " (beaten)" };
            let name = if is_start { "as they are".to_owned() } else { shown(&point) };
            text += &format!("| {value:.4} | {:.2} | {name}{mark} |\n", nanos / 1e3);
            best = best.max(value);
        }
    }
    Ok(text)
}

/// Mean nanoseconds for each event of the storms.
fn cost(subject: &Hypocenter, data: &Data) -> Result<f64> {
    let (mut nanos, mut events) = (0, 0);
    for storm in &data.storms {
        let spent = subject.spend(storm)?;
        nanos += spent.0;
        events += spent.1;
    }
    Ok(nanos as f64 / events.max(1) as f64)
}

/// The commit of the working tree, marked when it differs from it; `unknown` without git.
#[must_use]
pub fn commit() -> String {
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    match git(&["rev-parse", "--short=12", "HEAD"]) {
        Some(commit) => match git(&["status", "--porcelain", "--untracked-files=no"]) {
            Some(changes) if changes.is_empty() => commit,
            _ => commit + " with changes",
        },
        None => "unknown".to_owned(),
    }
}
