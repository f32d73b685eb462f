//! Identity, deduplication and time: E1 to E7.

use hypocenter_engine::Span;

use super::*;

/// Refiring moves it with its member, never doubles it.
#[test]
fn e1_an_alert_is_in_one_incident_at_a_time() {
    check(
        "web>shop shop>db",
        "
        0 fire LatencyHigh shop
        10 fire ErrorsHigh db
        20 resolve LatencyHigh shop
        30 fire LatencyHigh shop
        ",
        "
        0 opened #1 LatencyHigh@shop[0]
        0 published #1 v1 open root=shop firing=1/1
        10 joined #1 ErrorsHigh@db[10]
        10 reranked #1 new_alert
        10 published #1 v2 open root=db firing=2/2
        20 resolved LatencyHigh@shop[0]
        30 joined #1 LatencyHigh@shop[30]
        30 published #1 v3 open root=db firing=2/2
        ",
    );
}

#[test]
fn e2_repeats_change_counters_only() {
    let player = check(
        "web>shop shop>db",
        "
        0 fire LatencyHigh shop value=3/1
        60 fire LatencyHigh shop start=0 value=3/1
        120 fire LatencyHigh shop start=0 value=2/1
        180 fire LatencyHigh shop start=0 value=3/1
        ",
        "
        0 opened #1 LatencyHigh@shop[0]
        0 published #1 v1 open root=shop firing=1/1
        60 settled #1
        60 published #1 v2 settled root=shop firing=1/1
        60 repeated LatencyHigh@shop[0]
        120 repeated LatencyHigh@shop[0]
        180 repeated LatencyHigh@shop[0]
        ",
    );
    let view = player.engine.incidents().next().expect("one");
    assert_eq!((view.version(), view.dedup()), (2, (4, 3, 0)));
}

/// The replica label is dropped and the starts differ by seconds. It ends for the engine when one
/// replica says so, and goes on while the other one does not.
#[test]
fn e2_an_ha_pair_is_one_alert() {
    check(
        "web>shop shop>db",
        "
        0 fire DiskFull db prometheus_replica=a
        2 fire DiskFull db start=2 prometheus_replica=b
        60 resolve DiskFull db start=0 prometheus_replica=a
        62 fire DiskFull db start=2 prometheus_replica=b
        75 resolve DiskFull db start=0 end=60 prometheus_replica=a
        90 resolve DiskFull db start=2 prometheus_replica=b
        ",
        "
        0 opened #1 DiskFull@db[0]
        0 published #1 v1 open root=db firing=1/1
        2 repeated DiskFull@db[0]
        60 settled #1
        60 published #1 v2 settled root=db firing=1/1
        60 resolved DiskFull@db[0]
        62 repeated DiskFull@db[0]
        75 resolved DiskFull@db[0]
        90 repeated DiskFull@db[0]
        ",
    );
}

#[test]
fn e2_a_replica_label_that_is_not_dropped_makes_two_alerts() {
    check(
        "web>shop shop>db",
        "
        0 fire DiskFull db replica=a
        2 fire DiskFull db replica=b
        ",
        "
        0 opened #1 DiskFull@db[0]
        0 published #1 v1 open root=db firing=1/1
        2 joined #1 DiskFull@db[2]
        2 published #1 v2 open root=db firing=2/2
        ",
    );
}

/// The earliest start of a pair is the onset; the episode keeps the start it was announced with.
#[test]
fn e2_a_replica_that_saw_it_earlier_moves_the_onset() {
    let player = check(
        "web>shop shop>db",
        "
        30 fire DiskFull db prometheus_replica=a
        32 fire DiskFull db start=5 prometheus_replica=b
        ",
        "
        30 opened #1 DiskFull@db[30]
        30 published #1 v1 open root=db firing=1/1
        32 repeated DiskFull@db[30]
        ",
    );
    let view = player.engine.incidents().next().expect("one");
    assert_eq!(view.opened().since(view.onset()), Span::from_secs(25));
}

/// Fault found by the laws: the earlier start of an alert that had ended in between was noted from
/// the second event on, and not from the first.
#[test]
fn e2_a_replica_that_saw_it_earlier_may_also_be_late() {
    let player = check(
        "web>shop shop>db",
        "
        30 fire DiskFull db end=60 prometheus_replica=a
        70 fire DiskFull db start=5 prometheus_replica=b
        ",
        "
        30 opened #1 DiskFull@db[30]
        30 published #1 v1 open root=db firing=1/1
        60 expired DiskFull@db[30]
        70 repeated DiskFull@db[30]
        ",
    );
    let view = player.engine.incidents().next().expect("one");
    assert_eq!(view.opened().since(view.onset()), Span::from_secs(25));
}

