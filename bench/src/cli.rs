//! The command line of `hypocenter-bench`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};

use crate::commands::ARCHIVE;
use crate::commands::compare::{self, CompareArgs};
use crate::commands::engine::{self, EngineArgs};
use crate::commands::score::{self, ScoreArgs};
use crate::commands::state::{self, StateArgs};
use crate::commands::synth::{self, SynthArgs};
use crate::commands::tune::{self, TuneArgs};
use crate::required::Printed;
use crate::score::data::{Data, Split};
use crate::score::predictions::Predictions;
use crate::score::table;

/// Measures Hypocenter: accuracy against known faults, next to simple rules, and speed.
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
    Score(ScoreArgs),
    /// Search for better parameters on labelled data, judged on systems left out.
    ///
    /// Parameters are every number and duration under grouping, ranking, times and kinds.weights of
    /// the configuration. For each system they are picked on the others and judged on it; what is
    /// written is picked on all.
    Tune(TuneArgs),
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
    /// Draw synthetic faults, run Hypocenter over them and print its figures beside what is
    /// required of them.
    Synth(SynthArgs),
    /// Save and restore the state of an engine with many alerts, and print how fast that is.
    State(StateArgs),
    /// Measure what an event costs in this process: time, memory and allocations, by live alerts,
    /// size of the graph and what comes.
    Engine(EngineArgs),
    /// Compare two runs of `engine` and fail when the second one is worse beyond the noise.
    Compare(CompareArgs),
}

/// Reads the arguments of this process and does what they say.
///
/// # Errors
/// When data or predictions cannot be read, the output cannot be written, or a figure is not as
/// `--require` asks for.
pub fn run() -> Result<()> {
    let mut is_required = false;
    let printed = match Cli::parse().command {
        Command::Score(args) => {
            is_required = args.require;
            score::score(&args)?
        }
        Command::Tune(args) => Printed::plain(tune::tune(&args)?),
        Command::ScorePredictions { cases, split, predictions } => {
            let data = Data::read(&cases, split)?;
            let given = Predictions::read(&predictions, &data)?;
            Printed::plain(table::details(&data, &given)?)
        }
        Command::Synth(args) => {
            is_required = args.require;
            synth::synth(&args)?
        }
        Command::State(args) => Printed::plain(state::state(&args)?),
        Command::Engine(args) => Printed::plain(engine::engine(&args)?),
        Command::Compare(args) => Printed::plain(compare::compare(&args)?),
    };
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(printed.text.as_bytes()).context("write to standard output")?;
    let unmet = printed.unmet;
    ensure!(!is_required || unmet.is_empty(), "required and not met: {}", unmet.join("; "));
    Ok(())
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
