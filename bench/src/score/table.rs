//! The figures as Markdown.

use std::fmt::Write;

use anyhow::Result;

use super::baselines_grouping::Grouping;
use super::baselines_ranking::Rule;
use super::data::Data;
use super::predictions::Predictions;
use super::{grouping, ranking};

/// What Hypocenter's row is called.
const SUBJECT: &str = "**hypocenter**";

/// A column of the grouping table: heading and figure.
type Column = (&'static str, fn(&grouping::Figures) -> f64);

const COLUMNS: [Column; 7] = [
    ("pair F1", |f| f.f1),
    ("B³", |f| f.b3),
    ("ARI", |f| f.ari),
    ("noise drawn in", |f| f.noise_in),
    ("root@1", |f| f.root_at_1),
    ("frag", |f| f.frag),
    ("mixed", |f| f.mixed),
];

/// Rules against sets, top-1/top-3; the last column is the mean over the sets, each counting the
/// same. Empty without sets.
///
/// # Errors
/// When a case is malformed.
pub fn ranking(data: &Data, subject: Option<&Predictions>) -> Result<String> {
    if data.sets.is_empty() {
        return Ok(String::new());
    }
    let mut text = String::from("| rule |");
    for set in &data.sets {
        write!(text, " {} ({}) |", set.name, set.cases.len())?;
    }
    text += " mean over sets |\n";
    text += &rule_line(data.sets.len() + 2);
    for rule in Rule::ALL {
        let reports = data.sets.iter().map(|set| Ok(rule.score(set)?.all));
        ranking_row(&mut text, rule.name(), &reports.collect::<Result<Vec<_>>>()?)?;
    }
    if let Some(given) = subject {
        let lines = |name: &str| given.ranked.get(name).map(Vec::as_slice).unwrap_or_default();
        let reports = data.sets.iter().map(|set| ranking::score(set, lines(&set.name)).all);
        ranking_row(&mut text, SUBJECT, &reports.collect::<Vec<_>>())?;
    }
    Ok(text)
}

fn ranking_row(text: &mut String, name: &str, sets: &[ranking::Figures]) -> Result<()> {
    let sets_count = sets.len() as f64;
    let mean = |of: fn(&ranking::Figures) -> f64| sets.iter().map(of).sum::<f64>() / sets_count;
    write!(text, "| {name} |")?;
    for set in sets {
        write!(text, " {:.2}/{:.2} |", set.top1, set.top3)?;
    }
    writeln!(text, " {:.3}/{:.3} |", mean(|set| set.top1), mean(|set| set.top3))?;
    Ok(())
}

/// Groupings against measures, means over the storms. Empty without storms.
///
/// # Errors
/// When a storm or a prediction is malformed.
pub fn grouping(data: &Data, subject: Option<&Predictions>) -> Result<String> {
    if data.storms.is_empty() {
        return Ok(String::new());
    }
    let mut text = format!("| grouping ({} storms) |", data.storms.len());
    for (heading, _) in COLUMNS {
        write!(text, " {heading} |")?;
    }
    text.push('\n');
    text += &rule_line(COLUMNS.len() + 1);
    for baseline in Grouping::ALL {
        let figures = data.storms.iter().map(|storm| baseline.score(storm));
        grouping_row(&mut text, &baseline.name(), &figures.collect::<Result<Vec<_>>>()?)?;
    }
    if let Some(given) = subject {
        let lines = |name: &str| given.members.get(name).map(Vec::as_slice).unwrap_or_default();
        let figures = data.storms.iter().map(|storm| grouping::score(storm, lines(&storm.name)));
        grouping_row(&mut text, SUBJECT, &figures.collect::<Result<Vec<_>>>()?)?;
    }
    Ok(text)
}

fn grouping_row(text: &mut String, name: &str, storms: &[grouping::Figures]) -> Result<()> {
    let mean = grouping::Figures::mean(storms);
    write!(text, "| {name} |")?;
    for (_, figure) in COLUMNS {
        write!(text, " {:.2} |", figure(&mean))?;
    }
    text.push('\n');
    Ok(())
}

/// Every figure of the given predictions: each set by fault kind, each storm, and the means. Sets
/// and storms without predictions are left out.
///
/// # Errors
/// When a prediction is malformed.
pub fn details(data: &Data, given: &Predictions) -> Result<String> {
    let mut text = String::new();
    let ranked = data.sets.iter().filter_map(|set| Some((set, given.ranked.get(&set.name)?)));
    for (index, (set, lines)) in ranked.enumerate() {
        if index == 0 {
            text += "| set | fault kind | cases | top-1 | top-3 | MRR | without prediction |\n";
            text += &rule_line(7);
        }
        let report = ranking::score(set, lines);
        let missing = report.without_prediction.to_string();
        details_row(&mut text, &set.name, "all", &report.all, &missing)?;
        for (kind, figures) in &report.by_kind {
            details_row(&mut text, &set.name, kind, figures, "")?;
        }
    }
    let mut storms = Vec::new();
    for storm in &data.storms {
        if let Some(lines) = given.members.get(&storm.name) {
            storms.push((storm.name.as_str(), grouping::score(storm, lines)?));
        }
    }
    if !storms.is_empty() {
        let figures: Vec<_> = storms.iter().map(|(_, figures)| *figures).collect();
        storms.push(("mean", grouping::Figures::mean(&figures)));
        if !text.is_empty() {
            text.push('\n');
        }
        writeln!(text, "| storm | {} |", grouping::NAMES.join(" | "))?;
        text += &rule_line(grouping::COUNT + 1);
    }
    for (name, figures) in storms {
        let cells = figures.to_array().map(|figure| format!("{figure:.3}"));
        writeln!(text, "| {name} | {} |", cells.join(" | "))?;
    }
    Ok(text)
}

fn details_row(
    text: &mut String,
    set: &str,
    kind: &str,
    figures: &ranking::Figures,
    missing: &str,
) -> Result<()> {
    let ranking::Figures { cases, top1, top3, mrr } = figures;
    writeln!(text, "| {set} | {kind} | {cases} | {top1:.3} | {top3:.3} | {mrr:.3} | {missing} |")?;
    Ok(())
}

/// The line under a heading of so many columns.
fn rule_line(columns: usize) -> String {
    format!("|{}\n", "---|".repeat(columns))
}
