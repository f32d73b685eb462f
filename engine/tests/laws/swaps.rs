//! The graph changes in mid-script.

use std::collections::BTreeMap;

use hypocenter_engine::Phase;
use proptest::prelude::*;

use crate::harness::law;
use crate::support::{Event, Player};
use crate::world::{World, alert, end, roomy_worlds, storms, untimed, worlds};

/// A graph that takes over before an event of the script.
#[derive(Clone, Debug)]
pub(crate) struct Swap {
    pub(crate) before: usize,
    edges: Vec<(usize, usize)>,
    /// Whether the edges are added to those of the world, or are all there are.
    adds: bool,
}

impl Swap {
    pub(crate) fn text(&self, world: &World) -> String {
        // Two entities of the script are not in the world's graph, and may come into it here.
        let names = world.nodes + 2;
        let edge = |&(a, b): &(usize, usize)| format!("n{:02}>n{:02} ", a % names, b % names);
        let own: String = self.edges.iter().map(edge).collect();
        if self.adds { world.edges_text("n") + &own } else { own }
    }
}

pub(crate) fn swaps() -> impl Strategy<Value = Vec<Swap>> {
    let edges = prop::collection::vec((0..11usize, 0..11usize), 0..14);
    let swap = (0..40usize, edges, any::<bool>());
    let swap = swap.prop_map(|(before, edges, adds)| Swap { before, edges, adds });
    prop::collection::vec(swap, 1..5)
}

/// Plays a script with its changes of the graph. `see` is shown the player after each event.
fn play(
    (world, swaps): &(World, Vec<Swap>),
    seed: u64,
    mut see: impl FnMut(&mut Player, &Event),
) -> Player {
    let events = world.events("n", "");
    let mut player = world.player(seed);
    for (at, event) in events.iter().enumerate() {
        for swap in swaps.iter().filter(|swap| swap.before % events.len() == at) {
            player.swap(&swap.text(world), event.now);
        }
        player.step(event);
        see(&mut player, event);
    }
    player.advance(end(&events));
    player
}

#[test]
pub(crate) fn e1_what_fires_stays_in_one_incident_when_the_graph_changes() {
    law(
        "E1, E14: each alert fires in one incident, which has a candidate, on any graphs",
        (prop_oneof![worlds(true), storms()], swaps()),
        |case: (World, Vec<Swap>)| {
            let player = play(&case, 1, |player, _| {
                let mut firing = BTreeMap::new();
                for view in player.engine.incidents().filter(|view| !view.phase().is_final()) {
                    let members = view.members().filter(|member| member.firing);
                    for member in members {
                        let before = firing.insert(member.alert, view.id());
                        assert_eq!(before, None, "it fires in one incident");
                    }
                    assert!(view.root_cause().is_some());
                }
            });
            let live = player.engine.incidents().filter(|view| !view.phase().is_final());
            assert_eq!(live.count(), 0, "every incident ends");
        },
    );
}

#[test]
pub(crate) fn e5_changes_of_the_graph_at_the_same_places_give_the_same_text() {
    law(
        "E5: the same script with the same changes of the graph, the same text, for any hash seed",
        (prop_oneof![worlds(true), storms()], swaps()),
        |case: (World, Vec<Swap>)| {
            let told = |seed| play(&case, seed, |_, _| {}).told;
            assert_eq!(told(1), told(2));
        },
    );
}

#[test]
pub(crate) fn e7_it_does_not_matter_how_often_time_is_told_when_the_graph_changes() {
    law(
        "E7: what is due is decided as of its deadline, also while incidents are taken over",
        (prop_oneof![worlds(true), storms()], swaps()),
        |case: (World, Vec<Swap>)| {
            let seldom = play(&case, 1, |_, _| {});
            let often = play(&case, 1, |player, event| {
                player.advance(event.now);
                player.advance(event.now);
            });
            assert_eq!(untimed(&seldom.told), untimed(&often.told));
        },
    );
}

#[test]
pub(crate) fn e14_an_equal_graph_changes_nothing() {
    law(
        "E14: a graph that equals the one in force changes no decision",
        (worlds(true), prop::collection::vec(0..40usize, 1..4)),
        |(world, at): (World, Vec<usize>)| {
            let same = |&before: &usize| Swap { before, edges: Vec::new(), adds: true };
            let swaps: Vec<Swap> = at.iter().map(same).collect();
            let plain = world.play(&world.events("n", ""));
            assert_eq!(play(&(world, swaps), 1, |_, _| {}).told, plain.told);
        },
    );
}

#[test]
pub(crate) fn e14_a_graph_before_the_first_event_is_the_graph() {
    law(
        "E14: what an earlier graph knew is nothing to an engine that has seen no event",
        (worlds(true), swaps()),
        |(world, mut swaps): (World, Vec<Swap>)| {
            swaps.iter_mut().for_each(|swap| swap.before = 0);
            let back = Swap { before: 0, edges: Vec::new(), adds: true };
            swaps.push(back);
            let plain = world.play(&world.events("n", ""));
            assert_eq!(play(&(world, swaps), 1, |_, _| {}).told, plain.told);
        },
    );
}

#[test]
pub(crate) fn e14_what_is_taken_over_is_as_if_it_had_come_under_the_new_graph() {
    // Alerts on different entities, all at once and none twice: one incident or several, whose
    // candidates depend on the alerts alone.
    let entities = prop::collection::btree_set(0..8usize, 1..6);
    law(
        "E14: after a change of the graph an incident of one alert has the figures of the new one",
        (roomy_worlds(), entities, swaps()),
        |(world, entities, swaps): (World, _, Vec<Swap>)| {
            let now = crate::world::EPOCH;
            let Some(swap) = swaps.first() else { return };
            for &entity in &entities {
                let name = format!("n{:02}", entity % world.nodes);
                let event = alert(now, "LatencyHigh", &name);
                let mut changed = world.player(1);
                changed.step(&event);
                changed.swap(&swap.text(&world), now);
                // Another event takes it over.
                changed.step(&Event { status: None, ..alert(now, "Watchdog", "n90") });
                let mut fresh = world.player(1);
                fresh.swap(&swap.text(&world), now);
                fresh.step(&event);
                let figures = |player: &Player| {
                    let view = player.engine.incidents().next().expect("one incident");
                    assert_eq!(view.phase(), Phase::Open);
                    let candidates = view.candidates();
                    let named = candidates.iter().map(|c| (c.entity.to_owned(), c.score));
                    (named.collect::<Vec<_>>(), view.degraded().outside_topology)
                };
                assert_eq!(figures(&changed), figures(&fresh));
            }
        },
    );
}
