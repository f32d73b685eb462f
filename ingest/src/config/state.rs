//! `state`: where snapshots are kept.

use std::path::PathBuf;
use std::time::Duration;

use super::input::Input;
use crate::yaml::section::Section;

/// Where snapshots are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    /// The directory; `None`: nothing is kept on disk.
    pub dir: Option<PathBuf>,
    /// How often a snapshot is taken.
    pub interval: Duration,
}

impl Default for State {
    fn default() -> Self {
        Self { dir: None, interval: Duration::from_secs(30) }
    }
}

pub(super) fn read(s: &mut Section<'_, '_>, input: &Input, into: &mut State) {
    let mut dir = None;
    s.optional("dir", &mut dir);
    into.dir = dir.map(PathBuf::from);
    s.duration("interval", &mut into.interval);
    if into.interval < Duration::from_millis(100) {
        s.problem("interval", "is less than 100ms");
    }
    if into.dir.is_some() && !matches!(input, Input::Kafka(_)) {
        s.problem(
            "dir",
            "is for an input of type kafka: what comes by other ways cannot be read again after a \
             restart",
        );
    }
}
