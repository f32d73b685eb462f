//! What rules see of an alert's labels: by any of their names, and without those that name the
//! exporter.

use regex::Regex;

use super::Exporter;
use crate::label::Labels;

/// An exporter, checked.
#[derive(Clone, Debug)]
pub(super) struct CompiledExporter {
    job: Regex,
    hides: Vec<Box<str>>,
}

impl CompiledExporter {
    pub(super) fn new(exporter: &Exporter) -> Result<Self, String> {
        if exporter.job.is_empty() {
            return Err("has no job; it is a regular expression for the label `job`".to_owned());
        }
        let job = anchored("job", &exporter.job)?;
        Ok(Self { job, hides: exporter.hides.iter().map(|label| label.as_str().into()).collect() })
    }
}

/// An anchored regular expression for the values of a label.
pub(super) fn anchored(label: &str, pattern: &str) -> Result<Regex, String> {
    Regex::new(&format!("^(?:{pattern})$"))
        .map_err(|e| format!("pattern {pattern:?} of label {label:?}: {e}"))
}

/// A label as rules name it, with all names that it may have on an alert.
#[derive(Clone, Debug)]
pub(super) struct LabelRef {
    pub(super) name: Box<str>,
    /// In the order in which they are looked up.
    names: Vec<Box<str>>,
}

impl LabelRef {
    /// What an exporter says of others goes before what is said of the exporter: `exported_pod`
    /// before `pod`.
    pub(super) fn new(name: &str, aliases: &[(String, Vec<String>)]) -> Self {
        let plain = [name.to_owned()];
        let known = aliases.iter().find(|(canonical, _)| canonical == name);
        let names = known.map_or(&plain[..], |(_, names)| names);
        let mut all: Vec<Box<str>> = Vec::new();
        for name in names {
            for name in [format!("exported_{name}"), name.clone()] {
                if !all.iter().any(|known| **known == *name) {
                    all.push(name.into());
                }
            }
        }
        Self { name: name.into(), names: all }
    }
}

/// What stands for "not known" in labels of service meshes.
const UNSET: &str = "unknown";

/// The labels of one alert, as rules see them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading<'l, 'm> {
    labels: Labels<'l>,
    exporter: Option<&'m CompiledExporter>,
}

impl<'l, 'm> Reading<'l, 'm> {
    pub(super) fn new(labels: Labels<'l>, exporters: &'m [CompiledExporter]) -> Self {
        let job = labels.get("job");
        let exporter =
            job.and_then(|job| exporters.iter().find(|exporter| exporter.job.is_match(job)));
        Self { labels, exporter }
    }

    /// The same labels, with nothing hidden.
    pub(super) fn open(self) -> Self {
        Self { exporter: None, ..self }
    }

    /// A label by the first of its names that is set.
    pub(super) fn get(&self, label: &LabelRef) -> Option<&'l str> {
        label.names.iter().find_map(|name| {
            let value = self.labels.get(name)?;
            (value != UNSET && !self.hides(name, value)).then_some(value)
        })
    }

    /// Whether a label would be seen, if the exporter did not hide it.
    pub(super) fn is_hidden(&self, label: &LabelRef) -> bool {
        self.get(label).is_none() && self.open().get(label).is_some()
    }

    fn hides(&self, name: &str, value: &str) -> bool {
        let Some(exporter) = self.exporter else { return false };
        if !exporter.hides.iter().any(|hidden| **hidden == *name) {
            return false;
        }
        name != "pod" || self.is_own_pod(value)
    }

    /// Whether a pod is called as the exporter's own are: by its service, or its job.
    fn is_own_pod(&self, pod: &str) -> bool {
        let begins = |with: &str| {
            pod.strip_prefix(with).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        ["service", "job"].into_iter().any(|name| self.labels.get(name).is_some_and(begins))
    }

    pub(super) fn hidden(self) -> Option<(&'l str, Vec<&'l str>)> {
        self.exporter?;
        let pairs = self.labels.pairs();
        let hidden = pairs.iter().filter(|(name, value)| self.hides(name, value));
        Some((self.labels.get("job")?, hidden.map(|&(name, _)| name).collect()))
    }
}
