//! What Prometheus answers to `GET /api/v1/rules`.

use std::time::Duration;

use serde::Deserialize;

use super::holds::{HELD_MAX, Hold, RULES_MAX};

/// What to ask for. `exclude_alerts` is new; who does not know it, answers with more.
pub(super) const PATH: &str = "/api/v1/rules?type=alert&exclude_alerts=true";
/// Longest name or label value that is kept, in bytes.
const TEXT_BYTES_MAX: usize = 4096;

#[derive(Deserialize)]
struct Answer {
    status: String,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    interval: f64,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    duration: f64,
    #[serde(default)]
    labels: std::collections::BTreeMap<String, String>,
}

/// The alerting rules of an answer.
///
/// # Errors
/// Why it is not one. Single rules that make no sense are left out.
pub(super) fn read(body: &[u8]) -> Result<Vec<Hold>, String> {
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|error| format!("is not what Prometheus answers about rules: {error}"))?;
    let data = match answer {
        Answer { status, data: Some(data) } if status == "success" => data,
        _ => return Err("is no success".to_owned()),
    };
    let groups = data.groups.into_iter().flat_map(|group| {
        let interval = group.interval;
        group.rules.into_iter().filter_map(move |rule| hold(rule, interval))
    });
    Ok(groups.take(RULES_MAX).collect())
}

fn hold(rule: Rule, interval: f64) -> Option<Hold> {
    let is_short = |text: &str| text.len() <= TEXT_BYTES_MAX;
    let labels = &rule.labels;
    if rule.kind != "alerting"
        || !is_short(&rule.name)
        || labels.iter().any(|(name, value)| !is_short(name) || !is_short(value))
    {
        return None;
    }
    // A template makes a label that differs from alert to alert; an empty one is no label.
    let is_fixed = |(_, value): &(String, String)| !value.is_empty() && !value.contains("{{");
    Some(Hold {
        labels: rule.labels.into_iter().filter(is_fixed).collect(),
        alert: rule.name,
        held: seconds(rule.duration)?,
        interval: seconds(interval)?,
    })
}

/// A length of time that can be believed.
fn seconds(number: f64) -> Option<Duration> {
    let duration = Duration::try_from_secs_f64(number).ok()?;
    (duration <= HELD_MAX).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_real_prometheus_answered_is_read() {
        let body = include_bytes!("../../../fixtures/recordings/api/prometheus-rules.json");
        let rules = read(body).expect("an answer");
        assert_eq!(rules.len(), 15);
        let slow = rules.iter().find(|rule| rule.alert == "PostgresSlowQueries").expect("there");
        assert_eq!((slow.held.as_secs(), slow.interval.as_secs()), (3, 1));
        assert_eq!(slow.labels, [("severity".to_owned(), "warning".to_owned())]);
    }

    #[test]
    fn what_makes_no_sense_is_left_out_or_refused() {
        let rule = |more: &str| format!(r#"{{"name":"A","type":"alerting",{more}}}"#);
        let rules = [
            rule(r#""duration":-1"#),
            rule(r#""duration":1e300"#),
            rule(r#""duration":99999999"#),
            rule(r#""labels":{"a":"{{ $labels.x }}","b":"c","d":""}"#),
            r#"{"name":"r","type":"recording"}"#.to_owned(),
            format!(r#"{{"name":"{}","type":"alerting"}}"#, "x".repeat(5000)),
        ];
        let body = format!(
            r#"{{"status":"success","data":{{"groups":[{{"interval":30,"rules":[{}]}}]}}}}"#,
            rules.join(",")
        );
        let found = read(body.as_bytes()).expect("an answer");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].labels, [("b".to_owned(), "c".to_owned())]);
        for garbage in [
            "",
            "<html>",
            "[]",
            "{}",
            "null",
            r#"{"status":"error","error":"x"}"#,
            r#"{"status":"success"}"#,
            r#"{"status":"success","data":{"groups":[{"rules":[{"name":1}]}]}}"#,
            &"[".repeat(100_000),
            "\u{0}\u{1}\u{2}",
        ] {
            assert!(read(garbage.as_bytes()).is_err(), "{garbage:.40}");
        }
    }
}
