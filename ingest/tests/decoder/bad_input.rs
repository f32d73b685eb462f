//! Bad input: an error that says what and where, never a panic, and nothing else is lost.

use crate::common::{Outcome, decode, read};
use hypocenter::wire::Shape;
use hypocenter_engine::{Side, Status};

/// One alert that is always good, to see that it is not lost beside a bad one.
const GOOD: &str = r#"{"labels":{"alertname":"Good"}}"#;

fn body_error(body: &[u8]) -> String {
    match decode(body) {
        Err(error) => format!("{}: {error}", error.class()),
        Ok((summary, _)) => panic!("accepted: {:?}, {summary:?}", String::from_utf8_lossy(body)),
    }
}

const BROKEN: &[(&[u8], &str)] = &[
    (b"", "empty: the body is empty"),
    (b" \r\n\t", "empty: the body is empty"),
    (b"\xEF\xBB\xBF[]", "encoding: the body starts with a byte order mark"),
    (b"\x1F\x8B\x08\x00\x00", "compressed: the body is gzip data"),
    (b"\xFF\xFE[\0]\0", "encoding: byte 0 (line 1, column 1): invalid UTF-8"),
    (b"[{\"labels\":{\"a\":\"x\xFFy\"}}]", "encoding: byte 18 (line 1, column 19)"),
    (b"[{\"labels\":{\"a\":\"\xC3\"}}]", "encoding: byte 17"),
    (b"[{\"labels\":{\"a\":\"\xED\xA0\x80\"}}]", "encoding: byte 17"),
    (b"[{", "json: byte 2 (line 1, column 3): broken JSON: it ends before"),
    (b"[\"a", "json: byte 3 (line 1, column 4): broken JSON: it ends before"),
    (b"[\n {\"a\": 1,\n  \"b\" 2}]", "json: byte 18 (line 3, column 7): broken JSON: expected `:`"),
    (b"[{a:1}]", "json: byte 2 (line 1, column 3): broken JSON: expected a field name"),
    (b"[{'a':1}]", "json: byte 2"),
    (b"[1 2]", "json: byte 3 (line 1, column 4): broken JSON: expected `,` or `]`"),
    (b"[1,]", "json: byte 3"),
    (b"[{\"a\":1,}]", "json: byte 8 (line 1, column 9): broken JSON: expected a field name"),
    (b"[{\"a\":1 \"b\":2}]", "json: byte 8"),
    (b"[nul]", "json: byte 1 (line 1, column 2): broken JSON: expected `true`"),
    (b"[True]", "json: byte 1"),
    (b"[NaN]", "json: byte 1"),
    (b"]", "json: byte 0 (line 1, column 1): broken JSON: unexpected character"),
    (b"alerts", "json: byte 0"),
    (b"\0", "json: byte 0"),
    (b"[]\0", "json: byte 2"),
    (b"[] xx", "json: byte 3 (line 1, column 4): broken JSON: something follows"),
    (b"[][]", "json: byte 2"),
    (b"null null", "json: byte 0"),
    (b"{\"labels\":{\"a\":\"b\"}}\n{\"labels\":{\"a\":\"c\"}}", "json: byte 21 (line 2, column 1)"),
    (b"[\"a\nb\"]", "json: byte 3 (line 1, column 4): broken JSON: a control character"),
    (b"[\"a\0b\"]", "json: byte 3"),
    (b"[\"abc\\x\"]", "json: byte 5 (line 1, column 6): broken JSON: an unknown escape"),
    (b"[\"abc\\u12G4\"]", "json: byte 5"),
    (b"[\"abc\\ud800\"]", "json: byte 5"),
    (b"[\"abc\\ud800\\u0041\"]", "json: byte 5"),
    (b"[\"abc\\udc00\"]", "json: byte 5"),
    (b"[1e400]", "json: byte "),
    (b"[-]", "json: byte "),
    (b"[01]", "json: byte "),
    (b"[1.]", "json: byte "),
    (b"{}", "shape: the body is an object with neither `alerts` nor `labels`; expected"),
    (b"{\"startsAt\":\"\"}", "shape: "),
    (b"{\"alerts\":{}}", "shape: the body is an object whose `alerts` is not an array"),
    (b"{\"alerts\":\"x\"}", "shape: "),
    (b"{\"status\":\"success\",\"data\":[]}", "shape: "),
    (b"\"x\"", "shape: the body is a string; expected"),
    (b"1", "shape: the body is a number"),
    (b"true", "shape: the body is a boolean"),
    (b"{\"t\":1,\"body\":\"[{\"}", "json: byte 2 (line 1, column 3) of the recorded body: "),
    (b"{\"t\":1,\"body\":\"\"}", "empty: the recorded body: the body is empty"),
    (b"{\"t\":\"1\",\"body\":\"[]\"}", "shape: "),
    (b"{\"t\":1,\"body\":\"{\\\"t\\\":1,\\\"body\\\":\\\"\\\"}\"}", "shape: the recorded body"),
];

