//! How long a condition must hold before its alert fires: the `for` of the rule, by the alert's
//! name and the labels that the rule sets.
//!
//! The table is an input like the dependency graph: it has a version, which each record names, and
//! a file form, by which a replay uses the same one.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hypocenter_engine::{Labels, Span};

use crate::duration;
use crate::file_error::FileError;
use crate::yaml::Problem;
use crate::yaml::reader::Reader;
use crate::yaml::section::{Section, text_of};

/// Most rules of a table; an organisation with 50,000 alerting rules has other worries.
pub const RULES_MAX: usize = 50_000;
/// Longest duration that is believed.
pub const HELD_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// Largest file, in bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// The durations of kube-prometheus' rules, for as long as no Prometheus has answered.
const SHIPPED: &str = include_str!("kube_prometheus.yml");

/// One rule.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Hold {
    /// The alert's name.
    pub alert: String,
    /// Labels that the rule sets, sorted by name.
    pub labels: Vec<(String, String)>,
    /// How long the condition must hold.
    pub held: Duration,
    /// How often the rule is evaluated: the condition began up to this much earlier.
    pub interval: Duration,
}

/// Rules by the name of their alert.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HoldTable {
    /// Of each name, those with the most labels first.
    by_alert: HashMap<String, Vec<Hold>>,
    version: u64,
}

impl HoldTable {
    /// A table of rules, in whatever order. Of two that differ in duration only, the shorter one
    /// counts: better to correct too little.
    #[must_use]
    pub fn new(mut rules: Vec<Hold>) -> Self {
        rules.sort();
        rules.dedup_by(|b, a| (&a.alert, &a.labels) == (&b.alert, &b.labels));
        rules.truncate(RULES_MAX);
        let mut hash = FNV_OFFSET;
        for rule in &rules {
            line(rule).bytes().for_each(|b| hash = (hash ^ u64::from(b)).wrapping_mul(FNV_PRIME));
        }
        let mut by_alert = HashMap::<String, Vec<Hold>>::new();
        for rule in rules {
            by_alert.entry(rule.alert.clone()).or_default().push(rule);
        }
        for rules in by_alert.values_mut() {
            rules.sort_by_key(|rule| std::cmp::Reverse(rule.labels.len()));
        }
        let version = if by_alert.is_empty() { 0 } else { hash };
        Self { by_alert, version }
    }

    /// What is shipped: kube-prometheus' rules.
    #[must_use]
    pub fn shipped() -> Self {
        match read(SHIPPED) {
            Ok(rules) => Self::new(rules),
            Err(problems) => unreachable!("the shipped table is valid: {problems:?}"),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// That it cannot be read, or everything that is wrong in it.
    pub fn load(file: &Path) -> Result<Self, FileError> {
        let text = crate::text_file::read(file, FILE_BYTES_MAX)
            .map_err(|what| FileError::new(file, vec![Problem::new(None, "", what)]))?;
        read(&text).map(Self::new).map_err(|problems| FileError::new(file, problems))
    }

    /// The table as a file, which gives the same table again.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut lines: Vec<String> = self.by_alert.values().flatten().map(line).collect();
        lines.sort();
        let head =
            "# How long conditions must hold before alerts fire, as Prometheus told.\nrules:\n";
        if lines.is_empty() { "rules: []\n".to_owned() } else { head.to_owned() + &lines.concat() }
    }

    /// Hash of all rules; 0 when there is none.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How many alerts have rules here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_alert.len()
    }

    /// Whether there is no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_alert.is_empty()
    }

    /// How long before its start the condition of an alert began: the rule's duration and half of
    /// its interval, which is the middle of what is possible. Zero when no rule is known.
    #[must_use]
    pub fn held(&self, labels: Labels<'_>) -> Span {
        let rules = labels.get("alertname").and_then(|name| self.by_alert.get(name));
        let matches = |rule: &&Hold| {
            rule.labels.iter().all(|(name, value)| labels.get(name) == Some(value.as_str()))
        };
        let rule = rules.and_then(|rules| rules.iter().find(matches));
        rule.map_or(Span::ZERO, |rule| {
            Span::from_millis((rule.held + rule.interval / 2).as_millis() as u64)
        })
    }
}

