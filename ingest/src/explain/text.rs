//! The chain of a decision in words, for somebody who was woken by it: the answer first, then why,
//! then how it came about. Texts of strangers are made harmless.

use std::fmt;

use serde_json::Value;

use super::chain::{AlertChain, Explanation, Moment, Step, Weighing};
use crate::plain::Plain;

/// Labels told of an alert.
const LABELS_TOLD: usize = 40;
/// Incidents told of that were weighed for an alert.
const WEIGHED_TOLD: usize = 8;
/// Incidents told of that stayed apart.
const APART_TOLD: usize = 10;
/// Paths told of.
const PATHS_TOLD: usize = 30;

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.head(f)?;
        ranking(f, &self.record)?;
        paths(f, &self.record)?;
        self.history(f)?;
        self.apart(f)?;
        writeln!(f, "\nALERTS, and how each came in")?;
        let whole = self.alerts.len() > 1;
        for alert in &self.alerts {
            if whole { alert.short(f)? } else { alert.long(f)? }
        }
        if self.alerts_left_out > 0 {
            let left = self.alerts_left_out;
            writeln!(f, "  and {left} more; ask for one with --alert FINGERPRINT")?;
        } else if whole {
            writeln!(f, "\nMore on one of them: --alert FINGERPRINT")?;
        }
        provenance(f, &self.record)
    }
}

impl Explanation {
    fn head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = &self.record;
        writeln!(f, "{}", of(record, "/title"))?;
        let (phase, severity) = (of(record, "/phase"), of(record, "/severity"));
        writeln!(f, "{}, {phase}, {severity}", Plain(&self.incident))?;
        if self.asked != self.incident {
            writeln!(f, "You asked for {}, which went into this one.", Plain(&self.asked))?;
        }
        for merge in &self.merges {
            writeln!(f, "{}  took in {}", merge.at, merge.incident)?;
        }
        writeln!(
            f,
            "onset {}, opened {}, last version {} at {}",
            of(record, "/onset"),
            of(record, "/opened"),
            record["version"],
            of(record, "/updated")
        )
    }

    fn history(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nHOW THE CANDIDATE CAME ABOUT")?;
        let mut before: Option<&Moment> = None;
        for moment in &self.history {
            let same = before.is_some_and(|b| b.root == moment.root && b.phase == moment.phase);
            if !same {
                let changed = before.is_some_and(|b| b.root != moment.root);
                let why = match (before, changed, moment.rerank_cause) {
                    (None, ..) => "first alert",
                    (_, true, Some(cause)) => cause,
                    _ => moment.phase,
                };
                let plural = if moment.members == 1 { "" } else { "s" };
                writeln!(
                    f,
                    "  {}  v{:<4} {:<24} score {:5.2}  confidence {:.2}  {} alert{plural}  {why}",
                    moment.at,
                    moment.version,
                    Plain(&moment.root),
                    moment.score,
                    moment.confidence,
                    moment.members
                )?;
            }
            before = Some(moment);
        }
        Ok(())
    }

    fn apart(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kept_apart.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nKEPT APART FROM")?;
        for apart in self.kept_apart.iter().take(APART_TOLD) {
            let why = match (apart.ratio, apart.limit) {
                (Some(ratio), _) => format!("one root for both is not likely enough: {ratio:.2}"),
                (None, limit) => format!("{} forbids it", limit.unwrap_or("a limit")),
            };
            writeln!(f, "  {}  {}  {why}", apart.at, apart.incident)?;
        }
        let more = self.kept_apart.len().saturating_sub(APART_TOLD);
        if more > 0 { writeln!(f, "  and {more} more") } else { Ok(()) }
    }
}

fn ranking(f: &mut fmt::Formatter<'_>, record: &Value) -> fmt::Result {
    let root = &record["root_cause"];
    let low = root["low_confidence"] == true;
    writeln!(
        f,
        "\nROOT CAUSE  {}  confidence {:.2}{}",
        of(root, "/entity"),
        number(root, "/confidence"),
        if low { ", LOW: probably not among the alerting entities" } else { "" }
    )?;
    for term in list(record, "/evidence") {
        let (score, why) = (number(term, "/contribution"), of(term, "/text"));
        let (code, value, weight) =
            (of(term, "/code"), number(term, "/value"), number(term, "/weight"));
        writeln!(f, "  {score:+6.2}  {why}  ({code}: {value:.2} × {weight:.2})")?;
    }
    writeln!(f, "  {:6.2}  its score", number(root, "/score"))?;
    let lost = list(record, "/why_not");
    if !lost.is_empty() {
        writeln!(f, "\nWHY NOT")?;
    }
    for lost in lost {
        writeln!(
            f,
            "  {:<24} score {:5.2}, behind by {:.2}: {} ({} {:+.2})",
            of(lost, "/entity").to_string(),
            number(lost, "/score"),
            number(lost, "/margin"),
            of(lost, "/text"),
            of(lost, "/lost_on"),
            -number(lost, "/by")
        )?;
    }
    Ok(())
}

