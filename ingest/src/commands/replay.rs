//! `replay`: recorded alerts through the same engine, as fast as it goes.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hypocenter_engine::{HashSeed, Suppressor};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Exit, Failure, load_config, load_holds, load_topology};
use crate::cli::ReplayArgs;
use crate::clock;
use crate::config::Config;
use crate::logging;
use crate::replay::Player;
use crate::shard::{Setup, ShardRunner};
use crate::source::file::{FileSource, LINE_BYTES_MAX};
use crate::source::{Input, Polled, Source};
use crate::wire::{BreachNames, Options};

/// Does what `replay` asks for.
///
/// # Errors
/// [`Failure`] with the exit code.
pub fn replay(args: &ReplayArgs) -> Result<(), Failure> {
    let config = load_config(&args.common)?;
    logging::init(config.log);
    let (topology, _) = load_topology(config.topology_file.as_deref())?;
    refuse_overwriting(args)?;
    let names = args.files.iter().map(|file| file.to_string_lossy().into_owned()).collect();
    let source = FileSource::open(names).map_err(|error| Failure::new(Exit::Unavailable, error))?;
    let mut decode = decode_options(&config);
    // A line of a file may be as long as the file source reads, whatever a network body may be.
    decode.body_bytes_max = LINE_BYTES_MAX;
    let holds = load_holds(&config.neighbours.rules)?;
    let setup = Setup { policy: config.policy, topology, seed: HashSeed(0), decode, holds };
    let members = args.members.as_deref().map(writer).transpose()?;
    let mut player = Player::new(writer(&args.output)?);
    let show = Show { quiet: args.quiet, started: Instant::now() };
    let (runner, faults) = play(source, &setup, &mut player, &show)?;
    player.finish().or_else(ignore_broken_pipe).map_err(|error| written(&args.output, &error))?;
    if let (Some(path), Some(out)) = (&args.members, members) {
        write_members(out, &player).map_err(|error| written(path, &error))?;
    }
    show.summary(&runner, &player);
    if !faults.is_empty() {
        return Err(Failure::new(Exit::Invalid, faults.join("\n")));
    }
    match player.summary().rejected {
        // A recording of which nothing could be read is not a recording.
        rejected if rejected > 0 && runner.engine().stats().events == 0 => {
            Err(Failure::new(Exit::Invalid, "no alert could be read: see the lines above"))
        }
        _ => Ok(()),
    }
}

/// An output must not be one of the files that are read, nor the other output.
fn refuse_overwriting(args: &ReplayArgs) -> Result<(), Failure> {
    let common = &args.common;
    let mut taken: Vec<&Path> = args.files.iter().map(PathBuf::as_path).collect();
    taken.extend(common.config_file.as_deref());
    taken.extend(common.topology.as_deref());
    for output in [Some(args.output.as_path()), args.members.as_deref()].into_iter().flatten() {
        // What does not exist yet, and `-`, is nobody's; devices such as /dev/null may be shared.
        let real = |path: &Path| path.canonicalize().ok().filter(|real| real.is_file());
        let same = |other: &&&Path| real(output).is_some() && real(output) == real(other);
        if let Some(other) = taken.iter().find(same) {
            let (output, other) = (output.display(), other.display());
            let what = format!("{output} would overwrite {other}; name another file to write to");
            return Err(Failure::new(Exit::Usage, what));
        }
        taken.push(output);
    }
    Ok(())
}

/// What the decoder accepts under a configuration.
#[must_use]
pub fn decode_options(config: &Config) -> Options {
    Options {
        labels: config.accept.labels,
        body_bytes_max: config.accept.body_bytes_max,
        breach: BreachNames {
            value: config.annotations.value.clone(),
            threshold: config.annotations.threshold.clone(),
        },
    }
}

