//! `check config` and `check topology`, in the manner of promtool.

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::path::Path;

use super::{Exit, Failure, servers};
use crate::cli::CheckArgs;
use crate::config::{Config, Input, Output};
use crate::file_error::FileError;
use crate::redact::host_of;
use crate::topology_file::TopologyFile;
use crate::yaml::reader::PROBLEMS_MAX;

/// Checks configuration files, and the topologies that they name.
///
/// # Errors
/// Everything that is wrong with any of them.
pub fn configs(args: &CheckArgs, out: &mut dyn Write) -> Result<(), Failure> {
    check_all(args, out, |file| {
        let config = Config::load(file)?;
        let mut text = summary(&config);
        servers::securities(&config)?;
        if let Some(file) = &config.topology_file {
            let topology = TopologyFile::load(file)?;
            text.push_str(&format!("  topology {}\n{topology}", file.display()));
        }
        Ok(text)
    })
}

/// Checks topology files.
///
/// # Errors
/// Everything that is wrong with any of them.
pub fn topologies(args: &CheckArgs, out: &mut dyn Write) -> Result<(), Failure> {
    check_all(args, out, |file| Ok(TopologyFile::load(file)?.to_string()))
}

fn check_all(
    args: &CheckArgs,
    out: &mut dyn Write,
    check: impl Fn(&Path) -> Result<String, FileError>,
) -> Result<(), Failure> {
    let mut errors = Vec::new();
    for file in &args.files {
        let name = file.display();
        let text = match check(file) {
            Ok(found) => format!("Checking '{name}' SUCCESS\n{found}"),
            Err(error) => {
                let number = error.problems().len();
                errors.push(error.to_string());
                let s = if number == 1 { "" } else { "s" };
                let least = if number >= PROBLEMS_MAX { "at least " } else { "" };
                format!("Checking '{name}' FAILED, {least}{number} error{s}\n")
            }
        };
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                let what = format!("standard output: {error}");
                return Err(Failure::new(Exit::Runtime, what));
            }
            _ => {}
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Failure::new(Exit::Invalid, errors.join("\n"))) }
}

/// What was found in a valid configuration. No secret is shown.
fn summary(config: &Config) -> String {
    let mut text = String::new();
    let mut line = |what: String| text.push_str(&format!("  {what}\n"));
    line(match &config.input {
        Input::Kafka(kafka) => format!(
            "input: kafka, topics {}, group {}, brokers {}",
            kafka.topics.join(", "),
            kafka.group,
            kafka.brokers.join(", ")
        ),
        Input::Http(http) => format!("input: http on {}", shown(&http.listen_addresses)),
        Input::File { paths } => {
            let names: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
            format!("input: file {}", names.join(", "))
        }
    });
    for output in &config.outputs {
        line(match output {
            Output::Kafka(kafka) => {
                let brokers = kafka.brokers.join(", ");
                format!("output: kafka, topic {}, brokers {brokers}", kafka.topic)
            }
            Output::Webhook(webhook) => format!("output: webhook at {}", host_of(&webhook.url)),
            Output::Alertmanager(output) => {
                let peers: Vec<String> = output.urls.iter().map(|url| host_of(url)).collect();
                format!("output: alertmanager at {}", peers.join(", "))
            }
            Output::File { path } => format!("output: file {}", path.display()),
            Output::Stdout => "output: stdout".to_owned(),
        });
    }
    let mapping = &config.policy.spec().mapping;
    line(format!("mapping: {} rules", mapping.own.len() + mapping.rules.len()));
    line(format!("policy: hash {:016x}", config.policy.hash()));
    line(format!("web: {}", shown(&config.web.listen_addresses)));
    text
}

fn shown(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn run(
        check: fn(&CheckArgs, &mut dyn Write) -> Result<(), Failure>,
        files: &[&Path],
    ) -> (String, Result<(), Failure>) {
        let files = files.iter().map(|file| file.to_path_buf()).collect();
        let mut out = Vec::new();
        let result = check(&CheckArgs { files }, &mut out);
        (String::from_utf8(out).expect("text"), result)
    }

    #[test]
    fn a_good_configuration_is_summed_up_without_secrets() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("c.yml");
        fs::write(dir.path().join("t.yml"), "edges: [{from: a, to: b}]\n").expect("written");
        let text = "topology: {file: t.yml}\n\
                    outputs: [{type: webhook, url: 'https://u:secret@h:8443/secret?t=secret'}]\n";
        fs::write(&file, text).expect("written");
        let (out, result) = run(configs, &[&file]);
        assert_eq!(result, Ok(()));
        assert!(out.contains("c.yml' SUCCESS\n  input: file -\n"), "{out}");
        assert!(out.contains("output: webhook at https://h:8443\n"), "{out}");
        assert!(out.contains("2 entities, 1 dependency"), "{out}");
        assert!(!out.contains("secret"), "{out}");
    }

    #[test]
    fn bad_files_are_all_reported() {
        let dir = tempfile::tempdir().expect("a directory");
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        fs::write(&a, "nodes: [{}]\nedges: 1\n").expect("written");
        let (out, result) = run(topologies, &[&a, &b]);
        let failure = result.expect_err("invalid");
        assert_eq!(failure.exit, Exit::Invalid);
        assert!(out.contains("a' FAILED, 2 errors"), "{out}");
        assert_eq!(failure.what.lines().count(), 3, "{failure}");
        let named = dir.path().join("c.yml");
        fs::write(&named, "topology: {file: a}\n").expect("written");
        let (_, result) = run(configs, &[&named]);
        assert!(result.expect_err("invalid").what.contains("/a:1:9: nodes[0].id"));
    }
}
