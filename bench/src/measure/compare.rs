//! Two runs beside each other: what became slower or faster, beyond what the machine does by
//! itself.

use std::fmt::Write as _;

use super::engine::{Row, Run};

/// Ratios of medians that mean nothing, however steady both runs were.
const SAME: f64 = 1.05;

/// What came of one case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Medians are close, or each lies within what the other run saw.
    Same,
    /// Beyond the noise.
    Faster,
    /// Beyond the noise.
    Slower,
    /// It allocates more.
    Allocates,
    /// The workload is another one: times say nothing.
    OtherWorkload,
}

impl Verdict {
    /// Whether this is worse than before.
    #[must_use]
    pub fn is_regression(self) -> bool {
        matches!(self, Self::Slower | Self::Allocates)
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Faster => "faster",
            Self::Slower => "**slower**",
            Self::Allocates => "**allocates more**",
            Self::OtherWorkload => "another workload",
        }
    }
}

/// Judges one case by its medians and the spread of its batches.
#[must_use]
pub fn judge(before: &Row, after: &Row) -> Verdict {
    if before.workload != after.workload {
        return Verdict::OtherWorkload;
    }
    if after.allocations > before.allocations + 0.01 * before.allocations.max(0.1) {
        return Verdict::Allocates;
    }
    let ratio = after.ns.p50 / before.ns.p50.max(f64::MIN_POSITIVE);
    let apart = |low: &Row, high: &Row| high.ns.p50 > low.ns.p90 && low.ns.p50 < high.ns.p10;
    if ratio > SAME && apart(before, after) {
        Verdict::Slower
    } else if ratio < 1.0 / SAME && apart(after, before) {
        Verdict::Faster
    } else {
        Verdict::Same
    }
}

/// A Markdown table of all cases that both runs have, and whether one is worse than before.
#[must_use]
pub fn compare(before: &Run, after: &Run) -> (String, bool) {
    let mut text = format!(
        "A: commit {}, {}; B: commit {}, {}\n",
        before.machine.commit, before.at, after.machine.commit, after.at
    );
    if !before.machine.is_alike(&after.machine) {
        text.push_str("The machines differ: ratios of times mean little.\n");
    }
    text.push_str(
        "\nNanoseconds for each message: median, and in brackets where eight of ten batches lie.\n\
         Slower or faster is what both medians say, each outside the other's brackets.\n\n\
         | mix | live | services | stages | A | B | B/A | decisions | verdict |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    let (mut worse, mut common) = (false, 0);
    for after in &after.rows {
        let is_same = |row: &&Row| {
            (&row.mix, row.live, row.services, row.decode)
                == (&after.mix, after.live, after.services, after.decode)
        };
        let Some(before) = before.rows.iter().find(is_same) else { continue };
        let verdict = judge(before, after);
        worse |= verdict.is_regression();
        common += 1;
        let span =
            |row: &Row| format!("{:.0} ({:.0} to {:.0})", row.ns.p50, row.ns.p10, row.ns.p90);
        let stages = if after.decode { "decode+engine" } else { "engine" };
        let decisions = if before.decisions == after.decisions { "same" } else { "**others**" };
        let ratio = after.ns.p50 / before.ns.p50.max(f64::MIN_POSITIVE);
        let fine = writeln!(
            text,
            "| {} | {} | {} | {stages} | {} | {} | {ratio:.2} | {decisions} | {} |",
            after.mix,
            after.live,
            after.services,
            span(before),
            span(after),
            verdict.text()
        );
        debug_assert!(fine.is_ok(), "writing to memory");
    }
    if common == 0 {
        text.push_str("\nNo case is in both runs: measure the same sizes and mixes.\n");
    }
    (text, worse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::quantiles::PerEvent;

    fn row(p10: f64, p50: f64, p90: f64, allocations: f64) -> Row {
        Row {
            live: 1,
            services: 1,
            mix: "new".to_owned(),
            decode: false,
            events: 1,
            ns: PerEvent { min: p10, p10, p50, p90, p99: p90, mean: p50 },
            allocations,
            bytes_per_alert: 1.0,
            fill_ns: 1.0,
            incidents: 0,
            workload: "w".to_owned(),
            decisions: "d".to_owned(),
        }
    }

    #[test]
    fn only_what_lies_beyond_the_noise_is_a_verdict() {
        let before = row(90.0, 100.0, 120.0, 0.0);
        let judged = |p10, p50, p90| judge(&before, &row(p10, p50, p90, 0.0));
        assert_eq!(judged(90.0, 100.0, 120.0), Verdict::Same);
        assert_eq!(judged(95.0, 118.0, 150.0), Verdict::Same, "within the brackets");
        assert_eq!(judged(95.0, 130.0, 150.0), Verdict::Same, "a noisy run says nothing");
        assert_eq!(judged(110.0, 130.0, 150.0), Verdict::Slower);
        assert_eq!(judged(60.0, 70.0, 80.0), Verdict::Faster);
    }

    #[test]
    fn one_allocation_more_is_a_regression_at_any_speed() {
        let before = row(90.0, 100.0, 120.0, 0.0);
        let after = row(9.0, 10.0, 12.0, 0.5);
        assert_eq!(judge(&before, &after), Verdict::Allocates);
        assert!(judge(&before, &after).is_regression());
        let other = Row { workload: "x".to_owned(), ..after };
        assert_eq!(judge(&before, &other), Verdict::OtherWorkload);
    }

    #[test]
    fn the_table_has_what_both_runs_have() {
        let run = |rows: Vec<Row>| Run {
            command: "engine".to_owned(),
            at: String::new(),
            machine: Default::default(),
            seed: 1,
            policy: String::new(),
            rows,
        };
        let (slow, fast) = (row(90.0, 100.0, 120.0, 0.0), row(9.0, 10.0, 12.0, 0.0));
        let lone = Row { live: 2, ..slow.clone() };
        let (text, worse) = compare(&run(vec![fast.clone(), lone]), &run(vec![slow.clone()]));
        assert!(worse && text.contains("| 10.00 | same | **slower** |"), "{text}");
        assert_eq!(text.matches("| new |").count(), 1);
        let (text, worse) = compare(&run(vec![slow]), &run(vec![fast]));
        assert!(!worse && text.contains("faster"), "{text}");
        assert!(compare(&run(vec![]), &run(vec![])).0.contains("No case"));
    }
}
