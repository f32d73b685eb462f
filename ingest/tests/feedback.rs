//! Feedback: the command line, the log under damage and rotation, a Kafka topic.
//! `tests/http/feedback.rs` has HTTP.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hypocenter::feedback::topic::Reader;
use hypocenter::feedback::{
    Bounds, Feedback, Judgement, Ledger, Log, Objective, Taken, Verdict, Via, read,
};
use hypocenter::kafka_mock::EmbeddedCluster;
use hypocenter::source::kafka::{KafkaSource, KafkaSourceConfig};
use hypocenter_engine::Timestamp;
use serde_json::Value;

const INCIDENT: &str = "inc-1m80z734x39nx31t";
const OBJECTIVE: Objective = Objective { share: 0.8, window: Duration::from_secs(30 * 86_400) };

fn hypocenter(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_hypocenter"))
        .args(args)
        .current_dir(dir)
        .env("USER", "ada")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn report(dir: &Path, files: &[&str]) -> Value {
    let (code, out, err) =
        hypocenter(dir, &[&["feedback", "report", "--format", "json"], files].concat());
    assert_eq!(code, 0, "{err}");
    serde_json::from_str(&out).unwrap()
}

fn judgement(n: u32, who: &str, verdict: Verdict) -> Judgement {
    Judgement {
        at_ms: 1_800_000_000_000 + i64::from(n),
        incident: format!("inc-{n:016}"),
        verdict,
        entity: None,
        who: who.to_owned(),
        key: Some(format!("{who}-{n}")),
        note: None,
        via: Via::File,
    }
}

#[test]
fn verdicts_typed_are_kept_and_reported() {
    let dir = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| hypocenter(dir.path(), &[args, &["--file", "f.jsonl"]].concat());
    assert_eq!(run(&["confirm", INCIDENT]).1, "stored\n");
    assert_eq!(run(&["reject", INCIDENT, "postgres", "--who", "bob", "--key", "k"]).1, "stored\n");
    let again = run(&["reject", INCIDENT, "postgres", "--who", "bob", "--key", "k"]);
    assert_eq!((again.0, again.1.as_str()), (0, "it was there already\n"));
    let found = report(dir.path(), &["f.jsonl"]);
    let window = &found["standing"]["windows"][0];
    assert_eq!((&window["judged"], &window["confirmed"]), (&2.into(), &1.into()));
    assert_eq!(found["disputed"][0], INCIDENT);
    assert_eq!(found["named_instead"][0][0], "postgres");
    let (_, text, _) = hypocenter(dir.path(), &["feedback", "report", "f.jsonl"]);
    assert!(text.contains("precision 0.500, burn rate 2.50"), "{text}");
    // Whoever changes their mind is counted once.
    assert_eq!(run(&["confirm", INCIDENT, "--who", "bob"]).1, "stored\n");
    let found = report(dir.path(), &["f.jsonl"]);
    assert_eq!(found["standing"]["windows"][0]["ratio"], 1.0);
}

#[test]
fn wrong_use_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let code = |args: &[&str]| hypocenter(dir.path(), args).0;
    assert_eq!(code(&["confirm", INCIDENT]), 2, "where to?");
    assert_eq!(code(&["confirm", "incident-1", "--file", "f"]), 2);
    assert_eq!(code(&["confirm", INCIDENT, "--file", "f", "--url", "http://localhost:1"]), 2);
    assert_eq!(code(&["confirm", INCIDENT, "--url", "http://127.0.0.1:1"]), 5);
    assert_eq!(code(&["feedback", "report", "none.jsonl"]), 3);
    assert_eq!(code(&["feedback", "report", "none.jsonl", "--objective", "1"]), 2);
    fs::write(dir.path().join("token"), "short").unwrap();
    let args = ["confirm", INCIDENT, "--url", "http://127.0.0.1:1", "--token-file", "token"];
    let (code, _, err) = hypocenter(dir.path(), &args);
    assert_eq!(code, 3);
    assert!(err.contains("at least 16"), "{err}");
    assert!(!dir.path().join("f").exists(), "nothing was written");
}

