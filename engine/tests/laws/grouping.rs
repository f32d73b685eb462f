//! E8 to E13: which alerts are explained together.

use std::collections::{BTreeMap, BTreeSet};

use hypocenter_engine::{Decision, IncidentId, Kind, Phase, Policy, Span, Status, Timestamp};
use proptest::prelude::*;

use crate::harness::{law, watch};
use crate::support::{Event, Player, graph, policy};
use crate::world::{
    EPOCH, Graph, World, about, alert, end, interleave, player, storms, untimed, worlds,
};

/// Later than all that any of these scripts brings about.
const END: i64 = EPOCH + 30 * 86_400_000;

#[test]
pub(crate) fn e8_unrelated_components_do_not_touch() {
    law(
        "E8, M5: what cannot be connected changes nothing elsewhere, in whichever order both come",
        (worlds(false), worlds(false)),
        |(a, b): (World, World)| {
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
        },
    );
}

#[test]
pub(crate) fn e8_members_share_a_root() {
    law(
        "E8, E10: who joins can be explained by a root that also explains a member, within hops_max",
        worlds(true),
        |world: World| {
            let graph = Graph::of(&world.edges_text("n"));
            let hops = world.policy().spec().grouping.hops_max;
            let roots = |entity: &str, callers: &BTreeSet<String>| -> BTreeSet<String> {
                let below = graph.reach(entity, hops).into_keys();
                below.chain(graph.dependents(entity)).chain(callers.iter().cloned()).collect()
            };
            let mut groups: BTreeMap<IncidentId, BTreeSet<String>> = BTreeMap::new();
            let mut named: BTreeMap<_, (String, BTreeSet<String>)> = BTreeMap::new();
            let policy = world.policy();
            watch((policy.clone(), world.topology("n")), &world.events("n", ""), END, |step| {
                if let Some(event) = step.event {
                    let edge = event.label("alertname").starts_with("Edge");
                    let caller = edge.then(|| event.label("source").to_owned());
                    let mut callers: BTreeSet<String> = caller.into_iter().collect();
                    callers.insert(format!("{{{}}}", event.label("rack")));
                    let entity = event.label("service").to_owned();
                    named.insert(event.fingerprint(&policy), (entity, callers));
                }
                for decision in step.said {
                    match *decision {
                        Decision::Opened { incident, alert, .. } => {
                            let (entity, callers) = &named[&alert.fingerprint];
                            groups.insert(incident, roots(entity, callers));
                        }
                        Decision::Joined { incident, alert } => {
                            let (entity, callers) = &named[&alert.fingerprint];
                            let mine = roots(entity, callers);
                            let theirs = groups.get_mut(&incident).expect("opened");
                            assert!(!mine.is_disjoint(theirs), "{entity} shares no root");
                            theirs.extend(mine);
                        }
                        Decision::Merged { incident, into } => {
                            let theirs = groups[&incident].clone();
                            let ours = groups.get_mut(&into).expect("opened");
                            assert!(!theirs.is_disjoint(ours), "no root for both");
                            ours.extend(theirs);
                        }
                        _ => {}
                    }
                }
            });
        },
    );
}

#[test]
pub(crate) fn e11_a_life_follows_the_arrows() {
    law(
        "E14, E11: an incident goes from phase to phase as docs/model.md draws it, each step told",
        prop_oneof![worlds(true), storms()],
        |world: World| {
            let mut phases: BTreeMap<IncidentId, Phase> = BTreeMap::new();
            let mut opened = BTreeSet::new();
            let stage = (world.policy(), world.topology("n"));
            watch(stage, &world.events_of_teams(), END, |step| {
                use Phase::{Merged, Open, Resolved, Settled};
                let mut go = |id: IncidentId, from: &[Phase], to: Phase| {
                    let before = phases.insert(id, to).unwrap_or(Open);
                    assert!(from.contains(&before), "{before:?} to {to:?}");
                };
                for decision in step.said {
                    match *decision {
                        Decision::Opened { incident, .. } => {
                            assert!(opened.insert(incident), "an id is given once");
                        }
                        Decision::Settled { incident } => go(incident, &[Open], Settled),
                        Decision::Reranked { incident, .. } => go(incident, &[Open, Settled], Open),
                        Decision::Closed { incident } => go(incident, &[Open, Settled], Resolved),
                        Decision::Reopened { incident } => go(incident, &[Resolved], Open),
                        Decision::Merged { incident, .. } => go(incident, &[Open, Settled], Merged),
                        _ => {}
                    }
                }
                for view in step.engine.incidents() {
                    assert!(opened.contains(&view.id()));
                    let phase = phases.get(&view.id()).unwrap_or(&Open);
                    assert_eq!(view.phase(), *phase, "as told");
                }
            });
        },
    );
}

