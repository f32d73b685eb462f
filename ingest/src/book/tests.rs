use super::*;
use crate::wire::{Decoder, Door, Options};

const RESOLVE_TIMEOUT: Span = Span::from_secs(300);

fn ms(secs: i64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + secs * 1_000)
}

fn text(secs: i64) -> String {
    crate::record::rfc3339(ms(secs))
}

fn note(book: &Book, body: &str, now: i64) {
    let mut decoder = Decoder::at(Door::Api, Options::default());
    let each = &mut |decoded: Result<Decoded<'_>, _>| book.note(&decoded.expect("good"), ms(now));
    decoder.decode(body.as_bytes(), each).expect("a good body");
}

fn span(book: &Book, now: i64) -> Option<(i64, i64)> {
    let alert = book.firing(ms(now)).pop()?;
    let secs = |at: Timestamp| (at.as_millis() - ms(0).as_millis()) / 1_000;
    Some((secs(alert.starts_at), secs(alert.ends_at)))
}

fn alert(starts: Option<i64>, ends: Option<i64>) -> String {
    let field = |name: &str, at: Option<i64>| {
        at.map(|at| format!(",\"{name}\":\"{}\"", text(at))).unwrap_or_default()
    };
    let (starts, ends) = (field("startsAt", starts), field("endsAt", ends));
    format!("[{{\"labels\":{{\"alertname\":\"T\"}}{starts}{ends}}}]")
}

#[test]
fn missing_times_are_filled_in() {
    let cases = [
        ((None, None), Some((0, 300))),
        ((Some(-100), None), Some((-100, 300))),
        ((None, Some(100)), Some((100, 100))),
        ((None, Some(-100)), None),
        ((Some(500), Some(900)), Some((500, 900))),
    ];
    for ((starts, ends), expected) in cases {
        let book = Book::new(&[], RESOLVE_TIMEOUT, 1 << 20);
        note(&book, &alert(starts, ends), 0);
        assert_eq!(span(&book, 0), expected, "{starts:?} {ends:?}");
    }
}

#[test]
fn lifetimes_merge_as_in_alertmanager() {
    let book = Book::new(&[], RESOLVE_TIMEOUT, 1 << 20);
    let post = |starts, ends, now| {
        note(&book, &alert(Some(starts), ends), now);
        span(&book, now)
    };
    assert_eq!(post(-60, Some(60), 0), Some((-60, 60)));
    assert_eq!(post(-30, Some(125), 5), Some((-60, 125)), "the earliest start stays");
    assert_eq!(post(-30, Some(15), 6), Some((-60, 125)), "firing never shortens");
    assert_eq!(post(-30, None, 7), Some((-60, 307)), "a timeout that is later counts");
    assert_eq!(post(-30, Some(100), 8), Some((-60, 100)), "and gives way to a real end");
    assert_eq!(post(-60, Some(9), 9), None, "resolved");
    assert_eq!(post(10, Some(70), 10), Some((10, 70)), "fires again, with a start of its own");
}

#[test]
fn replicas_are_one_alert_and_the_latest_texts_count() {
    let book = Book::new(&["replica".to_owned()], RESOLVE_TIMEOUT, 1 << 20);
    for (replica, value) in [("a", "1"), ("b", "2")] {
        let body = format!(
            r#"[{{"labels":{{"alertname":"T","replica":"{replica}"}},"annotations":{{"v":"{value}"}}}}]"#
        );
        note(&book, &body, 0);
    }
    let alerts = book.firing(ms(0));
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].labels.iter().collect::<Vec<_>>(), [("alertname", "T")]);
    assert_eq!(alerts[0].annotations.get("v"), "2");
}

#[test]
fn memory_is_bounded_and_given_back() {
    let book = Book::new(&[], RESOLVE_TIMEOUT, 5_000);
    for n in 0..100 {
        note(&book, &format!("[{{\"labels\":{{\"n\":\"{n}\"}}}}]"), 0);
    }
    let (bytes, left_out) = book.size();
    assert!(bytes <= 5_000 && left_out > 80, "{bytes} {left_out}");
    for turn in 0..PARTS as i64 {
        book.tidy(ms(300 + 15 * 60 + 1 + turn));
    }
    assert_eq!(book.size().0, 0);
}
