//! The command line of `hypocenter-bench`.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, Subcommand};

use crate::score::data::{Data, Split};
use crate::score::predictions::Predictions;
use crate::score::{hypocenter, table};

/// The development data that comes with the project, from the repository's root.
const ARCHIVE: &str = "fixtures/eval/dev.tar.gz";

/// Measures Hypocenter: accuracy against known faults, next to simple rules.
#[derive(Debug, Parser)]
#[command(name = "hypocenter-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run Hypocenter and the simple rules over labelled faults and print two Markdown tables.
    ///
    /// Without --cases and --storms, the archive in fixtures/eval is scored.
    Score {
        /// Single-fault cases: a set, a folder of sets, or a .tar.gz archive of them.
        #[arg(long, value_name = "DIR|ARCHIVE")]
        cases: Option<PathBuf>,
        /// Storms of overlapping faults: a storm, a folder of storms, or an archive of them.
        #[arg(long, value_name = "DIR|ARCHIVE")]
        storms: Option<PathBuf>,
        /// Which part of each set to score.
        #[arg(long, value_enum, default_value_t = Split::Dev)]
        split: Split,
        /// Also write Hypocenter's predictions there: SET.jsonl and STORM.jsonl.
        #[arg(long, value_name = "DIR")]
        predictions: Option<PathBuf>,
    },
    /// Print the figures of prediction files, whoever made them.
    ScorePredictions {
        /// Sets and storms: a folder or a .tar.gz archive.
        #[arg(long, value_name = "DIR|ARCHIVE", default_value = ARCHIVE)]
        cases: PathBuf,
        /// Which part of each set to score.
        #[arg(long, value_enum, default_value_t = Split::Dev)]
        split: Split,
        /// The folder with SET.jsonl and STORM.jsonl.
        #[arg(long, value_name = "DIR")]
        predictions: PathBuf,
    },
}

/// Reads the arguments of this process and does what they say.
///
/// # Errors
/// When data or predictions cannot be read, or the output cannot be written.
pub fn run() -> Result<()> {
    let text = match Cli::parse().command {
        Command::Score { cases, storms, split, predictions } => {
            let data = read(cases.as_deref(), storms.as_deref(), split)?;
            score(&data, predictions.as_deref())?
        }
        Command::ScorePredictions { cases, split, predictions } => {
            let data = Data::read(&cases, split)?;
            let given = Predictions::read(&predictions, &data)?;
            table::details(&data, &given)?
        }
    };
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes()).context("write to standard output")
}

/// Sets from `cases` and storms from `storms`, or both from the project's archive.
fn read(cases: Option<&Path>, storms: Option<&Path>, split: Split) -> Result<Data> {
    if cases.is_none() && storms.is_none() {
        ensure!(
            Path::new(ARCHIVE).is_file(),
            "no {ARCHIVE} in the current directory: run from the repository's root, \
             or name the data with --cases and --storms"
        );
        return Data::read(Path::new(ARCHIVE), split);
    }
    let mut data = Data::default();
    if let Some(path) = cases {
        data.sets = Data::read(path, split)?.sets;
        ensure!(
            !data.sets.is_empty(),
            "{}: no set of cases in it (a folder with split.json)",
            path.display()
        );
    }
    if let Some(path) = storms {
        data.storms = Data::read(path, split)?.storms;
        ensure!(
            !data.storms.is_empty(),
            "{}: no storm in it (a folder with alerts.truth.jsonl)",
            path.display()
        );
    }
    Ok(data)
}

fn score(data: &Data, write_to: Option<&Path>) -> Result<String> {
    let subject = hypocenter::subject();
    let given = match &subject {
        Some(subject) => Some(Predictions::make(data, subject)?),
        None => None,
    };
    match (write_to, &given) {
        (Some(dir), Some(given)) => given.write(dir)?,
        (Some(_), None) => bail!("--predictions: this build has no engine to make predictions"),
        (None, _) => {}
    }
    let mut parts =
        vec![table::ranking(data, given.as_ref())?, table::grouping(data, given.as_ref())?];
    if let Some(given) = &given {
        parts.push(table::details(data, given)?);
    }
    parts.retain(|part| !part.is_empty());
    Ok(parts.join("\n"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