/// How many incidents hold a fault and its symptom.
fn incidents_of(edges: &str, alerts: &[Event]) -> usize {
    let mut player = player(Policy::default(), graph(edges), 1);
    player.play(alerts);
    player.engine.incidents().filter(|view| !view.phase().is_final()).count()
}

const CAUSES: [&str; 3] = ["DiskFull", "PodCrash", "ErrorsHigh"];
const SYMPTOMS: [&str; 4] = ["LatencyHigh", "ErrorsHigh", "ClientLatencyHigh", "TrafficLow"];

#[test]
pub(crate) fn e8_what_is_explained_late_is_explained_early() {
    law(
        "E8: nearer in time is never less together: one incident at a gap is one at a smaller gap",
        (0..3usize, 0..4usize, 1..4usize, 0..700i64, 0..700i64),
        |(cause, symptom, hops, a, b): (usize, usize, usize, i64, i64)| {
            let edges: String = (0..hops).map(|n| format!("n{:02}>n{n:02} ", n + 1)).collect();
            let together = |gap: i64| {
                let late = EPOCH + gap * 1000;
                let first = alert(EPOCH, CAUSES[cause], "n00");
                let forever = Event { ends: Some(EPOCH + 90_000_000), ..first };
                let second = alert(late, SYMPTOMS[symptom], &format!("n{hops:02}"));
                incidents_of(&edges, &[forever, second]) == 1
            };
            assert!(!together(a.max(b)) || together(a.min(b)));
        },
    );
}

#[test]
pub(crate) fn e9_a_silent_hop_has_a_price_and_no_more() {
    law(
        "E9: a fault explains a symptom through silent hops, and never at more hops but not at fewer",
        (0..3usize, 0..4usize, 0..9u8, 0..9u8, 0..60i64),
        |(cause, symptom, a, b, gap): (usize, usize, u8, u8, i64)| {
            let together = |hops: u8| {
                let edges: String = (0..8).map(|n| format!("n{:02}>n{n:02} ", n + 1)).collect();
                let first = alert(EPOCH, CAUSES[cause], "n00");
                let late = EPOCH + gap * 1000;
                let second = alert(late, SYMPTOMS[symptom], &format!("n{hops:02}"));
                incidents_of(&edges, &[first, second]) == 1
            };
            assert!(!together(a.max(b)) || together(a.min(b)));
            let max = Policy::default().spec().grouping.hops_max;
            // A symptom may also blame a direct dependent of the fault, one hop nearer.
            assert!(a <= max + 1 || !together(a), "not beyond hops_max");
            if gap == 0 && SYMPTOMS[symptom] != "TrafficLow" && CAUSES[cause] != "ErrorsHigh" {
                assert!(together(2), "one silent hop is passed through");
            }
        },
    );
}

#[test]
pub(crate) fn e10_refusals_are_said_and_counted() {
    law(
        "E10, E17: what a limit keeps out says which limit, is counted, and shows in the record",
        worlds(true),
        |world: World| {
            let mut refused = 0;
            let stage = (world.policy(), world.topology("n"));
            let engine = watch(stage, &world.events("n", ""), EPOCH, |step| {
                for decision in step.said {
                    if let Decision::Opened { incident, refused: Some(limit), .. } = *decision {
                        refused += 1;
                        let view = step.engine.incident(incident).expect("it was opened");
                        assert_eq!(view.degraded().refused, Some(limit));
                    }
                }
            });
            assert_eq!(engine.stats().refused, refused);
        },
    );
}

#[test]
pub(crate) fn e10_span_and_members_are_bounded() {
    law(
        "E10: no alert joins more than max_duration after an incident's onset, nor beyond members_max",
        prop_oneof![worlds(true), storms()],
        |world: World| {
            let policy = world.policy();
            let (times, limits) = (policy.spec().times, policy.spec().limits);
            let events = world.events("n", "");
            let named = |event: &Event| (event.fingerprint(&policy), event.held);
            let held: BTreeMap<_, _> = events.iter().map(named).collect();
            watch((policy.clone(), world.topology("n")), &events, END, |step| {
                for decision in step.said {
                    if let Decision::Joined { incident, alert } = *decision {
                        let now = step.engine.now();
                        let start = alert.starts_at.clamp(now.minus(times.lateness), now);
                        let held = held[&alert.fingerprint].unsigned_abs();
                        let onset = start.minus(Span::from_millis(held));
                        let view = step.engine.incident(incident).expect("it was joined");
                        assert!(onset.since(view.onset()) <= times.max_duration, "frozen");
                    }
                }
                for view in step.engine.incidents() {
                    assert!(view.members().len() <= limits.members_max as usize);
                }
            });
        },
    );
}

