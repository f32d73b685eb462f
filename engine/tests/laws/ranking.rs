//! E14 to E16: one candidate, its evidence, and when it is told.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use hypocenter_engine::{
    Breach, CandidateView, Code, Decision, Decisions, Engine, HashSeed, IncidentId, IncidentView,
    NoPath, Policy, Score, Side,
};

use proptest::prelude::*;

use crate::harness::{law, watch};
use crate::support::{Event, graph};
use crate::world::{EPOCH, Graph, World, alert, player, storms, worlds};

/// Later than all that any of these scripts brings about.
const END: i64 = EPOCH + 30 * 86_400_000;

#[test]
pub(crate) fn e14_every_incident_has_one_candidate_that_can_explain_it() {
    law(
        "E14, S2: one candidate always: an alerting entity, a dependency of one, or a named caller",
        prop_oneof![worlds(true), storms()],
        |world: World| {
            let graph = Graph::of(&world.edges_text("n"));
            let policy = world.policy();
            let hops = policy.spec().grouping.hops_max;
            let events = world.events("n", "");
            let callers: BTreeSet<&str> =
                events.iter().map(|event| event.label("source")).collect();
            watch((policy, world.topology("n")), &events, END, |step| {
                for view in step.engine.incidents() {
                    let root = view.root_cause().expect("one candidate").entity;
                    let below = |entity: &str| graph.reach(entity, hops).contains_key(root);
                    let explains = view.members().any(|member| below(member.entity));
                    assert!(explains || callers.contains(root), "{root} explains nothing");
                }
            });
        },
    );
}

#[test]
pub(crate) fn e14_a_version_is_a_material_change() {
    law(
        "E14, S3: versions grow by one, when something was decided of the incident and only then",
        prop_oneof![worlds(true), storms()],
        |world: World| {
            let mut versions: BTreeMap<IncidentId, u64> = BTreeMap::new();
            let stage = (world.policy(), world.topology("n"));
            watch(stage, &world.events_of_teams(), END, |step| {
                let (mut changed, mut published) = (BTreeSet::new(), BTreeSet::new());
                for decision in step.said {
                    match *decision {
                        Decision::Opened { incident, .. }
                        | Decision::Joined { incident, .. }
                        | Decision::Reranked { incident, .. }
                        | Decision::Settled { incident }
                        | Decision::Closed { incident }
                        | Decision::Reopened { incident } => {
                            changed.insert(incident);
                        }
                        Decision::Merged { incident, into } => {
                            changed.extend([incident, into]);
                            // What had gone into it before goes along.
                            let moved = |view: &IncidentView<'_>| view.merged_into() == Some(into);
                            let along = step.engine.incidents().filter(moved);
                            changed.extend(along.map(|view| view.id()));
                        }
                        Decision::Published { incident, version } => {
                            assert!(published.insert(incident), "once a step");
                            let before = versions.insert(incident, version).unwrap_or(0);
                            assert_eq!(version, before + 1);
                        }
                        _ => {}
                    }
                }
                assert!(published.is_subset(&changed), "a version for nothing");
                let decided = |id: &&IncidentId| !published.contains(*id);
                let silent: Vec<_> = changed.iter().filter(decided).collect();
                let told = |id: &&&IncidentId| {
                    step.engine.incident(***id).is_none_or(|v| v.merged_into().is_none())
                };
                assert!(!silent.iter().any(|id| told(&id)), "no version for {silent:?}");
                for view in step.engine.incidents() {
                    assert_eq!(versions[&view.id()], view.version());
                }
            });
        },
    );
}

/// What a consumer may not see change without a version.
fn told(view: &IncidentView<'_>) -> String {
    let members: Vec<_> = view.members().map(|m| m.alert).collect();
    let root = view.root_cause().map(|c| c.entity);
    format!("{:?} {root:?} {:?} {members:?}", view.phase(), view.merged_into())
}

