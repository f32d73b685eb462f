//! The Kafka source and sink against a real Apache Kafka broker: what the embedded one cannot do.
//!
//! Ignored by default, for they need Java and Maven: `cargo test --test kafka_broker -- --ignored`.

#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers, too")]

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hypocenter::sink::kafka::{KafkaSink, KafkaSinkConfig};
use hypocenter::sink::{Cause, Outgoing, Sink};
use hypocenter::source::kafka::{KafkaSource, KafkaSourceConfig};
use hypocenter::source::{Assignment, Input, Shard, Source};
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

const DEADLINE: Duration = Duration::from_secs(60);
const MINUTE: i64 = 60_000;

/// A broker of its own for a test, stopped when dropped.
struct Broker {
    directory: PathBuf,
    address: String,
}

fn script(command: &str, directory: &PathBuf, arguments: &[&str]) -> Command {
    let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/kafka-broker"));
    script.arg(command).arg("--dir").arg(directory).args(arguments);
    script
}

impl Broker {
    /// `None` where there is nothing to run a broker with; the script has said so.
    fn start(name: &str) -> Option<Self> {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("kafka-{name}-{}", std::process::id()));
        let output = script("start", &directory, &[]).stderr(Stdio::inherit()).output().unwrap();
        if output.status.code() == Some(77) {
            return None;
        }
        assert!(output.status.success());
        let address = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        Some(Self { directory, address })
    }

    fn run(&self, command: &str, arguments: &[&str]) {
        let status =
            script(command, &self.directory, arguments).stdout(Stdio::null()).status().unwrap();
        assert!(status.success(), "{command} {arguments:?}");
    }

    /// Produces one record per age, in milliseconds before now.
    fn produce(&self, topic: &str, partition: i32, ages: &[i64]) {
        let producer: BaseProducer =
            ClientConfig::new().set("bootstrap.servers", &self.address).create().unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = i64::try_from(now.as_millis()).unwrap();
        for age in ages {
            let record = BaseRecord::<(), str>::to(topic)
                .partition(partition)
                .payload("{}")
                .timestamp(now - age);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(DEADLINE).unwrap();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let stopped = script("stop", &self.directory, &[]).status();
        if stopped.is_ok_and(|status| status.success()) && !std::thread::panicking() {
            drop(std::fs::remove_dir_all(&self.directory));
        }
    }
}

fn shard(topic: &str) -> Shard {
    Shard { input: topic.to_owned(), partition: 0 }
}

/// Joins the group, waits until caught up, commits, and leaves. What was assigned, and read.
fn visit(config: &KafkaSourceConfig, commit: Option<u64>) -> (Assignment, Vec<u64>) {
    let mut source = KafkaSource::new(config.clone()).unwrap();
    let (mut assigned, mut read, mut caught_up) = (None, Vec::new(), false);
    let deadline = Instant::now() + DEADLINE;
    while !caught_up {
        assert!(Instant::now() < deadline, "waited too long");
        let each = &mut |input: Input<'_>| match input {
            Input::Assigned(assignment) => assigned = Some(assignment.clone()),
            Input::Record(record) => read.push(record.position),
            Input::CaughtUp(_) => caught_up = true,
            Input::Batch(_) => panic!("Kafka gives records"),
            Input::Revoked(_) | Input::Lost(_) => panic!("alone in the group"),
        };
        source.poll(Duration::from_millis(20), each).unwrap();
    }
    if let Some(next) = commit {
        source.commit(&shard(&config.topic), next);
    }
    source.close();
    (assigned.unwrap(), read)
}

#[test]
#[ignore = "needs Java and Maven"]
fn a_restart_replays_the_window_before_the_committed_position() {
    let Some(broker) = Broker::start("window") else {
        return;
    };
    broker.run("topic", &["alerts"]);
    let ages = [180, 90, 50, 10, 1].map(|minutes| minutes * MINUTE);
    broker.produce("alerts", 0, &ages);

    let mut config = KafkaSourceConfig::new(&broker.address, "alerts", "hypocenter");
    let (assigned, read) = visit(&config, Some(4));
    assert_eq!((assigned.committed, assigned.start), (None, Some(0)));
    assert_eq!(read, [0, 1, 2, 3, 4]);

    // The first uncommitted record is one minute old, so the window begins 61 minutes ago.
    let (assigned, read) = visit(&config, Some(5));
    assert_eq!((assigned.committed, assigned.start), (Some(4), Some(2)));
    assert_eq!(read, [2, 3, 4]);

    // Nothing is uncommitted: the window begins an hour ago.
    let (assigned, read) = visit(&config, Some(1));
    assert_eq!((assigned.committed, assigned.start), (Some(5), Some(2)));
    assert_eq!(read, [2, 3, 4]);

    config.replay_window = Duration::ZERO;
    let (assigned, read) = visit(&config, None);
    assert_eq!((assigned.committed, assigned.start), (Some(5), Some(5)));
    assert_eq!(read, [0; 0]);

    // Never before what the broker still has.
    let request = broker.directory.join("delete.json");
    let json = r#"{"version":1,"partitions":[{"topic":"alerts","partition":0,"offset":3}]}"#;
    std::fs::write(&request, json).unwrap();
    let request = request.to_str().unwrap();
    let class = "org.apache.kafka.tools.DeleteRecordsCommand";
    broker.run("tool", &[class, "--offset-json-file", request]);
    config.replay_window = Duration::from_secs(24 * 60 * 60);
    let (assigned, read) = visit(&config, None);
    assert_eq!((assigned.committed, assigned.start), (Some(5), Some(3)));
    assert_eq!(read, [3, 4]);
}

