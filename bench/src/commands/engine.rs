//! `engine`: what an event costs in this process.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail, ensure};
use clap::{Args, ValueEnum};
use hypocenter_engine::Policy;

use super::config;
use crate::measure::engine::{Case, Row, Run, measure};
use crate::measure::machine::Machine;
use crate::measure::results;
use crate::synth::workload::{Mix, Size, Workload};

/// Whether bytes are decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Stages {
    /// From the bytes of a record to its decisions.
    Decode,
    /// The engine alone, on events that are decoded already.
    Engine,
    /// Both, one after the other.
    Both,
}

/// Arguments of `engine`.
#[derive(Args, Clone, Debug)]
pub struct EngineArgs {
    /// Alerts that fire when measuring begins; several, separated by commas.
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_value = "1000,100000")]
    pub live: Vec<usize>,
    /// Services of the graph; several, separated by commas.
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_value = "1000")]
    pub services: Vec<usize>,
    /// What comes; several, separated by commas [default: all].
    #[arg(long, value_enum, value_name = "MIX,..", value_delimiter = ',')]
    pub mix: Vec<Mix>,
    /// Whether decoding is measured.
    #[arg(long, value_enum, default_value_t = Stages::Both)]
    pub stages: Stages,
    /// Messages to measure in each case [default: 50,000 of new and storm; of others six rounds of
    /// the population, 200,000 at least].
    #[arg(long, value_name = "N")]
    pub events: Option<u64>,
    /// Everything that is drawn follows from it.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// A configuration file, as the daemon reads it, whose policy is used [default: all defaults].
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Append the run to this file, as a line of JSON.
    #[arg(long, value_name = "FILE")]
    pub results: Option<PathBuf>,
    /// Fail when a repeat allocates memory.
    #[arg(long)]
    pub no_allocations: bool,
    /// Fail when the median cost of a message, of any mix, grows by more than this factor from the
    /// fewest live alerts to the most.
    #[arg(long, value_name = "FACTOR")]
    pub live_growth_max: Option<f64>,
    /// The same from the smallest graph to the largest.
    #[arg(long, value_name = "FACTOR")]
    pub services_growth_max: Option<f64>,
}

/// Measures; what is to be printed.
///
/// # Errors
/// When the policy cannot be read, the results cannot be written, or a limit that was asked for
/// does not hold.
pub fn engine(args: &EngineArgs) -> Result<String> {
    let run = measure_all(args)?;
    if let Some(file) = &args.results {
        results::append(file, &run)?;
    }
    let mut text = table(&run);
    let growth = growths(&run.rows);
    for growth in &growth {
        writeln!(text, "{}", growth.text)?;
    }
    let failures = failures(args, &run, &growth);
    if !failures.is_empty() {
        bail!("{text}\n{}", failures.join("\n"));
    }
    Ok(text)
}

fn measure_all(args: &EngineArgs) -> Result<Run> {
    let (least, most) = (args.live.iter().min(), args.live.iter().max());
    ensure!(least.is_some_and(|&live| live > 0), "--live needs a number, 1 at least");
    ensure!(args.services.iter().all(|&n| n >= 100), "--services is 100 at least");
    let policy = roomy(args.policy.as_deref(), most.copied().unwrap_or_default())?;
    let mixes = if args.mix.is_empty() { Mix::ALL.to_vec() } else { args.mix.clone() };
    let stages: &[bool] = match args.stages {
        Stages::Decode => &[true],
        Stages::Engine => &[false],
        Stages::Both => &[true, false],
    };
    let mut rows = Vec::new();
    let machine = Machine::here();
    for (&services, &live) in
        args.services.iter().flat_map(|s| args.live.iter().map(move |l| (s, l)))
    {
        let size = Size { services, live, seed: args.seed };
        let workload = Workload::new(size);
        for (&mix, &decode) in mixes.iter().flat_map(|mix| stages.iter().map(move |s| (mix, s))) {
            let events = args.events.unwrap_or(match mix {
                Mix::New | Mix::Storm => 50_000,
                _ => (6 * live as u64).max(200_000),
            });
            let row = measure(&Case { size, mix, decode, events }, &workload, &policy);
            eprintln!("{}", progress(&row));
            rows.push(row);
        }
    }
    let command = "engine".to_owned();
    let at = hypocenter::record::rfc3339(hypocenter::clock::wall());
    let policy = format!("{:016x}", policy.hash());
    Ok(Run { command, at, machine, seed: args.seed, policy, rows })
}

