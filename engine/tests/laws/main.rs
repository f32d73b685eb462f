//! Laws: what holds for every graph, every script of alerts and every policy.
//!
//! The cases are the same in every run. `PROPTEST_CASES` asks for more of them, `LAWS_SEED` for
//! others.

#![expect(clippy::disallowed_methods, reason = "the number of cases is the caller's choice")]

#[path = "../support/mod.rs"]
mod support;
mod world;

use std::collections::BTreeMap;

use hypocenter_engine::{Breach, Footprint, Policy, Side};
use proptest::prelude::*;

use support::{Detail, Event, graph};
use world::{EPOCH, end, law, player, worlds};

/// What is told, without the times of telling: those depend on when one asks.
fn untimed(told: &[String]) -> Vec<&str> {
    told.iter().map(|line| line.split_once(' ').map_or("", |(_, text)| text)).collect()
}

/// The part of what is told that names alerts of one prefix or tenant.
fn about<'t>(told: &'t [String], mark: &str) -> Vec<&'t str> {
    let is = |line: &&&str| line.lines().next().is_some_and(|first| first.contains(mark));
    untimed(told).iter().filter(is).copied().collect()
}

/// Two scripts as one, in the order of time; of equal times the first script's first, or last.
fn interleave(a: &[Event], b: &[Event], a_first: bool) -> Vec<Event> {
    let mut all: Vec<(i64, bool, Event)> = Vec::new();
    all.extend(a.iter().map(|e| (e.now, !a_first, e.clone())));
    all.extend(b.iter().map(|e| (e.now, a_first, e.clone())));
    all.sort_by_key(|&(now, last, _)| (now, last));
    all.into_iter().map(|(.., event)| event).collect()
}

/// E7, and "the same calls give the same decisions": also under another hash seed.
#[test]
fn the_same_script_gives_the_same_text() {
    law(worlds(true), |world| {
        let events = world.events("n", "");
        let first = world.play(&events);
        assert_eq!(first.told, world.play(&events).told);
        let mut other = world.player(0x9e37_79b9);
        other.play(&events);
        other.advance(end(&events));
        assert_eq!(first.told, other.told, "the hash seed shows");
    });
}

/// E1, E14, E15, E17 by way of `Engine::check` and the checks of the player, which run after each
/// step of each law; and the sums of what is counted.
#[test]
fn every_event_is_told_and_counted_once() {
    law(worlds(true), |world| {
        let events = world.events("n", "");
        let player = world.play(&events);
        let stats = player.engine.stats();
        assert_eq!(stats.events, events.len() as u64);
        let told = |word: &str| {
            let lines = untimed(&player.told);
            lines.iter().filter(|line| line.starts_with(word)).count() as u64
        };
        assert_eq!(told("opened "), stats.opened);
        assert_eq!(told("merged "), stats.merged);
        assert_eq!(told("closed "), stats.resolved);
        assert_eq!(told("published "), stats.published);
        assert_eq!(told("reranked "), stats.reranked);
        assert_eq!(told("repeated "), stats.repeats);
        assert_eq!(told("expired "), stats.expired);
        assert_eq!(told("opened ") + told("joined "), stats.placed);
        assert_eq!(told("shed alerts"), stats.shed);
        assert_eq!(stats.opened, stats.merged + stats.resolved, "all are over");
    });
}

