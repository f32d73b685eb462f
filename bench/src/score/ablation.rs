//! Each term and mechanism of the policy switched off or made neutral, one at a time.
//!
//! An ablation is a piece of configuration laid over the policy that is measured, so whatever the
//! configuration can say can be ablated.

use anyhow::{Result, anyhow};
use hypocenter::config::Config;
use serde::Serialize;

use super::data::Data;
use super::evaluation::{Evaluation, Headline};
use super::hypocenter::Hypocenter;
use super::predictions::Predictions;

/// Something that can be switched off.
#[derive(Clone, Copy, Debug)]
pub struct Ablation {
    /// What is missing, in words.
    pub name: &'static str,
    /// The configuration that does it.
    pub overlay: &'static str,
}

const NEUTRAL_RANKING_KINDS: &str = "kinds: {weights: {\
    saturation: {own: 1, symptom: 1}, crash: {own: 1, symptom: 1}, error: {own: 1, symptom: 1}, \
    latency: {own: 1, symptom: 1}, edge: {own: 1, symptom: 1}, client: {own: 1, symptom: 1}, \
    traffic: {own: 1, symptom: 1}, other: {own: 1, symptom: 1}}}";
const NO_OWN: &str = "kinds: {weights: {\
    saturation: {own: 0}, crash: {own: 0}, error: {own: 0}, latency: {own: 0}, edge: {own: 0}, \
    client: {own: 0}, traffic: {own: 0}, other: {own: 0}}}";
const NO_SYMPTOM: &str = "kinds: {weights: {\
    saturation: {symptom: 0}, crash: {symptom: 0}, error: {symptom: 0}, latency: {symptom: 0}, \
    edge: {symptom: 0}, client: {symptom: 0}, traffic: {symptom: 0}, other: {symptom: 0}}}";
const EQUAL_PULL: &str = "kinds: {weights: {\
    saturation: {pull: 1}, crash: {pull: 1}, error: {pull: 1}, latency: {pull: 1}, \
    edge: {pull: 1}, client: {pull: 1}, traffic: {pull: 1}, other: {pull: 1}}}";

/// All of them, ranking first.
pub const ALL: &[Ablation] = &[
    ablation("ranking: kinds alike", NEUTRAL_RANKING_KINDS),
    ablation("ranking: no OWN_ALERT", NO_OWN),
    ablation("ranking: no EXPLAINS", NO_SYMPTOM),
    ablation(
        "ranking: strength alike",
        "ranking: {strength_base: 1, strength_per_ln: 0, strength_max: 1, \
         strength_by_severity: {critical: 1, warning: 1, info: 1}}",
    ),
    ablation("ranking: no STARVED_CALLER", "ranking: {starved_weight: 0}"),
    ablation("ranking: no dilution", "ranking: {slack: 100}"),
    ablation("ranking: entry like others", "ranking: {entry_weight: 1}"),
    ablation("ranking: direct dependents only", "ranking: {hops_max: 1}"),
    ablation("ranking: no decay by hops", "ranking: {decay: 0.999}"),
    ablation("ranking: silent ones decay alike", "ranking: {silent_decay: 0.7}"),
    ablation("ranking: silent ones need not cover", "ranking: {silent_coverage: 0}"),
    ablation("ranking: silence is free", "ranking: {silent_price: 0}"),
    ablation("ranking: no silent candidates", "ranking: {silent_price: 100}"),
    ablation("grouping: kinds claim nothing", "grouping: {claim_max: 0}"),
    ablation("grouping: kinds pull alike", EQUAL_PULL),
    ablation("grouping: direct dependents only", "grouping: {hops_max: 1}\nranking: {hops_max: 1}"),
    ablation("grouping: no decay by hops", "grouping: {decay: 0.999}"),
    ablation("grouping: silent on the way or not", "grouping: {silent_hop: 1}"),
    ablation("grouping: no downward load", "grouping: {dependent_weight: 0.000001}"),
    ablation("grouping: callers innocent", "grouping: {caller_weight: 0.000001}"),
    ablation("grouping: no leak", "grouping: {leak: 0.000001}"),
    ablation("grouping: no clock", "grouping: {window: 30d, late_window: 30d}"),
    ablation("grouping: nothing late", "grouping: {late_weight: 0}"),
    ablation("grouping: a lone alert is as real", "grouping: {real_entities: 1}"),
    ablation("grouping: no habits", "grouping: {habit_weight: 0}"),
    ablation("grouping: all is coincidence", "grouping: {coincidence_min: 1e9}"),
    ablation("grouping: joins at even odds only", "grouping: {join_ratio: 0.999}"),
    ablation("no merging", "times: {merge_window: 1ms}"),
    ablation("flappers not suppressed", "times: {flap_window: 1ms}"),
    ablation("chronic not suppressed", "times: {chronic_after: 30d}"),
    ablation("span not bounded", "times: {max_duration: 30d}"),
];

const fn ablation(name: &'static str, overlay: &'static str) -> Ablation {
    Ablation { name, overlay }
}

/// The figures of one ablation.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Row {
    /// What is missing.
    pub name: String,
    /// What is left.
    pub figures: Headline,
}

/// The figures of a configuration, and with each of [`ALL`] laid over it.
///
/// # Errors
/// When the data cannot be read, or an ablation is not valid over this configuration.
pub fn run(data: &Data, config: &Config) -> Result<Vec<Row>> {
    let mut rows = vec![row(data, "nothing switched off", config.clone())?];
    for one in ALL {
        let config = config.clone().with(one.overlay).map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            anyhow!("ablation {:?} over this policy: {}", one.name, problems.join("; "))
        })?;
        rows.push(row(data, one.name, config)?);
    }
    Ok(rows)
}

fn row(data: &Data, name: &str, config: Config) -> Result<Row> {
    let made = Predictions::make(data, &Hypocenter::new(config))?;
    Ok(Row { name: name.to_owned(), figures: Evaluation::of(data, &made)?.headline() })
}

/// The rows as Markdown. A row in which no figure differs from the first one's is marked.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let mut text = format!("| switched off | {} |\n", Headline::NAMES.join(" | "));
    text += &format!("|{}\n", "---|".repeat(Headline::NAMES.len() + 1));
    let shown = |row: &Row| row.figures.shown();
    for (at, row) in rows.iter().enumerate() {
        let cells = shown(row);
        let same = at > 0 && cells == shown(&rows[0]);
        let mark = if same { " (no difference)" } else { "" };
        text += &format!("| {}{mark} | {} |\n", row.name, cells.join(" | "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ablation_changes_the_default_policy_and_no_two_are_alike() {
        let hash = |text| Config::default().with(text).map(|config| config.policy.hash());
        let mut seen = vec![Config::default().policy.hash()];
        for one in ALL {
            let hash = hash(one.overlay).unwrap_or_else(|e| panic!("{}: {e:?}", one.name));
            assert!(!seen.contains(&hash), "{} changes nothing of its own", one.name);
            seen.push(hash);
        }
    }
}
