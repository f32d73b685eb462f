//! The Kafka source and sink against librdkafka's embedded broker.
//!
//! Nothing here depends on timing: every wait is for a condition, with a generous deadline.

#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers, too")]

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use hypocenter::kafka_mock::EmbeddedCluster;
use hypocenter::sink::kafka::{DEAD_LETTER_PAYLOAD_BYTES, DeadLetter, KafkaSink, KafkaSinkConfig};
use hypocenter::sink::{Cause, Outgoing, Sink};
use hypocenter::source::kafka::{FirstStart, KafkaSource, KafkaSourceConfig};
use hypocenter::source::{Assignment, Input, Polled, Shard, Source};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};

const DEADLINE: Duration = Duration::from_secs(60);

/// Everything a source has said.
#[derive(Default)]
struct Heard {
    assigned: Vec<Assignment>,
    records: Vec<(u32, u64, Vec<u8>)>,
    timed: usize,
    caught_up: usize,
    revoked: Vec<u32>,
    lost: Vec<u32>,
}

impl Heard {
    fn hear(&mut self, input: Input<'_>) {
        match input {
            Input::Assigned(assignment) => self.assigned.push(assignment.clone()),
            Input::Record(record) => {
                self.timed += usize::from(record.time.is_some());
                let partition = record.shard.partition;
                let payload = record.payload.to_vec();
                self.records.push((partition, record.position, payload));
            }
            Input::Batch(_) => panic!("Kafka gives records"),
            Input::CaughtUp(_) => self.caught_up += 1,
            Input::Revoked(shard) => self.revoked.push(shard.partition),
            Input::Lost(shard) => self.lost.push(shard.partition),
        }
    }

    fn positions(&self) -> Vec<u64> {
        self.records.iter().map(|(_, position, _)| *position).collect()
    }
}

fn until(source: &mut KafkaSource, heard: &mut Heard, done: impl Fn(&Heard) -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !done(heard) {
        assert!(Instant::now() < deadline, "waited too long");
        source.poll(Duration::from_millis(20), &mut |input| heard.hear(input)).unwrap();
    }
}

fn start(topics: &[(&str, i32)]) -> (EmbeddedCluster, String) {
    let cluster = EmbeddedCluster::start(topics).unwrap();
    let brokers = cluster.bootstrap_servers().unwrap();
    (cluster, brokers)
}

fn properties(given: &[(&str, &str)]) -> BTreeMap<String, String> {
    let given = given.iter().map(|(key, value)| (key.to_string(), value.to_string()));
    given.collect()
}

fn member(brokers: &str) -> KafkaSource {
    let mut config = KafkaSourceConfig::new(brokers, "alerts", "hypocenter");
    // The mock broker waits almost a session timeout for members to join again.
    config.properties =
        properties(&[("session.timeout.ms", "3000"), ("heartbeat.interval.ms", "200")]);
    KafkaSource::new(config).unwrap()
}

fn shard(partition: u32) -> Shard {
    Shard { input: "alerts".to_owned(), partition }
}

fn numbered(range: std::ops::Range<u32>) -> impl Iterator<Item = String> {
    range.map(|number| number.to_string())
}

#[test]
fn a_restart_resumes_at_the_committed_position() {
    let (cluster, brokers) = start(&[("alerts", 1)]);
    cluster.produce_all("alerts", 0, numbered(0..20)).unwrap();

    let mut first = member(&brokers);
    let mut heard = Heard::default();
    until(&mut first, &mut heard, |heard| heard.records.len() == 20 && heard.caught_up > 0);
    assert_eq!(heard.positions(), (0..20).collect::<Vec<_>>());
    assert_eq!(heard.timed, 20, "every record has its log time");
    let fresh = Assignment { shard: shard(0), committed: None, start: Some(0) };
    assert_eq!(heard.assigned, [fresh]);
    first.commit(&shard(0), 12);
    first.close();
    assert_eq!(first.poll(Duration::ZERO, &mut |_| ()).unwrap(), Polled::End);
    drop(first);

    let mut second = member(&brokers);
    let mut heard = Heard::default();
    until(&mut second, &mut heard, |heard| heard.records.len() == 8);
    assert_eq!(heard.positions(), (12..20).collect::<Vec<_>>());
    assert_eq!(heard.assigned[0].committed, Some(12));
    // The mock broker cannot look up times: the window is tested on a real one.
    assert_eq!(heard.assigned[0].start, Some(12));
    second.commit(&shard(0), 3);
    second.close();
    drop(second);

    let mut third = member(&brokers);
    let mut heard = Heard::default();
    until(&mut third, &mut heard, |heard| !heard.assigned.is_empty());
    assert_eq!(heard.assigned[0].committed, Some(12), "never moves back");
}

