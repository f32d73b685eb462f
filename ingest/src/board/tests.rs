use hypocenter_engine::{
    AlertEvent, Decisions, Engine, HashSeed, LabelLimits, Labels, Policy, Seq, Topology,
};

use super::*;

fn limits(bytes_max: usize, changes_max: usize) -> BoardLimits {
    BoardLimits { bytes_max, changes_max, retain_for: Span::from_secs(3_600) }
}

fn shard() -> Shard {
    Shard { input: "test".to_owned(), partition: 0 }
}

/// An engine whose incidents, one for each entity, are told to a board.
struct World {
    engine: Engine,
    board: Board,
    seq: u64,
}

impl World {
    fn new(limits: BoardLimits) -> Self {
        let (policy, topology) = (Policy::default(), Topology::empty());
        let engine = Engine::new(policy, topology, "test/0", HashSeed(1));
        Self { engine, board: Board::new(limits, 7), seq: 0 }
    }

    fn fire(&mut self, service: &str) {
        self.seq += 1;
        let at = Timestamp::from_millis(1_000_000 * i64::try_from(self.seq).expect("small"));
        let mut pairs = vec![("alertname", "Down"), ("service", service)];
        let labels = Labels::canonical(&mut pairs, &LabelLimits::default()).expect("valid");
        let event = AlertEvent {
            labels,
            starts_at: Some(at),
            ends_at: None,
            held: Span::ZERO,
            status: None,
            breach: None,
        };
        let mut decisions = Decisions::new();
        while self.engine.advance(at, &mut decisions) == hypocenter_engine::Progress::More {
            self.tell(&mut decisions);
        }
        self.engine.apply(Seq(self.seq), &event, at, &mut decisions);
        self.tell(&mut decisions);
    }

    fn tell(&mut self, decisions: &mut Decisions) {
        for decision in decisions.as_slice() {
            self.board.decided(decision);
            if let Decision::Published { incident, .. } = *decision {
                let view = self.engine.incident(incident).expect("readable");
                let shard = shard();
                let record = IncidentRecord::new(&self.engine, &view, &shard);
                let body = serde_json::to_vec(&record).expect("JSON");
                self.board.published(incident, &record, &shard, &body);
            }
        }
        decisions.clear();
    }
}

#[test]
fn the_latest_version_of_each_is_there_with_its_members() {
    let mut world = World::new(limits(1 << 20, 100));
    world.fire("a");
    world.fire("b");
    let board = &world.board;
    let (list, more) = board.list(&Filter::default(), None, 10);
    assert!(!more);
    assert_eq!(list[0].entity.as_ref(), "b", "the newest first");
    let open = Filter { phases: vec![PhaseName::Open], ..Filter::default() };
    let (open, _) = board.list(&open, None, 10);
    assert_eq!(open.len(), 1, "the first has been quiet for long");
    assert_eq!(board.groups().len(), 1);
    assert_eq!(board.groups()[0].1.len(), 1);
    let found = board.incident(&list[1].id).expect("found");
    assert_eq!((found.entity.as_ref(), found.phase), ("a", PhaseName::Resolved));
    let (rest, _) = board.list(&Filter::default(), Some(&list[0].id), 10);
    assert_eq!(rest.len(), 1);
    let other = Filter { tenants: vec!["x".to_owned()], ..Filter::default() };
    assert!(board.list(&other, None, 10).0.is_empty());
    board.forget(&shard());
    assert!(board.list(&Filter::default(), None, 10).0.is_empty());
    assert_eq!(board.size(), (0, 0));
}

#[test]
fn memory_is_bounded_and_what_is_over_goes_first() {
    let mut world = World::new(limits(6_000, 100));
    for n in 0..20 {
        world.fire(&format!("s{n}"));
    }
    let (bytes, left_out) = world.board.size();
    assert!(bytes <= 6_000, "{bytes}");
    assert!(left_out > 0 || world.board.list(&Filter::default(), None, 100).0.len() < 20);
    let (list, _) = world.board.list(&Filter::default(), None, 100);
    assert_eq!(list[0].entity.as_ref(), "s19", "the one that lives is there");
}

#[test]
fn a_reader_that_is_too_slow_is_told_how_much_it_missed() {
    let mut world = World::new(limits(1 << 20, 3));
    let (start, mut following) = world.board.follow();
    assert_eq!(start, 0);
    world.fire("a");
    assert!(following.has_changed().expect("open"));
    following.mark_unchanged();
    let seen = world.board.since(start).expect("all there");
    assert_eq!(seen.iter().map(|p| p.number).collect::<Vec<_>>(), [1]);
    world.fire("b");
    world.fire("c");
    let missed = world.board.since(1).map(|list| list.len());
    let (latest, _) = world.board.follow();
    assert_eq!(missed, Err(Missed { versions: latest - 1, latest }));
    assert_eq!(world.board.since(latest).expect("nothing new").len(), 0);
    assert_eq!(world.board.since(latest - 3).expect("just held").len(), 3);
}

#[test]
fn the_pipeline_never_waits_for_a_reader() {
    let mut world = World::new(limits(1 << 20, 100));
    let board = world.board.clone();
    let reading = board.state();
    // Would wait for ever if it took the readers' lock.
    world.fire("a");
    drop(reading);
    assert_eq!(board.list(&Filter::default(), None, 10).0.len(), 1);
}