/// Two alerts on two callers of one hub with so many callers, and what they make.
fn at_hub(callers: usize, rules: (usize, usize), with_hub: bool, gap: i64) -> usize {
    let edges: String = (0..callers.max(2)).map(|n| format!("n{n:02}>hub ")).collect();
    let mut alerts =
        vec![alert(EPOCH, SYMPTOMS[rules.0], "n00"), alert(EPOCH + gap, SYMPTOMS[rules.1], "n01")];
    if with_hub {
        alerts.insert(0, alert(EPOCH, "LatencyHigh", "hub"));
    }
    incidents_of(&edges, &alerts)
}

#[test]
pub(crate) fn e8_a_larger_audience_never_costs_less() {
    law(
        "E8: the price of a hub grows with its audience: what stays apart at a hub does so at a larger",
        (2..60usize, 2..60usize, (0..4usize, 0..4usize), any::<bool>(), 0..60_000i64),
        |(a, b, rules, with_hub, gap): (usize, usize, (usize, usize), bool, i64)| {
            let (small, large) = (a.min(b), a.max(b));
            assert!(at_hub(small, rules, with_hub, gap) <= at_hub(large, rules, with_hub, gap));
        },
    );
}

#[test]
pub(crate) fn e8_two_strangers_do_not_meet_at_a_busy_hub() {
    law(
        "E8, E10: two faults that touch only through a hub with thirty and more callers stay apart",
        (30..90usize, (0..2usize, 0..2usize), 0..60_000i64),
        |(callers, rules, gap): (usize, (usize, usize), i64)| {
            assert_eq!(at_hub(callers, rules, false, gap), 2);
        },
    );
}

#[test]
pub(crate) fn e11_the_older_one_survives_and_nothing_rises_again() {
    law(
        "E11, S7: merges go from younger to older, one level deep, while young; what ended stays so",
        prop_oneof![worlds(true), storms()],
        |world: World| {
            let policy = world.policy();
            let times = policy.spec().times;
            let mut order: Vec<IncidentId> = Vec::new();
            let mut ended: BTreeMap<IncidentId, Phase> = BTreeMap::new();
            let mut onsets: BTreeMap<IncidentId, Timestamp> = BTreeMap::new();
            watch((policy, world.topology("n")), &world.events_of_teams(), END, |step| {
                for decision in step.said {
                    match *decision {
                        Decision::Opened { incident, .. } => order.push(incident),
                        Decision::Merged { incident, into } => {
                            let at = |id| order.iter().position(|&known| known == id);
                            assert!(at(into) < at(incident), "into the older one");
                            if let Some(&onset) = onsets.get(&incident) {
                                let age = step.engine.now().since(onset);
                                // The alert that joins them may have begun long ago, and what it
                                // reports before that.
                                let late = times.lateness.as_nanos() + 300_000_000_000;
                                let young = times.merge_window.as_nanos() + late;
                                assert!(age.as_nanos() <= young, "no longer young");
                            }
                        }
                        _ => {}
                    }
                }
                for view in step.engine.incidents() {
                    onsets.insert(view.id(), view.onset());
                    let (phase, into) = (view.phase(), view.merged_into());
                    assert_eq!(into.is_some(), phase == Phase::Merged);
                    if let Some(into) = into.and_then(|id| step.engine.incident(id)) {
                        assert_ne!(into.phase(), Phase::Merged, "one level deep");
                        assert_eq!(into.tenant(), view.tenant());
                    }
                    let reopened = Decision::Reopened { incident: view.id() };
                    if step.said.contains(&reopened) {
                        assert_eq!(ended.remove(&view.id()), Some(Phase::Resolved));
                    }
                    if let Some(before) = ended.get(&view.id()) {
                        assert_eq!(*before, phase, "it does not rise again");
                    } else if phase.is_final() {
                        ended.insert(view.id(), phase);
                    }
                }
            });
        },
    );
}

#[test]
pub(crate) fn e12_without_a_graph_only_the_entity_groups() {
    law(
        "E12: outside the graph an incident is about one entity, and says that it is degraded",
        worlds(true),
        |world: World| {
            let policy = policy(|spec| spec.limits = world.policy().spec().limits);
            watch((policy, graph("")), &world.events("n", ""), END, |step| {
                for view in step.engine.incidents() {
                    let plain: BTreeSet<&str> = view
                        .members()
                        .filter(|m| m.kind != Kind::Edge)
                        .map(|member| member.entity)
                        .collect();
                    let edges = view.members().any(|m| m.kind == Kind::Edge);
                    assert!(plain.len() <= 1 || edges, "{plain:?}");
                    assert!(view.degraded().outside_topology);
                }
            });
        },
    );
}

