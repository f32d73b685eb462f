//! The command line: what may be typed, and nothing of what it does.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{LogFormat, LogLevel, parse_listen_address};
use crate::diff::{Bound, Gates};
use crate::source::Shard;

const EXAMPLES: &str = "\
Examples:
  hypocenter demo                                        see it work; nothing is needed
  hypocenter replay --topology graph.yml alerts.jsonl    incidents from recorded alerts
  hypocenter run --config.file hypocenter.yml            the daemon";

const DETAILS: &str = "\
Exit codes:
  0    done
  1    failed while running
  2    wrong use of the command line
  3    a configuration, topology or recording is invalid
  4    what was compared differs by more than is allowed
  5    an input or output is unavailable at the start, or an input cannot go on
  130  interrupted

Data goes to standard output, everything else to standard error. Without --config.file every
setting has its default: alerts come from standard input, incidents go to standard output.
--config.file < flags: a flag overrides what the file says.";

/// Reads alerts and names where the trouble started.
#[derive(Parser, Clone, Debug)]
#[command(name = "hypocenter", version, before_help = EXAMPLES, after_long_help = DETAILS)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
// Without what the program is: the short help has to fit a screen of 24 lines.
#[command(help_template = "{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// Run the daemon: read alerts as they come, write incidents as they change
    #[command(after_long_help = DETAILS)]
    Run(RunArgs),
    /// Read recorded alerts as fast as possible and write the incidents they make
    #[command(after_long_help = DETAILS)]
    Replay(ReplayArgs),
    /// Show why an incident is what it is, from its recorded input
    #[command(after_long_help = DETAILS)]
    Explain(ExplainArgs),
    /// Compare what two configurations make of the same recording
    #[command(after_long_help = DETAILS)]
    Diff(DiffArgs),
    /// Say that an incident's candidate is the root cause
    #[command(after_long_help = DETAILS)]
    Confirm(JudgeArgs),
    /// Say that an incident's candidate is not the root cause
    #[command(after_long_help = DETAILS)]
    Reject(JudgeArgs),
    /// What engineers say of candidates
    #[command(subcommand)]
    Feedback(FeedbackCommand),
    /// Show a small outage from first alert to resolved incident
    Demo(DemoArgs),
    /// Print the JSON Schema of what is written
    #[command(subcommand)]
    Schema(SchemaCommand),
    /// Which entity an alert is about
    #[command(subcommand)]
    Mapping(MappingCommand),
    /// Check a file without using it
    #[command(subcommand)]
    Check(CheckCommand),
    /// Dependency graphs: look at them, merge, compare, import and export them
    #[command(subcommand)]
    Topology(TopologyCommand),
}

/// Arguments of `run`.
#[derive(Args, Clone, Debug, Default)]
pub struct RunArgs {
    /// What all commands that correlate have in common.
    #[command(flatten)]
    pub common: CommonArgs,
    /// Where metrics, health and incidents are served; may be given several times; :9096 listens on
    /// all addresses [default: 127.0.0.1:9096]
    #[arg(long = "web.listen-address", value_name = "ADDRESS", value_parser = parse_listen_address)]
    pub web_listen_address: Vec<SocketAddr>,
    /// TLS and authentication, in the format of Prometheus' exporter toolkit [default: none]
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub web_config_file: Option<PathBuf>,
    /// Under which address people reach it, for links
    #[arg(long = "web.external-url", value_name = "URL")]
    pub web_external_url: Option<String>,
    /// What stands before all paths [default: the path of --web.external-url]
    #[arg(long = "web.route-prefix", value_name = "PATH")]
    pub web_route_prefix: Option<String>,
    /// Listen beyond this machine without authentication
    #[arg(long = "web.allow-unauthenticated")]
    pub web_allow_unauthenticated: bool,
}

/// Arguments of `replay`.
#[derive(Args, Clone, Debug, Default)]
pub struct ReplayArgs {
    /// Recordings, one alert record a line, read in the order given; - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What all commands that correlate have in common.
    #[command(flatten)]
    pub common: CommonArgs,
    /// Where to write incident records, one a line; - is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,
    /// Where to write which incident each alert went to, one a line
    #[arg(long, value_name = "FILE")]
    pub members: Option<PathBuf>,
    /// Do not show progress and the summary
    #[arg(long)]
    pub quiet: bool,
}