/// Each repeat refreshes the timeout; the incident is over after a quiet time.
#[test]
fn e3_an_alert_without_an_end_expires() {
    check(
        "web>shop shop>db",
        "
        0 fire DiskFull db
        200 fire DiskFull db start=0
        499 tick
        500 tick
        700 tick
        ",
        "
        0 opened #1 DiskFull@db[0]
        0 published #1 v1 open root=db firing=1/1
        60 settled #1
        60 published #1 v2 settled root=db firing=1/1
        200 repeated DiskFull@db[0]
        500 expired DiskFull@db[0]
        620 closed #1
        620 published #1 v3 resolved root=db firing=0/1
        ",
    );
}

/// The firing that comes after it begins an episode, which then times out.
#[test]
fn e3_a_resolve_before_its_firing_is_counted() {
    check(
        "web>shop shop>db",
        "
        0 resolve DiskFull db start=-20
        1 fire DiskFull db start=-20
        1000 tick
        ",
        "
        0 resolved_unknown DiskFull@db
        1 opened #1 DiskFull@db[-20]
        1 published #1 v1 open root=db firing=1/1
        61 settled #1
        61 published #1 v2 settled root=db firing=1/1
        301 expired DiskFull@db[-20]
        421 closed #1
        421 published #1 v3 resolved root=db firing=0/1
        ",
    );
}

/// Prometheus sends it again for a quarter of an hour, also after the alert fires anew.
#[test]
fn e3_a_resolve_comes_twice() {
    check(
        "web>shop shop>db",
        "
        0 fire DiskFull db
        20 resolve DiskFull db start=0
        25 resolve DiskFull db start=0 end=20
        30 fire DiskFull db start=30
        35 resolve DiskFull db start=0 end=20
        ",
        "
        0 opened #1 DiskFull@db[0]
        0 published #1 v1 open root=db firing=1/1
        20 resolved DiskFull@db[0]
        25 repeated DiskFull@db[0]
        30 joined #1 DiskFull@db[30]
        30 published #1 v2 open root=db firing=1/1
        35 repeated DiskFull@db[30]
        ",
    );
}

/// Fault found by the laws: the value of an episode that is over made the present one worse.
#[test]
fn e3_a_late_resolve_brings_no_value_along() {
    let player = check(
        "web>shop shop>db",
        "
        0 fire LatencyHigh db value=2/1
        20 resolve LatencyHigh db start=0 value=2/1
        30 fire LatencyHigh db start=30 value=2/1
        35 resolve LatencyHigh db start=0 end=20 value=90/1
        ",
        "
        0 opened #1 LatencyHigh@db[0]
        0 published #1 v1 open root=db firing=1/1
        20 resolved LatencyHigh@db[0]
        30 joined #1 LatencyHigh@db[30]
        30 published #1 v2 open root=db firing=1/1
        35 repeated LatencyHigh@db[30]
        ",
    );
    let view = player.engine.incidents().next().expect("one");
    assert_eq!(view.root_cause().map(|root| root.score.to_string()), Some("0.846574".to_owned()));
}

/// A webhook's firing alert with an end that has passed fires all the same.
#[test]
fn e3_an_explicit_end_is_kept_and_only_moved_on() {
    check(
        "web>shop shop>db",
        "
        0 fire DiskFull db end=60
        10 fire DiskFull db start=0 end=50
        59 tick
        60 tick
        61 fire DiskFull db start=61 end=61 as=firing
        361 tick
        ",
        "
        0 opened #1 DiskFull@db[0]
        0 published #1 v1 open root=db firing=1/1
        10 repeated DiskFull@db[0]
        60 expired DiskFull@db[0]
        60 settled #1
        60 published #1 v2 settled root=db firing=0/1
        61 joined #1 DiskFull@db[61]
        61 published #1 v3 settled root=db firing=1/1
        361 expired DiskFull@db[61]
        ",
    );
}