#[test]
pub(crate) fn e12_fallback_labels_group_what_the_graph_does_not_know() {
    law(
        "E12: outside the graph, alerts at one time share an incident when all fallback labels agree",
        prop::collection::vec((0..4usize, 0..3usize, 0..2usize), 2..12),
        |list: Vec<(usize, usize, usize)>| {
            let policy = policy(|spec| {
                spec.labels.fallback = vec!["rack".to_owned(), "zone".to_owned()];
            });
            let mut player = player(policy, graph(""), 1);
            let mut expected: BTreeMap<(usize, usize), BTreeSet<String>> = BTreeMap::new();
            for (at, &(entity, cluster, zone)) in list.iter().enumerate() {
                let mut event =
                    alert(EPOCH + at as i64, "LatencyHigh", &format!("c{cluster}z{zone}e{entity}"));
                event.labels.push(("rack".to_owned(), cluster.to_string()));
                event.labels.push(("zone".to_owned(), zone.to_string()));
                player.step(&event);
                let group = expected.entry((cluster, zone)).or_default();
                group.insert(event.label("service").to_owned());
            }
            let live = player.engine.incidents().filter(|view| !view.phase().is_final());
            let found: BTreeSet<BTreeSet<String>> =
                live.map(|view| view.members().map(|m| m.entity.to_owned()).collect()).collect();
            assert_eq!(found, expected.into_values().collect());
        },
    );
}

#[test]
pub(crate) fn e13_tenants_do_not_touch() {
    law(
        "E13, S9: tenants in one engine are as if each had its own, also on the same entities",
        (worlds(false), worlds(false)),
        |(a, b): (World, World)| {
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
        },
    );
}

#[test]
pub(crate) fn e13_an_incident_has_one_tenant() {
    law(
        "E13: all members of an incident, also after merges and with full tables, are of its tenant",
        prop_oneof![worlds(true), storms()],
        |world: World| {
            let policy = world.policy();
            let mut teams = BTreeMap::new();
            let events = world.events_of_teams();
            for event in &events {
                teams.insert(event.fingerprint(&policy), event.label("team").to_owned());
            }
            watch((policy, world.topology("n")), &events, END, |step| {
                for view in step.engine.incidents() {
                    for member in view.members() {
                        assert_eq!(teams[&member.alert.fingerprint], view.tenant());
                    }
                }
            });
        },
    );
}

#[test]
pub(crate) fn m4_names_are_names() {
    law(
        "M4: a renaming that keeps the order of names renames the output",
        worlds(true),
        |world: World| {
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
        },
    );
}

#[test]
pub(crate) fn m4_loops_and_doubled_edges_say_nothing() {
    law(
        "E8, M4: edges given twice, in another order, or from an entity to itself change nothing",
        (worlds(true), any::<u64>()),
        |(world, which): (World, u64)| {
            let text = world.edges_text("n");
            let mut words: Vec<&str> = text.split_whitespace().collect();
            let doubled: Vec<&str> = (0..words.len())
                .filter(|at| which >> (at % 64) & 1 == 1)
                .map(|at| words[at])
                .collect();
            words.extend(doubled);
            words.reverse();
            let names: BTreeSet<&str> = words.iter().flat_map(|w| w.split('>')).collect();
            let loops: String = names.iter().map(|name| format!(" {name}>{name}")).collect();
            let events = world.events("n", "");
            let mut other: Player = player(world.policy(), graph(&(words.join(" ") + &loops)), 1);
            other.play(&events);
            other.advance(end(&events));
            assert_eq!(world.play(&events).told, other.told);
        },
    );
}

#[test]
pub(crate) fn e10_a_frozen_incident_takes_nothing_whatever_comes() {
    law(
        "E10: after max_duration one straggler that comes again and again cannot feed an incident",
        (prop::collection::vec((0..4usize, 1..80i64), 20..60), 60..900u32),
        |(list, longest): (Vec<(usize, i64)>, u32)| {
            let policy = policy(|spec| {
                spec.times.max_duration = Span::from_secs(longest);
                spec.grouping.flap_onsets = 16;
            });
            let edges = "n01>n00 n02>n00 n03>n00";
            let mut now = EPOCH;
            let mut player = player(policy, graph(edges), 1);
            for (entity, gap) in list {
                now += gap * 1000;
                let event = alert(now, SYMPTOMS[entity % 2], &format!("n{entity:02}"));
                player.step(&event);
                player.step(&Event { ends: Some(now), status: Some(Status::Resolved), ..event });
            }
            for view in player.engine.incidents() {
                let latest = view.members().map(|m| m.alert.starts_at).max().expect("members");
                let span = latest.since(view.onset());
                assert!(span.as_nanos() <= i64::from(longest) * 1_000_000_000, "{span:?}");
            }
        },
    );
}
