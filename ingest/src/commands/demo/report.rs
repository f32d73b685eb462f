//! The demo's report: what an engineer wants to see first.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::Value;

use crate::metrics::Snapshot;

/// What the demo found, for a terminal.
pub(super) struct Report<'a> {
    /// Every record of the incidents topic.
    pub(super) records: &'a [Value],
    pub(super) counters: &'a Snapshot,
    /// In nanoseconds.
    pub(super) latency: &'a Histogram<u64>,
    pub(super) elapsed: Duration,
    pub(super) colour: bool,
}

/// Strongest reasons shown.
const REASONS: usize = 3;

impl Report<'_> {
    /// The latest record of each incident that was not merged away, largest first.
    fn incidents(&self) -> Vec<&Value> {
        let mut latest: BTreeMap<&str, &Value> = BTreeMap::new();
        for record in self.records {
            let id = text(record, "/incident");
            let seen = latest.get(id).map_or(0, |seen| number(seen, "/version"));
            if number(record, "/version") > seen {
                latest.insert(id, record);
            }
        }
        let mut list: Vec<&Value> =
            latest.into_values().filter(|r| text(r, "/phase") != "merged").collect();
        list.sort_by_key(|r| {
            (std::cmp::Reverse(number(r, "/members/count")), text(r, "/incident"))
        });
        list
    }

    fn bold(&self, text: &str) -> String {
        if self.colour { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn incident(&self, f: &mut fmt::Formatter<'_>, record: &Value) -> fmt::Result {
        let root = text(record, "/root_cause/entity");
        let low = record.pointer("/root_cause/low_confidence") == Some(&Value::Bool(true));
        let note =
            if low { "  LOW CONFIDENCE: probably not among the alerting entities" } else { "" };
        let shown = record.pointer("/root_cause/alertname").and_then(Value::as_str);
        writeln!(
            f,
            "\n{}  {}, {}, onset {}",
            self.bold(text(record, "/incident")),
            text(record, "/phase"),
            text(record, "/severity"),
            text(record, "/onset"),
        )?;
        writeln!(
            f,
            "  root cause  {}  confidence {:.2}  ({}){note}",
            self.bold(root),
            float(record, "/root_cause/confidence"),
            shown.unwrap_or("no alert of its own"),
        )?;
        let evidence = record.pointer("/evidence").and_then(Value::as_array);
        for (at, term) in evidence.into_iter().flatten().take(REASONS).enumerate() {
            let label = if at == 0 { "because" } else { "" };
            let (score, why) = (float(term, "/contribution"), text(term, "/text"));
            writeln!(f, "  {label:<10}  {score:+.2}  {why}")?;
        }
        if let Some(lost) = record.pointer("/why_not/0") {
            writeln!(
                f,
                "  runner-up   {}  behind by {:.2}: {}",
                text(lost, "/entity"),
                float(lost, "/margin"),
                text(lost, "/text"),
            )?;
        }
        self.impact(f, record)
    }

    fn impact(&self, f: &mut fmt::Formatter<'_>, record: &Value) -> fmt::Result {
        let top_most = record.pointer("/impact/top_most").and_then(Value::as_array);
        let felt: Vec<&str> = top_most.into_iter().flatten().filter_map(Value::as_str).collect();
        writeln!(
            f,
            "  members     {} alerts on {} entities, felt at {}",
            number(record, "/members/count"),
            number(record, "/impact/entities"),
            felt.join(", "),
        )?;
        writeln!(
            f,
            "  dedup       {} events, {} of them repeats; {} flaps",
            number(record, "/dedup/events"),
            number(record, "/dedup/repeats"),
            number(record, "/dedup/flaps"),
        )
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let incidents = self.incidents();
        let (large, alone): (Vec<_>, Vec<_>) =
            incidents.into_iter().partition(|r| number(r, "/members/count") > 1);
        let counters = self.counters;
        let suppressed: u64 = counters.events_suppressed.iter().map(|(_, n)| n).sum();
        writeln!(
            f,
            "{} alert events in {} requests -> {} incidents of several alerts, {} of one",
            counters.events_accepted,
            counters.records,
            large.len(),
            alone.len(),
        )?;
        for record in &large {
            self.incident(f, record)?;
        }
        writeln!(f, "\nLeft alone, because no root explains them together with others:")?;
        for record in &alone {
            writeln!(f, "  {}  {}", text(record, "/incident"), text(record, "/title"))?;
        }
        writeln!(f, "Suppressed: {suppressed} onsets ({})", reasons(counters))?;
        let micros = |quantile| self.latency.value_at_quantile(quantile) as f64 / 1e3;
        writeln!(
            f,
            "\nDecision latency, from a request's last byte to its last decision, {} events:\n  \
             p50 {:.1}  p90 {:.1}  p99 {:.1}  p99.9 {:.1}  max {:.1} µs",
            self.latency.len(),
            micros(0.5),
            micros(0.9),
            micros(0.99),
            micros(0.999),
            self.latency.max() as f64 / 1e3,
        )?;
        writeln!(
            f,
            "{} records of incidents on the topic; {:.1} s with the broker's start-up",
            self.records.len(),
            self.elapsed.as_secs_f64(),
        )
    }
}

fn reasons(counters: &Snapshot) -> String {
    let list = counters.events_suppressed.iter().filter(|&(_, n)| n > 0);
    list.map(|(reason, n)| format!("{reason} {n}")).collect::<Vec<_>>().join(", ")
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

fn float(value: &Value, pointer: &str) -> f64 {
    value.pointer(pointer).and_then(Value::as_f64).unwrap_or_default()
}
