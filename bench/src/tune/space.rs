//! What can be searched: every number and duration of the policy sections of the configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use hypocenter::config::{Config, DEFAULT_YML};
use hypocenter::duration;

use super::tree::Tree;

/// Sections whose numbers are searched.
const SEARCHED: [&str; 4] = ["grouping.", "ranking.", "times.", "kinds.weights."];

/// Sections that a policy file has.
const POLICY: [&str; 8] =
    ["labels", "mapping", "kinds", "grouping", "ranking", "times", "limits", "annotations"];

/// Parameters that are no matter of accuracy: what confidence is, and not who is first; how long
/// things are remembered, and when they are told. What figures gain by them is an artefact.
const NOT_ACCURACY: [&str; 8] = [
    "ranking.temperature",
    "ranking.none_score",
    "ranking.low_confidence",
    "times.resolve_timeout",
    "times.lateness",
    "times.settle_for",
    "times.quiet_for",
    "times.retain_for",
];

/// A number or duration of the configuration.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Number {
    /// A fraction.
    Fraction(f64),
    /// A count.
    Whole(u64),
    /// Milliseconds.
    Millis(u64),
}

/// Something that can be searched.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its keys, joined by dots.
    pub path: String,
    /// What it is in the policy that the search starts from.
    pub base: Number,
}

/// What differs from the policy that the search starts from, by path.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Point(pub BTreeMap<String, Number>);

/// The parameters, and the policy around which they are searched.
#[derive(Clone, Debug)]
pub struct Space {
    /// What is searched, in the order of the reference manual.
    pub parameters: Vec<Parameter>,
    base: Config,
    tree: Tree,
}

impl Space {
    /// The space around a configuration, given as text and as it was read: parameters whose path
    /// begins with one of `wanted`, or all.
    ///
    /// # Errors
    /// When nothing is wanted that there is.
    pub fn new(text: &str, base: Config, wanted: &[String]) -> Result<Self> {
        let manual = Tree::parse(DEFAULT_YML).context("the reference manual")?;
        let mut tree = Tree::parse(text)?;
        tree.retain(&POLICY);
        let is_wanted = |path: &str| {
            let named = wanted.iter().any(|one| path.starts_with(one.as_str()));
            let searched = SEARCHED.iter().any(|section| path.starts_with(section));
            searched && (named || wanted.is_empty() && !NOT_ACCURACY.contains(&path))
        };
        let mut parameters = Vec::new();
        for (path, default) in manual.leaves() {
            if is_wanted(&path) {
                let given = tree.get(&path).unwrap_or(&default).to_owned();
                if let Some(base) = number(&path, &given) {
                    parameters.push(Parameter { path, base });
                }
            }
        }
        ensure!(
            !parameters.is_empty(),
            "none of {} begins the path of a parameter, such as grouping.window or ranking.",
            wanted.join(", ")
        );
        Ok(Self { parameters, base, tree })
    }

    /// The configuration at a point; `None` where the policy refuses it.
    #[must_use]
    pub fn config(&self, point: &Point) -> Option<Config> {
        self.base.clone().with(&point.render()).ok()
    }

    /// A configuration file for a point: what the start had, with the point laid over it.
    #[must_use]
    pub fn file(&self, point: &Point) -> String {
        let mut tree = self.tree.clone();
        if tree.leaves().is_empty() || matches!(tree, Tree::Leaf(_)) {
            tree = Tree::Section(Vec::new());
        }
        for (path, number) in &point.0 {
            tree.set(path, &number.to_string());
        }
        tree.render()
    }

    /// The value of a parameter at a point.
    #[must_use]
    pub fn value(&self, parameter: &Parameter, point: &Point) -> Number {
        point.0.get(&parameter.path).copied().unwrap_or(parameter.base)
    }

    /// Reads `path=value,value`.
    ///
    /// # Errors
    /// When there is no such parameter, or a value is none.
    pub fn axis(&self, text: &str) -> Result<(Parameter, Vec<Number>)> {
        let (path, values) =
            text.split_once('=').with_context(|| format!("{text:?}: write path=value,value"))?;
        let Some(parameter) = self.parameters.iter().find(|one| one.path == path) else {
            bail!("{path}: there is no such parameter to search, see ingest/default.yml");
        };
        let values = values.split(',').map(|value| {
            number(path, value.trim()).with_context(|| format!("{path}: {value:?} is no value"))
        });
        Ok((parameter.clone(), values.collect::<Result<_>>()?))
    }
}

impl Point {
    /// This point with one parameter changed; the start's own value is left out.
    #[must_use]
    pub fn with(&self, parameter: &Parameter, value: Number) -> Self {
        let mut point = self.clone();
        if value == parameter.base {
            point.0.remove(&parameter.path);
        } else {
            point.0.insert(parameter.path.clone(), value);
        }
        point
    }

    /// As configuration text.
    #[must_use]
    pub fn render(&self) -> String {
        let mut tree = Tree::Section(Vec::new());
        for (path, number) in &self.0 {
            tree.set(path, &number.to_string());
        }
        tree.render()
    }
}

