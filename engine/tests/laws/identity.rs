//! E1 to E4: what an alert is, and what an event does to it.

use std::collections::{BTreeMap, BTreeSet};

use hypocenter_engine::{
    Decision, Engine, Episode, Fingerprint, IncidentId, IncidentView, Policy, Status,
};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::harness::{law, watch};
use crate::support::{Detail, Event, Player, graph, policy};
use crate::world::{EPOCH, World, alert, end, player, storms, untimed, worlds};

/// Whether the sender says that it fires.
fn fires(event: &Event, engine: &Engine) -> bool {
    match event.status {
        Some(status) => status == Status::Firing,
        None => event.ends.is_none_or(|end| end > engine.now().as_millis()),
    }
}

#[test]
pub(crate) fn e1_what_fires_and_is_placed_is_in_one_live_incident() {
    law(
        "E1, S1: an accepted firing alert is in exactly one live incident, and no other one is",
        prop_oneof![worlds(true), storms()],
        |world: World| {
            let (mut placed, mut firing) = (BTreeMap::new(), BTreeSet::new());
            let policy = world.policy();
            watch((policy.clone(), world.topology("n")), &world.events_of_teams(), END, |step| {
                for decision in step.said {
                    match *decision {
                        Decision::Opened { alert, .. } | Decision::Joined { alert, .. } => {
                            placed.insert(alert.fingerprint, true);
                            firing.insert(alert.fingerprint);
                        }
                        Decision::Suppressed { alert, .. } => {
                            placed.insert(alert.fingerprint, false);
                            firing.insert(alert.fingerprint);
                        }
                        Decision::Resolved { alert, .. } => {
                            firing.remove(&alert.fingerprint);
                        }
                        Decision::Repeated { alert }
                            if step.event.is_some_and(|e| fires(e, step.engine)) =>
                        {
                            firing.insert(alert.fingerprint);
                        }
                        _ => {}
                    }
                }
                let expected: Vec<Fingerprint> =
                    firing.iter().filter(|name| placed[*name]).copied().collect();
                let live = step.engine.incidents().filter(|view| !view.phase().is_final());
                let mut found: Vec<Fingerprint> = live
                    .flat_map(|view| view.members().collect::<Vec<_>>())
                    .filter(|member| member.firing)
                    .map(|member| member.alert.fingerprint)
                    .collect();
                found.sort();
                assert_eq!(expected, found);
            });
        },
    );
}

/// Later than all that any of these scripts brings about.
const END: i64 = EPOCH + 30 * 86_400_000;

#[test]
pub(crate) fn e1_members_are_those_that_were_told() {
    law(
        "E1, S5: an incident has the members that were said to join it or what it took in, each once",
        prop_oneof![worlds(true), storms()],
        |world: World| {
            let mut told: BTreeMap<IncidentId, BTreeSet<Fingerprint>> = BTreeMap::new();
            let stage = (world.policy(), world.topology("n"));
            watch(stage, &world.events("n", ""), END, |step| {
                for decision in step.said {
                    match *decision {
                        Decision::Opened { incident, alert, .. }
                        | Decision::Joined { incident, alert } => {
                            told.entry(incident).or_default().insert(alert.fingerprint);
                        }
                        Decision::Merged { incident, into } => {
                            let moved = told[&incident].clone();
                            told.entry(into).or_default().extend(moved);
                        }
                        _ => {}
                    }
                }
                for view in step.engine.incidents() {
                    let listed: Vec<_> = view.members().map(|m| m.alert.fingerprint).collect();
                    let members: BTreeSet<_> = listed.iter().copied().collect();
                    assert_eq!(members, told[&view.id()]);
                    assert_eq!(members.len(), listed.len(), "an alert is one member");
                }
            });
        },
    );
}

#[test]
pub(crate) fn e2_an_alert_is_its_labels_in_any_order() {
    law(
        "E2: identity is the set of labels; their order says nothing",
        (worlds(true), any::<usize>()),
        |(world, by): (World, usize)| {
            let events = world.events("n", "");
            let mut turned = events.clone();
            for event in &mut turned {
                let places = event.labels.len();
                event.labels.rotate_left(by % places);
            }
            assert_eq!(world.play(&events).told, world.play(&turned).told);
        },
    );
}

