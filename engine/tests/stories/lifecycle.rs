//! The life of an incident, arrow by arrow: E3, E4, E10, E11, E14.
//!
//! Each row of the table in `docs/model.md` is a story here, named after its two ends.

use std::collections::BTreeSet;

use hypocenter_engine::{MappingRule, OtherParameters, Span};

use super::*;

#[test]
fn each_arrow_of_the_documents_is_a_story() {
    let (_, table) = include_str!("../../../docs/model.md")
        .split_once("| From | To | When |\n|---|---|---|\n")
        .expect("the table of transitions");
    let arrow = |row: &str| {
        let mut cells = row.split('|').map(str::trim).skip(1);
        let (from, to) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
        format!("{from}_to_{to}")
    };
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let drawn: BTreeSet<String> = rows.map(arrow).collect();
    let named = |line: &str| {
        let mut words = line.strip_prefix("fn ")?.split('_');
        let (from, to) = (words.next()?, words.nth(1).filter(|_| line.contains("_to_"))?);
        Some(format!("{from}_to_{to}"))
    };
    let told: BTreeSet<String> = include_str!("lifecycle.rs").lines().filter_map(named).collect();
    assert_eq!(drawn, told);
    assert_eq!(drawn.len(), 8);
}

#[test]
fn none_to_open_with_the_first_alert() {
    check(
        "web>shop shop>db",
        "
        0 fire LatencyHigh shop
        ",
        "
        0 opened #1 LatencyHigh@shop[0]
        0 published #1 v1 open root=shop firing=1/1
        ",
    );
}

/// Repeats do not keep it from settling.
#[test]
fn open_to_settled_when_the_candidate_has_stood() {
    check(
        "web>shop shop>db",
        "
        0 fire LatencyHigh shop
        20 fire DiskFull db
        50 fire DiskFull db start=20
        79 tick
        80 tick
        ",
        "
        0 opened #1 LatencyHigh@shop[0]
        0 published #1 v1 open root=shop firing=1/1
        20 joined #1 DiskFull@db[20]
        20 reranked #1 new_alert
        20 published #1 v2 open root=db firing=2/2
        50 repeated DiskFull@db[20]
        80 settled #1
        80 published #1 v3 settled root=db firing=2/2
        ",
    );
}

/// And a version says each.
#[test]
fn settled_to_open_for_another_candidate() {
    check(
        "web>shop shop>db",
        "
        0 fire LatencyHigh shop
        60 tick
        61 fire DiskFull db start=20 value=5/1
        121 tick
        ",
        "
        0 opened #1 LatencyHigh@shop[0]
        0 published #1 v1 open root=shop firing=1/1
        60 settled #1
        60 published #1 v2 settled root=shop firing=1/1
        61 joined #1 DiskFull@db[20]
        61 reranked #1 new_alert
        61 published #1 v3 open root=db firing=2/2
        121 settled #1
        121 published #1 v4 settled root=db firing=2/2
        ",
    );
}

/// An alert that fits the candidate is told, and leaves it settled.
#[test]
fn settled_stays_settled_for_the_same_candidate() {
    check(
        "web>shop shop>db",
        "
        0 fire DiskFull db
        60 fire LatencyHigh shop start=40
        ",
        "
        0 opened #1 DiskFull@db[0]
        0 published #1 v1 open root=db firing=1/1
        60 settled #1
        60 published #1 v2 settled root=db firing=1/1
        60 joined #1 LatencyHigh@shop[40]
        60 published #1 v3 settled root=db firing=2/2
        ",
    );
}

#[test]
fn open_to_resolved_before_it_settles() {
    check_with(
        "web>shop shop>db",
        "
        0 fire DiskFull db
        10 resolve DiskFull db
        39 tick
        40 tick
        ",
        |spec| spec.times.quiet_for = Span::from_secs(30),
        "
        0 opened #1 DiskFull@db[0]
        0 published #1 v1 open root=db firing=1/1
        10 resolved DiskFull@db[0]
        40 closed #1
        40 published #1 v2 resolved root=db firing=0/1
        ",
    );
}

/// A refire within the quiet time is the same member, and begins the quiet time anew.
#[test]
fn settled_to_resolved_after_a_quiet_time() {
    check_with(
        "web>shop shop>db",
        "
        0 fire DiskFull db
        10 resolve DiskFull db
        40 fire DiskFull db
        50 resolve DiskFull db
        169 tick
        170 tick
        ",
        |spec| spec.grouping.flap_onsets = 4,
        "
        0 opened #1 DiskFull@db[0]
        0 published #1 v1 open root=db firing=1/1
        10 resolved DiskFull@db[0]
        40 joined #1 DiskFull@db[40]
        40 published #1 v2 open root=db firing=1/1
        50 resolved DiskFull@db[40]
        60 settled #1
        60 published #1 v3 settled root=db firing=0/1
        170 closed #1
        170 published #1 v4 resolved root=db firing=0/1
        ",
    );
}