/// Arguments of `explain`.
#[derive(Args, Clone, Debug)]
pub struct ExplainArgs {
    /// The incident's id; one that was merged leads to the one that it went into
    #[arg(value_name = "INCIDENT")]
    pub incident: String,
    /// Recordings, read in the order given, - is standard input; or kafka: the topics of the
    /// configuration, from their first record, without the consumer group
    #[arg(long, required = true, num_args = 1.., value_name = "FILE|kafka")]
    pub from: Vec<PathBuf>,
    /// Tell everything of this alert of the incident
    #[arg(long, value_name = "FINGERPRINT")]
    pub alert: Option<String>,
    /// What is written
    #[arg(long = "format", id = "written_as", value_enum, default_value_t)]
    pub format: Format,
    /// Take the recordings for this input and partition, which incident ids depend on
    /// [default: replay/0]
    #[arg(long, value_name = "INPUT/PARTITION", value_parser = parse_shard)]
    pub shard: Option<Shard>,
    /// Of a topic, read only what is younger than this
    #[arg(long, value_name = "DURATION", value_parser = crate::duration::parse)]
    pub since: Option<Duration>,
    /// What all commands that correlate have in common.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// What is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum Format {
    /// Text for people.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

/// Reads `alerts/3`.
fn parse_shard(text: &str) -> Result<Shard, String> {
    let parts = text.rsplit_once('/');
    let parts = parts.and_then(|(input, partition)| Some((input, partition.parse().ok()?)));
    match parts {
        Some((input, partition)) if !input.is_empty() => {
            Ok(Shard { input: input.to_owned(), partition })
        }
        _ => Err("must be INPUT/PARTITION, such as alerts/3".to_owned()),
    }
}

/// Arguments of `diff`.
#[derive(Args, Clone, Debug)]
pub struct DiffArgs {
    /// Recordings, read in the order given, once for each configuration
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// A configuration; give it twice: A, then B
    #[arg(long = "config", required = true, value_name = "FILE")]
    pub configs: Vec<PathBuf>,
    /// Dependency graph for both, YAML or JSON; overrides topology.file
    #[arg(long, value_name = "FILE")]
    pub topology: Option<PathBuf>,
    /// What is written
    #[arg(long = "format", id = "written_as", value_enum, default_value_t)]
    pub format: Format,
    /// Most groups of incidents that may differ, as a number or as per cent of A's incidents; with
    /// any of these bounds given, only what they bound is looked at [default: nothing may differ]
    #[arg(long, value_name = "N|N%")]
    pub max_changed: Option<Bound>,
    /// Most groups whose candidate may differ
    #[arg(long, value_name = "N|N%")]
    pub max_candidates: Option<Bound>,
    /// Most incidents that B may have more than A
    #[arg(long, value_name = "N|N%")]
    pub max_more_incidents: Option<Bound>,
    /// How log lines are written.
    #[command(flatten)]
    pub log: LogArgs,
}

impl DiffArgs {
    /// What may differ.
    #[must_use]
    pub fn gates(&self) -> Gates {
        Gates {
            changed: self.max_changed,
            candidates: self.max_candidates,
            more_incidents: self.max_more_incidents,
        }
    }
}

/// Arguments of `confirm` and `reject`.
#[derive(Args, Clone, Debug)]
pub struct JudgeArgs {
    /// The incident's id
    #[arg(value_name = "INCIDENT")]
    pub incident: String,
    /// The entity that was the root cause
    #[arg(value_name = "ENTITY")]
    pub entity: Option<String>,
    /// Whose verdict it is; the latest of each person counts [default: $USER]
    #[arg(long, value_name = "NAME")]
    pub who: Option<String>,
    /// Anything else to say
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// Two verdicts with the same key are one [default: a new one]
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// The daemon, such as http://localhost:9096
    #[arg(long, value_name = "URL", conflicts_with = "file", required_unless_present = "file")]
    pub url: Option<String>,
    /// The file with the daemon's token
    #[arg(long, value_name = "FILE", requires = "url")]
    pub token_file: Option<PathBuf>,
    /// How to reach the daemon: a file with what `http_config` of an output has
    #[arg(long = "http.config.file", value_name = "FILE", requires = "url")]
    pub http_config_file: Option<PathBuf>,
    /// The log itself, for when no daemon takes verdicts by HTTP
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// What engineers say of candidates.
#[derive(Subcommand, Clone, Debug)]
pub enum FeedbackCommand {
    /// Precision, error budget and burn rate from a log
    Report(ReportArgs),
}

/// Arguments of `feedback report`.
#[derive(Args, Clone, Debug)]
pub struct ReportArgs {
    /// Files of a log, the oldest first
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Least share of judged candidates that is to be confirmed
    #[arg(long, value_name = "SHARE", default_value_t = 0.8)]
    pub objective: f64,
    /// Over this long, up to the last verdict
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = crate::duration::parse)]
    pub window: Duration,
    /// What is written
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Arguments of `demo`.
#[derive(Args, Clone, Debug, Default)]
pub struct DemoArgs {
    /// How log lines are written.
    #[command(flatten)]
    pub log: LogArgs,
}

/// What all commands that correlate have in common.
#[derive(Args, Clone, Debug, Default)]
pub struct CommonArgs {
    /// Configuration, YAML; default.yml documents every key [default: all defaults]
    #[arg(long = "config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// Dependency graph, YAML or JSON; overrides topology.file
    #[arg(long, value_name = "FILE")]
    pub topology: Option<PathBuf>,
    /// How log lines are written.
    #[command(flatten)]
    pub log: LogArgs,
}

/// How log lines are written.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct LogArgs {
    /// Least level of log lines [default: info]
    #[arg(long = "log.level", value_name = "LEVEL")]
    pub level: Option<LogLevel>,
    /// Form of log lines [default: logfmt]
    #[arg(long = "log.format", value_name = "FORMAT")]
    pub format: Option<LogFormat>,
}