/// What is decided, without what is only counted.
fn decided(world: &World, events: &[Event], until: i64) -> Vec<String> {
    let mut player = world.player(1);
    player.detail = Detail::Short;
    player.play(events);
    player.advance(until);
    let counted =
        |line: &&str| line.starts_with("repeated ") || line.starts_with("resolved_unknown ");
    untimed(&player.told).into_iter().filter(|line| !counted(line)).map(str::to_owned).collect()
}

#[test]
pub(crate) fn e2_a_doubled_event_changes_no_version() {
    law("E2, E3, S8: each event twice is the same as once", worlds(false), |world: World| {
        let events = world.events("n", "");
        let doubled: Vec<Event> = events.iter().flat_map(|e| [e.clone(), e.clone()]).collect();
        let until = end(&events);
        assert_eq!(decided(&world, &events, until), decided(&world, &doubled, until));
    });
}

#[test]
pub(crate) fn e2_any_of_the_events_may_come_twice() {
    law(
        "M2, S8: doubling any subset of the events changes nothing, whichever of a pair sends it",
        (worlds(false), any::<u64>(), any::<bool>()),
        |(world, which, other): (World, u64, bool)| {
            let events = world.events("n", "");
            let mut doubled = Vec::new();
            for (at, event) in events.iter().enumerate() {
                doubled.push(event.clone());
                if which >> (at % 64) & 1 == 1 {
                    let mut again = event.clone();
                    let label = |name: &str| again.labels.iter().position(|(n, _)| n == name);
                    match label("prometheus_replica") {
                        Some(at) if other => drop(again.labels.remove(at)),
                        None if other => {
                            again.labels.push(("prometheus_replica".to_owned(), "b".to_owned()));
                        }
                        _ => {}
                    }
                    doubled.push(again);
                }
            }
            let until = end(&events);
            assert_eq!(decided(&world, &events, until), decided(&world, &doubled, until));
        },
    );
}

#[test]
pub(crate) fn e2_what_fires_on_says_nothing_new() {
    law(
        "E2: to send again what fires changes counters only: no version, no other output",
        worlds(true),
        |world: World| {
            let events = world.events("n", "");
            let mut player = world.player(1);
            let mut firing: BTreeMap<Fingerprint, Event> = BTreeMap::new();
            for event in &events {
                player.step(event);
                firing.insert(event.fingerprint(player.engine.policy()), event.clone());
            }
            let now = player.engine.now().as_millis();
            let on: Vec<Episode> = player
                .engine
                .incidents()
                .filter(|view| !view.phase().is_final())
                .flat_map(|view| view.members().collect::<Vec<_>>())
                .filter(|member| member.firing)
                .map(|member| member.alert)
                .collect();
            let records = |player: &Player| -> Vec<String> {
                let live = player.engine.incidents().filter(|view| !view.phase().is_final());
                live.map(|view| material(player, &view)).collect()
            };
            let (before, told) = (records(&player), player.told.len());
            for Episode { fingerprint, starts_at } in on {
                let Event { labels, .. } = firing[&fingerprint].clone();
                let (starts, status) = (Some(starts_at.as_millis()), Some(Status::Firing));
                player.apply(&Event {
                    now,
                    labels,
                    starts,
                    ends: None,
                    status,
                    breach: None,
                    held: 0,
                });
            }
            assert_eq!(before, records(&player));
            let said = untimed(&player.told[told..]);
            assert!(said.iter().all(|line| line.starts_with("repeated ")), "{said:?}");
        },
    );
}

/// A record without the counts of events.
fn material(player: &Player, view: &IncidentView<'_>) -> String {
    let dedup = format!("{:?}", view.dedup());
    player.record(view).replacen(&dedup, "", 1)
}

