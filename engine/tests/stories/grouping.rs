//! Which alerts belong together: E8 to E13.

use hypocenter_engine::{Limit, Span};

use super::*;

/// Their calls are slow, and one dependency explains both.
#[test]
fn e8_two_callers_of_one_database_belong_together() {
    check(
        "a>db b>db",
        "
        0 fire ClientLatencyHigh a
        5 fire ClientLatencyHigh b
        ",
        "
        0 opened #1 ClientLatencyHigh@a[0]
        0 published #1 v1 open root=a firing=1/1
        5 joined #1 ClientLatencyHigh@b[5]
        5 published #1 v2 open root=a firing=2/2
        ",
    );
}

/// Slowness of their own is explained as well by two faults: they are joined when the database
/// alerts, as late as that may be.
#[test]
fn e8_two_slow_callers_wait_for_their_database() {
    check(
        "a>db b>db c>db d>db e>db f>db",
        "
        0 fire LatencyHigh a
        1 fire LatencyHigh b
        2 fire LatencyHigh c
        3 fire LatencyHigh d
        4 fire LatencyHigh e
        5 fire LatencyHigh f
        30 fire DiskFull db start=3
        ",
        "
        0 opened #1 LatencyHigh@a[0]
        0 published #1 v1 open root=a firing=1/1
        1 opened #2 LatencyHigh@b[1]
        1 published #2 v1 open root=b firing=1/1
        2 opened #3 LatencyHigh@c[2]
        2 published #3 v1 open root=c firing=1/1
        3 opened #4 LatencyHigh@d[3]
        3 published #4 v1 open root=d firing=1/1
        4 opened #5 LatencyHigh@e[4]
        4 published #5 v1 open root=e firing=1/1
        5 opened #6 LatencyHigh@f[5]
        5 published #6 v1 open root=f firing=1/1
        30 joined #4 DiskFull@db[3]
        30 reranked #4 new_alert
        30 merged #5 into #4
        30 merged #4 into #3
        30 reranked #3 merge
        30 merged #6 into #3
        30 merged #3 into #2
        30 reranked #2 merge
        30 merged #2 into #1
        30 reranked #1 merge
        30 published #4 v2 merged root=db into=#1 firing=3/3
        30 published #5 v2 merged root=e into=#1 firing=1/1
        30 published #3 v2 merged root=db into=#1 firing=5/5
        30 published #6 v2 merged root=f into=#1 firing=1/1
        30 published #2 v2 merged root=db into=#1 firing=6/6
        30 published #1 v2 open root=db firing=7/7
        ",
    );
}

/// An incident stands when its candidate fires and four entities alert: minutes later it takes
/// what depends on the candidate, and not what has a cause of its own.
#[test]
fn e8_an_incident_that_stands_goes_on_explaining() {
    check(
        "a>db b>db c>db d>db other>x",
        "
        0 fire DiskFull db
        1 fire ClientLatencyHigh a
        2 fire ClientLatencyHigh b
        3 fire ClientLatencyHigh c
        240 fire ClientLatencyHigh d
        250 fire ClientLatencyHigh other
        ",
        "
        0 opened #1 DiskFull@db[0]
        0 published #1 v1 open root=db firing=1/1
        1 joined #1 ClientLatencyHigh@a[1]
        1 published #1 v2 open root=db firing=2/2
        2 joined #1 ClientLatencyHigh@b[2]
        2 published #1 v3 open root=db firing=3/3
        3 joined #1 ClientLatencyHigh@c[3]
        3 published #1 v4 open root=db firing=4/4
        60 settled #1
        60 published #1 v5 settled root=db firing=4/4
        240 joined #1 ClientLatencyHigh@d[240]
        240 published #1 v6 settled root=db firing=5/5
        250 opened #2 ClientLatencyHigh@other[250]
        250 published #2 v1 open root=other firing=1/1
        ",
    );
}

/// Once the cause is over, the short window counts.
#[test]
fn e8_an_incident_whose_cause_is_over_does_not_stand() {
    check(
        "a>db b>db c>db d>db other>x",
        "
        0 fire DiskFull db
        1 fire ClientLatencyHigh a
        2 fire ClientLatencyHigh b
        3 fire ClientLatencyHigh c
        100 resolve DiskFull db start=0
        240 fire ClientLatencyHigh d
        ",
        "
        0 opened #1 DiskFull@db[0]
        0 published #1 v1 open root=db firing=1/1
        1 joined #1 ClientLatencyHigh@a[1]
        1 published #1 v2 open root=db firing=2/2
        2 joined #1 ClientLatencyHigh@b[2]
        2 published #1 v3 open root=db firing=3/3
        3 joined #1 ClientLatencyHigh@c[3]
        3 published #1 v4 open root=db firing=4/4
        60 settled #1
        60 published #1 v5 settled root=db firing=4/4
        100 resolved DiskFull@db[0]
        240 opened #2 ClientLatencyHigh@d[240]
        240 published #2 v1 open root=d firing=1/1
        ",
    );
}

