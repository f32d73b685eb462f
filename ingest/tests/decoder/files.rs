//! Files and standard input as sources.

use std::fs;
use std::io::{Read, Write as _};
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use hypocenter::source::file::FileSource;
use hypocenter::source::stdin::StdinSource;
use hypocenter::source::{Input, Polled, Source, SourceError};
use hypocenter::wire::{Decoder, Options};
use hypocenter_engine::Timestamp;

/// A directory of its own for a test, removed at the end.
struct Dir(PathBuf);

impl Dir {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hypocenter-{}-{test}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary directory");
        Self(path)
    }

    fn file(&self, name: &str, contents: &[u8]) -> String {
        let path = self.0.join(name);
        fs::write(&path, contents).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn gzip(contents: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(contents).expect("packed");
    encoder.finish().expect("packed")
}

/// One poll after the other as text, to the end.
fn drain(source: &mut dyn Source) -> Vec<String> {
    let mut out = Vec::new();
    loop {
        let polled = source.poll(Duration::from_millis(20), &mut |input| {
            out.push(match input {
                Input::Assigned(assigned) => {
                    format!("assigned {}/{}", assigned.shard.input, assigned.shard.partition)
                }
                Input::Record(record) => {
                    let body = String::from_utf8_lossy(record.payload);
                    let time =
                        record.time.map_or(String::new(), |at| format!("@{}", at.as_nanos()));
                    format!("{}{time} {}", record.position, body.get(..12).unwrap_or(&body))
                }
                Input::Batch(_) => panic!("files give records"),
                Input::CaughtUp(_) => "caught up".to_owned(),
                Input::Revoked(_) => "revoked".to_owned(),
                Input::Lost(_) => "lost".to_owned(),
            });
        });
        match polled {
            Ok(Polled::End) => return out,
            Ok(Polled::Busy | Polled::Idle) => {}
            Err(error) => out.push(format!("error {error}")),
        }
    }
}

#[test]
fn several_files_are_one_stream() {
    let dir = Dir::new("stream");
    let packed = [gzip(b"c\n"), gzip(b"d\n\n")].concat();
    let names = vec![
        dir.file("a", b"a\n\nb"),
        dir.file("b.gz", &packed),
        dir.file("empty", b""),
        dir.file("c", b"e\n"),
        dir.file("d", b"[\n  1\n]\n"),
    ];
    let mut source = FileSource::open(names.clone()).expect("readable");
    let progress = source.progress();
    assert_eq!(
        (progress.total_bytes(), progress.bytes_read()),
        (Some(14 + packed.len() as u64), 0)
    );
    let expected =
        ["assigned replay/0", "1 a", "3 b", "4 c", "5 d", "7 e", "8 [\n  1\n]\n", "revoked"];
    assert_eq!(drain(&mut source), expected);
    assert_eq!(progress.total_bytes(), Some(progress.bytes_read()));
    let place = |position| progress.place(position);
    assert_eq!(place(0), None);
    assert_eq!(place(3), Some((names[0].clone(), 3)));
    assert_eq!(place(5), Some((names[1].clone(), 2)));
    assert_eq!(place(7), Some((names[3].clone(), 1)));
    let mut none = FileSource::open(Vec::new()).expect("nothing to read");
    assert_eq!(drain(&mut none), ["assigned replay/0", "revoked"]);
}

#[test]
fn damage_costs_only_what_is_damaged() {
    let dir = Dir::new("damage");
    let lines: String = (0..5000).map(|n| format!("line {n} {}\n", n * 7919)).collect();
    let mut packed = gzip(lines.as_bytes());
    packed.truncate(packed.len() * 2 / 3);
    let mut junk = gzip(b"x\n");
    junk.extend_from_slice(b"junk after the end");
    let cut = dir.file("cut.gz", &packed);
    let names = vec![cut.clone(), dir.file("junk.gz", &junk), dir.file("good", b"good\n")];
    let out = drain(&mut FileSource::open(names).expect("readable"));
    let errors: Vec<_> = out.iter().filter(|line| line.starts_with("error")).collect();
    let at = out.iter().position(|line| line.starts_with("error")).expect("an error");
    assert!(at > 2000, "{at} lines before the damage");
    assert!(errors[0].starts_with(&format!("error reading {cut}, line {at}: the gzip data stops")));
    assert!(errors[1].contains("junk.gz, line 2: damaged gzip data"), "{}", errors[1]);
    assert_eq!(errors.len(), 2);
    assert!(out[at + 1].ends_with(" x"));
    assert!(out[out.len() - 2].ends_with(" good"));
}

#[test]
fn a_line_that_is_too_long_is_refused_alone() {
    let dir = Dir::new("long");
    let good = r#"{"labels":{"a":"b"}}"#;
    let long = "x".repeat(200);
    let file =
        dir.file("lines", format!("{good}\n{long}\n{good}\n\0\x01\u{7F}\n{good}").as_bytes());
    let source = FileSource::open(vec![file]).expect("readable");
    let mut source = source.with_line_bytes_max(100);
    let mut decoder = Decoder::new(Options { body_bytes_max: 100, ..Options::default() });
    let mut out = Vec::new();
    let mut each = |input: Input<'_>| {
        if let Input::Record(record) = input {
            let outcome = decoder.decode(record.payload, &mut |_| {});
            let outcome = outcome.map_or_else(|error| error.class(), |_| "good");
            out.push((record.position, outcome));
        }
    };
    while source.poll(Duration::ZERO, &mut each).expect("readable") != Polled::End {}
    let expected = [(1, "good"), (2, "too_large"), (3, "good"), (4, "json"), (5, "good")];
    assert_eq!(out, expected);
}