#[test]
fn a_quiet_partition_stays_caught_up() {
    let (_cluster, brokers) = start(&[("alerts", 1)]);
    let mut source = member(&brokers);
    until(&mut source, &mut Heard::default(), |heard| heard.caught_up > 5);
}

#[test]
fn partitions_are_handed_over() {
    let (cluster, brokers) = start(&[("alerts", 4)]);
    for partition in 0..4 {
        cluster.produce_all("alerts", partition, numbered(0..10)).unwrap();
    }
    let mut first = member(&brokers);
    let mut mine = Heard::default();
    until(&mut first, &mut mine, |heard| heard.records.len() == 40);

    let mut second = member(&brokers);
    let mut theirs = Heard::default();
    let deadline = Instant::now() + DEADLINE;
    let mut finished = 0;
    while theirs.assigned.len() < 2 {
        assert!(Instant::now() < deadline, "no hand-over: {:?}", mine.revoked);
        first.poll(Duration::from_millis(10), &mut |input| mine.hear(input)).unwrap();
        // What the pipeline does before its next poll: finish, and commit.
        for partition in &mine.revoked[finished..] {
            first.commit(&shard(*partition), 7 + u64::from(*partition));
        }
        finished = mine.revoked.len();
        second.poll(Duration::from_millis(10), &mut |input| theirs.hear(input)).unwrap();
    }
    assert_eq!(mine.lost, [0; 0]);
    let given: BTreeSet<_> = mine.revoked.iter().copied().collect();
    let taken: BTreeSet<_> = theirs.assigned.iter().map(|one| one.shard.partition).collect();
    assert_eq!(given, taken);
    // Unlike a real broker, this one refuses commits while it waits for members to join again.
    // Then the next owner starts earlier. The strict form of this test is in kafka_broker.rs.
    for one in &theirs.assigned {
        let done = 7 + u64::from(one.shard.partition);
        assert!(one.committed.is_none_or(|committed| committed == done));
    }
}

#[test]
fn leaving_half_way_through_a_hand_over_does_not_hang() {
    let (_cluster, brokers) = start(&[("alerts", 4)]);
    let mut first = member(&brokers);
    let mut mine = Heard::default();
    until(&mut first, &mut mine, |heard| heard.assigned.len() == 4);
    let second = thread::spawn(move || {
        let mut theirs = Heard::default();
        let mut second = member(&brokers);
        until(&mut second, &mut theirs, |heard| heard.assigned.len() == 4);
    });
    until(&mut first, &mut mine, |heard| !heard.revoked.is_empty());
    drop(first);
    second.join().unwrap();
}

#[test]
fn poison_passes_through_untouched() {
    let (cluster, brokers) = start(&[("alerts", 1)]);
    let deep = [b'['; 10_000];
    let large = vec![0; 900_000];
    let poison: [&[u8]; 6] = [b"", b"\0", b"\xff\xfe{", b"{\"a\":", &deep, &large];
    cluster.produce_all("alerts", 0, poison).unwrap();
    let mut source = member(&brokers);
    let mut heard = Heard::default();
    until(&mut source, &mut heard, |heard| heard.records.len() == poison.len());
    for (position, (record, sent)) in heard.records.iter().zip(poison).enumerate() {
        assert!(record.2 == sent, "record {position}");
    }
}

#[test]
fn first_start_is_as_configured() {
    let (cluster, brokers) = start(&[("alerts", 1)]);
    cluster.produce_all("alerts", 0, numbered(0..5)).unwrap();
    let mut config = KafkaSourceConfig::new(&brokers, "alerts", "late");
    config.first_start = FirstStart::Latest;
    let mut late = KafkaSource::new(config.clone()).unwrap();
    let mut heard = Heard::default();
    until(&mut late, &mut heard, |heard| heard.caught_up > 0);
    assert_eq!(heard.assigned[0].start, Some(5));
    late.close();
    drop(late);
    cluster.produce_all("alerts", 0, ["missed?"]).unwrap();
    let mut late = KafkaSource::new(config).unwrap();
    let mut heard = Heard::default();
    until(&mut late, &mut heard, |heard| heard.records.len() == 1);
    assert_eq!(heard.assigned[0].committed, Some(5), "where it began is kept");

    let mut config = KafkaSourceConfig::new(&brokers, "alerts", "strict");
    config.first_start = FirstStart::Error;
    let mut strict = KafkaSource::new(config).unwrap();
    let deadline = Instant::now() + DEADLINE;
    let error = loop {
        assert!(Instant::now() < deadline, "waited too long");
        if let Err(error) = strict.poll(Duration::from_millis(20), &mut |_| ()) {
            break error;
        }
    };
    assert!(error.why.contains("first_start"), "{error}");
}