/// Whose schema to print.
#[derive(Subcommand, Clone, Copy, Debug)]
pub enum SchemaCommand {
    /// Of the incident record
    Incident,
}

/// Which entity an alert is about.
#[derive(Subcommand, Clone, Debug)]
pub enum MappingCommand {
    /// Show which rule maps an alert to which entity, and why those before it do not
    #[command(after_long_help = DETAILS)]
    Test(MappingTestArgs),
    /// Propose rules for the alerts of a recording that no rule maps
    #[command(after_long_help = DETAILS)]
    Suggest(MappingSuggestArgs),
}

/// Arguments of `mapping test`.
#[derive(Args, Clone, Debug)]
pub struct MappingTestArgs {
    /// The alert's labels; - reads alerts from standard input, as labels in JSON or as they were
    /// recorded
    #[arg(required = true, value_name = "LABEL=VALUE|-")]
    pub labels: Vec<String>,
    /// What is written
    #[arg(long = "format", id = "written_as", value_enum, default_value_t)]
    pub format: Format,
    /// What all commands that correlate have in common.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// Arguments of `mapping suggest`.
#[derive(Args, Clone, Debug)]
pub struct MappingSuggestArgs {
    /// Recordings; - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What all commands that correlate have in common.
    #[command(flatten)]
    pub common: CommonArgs,
}

/// What to check.
#[derive(Subcommand, Clone, Debug)]
pub enum CheckCommand {
    /// Check configuration files, and the topologies that they name
    Config(CheckArgs),
    /// Check topology files
    Topology(CheckArgs),
}

/// Arguments of `check`.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// The files
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// What to do with dependency graphs. FILE is in any format that is known, by its name and content,
/// or as FORMAT:FILE.
#[derive(Subcommand, Clone, Debug)]
pub enum TopologyCommand {
    /// Say what is in graphs, and what is odd about them
    Lint(LintArgs),
    /// Make one graph of several: names without a place are those with one, where that is certain
    Merge(MergeArgs),
    /// Say what the second graph has and the first has not, and the other way round; exit code 4
    /// when they differ
    Diff(TopologyDiffArgs),
    /// Write a graph for another tool
    Export(ExportArgs),
    /// Ask a source for its graph, once, and write a topology file
    Import(ImportArgs),
}

/// Where names hold that do not say so themselves.
#[derive(Args, Clone, Debug, Default)]
pub struct PlacesArgs {
    /// The cluster before all names
    #[arg(long, value_name = "NAME", default_value = "")]
    pub cluster: String,
    /// The namespace of names without one
    #[arg(long, value_name = "NAME", default_value = "")]
    pub namespace: String,
    /// Clusters that the source names are part of names
    #[arg(long)]
    pub clusters: bool,
}

/// A form of graphs for other tools.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum TopologyFormat {
    /// A topology file.
    #[default]
    Json,
    /// Graphviz.
    Dot,
    /// A flow chart for documents.
    Mermaid,
}

/// Arguments of `topology lint`.
#[derive(Args, Clone, Debug)]
pub struct LintArgs {
    /// Graphs; - is standard input
    #[arg(required = true, value_name = "[FORMAT:]FILE")]
    pub files: Vec<PathBuf>,
    /// Where names hold.
    #[command(flatten)]
    pub places: PlacesArgs,
}

/// Arguments of `topology merge`.
#[derive(Args, Clone, Debug)]
pub struct MergeArgs {
    /// Graphs; - is standard input
    #[arg(required = true, value_name = "[FORMAT:]FILE")]
    pub files: Vec<PathBuf>,
    /// What is written
    #[arg(long = "format", id = "written_as", value_enum, default_value_t)]
    pub format: TopologyFormat,
    /// Where names hold.
    #[command(flatten)]
    pub places: PlacesArgs,
}