/// One onset more would be flapping. The version goes on: a consumer that drops what it has seen
/// hears of it.
#[test]
fn resolved_to_open_when_a_member_fires_anew() {
    check_with(
        "web>shop shop>db",
        "
        0 fire DiskFull db
        1 fire LatencyHigh shop
        20 resolve LatencyHigh shop
        50 resolve DiskFull db
        170 tick
        300 fire DiskFull db
        360 tick
        ",
        |spec| spec.times.reopen_within = Span::from_secs(300),
        "
        0 opened #1 DiskFull@db[0]
        0 published #1 v1 open root=db firing=1/1
        1 joined #1 LatencyHigh@shop[1]
        1 published #1 v2 open root=db firing=2/2
        20 resolved LatencyHigh@shop[1]
        50 resolved DiskFull@db[0]
        60 settled #1
        60 published #1 v3 settled root=db firing=0/2
        170 closed #1
        170 published #1 v4 resolved root=db firing=0/2
        300 reopened #1
        300 joined #1 DiskFull@db[300]
        300 published #1 v5 open root=db firing=1/2
        360 settled #1
        360 published #1 v6 settled root=db firing=1/2
        ",
    );
}

/// One alert that comes and goes alone is not kept together by coming again.
#[test]
fn resolved_stays_resolved_for_one_that_was_alone() {
    check_with(
        "web>shop shop>db",
        "
        0 fire DiskFull db
        50 resolve DiskFull db
        170 tick
        200 fire DiskFull db
        ",
        |spec| spec.times.reopen_within = Span::from_secs(300),
        "
        0 opened #1 DiskFull@db[0]
        0 published #1 v1 open root=db firing=1/1
        50 resolved DiskFull@db[0]
        60 settled #1
        60 published #1 v2 settled root=db firing=0/1
        170 closed #1
        170 published #1 v3 resolved root=db firing=0/1
        200 opened #2 DiskFull@db[200]
        200 published #2 v1 open root=db firing=1/1
        ",
    );
}

/// What ended longer ago than `reopen_within` is another trouble.
#[test]
fn resolved_stays_resolved_when_it_has_been_over_for_long() {
    check(
        "web>shop shop>db",
        "
        0 fire DiskFull db
        1 fire LatencyHigh shop
        2 resolve LatencyHigh shop
        50 resolve DiskFull db
        170 tick
        201 fire DiskFull db
        ",
        "
        0 opened #1 DiskFull@db[0]
        0 published #1 v1 open root=db firing=1/1
        1 joined #1 LatencyHigh@shop[1]
        1 published #1 v2 open root=db firing=2/2
        2 resolved LatencyHigh@shop[1]
        50 resolved DiskFull@db[0]
        60 settled #1
        60 published #1 v3 settled root=db firing=0/2
        170 closed #1
        170 published #1 v4 resolved root=db firing=0/2
        201 opened #2 DiskFull@db[201]
        201 published #2 v1 open root=db firing=1/1
        ",
    );
}

/// Fault found by the laws: it fired on in an incident that was over. One replica resolved, the
/// other still sees it when it comes back.
#[test]
fn resolved_opens_again_for_a_replica_that_still_sees_it() {
    check_with(
        "web>shop shop>db",
        "
        0 fire DiskFull db prometheus_replica=a
        1 fire LatencyHigh shop
        2 resolve LatencyHigh shop
        60 resolve DiskFull db start=0 prometheus_replica=a
        200 fire DiskFull db start=2 prometheus_replica=b
        ",
        |spec| spec.grouping.window = Span::from_secs(30),
        "
        0 opened #1 DiskFull@db[0]
        0 published #1 v1 open root=db firing=1/1
        1 joined #1 LatencyHigh@shop[1]
        1 published #1 v2 open root=db firing=2/2
        2 resolved LatencyHigh@shop[1]
        60 settled #1
        60 published #1 v3 settled root=db firing=1/2
        60 resolved DiskFull@db[0]
        180 closed #1
        180 published #1 v4 resolved root=db firing=0/2
        200 reopened #1
        200 joined #1 DiskFull@db[2]
        200 published #1 v5 open root=db firing=1/2
        ",
    );
}

