//! What a shard does with Hypocenter's own alerts, and with what it decided before a restart.

use hypocenter::neighbours::Holds;
use hypocenter::shard::{Listener, Rejection, Setup, ShardRunner, Version};
use hypocenter::source::{Record, Shard};
use hypocenter::wire::Options;
use hypocenter_engine::{Engine, HashSeed, Policy, Timestamp, Topology};

#[derive(Default)]
struct Heard {
    published: Vec<u64>,
    /// How many incidents there were when state had been rebuilt.
    restored: Vec<usize>,
    own: u32,
    rejected: u32,
}

impl Listener for Heard {
    fn published(&mut self, _: &Engine, version: &Version<'_>) {
        self.published.push(version.position);
    }

    fn restored(&mut self, engine: &Engine, _: &Shard, _: Option<u64>) {
        self.restored.push(engine.incidents().count());
    }

    fn ignored_own(&mut self) {
        self.own += 1;
    }

    fn rejected(&mut self, _: &Rejection<'_>) {
        self.rejected += 1;
    }
}

/// Feeds bodies, one a second, to a shard that had decided those before `quiet_before`.
fn feed(bodies: &[String], quiet_before: u64) -> (Heard, ShardRunner) {
    let second =
        |position: u64| Some(Timestamp::from_millis(1_795_327_200_000 + 1_000 * position as i64));
    feed_at(bodies, quiet_before, &second)
}

/// The same with log times by position.
fn feed_at(
    bodies: &[String],
    quiet_before: u64,
    log_time: &dyn Fn(u64) -> Option<Timestamp>,
) -> (Heard, ShardRunner) {
    let setup = Setup {
        policy: Policy::default(),
        topology: Topology::default(),
        seed: HashSeed(1),
        decode: Options::default(),
        holds: Holds::default(),
    };
    let shard = Shard { input: "test".to_owned(), partition: 0 };
    let mut runner = ShardRunner::new(&setup, shard.clone(), quiet_before);
    let mut heard = Heard::default();
    for (position, body) in (1..).zip(bodies) {
        let (shard, payload, time) = (&shard, body.as_bytes(), log_time(position));
        let record = Record { shard, position, time, payload };
        runner.record(&record, time.unwrap_or(Timestamp::MIN), &mut heard);
    }
    (heard, runner)
}

fn alert(labels: &str) -> String {
    format!(
        r#"{{"labels":{{"alertname":"A","service":"s",{labels}}},"startsAt":"2026-11-22T06:00:00Z"}}"#
    )
}

/// Prometheus' form, the webhook's, a single alert, and a line of a recording.
fn shapes(alert: &str) -> [String; 4] {
    let list = format!("[{alert}]");
    let webhook = format!(r#"{{"version":"4","status":"firing","alerts":[{alert}]}}"#);
    let inner = serde_json::Value::from(list.clone()).to_string();
    [list, webhook, alert.to_owned(), format!(r#"{{"t":1795327200.5,"body":{inner}}}"#)]
}

#[test]
fn own_alerts_are_never_correlated_in_whatever_shape_they_come_back() {
    let own = r#""generated_by":"hypocenter","incident_id":"inc-1","cluster":"eu""#;
    let (heard, runner) = feed(&shapes(&alert(own)), 0);
    assert_eq!((heard.own, heard.rejected), (4, 0));
    assert!(heard.published.is_empty());
    assert_eq!((runner.engine().stats().events, runner.engine().alerts_live()), (0, 0));
    // Of others' alerts with such a label nothing is lost.
    let (heard, runner) = feed(&shapes(&alert(r#""generated_by":"terraform""#)), 0);
    assert_eq!((heard.own, heard.rejected), (0, 0));
    assert_eq!(runner.engine().alerts_live(), 1);
}

#[test]
fn own_alerts_without_a_time_drive_no_clock_and_are_not_warned_about() {
    let own = alert(r#""generated_by":"hypocenter""#);
    let (heard, runner) = feed_at(&[own, alert(r#""n":"1""#)], 0, &|_| None);
    assert_eq!((heard.own, runner.untimed()), (1, 1), "the other alert alone");
}

#[test]
fn what_went_out_before_a_restart_is_told_apart() {
    let bodies = ["a", "b", "c"].map(|name| alert(&format!(r#""n":"{name}""#)));
    let (heard, _) = feed(&bodies, 3);
    assert_eq!((heard.restored, heard.published), (vec![1], vec![3]));
}