/// E7: when time is told, between two events, changes nothing that is decided or published.
#[test]
fn it_does_not_matter_how_often_time_is_told() {
    law(worlds(true), |world| {
        let events = world.events("n", "");
        let usual = world.play(&events);
        let mut often = world.player(1);
        for (at, event) in events.iter().enumerate() {
            often.step(event);
            let next = events.get(at + 1).map_or(end(&events), |e| e.now);
            for part in 1..=3 {
                // Also a little back.
                often.advance(event.now + (next - event.now) * part / 3);
                often.advance(event.now);
            }
            while let Some(due) = often.engine.next_deadline() {
                if due.as_millis() > next {
                    break;
                }
                often.advance(due.as_millis().max(event.now));
            }
        }
        often.advance(end(&events));
        assert_eq!(untimed(&usual.told), untimed(&often.told));
        // Without being told in between the same is decided; only the reader is late.
        let mut never = world.player(1);
        never.detail = Detail::Version;
        events.iter().for_each(|event| never.apply(event));
        never.advance(end(&events));
        let heads = |told: &[String]| -> Vec<String> {
            let head = |line: &&str| line.split(" None ").next().unwrap_or_default().to_owned();
            let cut = |line: String| line.split(" Some(\"#").next().unwrap_or_default().to_owned();
            untimed(told).iter().map(head).map(cut).collect()
        };
        assert_eq!(heads(&usual.told), heads(&never.told));
    });
}

/// E2 and E3: an event that comes twice is a repeat, and publishes nothing.
#[test]
fn a_doubled_event_changes_no_version() {
    law(worlds(false), |world| {
        let events = world.events("n", "");
        let doubled: Vec<Event> = events.iter().flat_map(|e| [e.clone(), e.clone()]).collect();
        let decided = |events: &[Event]| -> Vec<String> {
            let mut player = world.player(1);
            player.detail = Detail::Short;
            player.play(events);
            player.advance(end(events));
            let told = untimed(&player.told).into_iter();
            let counted = |line: &&str| {
                line.starts_with("repeated ") || line.starts_with("resolved_unknown ")
            };
            told.filter(|line| !counted(line)).map(str::to_owned).collect()
        };
        assert_eq!(decided(&events), decided(&doubled));
    });
}

/// E8: what cannot be connected does not touch. Neither the presence of another component nor the
/// order of simultaneous events of two components shows in either.
#[test]
fn unrelated_components_do_not_touch() {
    law((worlds(false), worlds(false)), |(a, b)| {
        let (ours, theirs) = (a.events("n", ""), b.events("m", ""));
        let both = || graph(&(a.edges_text("n") + &b.edges_text("m")));
        let play = |events: &[Event]| {
            let mut player = player(a.policy(), both(), 1);
            player.play(events);
            player.advance(end(&ours).max(end(&theirs)));
            player
        };
        let first = play(&interleave(&ours, &theirs, true));
        let last = play(&interleave(&ours, &theirs, false));
        assert_eq!(about(&first.told, "@n"), about(&last.told, "@n"));
        assert_eq!(about(&first.told, "@m"), about(&last.told, "@m"));
        let alone = a.play(&ours);
        assert_eq!(untimed(&alone.told), about(&first.told, "@n"));
    });
}

/// E13: tenants in one engine are as if each had its own, also on the same entities.
#[test]
fn tenants_do_not_touch() {
    law((worlds(false), worlds(false)), |(a, b)| {
        let (ours, theirs) = (a.events("n", "red"), b.events("n", "blue"));
        let play = |events: &[Event]| {
            let mut player = a.player(1);
            player.play(events);
            player.advance(end(&ours).max(end(&theirs)));
            player.told
        };
        let both = play(&interleave(&ours, &theirs, true));
        assert_eq!(untimed(&play(&ours)), about(&both, "/red"));
        assert_eq!(untimed(&play(&theirs)), about(&both, "/blue"));
    });
}

/// Names mean nothing but their order: a renaming that keeps it renames the output.
#[test]
fn names_are_names() {
    law(worlds(true), |world| {
        let events = world.events("n", "");
        let plain = world.play(&events);
        let rename = |text: &str| {
            let mut text = text.to_owned();
            for n in 0..world.nodes + 2 {
                text = text.replace(&format!("n{n:02}"), &format!("zz-{n:02}-q"));
            }
            text
        };
        let renamed: Vec<Event> = events
            .iter()
            .map(|event| {
                let mut event = event.clone();
                for (_, value) in &mut event.labels {
                    *value = rename(value);
                }
                event
            })
            .collect();
        let mut other = player(world.policy(), graph(&rename(&world.edges_text("n"))), 1);
        other.play(&renamed);
        other.advance(end(&events));
        let expected: Vec<String> = plain.told.iter().map(|line| rename(line)).collect();
        assert_eq!(expected, other.told);
    });
}

