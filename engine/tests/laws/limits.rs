//! E17: every table is bounded, and what is left out is counted and said.

use hypocenter_engine::{Decision, Footprint, Limit, Policy, Span};
use proptest::prelude::*;

use crate::harness::{law, watch};
use crate::world::{EPOCH, World, alert, untimed, worlds};

/// Later than all that any of these scripts brings about.
const END: i64 = EPOCH + 30 * 86_400_000;

#[test]
pub(crate) fn e17_every_event_is_told_and_counted_once() {
    law(
        "S12, E17: accepted = placed + repeated + resolved + unknown + suppressed + shed, as told",
        worlds(true),
        |world: World| {
            let events = world.events_of_teams();
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
            assert_eq!(told("resolved_unknown "), stats.resolves_unknown);
            assert_eq!(told("resolved "), stats.resolves);
            assert_eq!(told("expired "), stats.expired);
            assert_eq!(told("opened ") + told("joined "), stats.placed + stats.steadied);
            assert_eq!(told("suppressed "), stats.suppressed.iter().sum::<u64>());
            assert_eq!(told("shed alerts"), stats.shed);
            let answered = stats.placed + stats.repeats + stats.resolves + stats.resolves_unknown;
            let kept_out = stats.suppressed.iter().sum::<u64>() + stats.shed;
            assert_eq!(stats.events, answered + kept_out);
            assert_eq!(told("reopened "), stats.reopened);
            let over = stats.merged + stats.resolved;
            assert_eq!(stats.opened + stats.reopened, over, "all are over");
        },
    );
}

#[test]
pub(crate) fn e17_events_of_an_incident_are_counted_in_it() {
    law(
        "S12, S5: events counted in incidents are those that were placed, repeated or resolved there",
        worlds(false),
        |world: World| {
            let events = world.events("n", "");
            let mut spec = world.policy().spec().clone();
            spec.times.retain_for = Span::from_secs(30 * 86_400);
            let policy = Policy::new(spec).expect("valid");
            let stage = (policy, world.topology("n"));
            let (mut placed, mut counted, mut refired) = (0, 0, 0);
            let engine = watch(stage, &events, EPOCH, |step| {
                for decision in step.said {
                    if let Decision::Opened { .. } | Decision::Joined { .. } = decision {
                        placed += 1;
                    }
                }
            });
            for view in engine.incidents().filter(|view| view.merged_into().is_none()) {
                let (all, repeats, flaps) = view.dedup();
                assert!(repeats <= all, "repeats are events");
                counted += all;
                refired += flaps;
            }
            let stats = engine.stats();
            assert!(counted >= placed, "each that was placed: {counted} of {placed}");
            assert!(counted <= stats.events + stats.steadied, "none twice");
            assert!(refired <= stats.events, "flaps are events");
        },
    );
}

#[test]
pub(crate) fn e17_tables_are_bounded_and_what_is_shed_is_said() {
    law(
        "E17, S10: no table outgrows its maximum, and an event is shed only when its table is full",
        worlds(true),
        |world: World| {
            let policy = world.policy();
            let limits = policy.spec().limits;
            let mut shed = 0;
            let engine =
                watch((policy, world.topology("n")), &world.events("n", ""), END, |step| {
                    let engine = step.engine;
                    assert!(engine.alerts_live() <= limits.alerts_max);
                    assert!(engine.incidents_live() <= limits.incidents_max);
                    let held = engine.footprint();
                    assert!(held.incidents <= limits.incidents_max as usize);
                    // See `Timers::prune`.
                    assert!(held.timers <= 64 + 4 * (held.alerts + held.incidents + 2));
                    for decision in step.said {
                        if let Decision::Shed { limit, .. } = *decision {
                            match limit {
                                Limit::Alerts => {
                                    shed += 1;
                                    assert_eq!(engine.alerts_live(), limits.alerts_max);
                                    assert_eq!(step.said.len(), 1, "nothing else is decided");
                                }
                                Limit::Incidents => {
                                    assert_eq!(held.incidents, limits.incidents_max as usize);
                                }
                                other => panic!("{other:?} sheds no event"),
                            }
                        }
                    }
                });
            assert_eq!(engine.stats().shed, shed);
        },
    );
}

#[test]
pub(crate) fn e17_the_least_valuable_goes_first() {
    law(
        "E17: a full table forgets what is resolved, longest first, before it sheds what fires",
        (1..6u32, prop::collection::vec((0..9usize, any::<bool>()), 1..40)),
        |(max, steps): (u32, Vec<(usize, bool)>)| {
            let policy = crate::support::policy(|spec| {
                spec.limits.alerts_max = max;
                spec.grouping.flap_onsets = 16;
            });
            let mut player = crate::world::player(policy, crate::support::graph("n00>n01"), 1);
            // Known alerts, oldest end first; those that fire have none.
            let mut known: Vec<(usize, Option<i64>)> = Vec::new();
            for (at, (n, fires)) in steps.into_iter().enumerate() {
                let now = EPOCH + at as i64 * 1000;
                let mut event = alert(now, "DiskFull", &format!("m{n:02}"));
                if !fires {
                    (event.status, event.ends) =
                        (Some(hypocenter_engine::Status::Resolved), Some(now));
                }
                player.step(&event);
                let place = known.iter().position(|k| k.0 == n);
                let expected = match (place, fires) {
                    (Some(at), true) => {
                        known[at].1 = None;
                        None
                    }
                    (Some(at), false) => {
                        known[at].1 = known[at].1.or(Some(now));
                        None
                    }
                    (None, false) => Some("resolved_unknown "),
                    (None, true) if known.len() < max as usize => {
                        known.push((n, None));
                        Some("opened ")
                    }
                    (None, true) => {
                        let over = known.iter().enumerate().filter(|(_, k)| k.1.is_some());
                        match over.min_by_key(|(_, k)| k.1).map(|(at, _)| at) {
                            Some(at) => {
                                known[at] = (n, None);
                                None
                            }
                            None => Some("shed alerts"),
                        }
                    }
                };
                let told = untimed(&player.told);
                if let Some(expected) = expected {
                    let last = told.iter().rfind(|line| !line.starts_with("published "));
                    assert!(last.is_some_and(|line| line.starts_with(expected)), "{told:?}");
                }
                assert_eq!(player.engine.alerts_live() as usize, known.len());
            }
        },
    );
}

#[test]
pub(crate) fn e17_in_the_end_nothing_is_held() {
    law(
        "E17: when all is over and time has passed, no alert, incident, deadline or text is held",
        worlds(true),
        |world: World| {
            let player = world.play(&world.events_of_teams());
            let held = player.engine.footprint();
            let nothing = Footprint { walk_bytes: held.walk_bytes, ..Footprint::default() };
            assert_eq!(held, nothing);
            assert_eq!(player.engine.next_deadline(), None);
        },
    );
}

#[test]
pub(crate) fn e17_other_limits_and_seeds_leave_no_trace() {
    law(
        "E17, E7: a table that is large enough is as good as one that is larger",
        (worlds(false), 40..4000u32),
        |(world, size): (World, u32)| {
            let mut spec = world.policy().spec().clone();
            spec.limits.alerts_max = size;
            spec.limits.incidents_max = size;
            spec.limits.members_max = size;
            let policy = Policy::new(spec).expect("valid");
            let events = world.events("n", "");
            let mut other = crate::world::player(policy, world.topology("n"), 1);
            other.play(&events);
            other.advance(crate::world::end(&events));
            assert_eq!(world.play(&events).told, other.told);
        },
    );
}
