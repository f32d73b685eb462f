//! Command line of Hypocenter.

use std::process::ExitCode;

use clap::Parser;
use hypocenter::cli::Cli;
use hypocenter::commands::dispatch;

fn main() -> ExitCode {
    match dispatch(&Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            for line in failure.what.lines() {
                eprintln!("error: {line}");
            }
            ExitCode::from(failure.exit as u8)
        }
    }
}
