//! The labelled data: single-fault cases in sets, and storms of overlapping faults.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::Deserialize;

use super::files::{Files, json_lines};

/// The label of an alert that belongs to no fault.
const NOISE: &str = "noise";

/// Everything to be scored.
#[derive(Debug, Default)]
pub struct Data {
    /// Sets of single-fault cases, by name.
    pub sets: Vec<Set>,
    /// Storms, by name.
    pub storms: Vec<Storm>,
    /// Hash of the files that were read: names and contents.
    pub hash: String,
}

/// Which cases of a set are taken; its `split.json` lists them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Split {
    /// Those to develop with.
    Dev,
    /// Those kept aside for judging.
    Heldout,
    /// Both.
    All,
}

/// Cases of one system under one set of alert rules.
#[derive(Debug)]
pub struct Set {
    /// The folder's name.
    pub name: String,
    /// The cases of the chosen split, by name.
    pub cases: Vec<Case>,
}

/// One fault, and the alerts raised around it.
#[derive(Debug)]
pub struct Case {
    /// The name of its set.
    pub set: String,
    /// The folder's name.
    pub name: String,
    /// Alert events as received, one JSON object a line, in order of time.
    pub alerts: Vec<u8>,
    /// `nodes`, and `edges` from caller to callee, as JSON.
    pub topology: Vec<u8>,
    /// What really happened.
    pub truth: CaseTruth,
}

/// The fault of a case.
#[derive(Debug, Deserialize)]
pub struct CaseTruth {
    /// The faulty entities; naming any one of them is right.
    pub root_causes: BTreeSet<String>,
    /// What was injected, e.g. `network_delay`.
    pub fault_kind: String,
}

/// Several overlapping faults with false alarms among them.
#[derive(Debug)]
pub struct Storm {
    /// The folder's name.
    pub name: String,
    /// Alert events as received, one JSON object a line, in order of time.
    pub alerts: Vec<u8>,
    /// `nodes`, and `edges` from caller to callee, as JSON.
    pub topology: Vec<u8>,
    /// What each alert instance belongs to.
    pub truth: Vec<TruthRow>,
    /// The faults.
    pub incidents: Vec<TrueIncident>,
}

/// One alert instance of a storm: a fingerprint and when it began to fire.
#[derive(Debug)]
pub struct TruthRow {
    /// The alert's identity.
    pub fingerprint: String,
    /// `startsAt` as written.
    pub starts_at: String,
    /// `startsAt` in milliseconds since the Unix epoch, see [`instant_ms`].
    pub at_ms: i64,
    /// The entity it fires on.
    pub service: String,
    /// Why it fires.
    pub origin: Origin,
}

/// Why an alert instance fires.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// Because of the fault with this index in [`Storm::incidents`].
    Incident(usize),
    /// For no fault at all.
    Noise,
    /// Not known well enough to be scored.
    Uncertain,
}

/// One fault of a storm.
#[derive(Debug, Deserialize)]
pub struct TrueIncident {
    /// Its label.
    pub id: String,
    /// The faulty entities; naming any one of them is right.
    pub root_causes: BTreeSet<String>,
    /// The system in which it happened, if that is told.
    #[serde(default)]
    pub system: Option<String>,
}

#[derive(Deserialize)]
struct RawSplit {
    #[serde(default)]
    dev: Vec<String>,
    #[serde(default)]
    heldout: Vec<String>,
}

#[derive(Deserialize)]
struct RawStormTruth {
    incidents: Vec<TrueIncident>,
}

#[derive(Deserialize)]
struct RawTruthRow {
    fingerprint: String,
    #[serde(rename = "startsAt")]
    starts_at: String,
    service: String,
    label: String,
    excluded: bool,
}

impl Data {
    /// Reads every set and storm in a folder or in a `.tar.gz` archive: the folder may be one
    /// itself, or hold several.
    ///
    /// # Errors
    /// When there is neither a set nor a storm, or one is incomplete or malformed.
    pub fn read(root: &Path, split: Split) -> Result<Self> {
        let mut files = Files::read(root)?;
        let mut data = Self { hash: files.hash(), ..Self::default() };
        for folder in files.folders_with("split.json") {
            let set = Set::read(&mut files, &folder, split);
            data.sets.push(set.with_context(|| format!("set {}", root.join(&folder).display()))?);
        }
        for folder in files.folders_with("alerts.truth.jsonl") {
            let storm = Storm::read(&mut files, &folder);
            let what = || format!("storm {}", root.join(&folder).display());
            data.storms.push(storm.with_context(what)?);
        }
        ensure!(
            !data.sets.is_empty() || !data.storms.is_empty(),
            "{}: neither a set (a folder with split.json) nor a storm (a folder with \
             alerts.truth.jsonl) in it",
            root.display()
        );
        Ok(data)
    }

