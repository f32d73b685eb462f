//! Predictions: what is scored, and its files.
//!
//! `SET.jsonl` has a [`RankedLine`] for each case, `STORM.jsonl` a [`MemberLine`] for each alert
//! instance. Other fields are ignored, lines about unknown cases and instances too.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Deserializer, Serialize};

use super::data::Data;
use super::files::json_lines;
use super::hypocenter::Hypocenter;

/// The prediction for one case.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RankedLine {
    /// The case's name.
    pub case: String,
    /// Entities, best candidate first.
    pub ranked: Vec<String>,
    /// How sure it is of the first one, 0 to 1, if it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
}

/// The prediction for one alert instance.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct MemberLine {
    /// The alert's identity.
    pub fingerprint: String,
    /// RFC 3339; compared as a time.
    #[serde(rename = "startsAt")]
    pub starts_at: String,
    /// Any id of the incident; a number counts as its digits. `None`: left alone or suppressed,
    /// a group of its own.
    #[serde(default, deserialize_with = "text_or_number")]
    pub incident: Option<String>,
    /// The incident's candidate, if it names one.
    #[serde(default)]
    pub root: Option<String>,
    /// How sure it is of that, 0 to 1, if it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
}

/// Predictions for any number of sets and storms, by name.
#[derive(Debug, Default)]
pub struct Predictions {
    /// For each set, a line a case.
    pub ranked: BTreeMap<String, Vec<RankedLine>>,
    /// For each storm, a line an alert instance.
    pub members: BTreeMap<String, Vec<MemberLine>>,
}

impl Predictions {
    /// Lets Hypocenter predict all the data.
    ///
    /// # Errors
    /// When a case or storm cannot be read.
    pub fn make(data: &Data, subject: &Hypocenter) -> Result<Self> {
        let mut made = Self::default();
        for set in &data.sets {
            let lines = set.cases.iter().map(|case| {
                let ranked = subject.rank(case);
                ranked.with_context(|| format!("rank case {} of {}", case.name, case.set))
            });
            made.ranked.insert(set.name.clone(), lines.collect::<Result<_>>()?);
        }
        for storm in &data.storms {
            let lines = subject.group(storm);
            let lines = lines.with_context(|| format!("group storm {}", storm.name))?;
            made.members.insert(storm.name.clone(), lines);
        }
        Ok(made)
    }

    /// Reads the files for these sets and storms; a set or storm without a file is left out.
    ///
    /// # Errors
    /// When no file is there, or one is malformed.
    pub fn read(dir: &Path, data: &Data) -> Result<Self> {
        let mut read = Self::default();
        for set in &data.sets {
            if let Some(lines) = read_lines(dir, &set.name)? {
                read.ranked.insert(set.name.clone(), lines);
            }
        }
        for storm in &data.storms {
            if let Some(lines) = read_lines(dir, &storm.name)? {
                read.members.insert(storm.name.clone(), lines);
            }
        }
        let names = data.sets.iter().map(|set| &set.name);
        let mut names = names.chain(data.storms.iter().map(|storm| &storm.name));
        ensure!(
            !read.ranked.is_empty() || !read.members.is_empty(),
            "{}: no prediction file in it; a file is called after its set or storm, e.g. {}.jsonl",
            dir.display(),
            names.next().map_or("petshop", String::as_str)
        );
        Ok(read)
    }

    /// Writes a file for each set and storm; the folder is made when missing.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir).with_context(|| format!("make the folder {}", dir.display()))?;
        for (name, lines) in &self.ranked {
            write_lines(dir, name, lines)?;
        }
        for (name, lines) in &self.members {
            write_lines(dir, name, lines)?;
        }
        Ok(())
    }
}

fn read_lines<T: for<'de> Deserialize<'de>>(dir: &Path, name: &str) -> Result<Option<Vec<T>>> {
    let path = dir.join(format!("{name}.jsonl"));
    if !path.exists() {
        return Ok(None);
    }
    let what = path.display().to_string();
    let bytes = fs::read(&path).with_context(|| format!("read {what}"))?;
    json_lines(&bytes, &what).map(Some)
}

fn write_lines<T: Serialize>(dir: &Path, name: &str, lines: &[T]) -> Result<()> {
    let path = dir.join(format!("{name}.jsonl"));
    let mut text = String::new();
    for line in lines {
        writeln!(text, "{}", serde_json::to_string(line)?)?;
    }
    fs::write(&path, text).with_context(|| format!("write {}", path.display()))
}

fn text_or_number<'de, D: Deserializer<'de>>(source: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "incident is a text, a whole number or null")]
    enum Id {
        Text(String),
        Number(i64),
    }
    Ok(Option::<Id>::deserialize(source)?.map(|id| match id {
        Id::Text(text) => text,
        Id::Number(number) => number.to_string(),
    }))
}
