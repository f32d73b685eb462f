//! How a law is tried: on cases that are the same in every run, on as many as are asked for.

use std::any::type_name;
use std::cell::Cell;
use std::time::Instant;

use hypocenter_engine::{
    Decision, Decisions, Engine, HashSeed, Policy, Progress, Timestamp, Topology,
};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use crate::support::Event;

/// Cases a law when `LAWS_CASES` does not say.
const CASES: u64 = 64;

thread_local! {
    /// Cases to try, when the question is only whether a law finds something.
    static SEARCH: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Whether a law finds something in so many cases, and in which one.
#[cfg_attr(not(feature = "planted"), expect(dead_code, reason = "asked of planted mistakes"))]
pub(crate) fn search(law: fn(), cases: u32) -> Option<u64> {
    SEARCH.set(Some(cases));
    let found = std::panic::catch_unwind(law);
    SEARCH.set(None);
    found.err().map(|case| *case.downcast::<u64>().expect("the number of a case"))
}

/// Tries a law, named after its function, on cases drawn from `cases`. A case that fails is made
/// smaller, and shown.
pub(crate) fn law<S: Strategy, F: Fn(S::Value)>(promise: &str, cases: S, check: F) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let (asked, seed) =
        (number("LAWS_CASES").unwrap_or(CASES), number("LAWS_SEED").unwrap_or(1_u64));
    let name = name_of::<F>();
    let search = SEARCH.get();
    let config = ProptestConfig {
        cases: search.unwrap_or(u32::try_from(asked).expect("fewer than four billion cases")),
        failure_persistence: None,
        max_shrink_iters: if search.is_some() { 0 } else { 4000 },
        ..ProptestConfig::default()
    };
    let (began, tried) = (Instant::now(), Cell::new(0_u64));
    let result = TestRunner::new_with_rng(config, numbers(seed, name)).run(&cases, |case| {
        tried.set(tried.get() + 1);
        check(case);
        Ok(())
    });
    let secs = began.elapsed().as_secs_f64();
    let tried = tried.get();
    if search.is_some() {
        if result.is_err() {
            std::panic::resume_unwind(Box::new(tried));
        }
        return;
    }
    println!("law {name}: {tried} cases, seed {seed}, {secs:.1} s: {promise}");
    if let Err(error) = result {
        panic!("LAWS_SEED={seed} {name}: {promise}\n{error}");
    }
}

/// `grouping::e8_this` from the type of the closure in it.
fn name_of<F>() -> &'static str {
    let path = type_name::<F>().trim_end_matches("::{{closure}}");
    path.split_once("::").map_or(path, |(_, name)| name)
}

/// Each law has cases of its own.
fn numbers(seed: u64, name: &str) -> TestRng {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let named = name.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&named.to_le_bytes());
    TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
}

/// What is to be seen after one call.
pub(crate) struct Step<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) said: &'a [Decision],
    /// The event, if it was not time that passed.
    pub(crate) event: Option<&'a Event>,
}

/// Plays a script and lets time pass until `end`, showing the engine after each call.
pub(crate) fn watch(
    (policy, topology): (Policy, Topology),
    events: &[Event],
    end: i64,
    mut see: impl FnMut(&Step<'_>),
) -> Engine {
    let mut engine = Engine::new(policy, topology, "test/0", HashSeed(1));
    let mut said = Decisions::new();
    let pass = |engine: &mut Engine, to: i64, see: &mut dyn FnMut(&Step<'_>)| {
        let mut said = Decisions::new();
        let mut progress = Progress::More;
        while progress == Progress::More {
            said.clear();
            progress = engine.advance(Timestamp::from_millis(to), &mut said);
            see(&Step { engine, said: said.as_slice(), event: None });
        }
    };
    for (at, event) in events.iter().enumerate() {
        pass(&mut engine, event.now, &mut see);
        said.clear();
        event.apply(&mut engine, at as u64 + 1, &mut said);
        see(&Step { engine: &engine, said: said.as_slice(), event: Some(event) });
    }
    pass(&mut engine, end, &mut see);
    engine
}