/// Arguments of `topology diff`.
#[derive(Args, Clone, Debug)]
pub struct TopologyDiffArgs {
    /// The first graph
    #[arg(value_name = "[FORMAT:]A")]
    pub a: PathBuf,
    /// The second graph
    #[arg(value_name = "[FORMAT:]B")]
    pub b: PathBuf,
    /// Where names hold.
    #[command(flatten)]
    pub places: PlacesArgs,
}

/// Arguments of `topology export`.
#[derive(Args, Clone, Debug)]
pub struct ExportArgs {
    /// The graph; - is standard input
    #[arg(value_name = "[FORMAT:]FILE")]
    pub file: PathBuf,
    /// What is written
    #[arg(long = "format", id = "written_as", value_enum, default_value_t)]
    pub format: TopologyFormat,
    /// Where names hold.
    #[command(flatten)]
    pub places: PlacesArgs,
}

/// Arguments of `topology import`.
#[derive(Args, Clone, Debug)]
pub struct ImportArgs {
    /// What gives the graph: service_graph, istio, linkerd, hubble, kube_state, jaeger, zipkin, kiali,
    /// backstage, or a format of files: native, csv, dot, keep, kubectl, edges
    #[arg(value_name = "SOURCE")]
    pub source: String,
    /// Its base URL: of Prometheus, or of the tool itself
    #[arg(long, value_name = "URL", conflicts_with = "file")]
    pub url: Option<String>,
    /// A file instead; - is standard input [default: -]
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// What Prometheus is asked; may be given several times [default: what the source needs]
    #[arg(long, value_name = "QUERY", requires = "url")]
    pub query: Vec<String>,
    /// Namespaces that Kiali is asked for; may be given several times
    #[arg(long = "kiali-namespace", value_name = "NAME")]
    pub namespaces: Vec<String>,
    /// How far back Jaeger, Zipkin and Kiali look [default: 1h]
    #[arg(long, value_name = "DURATION", value_parser = crate::duration::parse)]
    pub lookback: Option<Duration>,
    /// How to reach the URL: a file with what `http_config` of an output has
    #[arg(long = "http.config.file", value_name = "FILE", requires = "url")]
    pub http_config_file: Option<PathBuf>,
    /// Where to write the graph [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Replace a file even if more than 30 % of its graph would be gone
    #[arg(long, requires = "output")]
    pub force: bool,
    /// Where names hold.
    #[command(flatten)]
    pub places: PlacesArgs,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn help(args: &[&str]) -> String {
        Cli::try_parse_from(args).expect_err("help").to_string()
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn short_help_fits_a_screen_and_starts_with_examples() {
        let text = help(&["hypocenter", "-h"]);
        assert!(text.starts_with("Examples:\n  hypocenter demo"), "{text}");
        assert!(text.lines().count() <= 24, "{text}");
        for line in text.lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
        for command in ["run", "replay", "demo", "mapping", "check"] {
            assert!(text.contains(&format!("\n  {command} ")), "{text}");
        }
        assert!(!text.contains("Exit codes"));
    }

    #[test]
    fn long_help_has_exit_codes_and_defaults() {
        assert!(help(&["hypocenter", "--help"]).contains("Exit codes:\n  0    done"));
        let run = help(&["hypocenter", "run", "--help"]);
        for part in ["--config.file <FILE>", "127.0.0.1:9096", "- debug: Everything", "130"] {
            assert!(run.contains(part), "{run}");
        }
    }

    #[test]
    fn flags_are_read() {
        let line = "hypocenter run --config.file=c.yml --web.listen-address=:80 --log.level=warn \
                    --log.format=json --topology t.yml";
        let cli = Cli::try_parse_from(line.split_whitespace()).expect("valid");
        let Command::Run(run) = cli.command else {
            panic!("run");
        };
        assert_eq!(run.web_listen_address, [([0u16; 8], 80).into()]);
        assert_eq!(run.common.log.level, Some(LogLevel::Warn));
        assert_eq!(run.common.log.format, Some(LogFormat::Json));
        assert_eq!(run.common.topology, Some("t.yml".into()));
    }

    #[test]
    fn mistakes_are_usage_errors() {
        for line in [
            "hypocenter rnu",
            "hypocenter run --config.fil x",
            "hypocenter replay",
            "hypocenter run --log.level=loud",
            "hypocenter run --web.listen-address=x",
        ] {
            let error = Cli::try_parse_from(line.split_whitespace()).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{error}");
        }
    }
}
