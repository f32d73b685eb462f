//! Whether confidence means what it says: of the candidates given 0.8, are 80 % right?
//!
//! A *case* is judged by the first candidate of all its alerts explained together. An incident of a
//! *storm* is judged by its last version: right when the candidate is a root cause of the fault to
//! which most of its alerts belong. Incidents that hold noise alone have no right answer; they are
//! counted and not judged.

use anyhow::Result;
use serde::Serialize;

use super::data::Data;
use super::grouping;
use super::predictions::Predictions;

/// Bins of equal width.
const BINS: usize = 10;

/// One answer: how sure, and whether it was right.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Answer {
    /// 0 to 1.
    pub confidence: f64,
    /// Whether the candidate is a true root cause.
    pub right: bool,
}

/// How confidence and truth go together in one population.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Reliability {
    /// Of what.
    pub population: &'static str,
    /// How many answers.
    pub count: usize,
    /// Share of them that is right.
    pub right: f64,
    /// Mean squared difference of confidence and truth; 0 is best.
    pub brier: f64,
    /// The same for somebody who always says the share that is right.
    pub brier_of_base_rate: f64,
    /// Expected calibration error: mean over answers of the gap in their bin; 0 is best.
    pub calibration_error: f64,
    /// The bins, from 0 up; empty ones too.
    pub bins: Vec<Bin>,
}

/// Answers of about the same confidence.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Bin {
    /// Least confidence.
    pub from: f64,
    /// Most confidence, exclusive but for the last bin.
    pub to: f64,
    /// How many answers.
    pub count: usize,
    /// Their mean confidence; NaN when there are none.
    pub confidence: f64,
    /// Share of them that is right; NaN when there are none.
    pub right: f64,
}

/// The calibration of a policy.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Calibration {
    /// One entry for each population.
    pub populations: Vec<Reliability>,
    /// Incidents of storms that hold noise alone.
    pub noise_only: usize,
    /// Answers without a confidence; not judged.
    pub without_confidence: usize,
}

impl Calibration {
    /// Judges every answer in `given`.
    ///
    /// # Errors
    /// When a prediction is malformed.
    pub fn of(data: &Data, given: &Predictions) -> Result<Self> {
        let mut cases = Vec::new();
        let (mut several, mut single) = (Vec::new(), Vec::new());
        let (mut noise_only, mut without_confidence) = (0, 0);
        for set in &data.sets {
            for line in given.ranked.get(&set.name).into_iter().flatten() {
                let case = set.cases.iter().find(|case| case.name == line.case);
                let Some((case, first)) = case.zip(line.ranked.first()) else {
                    continue;
                };
                let right = case.truth.root_causes.contains(first);
                match line.confidence {
                    Some(confidence) => cases.push(Answer { confidence, right }),
                    None => without_confidence += 1,
                }
            }
        }
        for storm in &data.storms {
            let Some(lines) = given.members.get(&storm.name) else {
                continue;
            };
            for named in grouping::named(storm, lines)? {
                let to = if named.alerts > 1 { &mut several } else { &mut single };
                match (named.right, named.confidence) {
                    (None, _) => noise_only += 1,
                    (Some(_), None) => without_confidence += 1,
                    (Some(right), Some(confidence)) => to.push(Answer { confidence, right }),
                }
            }
        }
        let all = [cases.as_slice(), &several, &single].concat();
        let populations = vec![
            Reliability::of("cases", &cases),
            Reliability::of("incidents of storms, several alerts", &several),
            Reliability::of("incidents of storms, one alert", &single),
            Reliability::of("all", &all),
        ];
        Ok(Self { populations, noise_only, without_confidence })
    }

