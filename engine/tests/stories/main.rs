//! Stories: a few events in, every decision out. Each is named after the promise it shows.
//!
//! A line of a story is `<seconds> fire|resolve|tick <alertname> <entity> <options>`. Options are
//! `start=`, `end=` (seconds, `-` for unset), `value=<value>/<limit>`, `below=<value>/<limit>`,
//! `as=firing` for an explicit status; all others are labels. `fire` starts when it is said,
//! `resolve` ends then. Entity `-` means that no label names one.

mod grouping;
mod hosts;
mod identity_and_time;
mod lifecycle;
mod ranking_and_limits;
#[path = "../support/mod.rs"]
mod support;

use hypocenter_engine::{Breach, PolicySpec, Side, Status};

use support::{Event, Player, graph, policy};

const EPOCH: i64 = 1_700_000_000_000;

fn millis(text: &str) -> i64 {
    (text.parse::<f64>().expect("seconds") * 1000.0) as i64
}

/// The time of a line, and its event if it is not a `tick`.
fn read(line: &str) -> (i64, Option<Event>) {
    let mut words = line.split_whitespace();
    let mut word = || words.next().unwrap_or_default();
    let now = EPOCH + millis(word());
    let verb = word();
    if verb == "tick" {
        return (now, None);
    }
    let (alertname, entity) = (word().to_owned(), word().to_owned());
    let mut event = Event {
        now,
        labels: vec![("alertname".to_owned(), alertname)],
        starts: (verb == "fire").then_some(now),
        ends: (verb == "resolve").then_some(now),
        status: (verb == "resolve").then_some(Status::Resolved),
        breach: None,
        held: 0,
    };
    if entity != "-" {
        event.labels.push(("service".to_owned(), entity));
    }
    let time = |text: &str| (text != "-").then(|| EPOCH + millis(text));
    let breach = |text: &str, side: Side| {
        let (value, threshold) = text.split_once('/').expect("value/limit");
        let number = |text: &str| text.parse().expect("a number");
        Some(Breach { value: number(value), threshold: number(threshold), side })
    };
    for option in words {
        match option.split_once('=').expect("an option") {
            ("start", at) => event.starts = time(at),
            ("end", at) => event.ends = time(at),
            ("as", _) => event.status = Some(Status::Firing),
            ("value", text) => event.breach = breach(text, Side::Above),
            ("below", text) => event.breach = breach(text, Side::Below),
            (name, value) => event.labels.push((name.to_owned(), value.to_owned())),
        }
    }
    (now, Some(event))
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

/// Tells the time as the daemon does: at each deadline.
fn wait(player: &mut Player, until: i64) {
    while let Some(due) = player.engine.next_deadline() {
        if due.as_millis() > until {
            break;
        }
        player.advance(due.as_millis());
    }
    player.advance(until);
}

/// Plays a story over the graph `edges` under the default policy but for `change`.
fn play(edges: &str, story: &str, change: fn(&mut PolicySpec)) -> Player {
    let mut player = Player::new(policy(change), graph(edges), 1);
    player.epoch = EPOCH;
    for line in lines(story) {
        match read(line) {
            (now, Some(event)) => {
                wait(&mut player, now);
                player.apply(&event);
            }
            (now, None) => wait(&mut player, now),
        }
    }
    player
}

/// Asserts that a story, under a changed policy, is told in these words.
fn check_with(edges: &str, story: &str, change: fn(&mut PolicySpec), expect: &str) -> Player {
    let player = play(edges, story, change);
    let expected: Vec<&str> = lines(expect).collect();
    assert!(player.told == expected, "the story is told so:\n{}\n", player.text());
    player
}

/// Asserts that a story is told in these words.
fn check(edges: &str, story: &str, expect: &str) -> Player {
    check_with(edges, story, |_| {}, expect)
}