#[test]
pub(crate) fn e14_nothing_changes_without_a_version() {
    law(
        "E14, S3: phase, candidate, members and merging of an incident are those of its last version",
        prop_oneof![worlds(true), storms()],
        |world: World| {
            let mut known: BTreeMap<IncidentId, (u64, String)> = BTreeMap::new();
            let stage = (world.policy(), world.topology("n"));
            watch(stage, &world.events("n", ""), END, |step| {
                for view in step.engine.incidents() {
                    let now = (view.version(), told(&view));
                    assert_eq!(now.1, told(&view), "reading changes nothing");
                    match known.get(&view.id()) {
                        Some(before) if before.0 == now.0 => assert_eq!(*before, now),
                        _ => drop(known.insert(view.id(), now)),
                    }
                }
            });
        },
    );
}

#[test]
pub(crate) fn e14_a_new_candidate_has_a_reason() {
    law(
        "E14: each change of candidate is told with its cause, and opens a settled incident again",
        prop_oneof![worlds(true), storms()],
        |world: World| {
            let mut roots: BTreeMap<IncidentId, String> = BTreeMap::new();
            let stage = (world.policy(), world.topology("n"));
            watch(stage, &world.events("n", ""), END, |step| {
                for view in step.engine.incidents() {
                    let root = view.root_cause().expect("one").entity.to_owned();
                    let before = roots.insert(view.id(), root.clone());
                    if before.is_some_and(|before| before != root) {
                        let reranked = |d: &&Decision| matches!(d, Decision::Reranked { incident, .. } if *incident == view.id());
                        let told = step.said.iter().rfind(reranked);
                        let Some(Decision::Reranked { cause, .. }) = told else {
                            panic!("{root} without a reason");
                        };
                        assert_eq!(view.rerank_cause(), Some(*cause));
                        let phase = view.phase();
                        assert!(phase.is_final() || phase == hypocenter_engine::Phase::Open);
                    }
                }
            });
        },
    );
}

#[test]
pub(crate) fn e15_the_evidence_is_the_score() {
    law(
        "E15: contributions sum to the score, value times weight is a contribution, best comes first",
        prop_oneof![worlds(true), storms()],
        |world: World| {
            let stage = (world.policy(), world.topology("n"));
            watch(stage, &world.events("n", ""), END, |step| {
                for view in step.engine.incidents() {
                    let root = view.root_cause().expect("one");
                    let evidence = view.evidence();
                    let sum: Score = evidence.iter().map(|e| e.contribution).sum();
                    assert_eq!(sum, root.score);
                    for term in &evidence {
                        let product = term.value.to_f64() * term.weight.to_f64();
                        let off = (product - term.contribution.to_f64()).abs();
                        // The weight is rounded to a millionth.
                        assert!(off <= 1e-6 * (1.0 + term.value.to_f64().abs()), "{term:?}");
                    }
                    let sizes: Vec<i64> =
                        evidence.iter().map(|e| e.contribution.micros().abs()).collect();
                    assert!(sizes.is_sorted_by(|a, b| a >= b), "largest first");
                }
            });
        },
    );
}

#[test]
pub(crate) fn e15_paths_are_shortest_chains_of_dependencies() {
    law(
        "E9, E15: a path from the candidate to each alerting entity, as short as any, or a reason",
        prop_oneof![worlds(true), storms()],
        |world: World| {
            let (graph, policy) = (Graph::of(&world.edges_text("n")), world.policy());
            let spec = policy.spec().grouping;
            watch((policy, world.topology("n")), &world.events("n", ""), END, |step| {
                for view in step.engine.incidents() {
                    let root = view.root_cause().expect("one");
                    let paths = view.paths(usize::MAX);
                    let told: Vec<&str> = paths.iter().map(|p| p.entity).collect();
                    let alerting: Vec<&str> = view.affected(usize::MAX).collect();
                    assert_eq!(told, alerting, "each once, in the order of joining");
                    for path in &paths {
                        let reach = graph.reach(path.entity, spec.hops_max);
                        let below = reach.get(root.entity).copied();
                        let Ok(stops) = &path.stops else {
                            let known = |name| graph.below.contains_key(name);
                            match path.stops {
                                Err(NoPath::OutsideTopology) => assert!(!known(path.entity)),
                                Err(NoPath::CandidateOutsideTopology) => {
                                    assert!(!known(root.entity));
                                }
                                // Beyond the nearest ones nothing is looked for.
                                _ => assert!(below.is_none() || reach.len() > spec.reach_max),
                            }
                            continue;
                        };
                        let names: Vec<&str> = stops.iter().map(|stop| stop.entity).collect();
                        assert_eq!((names[0], names[names.len() - 1]), (root.entity, path.entity));
                        assert_eq!(below, Some(names.len() as u8 - 1), "the shortest: {names:?}");
                        let depends = |pair: &[&str]| graph.below[pair[1]].contains(pair[0]);
                        assert!(names.windows(2).all(depends), "{names:?}");
                        let alerts = |name: &str| alerting.contains(&name);
                        assert!(stops.iter().all(|stop| stop.alerting == alerts(stop.entity)));
                    }
                }
            });
        },
    );
}

