//! The scorer's figures equal those of an independent scorer on the same predictions; see
//! `fixtures/README.md` for what `parity.json.gz` holds.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::LazyLock;

use flate2::read::GzDecoder;
use serde::Deserialize;

use hypocenter_bench::score::baselines_grouping::Grouping;
use hypocenter_bench::score::baselines_ranking::Rule;
use hypocenter_bench::score::data::{Data, Split};
use hypocenter_bench::score::predictions::Predictions;
use hypocenter_bench::score::ranking::{Figures, Hit};
use hypocenter_bench::score::{grouping, ranking};

mod common;

use common::scratch;

/// Sums are taken in another order than in the reference.
const ROUNDING: f64 = 1e-9;

/// The mean of 50 random orders is this close to the expectation over all.
const CHANCE: f64 = 0.06;

type ByName<T> = BTreeMap<String, T>;

#[derive(Deserialize)]
struct Parity {
    ranking: Vec<RankingCase>,
    grouping: Vec<GroupingCase>,
    /// Rule, set, case.
    ranking_rules: ByName<ByName<ByName<RuleCase>>>,
    /// Grouping, storm, figure.
    groupings: ByName<ByName<ByName<f64>>>,
}

#[derive(Deserialize)]
struct RankingCase {
    set: String,
    what: String,
    lines: String,
    /// Number of cases, top-1, top-3, mean reciprocal rank; by fault kind and `ALL`.
    figures: ByName<(usize, f64, f64, f64)>,
    missing: usize,
}

#[derive(Deserialize)]
struct GroupingCase {
    storm: String,
    what: String,
    lines: String,
    figures: ByName<f64>,
}

#[derive(Deserialize)]
struct RuleCase {
    tied: bool,
    /// Top-1, top-3, reciprocal rank.
    mean: [f64; 3],
}

static DATA: LazyLock<Data> =
    LazyLock::new(|| Data::read(&fixture("dev.tar.gz"), Split::Dev).unwrap());

static PARITY: LazyLock<Parity> = LazyLock::new(|| {
    let file = File::open(fixture("parity.json.gz")).unwrap();
    serde_json::from_reader(std::io::BufReader::new(GzDecoder::new(file))).unwrap()
});

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/eval").join(name)
}

/// Predictions as they come from a file of this name.
fn read_predictions(scratch_name: &str, name: &str, lines: &str) -> Predictions {
    let dir = scratch(scratch_name);
    fs::write(dir.join(format!("{name}.jsonl")), lines).unwrap();
    Predictions::read(&dir, &DATA).unwrap()
}

fn close(found: f64, expected: f64, tolerance: f64, what: &str) {
    assert!((found - expected).abs() <= tolerance, "{what}: {found}, expected {expected}");
}

fn close_figures(found: &grouping::Figures, expected: &ByName<f64>, what: &str) {
    assert_eq!(expected.len(), grouping::COUNT, "{what}");
    for (name, found) in grouping::NAMES.iter().zip(found.to_array()) {
        close(found, expected[*name], ROUNDING, &format!("{what}: {name}"));
    }
}

#[test]
fn rankings_score_the_same() {
    assert!(!PARITY.ranking.is_empty());
    for case in &PARITY.ranking {
        let set = DATA.sets.iter().find(|set| set.name == case.set).unwrap();
        let given = read_predictions("parity_ranking", &case.set, &case.lines);
        let mut report = ranking::score(set, &given.ranked[&case.set]);
        assert_eq!(report.without_prediction, case.missing, "{} {}", case.set, case.what);
        report.by_kind.insert("ALL".to_owned(), report.all);
        assert!(report.by_kind.keys().eq(case.figures.keys()), "{} {}", case.set, case.what);
        for (kind, (cases, top1, top3, mrr)) in &case.figures {
            let what = format!("{}, {}, {kind}", case.set, case.what);
            let found: Figures = report.by_kind[kind];
            assert_eq!(found.cases, *cases, "{what}");
            close(found.top1, *top1, ROUNDING, &what);
            close(found.top3, *top3, ROUNDING, &what);
            close(found.mrr, *mrr, ROUNDING, &what);
        }
    }
}

#[test]
fn groupings_score_the_same() {
    assert!(!PARITY.grouping.is_empty());
    for case in &PARITY.grouping {
        let storm = DATA.storms.iter().find(|storm| storm.name == case.storm).unwrap();
        let given = read_predictions("parity_grouping", &case.storm, &case.lines);
        let found = grouping::score(storm, &given.members[&case.storm]).unwrap();
        close_figures(&found, &case.figures, &format!("{}, {}", case.storm, case.what));
    }
}

#[test]
fn simple_groupings_are_the_same() {
    let names = [
        "each alone",
        "all in one",
        "by service",
        "time bucket 300",
        "time gap 60",
        "time gap 120",
        "graph+time 1 120",
        "graph+time 1 300",
        "graph+time 2 300",
    ];
    assert_eq!(names.len(), PARITY.groupings.len());
    for (grouping, name) in Grouping::ALL.into_iter().zip(names) {
        assert_eq!(DATA.storms.len(), PARITY.groupings[name].len());
        for storm in &DATA.storms {
            let found = grouping.score(storm).unwrap();
            let expected = &PARITY.groupings[name][&storm.name];
            close_figures(&found, expected, &format!("{name}, {}", storm.name));
        }
    }
}

/// Without a tie a case must come out equal; with one, the set's mean must be near.
#[test]
fn simple_ranking_rules_are_the_same() {
    let names = [
        "random_alerting",
        "most_alerts",
        "most_events",
        "earliest_alert",
        "largest_breach",
        "deepest",
        "leaf_most_alerts",
        "leaf_breach",
        "ppr",
    ];
    assert_eq!(names.len(), PARITY.ranking_rules.len());
    let mut untied = 0;
    for (rule, name) in Rule::ALL.into_iter().zip(names) {
        for set in &DATA.sets {
            let expected = &PARITY.ranking_rules[name][&set.name];
            assert_eq!(set.cases.len(), expected.len());
            let mut mean = [0.0; 3];
            for case in &set.cases {
                let expected = &expected[&case.name];
                let Hit { top1, top3, reciprocal } = rule.expect(case).unwrap();
                if !expected.tied {
                    untied += 1;
                    for (found, expected) in [top1, top3, reciprocal].iter().zip(expected.mean) {
                        close(*found, expected, ROUNDING, &format!("{name}, {}", case.name));
                    }
                }
                for (sum, figure) in mean.iter_mut().zip(expected.mean) {
                    *sum += figure / set.cases.len() as f64;
                }
            }
            let Figures { top1, top3, mrr, .. } = rule.score(set).unwrap().all;
            for (found, expected) in [top1, top3, mrr].iter().zip(mean) {
                close(*found, expected, CHANCE, &format!("{name}, {}", set.name));
            }
        }
    }
    assert!(untied > 100, "only {untied} cases without a tie were compared");
}