fn play<W: Write>(
    mut source: FileSource,
    setup: &Setup,
    player: &mut Player<W>,
    show: &Show,
) -> Result<(ShardRunner, Vec<String>), Failure> {
    let progress = source.progress();
    let bar = show.bar(progress.total_bytes());
    let mut runner = None;
    let mut faults = Vec::new();
    loop {
        let polled = source.poll(Duration::ZERO, &mut |input| match input {
            Input::Assigned(assignment) => {
                runner = Some(ShardRunner::new(setup, assignment.shard.clone(), 0));
            }
            Input::Record(record) => {
                if let Some(runner) = &mut runner {
                    runner.record(&record, clock::wall(), player);
                }
            }
            Input::Batch(_) | Input::CaughtUp(_) | Input::Revoked(_) | Input::Lost(_) => {}
        });
        bar.set_position(progress.bytes_read());
        match polled {
            Ok(Polled::End) => break,
            Ok(_) if player.has_failed() => break,
            Ok(_) => {}
            // What was read before the damage counts, and so do the files after it.
            Err(error) => faults.push(error.to_string()),
        }
    }
    bar.finish_and_clear();
    for text in player.rejections() {
        let (place, reason) = text.split_once(' ').unwrap_or(("", text));
        let line = place.trim_end_matches(':').rsplit(':').next().unwrap_or_default();
        match line.parse().ok().and_then(|line| progress.place(line)) {
            Some((file, line)) => eprintln!("warning: {file}:{line}: {reason}"),
            None => eprintln!("warning: {text}"),
        }
    }
    if let Some(runner) = runner.as_ref().filter(|runner| runner.untimed() > 0) {
        eprintln!(
            "warning: {} alerts do not say when they were received: their own times, right or \
             wrong, drive the clock",
            runner.untimed(),
        );
    }
    let more = player.summary().rejected.saturating_sub(player.rejections().len() as u64);
    if more > 0 {
        eprintln!("warning: {more} further rejections are not shown");
    }
    match runner {
        Some(runner) => Ok((runner, faults)),
        None => Err(Failure::new(Exit::Invalid, "nothing to read")),
    }
}

fn writer(path: &Path) -> Result<Box<dyn Write>, Failure> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(BufWriter::new(io::stdout())));
    }
    let file = File::create(path).map_err(|error| written(path, &error))?;
    Ok(Box::new(BufWriter::new(file)))
}

fn write_members<W: Write>(mut out: Box<dyn Write>, player: &Player<W>) -> io::Result<()> {
    for line in player.members() {
        serde_json::to_writer(&mut out, &line)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

fn written(path: &Path, error: &io::Error) -> Failure {
    let path = path.display();
    Failure::new(Exit::Runtime, format!("cannot write {path}: {error}; check path and space"))
}

/// A reader that has seen enough, such as `head`, is no fault.
fn ignore_broken_pipe(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}

/// What a replay shows on standard error.
struct Show {
    quiet: bool,
    started: Instant,
}

impl Show {
    fn bar(&self, total: Option<u64>) -> ProgressBar {
        if self.quiet || !io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(total.unwrap_or(0));
        let style = "{bar:40} {bytes}/{total_bytes} {elapsed} left {eta}";
        bar.set_style(ProgressStyle::with_template(style).unwrap_or(ProgressStyle::default_bar()));
        bar
    }

    fn summary<W: Write>(&self, runner: &ShardRunner, player: &Player<W>) {
        if self.quiet {
            return;
        }
        let (stats, summary) = (runner.engine().stats(), player.summary());
        let seconds = self.started.elapsed().as_secs_f64();
        let reasons = Suppressor::ALL.map(|by| (by.name(), stats.suppressed_by(by)));
        let reasons = reasons.iter().filter(|(_, n)| *n > 0).map(|(by, n)| format!("{by} {n}"));
        let reasons = reasons.collect::<Vec<_>>().join(", ");
        let reasons = if reasons.is_empty() { reasons } else { format!(" ({reasons})") };
        let suppressed: u64 = stats.suppressed.iter().sum();
        eprintln!(
            "{} events -> {} incidents ({} open, {} merged away), {} records",
            stats.events,
            stats.opened - stats.merged,
            runner.engine().incidents_live(),
            stats.merged,
            summary.records,
        );
        eprintln!(
            "repeats {}, resolves {} (+{} expired, {} unknown), placed {}, suppressed {suppressed}{reasons}, \
             shed {}, rejected {}",
            stats.repeats,
            stats.resolves,
            stats.expired,
            stats.resolves_unknown,
            stats.placed,
            stats.shed,
            summary.rejected,
        );
        let latency = &summary.latency;
        let micros = |quantile| latency.value_at_quantile(quantile) as f64 / 1e3;
        eprintln!(
            "{seconds:.2} s, {:.0} events/s; decision latency p50 {:.1} p99 {:.1} p99.9 {:.1} \
             max {:.1} µs",
            stats.events as f64 / seconds.max(1e-9),
            micros(0.5),
            micros(0.99),
            micros(0.999),
            latency.max() as f64 / 1e3,
        );
    }
}