/// Fault found by the laws: the deadline stayed where the timeout had put it.
#[test]
fn e3_an_end_may_come_sooner_than_the_timeout() {
    check(
        "web>shop shop>db",
        "
        0 fire DiskFull db
        10 fire DiskFull db start=0 end=40
        40 tick
        ",
        "
        0 opened #1 DiskFull@db[0]
        0 published #1 v1 open root=db firing=1/1
        10 repeated DiskFull@db[0]
        40 expired DiskFull@db[0]
        ",
    );
}

/// The third onset within a quarter of an hour. No version for it or for later ones; the first
/// refire is the same member.
#[test]
fn e4_a_flapping_alert_is_suppressed() {
    let player = check(
        "web>shop shop>db",
        "
        0 fire LatencyHigh db
        10 resolve LatencyHigh db
        20 fire LatencyHigh db
        30 resolve LatencyHigh db
        40 fire LatencyHigh db
        50 resolve LatencyHigh db
        60 fire LatencyHigh db
        70 fire LatencyHigh db start=60
        ",
        "
        0 opened #1 LatencyHigh@db[0]
        0 published #1 v1 open root=db firing=1/1
        10 resolved LatencyHigh@db[0]
        20 joined #1 LatencyHigh@db[20]
        20 published #1 v2 open root=db firing=1/1
        30 resolved LatencyHigh@db[20]
        40 suppressed LatencyHigh@db[40] flapping
        50 resolved LatencyHigh@db[40]
        60 settled #1
        60 published #1 v3 settled root=db firing=0/1
        60 suppressed LatencyHigh@db[60] flapping
        70 repeated LatencyHigh@db[60]
        ",
    );
    let view = player.engine.incidents().next().expect("one");
    assert_eq!((view.member_counts(), view.dedup().2), ((1, 0), 2));
}

/// Chronic at first sight; its next episode counts.
#[test]
fn e4_what_has_long_been_firing_is_scenery() {
    check(
        "web>shop shop>db",
        "
        0 fire DiskFull db start=-601
        10 resolve DiskFull db start=-601
        20 fire DiskFull db
        ",
        "
        0 suppressed DiskFull@db[-601] chronic
        10 resolved DiskFull@db[-601]
        20 opened #1 DiskFull@db[20]
        20 published #1 v1 open root=db firing=1/1
        ",
    );
}

#[test]
fn e4_a_heartbeat_is_not_correlated() {
    check(
        "web>shop shop>db",
        "
        0 fire Watchdog db
        10 fire InfoInhibitor db
        ",
        "
        0 suppressed Watchdog@db[0] meta
        10 suppressed InfoInhibitor@db[10] meta
        ",
    );
}

/// Neither the clock nor another incident; a resolve ends it when it comes.
#[test]
fn e5_a_future_start_moves_nothing() {
    check(
        "web>shop shop>db",
        "
        0 fire LatencyHigh shop
        1 fire DiskFull db start=86400
        2 fire ErrorsHigh web
        3 resolve DiskFull db start=86400 end=86401
        4 fire DiskFull db start=86400
        60 tick
        ",
        "
        0 opened #1 LatencyHigh@shop[0]
        0 published #1 v1 open root=shop firing=1/1
        1 joined #1 DiskFull@db[86400]
        1 reranked #1 new_alert
        1 published #1 v2 open root=db firing=2/2
        2 joined #1 ErrorsHigh@web[2]
        2 published #1 v3 open root=db firing=3/3
        3 resolved DiskFull@db[86400]
        4 repeated DiskFull@db[86400]
        ",
    );
}

#[test]
fn e5_the_clock_does_not_go_back() {
    let player = check(
        "web>shop shop>db",
        "
        10 fire LatencyHigh shop
        5 fire DiskFull db start=5
        ",
        "
        10 opened #1 LatencyHigh@shop[10]
        10 published #1 v1 open root=shop firing=1/1
        10 joined #1 DiskFull@db[5]
        10 reranked #1 new_alert
        10 published #1 v2 open root=db firing=2/2
        ",
    );
    assert_eq!(player.engine.stats().clock_clamped, 1);
    assert_eq!(player.engine.now().as_millis(), EPOCH + 10_000);
}

