//! The candidate and the limits: E14 to E17.

use hypocenter_engine::{Code, IncidentView, NoPath};

use super::*;

#[test]
fn e14_a_worse_repeat_ranks_anew() {
    check(
        "w>a a>b",
        "
        0 fire LatencyHigh a value=3/1
        1 fire LatencyHigh b value=1.1/1
        60 fire LatencyHigh b start=1 value=1.2/1
        61 fire LatencyHigh b start=1 value=9/1
        ",
        "
        0 opened #1 LatencyHigh@a[0]
        0 published #1 v1 open root=a firing=1/1
        1 joined #1 LatencyHigh@b[1]
        1 published #1 v2 open root=a firing=2/2
        60 settled #1
        60 published #1 v3 settled root=a firing=2/2
        60 repeated LatencyHigh@b[1]
        61 repeated LatencyHigh@b[1]
        61 reranked #1 worse_alert
        61 published #1 v4 open root=b firing=2/2
        ",
    );
}

/// Fault: its callers filled the table of roots, and no candidate was left.
#[test]
fn e14_a_hub_with_a_hundred_callers_is_its_own_candidate() {
    let edges: String = (0..100).map(|n| format!("s{n:02}>hub ")).collect();
    check(
        &edges,
        "
        0 fire DiskFull hub
        1 fire LatencyHigh s07
        ",
        "
        0 opened #1 DiskFull@hub[0]
        0 published #1 v1 open root=hub firing=1/1
        1 joined #1 LatencyHigh@s07[1]
        1 published #1 v2 open root=hub firing=2/2
        ",
    );
}

#[test]
fn e15_the_evidence_is_the_ranking() {
    let player = check(
        "web>shop shop>db",
        "
        0 fire LatencyHigh web value=2/1
        1 fire LatencyHigh shop value=3/1
        2 fire DiskFull db value=4/1
        ",
        "
        0 opened #1 LatencyHigh@web[0]
        0 published #1 v1 open root=web firing=1/1
        1 joined #1 LatencyHigh@shop[1]
        1 reranked #1 new_alert
        1 published #1 v2 open root=shop firing=2/2
        2 joined #1 DiskFull@db[2]
        2 reranked #1 new_alert
        2 published #1 v3 open root=db firing=3/3
        ",
    );
    let view = player.engine.incidents().next().expect("one");
    let told: Vec<String> = view
        .evidence()
        .iter()
        .map(|e| format!("{} {:?} {}", e.code.name(), e.entity, e.contribution))
        .collect();
    // Strength is 0.5 + 0.5 ln(value / limit); a full disk weighs 2, and each hop takes 0.7.
    let expected = [
        "OWN_ALERT None 2.386294",
        "EXPLAINS Some(\"shop\") 0.734514",
        "EXPLAINS Some(\"web\") 0.414821",
    ];
    assert_eq!(told, expected);
}

/// `db > (cart) > web`: the way from the candidate, with what is silent in brackets.
fn ways(view: &IncidentView<'_>) -> Vec<String> {
    let name = |s: &hypocenter_engine::Stop<'_>| match s.alerting {
        true => s.entity.to_owned(),
        false => format!("({})", s.entity),
    };
    let way = |path: hypocenter_engine::PathView<'_>| match path.stops {
        Ok(stops) => stops.iter().map(name).collect::<Vec<_>>().join(" > "),
        Err(NoPath::OtherRoot(root)) => format!("{}: OTHER_ROOT {root}", path.entity),
        Err(why) => format!("{}: {}", path.entity, why.name()),
    };
    view.paths(100).into_iter().map(way).collect()
}

/// Of two ways that are equally short, the one through what alerts; silent ones are passed.
#[test]
fn e15_every_member_has_a_path_from_the_candidate() {
    let player = play(
        "web>cart web>shop cart>db shop>db far>quiet quiet>db",
        "
        0 fire DiskFull db value=9/1
        1 fire LatencyHigh shop value=3/1
        2 fire LatencyHigh web value=3/1
        3 fire LatencyHigh far value=3/1
        ",
        |_| {},
    );
    let view = player.engine.incidents().next().expect("one");
    let expected = ["db", "db > shop", "db > shop > web", "db > (quiet) > far"];
    assert_eq!(ways(&view), expected);
    assert_eq!(view.paths(2).len(), 2);
}

/// What another root explains, what the candidate depends on, and what no graph knows.
#[test]
fn e15_a_member_without_a_path_has_a_reason() {
    for (edges, story, expected) in [
        (
            "x>a y>b a>db b>db",
            "0 fire ErrorsHigh a value=9/1
             1 fire ErrorsHigh b value=1.1/1",
            ["a", "b: OTHER_ROOT db"].as_slice(),
        ),
        (
            "x>a a>b",
            "0 fire LatencyHigh a value=9/1
             1 fire TrafficLow b below=1/1.1",
            &["a", "b: CANDIDATE_DEPENDS_ON_IT"],
        ),
        (
            "a>b",
            "0 fire DiskFull x value=9/1 team=t
             1 fire LatencyHigh y team=t",
            &["x", "y: OUTSIDE_TOPOLOGY"],
        ),
    ] {
        let player = play(edges, story, |spec| spec.labels.fallback = vec!["team".to_owned()]);
        let views: Vec<_> = player.engine.incidents().collect();
        assert_eq!(views.len(), 1, "{}", player.text());
        assert_eq!(ways(&views[0]), expected);
    }
}

