//! The figures as Markdown, each beside what is required of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use anyhow::Result;
use hypocenter_engine::Policy;

use super::decoys;
use super::kinds::{Draw, Kind};
use super::play::{play, play_as};
use super::scenario::Scenario;
use crate::required::{Bound, Printed};
use crate::score::data::{Origin, TrueIncident};
use crate::score::grouping::{Figures, score};
use crate::score::predictions::MemberLine;

/// One scenario, measured.
struct Measured {
    decoys: Vec<&'static str>,
    figures: Figures,
    /// Alerts in the largest incident.
    largest: usize,
    /// Of the alerts of all faults, the share that is in the largest piece of its fault.
    in_one: f64,
    /// Whether every fault is exactly one incident of its own, noise aside.
    clean: bool,
    /// Whether an incident has alerts of two faults.
    mixed: bool,
    /// How far alerts are grouped as they are without delays; 1 where nothing is delayed.
    as_in_order: f64,
}

/// Plays and scores all that is drawn.
///
/// # Errors
/// When a scenario cannot be scored.
pub fn report(draws: &[Draw], policy: &Policy) -> Result<Printed> {
    let mut text = String::from("| scenario | drawn | figure | measured | required | met |\n");
    text += "|---|---|---|---|---|---|\n";
    let (mut by_decoy, mut unmet) = (String::new(), Vec::new());
    for draw in draws {
        let mut measured = Vec::new();
        for make in &draw.makers {
            let scenario = make();
            if let Some(lines) = play(&scenario, policy) {
                let mut one = Measured::new(&scenario, &lines)?;
                if let Some(events) = &scenario.in_order {
                    one.as_in_order =
                        sameness(&scenario, &play_as(&scenario, events, policy), &lines)?;
                }
                measured.push(one);
            }
        }
        let left_out = draw.makers.len() - measured.len();
        if left_out > 0 {
            writeln!(
                text,
                "| {} | {left_out} | not measured: the engine keeps one graph | | | |",
                draw.name
            )?;
            continue;
        }
        for (figure, value, bound) in figures(draw.kind, &measured) {
            let (name, drawn, cells) = (&draw.name, measured.len(), bound.cells(value));
            writeln!(text, "| {name} | {drawn} | {figure} | {value:.3} {cells}")?;
            if !bound.is_met(value) {
                unmet.push(format!("{name}: {figure} is {value:.3}"));
            }
        }
        for decoy in decoys::NAMES {
            let with: Vec<Figures> =
                measured.iter().filter(|m| m.decoys.contains(&decoy)).map(|m| m.figures).collect();
            if !with.is_empty() {
                let Figures { frag, ari, noise_in, root_at_1, .. } = Figures::mean(&with);
                let cases = with.len();
                writeln!(
                    by_decoy,
                    "| {} | {decoy} | {cases} | {frag:.2} | {ari:.2} | {noise_in:.3} | {root_at_1:.2} |",
                    draw.name
                )?;
            }
        }
    }
    if !by_decoy.is_empty() {
        text +=
            "\n| scenario | decoy | cases with it | fragments | ARI | noise drawn in | root@1 |\n";
        text += "|---|---|---|---|---|---|---|\n";
        text += &by_decoy;
    }
    Ok(Printed { text, unmet })
}

