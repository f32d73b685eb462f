//! What the commands of `hypocenter-bench` do.

pub mod compare;
pub mod engine;
pub mod score;
pub mod state;
pub mod synth;
pub mod tune;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use hypocenter::config::Config;

use crate::score::data::{Data, Split};

/// The development data that comes with the project, from the repository's root.
pub const ARCHIVE: &str = "fixtures/eval/dev.tar.gz";

/// Which labelled data to use.
#[derive(Args, Clone, Debug)]
pub struct DataArgs {
    /// Single-fault cases: a set, a folder of sets, or a .tar.gz archive of them.
    #[arg(long, value_name = "DIR|ARCHIVE")]
    pub cases: Option<PathBuf>,
    /// Storms of overlapping faults: a storm, a folder of storms, or an archive of them.
    #[arg(long, value_name = "DIR|ARCHIVE")]
    pub storms: Option<PathBuf>,
    /// Which part of each set to use.
    #[arg(long, value_enum, default_value_t = Split::Dev)]
    pub split: Split,
}

impl DataArgs {
    /// Whether this is the development data that comes with the project.
    #[must_use]
    pub fn is_development(&self) -> bool {
        self.cases.is_none() && self.storms.is_none() && self.split == Split::Dev
    }

    /// Sets from `--cases` and storms from `--storms`, or both from the project's archive.
    ///
    /// # Errors
    /// When the data cannot be read.
    pub fn read(&self) -> Result<Data> {
        let split = self.split;
        if self.cases.is_none() && self.storms.is_none() {
            ensure!(
                Path::new(ARCHIVE).is_file(),
                "no {ARCHIVE} in the current directory: run from the repository's root, \
                 or name the data with --cases and --storms"
            );
            return Data::read(Path::new(ARCHIVE), split);
        }
        let mut data = Data::default();
        if let Some(path) = &self.cases {
            data.add_sets(Data::read(path, split)?);
            ensure!(
                !data.sets.is_empty(),
                "{}: no set of cases in it (a folder with split.json)",
                path.display()
            );
        }
        if let Some(path) = &self.storms {
            data.add_storms(Data::read(path, split)?);
            ensure!(
                !data.storms.is_empty(),
                "{}: no storm in it (a folder with alerts.truth.jsonl)",
                path.display()
            );
        }
        Ok(data)
    }
}

/// The configuration in a file, read as the daemon reads it; every default without one.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn config(policy: Option<&Path>) -> Result<Config> {
    match policy {
        Some(file) => Config::load(file).map_err(|error| anyhow!("{error}")),
        None => Ok(Config::default()),
    }
}

/// The text of that file; empty without one.
///
/// # Errors
/// That it cannot be read.
pub fn policy_text(policy: Option<&Path>) -> Result<String> {
    match policy {
        Some(file) => {
            std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))
        }
        None => Ok(String::new()),
    }
}

/// Writes a file.
///
/// # Errors
/// That it cannot be written.
pub fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
}