#[test]
fn bodies_that_are_refused() {
    let mut wrong = Vec::new();
    for (body, expected) in BROKEN {
        let text = body_error(body);
        if !text.starts_with(expected) {
            wrong.push(format!("{:?}: {text}", String::from_utf8_lossy(body)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn bodies_with_no_alert_in_them() {
    let table = [
        ("null", Shape::Alerts),
        (" [ ] ", Shape::Alerts),
        (r#"{"alerts":[]}"#, Shape::Webhook),
        (r#"{"alerts":null}"#, Shape::Webhook),
        (r#"{"t":1,"body":"[]"}"#, Shape::Alerts),
        (r#"{"t":1,"body":"null","method":"POST","path":"/hook"}"#, Shape::Alerts),
        (r#"{"t":1,"body":"x","method":"GET","path":"/api/v2/alerts"}"#, Shape::NotAlerts),
        (r#"{"t":1,"body":"x","method":"POST","path":"/api/v2/silences"}"#, Shape::NotAlerts),
        (r#"{"t":1,"body":"","method":"POST","path":"/-/reload"}"#, Shape::NotAlerts),
    ];
    for (body, shape) in table {
        let (summary, alerts) = decode(body.as_bytes()).expect(body);
        assert_eq!((summary.shape, alerts.len()), (shape, 0), "{body}");
    }
}

/// The alert between two good ones.
fn between(alert: &str) -> Outcome {
    let outcome = decode(format!("[{GOOD},{alert},{GOOD}]").as_bytes());
    if let Ok((_, alerts)) = &outcome {
        assert_eq!(alerts.len(), 3, "{alert}");
        assert!(alerts[0].is_ok() && alerts[2].is_ok(), "{alert}");
    }
    outcome
}

const REFUSED: &[(&str, &str)] = &[
    ("null", "not_an_object: it is null, must be an object"),
    ("5", "not_an_object: it is a number"),
    ("\"x\"", "not_an_object: it is a string"),
    ("[]", "not_an_object: it is an array"),
    ("{}", "no_labels: `labels` is missing"),
    (r#"{"labels":null}"#, "no_labels: `labels` is null"),
    (r#"{"labels":[]}"#, "no_labels: `labels` is an array"),
    (r#"{"labels":"a=b"}"#, "no_labels: `labels` is a string"),
    (r#"{"labels":{}}"#, "labels_empty: no label with a non-empty value"),
    (r#"{"labels":{"a":"","b":null}}"#, "labels_empty: "),
    (r#"{"labels":{"":"x"}}"#, "label_name_empty: "),
    (r#"{"labels":{"a":5}}"#, "label_type: label \"a\" is a number, must be a string"),
    (r#"{"labels":{"a":{"b":"c"}}}"#, "label_type: label \"a\" is an object"),
    (r#"{"labels":{"a":true}}"#, "label_type: label \"a\" is a boolean"),
    (r#"{"labels":{"a":"b"},"startsAt":1795327200}"#, "time: `startsAt` is a number"),
    (r#"{"labels":{"a":"b"},"endsAt":{}}"#, "time: `endsAt` is an object"),
    (r#"{"labels":{"a":"b"},"startsAt":"now"}"#, "time: `startsAt` \"now\": not of the form"),
    (r#"{"labels":{"a":"b"},"endsAt":"2026-02-30T00:00:00Z"}"#, "time: `endsAt` \"2026-02-30"),
    (
        r#"{"labels":{"a":"b"},"startsAt":"2026-11-22T06:00:00.001Z","endsAt":"2026-11-22T06:00:00Z"}"#,
        "ends_before_start: `endsAt` is before `startsAt`",
    ),
    (r#"{"labels":{"a":"b"},"status":"active"}"#, "status: `status` is \"active\", must be"),
    (r#"{"labels":{"a":"b"},"status":"FIRING"}"#, "status: "),
    (r#"{"labels":{"a":"b"},"status":""}"#, "status: "),
    (r#"{"labels":{"a":"b"},"status":1}"#, "status: `status` is a number"),
    (r#"{"labels":{"a":"b"},"ts_ms":"1"}"#, "receive_time: `ts_ms` is a string"),
    (r#"{"labels":{"a":"b"},"ts_ms":1.5}"#, "receive_time: `ts_ms` is a number"),
];

fn check_refused(alert: &str, expected: &str) {
    let start = alert.get(..80).unwrap_or(alert);
    let (summary, alerts) = between(alert).expect(start);
    assert_eq!((summary.accepted, summary.rejected), (2, 1), "{start}");
    let rejected = alerts[1].as_ref().expect_err(start);
    assert_eq!(rejected.index, 1, "{start}");
    let text = format!("{}: {}", rejected.reason.class(), rejected.reason);
    assert!(text.starts_with(expected), "{start}: {text}");
    assert!(text.len() < 300, "{start}: {} bytes of text", text.len());
    assert!(rejected.to_string().starts_with("alert 2 of the body: "));
}

#[test]
fn alerts_that_are_refused_alone() {
    for (alert, expected) in REFUSED {
        check_refused(alert, expected);
    }
}

#[test]
fn labels_over_a_limit_are_refused_with_the_alert() {
    let long = "x".repeat(1 << 20);
    let many: Vec<_> = (0..3000).map(|n| format!("\"l{n}\":\"v\"")).collect();
    let many = format!(r#"{{"labels":{{{}}}}}"#, many.join(","));
    let value = format!(r#"{{"labels":{{"a":"{long}"}}}}"#);
    let name = format!(r#"{{"labels":{{"{long}":"b"}}}}"#);
    check_refused(&many, "label_limit: 3000 labels, at most 64 are accepted");
    check_refused(&value, "label_limit: the value of label \"a\" has 1048576 bytes, at most 2048");
    check_refused(&name, "label_limit: label name \"xxx");
}

#[test]
fn what_costs_no_alert() {
    let table = [
        r#"{"labels":{"a":"b"},"startsAt":null,"endsAt":null,"annotations":null,"status":null}"#,
        r#"{"labels":{"a":"b"},"startsAt":"","endsAt":"0001-01-01T00:00:00Z"}"#,
        r#"{"labels":{"a":"b"},"annotations":{"a-b":"","c":5,"d":[1]},"generatorURL":"not a url %%"}"#,
        r#"{"labels":{"a":"b"},"annotations":"text","generatorURL":7}"#,
        r#"{"labels":{"a":"b"},"fingerprint":7,"status":{"state":"active"},"ts_ms":null}"#,
        r#"{"labels":{"a":"b"},"more":{"x":[[{"labels":1}]]},"n":123456789012345678901234567890}"#,
        r#"{"labels":{"z":"1"},"labels":{"a":"b"}}"#,
        r#"{"labels":{"a":"x","e":"","a":"b"},"startsAt":"bad","startsAt":null}"#,
        r#"{"labels":{"a":"b"},"startsAt":"2026-11-22T06:00:00Z","endsAt":"2026-11-22T06:00:00Z"}"#,
        r#"{"\u006cabels":{"\u0061":"\u0062"}}"#,
    ];
    for alert in table {
        let (_, alerts) = between(alert).expect(alert);
        let alert = alerts[1].as_ref().expect(alert);
        assert_eq!(alert.labels, [("a".to_owned(), "b".to_owned())]);
    }
}

#[test]
fn the_fields_of_an_evaluation_line() {
    let line = br#"{"ts_ms":1661144357187,"status":"resolved","labels":{"alertname":"MemoryHigh"},
        "annotations":{"value":"25.7843","threshold":"<31.5344"},
        "startsAt":"2022-08-22T04:39:17.187Z","endsAt":"2022-08-22T04:45:17.187Z"}"#;
    let (summary, alerts) = decode(line).expect("good");
    assert_eq!(summary.shape, Shape::Alert);
    let alert = alerts[0].as_ref().expect("good");
    assert_eq!(alert.received_at.map(|at| at.as_millis()), Some(1_661_144_357_187));
    assert_eq!(alert.starts_at.map(|at| at.as_millis()), Some(1_661_143_157_187));
    assert_eq!(alert.status, Some(Status::Resolved));
    let breach = alert.breach.expect("a breach");
    assert_eq!((breach.value, breach.threshold), (25.7843, 31.5344));
    assert_eq!(breach.side, Side::Below);
}

#[test]
fn a_breach_needs_two_finite_numbers() {
    let table = [
        (r#"{"value":"1","threshold":">0.5"}"#, true),
        (r#"{"value":1,"threshold":0.5}"#, true),
        (r#"{"value":"NaN","threshold":">0.5"}"#, false),
        (r#"{"value":"+Inf","threshold":">0.5"}"#, false),
        (r#"{"value":"1","threshold":""}"#, false),
        (r#"{"value":"1"}"#, false),
        (r#"{"threshold":"1"}"#, false),
        (r#"{"value":[1],"threshold":{"x":1}}"#, false),
        (r#"{"value":"NaN","value":"2","threshold":"1"}"#, true),
    ];
    for (annotations, expected) in table {
        let body = format!(r#"{{"labels":{{"a":"b"}},"annotations":{annotations}}}"#);
        let (_, alerts) = decode(body.as_bytes()).expect(annotations);
        let alert = alerts[0].as_ref().expect(annotations);
        assert_eq!(alert.breach.is_some(), expected, "{annotations}");
    }
}

#[test]
fn nesting_is_bounded_and_costs_no_stack() {
    let nested = |depth: usize, open: &str, close: &str| {
        format!("{}{}", open.repeat(depth), close.repeat(depth)).into_bytes()
    };
    assert!(decode(&nested(32, "[", "]")).is_ok());
    let table = [
        (nested(33, "[", "]"), "too_deep: byte 32 "),
        (nested(1_000_000, "[", "]"), "too_deep: byte 32 "),
        (nested(2_000_000, "[", ""), "too_deep: byte 32 "),
        (nested(300_000, "{\"a\":", "}"), "too_deep: byte 160 "),
    ];
    for (body, expected) in table {
        let text = body_error(&body);
        assert!(text.starts_with(expected), "{text}");
        assert!(text.ends_with("nested deeper than 32 levels"), "{text}");
    }
}

#[test]
fn a_body_over_the_limit_is_refused_before_it_is_parsed() {
    let body = vec![b' '; (4 << 20) + 1];
    let text = body_error(&body);
    assert!(text.starts_with("too_large: the body has 4194305 bytes or more, at most 4194304"));
}

#[test]
fn a_body_cut_at_any_byte_is_an_error_with_the_place() {
    for file in ["prometheus/04-unicode-template-quotes.json", "webhook/01-by-service-firing.json"]
    {
        let body = read(file);
        let body = body.trim_ascii_end();
        for length in 0..body.len() {
            let error = decode(&body[..length]).expect_err("cut off");
            match error.place {
                // In the middle of a character.
                Some(place) if error.class() == "encoding" => assert!(length - place.byte < 4),
                Some(place) => assert_eq!((place.byte, error.class()), (length, "json")),
                None => assert_eq!((length, error.class()), (0, "empty")),
            }
        }
    }
}

#[test]
fn any_byte_changed_never_panics() {
    let body = read("prometheus/05-certificate-empty-annotation.json");
    for at in 0..body.len() {
        for byte in [0, b'"', b'\\', b'{', b']', b',', b'9', b'u', 0x80, 0xFF] {
            let mut body = body.clone();
            body[at] = byte;
            let _either = decode(&body);
        }
    }
}
