//! Reading the configuration again while it runs.
//!
//! Everything that may be wrong is looked at first, and told at once. Then what has changed takes the
//! place of what was: graph, mapping and decoder between two records, outputs once what went to the
//! old ones has arrived. What a running process cannot exchange is refused by name. Whatever is
//! refused, everything stays as it was.

mod difference;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use hypocenter_engine::{Snapshot, Topology};
use tracing::{error, info};

use super::run::decoding;
use super::{Exit, Failure, load_config, outputs, servers};
use crate::cli::RunArgs;
use crate::config::{Config, RulesWatch};
use crate::intake::Intake;
use crate::logging::SetLevel;
use crate::metrics::Metrics;
use crate::neighbours::Holds;
use crate::neighbours::watch::Watch;
use crate::pipeline::Remote;
use crate::shard::Setup;
use crate::topology::watch::GraphWatch;
use crate::topology_file::TopologyFile;

use difference::Difference;

/// Reads the configuration again; an error is for people.
pub type Reload = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Exchanges what is in force for what the files say now.
pub struct Reloader {
    args: RunArgs,
    metrics: Metrics,
    level: SetLevel,
    running: Mutex<Option<Running>>,
}

/// What is in force, and what it is exchanged at.
struct Running {
    config: Config,
    topology: Topology,
    holds: Holds,
    remote: Remote,
    posted: Option<Arc<Intake>>,
    /// Asks Prometheus for its rules, if there is one to ask.
    watch: Option<Watch>,
    /// Keeps the graph, if it has sources besides its file.
    graph: Option<GraphWatch>,
}

impl Reloader {
    /// Reads again what these arguments name. `level` sets that of the log.
    #[must_use]
    pub fn new(args: &RunArgs, metrics: &Metrics, level: SetLevel) -> Arc<Self> {
        let (args, metrics) = (args.clone(), metrics.clone());
        Arc::new(Self { args, metrics, level, running: Mutex::default() })
    }

    /// Says what is in force, and how it is exchanged: in the pipeline by `remote`, and where alerts
    /// are posted. From now on Prometheus is asked for its rules, if there is one to ask.
    ///
    /// # Errors
    /// Why it cannot be asked.
    pub fn runs(
        &self,
        config: &Config,
        setup: &Setup,
        remote: Remote,
        posted: Option<Arc<Intake>>,
        mut graph: Option<GraphWatch>,
    ) -> Result<(), Failure> {
        let (topology, holds) = (setup.topology.clone(), setup.holds.clone());
        if let Some(graph) = &mut graph {
            let followed = graph.follow(remote.clone());
            followed.map_err(|why| Failure::new(Exit::Runtime, why))?;
        }
        let watch = watch(&config.neighbours.rules, &holds, &self.metrics)
            .map_err(|why| Failure::new(Exit::Unavailable, why))?;
        let config = config.clone();
        let running = Running { config, topology, holds, remote, posted, watch, graph };
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
        self.metrics.reloaded(true);
        Ok(())
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

    /// Reads the configuration and the topology again and puts them in force.
    ///
    /// # Errors
    /// Everything that is wrong with them, or what cannot be exchanged.
    pub fn reload(&self) -> Result<(), String> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = match running.as_mut() {
            Some(running) => self.exchange(running),
            None => Err("still starting; ask again".to_owned()),
        };
        self.metrics.reloaded(outcome.is_ok());
        match outcome {
            Ok(changed) if changed.is_empty() => info!("configuration read again: as it was"),
            Ok(changed) => info!(changed = changed.join(","), "configuration read again"),
            Err(what) => {
                error!("the configuration is not changed: {what}");
                return Err(what);
            }
        }
        Ok(())
    }

    /// Puts in force what the files say now. What has changed, by name.
    fn exchange(&self, running: &mut Running) -> Result<Vec<&'static str>, String> {
        let found = Self::load(&self.args).map_err(|failure| failure.to_string())?;
        let topology = check(&found, &running.topology)?;
        let difference = Difference::between(&running.config, &found);
        if !difference.fixed.is_empty() {
            let names = difference.fixed.join("; ");
            return Err(format!("valid, but a restart is needed to change: {names}"));
        }
        let mut changed = difference.exchanged;
        let is_new_graph = topology.version() != running.topology.version();
        if is_new_graph {
            changed.push("topology");
        }
        if is_new_graph || !changed.is_empty() {
            // With other sources the file is one of several.
            let alone = is_new_graph && running.graph.is_none();
            self.exchange_pipeline(running, &found, alone.then(|| topology.clone()))?;
        }
        if changed.contains(&"neighbours.rules") {
            // The old one stops to ask first.
            running.watch = None;
            running.watch = watch(&found.neighbours.rules, &running.holds, &self.metrics)?;
        }
        if let Some(posted) = &running.posted {
            posted.exchange_decoder(&decoding(&found));
        }
        self.level.set(found.log.level);
        match &running.graph {
            None => self.metrics.describe_anew(&found.policy, &topology),
            Some(graph) => {
                self.metrics.describe_anew(&found.policy, &graph.topology());
                if is_new_graph {
                    graph.fix(topology.clone());
                }
            }
        }
        if is_new_graph {
            running.topology = topology;
        }
        running.config = found;
        Ok(changed)
    }

    /// Everything that concerns the pipeline, at once: what may fail comes first.
    fn exchange_pipeline(
        &self,
        running: &Running,
        found: &Config,
        topology: Option<Topology>,
    ) -> Result<(), String> {
        // Made here: the pipeline's thread does not wait for it.
        let graph = topology.map(|graph| Arc::new(Snapshot::new(graph, &found.policy)));
        let outputs = (running.config.outputs != found.outputs)
            .then(|| (found.clone(), self.metrics.clone()));
        let (policy, options) = (found.policy.clone(), decoding(found));
        let kept = graph.clone();
        let done = running.remote.change(Box::new(move |pipeline| {
            if let Some((config, metrics)) = outputs {
                metrics.exchange_sinks(|| {
                    pipeline.exchange_outputs(|| outputs::sinks(&config, &metrics))
                })?;
            }
            pipeline.exchange_decoder(&options);
            pipeline.exchange_world(graph, policy)
        }));
        // The last reference goes here and not in the pipeline's thread.
        drop(kept);
        done
    }
}

fn watch(rules: &RulesWatch, holds: &Holds, metrics: &Metrics) -> Result<Option<Watch>, String> {
    match rules.urls.is_empty() {
        true => Ok(None),
        false => Watch::start(rules, holds, metrics).map(Some),
    }
}

/// Everything that is wrong besides the configuration's own text; the topology, if nothing is.
fn check(found: &Config, before: &Topology) -> Result<Topology, String> {
    let mut problems = Vec::new();
    if let Err(error) = servers::securities(found) {
        problems.push(error.to_string());
    }
    let load = |file: &Path| TopologyFile::load_after(file, before).map(|found| found.topology);
    let topology = found
        .topology_file
        .as_deref()
        .map_or_else(|| Ok(hypocenter_engine::TopologyBuilder::new().build_after(before).0), load);
    if let Err(error) = &topology {
        problems.push(error.to_string());
    }
    for (name, http) in found.clients() {
        if let Err(why) = crate::http_client::Client::new("https://localhost", http, CHECK) {
            problems.push(format!("{name}: {why}"));
        }
    }
    match topology {
        Ok(topology) if problems.is_empty() => Ok(topology),
        _ => Err(problems.join("\n")),
    }
}

/// Nothing is asked with it.
const CHECK: std::time::Duration = std::time::Duration::from_secs(1);
