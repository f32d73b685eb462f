//! The binary from outside: exit codes, and what goes to which stream.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn hypocenter(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_hypocenter"))
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .expect("runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code().expect("a code"), text(stdout), text(stderr))
}

fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        fs::write(dir.path().join(name), text).expect("written");
    }
    dir
}

#[test]
fn checks_print_what_they_find() {
    let dir = directory(&[
        ("c.yml", "log: {level: debug}\n"),
        ("t.json", "{\"edges\": [{\"from\": \"a\", \"to\": \"b\"}]}"),
    ]);
    let (code, out, err) = hypocenter(dir.path(), &["check", "config", "c.yml"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("Checking 'c.yml' SUCCESS\n  input: file -\n"), "{out}");
    let (code, out, err) = hypocenter(dir.path(), &["check", "topology", "t.json"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let expected = "Checking 't.json' SUCCESS\n  JSON: 2 entities, 1 dependency, version ";
    assert!(out.starts_with(expected), "{out}");
}

#[test]
fn invalid_files_are_exit_code_3_with_every_mistake_on_a_line() {
    let dir = directory(&[("c.yml", "logg: 1\ngrouping:\n  decay: 2\n  window: 5\n")]);
    let (code, out, err) = hypocenter(dir.path(), &["check", "config", "c.yml", "none.yml"]);
    assert_eq!(code, 3);
    assert_eq!(out, "Checking 'c.yml' FAILED, 3 errors\nChecking 'none.yml' FAILED, 1 error\n");
    assert_eq!(
        err,
        "error: c.yml:1:1: logg: is not a known key; did you mean \"log\"?\n\
         error: c.yml:3:10: grouping.decay: is 2, allowed is more than 0, less than 1\n\
         error: c.yml:4:11: grouping.window: is 5, which has no unit; must be a duration such as \
         30s, 5m or 1h30m\n\
         error: none.yml: there is no such file; check the path\n"
    );
}

#[test]
fn usage_errors_are_exit_code_2_and_help_is_0() {
    let dir = directory(&[]);
    for args in [&["chekc"][..], &["run", "--confg.file", "x"], &["replay"], &[]] {
        let (code, out, err) = hypocenter(dir.path(), args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}: {err}");
    }
    for args in [&["-h"][..], &["--help"], &["--version"], &["check", "--help"]] {
        let (code, out, err) = hypocenter(dir.path(), args);
        assert_eq!((code, err.as_str()), (0, ""), "{args:?}");
        assert!(!out.is_empty());
    }
}

#[test]
fn a_reader_that_left_is_no_error() {
    let dir = directory(&[("c.yml", "")]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_hypocenter"))
        .args(["check", "config", "c.yml"])
        .current_dir(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ends");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stderr, b"");
}