/// What another incident explains does not open the old one again.
#[test]
fn resolved_stays_resolved_for_what_another_incident_explains() {
    check_with(
        "web>shop shop>db",
        "
        0 fire LatencyHigh web
        1 fire LatencyHigh shop
        10 resolve LatencyHigh web
        10 resolve LatencyHigh shop
        130 tick
        200 fire DiskFull db
        210 fire LatencyHigh shop
        ",
        |spec| spec.times.reopen_within = Span::from_secs(600),
        "
        0 opened #1 LatencyHigh@web[0]
        0 published #1 v1 open root=web firing=1/1
        1 joined #1 LatencyHigh@shop[1]
        1 reranked #1 new_alert
        1 published #1 v2 open root=shop firing=2/2
        10 resolved LatencyHigh@web[0]
        10 resolved LatencyHigh@shop[1]
        61 settled #1
        61 published #1 v3 settled root=shop firing=0/2
        130 closed #1
        130 published #1 v4 resolved root=shop firing=0/2
        200 opened #2 DiskFull@db[200]
        200 published #2 v1 open root=db firing=1/1
        210 joined #2 LatencyHigh@shop[210]
        210 published #2 v2 open root=db firing=2/2
        ",
    );
}

/// `max_duration` after its onset the incident is left alone, and the next one begins.
#[test]
fn resolved_stays_resolved_when_it_is_frozen() {
    check_with(
        "web>shop shop>db",
        "
        0 fire DiskFull db
        1 fire LatencyHigh shop
        10 resolve DiskFull db
        10 resolve LatencyHigh shop
        600 fire DiskFull db
        610 resolve DiskFull db
        901 fire DiskFull db
        ",
        |spec| {
            spec.times.reopen_within = Span::from_secs(600);
            spec.times.max_duration = Span::from_secs(900);
        },
        "
        0 opened #1 DiskFull@db[0]
        0 published #1 v1 open root=db firing=1/1
        1 joined #1 LatencyHigh@shop[1]
        1 published #1 v2 open root=db firing=2/2
        10 resolved DiskFull@db[0]
        10 resolved LatencyHigh@shop[1]
        60 settled #1
        60 published #1 v3 settled root=db firing=0/2
        130 closed #1
        130 published #1 v4 resolved root=db firing=0/2
        600 reopened #1
        600 joined #1 DiskFull@db[600]
        600 published #1 v5 open root=db firing=1/2
        610 resolved DiskFull@db[600]
        660 settled #1
        660 published #1 v6 settled root=db firing=0/2
        730 closed #1
        730 published #1 v7 resolved root=db firing=0/2
        901 opened #2 DiskFull@db[901]
        901 published #2 v1 open root=db firing=1/1
        ",
    );
}

/// A straggler that goes on firing keeps its incident from being resolved, since it is not over;
/// it does not keep it open to others.
#[test]
fn frozen_takes_no_straggler() {
    check_with(
        "web>shop shop>db",
        "
        0 fire DiskFull db end=5000
        1 fire LatencyHigh shop
        20 resolve LatencyHigh shop
        61 fire LatencyHigh shop
        70 fire ErrorsHigh db
        ",
        |spec| spec.times.max_duration = Span::from_secs(60),
        "
        0 opened #1 DiskFull@db[0]
        0 published #1 v1 open root=db firing=1/1
        1 joined #1 LatencyHigh@shop[1]
        1 published #1 v2 open root=db firing=2/2
        20 resolved LatencyHigh@shop[1]
        60 settled #1
        60 published #1 v3 settled root=db firing=1/2
        61 opened #2 LatencyHigh@shop[61]
        61 published #2 v1 open root=shop firing=1/1
        70 joined #2 ErrorsHigh@db[70]
        70 reranked #2 new_alert
        70 published #2 v2 open root=db firing=2/2
        ",
    );
}

/// An alert that stops and fires anew within the window is the same member; much later it is news,
/// also while its incident goes on without it.
#[test]
fn open_takes_its_own_member_back_while_that_is_near() {
    check_with(
        "web>shop shop>db",
        "
        0 fire DiskFull db
        1 fire LatencyHigh shop
        20 resolve DiskFull db
        40 fire DiskFull db
        50 resolve DiskFull db
        200 fire DiskFull db
        ",
        |spec| spec.grouping.flap_onsets = 4,
        "
        0 opened #1 DiskFull@db[0]
        0 published #1 v1 open root=db firing=1/1
        1 joined #1 LatencyHigh@shop[1]
        1 published #1 v2 open root=db firing=2/2
        20 resolved DiskFull@db[0]
        40 joined #1 DiskFull@db[40]
        40 published #1 v3 open root=db firing=2/2
        50 resolved DiskFull@db[40]
        60 settled #1
        60 published #1 v4 settled root=db firing=1/2
        200 opened #2 DiskFull@db[200]
        200 published #2 v1 open root=db firing=1/1
        ",
    );
}

