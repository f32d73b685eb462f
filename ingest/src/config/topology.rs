//! `topology`: where the dependency graph comes from.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::http;
use super::output::is_http_url;
use crate::topology::Format;
use crate::topology::source::{From, SourceSpec, queries};
use crate::yaml::section::Section;

/// Sources of the dependency graph besides its file.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TopologyConfig {
    /// The sources.
    pub sources: Vec<SourceSpec>,
    /// Where the graph known last is kept, for a start at which a source does not answer.
    pub cache: Option<PathBuf>,
}

impl TopologyConfig {
    /// Takes relative paths from `directory`.
    pub(super) fn resolve(&mut self, directory: &Path) {
        self.cache.iter_mut().for_each(|path| *path = directory.join(&*path));
        for source in &mut self.sources {
            if let From::File(file) = &mut source.from {
                *file = directory.join(&*file);
            }
            source.http.resolve(directory);
        }
    }
}

pub(super) fn read(s: &mut Section<'_, '_>, into: &mut TopologyConfig) {
    let mut cache = None;
    s.optional("cache", &mut cache);
    into.cache = cache.map(PathBuf::from);
    let mut sources: Vec<SourceSpec> = Vec::new();
    s.list("sources", |reader, node, path| {
        reader.section(node, path, |s| {
            if let Some(source) = read_one(s) {
                if sources.iter().any(|known| known.name == source.name) {
                    s.problem(
                        "name",
                        format!("{:?} is there twice; give each a name", source.name),
                    );
                }
                sources.push(source);
            }
        });
    });
    into.sources = sources;
}

fn read_one(s: &mut Section<'_, '_>) -> Option<SourceSpec> {
    let mut format = None;
    s.choice("type", &Format::ALL.map(|format| (format.name(), Some(format))), &mut format);
    let Some(format) = format else {
        if !s.has_problem("type") {
            let names = Format::ALL.map(Format::name).join(", ");
            s.problem("type", format!("is missing; one of {names}"));
        }
        s.take_rest();
        return None;
    };
    let (mut url, mut file) = (String::new(), None);
    s.text("url", &mut url);
    s.optional("file", &mut file);
    let from = match (&*url, file) {
        ("", Some(file)) => From::File(PathBuf::from(file)),
        ("", None) => {
            if !s.has_problem("url") {
                s.problem(
                    "url",
                    "is missing; where to ask, such as http://prometheus:9090, or a `file`",
                );
            }
            From::Url(String::new())
        }
        (_, Some(_)) => {
            s.problem("file", "is beside a url; keep one");
            From::Url(url)
        }
        // Not shown: a URL may carry a password.
        (url, None) if !is_http_url(url) || url.contains(['?', '#']) => {
            s.problem("url", "must be an http or https URL with a host and no query");
            From::Url(String::new())
        }
        (_, None) => From::Url(url),
    };
    let mut source = SourceSpec::new(format, from);
    s.text("name", &mut source.name);
    if matches!(&source.from, From::Url(_)) && !queries(format).is_empty() {
        s.texts("queries", &mut source.queries);
    }
    if format == Format::Kiali {
        s.texts("namespaces", &mut source.namespaces);
        if source.namespaces.is_empty() && !s.has_problem("namespaces") {
            s.problem("namespaces", "is missing; Kiali is asked for namespaces by name");
        }
    }
    let (mut cluster, mut namespace) = (None, None);
    s.optional("cluster", &mut cluster);
    s.optional("namespace", &mut namespace);
    source.places.cluster = cluster.unwrap_or_default();
    source.places.namespace = namespace.unwrap_or_default();
    s.choice("clusters", &[("true", true), ("false", false)], &mut source.places.clusters);
    s.duration("lookback", &mut source.lookback);
    s.duration("keep_gone", &mut source.trust.keep_gone);
    s.float_in("max_shrink", 0.0..=1.0, &mut source.trust.max_shrink);
    for (key, duration) in [("refresh", &mut source.refresh), ("timeout", &mut source.timeout)] {
        s.duration(key, duration);
        if *duration < Duration::from_secs(1) {
            s.problem(key, "must be at least 1s");
        }
    }
    http::read(s, &mut source.http);
    Some(source)
}