const FNV_OFFSET: u64 = 14_695_981_039_346_656_037;
const FNV_PRIME: u64 = 1_099_511_628_211;

/// A rule as a line of a file: JSON, which is YAML.
fn line(rule: &Hold) -> String {
    let labels: serde_json::Map<String, serde_json::Value> =
        rule.labels.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    let rule = serde_json::json!({
        "alert": rule.alert,
        "labels": labels,
        "for": duration::format(rule.held),
        "interval": duration::format(rule.interval),
    });
    format!("  - {rule}\n")
}

fn read(text: &str) -> Result<Vec<Hold>, Vec<Problem>> {
    let reader = Reader::default();
    let mut rules = Vec::new();
    if let Some(node) = reader.parse(text) {
        reader.section(&node, "", |root| {
            let found = root.list("rules", |reader, node, path| {
                reader.section(node, path, |s| rules.extend(read_rule(s)));
            });
            match found {
                None if !root.has_problem("rules") => root.problem("rules", "is missing"),
                Some(number) if number > RULES_MAX => {
                    root.problem("rules", format!("has {number} rules, allowed are {RULES_MAX}"));
                }
                _ => {}
            }
        });
    }
    if reader.problem_count() > 0 { Err(reader.into_problems()) } else { Ok(rules) }
}

fn read_rule(s: &mut Section<'_, '_>) -> Option<Hold> {
    let (mut alert, mut labels) = (String::new(), Vec::new());
    let (mut held, mut interval) = (Duration::ZERO, Duration::ZERO);
    s.text("alert", &mut alert);
    s.section("labels", |s| {
        for entry in s.take_rest() {
            let value = text_of(&entry.node).unwrap_or_default();
            labels.push((entry.key.clone(), value.to_owned()));
        }
    });
    s.duration("for", &mut held);
    s.duration("interval", &mut interval);
    for (key, value) in [("for", held), ("interval", interval)] {
        if value > HELD_MAX {
            s.problem(key, format!("is {}, allowed is at most 30d", duration::format(value)));
        }
    }
    if alert.is_empty() {
        if !s.has_problem("alert") {
            s.problem("alert", "is missing; name the alert");
        }
        return None;
    }
    labels.sort();
    Some(Hold { alert, labels, held, interval })
}

/// The table in use, shared with those who replace it. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Holds(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    table: Mutex<Arc<HoldTable>>,
    /// Counts replacements, so that readers need not lock.
    generation: AtomicU64,
}

impl Holds {
    /// With a table from the start.
    #[must_use]
    pub fn with(table: HoldTable) -> Self {
        let holds = Self::default();
        holds.replace(table);
        holds
    }

    /// Puts another table in place.
    pub fn replace(&self, table: HoldTable) {
        *self.0.table.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
        self.0.generation.fetch_add(1, Ordering::Release);
    }

