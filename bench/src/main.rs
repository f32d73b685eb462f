//! Harness command line; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    match hypocenter_bench::cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hypocenter-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