/// A known limit: while it is small, the window counts from the last new evidence, though the
/// cause still fires.
#[test]
fn e8_a_small_incident_that_still_fires_takes_nothing_after_the_window() {
    check(
        "web>shop shop>db",
        "
        0 fire DiskFull db
        60 fire LatencyHigh shop
        150 fire LatencyHigh web
        ",
        "
        0 opened #1 DiskFull@db[0]
        0 published #1 v1 open root=db firing=1/1
        60 settled #1
        60 published #1 v2 settled root=db firing=1/1
        60 opened #2 LatencyHigh@shop[60]
        60 published #2 v1 open root=shop firing=1/1
        120 settled #2
        120 published #2 v2 settled root=shop firing=1/1
        150 opened #3 LatencyHigh@web[150]
        150 published #3 v1 open root=web firing=1/1
        ",
    );
}

/// Both depend on the hub, as everything does.
#[test]
fn e8_two_faults_that_touch_through_a_busy_hub_stay_apart() {
    let hub: String = (0..30).map(|n| format!("s{n}>hub ")).collect();
    let edges = hub + "s0>x s1>y";
    check(
        &edges,
        "
        0 fire DiskFull x
        5 fire LatencyHigh s0
        6 fire DiskFull y
        7 fire LatencyHigh s1
        ",
        "
        0 opened #1 DiskFull@x[0]
        0 published #1 v1 open root=x firing=1/1
        5 joined #1 LatencyHigh@s0[5]
        5 published #1 v2 open root=x firing=2/2
        6 opened #2 DiskFull@y[6]
        6 published #2 v1 open root=y firing=1/1
        7 joined #2 LatencyHigh@s1[7]
        7 published #2 v2 open root=y firing=2/2
        ",
    );
}

#[test]
fn e8_what_begins_much_later_is_another_incident() {
    check(
        "web>shop shop>db",
        "
        0 fire DiskFull db
        100 fire LatencyHigh shop
        ",
        "
        0 opened #1 DiskFull@db[0]
        0 published #1 v1 open root=db firing=1/1
        60 settled #1
        60 published #1 v2 settled root=db firing=1/1
        100 opened #2 LatencyHigh@shop[100]
        100 published #2 v1 open root=shop firing=1/1
        ",
    );
}

#[test]
fn e9_a_silent_hop_is_passed_through() {
    check(
        "web>shop shop>db",
        "
        0 fire DiskFull db
        5 fire LatencyHigh web
        ",
        "
        0 opened #1 DiskFull@db[0]
        0 published #1 v1 open root=db firing=1/1
        5 joined #1 LatencyHigh@web[5]
        5 published #1 v2 open root=db firing=2/2
        ",
    );
}

#[test]
fn e9_a_chain_ends_at_hops_max() {
    check(
        "a>b b>c c>d d>e e>f",
        "
        0 fire DiskFull f
        5 fire LatencyHigh a
        6 fire LatencyHigh b
        ",
        "
        0 opened #1 DiskFull@f[0]
        0 published #1 v1 open root=f firing=1/1
        5 opened #2 LatencyHigh@a[5]
        5 published #2 v1 open root=a firing=1/1
        6 joined #2 LatencyHigh@b[6]
        6 reranked #2 new_alert
        6 published #2 v2 open root=b firing=2/2
        ",
    );
}

#[test]
fn e10_an_old_incident_takes_no_more() {
    check_with(
        "web>shop shop>db",
        "
        0 fire DiskFull db
        50 fire LatencyHigh shop
        70 fire LatencyHigh web
        ",
        |spec| spec.times.max_duration = Span::from_secs(60),
        "
        0 opened #1 DiskFull@db[0]
        0 published #1 v1 open root=db firing=1/1
        50 joined #1 LatencyHigh@shop[50]
        50 published #1 v2 open root=db firing=2/2
        60 settled #1
        60 published #1 v3 settled root=db firing=2/2
        70 opened #2 LatencyHigh@web[70] refused=duration
        70 published #2 v1 open root=web firing=1/1
        ",
    );
}

#[test]
fn e10_a_full_incident_takes_no_more() {
    let player = check_with(
        "web>shop shop>db",
        "
        0 fire DiskFull db
        1 fire LatencyHigh shop
        2 fire LatencyHigh web
        ",
        |spec| spec.limits.members_max = 2,
        "
        0 opened #1 DiskFull@db[0]
        0 published #1 v1 open root=db firing=1/1
        1 joined #1 LatencyHigh@shop[1]
        1 published #1 v2 open root=db firing=2/2
        2 opened #2 LatencyHigh@web[2] refused=members
        2 published #2 v1 open root=web firing=1/1
        ",
    );
    let views = player.engine.incidents();
    let refused: Vec<_> = views.filter_map(|view| view.degraded().refused).collect();
    assert_eq!(refused, [Limit::Members]);
}