impl Number {
    /// Values to try around this one, nearest first; some may be refused by the policy.
    #[must_use]
    pub fn neighbours(self) -> Vec<Self> {
        const FACTORS: [f64; 8] = [0.85, 1.2, 0.7, 1.4, 0.5, 2.0, 0.25, 4.0];
        let mut list: Vec<Self> = match self {
            Self::Fraction(0.0) => [0.1, 0.3, 1.0, -0.3, -1.0].map(Self::Fraction).to_vec(),
            Self::Fraction(x) => {
                let scaled = FACTORS.map(|factor| Self::Fraction(rounded(x * factor)));
                // Shares end at 1, where a factor overshoots.
                let share = [0.0, (1.0 + x) / 2.0, 1.0].map(|x| Self::Fraction(rounded(x)));
                [scaled.as_slice(), &share].concat()
            }
            Self::Whole(n) => {
                let list = [n.saturating_sub(1), n + 1, n.saturating_sub(2), n + 2, n / 2, n * 2];
                list.map(Self::Whole).to_vec()
            }
            Self::Millis(n) => {
                FACTORS.map(|factor| Self::Millis((n as f64 * factor) as u64)).to_vec()
            }
        };
        list.retain(|&value| value != self);
        let mut seen = Vec::new();
        list.retain(|value| !seen.contains(value) && (seen.push(*value), true).1);
        list
    }

    /// This value times a factor.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        match self {
            Self::Fraction(x) => Self::Fraction(rounded(x * factor)),
            Self::Whole(n) => Self::Whole((n as f64 * factor).round() as u64),
            Self::Millis(n) => Self::Millis((n as f64 * factor).round() as u64),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Fraction(x) => write!(f, "{x}"),
            Self::Whole(n) => write!(f, "{n}"),
            Self::Millis(n) => f.write_str(&duration::format(Duration::from_millis(n))),
        }
    }
}

/// To three significant digits: a policy that needs more is not understood.
fn rounded(x: f64) -> f64 {
    if x == 0.0 { x } else { format!("{x:.2e}").parse().unwrap_or(x) }
}

/// Reads a value as the configuration does: the policy itself says whether it takes fractions.
fn number(path: &str, text: &str) -> Option<Number> {
    if let Ok(x) = text.parse::<f64>() {
        let takes = |x: f64| {
            let point = Point([(path.to_owned(), Number::Fraction(x))].into());
            Config::parse(&point.render()).is_ok()
        };
        let fraction = x.fract() != 0.0 || [0.5, -0.5, 0.25].iter().any(|off| takes(x + off));
        return Some(if fraction { Number::Fraction(x) } else { Number::Whole(x as u64) });
    }
    let span = duration::parse(text).ok()?;
    Some(Number::Millis(u64::try_from(span.as_millis()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(text: &str, wanted: &[&str]) -> Space {
        let wanted: Vec<String> = wanted.iter().map(|&one| one.to_owned()).collect();
        Space::new(text, Config::parse(text).expect("valid"), &wanted).expect("a space")
    }

    #[test]
    fn every_number_of_the_policy_is_found_with_its_type() {
        let space = space("", &[]);
        let of = |path: &str| {
            space
                .parameters
                .iter()
                .find(|p| p.path == path)
                .unwrap_or_else(|| panic!("{path}"))
                .base
        };
        assert_eq!(of("grouping.hops_max"), Number::Whole(4));
        assert_eq!(of("grouping.flap_onsets"), Number::Whole(3));
        assert_eq!(of("grouping.claim_max"), Number::Fraction(4.0));
        assert_eq!(of("grouping.window"), Number::Millis(80_000));
        assert_eq!(of("ranking.silent_price"), Number::Fraction(0.5));
        assert_eq!(of("kinds.weights.client.claim"), Number::Fraction(-0.5));
        assert_eq!(of("kinds.weights.error.pull"), Number::Fraction(1.0));
        assert_eq!(of("times.merge_window"), Number::Millis(180_000));
        assert!(space.parameters.len() > 50, "{}", space.parameters.len());
        assert!(space.parameters.iter().all(|p| !p.path.contains("temperature")));
    }

    #[test]
    fn a_point_is_a_configuration_and_the_start_counts() {
        let space = space("ranking: {decay: 0.5}\nlabels: {tenant: team}", &["ranking."]);
        let decay = space.parameters.iter().find(|p| p.path == "ranking.decay").expect("decay");
        assert_eq!(decay.base, Number::Fraction(0.5));
        let point = Point::default().with(decay, Number::Fraction(0.25));
        let config = space.config(&point).expect("valid");
        assert_eq!(config.policy.spec().ranking.decay, 0.25);
        let file = Config::parse(&space.file(&point)).expect("valid");
        assert_eq!(file.policy.hash(), config.policy.hash(), "a file gives the same policy");
        assert_eq!(point.with(decay, Number::Fraction(0.5)), Point::default());
        assert!(space.config(&Point::default().with(decay, Number::Fraction(1.5))).is_none());
    }

    #[test]
    fn axes_are_read_and_refused() {
        let space = space("", &[]);
        let (parameter, values) = space.axis("grouping.window=1m, 90s").expect("an axis");
        assert_eq!(parameter.path, "grouping.window");
        assert_eq!(values, [Number::Millis(60_000), Number::Millis(90_000)]);
        for bad in ["grouping.window", "grouping.windows=1", "grouping.window=x"] {
            space.axis(bad).expect_err(bad);
        }
    }

    #[test]
    fn neighbours_differ_from_the_value_and_from_each_other() {
        for value in [Number::Fraction(0.8), Number::Whole(1), Number::Millis(1), Number::Whole(3)]
        {
            let list = value.neighbours();
            assert!(!list.is_empty() && !list.contains(&value), "{value:?}: {list:?}");
            for (at, one) in list.iter().enumerate() {
                assert!(!list[..at].contains(one), "{list:?}");
            }
        }
    }
}