#[test]
fn what_cannot_be_opened_is_said_before_anything_is_read() {
    let dir = Dir::new("open");
    let good = dir.file("good", b"x\n");
    let refuse = |name: String| -> SourceError {
        match FileSource::open(vec![good.clone(), name]) {
            Ok(_) => panic!("opened"),
            Err(error) => error,
        }
    };
    let directory = refuse(dir.0.to_str().expect("UTF-8").to_owned()).to_string();
    assert!(directory.contains("it is a directory; name the files in it"), "{directory}");
    let missing = refuse("no/such/file".to_owned()).to_string();
    assert_eq!(missing, "opening no/such/file: there is no such file");
}

/// A stream that is written to while it is read.
struct Pipe(mpsc::Receiver<&'static [u8]>);

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let Ok(bytes) = self.0.recv() else {
            return Ok(0);
        };
        assert!(bytes.len() <= buffer.len());
        buffer[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

#[test]
fn live_input_is_idle_until_something_comes() {
    let (sender, receiver) = mpsc::channel();
    let clock = || Timestamp::from_nanos(7);
    let mut source = StdinSource::from_reader(Pipe(receiver), clock, 100).expect("a thread");
    let mut seen = Vec::new();
    let mut poll = |timeout| {
        source
            .poll(Duration::from_millis(timeout), &mut |input| {
                seen.push(match input {
                    Input::Record(record) => format!("{:?}", (record.position, record.time)),
                    other => format!("{other:?}").chars().take_while(|c| *c != '(').collect(),
                });
            })
            .expect("readable")
    };
    assert_eq!(poll(1), Polled::Idle);
    sender.send(b"one\n\ntw").expect("read");
    assert_eq!(poll(5000), Polled::Busy);
    assert_eq!(poll(1), Polled::Idle);
    sender.send(b"o\n").expect("read");
    assert_eq!(poll(5000), Polled::Busy);
    drop(sender);
    assert_eq!(poll(5000), Polled::Busy);
    assert_eq!(poll(0), Polled::End);
    let expected = [
        "Assigned",
        "CaughtUp",
        "(1, Some(Timestamp(7)))",
        "CaughtUp",
        "CaughtUp",
        "(3, Some(Timestamp(7)))",
        "CaughtUp",
        "Revoked",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn live_input_loses_nothing_when_the_reader_is_ahead() {
    let lines: String = (0..5000).map(|n| format!("{n}\n")).collect();
    let clock = || Timestamp::from_nanos(7);
    let input = std::io::Cursor::new(gzip(lines.as_bytes()));
    let mut source = StdinSource::from_reader(input, clock, 100).expect("a thread");
    let out = drain(&mut source);
    let records = out.iter().filter(|line| line.contains('@'));
    let expected = (0..5000).map(|n| format!("{}@7 {n}", n + 1));
    assert!(records.eq(expected.collect::<Vec<_>>().iter()));
    assert_eq!(out.last().map(String::as_str), Some("revoked"));
}
