//! Synthetic faults: the same from the same seed, true to their description, and measured alike
//! from memory and from files.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use hypocenter::config::Config;
use hypocenter_bench::score::data::{Data, Origin, Split, Storm};
use hypocenter_bench::score::grouping::{Figures, score};
use hypocenter_bench::score::hypocenter::Hypocenter;
use hypocenter_bench::synth::play::play;
use hypocenter_bench::synth::{Draw, Kind, Options, report, scenarios, write};
use hypocenter_engine::Policy;
use serde_json::Value;

mod common;

use common::scratch;

/// Small enough for every test run.
fn small() -> Options {
    Options { services: 1_000, hub: Some(400), seeds: 1..=1, count: Some(6) }
}

fn draws(kind: Kind) -> Vec<Draw> {
    scenarios(kind, &small())
}

fn written(draws: &[Draw], dir: &Path) -> Vec<Storm> {
    for make in draws.iter().flat_map(|draw| &draw.makers) {
        write::write(&make(), dir).unwrap();
    }
    Data::read(dir, Split::Dev).unwrap().storms
}

/// All files below a folder, by path.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

fn figures(draw: &Draw) -> Vec<Figures> {
    let policy = Policy::default();
    let figures = draw.makers.iter().map(|make| {
        let scenario = make();
        score(&scenario.truth(), &play(&scenario, &policy).unwrap()).unwrap()
    });
    figures.collect()
}

#[test]
fn a_seed_gives_the_same_bytes_and_another_one_others() {
    let dir = scratch("synth_same");
    for kind in Kind::value_variants() {
        written(&draws(*kind), &dir);
    }
    let first = contents(&dir);
    assert!(first.len() > 100);
    fs::remove_dir_all(&dir).unwrap();
    for kind in Kind::value_variants() {
        written(&draws(*kind), &dir);
    }
    assert_eq!(first, contents(&dir));

    let hub = |seed| {
        let options = Options { seeds: seed..=seed, ..small() };
        (scenarios(Kind::Hub, &options)[0].makers[0])().truth().truth.len()
    };
    assert_eq!((hub(1), hub(2)), (401, 401));
    let entities = |seed| -> BTreeSet<String> {
        let options = Options { seeds: seed..=seed, ..small() };
        let truth = (scenarios(Kind::Chance, &options)[0].makers[0])().truth().truth;
        truth.into_iter().map(|row| row.service).collect()
    };
    assert_ne!(entities(1), entities(2));
}

/// What a scorer makes of the files is what the command prints: labels, times, limits and values
/// come through.
#[test]
fn files_are_decided_like_memory() {
    for kind in [Kind::SlowSilentCause, Kind::Reordered, Kind::TwoFaults] {
        let draws = draws(kind);
        let dir = scratch(&format!("synth_files_{}", draws[0].makers.len()));
        let subject = Hypocenter::new(Config::default());
        let storms = written(&draws, &dir);
        let mut memory = BTreeMap::new();
        for make in draws.iter().flat_map(|draw| &draw.makers) {
            let scenario = make();
            let lines = play(&scenario, &Policy::default()).unwrap();
            memory.insert(scenario.name().to_owned(), score(&scenario.truth(), &lines).unwrap());
        }
        assert_eq!(storms.len(), memory.len());
        for storm in storms {
            let from_files = score(&storm, &subject.group(&storm).unwrap()).unwrap();
            assert_eq!(from_files, memory[&storm.name], "{}", storm.name);
            fs::remove_dir_all(dir.join(&storm.name)).unwrap();
        }
    }
}

/// Graph and times of a written slow incident.
struct Slow {
    callees: BTreeMap<String, Vec<String>>,
    root: String,
    /// Start in milliseconds and entity of each alert instance, by origin.
    members: Vec<(i64, String)>,
    noise: Vec<(i64, String)>,
}

impl Slow {
    fn of(storm: &Storm) -> Self {
        let topology: Value = serde_json::from_slice(&storm.topology).unwrap();
        let mut callees: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for edge in topology["edges"].as_array().unwrap() {
            let end = |name: &str| edge[name].as_str().unwrap().to_owned();
            callees.entry(end("from")).or_default().push(end("to"));
        }
        let of = |origin: Origin| {
            let rows = storm.truth.iter().filter(move |row| row.origin == origin);
            rows.map(|row| (row.at_ms, row.service.clone())).collect()
        };
        Self {
            callees,
            root: storm.incidents[0].root_causes.first().unwrap().clone(),
            members: of(Origin::Incident(0)),
            noise: of(Origin::Noise),
        }
    }