#[test]
#[ignore = "needs Java and Maven"]
fn a_group_hands_partitions_over() {
    let Some(broker) = Broker::start("group") else {
        return;
    };
    broker.run("topic", &["alerts", "--partitions", "4"]);
    let config = KafkaSourceConfig::new(&broker.address, "alerts", "hypocenter");
    for partition in 0..4 {
        broker.produce("alerts", partition, &[MINUTE; 10]);
    }
    let mut members = Vec::from_iter([Member::join(&config)]);
    settle(&mut members);
    members.push(Member::join(&config));
    settle(&mut members);
    let mut leaver = members.remove(0);
    for shard in &leaver.owned {
        let done = COMMITTED + u64::from(shard.partition);
        leaver.source.commit(shard, done);
    }
    leaver.source.close();
    drop(leaver);
    settle(&mut members);
    for assignment in &members[0].assigned {
        let done = COMMITTED + u64::from(assignment.shard.partition);
        assert_eq!(assignment.committed, Some(done));
    }
}

/// What is committed when a partition is handed over, plus its number.
const COMMITTED: u64 = 1;

struct Member {
    source: KafkaSource,
    owned: Vec<Shard>,
    assigned: Vec<Assignment>,
}

impl Member {
    fn join(config: &KafkaSourceConfig) -> Self {
        Self {
            source: KafkaSource::new(config.clone()).unwrap(),
            owned: Vec::new(),
            assigned: Vec::new(),
        }
    }

    /// Takes what comes. Finishes and commits what goes, before it polls again.
    fn poll(&mut self) {
        let mut revoked = Vec::new();
        let each = &mut |input: Input<'_>| match input {
            Input::Assigned(assignment) => {
                self.owned.push(assignment.shard.clone());
                self.assigned.push(assignment.clone());
            }
            Input::Revoked(shard) => revoked.push(shard.clone()),
            Input::Lost(shard) => panic!("lost {shard:?}"),
            Input::Record(_) | Input::Batch(_) | Input::CaughtUp(_) => {}
        };
        self.source.poll(Duration::from_millis(10), each).unwrap();
        for shard in revoked {
            self.owned.retain(|one| *one != shard);
            let done = COMMITTED + u64::from(shard.partition);
            self.source.commit(&shard, done);
        }
    }
}

/// Polls until the four partitions are shared out evenly.
fn settle(members: &mut [Member]) {
    let share = 4 / members.len();
    let deadline = Instant::now() + DEADLINE;
    while members.iter().any(|member| member.owned.len() != share) {
        assert!(Instant::now() < deadline, "not settled");
        members.iter_mut().for_each(Member::poll);
    }
}

#[test]
#[ignore = "needs Java and Maven"]
fn incident_records_are_acknowledged_by_a_compacted_topic() {
    let Some(broker) = Broker::start("sink") else {
        return;
    };
    broker.run("topic", &["incidents", "--config", "cleanup.policy=compact"]);
    let mut sink = KafkaSink::new(KafkaSinkConfig::new(&broker.address, "incidents")).unwrap();
    for position in 0..1000 {
        let record = Outgoing {
            incident: "alerts-0-17",
            version: position,
            body: b"{}",
            headers: &[("ce_type", "incident".to_owned())],
            cause: Cause { shard: shard("alerts"), position },
        };
        sink.send(&record).unwrap();
    }
    assert!(sink.flush(DEADLINE));
    let mut acknowledged = Vec::new();
    sink.acknowledged(&mut |cause| acknowledged.push(cause.position)).unwrap();
    assert_eq!(acknowledged, (0..1000).collect::<Vec<_>>());
}
