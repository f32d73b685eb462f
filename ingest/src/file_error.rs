//! All that is wrong with a file, shown at once.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::yaml::Problem;

/// Most problems of one file that are shown; the rest is counted.
pub const PROBLEMS_SHOWN_MAX: usize = 50;

/// A file that cannot be used, with everything that is wrong in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileError {
    file: PathBuf,
    problems: Vec<Problem>,
}

impl FileError {
    pub(crate) fn new(file: &Path, problems: Vec<Problem>) -> Self {
        let file = file.to_owned();
        Self { file, problems }
    }

    /// Everything that is wrong, in the order of the file.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.problems.iter().take(PROBLEMS_SHOWN_MAX).enumerate() {
            let line = if n == 0 { "" } else { "\n" };
            let space = if problem.at.is_some() { "" } else { " " };
            write!(f, "{line}{}:{space}{problem}", self.file.display())?;
        }
        match self.problems.len().saturating_sub(PROBLEMS_SHOWN_MAX) {
            0 => Ok(()),
            more => write!(f, "\n{}: and {more} more", self.file.display()),
        }
    }
}

impl std::error::Error for FileError {}