fn paths(f: &mut fmt::Formatter<'_>, record: &Value) -> fmt::Result {
    let all = list(record, "/paths");
    let others = || all.iter().filter(|path| path["entity"] != record["root_cause"]["entity"]);
    if others().next().is_none() {
        return Ok(());
    }
    writeln!(f, "\nHOW IT REACHES THE OTHERS, through (silent) entities too")?;
    let is_known = |path: &&Value| path["path"].is_array();
    let known = others().filter(is_known);
    for path in known.chain(others().filter(|path| !is_known(path))).take(PATHS_TOLD) {
        writeln!(f, "  {}", Way(path))?;
    }
    // The record tells of the first entities alone.
    let affected = number(record, "/impact/entities") as usize;
    let more = (affected + others().count()).saturating_sub(all.len() + PATHS_TOLD);
    if more > 0 { writeln!(f, "  and {more} more") } else { Ok(()) }
}

/// The path to one entity, or why there is none.
struct Way<'v>(&'v Value);

impl fmt::Display for Way<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(path) = self;
        if path["path"].is_null() {
            let why = of(path, "/no_path/text");
            return write!(f, "{}: no path leads there; {why}", of(path, "/entity"));
        }
        let silent = list(path, "/silent");
        for (at, stop) in list(path, "/path").iter().enumerate() {
            let arrow = if at == 0 { "" } else { " > " };
            let name = Plain(stop.as_str().unwrap_or_default());
            if silent.contains(stop) {
                write!(f, "{arrow}({name})")?;
            } else {
                write!(f, "{arrow}{name}")?;
            }
        }
        Ok(())
    }
}

fn provenance(f: &mut fmt::Formatter<'_>, record: &Value) -> fmt::Result {
    let of = |name: &str| of(record, &format!("/provenance/{name}")).to_string();
    let (first, last) = (&record["provenance"]["first"], &record["provenance"]["last"]);
    writeln!(
        f,
        "\nFrom {}/{}, positions {first} to {last}; policy {}, topology {}, engine {}",
        of("input"),
        record["provenance"]["partition"],
        of("policy"),
        of("topology"),
        of("engine")
    )
}

impl AlertChain {
    fn label(&self, name: &str) -> Plain<'_> {
        Plain(self.labels.get(name).map_or("", String::as_str))
    }

    /// On two lines.
    fn short(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let placed = self.steps.iter().find(|step| step.incident.is_some());
        let weighed = placed.and_then(|step| step.weighed.as_ref());
        let entity = weighed.map_or("", |weighed| weighed.entity.as_str());
        let at = placed.map_or("", |step| step.at.as_str());
        let name = self.label("alertname");
        writeln!(f, "  {at}  {}  {name} on {}", self.fingerprint, Plain(entity))?;
        if let Some((step, weighed)) = placed.zip(weighed) {
            writeln!(f, "      {}", verdict(step, weighed))?;
        }
        Ok(())
    }

    /// Everything.
    fn long(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {}  {}", self.fingerprint, self.label("alertname"))?;
        for (name, value) in self.labels.iter().take(LABELS_TOLD) {
            writeln!(f, "      {} = {}", Plain(name), Plain(value))?;
        }
        for step in &self.steps {
            step.long(f)?;
        }
        if let Some(path) = &self.path {
            writeln!(f, "  path    {}", Way(path))?;
        }
        writeln!(f, "  in the score")?;
        for term in &self.evidence {
            let (score, why) = (number(term, "/contribution"), of(term, "/text"));
            writeln!(f, "      {score:+6.2}  {why}  ({})", of(term, "/code"))?;
        }
        if self.evidence.is_empty() {
            writeln!(
                f,
                "      nothing on its own: another alert of its entity is worse, or the candidate \
                 does not explain it"
            )?;
        }
        Ok(())
    }
}