#[test]
fn a_missing_topic_is_an_error_at_the_start() {
    let (_cluster, brokers) = start(&[("alerts", 1)]);
    let mut config = KafkaSourceConfig::new(&brokers, "alrets", "hypocenter");
    config.startup_timeout = Duration::from_millis(500);
    let error = KafkaSource::new(config.clone()).err().unwrap().to_string();
    assert!(error.contains("\"alrets\""), "{error}");
    assert!(error.contains("create the topic"), "{error}");

    config.properties = properties(&[("allow.auto.create.topics", "true")]);
    config.startup_timeout = DEADLINE;
    assert!(KafkaSource::new(config).is_ok(), "unless it is created by asking for it");
}

#[test]
fn an_unreachable_broker_is_an_error_at_the_start() {
    let began = Instant::now();
    let mut config = KafkaSourceConfig::new("127.0.0.1:1", "alerts", "hypocenter");
    config.startup_timeout = Duration::from_millis(500);
    let source = KafkaSource::new(config).err().unwrap().to_string();

    let mut config = KafkaSinkConfig::new("127.0.0.1:1", "incidents");
    config.startup_timeout = Duration::from_millis(500);
    let sink = KafkaSink::new(config).err().unwrap().to_string();
    for error in [source, sink] {
        assert!(error.contains("127.0.0.1:1"), "{error}");
        assert!(error.contains("no broker answered"), "{error}");
        assert!(error.contains("check brokers"), "{error}");
    }
    assert!(began.elapsed() < DEADLINE);
}

#[test]
fn a_broker_that_goes_away_later_is_waited_for() {
    let (cluster, brokers) = start(&[("alerts", 1)]);
    let mut source = member(&brokers);
    let mut heard = Heard::default();
    until(&mut source, &mut heard, |heard| heard.caught_up > 2);

    cluster.set_reachable(false).unwrap();
    // Time must not pass on a partition that cannot be read: it must fall silent in the end.
    let deadline = Instant::now() + DEADLINE;
    let mut silent = 0;
    while silent < 20 {
        assert!(Instant::now() < deadline, "claims to be caught up without a broker");
        let before = heard.caught_up;
        source.poll(Duration::from_millis(20), &mut |input| heard.hear(input)).unwrap();
        silent = if heard.caught_up == before { silent + 1 } else { 0 };
    }

    cluster.set_reachable(true).unwrap();
    let before = heard.caught_up;
    until(&mut source, &mut heard, |heard| heard.caught_up > before + 5);
    cluster.produce_all("alerts", 0, numbered(0..3)).unwrap();
    until(&mut source, &mut heard, |heard| heard.records.iter().any(|one| one.1 == 2));
}

fn cause(position: u64) -> Cause {
    let shard = shard(0);
    Cause { shard, position }
}

fn outgoing(position: u64, body: &[u8]) -> Outgoing<'_> {
    Outgoing { incident: "alerts-0-17", version: 1, body, headers: &[], cause: cause(position) }
}