    /// The figures as Markdown.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = String::new();
        let mut line = |what: String| text += &(what + "\n");
        line("| confidence of | answers | right | Brier | base rate's | ECE |".to_owned());
        line("|---|---|---|---|---|---|".to_owned());
        for one in &self.populations {
            let Reliability { population, count, right, brier, brier_of_base_rate, .. } = one;
            let error = one.calibration_error;
            line(format!(
                "| {population} | {count} | {right:.3} | {brier:.3} | {brier_of_base_rate:.3} | \
                 {error:.3} |"
            ));
        }
        for one in &self.populations {
            line(format!(
                "\n| {} | count | mean confidence | right | gap |\n|---|---|---|---|---|",
                one.population
            ));
            for bin in one.bins.iter().filter(|bin| bin.count > 0) {
                let Bin { from, to, count, confidence, right } = bin;
                let gap = right - confidence;
                line(format!(
                    "| {from:.1} to {to:.1} | {count} | {confidence:.3} | {right:.3} | {gap:+.3} |"
                ));
            }
        }
        line(format!(
            "\nNot judged: {} incidents of storms that hold noise alone, {} answers without a \
             confidence.",
            self.noise_only, self.without_confidence
        ));
        text
    }
}

impl Reliability {
    /// Sorts answers into bins. Figures of no answers are NaN.
    #[must_use]
    pub fn of(population: &'static str, answers: &[Answer]) -> Self {
        let count = answers.len();
        let mean = |of: &dyn Fn(&Answer) -> f64| answers.iter().map(of).sum::<f64>() / count as f64;
        let right = mean(&|answer| truth(answer.right));
        let bins: Vec<Bin> = (0..BINS).map(|at| Bin::of(at, answers)).collect();
        let gap = |bin: &Bin| (bin.right - bin.confidence).abs() * bin.count as f64 / count as f64;
        let calibration_error = match count {
            0 => f64::NAN,
            _ => bins.iter().filter(|bin| bin.count > 0).map(gap).sum(),
        };
        Self {
            population,
            count,
            right,
            brier: mean(&|answer| (answer.confidence - truth(answer.right)).powi(2)),
            brier_of_base_rate: right * (1.0 - right),
            calibration_error,
            bins,
        }
    }
}

impl Bin {
    fn of(at: usize, answers: &[Answer]) -> Self {
        let bin = |confidence: f64| ((confidence * BINS as f64) as usize).min(BINS - 1);
        let inside: Vec<&Answer> = answers.iter().filter(|a| bin(a.confidence) == at).collect();
        let count = inside.len();
        let mean = |sum: f64| sum / count as f64;
        Self {
            from: at as f64 / BINS as f64,
            to: (at + 1) as f64 / BINS as f64,
            count,
            confidence: mean(inside.iter().map(|a| a.confidence).sum()),
            right: mean(inside.iter().map(|a| truth(a.right)).sum()),
        }
    }
}

fn truth(right: bool) -> f64 {
    f64::from(u8::from(right))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(list: &[(f64, usize, usize)]) -> Vec<Answer> {
        let some = |&(confidence, right, wrong): &(f64, usize, usize)| {
            let right = std::iter::repeat_n(true, right);
            let all = right.chain(std::iter::repeat_n(false, wrong));
            all.map(move |right| Answer { confidence, right }).collect::<Vec<_>>()
        };
        list.iter().flat_map(some).collect()
    }

    #[test]
    fn what_means_what_it_says_has_no_error() {
        let good = Reliability::of("x", &answers(&[(0.75, 3, 1), (0.25, 1, 3)]));
        assert!(good.calibration_error < 1e-12, "{good:?}");
        assert!((good.brier - 0.1875).abs() < 1e-12, "{good:?}");
        assert!((good.brier_of_base_rate - 0.25).abs() < 1e-12, "{good:?}");
    }

    #[test]
    fn overconfidence_is_an_error_of_its_size() {
        let sure = Reliability::of("x", &answers(&[(1.0, 1, 1), (0.1, 0, 2)]));
        assert!((sure.calibration_error - 0.3).abs() < 1e-12, "{sure:?}");
        assert_eq!(sure.bins[9].count, 2, "1 belongs to the last bin");
        assert_eq!(sure.bins[1].count, 2, "a bin holds its lower end");
        assert_eq!(sure.bins.iter().map(|bin| bin.count).sum::<usize>(), 4);
    }

    #[test]
    fn no_answers_have_no_figures() {
        let none = Reliability::of("x", &[]);
        assert!(none.brier.is_nan() && none.calibration_error.is_nan() && none.right.is_nan());
    }
}