#[test]
pub(crate) fn e15_belief_is_shared_out() {
    law(
        "E14, E15: confidences follow scores, sum to less than one, and low ones are marked",
        prop_oneof![worlds(true), storms()],
        |world: World| {
            let policy = world.policy();
            let graph = Graph::of(&world.edges_text("n"));
            let low = policy.spec().ranking.low_confidence;
            watch((policy, world.topology("n")), &world.events("n", ""), END, |step| {
                for view in step.engine.incidents() {
                    let list = view.candidates();
                    let sure = |c: &CandidateView<'_>| c.confidence.to_f64();
                    assert!(list.iter().map(sure).sum::<f64>() <= 1.0 + 1e-5);
                    // Of equals the one with more dependencies, then by name.
                    let place = |c: &CandidateView<'_>| {
                        let depends = graph.below.get(c.entity).map_or(0, BTreeSet::len);
                        (Reverse(c.score), Reverse(depends), c.entity.to_owned())
                    };
                    assert!(list.is_sorted_by_key(place), "best first");
                    assert!(list.is_sorted_by(|a, b| a.confidence >= b.confidence));
                    let root = view.root_cause().expect("one");
                    assert_eq!(list[0], root);
                    assert_eq!(view.is_low_confidence(), sure(&root) < low);
                    let next = list.get(1).map_or(Score::ZERO, |c| c.score);
                    assert_eq!(view.margin(), root.score - next);
                    assert_eq!(view.runner_up(), list.get(1).copied());
                }
            });
        },
    );
}

#[test]
pub(crate) fn e15_why_not_says_where_it_lost() {
    law(
        "E15: why_not names the next candidates in order, by how much, and a term that cost them",
        prop_oneof![worlds(true), storms()],
        |world: World| {
            let stage = (world.policy(), world.topology("n"));
            watch(stage, &world.events("n", ""), END, |step| {
                for view in step.engine.incidents() {
                    let (list, root) = (view.candidates(), view.root_cause().expect("one"));
                    let why = view.why_not(64);
                    assert_eq!(why.len(), list.len() - 1);
                    for (why, loser) in why.iter().zip(&list[1..]) {
                        assert_eq!(why.candidate, *loser);
                        assert_eq!(why.margin, root.score - loser.score);
                        assert!(why.margin >= Score::ZERO);
                        // The largest of the differences that sum to the margin.
                        assert!(why.by.times(6.0) >= why.margin, "{why:?}");
                    }
                    assert_eq!(view.why_not(1), why[..why.len().min(1)]);
                }
            });
        },
    );
}

#[test]
pub(crate) fn e15_a_worse_cause_stays_the_candidate() {
    law(
        "E15: when the alert that makes it the candidate gets worse, a cause in itself stays it",
        (worlds(false), 1.5..20.0f64),
        |(world, worse): (World, f64)| {
            let stage = (world.policy(), world.topology("n"));
            let mut engine = Engine::new(stage.0, stage.1, "t", HashSeed(1));
            let mut said = Decisions::new();
            let events = world.events("n", "");
            for (at, event) in events.iter().enumerate() {
                event.apply(&mut engine, at as u64 + 1, &mut said);
            }
            let policy = engine.policy().clone();
            let live = engine.incidents().filter(|view| !view.phase().is_final());
            let causes: Vec<_> = live
                .filter_map(|view| {
                    let root = view.root_cause()?;
                    let alert = root.alert.filter(|_| root.kind.is_some_and(|k| k.is_cause()))?;
                    let fires = |m: hypocenter_engine::MemberView<'_>| m.firing && m.alert == alert;
                    view.members().any(fires).then(|| (view.id(), root.entity.to_owned(), alert))
                })
                .collect();
            for (id, entity, alert) in causes {
                let is = |e: &&Event| e.fingerprint(&policy) == alert.fingerprint;
                let event = events.iter().rfind(is).expect("it came").clone();
                let breach = Some(Breach { value: worse, threshold: 1.0, side: Side::Above });
                let now = engine.now().as_millis();
                let starts = Some(alert.starts_at.as_millis());
                let status = Some(hypocenter_engine::Status::Firing);
                Event { now, starts, ends: None, status, breach, ..event }.apply(
                    &mut engine,
                    1000,
                    &mut said,
                );
                let root =
                    engine.incident(id).and_then(|v| Some(v.root_cause()?.entity.to_owned()));
                assert_eq!(root, Some(entity));
            }
        },
    );
}

