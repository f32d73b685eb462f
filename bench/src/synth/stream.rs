//! From firings to the messages in which a Prometheus tells of them.

use super::numbers::Numbers;
use super::scenario::{Event, Scenario, minutes, seconds};

/// How firings are told.
#[derive(Clone, Copy, Debug)]
pub(super) enum Telling {
    /// As Prometheus does: again every minute while it fires, and for a quarter of an hour once it
    /// is resolved.
    Repeating,
    /// Its beginning and its end: what repeats add is not the question.
    Once,
}

const REPEAT_EVERY_MS: i64 = 60_000;
/// How long Prometheus goes on telling of a resolved alert.
const RESOLVED_FOR_MS: i64 = 900_000;
/// A value has come to its worst after so many repeats.
const RAMP: f64 = 5.0;

/// Writes the messages of all firings, none before the beginning, in order of arrival.
pub(super) fn tell(scenario: &mut Scenario, telling: Telling, numbers: &mut Numbers) {
    let mut events = Vec::new();
    for (number, instance) in scenario.instances.iter().enumerate() {
        let threshold = scenario.alerts[instance.alert].threshold;
        // Way from the evaluation to whoever reads the stream.
        let delay = numbers.between(20, 2_000);
        let mut event = |at: i64, resolved, value| {
            if at >= 0 {
                events.push(Event { at: at + delay, instance: number, resolved, value });
            }
        };
        let every = match telling {
            Telling::Repeating => REPEAT_EVERY_MS,
            Telling::Once => instance.ends - instance.starts,
        };
        let mut at = instance.starts;
        for repeat in 1.. {
            let grown = (f64::from(repeat) / RAMP).min(1.0);
            let ramp = match telling {
                Telling::Repeating => grown,
                Telling::Once => 1.0,
            };
            event(at, false, rounded(threshold + (instance.worst - threshold) * ramp));
            at += every.max(1);
            if at >= instance.ends {
                break;
            }
        }
        let until = match telling {
            Telling::Repeating => instance.ends + RESOLVED_FOR_MS,
            Telling::Once => instance.ends,
        };
        let mut at = instance.ends;
        while at <= until {
            event(at, true, rounded(threshold));
            at += REPEAT_EVERY_MS;
        }
    }
    scenario.events = events;
    in_order(scenario);
}

/// Lets some messages come late, the later the rarer, and with that out of order.
pub(super) fn delay_some(scenario: &mut Scenario, share: f64, most: f64, numbers: &mut Numbers) {
    scenario.in_order = Some(scenario.events.clone());
    for event in &mut scenario.events {
        if numbers.chance(share) {
            event.at += seconds(numbers.log_uniform(1.0, most));
        }
    }
    in_order(scenario);
}

/// The evaluation of a rule that first sees a condition: rule groups are evaluated once a minute,
/// each at a second of its own.
pub(super) fn evaluated(condition: i64, phase: i64) -> i64 {
    let every = minutes(1.0);
    phase + (condition - phase).div_euclid(every) * every + every
}

fn in_order(scenario: &mut Scenario) {
    scenario.events.sort_by_key(|event| (event.at, event.instance, event.resolved));
}

/// Four significant digits, as an annotation shows them.
fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}