    /// Whether a chain of dependencies leads there.
    fn reaches(&self, from: &str, to: &str, hops: usize) -> bool {
        from == to
            || hops > 0
                && self.callees.get(from).is_some_and(|callees| {
                    callees.iter().any(|callee| self.reaches(callee, to, hops - 1))
                })
    }
}

#[test]
fn slow_incidents_are_what_they_are_said_to_be() {
    for (kind, is_silent) in [(Kind::SlowAlertingCause, false), (Kind::SlowSilentCause, true)] {
        let dir = scratch(&format!("synth_slow_{is_silent}"));
        for storm in written(&draws(kind), &dir) {
            let slow = Slow::of(&storm);
            let own = slow.members.iter().filter(|(_, entity)| *entity == slow.root);
            let own: Vec<i64> = own.map(|(at, _)| *at).collect();
            let others = || slow.members.iter().filter(|(_, entity)| *entity != slow.root);
            assert_eq!(own.is_empty(), is_silent, "{}", storm.name);
            let first = others().map(|(at, _)| *at).min().unwrap();
            let late = own.iter().min().map_or(300.0, |at| (at - first) as f64 / 1000.0);
            assert!((300.0..=900.0).contains(&late), "{}: {late} s", storm.name);
            assert!(others().all(|(_, entity)| slow.reaches(entity, &slow.root, 4)));
            let entities: BTreeSet<&str> = others().map(|(_, entity)| entity.as_str()).collect();
            assert!(entities.len() >= 3, "{}: {entities:?}", storm.name);
            let decoyed = |(_, entity): &(i64, String)| entities.contains(entity.as_str());
            assert!(!slow.noise.iter().any(decoyed), "{}: noise on a sufferer", storm.name);
            let truth = fs::read(dir.join(&storm.name).join("truth.json")).unwrap();
            let truth: Value = serde_json::from_slice(&truth).unwrap();
            assert!((2..=3).contains(&truth["decoys"].as_array().unwrap().len()));
            check_events(&storm);
        }
    }
}

/// Messages come in order, and each alert instance is named once in the truth and told of.
fn check_events(storm: &Storm) {
    let events: Vec<Value> = storm
        .alerts
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert!(events.is_sorted_by_key(|event| event["ts_ms"].as_i64()));
    let told: BTreeSet<(&str, &str)> = events
        .iter()
        .filter(|event| event["status"] == "firing")
        .map(|event| (event["fingerprint"].as_str().unwrap(), event["startsAt"].as_str().unwrap()))
        .collect();
    let rows = storm.truth.iter().map(|row| (row.fingerprint.as_str(), row.starts_at.as_str()));
    let rows: Vec<(&str, &str)> = rows.collect();
    let named: BTreeSet<(&str, &str)> = rows.iter().copied().collect();
    assert_eq!(named.len(), rows.len(), "{}: an instance twice", storm.name);
    assert_eq!(named, told, "{}", storm.name);
}

#[test]
fn chance_does_not_gather() {
    for draw in draws(Kind::Chance) {
        let scenario = (draw.makers[0])();
        let lines = play(&scenario, &Policy::default()).unwrap();
        let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
        for incident in lines.iter().filter_map(|line| line.incident.as_deref()) {
            *sizes.entry(incident).or_insert(0) += 1;
        }
        assert!(sizes.values().all(|&size| size <= 5), "{}: {sizes:?}", draw.name);
    }
}

#[test]
fn two_faults_are_not_mixed() {
    let options = Options { count: Some(5), ..Options::default() };
    for figures in figures(&scenarios(Kind::TwoFaults, &options)[0]) {
        assert_eq!(figures.mixed, 0.0);
        assert_eq!(figures.missing, 0.0);
    }
}

#[test]
fn little_noise_is_drawn_into_slow_incidents() {
    let options = Options { count: Some(40), ..small() };
    for kind in [Kind::SlowAlertingCause, Kind::SlowSilentCause] {
        let noise = Figures::mean(&figures(&scenarios(kind, &options)[0])).noise_in;
        assert!(noise <= 0.05, "{kind:?}: {noise}");
    }
}

#[test]
fn the_report_has_every_kind_beside_what_is_required() {
    let options = Options { count: Some(2), ..small() };
    let draws: Vec<Draw> =
        Kind::value_variants().iter().flat_map(|&kind| scenarios(kind, &options)).collect();
    let text = report(&draws, &Policy::default()).unwrap().text;
    for draw in &draws {
        assert!(text.contains(&format!("| {} |", draw.name)), "{} in {text}", draw.name);
    }
    assert!(text.contains("≤ 1.3") && text.contains("≥ 0.85"), "{text}");
    let columns = |line: &&str| line.starts_with('|') && line.matches('|').count() != 7;
    let odd: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).filter(columns).collect();
    assert!(odd.is_empty(), "{odd:?}");
}