/// Reads the first record of a topic as anybody else would.
fn look_at_first(brokers: &str, topic: &str, look: impl Fn(&BorrowedMessage<'_>)) {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "somebody")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let deadline = Instant::now() + DEADLINE;
    loop {
        assert!(Instant::now() < deadline, "no record");
        if let Some(record) = consumer.poll(Duration::from_millis(100)) {
            return look(&record.unwrap());
        }
    }
}

fn header<'a>(record: &'a BorrowedMessage<'_>, name: &str) -> &'a str {
    let headers = record.headers().unwrap();
    let found = headers.iter().find(|header| header.key == name).unwrap();
    std::str::from_utf8(found.value.unwrap()).unwrap()
}

fn acknowledged(sink: &mut KafkaSink, count: usize) -> Vec<u64> {
    let deadline = Instant::now() + DEADLINE;
    let mut positions = Vec::new();
    while positions.len() < count {
        assert!(Instant::now() < deadline, "waited too long");
        sink.acknowledged(&mut |cause| positions.push(cause.position)).unwrap();
    }
    positions
}

#[test]
fn every_record_sent_is_acknowledged_once() {
    let (_cluster, brokers) = start(&[("incidents", 1)]);
    let mut sink = KafkaSink::new(KafkaSinkConfig::new(&brokers, "incidents")).unwrap();
    let headers = [("ce_type", "incident".to_owned())];
    for position in 0..100 {
        let mut record = outgoing(position, b"{}");
        record.headers = &headers;
        sink.send(&record).unwrap();
    }
    assert_eq!(acknowledged(&mut sink, 100), (0..100).collect::<Vec<_>>());
    assert!(sink.flush(DEADLINE));
    sink.acknowledged(&mut |cause| panic!("again: {cause:?}")).unwrap();
    look_at_first(&brokers, "incidents", |record| {
        assert_eq!(record.key().unwrap(), b"alerts-0-17");
        assert_eq!(record.payload().unwrap(), b"{}");
        assert_eq!(header(record, "ce_type"), "incident");
    });
}

#[test]
fn dead_letters_say_where_they_come_from() {
    let (_cluster, brokers) = start(&[("incidents", 1), ("dead", 1)]);
    let mut sink = KafkaSink::new(KafkaSinkConfig::new(&brokers, "incidents")).unwrap();
    sink.require_topic("dead").unwrap();
    let payload = vec![b'x'; DEAD_LETTER_PAYLOAD_BYTES + 1];
    let letter =
        DeadLetter { cause: cause(41), class: "json", reason: "unexpected end", payload: &payload };
    sink.dead_letter("dead", &letter).unwrap();
    assert_eq!(acknowledged(&mut sink, 1), [41]);
    look_at_first(&brokers, "dead", |record| {
        assert_eq!(record.payload().unwrap().len(), DEAD_LETTER_PAYLOAD_BYTES);
        assert_eq!(header(record, "source_topic"), "alerts");
        assert_eq!(header(record, "source_partition"), "0");
        assert_eq!(header(record, "source_offset"), "41");
        assert_eq!(header(record, "error_class"), "json");
        assert_eq!(header(record, "error_reason"), "unexpected end");
        assert_eq!(header(record, "engine_version"), env!("CARGO_PKG_VERSION"));
    });
}

#[test]
fn a_full_queue_waits_for_the_broker() {
    let (cluster, brokers) = start(&[("incidents", 1)]);
    let mut config = KafkaSinkConfig::new(&brokers, "incidents");
    config.properties = properties(&[("queue.buffering.max.messages", "10")]);
    config.full_timeout = Duration::from_millis(300);
    let mut sink = KafkaSink::new(config.clone()).unwrap();
    cluster.set_reachable(false).unwrap();
    for position in 0..10 {
        sink.send(&outgoing(position, b"{}")).unwrap();
    }
    assert!(!sink.flush(Duration::from_millis(50)));
    let error = sink.send(&outgoing(10, b"{}")).unwrap_err();
    assert!(error.why.contains("full"), "{error}");
    cluster.set_reachable(true).unwrap();
    assert_eq!(acknowledged(&mut sink, 10), (0..10).collect::<Vec<_>>());

    config.full_timeout = DEADLINE;
    let mut sink = KafkaSink::new(config).unwrap();
    cluster.set_reachable(false).unwrap();
    thread::scope(|scope| {
        let sender = scope.spawn(move || {
            for position in 0..30 {
                sink.send(&outgoing(position, b"{}")).unwrap();
            }
            acknowledged(&mut sink, 30)
        });
        assert!(!sender.is_finished(), "30 records do not fit into a queue of 10");
        cluster.set_reachable(true).unwrap();
        assert_eq!(sender.join().unwrap(), (0..30).collect::<Vec<_>>());
    });
}

#[test]
fn a_record_that_cannot_be_delivered_is_an_error() {
    let (_cluster, brokers) = start(&[("incidents", 1)]);
    let mut sink = KafkaSink::new(KafkaSinkConfig::new(&brokers, "incidents")).unwrap();
    let huge = vec![b'x'; 2_000_000];
    let error = sink.send(&outgoing(0, &huge)).unwrap_err();
    assert!(error.why.contains("message.max.bytes"), "{error}");
}
