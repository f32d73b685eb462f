use hypocenter_engine::Span;

use super::*;
use crate::source::http::QueueLimits;

/// Of a neighbour's answer people must learn from the log alone what was wrong with it.
#[test]
fn an_offered_body_that_cannot_be_read_says_what_and_where() {
    let now = || Timestamp::from_millis(1_795_327_200_000);
    let limits = QueueLimits { bodies_max: 1, bytes_max: 1 << 20 };
    let (queue, counters) = (Queue::new(limits, now), Arc::new(IntakeCounters::default()));
    let book = Book::new(&[], Span::from_secs(300), 1 << 20);
    let intake = Intake::new(queue, &Options::default(), now, Arc::clone(&counters), book);
    let refused = |body: &str| match intake.offer(body.as_bytes()) {
        Offered::Refused(why) => why,
        other => panic!("{other:?}"),
    };
    let broken = "byte 12 (line 1, column 13): broken JSON: unexpected character";
    assert_eq!(refused("[{\"labels\": }]"), broken);
    let other = refused("{\"alerts\": 1}");
    assert!(other.contains("whose `alerts` is not an array"), "{other}");
    assert_eq!(counters.refusals().iter().map(|(_, count)| count).sum::<u64>(), 2);
    let good = r#"[{"labels":{"alertname":"A"}}]"#;
    assert_eq!(intake.offer(good.as_bytes()), Offered::Taken);
    assert_eq!(intake.offer(good.as_bytes()), Offered::Full, "one body waits");
}
