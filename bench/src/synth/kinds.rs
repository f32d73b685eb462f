//! The kinds of scenarios, and which are drawn of each.

use std::ops::RangeInclusive;

use clap::ValueEnum;

use super::numbers::Numbers;
use super::scale::{self, Size};
use super::scenario::Scenario;
use super::slow::{Cause, slow};
use super::{cascade, stream};

/// A kind of scenario.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, ValueEnum)]
pub enum Kind {
    /// Services alert at random, unrelated.
    Chance,
    /// A hub fails with all that depend on it.
    Hub,
    /// Two services fail at once.
    TwoFaults,
    /// An incident develops over half an hour, and its cause alerts late.
    SlowAlertingCause,
    /// The same, and its cause never alerts.
    SlowSilentCause,
    /// Faults spread in a large landscape, among noise.
    Cascade,
    /// Messages arrive late and out of order.
    Reordered,
    /// The graph changes while an incident goes on.
    TopologyChange,
}

/// What is drawn.
#[derive(Clone, Debug)]
pub struct Options {
    /// Services in large graphs.
    pub services: usize,
    /// Services that depend on the largest hub of large graphs; `None`: a tenth of them.
    pub hub: Option<usize>,
    /// Seeds of large graphs. The first one also tells samples of small ones apart.
    pub seeds: RangeInclusive<u64>,
    /// How many are drawn of kinds that need many; `None`: 100 slow incidents, 20 pairs of faults.
    pub count: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self { services: 10_000, hub: None, seeds: 1..=3, count: None }
    }
}

/// Scenarios that are measured together: one line of the report.
pub struct Draw {
    /// What they are called.
    pub name: String,
    /// Their kind.
    pub kind: Kind,
    /// One maker for each; large graphs are not kept.
    pub makers: Vec<Maker>,
}

/// Makes one scenario, and for [`Kind::Reordered`] the same in order.
pub type Maker = Box<dyn Fn() -> Scenario>;

/// What is drawn of a kind.
#[must_use]
pub fn scenarios(kind: Kind, options: &Options) -> Vec<Draw> {
    let hub = options.hub.unwrap_or(options.services / 10);
    let size = Size { services: options.services, hub };
    let draw = |name: String, makers| Draw { name, kind, makers };
    let each = |make: fn(Size, u64) -> Scenario| -> Vec<Maker> {
        let of = |seed: u64| -> Maker { Box::new(move || make(size, seed)) };
        options.seeds.clone().map(of).collect()
    };
    match kind {
        Kind::Chance => {
            let shares = [1, 2, 5].into_iter().flat_map(|share| [(share, false), (share, true)]);
            let makers = |per_cent, hubs| {
                let of =
                    |seed| -> Maker { Box::new(move || scale::chance(size, per_cent, hubs, seed)) };
                options.seeds.clone().map(of).collect()
            };
            let name = |share, hubs| {
                let with = if hubs { " and the 5 largest hubs" } else { "" };
                format!("{share} % by chance{with}")
            };
            shares.map(|(share, hubs)| draw(name(share, hubs), makers(share, hubs))).collect()
        }
        Kind::Hub => vec![
            draw("hub".to_owned(), each(|size, seed| scale::hub(size, false, seed))),
            draw("hub, silent".to_owned(), each(|size, seed| scale::hub(size, true, seed))),
        ],
        Kind::TwoFaults => vec![draw("two faults at once".to_owned(), two_faults(size, options))],
        Kind::SlowAlertingCause => {
            let makers = slow_cases(options, Cause::AlertsLate, "slow-alerting-cause");
            vec![draw("slow, cause alerts late".to_owned(), makers)]
        }
        Kind::SlowSilentCause => {
            let makers = slow_cases(options, Cause::Silent, "slow-silent-cause");
            vec![draw("slow, cause silent".to_owned(), makers)]
        }
        Kind::Cascade => vec![draw("cascades".to_owned(), each(cascade::cascade))],
        Kind::Reordered => {
            let makers = slow_cases(options, Cause::AlertsLate, "slow-alerting-cause");
            let makers = makers.into_iter().map(|make| -> Maker { Box::new(move || late(&*make)) });
            vec![draw("late and out of order".to_owned(), makers.collect())]
        }
        Kind::TopologyChange => {
            vec![draw("graph changes".to_owned(), each(changing))]
        }
    }
}

fn two_faults(size: Size, options: &Options) -> Vec<Maker> {
    let seeds: Vec<u64> = options.seeds.clone().collect();
    let of = |draw: u64| -> Maker {
        let seed = seeds[draw as usize % seeds.len()];
        Box::new(move || scale::two_faults(size, seed, draw))
    };
    (0..options.count.unwrap_or(20)).map(of).collect()
}

fn slow_cases(options: &Options, cause: Cause, name: &'static str) -> Vec<Maker> {
    let first = options.seeds.start() * 1_000;
    let of = |case: u64| -> Maker { Box::new(move || slow(cause, name, case)) };
    (first..first + options.count.unwrap_or(100)).map(of).collect()
}

/// A fifth of all messages come up to five minutes late.
fn late(make: &dyn Fn() -> Scenario) -> Scenario {
    let mut scenario = make();
    let mut numbers = Numbers::new(&scenario.name, 0);
    stream::delay_some(&mut scenario, 0.2, 300.0, &mut numbers);
    scenario.name = format!("late-{}", scenario.name);
    scenario
}

/// The hub fails; a minute into it, the services that have not alerted yet get a new dependency
/// each, as in a deployment.
fn changing(size: Size, seed: u64) -> Scenario {
    let mut scenario = scale::hub(size, false, seed);
    let mut numbers = Numbers::new("changing", seed);
    let mut graph = scenario.graph.clone();
    for from in 1..graph.len() {
        if numbers.chance(0.02) {
            graph.link(from, numbers.below(from));
        }
    }
    scenario.changed_graph = Some((super::scenario::minutes(2.0), graph));
    scenario.name = format!("changing-{}", scenario.name);
    scenario
}
