//! `diff`: what two configurations make of the same recording.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hypocenter_engine::HashSeed;

use super::replay::decode_options;
use super::{Exit, Failure, load_holds, load_topology, log_of, print};
use crate::cli::{DiffArgs, Format};
use crate::clock;
use crate::config::{Config, Log};
use crate::diff::{Diff, Side};
use crate::logging;
use crate::shard::{Setup, ShardRunner};
use crate::source::file::{FileSource, LINE_BYTES_MAX};
use crate::source::{Input, Polled, Source};

/// Does what `diff` asks for.
///
/// # Errors
/// [`Failure`] with the exit code; [`Exit::Gate`] when they differ by more than is allowed.
pub fn diff(args: &DiffArgs) -> Result<(), Failure> {
    logging::init(log_of(args.log, Log::default()));
    let [a, b] = args.configs.as_slice() else {
        return Err(Failure::new(Exit::Usage, "give --config twice: the old one, then the new"));
    };
    if args.files.iter().any(|file| file == Path::new("-")) {
        let what = "standard input can be read once only; name files";
        return Err(Failure::new(Exit::Usage, what));
    }
    let play = |config: &PathBuf| play(config, args.topology.as_deref(), &args.files);
    let ((side_a, hash_a), (side_b, hash_b)) = (play(a)?, play(b)?);
    let (a, b) = (a.to_string_lossy(), b.to_string_lossy());
    let found = Diff::of((&side_a, (&a, hash_a)), (&side_b, (&b, hash_b)));
    match args.format {
        Format::Text => print(&found.to_string())?,
        Format::Json => match serde_json::to_string_pretty(&found) {
            Ok(text) => print(&(text + "\n"))?,
            Err(error) => unreachable!("a comparison is JSON: {error}"),
        },
    }
    let exceeded = args.gates().exceeded(&found);
    if exceeded.is_empty() { Ok(()) } else { Err(Failure::new(Exit::Gate, exceeded.join("; "))) }
}

/// What one configuration makes of the files, and the hash of its policy.
fn play(config: &Path, topology: Option<&Path>, files: &[PathBuf]) -> Result<(Side, u64), Failure> {
    let config = Config::load(config)?;
    let (topology, _) = load_topology(topology.or(config.topology_file.as_deref()))?;
    let mut decode = decode_options(&config);
    decode.body_bytes_max = LINE_BYTES_MAX;
    let hash = config.policy.hash();
    let holds = load_holds(&config.neighbours.rules)?;
    let setup = Setup { policy: config.policy, topology, seed: HashSeed(0), decode, holds };
    let names = files.iter().map(|file| file.to_string_lossy().into_owned()).collect();
    let mut source = FileSource::open(names).map_err(|e| Failure::new(Exit::Unavailable, e))?;
    let (mut side, mut runner) = (Side::default(), None);
    loop {
        let polled = source.poll(Duration::ZERO, &mut |input| match input {
            Input::Assigned(assignment) => {
                runner = Some(ShardRunner::new(&setup, assignment.shard.clone(), 0));
            }
            Input::Record(record) => {
                if let Some(runner) = &mut runner {
                    runner.record(&record, clock::wall(), &mut side);
                }
            }
            Input::Batch(_) | Input::CaughtUp(_) | Input::Revoked(_) | Input::Lost(_) => {}
        });
        match polled {
            Ok(Polled::End) => break,
            Ok(_) => {}
            // A damaged recording would compare less than was asked for.
            Err(error) => return Err(Failure::new(Exit::Invalid, error)),
        }
    }
    let events = runner.as_ref().map_or(0, |runner| runner.engine().stats().events);
    if events == 0 {
        return Err(Failure::new(Exit::Invalid, "no alert could be read from the files"));
    }
    Ok((side, hash))
}