#[test]
pub(crate) fn e15_incidents_explained_together_are_themselves() {
    law(
        "E15: one incident explained together with nothing is explained as it is",
        prop_oneof![worlds(true), storms()],
        |world: World| {
            let stage = (world.policy(), world.topology("n"));
            watch(stage, &world.events("n", ""), EPOCH, |step| {
                for view in step.engine.incidents() {
                    if view.merged_into().is_some() {
                        assert!(step.engine.explain_together(&[view.id()]).is_empty());
                        continue;
                    }
                    let list = view.candidates();
                    let expected: Vec<_> = list.iter().map(|c| (c.entity, c.score)).collect();
                    let together = |ids: &[_]| -> Vec<_> {
                        let list = step.engine.explain_together(ids);
                        list.iter().map(|c| (c.entity.to_owned(), c.score)).collect()
                    };
                    let once = together(&[view.id()]);
                    assert!(once.iter().map(|(e, s)| (e.as_str(), *s)).eq(expected));
                    let twice = together(&[view.id(), view.id()]);
                    let first = |list: &[(String, Score)]| list.first().map(|c| c.0.clone());
                    assert_eq!(first(&twice), first(&once), "a thing said twice");
                }
            });
        },
    );
}

#[test]
pub(crate) fn e16_silence_has_its_price() {
    law(
        "E16: a candidate without an alert pays for it, and one with an alert does not",
        prop_oneof![worlds(true), storms()],
        |world: World| {
            let policy = world.policy();
            let price = -Score::from_f64(policy.spec().ranking.silent_price);
            watch((policy, world.topology("n")), &world.events("n", ""), END, |step| {
                for view in step.engine.incidents() {
                    let root = view.root_cause().expect("one");
                    let alerts = view.members().any(|member| member.entity == root.entity);
                    assert_eq!(alerts, !root.is_silent(), "silent means no alert of its own");
                    let is = |e: &&hypocenter_engine::Evidence<'_>| e.code == Code::Silent;
                    let paid = view.evidence().iter().find(is).map(|e| e.contribution);
                    assert_eq!(paid, root.is_silent().then_some(price));
                }
            });
        },
    );
}

#[test]
pub(crate) fn e16_those_who_do_not_complain_speak_for_a_silent_candidate() {
    law(
        "E16: of two audiences the one that complains more never believes less in a silent cause",
        (2..9usize, 0..9usize, 0..9usize),
        |(callers, a, b): (usize, usize, usize)| {
            let edges: String = (0..callers).map(|n| format!("n{n:02}>db ")).collect();
            let score = |complaining: usize| {
                let mut player = player(Policy::default(), graph(&edges), 1);
                for n in 0..complaining {
                    let mut event = alert(EPOCH, "ClientErrorsHigh", &format!("n{n:02}"));
                    event.breach = Some(Breach { value: 9.0, threshold: 1.0, side: Side::Above });
                    player.step(&event);
                }
                let ids: Vec<_> = player.engine.incidents().map(|view| view.id()).collect();
                let together = player.engine.explain_together(&ids);
                together.iter().find(|c| c.entity == "db").map(|c| c.score)
            };
            let (few, many) = (a.min(b).clamp(1, callers), a.max(b).clamp(1, callers));
            assert!(score(few) <= score(many), "{few} and {many} of {callers}");
        },
    );
}
