//! Which alerts belong together: E8 to E13.

use hypocenter_engine::{Limit, Span};

use super::*;

/// Their calls are slow, and one dependency explains both: all that alerts, so that it is named
/// without an alert of its own.
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
        5 reranked #1 new_alert
        5 published #1 v2 open root=db silent firing=2/2
        ",
    );
}

/// Slowness of their own is explained as well by two faults; a third one at once is no chance, and
/// those that came before become one incident with it.
#[test]
fn e8_dependents_that_begin_at_once_are_one_incident() {
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
        2 merged #2 into #1
        2 joined #1 LatencyHigh@c[2]
        2 reranked #1 new_alert
        2 published #2 v2 merged root=b into=#1 firing=1/1
        2 published #1 v2 open root=db silent firing=3/3
        3 joined #1 LatencyHigh@d[3]
        3 published #1 v3 open root=db silent firing=4/4
        4 joined #1 LatencyHigh@e[4]
        4 published #1 v4 open root=db silent firing=5/5
        5 joined #1 LatencyHigh@f[5]
        5 published #1 v5 open root=db silent firing=6/6
        30 joined #1 DiskFull@db[3]
        30 published #1 v6 open root=db firing=7/7
        ",
    );
}

/// A hub has so many dependents that two of them say nothing; of forty, four at once do.
#[test]
fn e8_a_hub_whose_dependents_begin_at_once_is_one_incident() {
    let hub: String = (0..40).map(|n| format!("s{n:02}>hub ")).collect();
    let player = play(
        &hub,
        "
        0 fire LatencyHigh s39
        9 resolve LatencyHigh s39
        2100 fire LatencyHigh s03
        2101 fire LatencyHigh s11
        2102 fire LatencyHigh s20
        2103 fire LatencyHigh s31
        ",
        |_| {},
    );
    let live: Vec<usize> = player
        .engine
        .incidents()
        .filter(|view| !view.phase().is_final())
        .map(|view| view.member_counts().0)
        .collect();
    assert_eq!(live, [4], "{}", player.text());
}

/// Fault found by the laws: the incident was listed under the hub although its table of roots, full
/// of the hub's dependents, had dropped that.
#[test]
fn e8_a_coincidence_may_drop_the_root_that_made_it() {
    let near = (1..8).map(|n| format!("n{n:02}>n00 "));
    let hub: String = near.chain((0..70).map(|n| format!("n-c{n}>n00 "))).collect();
    let player = play(
        &hub,
        "
        0 fire ErrorsHigh n02 start=-
        0 fire ErrorsHigh n01 start=-
        0 fire LatencyHigh n01 start=- value=3/1
        0 fire TrafficLow n00 start=-
        0 fire ErrorsHigh n03 start=-
        ",
        |spec| {
            (spec.grouping.hops_max, spec.ranking.hops_max) = (1, 1);
            spec.grouping.join_ratio = 0.3;
        },
    );
    assert!(player.text().contains(" merged "), "{}", player.text());
}

/// A quiet system in which a fault goes on with three that suffer from it.
const GOES_ON: &str = "
    0 fire DiskFull db
    1 fire ClientLatencyHigh a
    2 fire ClientLatencyHigh b
    3 fire ClientLatencyHigh c
";

/// What a late symptom of `GOES_ON` joins, after other alerts; in a system of sixty.
fn late_symptom(others: &str, late: &str) -> String {
    let rest: String = (0..60).map(|n| format!("s{n:02}>x ")).collect();
    let edges = format!("a>db b>db c>db d>db db>x other>y y>x {rest}");
    let player = play(&edges, &format!("{GOES_ON}{others}{late}"), |_| {});
    let placed = |line: &&String| line.contains("opened") || line.contains("joined");
    player.told.iter().rfind(placed).expect("it was placed").clone()
}

/// An incident that is no chance and whose cause fires takes minutes later what depends on the
/// cause, and not what has a cause of its own.
#[test]
fn e8_what_goes_on_takes_a_late_symptom() {
    let late = late_symptom("", "240 fire ClientLatencyHigh d");
    assert_eq!(late, "240 joined #1 ClientLatencyHigh@d[240]");
    let late = late_symptom("", "240 fire ClientLatencyHigh other");
    assert_eq!(late, "240 opened #2 ClientLatencyHigh@other[240]");
}

/// Where alerts begin all the time, a late one is as likely one more of those.
#[test]
fn e8_in_a_busy_system_a_late_symptom_is_its_own_incident() {
    let busy: String =
        (0..60).map(|n| format!("{} fire DiskFull s{n:02}\n", 100 + 2 * n)).collect();
    let late = late_symptom(&busy, "240 fire ClientLatencyHigh d");
    assert!(late.starts_with("240 opened"), "{late}");
}

/// Once the cause is over, the short window counts.
#[test]
fn e8_what_is_over_takes_nothing_late() {
    let over = "100 resolve DiskFull db start=0\n";
    let late = late_symptom(over, "240 fire ClientLatencyHigh d");
    assert_eq!(late, "240 opened #2 ClientLatencyHigh@d[240]");
}

/// A lone alert may be noise: what begins after the window is not drawn in by it.
#[test]
fn e8_a_lone_alert_takes_nothing_after_the_window() {
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

/// It fires and ends alone, again and again; then something else begins a little later.
#[test]
fn e8_an_alert_that_was_alone_before_does_not_draw_in() {
    let alone = "
        0 fire LatencyHigh shop
        10 resolve LatencyHigh shop
        600 fire LatencyHigh shop
        610 resolve LatencyHigh shop
    ";
    let both = "
        2000 fire DiskFull db
        2005 fire LatencyHigh shop
    ";
    let told = |story: &str| {
        let player = play("web>shop shop>db", story, |_| {});
        let placed = |line: &&String| line.contains("opened") || line.contains("joined");
        player.told.iter().rfind(placed).expect("it was placed").clone()
    };
    assert_eq!(told(both), "2005 joined #1 LatencyHigh@shop[2005]");
    assert_eq!(told(&format!("{alone}{both}")), "2005 opened #4 LatencyHigh@shop[2005]");
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
        3 reranked #1 merge
        3 published #2 v2 merged root=y into=#1 firing=2/2
        3 published #1 v3 open root=db silent firing=4/4
        4 joined #1 ErrorsHigh@db[4]
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
        0 fire LatencyHigh shop region=one
        1 fire ErrorsHigh db region=one
        2 fire LatencyHigh web region=two
        3 fire LatencyHigh api
        ",
        |spec| spec.labels.fallback = vec!["region".to_owned()],
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
        1 fire LatencyHigh - region=b
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