/// The cause's rule waits five minutes; its symptoms were first.
#[test]
fn e6_a_late_cause_wins_all_the_same() {
    check(
        "web>shop shop>db",
        "
        300 fire LatencyHigh web start=2
        300 fire LatencyHigh shop start=1
        310 fire DiskFull db start=0 value=5/1
        ",
        "
        300 opened #1 LatencyHigh@web[2]
        300 published #1 v1 open root=web firing=1/1
        300 joined #1 LatencyHigh@shop[1]
        300 reranked #1 new_alert
        300 published #1 v2 open root=shop firing=2/2
        310 joined #1 DiskFull@db[0]
        310 reranked #1 new_alert
        310 published #1 v3 open root=db firing=3/3
        ",
    );
}

#[test]
fn e6_the_reverse_order_ends_alike() {
    check(
        "web>shop shop>db",
        "
        300 fire DiskFull db start=0 value=5/1
        300 fire LatencyHigh shop start=1
        310 fire LatencyHigh web start=2
        ",
        "
        300 opened #1 DiskFull@db[0]
        300 published #1 v1 open root=db firing=1/1
        300 joined #1 LatencyHigh@shop[1]
        300 published #1 v2 open root=db firing=2/2
        310 joined #1 LatencyHigh@web[2]
        310 published #1 v3 open root=db firing=3/3
        ",
    );
}

#[test]
fn e6_an_onset_before_lateness_counts_as_at_its_edge() {
    let player = check_with(
        "web>shop shop>db",
        "
        0 fire DiskFull db start=-100
        0 fire LatencyHigh shop start=-50
        ",
        |spec| spec.times.lateness = Span::from_secs(20),
        "
        0 opened #1 DiskFull@db[-100]
        0 published #1 v1 open root=db firing=1/1
        0 joined #1 LatencyHigh@shop[-50]
        0 published #1 v2 open root=db firing=2/2
        ",
    );
    assert_eq!(player.engine.stats().late, 2);
    let view = player.engine.incidents().next().expect("one");
    assert_eq!(view.onset().as_millis(), EPOCH - 20_000);
}

/// However late one asks.
#[test]
fn e7_what_is_due_is_decided_as_of_its_deadline() {
    let player = check(
        "web>shop shop>db",
        "
        0 fire DiskFull db end=30
        10000 tick
        ",
        "
        0 opened #1 DiskFull@db[0]
        0 published #1 v1 open root=db firing=1/1
        30 expired DiskFull@db[0]
        60 settled #1
        60 published #1 v2 settled root=db firing=0/1
        150 closed #1
        150 published #1 v3 resolved root=db firing=0/1
        ",
    );
    let mut late = Player::new(policy(|_| {}), graph("web>shop shop>db"), 1);
    late.epoch = EPOCH;
    let (_, event) = read("0 fire DiskFull db end=30");
    late.step(&event.expect("an event"));
    late.advance(EPOCH + 10_000_000);
    let records = |player: &Player| -> Vec<String> {
        let views = player.engine.incidents();
        views.map(|view| player.record(&view)).collect()
    };
    assert_eq!(records(&player), records(&late));
}

/// A cause that crash-loops and then stays down must not stay out: what fires for `flap_steady`
/// without a break is placed after all.
#[test]
fn e4_an_alert_that_flapped_and_then_stays_is_placed_after_all() {
    check_with(
        "web>shop shop>db",
        "
        0 fire DiskFull db
        10 resolve DiskFull db
        20 fire DiskFull db
        30 resolve DiskFull db
        40 fire DiskFull db end=2000
        1900 fire DiskFull db start=40 end=4000
        3000 resolve DiskFull db start=40
        3001 fire DiskFull db
        ",
        |spec| spec.times.flap_hold = Span::from_secs(60),
        "
        0 opened #1 DiskFull@db[0]
        0 published #1 v1 open root=db firing=1/1
        10 resolved DiskFull@db[0]
        20 joined #1 DiskFull@db[20]
        20 published #1 v2 open root=db firing=1/1
        30 resolved DiskFull@db[20]
        40 suppressed DiskFull@db[40] flapping
        60 settled #1
        60 published #1 v3 settled root=db firing=0/1
        150 closed #1
        150 published #1 v4 resolved root=db firing=0/1
        340 opened #2 DiskFull@db[40]
        340 published #2 v1 open root=db firing=1/1
        400 settled #2
        400 published #2 v2 settled root=db firing=1/1
        1900 repeated DiskFull@db[40]
        3000 resolved DiskFull@db[40]
        3001 opened #3 DiskFull@db[3001]
        3001 published #3 v1 open root=db firing=1/1
        ",
    );
}
