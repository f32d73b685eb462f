//! What has changed from one configuration to the next, and whether it can be exchanged.

use hypocenter_engine::PolicySpec;

use crate::config::{Accept, Config};

/// Names of settings that differ.
#[derive(Debug, Default)]
pub(super) struct Difference {
    /// What a running process exchanges.
    pub(super) exchanged: Vec<&'static str>,
    /// What it cannot, with the reason.
    pub(super) fixed: Vec<&'static str>,
}

impl Difference {
    pub(super) fn between(running: &Config, found: &Config) -> Self {
        let (ours, theirs) = (running.policy.spec(), found.policy.spec());
        let bytes = |accept: &Accept| accept.body_bytes_max;
        let exchanged = [
            ("outputs", running.outputs != found.outputs),
            ("mapping", ours.mapping != theirs.mapping),
            ("kinds", ours.kinds != theirs.kinds),
            ("annotations", running.annotations != found.annotations),
            ("limits.label*", running.accept.labels != found.accept.labels),
            ("neighbours.rules", running.neighbours.rules != found.neighbours.rules),
            ("log.level", running.log.level != found.log.level),
        ];
        let fixed = [
            (
                "input (where alerts come from, and what has been read)",
                running.input != found.input,
            ),
            (
                "labels, weights, times, grouping, ranking or limits (they are in the figures of \
                 incidents that live)",
                PolicySpec {
                    mapping: theirs.mapping.clone(),
                    kinds: theirs.kinds.clone(),
                    ..ours.clone()
                } != *theirs,
            ),
            (
                "limits.body_bytes_max (of the server)",
                bytes(&running.accept) != bytes(&found.accept),
            ),
            ("topology.sources or topology.cache", running.topology != found.topology),
            ("web (addresses that are listened at, paths, bounds)", running.web != found.web),
            (
                "neighbours.resync (asked at the start only)",
                running.neighbours.resync != found.neighbours.resync,
            ),
            ("state (where snapshots are)", running.state != found.state),
            ("feedback", running.feedback != found.feedback),
            ("log.format", running.log.format != found.log.format),
        ];
        let names = |list: &[(&'static str, bool)]| {
            list.iter().filter(|(_, differs)| *differs).map(|(name, _)| *name).collect()
        };
        Self { exchanged: names(&exchanged), fixed: names(&fixed) }
    }
}