/// E5: only differences of times matter.
#[test]
fn a_shift_of_all_times_shifts_all_times() {
    law((worlds(true), -400_000_000..400_000_000i64), |(world, by)| {
        let events = world.events("n", "");
        let shifted: Vec<Event> = events
            .iter()
            .map(|event| Event {
                now: event.now + by,
                starts: event.starts.map(|at| at + by),
                ends: event.ends.map(|at| at + by),
                ..event.clone()
            })
            .collect();
        let mut other = world.player(1);
        other.epoch += by;
        other.play(&shifted);
        other.advance(end(&shifted));
        assert_eq!(world.play(&events).told, other.told);
    });
}

/// E17: when all is over and time has passed, nothing is held.
#[test]
fn in_the_end_nothing_is_held() {
    law(worlds(true), |world| {
        let player = world.play(&world.events("n", ""));
        let held = player.engine.footprint();
        let nothing = Footprint { walk_bytes: held.walk_bytes, ..Footprint::default() };
        assert_eq!(held, nothing);
        assert_eq!(player.engine.next_deadline(), None);
    });
}

/// E6: one fault, all onsets within half the window, delivered in any order within `lateness`:
/// the same alerts end up together, under the same candidate.
///
/// What this does not cover: two faults at once, onsets further apart than the window, symptoms
/// that no common root explains within `hops_max`, more than eight symptoms that each opened an
/// incident of their own before the cause came (a root leads to its eight newest incidents), and
/// delivery so late that an incident is too old to be merged, or resolved, in between. There
/// grouping is greedy and the order shows.
#[test]
fn one_fault_in_any_order_is_one_incident() {
    let tree = prop::collection::vec(0..10usize, 1..7);
    let cases = (tree, prop::collection::vec(0..1000usize, 8), 0..4usize);
    law(cases, |(parents, keys, rule)| {
        // Entity 0 is the cause; each other one depends on an earlier one, at most two hops away.
        let mut depth = vec![0];
        let mut edges = String::new();
        for (at, parent) in parents.iter().enumerate() {
            let mut parent = parent % (at + 1);
            if depth[parent] == 2 {
                parent = 0;
            }
            depth.push(depth[parent] + 1);
            edges += &format!("n{:02}>n{parent:02} ", at + 1);
        }
        let rule = ["DiskFull", "PodCrash", "ErrorsHigh", "LatencyHigh"][rule];
        let alert = |n: usize| {
            let name = if n == 0 { rule } else { "LatencyHigh" };
            let breach =
                Breach { value: if n == 0 { 4.0 } else { 2.0 }, threshold: 1.0, side: Side::Above };
            Event {
                now: 0,
                labels: vec![
                    ("alertname".to_owned(), name.to_owned()),
                    ("service".to_owned(), format!("n{n:02}")),
                ],
                starts: Some(EPOCH + 5000 * n as i64),
                ends: None,
                status: None,
                breach: Some(breach),
            }
        };
        let outcome = |order: &[usize]| {
            let mut player = player(Policy::default(), graph(&edges), 1);
            for (at, &n) in order.iter().enumerate() {
                let now = EPOCH + 40_000 + 2000 * at as i64;
                player.step(&Event { now, ..alert(n) });
            }
            let mut groups = BTreeMap::new();
            for view in player.engine.incidents().filter(|v| !v.phase().is_final()) {
                let mut members: Vec<String> =
                    view.members().map(|m| m.entity.to_owned()).collect();
                members.sort();
                groups.insert(members, view.root_cause().map(|c| c.entity.to_owned()));
            }
            groups
        };
        let sorted: Vec<usize> = (0..=parents.len()).collect();
        let mut order = sorted.clone();
        order.sort_by_key(|&n| (keys[n], n));
        let expected = outcome(&sorted);
        assert_eq!(expected.len(), 1, "{edges}");
        assert_eq!(expected, outcome(&order), "{edges} {order:?}");
    });
}
