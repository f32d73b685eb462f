//! A test of the laws: mistakes that are planted in the engine, one at a time, and all found.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use hypocenter_engine::planted::{Bug, plant};

use crate::harness::search;
use crate::registry::LAWS;

/// Cases a law, round after round, until one of the laws finds the mistake.
const ROUNDS: [u32; 4] = [8, 32, 128, 512];

/// The law that finds a mistake first, and how many cases were tried by then.
fn find(bug: Bug) -> Option<(&'static str, u64)> {
    let mut tried = 0;
    for cases in ROUNDS {
        for &(name, law) in LAWS {
            plant(Some(bug));
            let found = search(law, cases);
            plant(None);
            match found {
                Some(case) => return Some((name, tried + case)),
                None => tried += u64::from(cases),
            }
        }
    }
    None
}

#[test]
fn every_planted_mistake_is_found() {
    let (next, missed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(&bug) = Bug::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
            match find(bug) {
                Some((law, tried)) => {
                    println!("planted {bug:?} ({}): {law}, after {tried} cases", bug.what());
                }
                None => missed.lock().expect("no worker panics").push(bug),
            }
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(work))));
    let missed = missed.into_inner().expect("no worker panics");
    println!("planted: {} mistakes, {} missed", Bug::ALL.len(), missed.len());
    assert!(missed.is_empty(), "no law finds {missed:?}");
}