fn figures(kind: Kind, measured: &[Measured]) -> Vec<(&'static str, f64, Bound)> {
    use Bound::{AtLeast, AtMost, Open};
    let all: Vec<Figures> = measured.iter().map(|m| m.figures).collect();
    let mean = Figures::mean(&all);
    let count = |is: fn(&Measured) -> bool| measured.iter().filter(|m| is(m)).count() as f64;
    let shares = || measured.iter().map(|m| m.in_one);
    let in_one = shares().sum::<f64>() / measured.len() as f64;
    let largest = measured.iter().map(|m| m.largest).max().unwrap_or(0) as f64;
    let judged = |frag, ari, noise, root| {
        vec![
            ("fragments per incident", mean.frag, frag),
            ("ARI", mean.ari, ari),
            ("noise drawn in", mean.noise_in, noise),
            ("root@1", mean.root_at_1, root),
            ("share in one incident", in_one, Open),
        ]
    };
    let slow = |root| judged(AtMost(1.3), AtLeast(0.85), AtMost(0.05), AtLeast(root));
    match kind {
        Kind::Chance => vec![("largest incident", largest, AtMost(5.0))],
        Kind::Hub | Kind::TopologyChange => vec![
            ("share in one incident, mean", in_one, AtLeast(0.95)),
            ("share in one incident, least", shares().fold(1.0, f64::min), Open),
            ("pieces, alone ones included", mean.frag, Open),
            ("root@1", mean.root_at_1, Open),
        ],
        Kind::TwoFaults => vec![
            ("clean", count(|m| m.clean), AtLeast(0.8 * measured.len() as f64)),
            ("mixed", count(|m| m.mixed), AtMost(0.0)),
            ("share in one incident", in_one, Open),
            ("root@1", mean.root_at_1, Open),
        ],
        Kind::SlowAlertingCause => slow(0.85),
        Kind::SlowSilentCause => slow(0.70),
        Kind::Cascade => judged(Open, Open, Open, Open),
        Kind::Reordered => {
            let as_in_order: f64 = measured.iter().map(|m| m.as_in_order).sum();
            let mut list = judged(Open, Open, Open, Open);
            list.push(("grouped as in order, ARI", as_in_order / measured.len() as f64, Open));
            list
        }
    }
}

impl Measured {
    fn new(scenario: &Scenario, lines: &[MemberLine]) -> Result<Self> {
        let figures = score(&scenario.truth(), lines)?;
        let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
        for incident in lines.iter().filter_map(|line| line.incident.as_deref()) {
            *sizes.entry(incident).or_insert(0) += 1;
        }
        let (mut held, mut members, mut clean) = (0, 0, true);
        let mut faults_of: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for fault in 0..scenario.causes.len() {
            let mut pieces: BTreeMap<&str, usize> = BTreeMap::new();
            let mut alone = 0;
            for member in scenario.members_of(fault) {
                match lines[member].incident.as_deref() {
                    Some(incident) => {
                        *pieces.entry(incident).or_insert(0) += 1;
                        faults_of.entry(incident).or_default().insert(fault);
                    }
                    None => alone += 1,
                }
            }
            members += pieces.values().sum::<usize>() + alone;
            held += pieces.values().max().copied().unwrap_or(1.min(alone));
            clean &= pieces.len() == 1 && alone == 0;
        }
        let mixed = faults_of.values().any(|faults| faults.len() > 1);
        Ok(Self {
            decoys: scenario.decoys.clone(),
            figures,
            largest: sizes.values().max().copied().unwrap_or(0),
            in_one: held as f64 / members.max(1) as f64,
            clean: clean && !mixed,
            mixed,
            as_in_order: 1.0,
        })
    }
}

/// Agreement of two groupings of the same alerts, as an adjusted Rand index: the first one is taken
/// for the truth.
fn sameness(scenario: &Scenario, first: &[MemberLine], other: &[MemberLine]) -> Result<f64> {
    let mut truth = scenario.truth();
    let mut numbers = BTreeMap::new();
    for (row, line) in truth.truth.iter_mut().zip(first) {
        row.origin = match &line.incident {
            None => Origin::Noise,
            Some(incident) => {
                let next = numbers.len();
                Origin::Incident(*numbers.entry(incident.as_str()).or_insert(next))
            }
        };
    }
    let incident = |number: usize| TrueIncident {
        id: number.to_string(),
        system: None,
        root_causes: BTreeSet::new(),
    };
    truth.incidents = (0..numbers.len()).map(incident).collect();
    Ok(score(&truth, other)?.ari)
}
