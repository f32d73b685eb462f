//! What the commands of the command line do.

pub mod check;
pub mod demo;
pub mod diff;
pub mod explain;
pub mod feedback;
pub mod mapping;
mod outputs;
pub mod reload;
pub mod replay;
pub mod run;
pub mod servers;
pub mod topology;
pub mod verdicts;

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use hypocenter_engine::Topology;

use crate::cli::{
    CheckCommand, Command, CommonArgs, FeedbackCommand, LogArgs, MappingCommand, SchemaCommand,
};
use crate::config::{Config, Log, RulesWatch};
use crate::feedback::Verdict;
use crate::file_error::FileError;
use crate::neighbours::{HoldTable, Holds};
use crate::topology_file::TopologyFile;

/// How a command failed, as the exit code says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Something failed while running.
    Runtime = 1,
    /// The command line asks for what cannot be meant.
    Usage = 2,
    /// A configuration, topology or recording is invalid.
    Invalid = 3,
    /// What was compared differs by more than is allowed.
    Gate = 4,
    /// An input is unavailable.
    Unavailable = 5,
}

/// Why a command failed: what, where, and how to mend it; one line for each thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The kind.
    pub exit: Exit,
    /// The lines.
    pub what: String,
}

impl Failure {
    /// A failure of a kind.
    #[must_use]
    pub fn new(exit: Exit, what: impl fmt::Display) -> Self {
        let what = what.to_string();
        Self { exit, what }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::new(Exit::Invalid, error)
    }
}

/// Does what was asked for.
///
/// # Errors
/// [`Failure`] with the exit code.
pub fn dispatch(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Run(args) => run::run(args),
        Command::Replay(args) => replay::replay(args),
        Command::Diff(args) => diff::diff(args),
        Command::Confirm(args) => feedback::judge(args, Verdict::Confirm),
        Command::Reject(args) => feedback::judge(args, Verdict::Reject),
        Command::Feedback(FeedbackCommand::Report(args)) => feedback::report(args),
        Command::Explain(args) => explain::explain(args),
        Command::Demo(args) => demo::demo(args),
        Command::Topology(command) => topology::topology(command),
        Command::Schema(SchemaCommand::Incident) => print(&crate::record::schema()),
        Command::Mapping(MappingCommand::Test(args)) => mapping::test::run(args),
        Command::Mapping(MappingCommand::Suggest(args)) => mapping::suggest::run(args),
        Command::Check(CheckCommand::Config(args)) => check::configs(args, &mut io::stdout()),
        Command::Check(CheckCommand::Topology(args)) => check::topologies(args, &mut io::stdout()),
    }
}

/// Writes text to standard output. A reader that has seen enough, such as `head`, is no fault.
fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Runtime, format!("cannot write standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// The configuration of a command: the file's if there is one, else the defaults; flags override.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn load_config(args: &CommonArgs) -> Result<Config, Failure> {
    let mut config = match &args.config_file {
        Some(file) => Config::load(file)?,
        None => Config::default(),
    };
    if let Some(file) = &args.topology {
        config.topology_file = Some(file.clone());
    }
    config.log = log_of(args.log, config.log);
    Ok(config)
}

/// How to log: as the flags say, else as `config` does.
#[must_use]
pub fn log_of(args: LogArgs, config: Log) -> Log {
    Log { level: args.level.unwrap_or(config.level), format: args.format.unwrap_or(config.format) }
}

/// The durations of rules that are known without asking anybody: those of the file, which need not
/// be there before the first answer of a Prometheus; else, where one will be asked, the shipped ones.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn load_holds(rules: &RulesWatch) -> Result<Holds, Failure> {
    Ok(match &rules.file {
        Some(file) if file.exists() => Holds::with(HoldTable::load(file)?),
        _ if rules.shipped && !rules.urls.is_empty() => Holds::with(HoldTable::shipped()),
        _ => Holds::default(),
    })
}

/// The topology of a configuration, and what was found in its file; empty when it names none.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn load_topology(file: Option<&Path>) -> Result<(Topology, Option<TopologyFile>), Failure> {
    let Some(file) = file else {
        return Ok((Topology::empty(), None));
    };
    let found = TopologyFile::load(file)?;
    Ok((found.topology.clone(), Some(found)))
}