#[test]
pub(crate) fn e3_a_resolve_before_its_firing_is_only_counted() {
    law(
        "E3, S8: resolves of alerts that are not known change nothing and are counted",
        (worlds(false), any::<Index>(), 1..4usize),
        |(world, place, count): (World, Index, usize)| {
            let events = world.events("n", "");
            let mut more = events.clone();
            let at = place.index(more.len());
            let now = more[at].now;
            for n in 0..count {
                let mut event = alert(now, "NeverSeen", &format!("n{n:02}"));
                event.status = Some(Status::Resolved);
                event.ends = Some(now);
                more.insert(at, event);
            }
            let (plain, other) = (world.play(&events), world.play(&more));
            let known = |told: &[String]| -> Vec<String> {
                let unknown = |line: &&String| line.contains(" resolved_unknown NeverSeen");
                told.iter().filter(|line| !unknown(line)).cloned().collect()
            };
            assert_eq!(plain.told, known(&other.told));
            let counted = |player: &Player| player.engine.stats().resolves_unknown;
            assert_eq!(counted(&plain) + count as u64, counted(&other));
        },
    );
}

#[test]
pub(crate) fn e3_an_alert_ends_when_nothing_more_is_heard_of_it() {
    law(
        "E3: an alert without an end is over resolve_timeout after its last event, and not before",
        prop::collection::vec(1..299_999i64, 0..12),
        |gaps: Vec<i64>| {
            let mut player = player(Policy::default(), graph("n00>n01"), 1);
            let first = alert(EPOCH, "DiskFull", "n00");
            player.step(&first);
            let mut now = EPOCH;
            for gap in gaps {
                now += gap;
                player.step(&Event { now, ..first.clone() });
            }
            let expired = |player: &Player| player.engine.stats().expired;
            player.advance(now + 299_999);
            assert_eq!(expired(&player), 0);
            player.advance(now + 300_000);
            assert_eq!(expired(&player), 1);
        },
    );
}

#[test]
pub(crate) fn e4_flapping_does_not_version_at_every_flip() {
    law(
        "E4: however often an alert flips, only its first few onsets make versions; flips are shown",
        (2..5u8, 3..40usize, 1..60i64),
        |(onsets, flips, half): (u8, usize, i64)| {
            let policy = policy(|spec| spec.grouping.flap_onsets = onsets);
            let mut player = player(policy, graph("n00>n01"), 1);
            let by = |now: i64| alert(now, "DiskFull", "n00");
            // Another alert keeps the incident alive.
            player.step(&Event { ends: Some(EPOCH + 10_000_000), ..by(EPOCH - 1000) });
            let flip =
                |now: i64| Event { labels: alert(now, "LatencyHigh", "n00").labels, ..by(now) };
            for n in 0..flips as i64 {
                let now = EPOCH + n * half * 2000;
                player.step(&flip(now));
                let over = now + half * 1000;
                let ended =
                    Event { ends: Some(over), status: Some(Status::Resolved), ..flip(over) };
                player.step(&Event { starts: Some(now), ..ended });
            }
            let within = 900 / (half * 2) + 1;
            let flapping = within.min(flips as i64) >= i64::from(onsets);
            let suppressed = untimed(&player.told)
                .iter()
                .filter(|line| line.starts_with("suppressed ") && line.ends_with(" flapping"))
                .count();
            if flapping {
                assert_eq!(suppressed, flips + 1 - usize::from(onsets), "from the last onset on");
            } else {
                assert_eq!(suppressed, 0, "it does not flap");
            }
        },
    );
}

/// An HA pair that disagrees makes one alert end and go on for weeks: nothing may grow with that.
#[test]
pub(crate) fn e4_a_pair_that_disagrees_holds_no_memory() {
    law(
        "E4, E17: an alert that ends and goes on a thousand times holds no more than once",
        (1..60i64, prop::collection::vec(any::<bool>(), 200..400)),
        |(gap, flips): (i64, Vec<bool>)| {
            let mut player = player(policy(|_| {}), graph("n00>n01"), 1);
            player.detail = Detail::Version;
            let mut most = 0;
            for (round, &fires) in flips.iter().enumerate() {
                let now = EPOCH + round as i64 * gap * 1000;
                let status = if fires { Status::Firing } else { Status::Resolved };
                let event = alert(now, "DiskFull", "n00");
                player.step(&Event { starts: Some(EPOCH), status: Some(status), ..event });
                most = most.max(player.engine.footprint().timers);
            }
            // See `Timers::prune`: one alert and its incidents.
            assert!(most <= 64 + 4 * 4, "{most} deadlines for one alert");
        },
    );
}