impl Step {
    fn long(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, input, position, times, last, .. } = self;
        let input = Plain(input);
        match self.what {
            "repeated" if *times > 1 => writeln!(
                f,
                "  {at}  dedup: {times} repeats, the last at {last} ({input}:{})",
                self.last_position
            ),
            "repeated" => writeln!(f, "  {at}  dedup: a repeat ({input}:{position})"),
            "expired" => writeln!(f, "  {at}  expired: nothing more was heard of it"),
            "resolved" | "resolved_unknown" => writeln!(f, "  {at}  resolved ({input}:{position})"),
            "suppressed" => {
                let why = self.reason.unwrap_or("unknown");
                writeln!(f, "  {at}  suppressed as {why} ({input}:{position})")
            }
            _ => {
                writeln!(f, "  {at}  fires ({input}:{position})")?;
                let Some(weighed) = &self.weighed else {
                    return writeln!(f, "      {}", self.what);
                };
                let Weighing { kind, strength, .. } = weighed;
                writeln!(f, "      dedup    a new episode")?;
                let rule = match &weighed.mapped_by {
                    Some(rule) => format!("rule {} says", Plain(rule)),
                    None => "no rule matches:".to_owned(),
                };
                let outside = if weighed.in_topology { "" } else { ", which is not in the graph" };
                let entity = Plain(&weighed.entity);
                writeln!(f, "      mapping  {rule} {entity}{outside}")?;
                writeln!(f, "      kind     {kind}, strength {strength:.2}")?;
                writeln!(f, "      onset    {}", weighed.onset)?;
                writeln!(f, "      join     {}", verdict(self, weighed))?;
                for one in weighed.alternatives.iter().take(WEIGHED_TOLD) {
                    if one.verdict == "too_late" {
                        writeln!(f, "        {}  too_late", one.incident)?;
                        continue;
                    }
                    let root = one.root.as_deref().unwrap_or("(same entity or fallback labels)");
                    let limit = one.limit.map(|limit| format!(" ({limit})")).unwrap_or_default();
                    writeln!(
                        f,
                        "        {}  {:<8}{limit}  ratio {:.3}, of that nearness in time {:.3}, root {}",
                        one.incident,
                        one.verdict,
                        one.ratio,
                        one.nearness,
                        Plain(root)
                    )?;
                }
                let more = weighed.alternatives.len().saturating_sub(WEIGHED_TOLD);
                if more > 0 { writeln!(f, "        and {more} more") } else { Ok(()) }
            }
        }
    }
}

/// Why the alert is where it is, in one sentence.
fn verdict(step: &Step, weighed: &Weighing) -> String {
    let needed = weighed.threshold;
    let first = weighed.alternatives.first();
    let root = |root: &Option<String>| match root {
        Some(root) => format!("{} explains both", Plain(root)),
        None => "its entity is a member already, or shares the fallback labels".to_owned(),
    };
    if step.what == "joined" {
        let joined = weighed.alternatives.iter().find(|one| one.verdict == "joins");
        let back = weighed.alternatives.iter().any(|one| one.verdict == "goes_back");
        return match joined {
            None if back => format!(
                "went back to {}, where it was before: nothing explains it better",
                step.incident.as_deref().unwrap_or_default()
            ),
            Some(one) => format!(
                "joined {}: {}, ratio {:.2} (needed {needed:.2})",
                one.incident,
                root(&one.root),
                one.ratio
            ),
            None => format!("joined {}", step.incident.as_deref().unwrap_or_default()),
        };
    }
    let opened = format!("opened {}", step.incident.as_deref().unwrap_or_default());
    match first {
        None => format!("{opened}: no live incident considers a root that could explain it"),
        Some(one) => match one.verdict {
            "refused" => format!(
                "{opened}: {} would explain it ({}), but {} forbids it",
                one.incident,
                root(&one.root),
                one.limit.unwrap_or("a limit")
            ),
            "too_late" => {
                format!("{opened}: the last new evidence of {} is too long ago", one.incident)
            }
            _ => format!(
                "{opened}: the best other, {}, comes to {:.2} of the {needed:.2} needed ({})",
                one.incident,
                one.ratio,
                root(&one.root)
            ),
        },
    }
}

fn of<'v>(value: &'v Value, pointer: &str) -> Plain<'v> {
    Plain(value.pointer(pointer).and_then(Value::as_str).unwrap_or_default())
}

fn number(value: &Value, pointer: &str) -> f64 {
    value.pointer(pointer).and_then(Value::as_f64).unwrap_or_default()
}

fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
