//! Laws over generated input.

use crate::common::{decode, decode_with};
use hypocenter::wire::{Decoder, Options};
use hypocenter_engine::{LabelLimits, Labels, Status, Timestamp};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Value, json};

type Alert = (Vec<(String, String)>, Option<i64>, Option<u32>, Option<bool>);

/// Labels, start in milliseconds, length in milliseconds, whether it fires.
fn alert() -> impl Strategy<Value = Alert> {
    (
        btree_map(".{1,12}", ".{1,24}", 1..12).prop_map(|labels| labels.into_iter().collect()),
        proptest::option::of(-9_000_000_000_000..9_000_000_000_000_i64),
        proptest::option::of(any::<u32>()),
        proptest::option::of(any::<bool>()),
    )
}

/// RFC 3339 text, written by another way than the decoder reads it: counting days one by one.
fn text(millis: i64) -> String {
    let is_leap = |y: i64| y % 4 == 0 && y % 100 != 0 || y % 400 == 0;
    let (mut days, rest) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
    let mut year = 1970;
    while days < 0 {
        year -= 1;
        days += if is_leap(year) { 366 } else { 365 };
    }
    while days >= if is_leap(year) { 366 } else { 365 } {
        days -= if is_leap(year) { 366 } else { 365 };
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
    let (second, milli) = (rest / 1000 % 60, rest % 1000);
    let day = days + 1;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

fn encode((labels, start, length, firing): &Alert) -> Value {
    let labels = labels.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    let mut alert = json!({ "labels": labels.collect::<serde_json::Map<_, _>>() });
    if let Some(start) = start {
        alert["startsAt"] = text(*start).into();
        if let Some(length) = length {
            alert["endsAt"] = text(start + i64::from(*length)).into();
        }
    }
    if let Some(firing) = firing {
        alert["status"] = if *firing { "firing" } else { "resolved" }.into();
    }
    alert
}

proptest! {
    #[test]
    fn what_was_encoded_is_decoded(alerts in vec(alert(), 0..8), webhook in any::<bool>()) {
        let mut body = Value::Array(alerts.iter().map(encode).collect());
        if webhook {
            body = json!({ "version": "4", "alerts": body });
        }
        let (summary, decoded) = decode(body.to_string().as_bytes()).expect("good");
        prop_assert_eq!(summary.accepted as usize, alerts.len());
        for ((labels, start, length, firing), decoded) in alerts.iter().zip(decoded) {
            let decoded = decoded.expect("good");
            prop_assert_eq!(&decoded.labels, labels);
            prop_assert_eq!(decoded.starts_at, start.map(Timestamp::from_millis));
            let end = start.zip(*length).map(|(s, l)| Timestamp::from_millis(s + i64::from(l)));
            prop_assert_eq!(decoded.ends_at, end);
            let status = firing.map(|f| if f { Status::Firing } else { Status::Resolved });
            prop_assert_eq!(decoded.status, status);
            let mut pairs: Vec<_> = labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            let canonical = Labels::canonical(&mut pairs, &LabelLimits::default()).expect("good");
            prop_assert_eq!(decoded.fingerprint, canonical.fingerprint().to_string());
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(body in vec(any::<u8>(), 0..400)) {
        let _either = decode(&body);
    }

    #[test]
    fn arbitrary_json_like_text_never_panics_and_agrees_with_a_plain_parser(
        tokens in vec(prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"a\"", "\"labels\"", "\"alerts\"", "1", "-0.5e3",
            "null", "true", " ", "\n", "\"\\u00e9\"", "{\"labels\":{\"a\":\"b\"}}", "\"t\"",
            "\"body\"", "é", "\"", "\\",
        ]), 0..24),
    ) {
        let body = tokens.concat();
        let plain = serde_json::from_str::<Value>(&body);
        let outcome = decode(body.as_bytes());
        if let Err(error) = &outcome {
            let is_broken = ["empty", "json"].contains(&error.class()) && !error.recorded;
            prop_assert_eq!(is_broken, plain.is_err(), "{:?}: {}", body, error);
        } else {
            prop_assert!(plain.is_ok(), "accepted {:?}", body);
        }
    }

    #[test]
    fn what_came_before_makes_no_difference(
        before in vec(any::<u8>(), 0..200),
        alerts in vec(alert(), 0..4),
    ) {
        let body = Value::Array(alerts.iter().map(encode).collect()).to_string();
        let mut decoder = Decoder::new(Options::default());
        let _either = decode_with(&mut decoder, &before);
        let again = decode_with(&mut decoder, body.as_bytes());
        prop_assert_eq!(again, decode(body.as_bytes()));
    }
}