/// The calls of all its callers fail, and nothing else explains them.
#[test]
fn e16_a_silent_dependency_is_named() {
    check(
        "a>db b>db c>db",
        "
        0 fire ClientErrorsHigh a value=9/1
        1 fire ClientErrorsHigh b value=9/1
        2 fire ClientErrorsHigh c value=9/1
        ",
        "
        0 opened #1 ClientErrorsHigh@a[0]
        0 published #1 v1 open root=db silent firing=1/1
        1 joined #1 ClientErrorsHigh@b[1]
        1 published #1 v2 open root=db silent firing=2/2
        2 joined #1 ClientErrorsHigh@c[2]
        2 published #1 v3 open root=db silent firing=3/3
        ",
    );
}

/// Two dependencies are silent; only one of them explains everything that alerts.
#[test]
fn e16_a_silent_candidate_that_explains_all_beats_one_that_explains_less() {
    let player = play(
        "a>q b>q a>db b>db c>db",
        "
        0 fire ClientErrorsHigh a value=9/1
        1 fire ClientErrorsHigh b value=9/1
        2 fire ClientErrorsHigh c value=9/1
        ",
        |_| {},
    );
    let view = player.engine.incidents().find(|view| !view.phase().is_final()).expect("one");
    assert_eq!(view.member_counts(), (3, 3));
    let candidates = view.candidates();
    assert_eq!(candidates[0].entity, "db");
    let other = candidates.iter().position(|one| one.entity == "q").expect("considered");
    let lost = view.why_not(64)[other - 1];
    assert_eq!(lost.lost_on, Code::Unexplained, "{lost:?}");
}

/// Several callers find one callee slow.
#[test]
fn e16_an_edge_alert_may_blame_its_callee() {
    check(
        "a>x b>x c>x a>y a>z",
        "
        0 fire EdgeLatencyHigh x source=a value=4/1
        1 fire EdgeLatencyHigh x source=b value=4/1
        2 fire EdgeLatencyHigh x source=c value=4/1
        ",
        "
        0 opened #1 EdgeLatencyHigh@x[0]
        0 published #1 v1 open root=x firing=1/1
        1 joined #1 EdgeLatencyHigh@x[1]
        1 published #1 v2 open root=x firing=2/2
        2 joined #1 EdgeLatencyHigh@x[2]
        2 published #1 v3 open root=x firing=3/3
        ",
    );
}

/// One caller finds all its callees slow, and others do not. It must alert itself: the price of
/// a silent candidate is more than this suspicion.
#[test]
fn e16_an_edge_alert_may_blame_its_caller() {
    check(
        "a>x a>y a>z b>x c>x b>y c>y b>z c>z",
        "
        0 fire EdgeLatencyHigh x source=a value=4/1
        1 fire EdgeLatencyHigh y source=a value=4/1
        2 fire EdgeLatencyHigh z source=a value=4/1
        3 fire CpuHigh a
        ",
        "
        0 opened #1 EdgeLatencyHigh@x[0]
        0 published #1 v1 open root=x firing=1/1
        1 joined #1 EdgeLatencyHigh@y[1]
        1 published #1 v2 open root=x firing=2/2
        2 joined #1 EdgeLatencyHigh@z[2]
        2 published #1 v3 open root=x firing=3/3
        3 joined #1 CpuHigh@a[3]
        3 reranked #1 new_alert
        3 published #1 v4 open root=a firing=4/4
        ",
    );
}

/// A place is free again when an incident is over.
#[test]
fn e17_a_full_incident_table_sheds_and_says_so() {
    check_with(
        "a b c",
        "
        0 fire DiskFull a end=10
        1 fire DiskFull b
        2 fire DiskFull c
        131 fire LatencyHigh c
        ",
        |spec| spec.limits.incidents_max = 2,
        "
        0 opened #1 DiskFull@a[0]
        0 published #1 v1 open root=a firing=1/1
        1 opened #2 DiskFull@b[1]
        1 published #2 v1 open root=b firing=1/1
        2 shed incidents
        2 suppressed DiskFull@c[2] overflow
        10 expired DiskFull@a[0]
        60 settled #1
        60 published #1 v2 settled root=a firing=0/1
        61 settled #2
        61 published #2 v2 settled root=b firing=1/1
        130 closed #1
        130 published #1 v3 resolved root=a firing=0/1
        131 opened #3 LatencyHigh@c[131]
        131 published #3 v1 open root=c firing=1/1
        ",
    );
}

#[test]
fn e17_a_full_alert_table_forgets_the_resolved_and_then_sheds() {
    let player = check_with(
        "a b c d",
        "
        0 fire DiskFull a
        1 fire DiskFull b
        2 fire DiskFull c
        3 resolve DiskFull a
        4 fire DiskFull c
        5 resolve DiskFull a
        ",
        |spec| spec.limits.alerts_max = 2,
        "
        0 opened #1 DiskFull@a[0]
        0 published #1 v1 open root=a firing=1/1
        1 opened #2 DiskFull@b[1]
        1 published #2 v1 open root=b firing=1/1
        2 shed alerts
        3 resolved DiskFull@a[0]
        4 opened #3 DiskFull@c[4]
        4 published #3 v1 open root=c firing=1/1
        5 resolved_unknown DiskFull@a
        ",
    );
    let stats = player.engine.stats();
    assert_eq!((stats.evicted, stats.shed), (1, 1));
}
