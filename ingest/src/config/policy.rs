//! `labels`, `mapping`, `kinds`, `grouping`, `ranking`, `times`, `limits`: the engine's parameters.
//!
//! Bounds that the engine checks itself are not repeated here; its errors get their place in the
//! file from the keys that were given.

use std::time::Duration;

use hypocenter_engine::{
    Grouping, Kind, KindWeights, KindWords, LabelRoles, Policy, PolicyError, PolicySpec, Ranking,
    Span, Times,
};

use super::{Accept, mapping};
use crate::yaml::reader::Reader;
use crate::yaml::section::Section;

pub(super) fn read(root: &mut Section<'_, '_>, spec: &mut PolicySpec, accept: &mut Accept) {
    root.section("labels", |s| labels(s, &mut spec.labels));
    root.section("mapping", |s| mapping::read(s, &mut spec.mapping));
    root.section("kinds", |s| {
        s.section("words", |s| words(s, &mut spec.kinds));
        s.section("weights", |s| weights(s, &mut spec.weights));
    });
    root.section("grouping", |s| grouping(s, &mut spec.grouping));
    root.section("ranking", |s| ranking(s, &mut spec.ranking));
    root.section("times", |s| times(s, &mut spec.times));
    root.section("limits", |s| {
        let limits = &mut spec.limits;
        s.whole("alerts_max", 1..=100_000_000, &mut limits.alerts_max);
        s.whole("incidents_max", 1..=100_000_000, &mut limits.incidents_max);
        s.whole("members_max", 1..=100_000_000, &mut limits.members_max);
        s.whole("labels_max", 1..=1024, &mut limits.labels_max);
        accept.labels.count_max = limits.labels_max as usize;
        let labels = &mut accept.labels;
        s.whole("label_name_bytes_max", 16..=65_536, &mut labels.name_bytes_max);
        s.whole("label_value_bytes_max", 16..=1_048_576, &mut labels.value_bytes_max);
        s.whole("body_bytes_max", 1024..=268_435_456, &mut accept.body_bytes_max);
    });
}

/// Lets the engine check the whole, and finds the place of what it refuses.
pub(super) fn check(reader: &Reader, spec: PolicySpec) -> Option<Policy> {
    let errors = match Policy::new(spec) {
        Ok(policy) => return Some(policy),
        Err(errors) => errors,
    };
    for error in errors {
        match error {
            PolicyError::OutOfRange { field, given, allowed } => {
                let path = if field.starts_with("weights") { "kinds.weights" } else { field };
                // Bounds that are checked here as well are reported once.
                if !reader.has_problem(path) {
                    let (at, given) = match reader.given(path) {
                        Some((at, shown)) => (Some(at), shown),
                        None => (None, given),
                    };
                    reader.problem(at, path, format!("is {given}, allowed is {allowed}"));
                }
            }
            // Reported with its place when the rule was read.
            PolicyError::Mapping(_) if reader.has_problem("mapping") => {}
            other => reader.problem(None, "", other.to_string()),
        }
    }
    None
}

fn labels(s: &mut Section<'_, '_>, roles: &mut LabelRoles) {
    s.texts("replica", &mut roles.replica);
    s.optional("tenant", &mut roles.tenant);
    s.texts("caller", &mut roles.caller);
    s.text("metric", &mut roles.metric);
    s.text("severity", &mut roles.severity);
    s.texts("fallback", &mut roles.fallback);
}

fn words(s: &mut Section<'_, '_>, words: &mut KindWords) {
    for (kind, list) in &mut words.0 {
        s.texts(kind.name(), list);
        for word in list.iter() {
            let lower = word.chars().all(|c| c.is_alphanumeric() && !c.is_uppercase());
            if !lower {
                let what = format!(
                    "has {word:?}, which no name can match: lower-case letters and digits only"
                );
                s.problem(kind.name(), what);
            }
        }
    }
}

