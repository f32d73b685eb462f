//! What the measurements say besides times: the same decisions on every way, and from every run.

use hypocenter_bench::measure::engine::{Case, Row, measure};
use hypocenter_bench::synth::workload::{Mix, Size, Workload};
use hypocenter_engine::Policy;

const SIZE: Size = Size { services: 200, live: 400, seed: 3 };

fn row(mix: Mix, decode: bool) -> Row {
    let case = Case { size: SIZE, mix, decode, events: 500 };
    measure(&case, &Workload::new(SIZE), &Policy::default())
}

#[test]
fn decisions_are_the_same_with_and_without_decoding() {
    for mix in Mix::ALL {
        let (decoded, alone) = (row(mix, true), row(mix, false));
        assert_eq!(decoded.decisions, alone.decisions, "{mix:?}");
        assert_eq!(decoded.workload, alone.workload, "{mix:?}");
        assert_eq!(alone, Row { ns: alone.ns, fill_ns: alone.fill_ns, ..row(mix, false) });
    }
}

#[test]
fn every_mix_is_what_it_says() {
    let events = |mix| row(mix, false).events;
    assert_eq!(events(Mix::ExpiryWave), SIZE.live as u64);
    assert_eq!(events(Mix::ResolveWave), SIZE.live as u64);
    assert!(events(Mix::Duplicates) >= 500);
    let decisions = |mix| row(mix, false).decisions;
    assert_ne!(decisions(Mix::New), decisions(Mix::Storm));
}

#[test]
fn a_run_survives_its_file() {
    let written = row(Mix::Mixed, false);
    let text = serde_json::to_string(&written).unwrap();
    assert_eq!(serde_json::from_str::<Row>(&text).unwrap(), written);
}