#[test]
fn open_to_merged_into_the_older_one() {
    check(
        "web>a a>x x>db web2>b b>y y>db",
        "
        0 fire LatencyHigh a
        1 fire LatencyHigh b
        2 fire LatencyHigh x
        3 fire LatencyHigh y
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
        ",
    );
}

#[test]
fn settled_to_merged_into_the_older_one() {
    check(
        "a>db b>db",
        "
        0 fire LatencyHigh a
        20 fire LatencyHigh b
        81 fire DiskFull db start=10
        ",
        "
        0 opened #1 LatencyHigh@a[0]
        0 published #1 v1 open root=a firing=1/1
        20 opened #2 LatencyHigh@b[20]
        20 published #2 v1 open root=b firing=1/1
        60 settled #1
        60 published #1 v2 settled root=a firing=1/1
        80 settled #2
        80 published #2 v2 settled root=b firing=1/1
        81 joined #2 DiskFull@db[10]
        81 reranked #2 new_alert
        81 merged #2 into #1
        81 reranked #1 merge
        81 published #2 v3 merged root=db into=#1 firing=2/2
        81 published #1 v3 open root=db firing=3/3
        ",
    );
}

/// Nobody has to follow more than one step: what had gone into it names the one that goes on.
#[test]
fn merged_names_the_one_that_goes_on() {
    check(
        "a>db c>q d>q q>db",
        "
        0 fire LatencyHigh a
        1 fire LatencyHigh c
        2 fire LatencyHigh d
        3 fire LatencyHigh q
        20 fire DiskFull db start=3
        ",
        "
        0 opened #1 LatencyHigh@a[0]
        0 published #1 v1 open root=a firing=1/1
        1 opened #2 LatencyHigh@c[1]
        1 published #2 v1 open root=c firing=1/1
        2 opened #3 LatencyHigh@d[2]
        2 published #3 v1 open root=d firing=1/1
        3 joined #3 LatencyHigh@q[3]
        3 reranked #3 new_alert
        3 merged #3 into #2
        3 reranked #2 merge
        3 published #3 v2 merged root=q into=#2 firing=2/2
        3 published #2 v2 open root=q firing=3/3
        20 joined #2 DiskFull@db[3]
        20 reranked #2 new_alert
        20 merged #2 into #1
        20 reranked #1 merge
        20 published #2 v3 merged root=db into=#1 firing=4/4
        20 published #3 v3 merged root=q into=#1 firing=2/2
        20 published #1 v2 open root=db firing=5/5
        ",
    );
}

/// New alerts are read by another mapping, known ones stay where they are; nothing else may differ.
#[test]
fn another_mapping_is_for_new_alerts_only() {
    let by_pod = |spec: &mut PolicySpec| {
        spec.mapping.own.insert(
            0,
            MappingRule {
                name: "pod".to_owned(),
                any_of: vec!["pod".to_owned()],
                to: "${value}".to_owned(),
                ..MappingRule::default()
            },
        );
    };
    let mut told = Vec::new();
    for seed in [1, 2] {
        let mut player = Player::new(policy(|_| ()), graph("api>db"), seed);
        let alert = |at: i64, name: &str| {
            let labels = [("alertname", name), ("service", "api"), ("pod", "db")];
            let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
            Event {
                now: at,
                labels,
                starts: Some(at),
                ends: None,
                status: None,
                breach: None,
                held: 0,
            }
        };
        player.step(&alert(1_000, "LatencyHigh"));
        assert_eq!(player.remap(policy(by_pod), 2_000), Ok(()));
        assert_eq!(player.engine.policy().hash(), policy(by_pod).hash());
        player.step(&alert(3_000, "LatencyHigh"));
        player.step(&alert(4_000, "DiskFull"));
        let other = policy(|spec| spec.times.settle_for = Span::from_secs(77));
        assert_eq!(player.remap(other, 5_000), Err(OtherParameters));
        let mut entities: Vec<(String, String)> = Vec::new();
        for view in player.engine.incidents() {
            let members = view.members();
            entities.extend(members.map(|m| (m.alertname.to_owned(), m.entity.to_owned())));
        }
        entities.sort();
        let expected = [("DiskFull", "db"), ("LatencyHigh", "api")];
        assert_eq!(entities, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
        told.push(player.told);
    }
    assert_eq!(told[0], told[1], "whatever the hash seed");
}
