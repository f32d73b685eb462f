//! `score`: Hypocenter and the simple rules over labelled faults.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use hypocenter::config::Config;
use serde::Serialize;
use serde_json::{Value, json};

use super::tune::SearchArgs;
use super::{DataArgs, config, policy_text, write};
use crate::required::{self, Printed};
use crate::score::calibration::Calibration;
use crate::score::data::Data;
use crate::score::evaluation::Evaluation;
use crate::score::hypocenter::Hypocenter;
use crate::score::predictions::Predictions;
use crate::score::{ablation, grouping, table};
use crate::tune::measure::Measure;
use crate::tune::space::Space;

/// Arguments of `score`.
#[derive(Args, Clone, Debug)]
pub struct ScoreArgs {
    /// Which data.
    #[command(flatten)]
    pub data: DataArgs,
    /// A configuration file, as the daemon reads it, whose policy is scored [default: all defaults].
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Also write Hypocenter's predictions there: SET.jsonl and STORM.jsonl.
    #[arg(long, value_name = "DIR")]
    pub predictions: Option<PathBuf>,
    /// Print instead what is left with each term and mechanism switched off, one a line.
    #[arg(long)]
    pub ablate: bool,
    /// Print instead how far confidence means what it says.
    #[arg(long)]
    pub calibration: bool,
    /// Print instead what such a policy gets on systems that it was not tuned on: for each system,
    /// its parameters are picked on the others, as `tune` does by default. Takes minutes.
    #[arg(long)]
    pub leave_one_out: bool,
    /// Fail when a figure is not as required of the default policy on the project's own data.
    #[arg(long, conflicts_with_all = ["cases", "storms", "ablate", "calibration", "leave_one_out"])]
    pub require: bool,
    /// Also write the figures there, as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Scores; what is to be printed.
///
/// # Errors
/// When data or policy cannot be read, or a file cannot be written.
pub fn score(args: &ScoreArgs) -> Result<Printed> {
    let data = args.data.read()?;
    let config = config(args.policy.as_deref())?;
    let policy_hash = config.policy.hash();
    let given = Predictions::make(&data, &Hypocenter::new(config.clone()))?;
    if let Some(dir) = &args.predictions {
        given.write(dir)?;
    }
    let evaluation = Evaluation::of(&data, &given)?;
    let calibration = Calibration::of(&data, &given)?;
    let ablation = if args.ablate { ablation::run(&data, &config)? } else { Vec::new() };
    if let Some(path) = &args.json {
        let report = Report {
            engine: env!("CARGO_PKG_VERSION"),
            policy: format!("{policy_hash:016x}"),
            data: &data.hash,
            figures: figures(&evaluation),
            calibration: &calibration,
            ablation: &ablation,
        };
        write(path, &(serde_json::to_string_pretty(&report)? + "\n"))?;
    }
    let mut parts = Vec::new();
    if args.ablate {
        parts.push(ablation::table(&ablation));
    }
    if args.calibration {
        parts.push(calibration.table());
    }
    if args.leave_one_out {
        parts.push(leave_one_out(&data, args, config)?);
    }
    let mut unmet = Vec::new();
    if parts.is_empty() {
        parts = tables(&data, &given)?;
        if args.data.is_development() {
            let required = required::on_development_data(&evaluation.headline());
            // Behind the two tables that compare, before the details.
            parts.insert(2, required.text);
            unmet = required.unmet;
        }
    }
    Ok(Printed { text: parts.join("\n"), unmet })
}

fn leave_one_out(data: &Data, args: &ScoreArgs, config: Config) -> Result<String> {
    let space = Space::new(&policy_text(args.policy.as_deref())?, config, &[])?;
    let search = SearchArgs::default();
    let mut measure = Measure::new(&space, data, search.jobs);
    let found = search.find(&mut measure, data)?;
    Ok(format!("{search}\n\n{}", found.table(&measure, &search.objective)))
}

fn tables(data: &Data, given: &Predictions) -> Result<Vec<String>> {
    let mut parts = vec![
        table::ranking(data, Some(given))?,
        table::grouping(data, Some(given))?,
        table::details(data, given)?,
    ];
    parts.retain(|part| !part.is_empty());
    Ok(parts)
}

/// What `--json` writes. Figures that cannot be computed are null.
#[derive(Serialize)]
struct Report<'a> {
    /// Version of the engine.
    engine: &'static str,
    /// Hash of the policy.
    policy: String,
    /// Hash of the data.
    data: &'a str,
    figures: Value,
    calibration: &'a Calibration,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    ablation: &'a [ablation::Row],
}

fn figures(evaluation: &Evaluation) -> Value {
    let sets = evaluation.sets.iter().map(|(name, set)| {
        let figures =
            json!({"cases": set.cases, "top1": set.top1, "top3": set.top3, "mrr": set.mrr});
        (name.clone(), figures)
    });
    let storms = evaluation.storms.iter().map(|(name, storm)| {
        let figures = grouping::NAMES.iter().zip(storm.to_array());
        let figures = figures.map(|(name, figure)| ((*name).to_owned(), json!(figure)));
        (name.clone(), Value::Object(figures.collect()))
    });
    json!({
        "mean": evaluation.headline(),
        "sets": sets.collect::<serde_json::Map<_, _>>(),
        "storms": storms.collect::<serde_json::Map<_, _>>(),
    })
}