    /// The table now.
    #[must_use]
    pub fn table(&self) -> Arc<HoldTable> {
        Arc::clone(&self.0.table.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A reader of its own for a thread.
    #[must_use]
    pub fn reader(&self) -> HoldReader {
        let generation = self.0.generation.load(Ordering::Acquire);
        HoldReader { holds: self.clone(), generation, table: self.table() }
    }
}

/// Reads the table in use, and notices when it is replaced.
#[derive(Debug)]
pub struct HoldReader {
    holds: Holds,
    generation: u64,
    table: Arc<HoldTable>,
}

impl HoldReader {
    /// The table in use.
    pub fn table(&mut self) -> &HoldTable {
        let generation = self.holds.0.generation.load(Ordering::Acquire);
        if generation != self.generation {
            *self = self.holds.reader();
        }
        &self.table
    }

    /// Version of the table used last; `None` without rules.
    #[must_use]
    pub fn version(&self) -> Option<u64> {
        (!self.table.is_empty()).then(|| self.table.version())
    }
}

#[cfg(test)]
mod tests {
    use hypocenter_engine::LabelLimits;

    use super::*;

    fn rule(alert: &str, labels: &[(&str, &str)], secs: u64, interval: u64) -> Hold {
        Hold {
            alert: alert.to_owned(),
            labels: labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            held: Duration::from_secs(secs),
            interval: Duration::from_secs(interval),
        }
    }

    fn held(table: &HoldTable, pairs: &[(&str, &str)]) -> f64 {
        let mut pairs = pairs.to_vec();
        let labels = Labels::canonical(&mut pairs, &LabelLimits::default()).expect("valid");
        table.held(labels).as_secs_f64()
    }

    #[test]
    fn the_rule_with_the_most_labels_counts_and_the_shorter_of_equals() {
        let table = HoldTable::new(vec![
            rule("A", &[], 60, 30),
            rule("A", &[("severity", "critical")], 300, 30),
            rule("A", &[("long", "1h"), ("severity", "critical")], 900, 0),
            rule("A", &[("severity", "critical")], 120, 30),
        ]);
        assert_eq!(held(&table, &[("alertname", "A")]), 75.0);
        assert_eq!(held(&table, &[("alertname", "A"), ("severity", "warning")]), 75.0);
        assert_eq!(held(&table, &[("alertname", "A"), ("severity", "critical")]), 135.0);
        let all = [("alertname", "A"), ("severity", "critical"), ("long", "1h"), ("x", "y")];
        assert_eq!(held(&table, &all), 900.0);
        assert_eq!(held(&table, &[("alertname", "B")]), 0.0);
        assert_eq!(held(&table, &[("severity", "critical")]), 0.0);
    }

    #[test]
    fn a_file_gives_the_same_table_again() {
        let odd = "a \"b\" \\ : #{}[]\n\té";
        let table =
            HoldTable::new(vec![rule(odd, &[(odd, odd), ("z", "")], 60, 30), rule("B", &[], 0, 0)]);
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("rules.yml");
        std::fs::write(&file, table.to_text()).expect("written");
        let again = HoldTable::load(&file).expect("valid");
        assert_eq!(again, table);
        assert_ne!(again.version(), 0);
        let mut rules: Vec<Hold> = table.by_alert.into_values().flatten().collect();
        rules.reverse();
        assert_eq!(HoldTable::new(rules).version(), again.version(), "the order does not matter");
        std::fs::write(&file, HoldTable::default().to_text()).expect("written");
        assert_eq!(HoldTable::load(&file).expect("valid").version(), 0);
    }

    #[test]
    fn mistakes_have_their_place() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("r.yml");
        let text = "rules:\n  - {for: 1m}\n  - {alert: A, for: 5}\n  - {alert: A, fro: 5m}\n  \
                    - {alert: A, for: 31d}\n";
        std::fs::write(&file, text).expect("written");
        let error = HoldTable::load(&file).expect_err("invalid").to_string();
        assert_eq!(error.lines().count(), 4, "{error}");
        assert!(error.contains("r.yml:2:5: rules[0].alert: is missing"), "{error}");
        assert!(error.contains("rules[3].for: is 31d, allowed is at most 30d"), "{error}");
    }

    #[test]
    fn the_shipped_table_knows_kube_prometheus() {
        let table = HoldTable::shipped();
        assert_eq!(held(&table, &[("alertname", "KubePodCrashLooping"), ("pod", "x")]), 915.0);
        let volume = |severity| {
            let name = ("alertname", "KubePersistentVolumeFillingUp");
            held(&table, &[name, ("severity", severity)])
        };
        assert_eq!((volume("critical"), volume("warning")), (75.0, 3615.0));
        assert_eq!(held(&table, &[("alertname", "Watchdog")]), 15.0);
        assert!(table.len() > 60, "{}", table.len());
    }

    #[test]
    fn readers_notice_another_table() {
        let holds = Holds::default();
        let mut reader = holds.reader();
        assert!(reader.table().is_empty());
        assert_eq!(reader.version(), None);
        holds.replace(HoldTable::new(vec![rule("A", &[], 60, 0)]));
        assert_eq!(held(reader.table(), &[("alertname", "A")]), 60.0);
        assert_eq!(reader.version(), Some(holds.table().version()));
    }
}
