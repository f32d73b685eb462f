//! M6: a snapshot is the whole state, and other bytes are none.

use std::sync::Arc;

use hypocenter_engine::{Engine, Snapshot, StateError};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::harness::law;
use crate::support::{Event, Player};
use crate::swaps::{Swap, swaps};
use crate::world::{World, end, storms, worlds};

fn saved(engine: &Engine) -> Vec<u8> {
    let mut bytes = Vec::new();
    let taken = engine.save::<()>(b"note", &mut |piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    });
    assert_eq!(taken, Ok(()));
    bytes
}

fn restored(world: &World, bytes: &[u8]) -> Result<Engine, StateError> {
    let graph = Arc::new(Snapshot::new(world.topology("n"), &world.policy()));
    Engine::restore(bytes, world.policy(), &graph, "test/0")
}

/// Plays the script with its changes of the graph; before each event that `cut` names, the engine
/// is thrown away and another one takes its place.
fn play(
    (world, swaps): &(World, Vec<Swap>),
    events: &[Event],
    cut: impl Fn(usize) -> bool,
) -> Player {
    let mut player = world.player(1);
    for (at, event) in events.iter().enumerate() {
        for swap in swaps.iter().filter(|swap| swap.before % events.len() == at) {
            player.swap(&swap.text(world), event.now);
        }
        if cut(at) {
            player.engine = restored(world, &saved(&player.engine)).expect("its own snapshot");
            player.engine.check();
        }
        player.step(event);
    }
    player
}

#[test]
pub(crate) fn m6_a_restored_engine_goes_on_as_if_nothing_had_been() {
    law(
        "M6, S5: saved and restored at any point, the rest is decided alike, and so is the state",
        (prop_oneof![worlds(true), storms()], few_swaps(), any::<u64>()),
        |(world, swaps, cuts): (World, Vec<Swap>, u64)| {
            let (events, case) = (world.events_of_teams(), (world, swaps));
            let mut undisturbed = play(&case, &events, |_| false);
            let mut disturbed = play(&case, &events, |at| cuts >> (at % 64) & 1 == 1);
            assert_eq!(saved(&undisturbed.engine), saved(&disturbed.engine));
            undisturbed.advance(end(&events));
            disturbed.advance(end(&events));
            assert_eq!(undisturbed.told, disturbed.told);
            assert_eq!(saved(&undisturbed.engine), saved(&disturbed.engine));
        },
    );
}

/// No change of the graph as often as some.
fn few_swaps() -> impl Strategy<Value = Vec<Swap>> {
    prop_oneof![Just(Vec::new()), swaps()]
}

/// A snapshot in the middle of a script.
fn snapshots() -> impl Strategy<Value = (World, Vec<u8>)> {
    (prop_oneof![worlds(true), storms()], few_swaps()).prop_map(|case| {
        let events = case.0.events_of_teams();
        let bytes = saved(&play(&case, &events, |_| false).engine);
        (case.0, bytes)
    })
}

#[test]
pub(crate) fn m6_what_is_cut_off_or_changed_is_refused() {
    law(
        "M6: no part of a snapshot, and none with other bytes in it, is taken for one",
        (snapshots(), any::<Index>(), 1..=255_u8, any::<bool>()),
        |((world, mut bytes), at, by, cut)| {
            let at = at.index(bytes.len());
            if cut {
                bytes.truncate(at);
            } else {
                bytes[at] ^= by;
            }
            let error = restored(&world, &bytes).expect_err("refused");
            let is_version = (8..12).contains(&at) && !cut;
            assert_eq!(matches!(error, StateError::OtherVersion { .. }), is_version);
            let header = Engine::state_header(&bytes);
            let noted = header.map(|header| header.note);
            assert!(noted.as_deref() == Ok(b"note") || at < 256, "its header is the first frame");
        },
    );
}

#[test]
pub(crate) fn m6_no_bytes_make_the_loader_panic() {
    let change = (any::<Index>(), any::<u8>());
    law(
        "M6, S10: items changed behind right checksums are refused, or make another state",
        (snapshots(), prop::collection::vec(change, 1..4)),
        |((world, mut bytes), changes)| {
            let frames = frames(&bytes);
            for (at, by) in changes {
                let at = at.index(bytes.len());
                if frames.iter().any(|frame| frame.contains(&at)) {
                    bytes[at] = by;
                }
            }
            for items in frames {
                let head = items.start - 16;
                let mut hasher = crc32fast::Hasher::new();
                hasher.update(&bytes[head..head + 12]);
                hasher.update(&bytes[items.clone()]);
                bytes[head + 12..head + 16].copy_from_slice(&hasher.finalize().to_le_bytes());
            }
            // Whether it is refused depends on what was changed; a figure may be another figure.
            drop(restored(&world, &bytes));
        },
    );
}

/// Where the items of each frame stand.
fn frames(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let (mut frames, mut at) = (Vec::new(), 12);
    while at < bytes.len() {
        let length = bytes[at + 8..at + 12].try_into().expect("four bytes");
        let items = at + 16..at + 16 + u32::from_le_bytes(length) as usize;
        at = items.end;
        frames.push(items);
    }
    frames
}
