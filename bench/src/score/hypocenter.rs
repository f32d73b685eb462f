//! The place where Hypocenter's engine is plugged into the scorer.
//!
//! This file alone knows that the thing measured is Hypocenter; the rest of the scorer sees a
//! [`Subject`].

use std::collections::BTreeMap;

use anyhow::Result;
use hypocenter_engine::*;

use super::data::{Case, Storm};
use super::predictions::MemberLine;

/// Ranks the entities of a single-fault case, best candidate first.
///
/// It must use `alerts` and `topology` only.
pub type Rank = fn(&Case) -> Result<Vec<String>>;

/// Puts every alert instance of a storm into an incident, or into none.
///
/// It must use `alerts` and `topology` only. One line for each `fingerprint` and `startsAt`.
pub type Group = fn(&Storm) -> Result<Vec<MemberLine>>;

/// What is measured: something that ranks and groups.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// The candidates of a case.
    pub rank: Rank,
    /// The incidents of a storm.
    pub group: Group,
}

/// Hypocenter as it is measured, or `None` in a build that has no engine: then only the simple
/// rules are scored.
#[must_use]
pub fn subject() -> Option<Subject> {
    Some(Subject { rank, group })
}

fn topology(bytes: &[u8]) -> Result<Topology> {
    let v: serde_json::Value = serde_json::from_slice(bytes)?;
    let mut b = TopologyBuilder::new();
    for n in v["nodes"].as_array().unwrap() {
        b.node(n.as_str().unwrap());
    }
    for e in v["edges"].as_array().unwrap() {
        b.edge(e["from"].as_str().unwrap(), e["to"].as_str().unwrap());
    }
    Ok(b.build().0)
}

#[derive(Default)]
struct Outcome {
    members: BTreeMap<(String, String), Option<String>>,
    into: BTreeMap<String, String>,
    ranked: BTreeMap<String, Vec<(String, f64, bool)>>,
    together: Vec<String>,
}

fn play(alerts: &[u8], topo: &[u8]) -> Result<Outcome> {
    let mut spec = PolicySpec::default();
    if let Ok(v) = std::env::var("HC") {
        for kv in v.split(',') {
            let (k, x) = kv.split_once('=').unwrap();
            let f: f64 = x.parse().unwrap();
            match k {
                "window" => spec.grouping.window = Span::from_millis((f * 1000.0) as u64),
                "join" => spec.grouping.join_ratio = f,
                "maxdur" => spec.times.max_duration = Span::from_millis((f * 1000.0) as u64),
                "merge" => spec.times.merge_window = Span::from_millis((f * 1000.0) as u64),
                "flapon" => spec.grouping.flap_onsets = f as u8,
                "chronic" => spec.times.chronic_after = Span::from_millis((f * 1000.0) as u64),
                "dep" => spec.grouping.dependent_weight = f,
                "leak" => spec.grouping.leak = f,
                _ => panic!("{k}"),
            }
        }
    }
    let policy = Policy::new(spec).unwrap();
    let mut engine = Engine::new(policy, topology(topo)?, 0, HashSeed(1));
    let mut out = Outcome::default();
    let mut d = Decisions::new();
    let ns = |s: &str| -> Timestamp {
        Timestamp::from_nanos(s.parse::<jiff::Timestamp>().unwrap().as_nanosecond() as i64)
    };
    for (i, line) in alerts
        .split(|b| *b == b'\n')
        .filter(|l| !l.is_empty())
        .enumerate()
    {
        let v: serde_json::Value = serde_json::from_slice(line)?;
        let mut pairs: Vec<(&str, &str)> = v["labels"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str().unwrap()))
            .collect();
        let labels = Labels::canonical(&mut pairs, &LabelLimits::default())?;
        let breach = (|| {
            let t = v["annotations"]["threshold"].as_str()?;
            let value: f64 = v["annotations"]["value"].as_str()?.parse().ok()?;
            let side = if t.starts_with('<') {
                Side::Below
            } else {
                Side::Above
            };
            Some(Breach {
                value,
                threshold: t.trim_start_matches(['<', '>', '=']).parse().ok()?,
                side,
            })
        })();
        let ev = AlertEvent {
            labels,
            starts_at: v["startsAt"].as_str().map(ns),
            ends_at: v["endsAt"].as_str().map(ns),
            status: match v["status"].as_str() {
                Some("resolved") => Some(Status::Resolved),
                _ => Some(Status::Firing),
            },
            breach,
        };
        let now = Timestamp::from_millis(v["ts_ms"].as_i64().unwrap());
        d.clear();
        while engine.advance(now, &mut d) == Progress::More {
            note(&engine, &d, &mut out, &v);
            d.clear();
        }
        note(&engine, &d, &mut out, &v);
        d.clear();
        engine.apply(Seq(i as u64), &ev, now, &mut d);
        note(&engine, &d, &mut out, &v);
    }
    let ids: Vec<IncidentId> = engine.incidents().map(|i| i.id()).collect();
    out.together = engine
        .explain_together(&ids)
        .into_iter()
        .map(|x| x.0.to_owned())
        .collect();
    assert!(engine.stats().is_balanced());
    if std::env::var("HCV").is_ok() {
        eprintln!("{:?}", engine.stats());
    }
    Ok(out)
}