/// The policy, with room for the population and what comes.
fn roomy(file: Option<&Path>, live: usize) -> Result<Policy> {
    let policy = config(file)?.policy;
    let mut spec = policy.spec().clone();
    let room = u32::try_from(live + live / 2 + 1_000_000)?;
    spec.limits.alerts_max = spec.limits.alerts_max.max(room);
    Policy::new(spec).map_err(|errors| anyhow!("the policy: {errors:?}"))
}

fn progress(row: &Row) -> String {
    let Row { live, services, mix, ns, .. } = row;
    let what = if row.decode { "decode and engine" } else { "engine" };
    format!("{mix}, {live} live, {services} services, {what}: {:.0} ns", ns.p50)
}

fn table(run: &Run) -> String {
    let Machine { commit, processor, cores, memory_mib, kernel, load } = &run.machine;
    let mut text = format!(
        "commit {commit}, {processor}, {cores} cores, {memory_mib} MiB, kernel {kernel}, load \
         {load}, seed {}, policy {}\n\n\
         Nanoseconds for each message: medians and tails are of batches of 512, which hide what \
         lies within.\n\n\
         | mix | live | services | stages | ns p50 | min | p10 | p90 | p99 | mean | events/s | \
         allocations | bytes/alert | fill ns | incidents | workload | decisions |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
        run.seed, run.policy
    );
    for row in &run.rows {
        let Row { mix, live, services, ns, .. } = row;
        let stages = if row.decode { "decode+engine" } else { "engine" };
        text.push_str(&format!(
            "| {mix} | {live} | {services} | {stages} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | \
             {:.0} | {:.0} | {:.3} | {:.0} | {:.0} | {} | {} | {} |\n",
            ns.p50,
            ns.min,
            ns.p10,
            ns.p90,
            ns.p99,
            ns.mean,
            row.per_second(),
            row.allocations,
            row.bytes_per_alert,
            row.fill_ns,
            row.incidents,
            row.workload,
            row.decisions,
        ));
    }
    text.push('\n');
    text
}

/// How much more a message costs in a larger world.
struct Growth {
    factor: f64,
    /// Live alerts grow, else services.
    of_live: bool,
    text: String,
}

fn growths(rows: &[Row]) -> Vec<Growth> {
    let mut found = Vec::new();
    for of_live in [true, false] {
        let size = |row: &Row| if of_live { row.live } else { row.services };
        let rest = |row: &Row| if of_live { row.services } else { row.live };
        let is_alike =
            |a: &Row, b: &Row| (&a.mix, a.decode, rest(a)) == (&b.mix, b.decode, rest(b));
        for (at, row) in rows.iter().enumerate() {
            let alike = || rows.iter().filter(|other| is_alike(row, other));
            let smallest = alike().min_by_key(|row| size(row));
            let largest = alike().max_by_key(|row| size(row));
            let is_first = rows[..at].iter().all(|before| !is_alike(before, row));
            let (Some(small), Some(large)) = (smallest, largest) else { continue };
            if !is_first || size(small) == size(large) {
                continue;
            }
            let factor = large.ns.p50 / small.ns.p50.max(1.0);
            let (what, kept) = match of_live {
                true => ("live alerts", "services"),
                false => ("services", "live alerts"),
            };
            let stages = if row.decode { "decode and engine" } else { "engine" };
            let text = format!(
                "growth {factor:.2}: {}, {stages}, from {} to {} {what}, {} {kept}",
                row.mix,
                size(small),
                size(large),
                rest(row)
            );
            found.push(Growth { factor, of_live, text });
        }
    }
    found
}

fn failures(args: &EngineArgs, run: &Run, growths: &[Growth]) -> Vec<String> {
    let mut failures = Vec::new();
    let repeats = |row: &&Row| row.mix == Mix::Duplicates.name() && row.allocations > 0.0;
    if args.no_allocations {
        let failure = |row: &Row| {
            format!(
                "{}: {} allocations for each repeat, none allowed",
                progress(row),
                row.allocations
            )
        };
        failures.extend(run.rows.iter().filter(repeats).map(failure));
    }
    for growth in growths {
        let max = if growth.of_live { args.live_growth_max } else { args.services_growth_max };
        if let Some(max) = max.filter(|&max| growth.factor > max) {
            failures.push(format!("{}: more than {max}", growth.text));
        }
    }
    failures
}
