//! The bounds of every parameter.

use super::{PolicyError, PolicySpec};
use crate::kind::Kind;
use crate::score::Score;

/// Collects what is out of bounds.
struct Check {
    errors: Vec<PolicyError>,
}

impl Check {
    fn within(&mut self, field: &'static str, given: f64, ok: bool, allowed: &'static str) {
        if !ok || !given.is_finite() {
            let given = given.to_string();
            self.errors.push(PolicyError::OutOfRange { field, given, allowed });
        }
    }
}

/// Everything that is out of bounds in a specification, mapping rules aside.
pub(super) fn all(spec: &PolicySpec) -> Vec<PolicyError> {
    let mut check = Check { errors: Vec::new() };
    shares(spec, &mut check);
    counts(spec, &mut check);
    ranking(spec, &mut check);
    times(spec, &mut check);
    weights(spec, &mut check);
    check.errors
}

fn shares(spec: &PolicySpec, check: &mut Check) {
    let (g, r) = (&spec.grouping, &spec.ranking);
    for (field, share) in [
        ("grouping.decay", g.decay),
        ("grouping.dependent_weight", g.dependent_weight),
        ("grouping.caller_weight", g.caller_weight),
        ("grouping.fallback_weight", g.fallback_weight),
        ("grouping.leak", g.leak),
        ("grouping.join_ratio", g.join_ratio),
        ("ranking.decay", r.decay),
    ] {
        check.within(field, share, share > 0.0 && share < 1.0, "more than 0, less than 1");
    }
}

fn counts(spec: &PolicySpec, check: &mut Check) {
    let (g, r, l) = (&spec.grouping, &spec.ranking, &spec.limits);
    for (field, hops) in [("grouping.hops_max", g.hops_max), ("ranking.hops_max", r.hops_max)] {
        check.within(field, hops.into(), (1..=8).contains(&hops), "1 to 8");
    }
    let fits = r.hops_max <= g.hops_max;
    check.within("ranking.hops_max", r.hops_max.into(), fits, "at most grouping.hops_max");
    let late = g.late_weight;
    check.within("grouping.late_weight", late, (0.0..=100.0).contains(&late), "0 to 100");
    let nats = g.coincidence_min;
    check.within("grouping.coincidence_min", nats, (0.0..=1e9).contains(&nats), "0 to 1e9");
    for (field, share) in
        [("grouping.silent_hop", g.silent_hop), ("ranking.silent_decay", r.silent_decay)]
    {
        check.within(field, share, share > 0.0 && share <= 1.0, "more than 0, at most 1");
    }
    let reach = g.reach_max;
    check.within("grouping.reach_max", reach as f64, (1..=1024).contains(&reach), "1 to 1024");
    let flaps = g.flap_onsets;
    check.within("grouping.flap_onsets", flaps.into(), (2..=16).contains(&flaps), "2 to 16");
    for (field, n) in [
        ("limits.alerts_max", l.alerts_max),
        ("limits.incidents_max", l.incidents_max),
        ("limits.members_max", l.members_max),
    ] {
        check.within(field, n.into(), n > 0 && n <= 100_000_000, "1 to 100,000,000");
    }
}

fn ranking(spec: &PolicySpec, check: &mut Check) {
    let (g, r) = (&spec.grouping, &spec.ranking);
    let claim = g.claim_max;
    check.within("grouping.claim_max", claim, (0.0..=20.0).contains(&claim), "0 to 20");
    for (field, x) in [
        ("ranking.strength_per_ln", r.strength_per_ln),
        ("ranking.starved_weight", r.starved_weight),
        ("ranking.slack", r.slack),
        ("ranking.entry_weight", r.entry_weight),
        ("ranking.host_weight", r.host_weight),
        ("ranking.silent_price", r.silent_price),
        ("ranking.silent_coverage", r.silent_coverage),
        ("grouping.habit_weight", g.habit_weight),
        ("ranking.none_score", r.none_score),
    ] {
        check.within(field, x, (0.0..=100.0).contains(&x), "0 to 100");
    }
    // An alert without strength would speak for nobody, and leave an incident without candidate.
    let base = ("ranking.strength_base", r.strength_base);
    let by_severity = r.strength_by_severity.map(|x| ("ranking.strength_by_severity", x));
    for (field, x) in [base].into_iter().chain(by_severity) {
        let ok = x <= 100.0 && Score::from_f64(x) > Score::ZERO;
        check.within(field, x, ok, "more than 0, at most 100");
    }
    let max = r.strength_max;
    let ok = max >= r.strength_base && max <= 100.0;
    check.within("ranking.strength_max", max, ok, "strength_base to 100");
    let temperature = r.temperature;
    let ok = (0.01..=100.0).contains(&temperature);
    check.within("ranking.temperature", temperature, ok, "0.01 to 100");
    let low = r.low_confidence;
    check.within("ranking.low_confidence", low, (0.0..=1.0).contains(&low), "0 to 1");
}

fn times(spec: &PolicySpec, check: &mut Check) {
    const MONTH_SECS: f64 = 30.0 * 86_400.0;
    let t = &spec.times;
    for (field, span) in [
        ("times.resolve_timeout", t.resolve_timeout),
        ("times.lateness", t.lateness),
        ("times.settle_for", t.settle_for),
        ("times.quiet_for", t.quiet_for),
        ("times.retain_for", t.retain_for),
        ("times.merge_window", t.merge_window),
        ("times.max_duration", t.max_duration),
        ("times.refire_within", t.refire_within),
        ("times.reopen_within", t.reopen_within),
        ("times.flap_window", t.flap_window),
        ("times.flap_hold", t.flap_hold),
        ("times.flap_steady", t.flap_steady),
        ("times.chronic_after", t.chronic_after),
        ("grouping.window", spec.grouping.window),
        ("grouping.late_window", spec.grouping.late_window),
        ("grouping.background_window", spec.grouping.background_window),
        ("grouping.coincidence_window", spec.grouping.coincidence_window),
    ] {
        let secs = span.as_secs_f64();
        let ok = secs > 0.0 && secs <= MONTH_SECS;
        check.within(field, secs, ok, "more than 0 seconds, at most 30 days");
    }
}

fn weights(spec: &PolicySpec, check: &mut Check) {
    for kind in Kind::ALL {
        let weight = spec.weights.of(kind);
        for (field, x) in [("weights.own", weight.own), ("weights.symptom", weight.symptom)] {
            check.within(field, x, (0.0..=20.0).contains(&x), "0 to 20");
        }
        let (claim, pull) = (weight.claim, weight.pull);
        check.within("weights.claim", claim, (-20.0..=20.0).contains(&claim), "-20 to 20");
        check.within("weights.pull", pull, (0.0..=1.0).contains(&pull), "0 to 1");
    }
}