fn note(engine: &Engine, d: &Decisions, out: &mut Outcome, v: &serde_json::Value) {
    for x in d.as_slice() {
        match *x {
            Decision::Opened {
                incident, alert, ..
            }
            | Decision::Joined { incident, alert } => {
                let k = (
                    alert.fingerprint.to_string(),
                    v["startsAt"].as_str().unwrap().to_owned(),
                );
                out.members.insert(k, Some(incident.to_string()));
            }
            Decision::Suppressed { alert, .. } => {
                let k = (
                    alert.fingerprint.to_string(),
                    v["startsAt"].as_str().unwrap().to_owned(),
                );
                out.members.insert(k, None);
            }
            Decision::Merged { incident, into } => {
                out.into.insert(incident.to_string(), into.to_string());
            }
            _ => {}
        }
        if let Decision::Published { incident, .. } = *x {
            let view = engine.incident(incident).unwrap();
            out.ranked.insert(
                incident.to_string(),
                view.candidates()
                    .iter()
                    .map(|c| (c.entity.to_owned(), c.score.to_f64(), c.is_silent()))
                    .collect(),
            );
        } else if let Decision::Repeated { .. } = *x {
        }
    }
}

fn rank(case: &Case) -> Result<Vec<String>> {
    let out = play(&case.alerts, &case.topology)?;
    if std::env::var("RM").is_err() {
        return Ok(out.together);
    }
    let mode = std::env::var("RM").unwrap_or_default();
    let mut best: BTreeMap<String, f64> = BTreeMap::new();
    let count = |id: &str| {
        out.members
            .values()
            .filter(|i| {
                i.as_ref().is_some_and(|i| {
                    let mut i = i.clone();
                    while let Some(n) = out.into.get(&i) {
                        i = n.clone();
                    }
                    i == id
                })
            })
            .count() as f64
    };
    let biggest = out
        .ranked
        .keys()
        .filter(|k| !out.into.contains_key(*k))
        .map(|k| (count(k) as i64, std::cmp::Reverse(k.clone())))
        .max();
    for (id, list) in &out.ranked {
        if out.into.contains_key(id) {
            continue;
        }
        for (e, s, _) in list {
            let b = best
                .entry(e.clone())
                .or_insert(if mode == "sum" { 0.0 } else { f64::MIN });
            match mode.as_str() {
                "sum" => *b += s.max(0.0),
                "size" => *b = b.max(*s + 1000.0 * count(id)),
                "biggest" => {
                    *b = b.max(
                        *s + if biggest.as_ref().is_some_and(|x| &x.1.0 == id) {
                            1000.0
                        } else {
                            0.0
                        },
                    )
                }
                "mul" => *b = b.max(*s * count(id)),
                _ => *b = b.max(*s),
            }
        }
    }
    if std::env::var("HCV").is_ok() {
        eprintln!(
            "{} {} truth {:?}",
            case.set, case.name, case.truth.root_causes
        );
        for (id, list) in &out.ranked {
            if !out.into.contains_key(id) {
                eprintln!("   {id} n={} {:?}", count(id), &list[..list.len().min(4)]);
            }
        }
    }
    let mut list: Vec<_> = best.into_iter().collect();
    list.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Ok(list.into_iter().map(|x| x.0).collect())
}

fn group(storm: &Storm) -> Result<Vec<MemberLine>> {
    let out = play(&storm.alerts, &storm.topology)?;
    Ok(out
        .members
        .iter()
        .map(|((f, s), inc)| {
            let inc = inc.as_ref().map(|i| {
                let mut i = i.clone();
                while let Some(n) = out.into.get(&i) {
                    i = n.clone();
                }
                i
            });
            let root = inc
                .as_ref()
                .and_then(|i| out.ranked.get(i))
                .and_then(|r| r.first())
                .map(|r| r.0.clone());
            MemberLine {
                fingerprint: f.clone(),
                starts_at: s.clone(),
                incident: inc,
                root,
            }
        })
        .collect())
}