#[test]
fn a_torn_tail_costs_its_own_line_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f.jsonl");
    let open = || Feedback::open(Log::new(&file, Bounds::default()), OBJECTIVE).unwrap();
    open().take(judgement(1, "ada", Verdict::Confirm)).unwrap();
    let whole = fs::read(&file).unwrap();
    for cut in 1..whole.len() {
        fs::write(&file, &whole).unwrap();
        let mut torn = OpenOptions::new().append(true).open(&file).unwrap();
        torn.write_all(&whole[..cut]).unwrap();
        let feedback = open();
        assert_eq!(feedback.standing(Timestamp::from_millis(0)).damaged_lines, 1, "cut at {cut}");
        assert_eq!(feedback.take(judgement(2, "ada", Verdict::Reject)).unwrap(), Taken::Stored);
        let mut found = Vec::new();
        let damage = read(&file, &mut |judgement| found.push(judgement.incident)).unwrap();
        // With only its end missing, the line is whole once the next writer ends it.
        let healed = u64::from(cut == whole.len() - 1);
        assert_eq!((found.len() as u64, damage.lines()), (2 + healed, 1 - healed), "cut at {cut}");
        assert!(damage.places().iter().all(|place| place.contains("f.jsonl:2")), "{damage:?}");
        let standing = feedback.standing(Timestamp::from_millis(0));
        assert_eq!((standing.confirmations, standing.rejections), (1, 1), "the same key is one");
        assert_eq!(standing.damaged_lines, 1 - healed);
    }
}

#[test]
fn the_log_is_bounded_and_what_is_kept_is_still_known() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f.jsonl");
    let bounds = Bounds { bytes_max: 1_000, files_max: 3 };
    let feedback = Feedback::open(Log::new(&file, bounds), OBJECTIVE).unwrap();
    for n in 0..100 {
        assert_eq!(feedback.take(judgement(n, "ada", Verdict::Confirm)).unwrap(), Taken::Stored);
    }
    let mut names: Vec<String> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["f.jsonl", "f.jsonl.1", "f.jsonl.2", "f.jsonl.lock"]);
    for name in &names {
        assert!(fs::metadata(dir.path().join(name)).unwrap().len() < 1_400, "{name}");
    }
    let recent = judgement(90, "ada", Verdict::Confirm);
    assert_eq!(feedback.take(recent).unwrap(), Taken::Duplicate, "in a file that was put aside");
    let later = Timestamp::from_millis(1_800_000_001_000);
    let kept = feedback.standing(later).confirmations;
    let mut ledger = Ledger::default();
    for name in ["f.jsonl.2", "f.jsonl.1", "f.jsonl"] {
        read(&dir.path().join(name), &mut |judgement| ledger.add(&judgement)).unwrap();
    }
    assert_eq!(kept, ledger.standing(&OBJECTIVE, later).confirmations);
}

#[test]
fn several_writers_share_a_log() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f.jsonl");
    let write = |who: &'static str| {
        let file = file.clone();
        std::thread::spawn(move || {
            let bounds = Bounds { bytes_max: 4_000, files_max: 20 };
            let feedback = Feedback::open(Log::new(&file, bounds), OBJECTIVE).unwrap();
            for n in 0..50 {
                feedback.take(judgement(n, who, Verdict::Confirm)).unwrap();
                // The other one writes the same, under the same key.
                let both =
                    Judgement { who: "both".to_owned(), ..judgement(n, "both", Verdict::Reject) };
                feedback.take(both).unwrap();
            }
        })
    };
    let writers = [write("ada"), write("bob")];
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let bounds = Bounds { bytes_max: 4_000, files_max: 20 };
    let feedback = Feedback::open(Log::new(&file, bounds), OBJECTIVE).unwrap();
    let standing = feedback.standing(Timestamp::from_millis(1_800_000_001_000));
    assert_eq!((standing.confirmations, standing.rejections), (100, 50));
    assert_eq!(standing.damaged_lines, 0);
}

#[test]
fn a_topic_is_read_into_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f.jsonl");
    let feedback = Arc::new(Feedback::open(Log::new(&file, Bounds::default()), OBJECTIVE).unwrap());
    let kafka = EmbeddedCluster::start(&[("verdicts", 1)]).unwrap();
    let line = |who: &str, key: &str| {
        format!(r#"{{"incident":"{INCIDENT}","verdict":"confirm","who":"{who}"{key}}}"#)
    };
    let records = [
        line("ada", r#","key":"a""#),
        line("ada", r#","key":"a""#),
        "not JSON".to_owned(),
        line("bob", ""),
        line("end", ""),
    ];
    kafka.produce_all("verdicts", 0, &records).unwrap();
    let servers = kafka.bootstrap_servers().unwrap();
    let mut config = KafkaSourceConfig::new(&servers, "verdicts", "feedback");
    config.replay_window = Duration::ZERO;
    let source = Box::new(KafkaSource::new(config).unwrap());
    let reader = Reader::start(source, Arc::clone(&feedback)).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let now = Timestamp::from_millis(0);
    while feedback.standing(now).confirmations < 3 {
        assert!(Instant::now() < deadline, "{:?}", feedback.standing(now));
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(reader);
    let standing = feedback.standing(now);
    assert_eq!((standing.confirmations, standing.duplicates, standing.refused), (3, 1, 1));
    let mut found = Vec::new();
    read(&file, &mut |judgement| found.push((judgement.who, judgement.via))).unwrap();
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|(_, via)| *via == Via::Kafka));
}
