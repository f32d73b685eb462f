//! Reading the configuration again while it runs.
//!
//! So far nothing but the web configuration file is exchanged in a running process, and that is read
//! again by whoever uses it. So a reload checks: a wrong configuration is told, and so is a change
//! that waits for a restart. The old one goes on in both cases.

use std::sync::{Arc, OnceLock};

use tracing::{error, info};

use super::{Failure, load_config, load_topology, servers};
use crate::cli::RunArgs;
use crate::config::Config;
use crate::metrics::Metrics;

/// Reads the configuration again; an error is for people.
pub type Reload = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What is in force, and where it came from.
pub struct Reloader {
    args: RunArgs,
    metrics: Metrics,
    running: OnceLock<(Config, u64)>,
}

impl Reloader {
    /// Reads again what these arguments name.
    #[must_use]
    pub fn new(args: &RunArgs, metrics: &Metrics) -> Arc<Self> {
        let (args, metrics) = (args.clone(), metrics.clone());
        Arc::new(Self { args, metrics, running: OnceLock::new() })
    }

    /// Says what is in force: a configuration, and a version of the topology.
    pub fn runs(&self, config: &Config, topology: u64) {
        // The first one stays: nothing is exchanged.
        drop(self.running.set((config.clone(), topology)));
        self.metrics.reloaded(true);
    }

    /// The configuration that the arguments name now.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(args: &RunArgs) -> Result<Config, Failure> {
        let mut config = load_config(&args.common)?;
        servers::override_web(&mut config.web, args);
        Ok(config)
    }

    /// Reads the configuration and the topology again and checks them.
    ///
    /// # Errors
    /// Everything that is wrong with them, or the sections that have changed and need a restart.
    pub fn reload(&self) -> Result<(), String> {
        let outcome = self.check();
        self.metrics.reloaded(outcome.is_ok());
        match &outcome {
            Ok(()) => info!("the configuration is valid and in force"),
            Err(what) => error!("the configuration is not changed: {what}"),
        }
        outcome
    }

    fn check(&self) -> Result<(), String> {
        let Some((running, topology)) = self.running.get() else {
            return Err("still starting; ask again".to_owned());
        };
        let found = Self::load(&self.args).map_err(|failure| failure.to_string())?;
        servers::securities(&found).map_err(|error| error.to_string())?;
        let version = load_topology(found.topology_file.as_deref())
            .map_err(|failure| failure.to_string())?
            .0
            .version();
        let changed = [
            ("input", running.input != found.input),
            ("outputs", running.outputs != found.outputs),
            ("state", running.state != found.state),
            ("topology", version != *topology),
            (
                "labels, mapping, kinds, grouping, ranking, times or limits",
                running.policy.hash() != found.policy.hash() || running.accept != found.accept,
            ),
            ("annotations", running.annotations != found.annotations),
            ("neighbours", running.neighbours != found.neighbours),
            ("web", running.web != found.web),
            ("feedback", running.feedback != found.feedback),
            ("log", running.log != found.log),
        ];
        let names = changed.iter().filter(|(_, changed)| *changed).map(|(name, _)| *name);
        let names: Vec<&str> = names.collect();
        if names.is_empty() {
            return Ok(());
        }
        let names = names.join("; ");
        Err(format!("valid, but what has changed needs a restart: {names}; the old one goes on"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cli::CommonArgs;

    #[test]
    fn a_wrong_file_and_a_change_that_needs_a_restart_leave_the_old_one_in_force() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            fs::write(dir.path().join(name), text).expect("written");
        };
        let good = "topology: {file: t.yml}\noutputs: [{type: webhook, url: 'https://h/a'}]\n";
        write("c.yml", good);
        write("t.yml", "edges: [{from: a, to: b}]\n");
        let config_file = Some(dir.path().join("c.yml"));
        let common = CommonArgs { config_file, ..CommonArgs::default() };
        let args = RunArgs { common, ..RunArgs::default() };
        let reloader = Reloader::new(&args, &Metrics::default());
        assert!(reloader.reload().is_err(), "nothing runs yet");
        let config = Reloader::load(&args).expect("valid");
        let (topology, _) = load_topology(config.topology_file.as_deref()).expect("valid");
        reloader.runs(&config, topology.version());
        assert_eq!(reloader.reload(), Ok(()));
        for (name, text, told) in [
            ("c.yml", "outputs: 1\nnonsense: 1\n", "nonsense"),
            ("c.yml", "web: {listen_address: ':1'}\n", "without authentication"),
            // The change is in what is never shown.
            ("c.yml", &good.replace("/a", "/b"), "restart: outputs; the old"),
            ("c.yml", &format!("{good}times: {{settle_for: 9m}}\n"), "ranking, times"),
            ("t.yml", "edges: [{from: a, to: c}]\n", "restart: topology;"),
            ("t.yml", "edges: 1\n", "t.yml:1:8"),
        ] {
            write("c.yml", good);
            write(name, text);
            let what = reloader.reload().expect_err(text);
            assert!(what.contains(told), "{what}");
        }
        write("t.yml", "edges: [{from: a, to: b}]\n");
        assert_eq!(reloader.reload(), Ok(()), "all as before");
    }
}