/// The older id survives.
#[test]
fn e11_young_incidents_that_are_one_are_merged() {
    check(
        "web>a a>x x>db web2>b b>y y>db",
        "
        0 fire LatencyHigh a
        1 fire LatencyHigh b
        2 fire LatencyHigh x
        3 fire LatencyHigh y
        4 fire ErrorsHigh db value=9/1
        ",
        "
        0 opened #1 LatencyHigh@a[0]
        0 published #1 v1 open root=a firing=1/1
        1 opened #2 LatencyHigh@b[1]
        1 published #2 v1 open root=b firing=1/1
        2 joined #1 LatencyHigh@x[2]
        2 reranked #1 new_alert
        2 published #1 v2 open root=x firing=2/2
        3 joined #2 LatencyHigh@y[3]
        3 reranked #2 new_alert
        3 merged #2 into #1
        3 published #2 v2 merged root=y into=#1 firing=2/2
        3 published #1 v3 open root=x firing=4/4
        4 joined #1 ErrorsHigh@db[4]
        4 reranked #1 new_alert
        4 published #1 v4 open root=db firing=5/5
        ",
    );
}

#[test]
fn e11_old_incidents_are_not_merged() {
    check_with(
        "web>a a>x x>db web2>b b>y y>db",
        "
        0 fire LatencyHigh a
        1 fire LatencyHigh b
        2 fire LatencyHigh x
        3 fire LatencyHigh y
        4 fire ErrorsHigh db value=9/1
        ",
        |spec| spec.times.merge_window = Span::from_secs(1),
        "
        0 opened #1 LatencyHigh@a[0]
        0 published #1 v1 open root=a firing=1/1
        1 opened #2 LatencyHigh@b[1]
        1 published #2 v1 open root=b firing=1/1
        2 joined #1 LatencyHigh@x[2]
        2 reranked #1 new_alert
        2 published #1 v2 open root=x firing=2/2
        3 joined #2 LatencyHigh@y[3]
        3 reranked #2 new_alert
        3 published #2 v2 open root=y firing=2/2
        4 joined #2 ErrorsHigh@db[4]
        4 reranked #2 new_alert
        4 published #2 v3 open root=db firing=3/3
        ",
    );
}

#[test]
fn e12_without_a_graph_the_entity_groups() {
    let player = check(
        "",
        "
        0 fire LatencyHigh shop
        1 fire ErrorsHigh shop
        2 fire LatencyHigh db
        ",
        "
        0 opened #1 LatencyHigh@shop[0]
        0 published #1 v1 open root=shop firing=1/1
        1 joined #1 ErrorsHigh@shop[1]
        1 published #1 v2 open root=shop firing=2/2
        2 opened #2 LatencyHigh@db[2]
        2 published #2 v1 open root=db firing=1/1
        ",
    );
    assert!(player.engine.incidents().all(|view| view.degraded().outside_topology));
}

#[test]
fn e12_without_a_graph_the_fallback_labels_group() {
    check_with(
        "",
        "
        0 fire LatencyHigh shop cluster=one
        1 fire ErrorsHigh db cluster=one
        2 fire LatencyHigh web cluster=two
        3 fire LatencyHigh api
        ",
        |spec| spec.labels.fallback = vec!["cluster".to_owned()],
        "
        0 opened #1 LatencyHigh@shop[0]
        0 published #1 v1 open root=shop firing=1/1
        1 joined #1 ErrorsHigh@db[1]
        1 reranked #1 new_alert
        1 published #1 v2 open root=db firing=2/2
        2 opened #2 LatencyHigh@web[2]
        2 published #2 v1 open root=web firing=1/1
        3 opened #3 LatencyHigh@api[3]
        3 published #3 v1 open root=api firing=1/1
        ",
    );
}

#[test]
fn e12_an_alert_that_no_rule_maps_is_its_own_entity() {
    let player = check(
        "web>shop shop>db",
        "
        0 fire LatencyHigh -
        1 fire LatencyHigh - pod=b
        2 fire ErrorsHigh -
        ",
        "
        0 opened #1 LatencyHigh@[0]
        0 published #1 v1 open root=alert/LatencyHigh firing=1/1
        1 joined #1 LatencyHigh@[1]
        1 published #1 v2 open root=alert/LatencyHigh firing=2/2
        2 opened #2 ErrorsHigh@[2]
        2 published #2 v1 open root=alert/ErrorsHigh firing=1/1
        ",
    );
    assert!(player.engine.incidents().all(|view| view.degraded().unmapped));
}

#[test]
fn e13_tenants_stay_apart() {
    check_with(
        "web>shop shop>db",
        "
        0 fire DiskFull db team=red
        1 fire LatencyHigh shop team=blue
        2 fire LatencyHigh shop team=red
        ",
        |spec| spec.labels.tenant = Some("team".to_owned()),
        "
        0 opened #1 DiskFull@db/red[0]
        0 published #1 v1 open root=db firing=1/1
        1 opened #2 LatencyHigh@shop/blue[1]
        1 published #2 v1 open root=shop firing=1/1
        2 joined #1 LatencyHigh@shop/red[2]
        2 published #1 v2 open root=db firing=2/2
        ",
    );
}
