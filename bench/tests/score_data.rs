//! Reading data and predictions, and what is said when they are not as they should be.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::fs::{self, File};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use hypocenter_bench::score::data::{Data, Split, instant_ms};
use hypocenter_bench::score::predictions::{MemberLine, Predictions, RankedLine};
use hypocenter_bench::score::table;

mod common;

use common::scratch;

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A set `shop` with one case and a storm `squall` with two alert instances.
fn make(root: &Path) {
    let event = r#"{"ts_ms":1000,"status":"firing","labels":{"service":"db"},"annotations":{"value":"2","threshold":">1"},"startsAt":"1970-01-01T00:00:01Z","fingerprint":"aa"}"#;
    let topology = r#"{"nodes":["web","db"],"edges":[{"from":"web","to":"db"}]}"#;
    write(&root.join("shop/split.json"), r#"{"dev":["one"],"heldout":[]}"#);
    write(&root.join("shop/one/alerts.jsonl"), event);
    write(&root.join("shop/one/topology.json"), topology);
    write(&root.join("shop/one/truth.json"), r#"{"root_causes":["db"],"fault_kind":"cpu"}"#);
    let storm = root.join("storms/squall");
    write(&storm.join("alerts.jsonl"), event);
    write(&storm.join("topology.json"), topology);
    write(&storm.join("truth.json"), r#"{"incidents":[{"id":"inc-0","root_causes":["db"]}]}"#);
    let row = |fingerprint: &str, service: &str| {
        format!(
            r#"{{"fingerprint":"{fingerprint}","startsAt":"1970-01-01T00:00:01Z","service":"{service}","label":"inc-0","excluded":false}}"#
        )
    };
    write(
        &storm.join("alerts.truth.jsonl"),
        &format!("{}\n{}\n", row("aa", "db"), row("bb", "web")),
    );
}

fn error(result: anyhow::Result<impl Sized>) -> String {
    format!("{:#}", result.err().expect("an error"))
}

#[test]
fn a_folder_and_an_archive_of_it_read_the_same() {
    let root = scratch("data_same");
    make(&root);
    let archive = root.with_extension("tar.gz");
    let encoder = GzEncoder::new(File::create(&archive).unwrap(), Compression::fast());
    let mut builder = tar::Builder::new(encoder);
    builder.append_dir_all(".", &root).unwrap();
    builder.into_inner().unwrap().finish().unwrap();
    let from_folder = Data::read(&root, Split::Dev).unwrap();
    let from_archive = Data::read(&archive, Split::Dev).unwrap();
    assert_eq!(format!("{from_folder:?}"), format!("{from_archive:?}"));
    assert_eq!(from_folder.sets[0].cases[0].set, "shop");
    assert_eq!(from_folder.storms[0].name, "squall");
}

#[test]
fn a_set_or_a_storm_may_be_named_itself() {
    let root = scratch("data_itself");
    make(&root);
    let set = Data::read(&root.join("shop"), Split::All).unwrap();
    assert_eq!((set.sets[0].name.as_str(), set.storms.len()), ("shop", 0));
    let storm = Data::read(&root.join("storms/squall"), Split::Dev).unwrap();
    assert_eq!((storm.storms[0].name.as_str(), storm.sets.len()), ("squall", 0));
}

#[test]
fn predictions_survive_their_files() {
    let root = scratch("data_predictions");
    make(&root);
    let data = Data::read(&root, Split::Dev).unwrap();
    let mut made = Predictions::default();
    let ranked = vec!["db".to_owned(), "web".to_owned()];
    let line = RankedLine { case: "one".into(), ranked, confidence: Some(0.75) };
    made.ranked.insert("shop".into(), vec![line]);
    let line = |fingerprint: &str, incident: Option<&str>| MemberLine {
        fingerprint: fingerprint.into(),
        starts_at: "1970-01-01T00:00:01Z".into(),
        incident: incident.map(str::to_owned),
        root: Some("db".into()),
        confidence: None,
    };
    made.members.insert("squall".into(), vec![line("aa", Some("i1")), line("bb", None)]);
    let dir = root.join("predictions");
    made.write(&dir).unwrap();
    let read = Predictions::read(&dir, &data).unwrap();
    assert_eq!((&read.ranked, &read.members), (&made.ranked, &made.members));
    let tables = table::ranking(&data, Some(&read)).unwrap();
    assert!(tables.ends_with("| **hypocenter** | 1.00/1.00 | 1.000/1.000 |\n"), "{tables}");
    let tables = table::grouping(&data, Some(&read)).unwrap();
    assert!(tables.contains("| **hypocenter** | 0.00 | 0.67 | 0.00 |"), "{tables}");
}

#[test]
fn an_incident_may_be_a_number() {
    let line = r#"{"fingerprint":"aa","startsAt":"1970-01-01T00:00:01Z","incident":7}"#;
    let line: MemberLine = serde_json::from_str(line).unwrap();
    assert_eq!((line.incident.as_deref(), line.root), (Some("7"), None));
}

#[test]
fn times_are_compared_as_times() {
    let expected = 1_700_000_005_081;
    for text in [
        "2023-11-14T22:13:25.081Z",
        "2023-11-14T22:13:25.081000+00:00",
        "2023-11-15T00:13:25.0810000+02:00",
        "2023-11-14T22:13:25.0811Z",
    ] {
        assert_eq!(instant_ms(text).unwrap(), expected, "{text}");
    }
    assert!(error(instant_ms("yesterday")).contains("\"yesterday\" is no RFC 3339 time"));
}

#[test]
fn errors_say_what_and_where() {
    let root = scratch("data_errors");
    make(&root);
    let read = || Data::read(&root, Split::Dev);
    assert!(error(Data::read(&root.join("nowhere"), Split::Dev)).contains("nowhere"));
    assert!(error(Data::read(&root, Split::Heldout)).contains("choose another with --split"));
    assert!(error(Data::read(&root.join("shop/one"), Split::Dev)).contains("neither a set"));
    assert!(
        error(Data::read(&root.join("shop/split.json"), Split::Dev)).contains("not a readable")
    );
    let empty = root.join("empty");
    fs::create_dir(&empty).unwrap();
    let message = error(Predictions::read(&empty, &read().unwrap()));
    assert!(message.contains("no prediction file in it") && message.contains("shop.jsonl"));
    write(&empty.join("squall.jsonl"), "\n{}\n");
    let message = error(Predictions::read(&empty, &read().unwrap()));
    assert!(message.contains("squall.jsonl, line 2: missing field"), "{message}");
    write(&root.join("storms/squall/truth.json"), r#"{"incidents":[]}"#);
    assert!(error(read()).contains("label \"inc-0\" is no incident of truth.json"));
    fs::remove_file(root.join("shop/one/truth.json")).unwrap();
    assert!(error(read()).contains("shop/one/truth.json"));
}
