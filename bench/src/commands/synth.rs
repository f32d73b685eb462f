//! `synth`: Hypocenter over synthetic faults.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

use super::config;
use crate::required::Printed;
use crate::synth::{Draw, Kind, Options, report, scenarios, write};

/// Sizes of large graphs. In smaller ones there is no place for some faults.
const SERVICES: RangeInclusive<usize> = 1_000..=1_000_000;

/// Arguments of `synth`.
#[derive(Args, Clone, Debug)]
pub struct SynthArgs {
    /// Only this kind; may be given several times [default: all kinds].
    #[arg(long, value_enum, value_name = "KIND")]
    pub kind: Vec<Kind>,
    /// Services in each large graph.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub services: usize,
    /// Services that depend on the largest hub of a large graph [default: a tenth of them].
    #[arg(long, value_name = "N")]
    pub hub: Option<usize>,
    /// Seeds of large graphs, from A to B; A also tells samples of small graphs apart.
    #[arg(long, value_name = "A..B", default_value = "1..3", value_parser = seeds)]
    pub seeds: RangeInclusive<u64>,
    /// Draws of each kind that needs many [default: 100 slow incidents, 20 pairs of faults].
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// A configuration file, as the daemon reads it, whose policy is used [default: all defaults].
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Fail when a figure is not as required.
    #[arg(long, conflicts_with = "write")]
    pub require: bool,
    /// Write the scenarios there, a folder each in the form of recorded storms, and measure
    /// nothing.
    #[arg(long, value_name = "DIR")]
    pub write: Option<PathBuf>,
}

/// Draws, and measures or writes; what is to be printed.
///
/// # Errors
/// When the policy cannot be read, or a file cannot be written.
pub fn synth(args: &SynthArgs) -> Result<Printed> {
    let kinds = match args.kind.as_slice() {
        [] => Kind::value_variants(),
        some => some,
    };
    let SynthArgs { services, hub, count, .. } = *args;
    ensure!(
        SERVICES.contains(&services),
        "--services is {services}, allowed is {} to {}",
        SERVICES.start(),
        SERVICES.end()
    );
    ensure!(
        hub.is_none_or(|hub| hub <= services / 2),
        "--hub is more than half of the {services} services: name fewer"
    );
    ensure!(count != Some(0), "--count is 0: leave it out, or draw one at least");
    let options = Options { services, hub, seeds: args.seeds.clone(), count };
    let draws: Vec<Draw> = kinds.iter().flat_map(|&kind| scenarios(kind, &options)).collect();
    let Some(dir) = &args.write else {
        return report(&draws, &config(args.policy.as_deref())?.policy);
    };
    let mut written = 0;
    for make in draws.iter().flat_map(|draw| &draw.makers) {
        write::write(&make(), dir)?;
        written += 1;
    }
    Ok(Printed::plain(format!("{written} scenarios in {}\n", dir.display())))
}

/// Seeds from the first to the last: `1..3` is 1, 2 and 3.
fn seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text:?}: {error}"));
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(format!("{first} is more than {last}: write the smaller seed first"));
    }
    Ok(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_range_or_one() {
        assert_eq!(seeds("1..3"), Ok(1..=3));
        assert_eq!(seeds("7"), Ok(7..=7));
        assert!(seeds("3..1").is_err_and(|error| error.contains("more than")));
        assert!(seeds("a..2").is_err_and(|error| error.contains("\"a\"")));
    }
}
