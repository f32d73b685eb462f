//! `tune`: a search for better parameters, judged on systems left out.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

use super::{DataArgs, config, policy_text, write};
use crate::score::data::Data;
use crate::tune::measure::Measure;
use crate::tune::objective::Objective;
use crate::tune::report::{self, Found};
use crate::tune::search::{Bounds, Method};
use crate::tune::space::{Point, Space};

/// Most points of one search.
const EVALUATIONS: usize = 2000;
/// Least gain for which a parameter is moved.
const GAIN_MIN: f64 = 0.003;
/// Threads.
const JOBS: usize = 2;

/// Arguments of `tune`.
#[derive(Args, Clone, Debug)]
pub struct TuneArgs {
    /// Which data.
    #[command(flatten)]
    pub data: DataArgs,
    /// How to search.
    #[command(flatten)]
    pub search: SearchArgs,
    /// A configuration file to start from [default: all defaults].
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Also print accuracy against latency.
    #[arg(long)]
    pub front: bool,
    /// Write the policy that was picked on all data there, with where it comes from.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// How to search.
#[derive(Args, Clone, Debug)]
pub struct SearchArgs {
    /// Way through the space of parameters.
    #[arg(long, value_enum, default_value_t = Way::Coordinate)]
    pub method: Way,
    /// Search only parameters whose path begins so, such as ranking. or grouping.window; repeatable.
    #[arg(long = "parameter", value_name = "PATH")]
    pub parameters: Vec<String>,
    /// For the grid: a parameter and its values, such as grouping.window=1m,80s,2m; repeatable.
    #[arg(long, value_name = "PATH=VALUES")]
    pub axis: Vec<String>,
    /// What to make large: a weighted mean of top1, top3, f1, b3, quiet (1 - noise drawn in), root1
    /// (root@1), whole (1/frag), pure (1 - mixed).
    #[arg(long, value_name = "PART=WEIGHT,...", value_parser = Objective::parse,
          default_value_t = Objective::default())]
    pub objective: Objective,
    /// Most points that one search looks at; there is one for all data, and one without each system.
    #[arg(long, value_name = "N", default_value_t = EVALUATIONS)]
    pub evaluations: usize,
    /// Least gain in the objective for which a parameter is moved.
    #[arg(long, value_name = "GAIN", default_value_t = GAIN_MIN)]
    pub gain_min: f64,
    /// Lets a point be worse than the start on a system that it is picked with, as long as it gains
    /// on all together. Without it, none that it is picked with may lose.
    #[arg(long)]
    pub may_harm: bool,
    /// Seed of all chance.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Threads.
    #[arg(long, value_name = "N", default_value_t = JOBS)]
    pub jobs: usize,
}

/// Way through the space of parameters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Way {
    /// One parameter at a time, over and over, until nothing gains.
    Coordinate,
    /// Points at random around the start.
    Random,
    /// All combinations of the values given with --axis.
    Grid,
    /// No search: what each parameter does on its own.
    Sensitivity,
}

/// Searches; what is to be printed.
///
/// # Errors
/// When data or policy cannot be read, or the output cannot be written.
pub fn tune(args: &TuneArgs) -> Result<String> {
    // A long search may see the tree change under it.
    let commit = report::commit();
    let data = args.data.read()?;
    let text = policy_text(args.policy.as_deref())?;
    let config = config(args.policy.as_deref())?;
    let search = &args.search;
    ensure!(search.method == Way::Grid || search.axis.is_empty(), "--axis is for --method grid");
    let space = Space::new(&text, config, &search.parameters)?;
    let mut measure = Measure::new(&space, &data, search.jobs);
    let mut parts =
        vec![format!("{search} Data {}. {} parameters.\n", data.hash, space.parameters.len())];
    if search.method == Way::Sensitivity {
        ensure!(
            args.output.is_none(),
            "--method sensitivity picks nothing that --output could hold"
        );
        parts.push(report::sensitivity(&mut measure, &data, &search.objective)?);
    } else {
        let found = search.find(&mut measure, &data)?;
        parts.push(found.table(&measure, &search.objective));
        let policy = found.file(&measure, &about(search, &data, &measure, commit));
        if let Some(path) = &args.output {
            write(path, &policy)?;
        } else {
            parts.push(format!("```yaml\n{policy}```\n"));
        }
    }
    if args.front {
        parts.push(report::front(&measure, &data, &search.objective)?);
    }
    Ok(parts.join("\n"))
}

impl SearchArgs {
    /// Searches on all data, and once without each system.
    ///
    /// # Errors
    /// When the data cannot be read, or an axis is none.
    pub fn find(&self, measure: &mut Measure<'_>, data: &Data) -> Result<Found> {
        let method = match self.method {
            Way::Random => Method::Random,
            Way::Grid => {
                ensure!(!self.axis.is_empty(), "--method grid needs --axis PATH=VALUES");
                let axes = self.axis.iter().map(|axis| measure.space.axis(axis));
                Method::Grid(axes.collect::<Result<_>>()?)
            }
            Way::Coordinate | Way::Sensitivity => Method::Coordinate,
        };
        let Self { evaluations, gain_min, seed, may_harm, .. } = *self;
        let bounds = Bounds { evaluations, gain_min, seed, may_harm };
        measure.measure(&[Point::default()])?;
        report::find(measure, data, &method, &self.objective, bounds)
    }
}

impl Default for SearchArgs {
    /// What the command line has by default.
    fn default() -> Self {
        Self {
            method: Way::Coordinate,
            parameters: Vec::new(),
            axis: Vec::new(),
            objective: Objective::default(),
            evaluations: EVALUATIONS,
            gain_min: GAIN_MIN,
            may_harm: false,
            seed: 1,
            jobs: JOBS,
        }
    }
}

impl fmt::Display for SearchArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, objective, seed, gain_min, .. } = self;
        let method = method.to_possible_value().map_or(String::new(), |m| m.get_name().to_owned());
        let harm = if self.may_harm { "may be harmed" } else { "must not be harmed" };
        write!(
            f,
            "Objective: weighted mean of {objective}. Search: {method}, seed {seed}, least gain \
             {gain_min}, single systems {harm}."
        )
    }
}

/// Where a policy comes from.
fn about(
    search: &SearchArgs,
    data: &Data,
    measure: &Measure<'_>,
    commit: String,
) -> Vec<(&'static str, String)> {
    let command: Vec<String> = std::env::args().skip(1).collect();
    vec![
        ("command", format!("hypocenter-bench {}", command.join(" "))),
        ("working tree", commit),
        ("engine", env!("CARGO_PKG_VERSION").to_owned()),
        ("data", data.hash.clone()),
        ("objective", search.objective.to_string()),
        ("seed", search.seed.to_string()),
        ("policies measured", measure.count().to_string()),
    ]
}