    /// Adds the sets of other data.
    pub fn add_sets(&mut self, other: Self) {
        self.sets.extend(other.sets);
        self.note_hash(&other.hash);
    }

    /// Adds the storms of other data.
    pub fn add_storms(&mut self, other: Self) {
        self.storms.extend(other.storms);
        self.note_hash(&other.hash);
    }

    fn note_hash(&mut self, hash: &str) {
        let plus = if self.hash.is_empty() { "" } else { "+" };
        self.hash += &format!("{plus}{hash}");
    }
}

impl Set {
    fn read(files: &mut Files, folder: &Path, split: Split) -> Result<Self> {
        let listed: RawSplit = files.take_json(&folder.join("split.json"))?;
        let mut names = match split {
            Split::Dev => listed.dev,
            Split::Heldout => listed.heldout,
            Split::All => [listed.dev, listed.heldout].concat(),
        };
        ensure!(
            !names.is_empty(),
            "its split.json lists no case for this split; choose another with --split"
        );
        names.sort();
        let set = files.name_of(folder)?;
        let cases = names.into_iter().map(|name| {
            let folder = folder.join(&name);
            Ok(Case {
                set: set.clone(),
                alerts: files.take(&folder.join("alerts.jsonl"))?,
                topology: files.take(&folder.join("topology.json"))?,
                truth: files.take_json(&folder.join("truth.json"))?,
                name,
            })
        });
        let cases = cases.collect::<Result<Vec<_>>>()?;
        Ok(Self { name: set, cases })
    }
}

impl Storm {
    fn read(files: &mut Files, folder: &Path) -> Result<Self> {
        let RawStormTruth { incidents } = files.take_json(&folder.join("truth.json"))?;
        let index: BTreeMap<&str, usize> =
            incidents.iter().enumerate().map(|(index, one)| (one.id.as_str(), index)).collect();
        ensure!(index.len() == incidents.len(), "truth.json: two incidents have the same id");
        let rows = files.take(&folder.join("alerts.truth.jsonl"))?;
        let rows: Vec<RawTruthRow> = json_lines(&rows, "alerts.truth.jsonl")?;
        let truth = rows.into_iter().map(|row| row.check(&index)).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            name: files.name_of(folder)?,
            alerts: files.take(&folder.join("alerts.jsonl"))?,
            topology: files.take(&folder.join("topology.json"))?,
            truth,
            incidents,
        })
    }
}

impl RawTruthRow {
    fn check(self, incidents: &BTreeMap<&str, usize>) -> Result<TruthRow> {
        let origin = if self.excluded {
            Origin::Uncertain
        } else if self.label == NOISE {
            Origin::Noise
        } else {
            let index = incidents.get(self.label.as_str()).with_context(|| {
                format!("alerts.truth.jsonl: label {:?} is no incident of truth.json", self.label)
            })?;
            Origin::Incident(*index)
        };
        Ok(TruthRow {
            at_ms: instant_ms(&self.starts_at)?,
            fingerprint: self.fingerprint,
            starts_at: self.starts_at,
            service: self.service,
            origin,
        })
    }
}

/// An RFC 3339 time as whole milliseconds since the Unix epoch.
///
/// Instances are matched by this number, so writers may differ in trailing zeros and offset. It
/// goes by way of `f64` seconds, ties to even, like the reference scorer (an independent one in
/// Python, see `fixtures/README.md`): the two must agree on every input.
///
/// # Errors
/// When it is not a time.
pub fn instant_ms(text: &str) -> Result<i64> {
    let time: jiff::Timestamp =
        text.parse().with_context(|| format!("startsAt {text:?} is no RFC 3339 time"))?;
    let micros = time.as_nanosecond().div_euclid(1_000);
    let secs = micros as f64 / 1e6;
    Ok((secs * 1e3).round_ties_even() as i64)
}