fn weights(s: &mut Section<'_, '_>, weights: &mut KindWeights) {
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Meta) {
        let mut weight = weights.of(kind);
        s.section(kind.name(), |s| {
            s.float_in("own", 0.0..=20.0, &mut weight.own);
            s.float_in("symptom", 0.0..=20.0, &mut weight.symptom);
            s.float_in("claim", -20.0..=20.0, &mut weight.claim);
            s.float_in("pull", 0.0..=1.0, &mut weight.pull);
        });
        weights.set(kind, weight);
    }
}

fn grouping(s: &mut Section<'_, '_>, g: &mut Grouping) {
    s.whole("hops_max", 0..=u8::MAX, &mut g.hops_max);
    s.whole("reach_max", 0..=usize::MAX, &mut g.reach_max);
    s.float("decay", &mut g.decay);
    s.float("silent_hop", &mut g.silent_hop);
    s.float("dependent_weight", &mut g.dependent_weight);
    s.float("caller_weight", &mut g.caller_weight);
    s.float("leak", &mut g.leak);
    s.float("join_ratio", &mut g.join_ratio);
    span(s, "window", &mut g.window);
    span(s, "late_window", &mut g.late_window);
    s.float("late_weight", &mut g.late_weight);
    s.whole("real_entities", 1..=u32::MAX, &mut g.real_entities);
    span(s, "background_window", &mut g.background_window);
    s.float("habit_weight", &mut g.habit_weight);
    span(s, "coincidence_window", &mut g.coincidence_window);
    s.float("coincidence_min", &mut g.coincidence_min);
    s.float("claim_max", &mut g.claim_max);
    s.whole("flap_onsets", 0..=u8::MAX, &mut g.flap_onsets);
    s.float("fallback_weight", &mut g.fallback_weight);
}

fn ranking(s: &mut Section<'_, '_>, r: &mut Ranking) {
    s.whole("hops_max", 0..=u8::MAX, &mut r.hops_max);
    s.float("decay", &mut r.decay);
    s.float("strength_base", &mut r.strength_base);
    s.float("strength_per_ln", &mut r.strength_per_ln);
    s.float("strength_max", &mut r.strength_max);
    s.section("strength_by_severity", |s| {
        let names = ["critical", "warning", "info"];
        for (key, strength) in names.into_iter().zip(&mut r.strength_by_severity) {
            s.float(key, strength);
            if !(*strength > 0.0 && *strength <= 100.0) {
                let what = format!("is {strength}, allowed is more than 0, at most 100");
                s.problem(key, what);
            }
        }
    });
    s.float("starved_weight", &mut r.starved_weight);
    s.float("slack", &mut r.slack);
    s.float("entry_weight", &mut r.entry_weight);
    s.float("host_weight", &mut r.host_weight);
    s.float("silent_price", &mut r.silent_price);
    s.float("silent_decay", &mut r.silent_decay);
    s.float("silent_coverage", &mut r.silent_coverage);
    s.float("temperature", &mut r.temperature);
    s.float("none_score", &mut r.none_score);
    s.float("low_confidence", &mut r.low_confidence);
}

fn times(s: &mut Section<'_, '_>, t: &mut Times) {
    span(s, "resolve_timeout", &mut t.resolve_timeout);
    span(s, "lateness", &mut t.lateness);
    span(s, "settle_for", &mut t.settle_for);
    span(s, "quiet_for", &mut t.quiet_for);
    span(s, "retain_for", &mut t.retain_for);
    span(s, "merge_window", &mut t.merge_window);
    span(s, "max_duration", &mut t.max_duration);
    span(s, "refire_within", &mut t.refire_within);
    span(s, "reopen_within", &mut t.reopen_within);
    span(s, "flap_window", &mut t.flap_window);
    span(s, "flap_steady", &mut t.flap_steady);
    span(s, "flap_hold", &mut t.flap_hold);
    span(s, "chronic_after", &mut t.chronic_after);
}

fn span(s: &mut Section<'_, '_>, key: &str, into: &mut Span) {
    let mut value = Duration::from_nanos(into.as_nanos().unsigned_abs());
    s.duration(key, &mut value);
    *into = Span::from_millis(u64::try_from(value.as_millis()).unwrap_or(u64::MAX));
}
