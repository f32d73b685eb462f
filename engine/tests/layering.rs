//! The shape of the code: what depends on what, and what the core may not touch.

#![expect(clippy::disallowed_methods, reason = "a test of the sources reads them")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the engine names in its manifest. Each line is an architectural decision.
const DIRECT: [&str; 8] =
    ["ahash", "borsh", "crc32fast", "hashbrown", "libm", "petgraph", "regex", "thiserror"];

/// What these bring along, on any platform.
const TRANSITIVE: [&str; 24] = [
    "aho-corasick",
    "borsh-derive",
    "cfg-if",
    "equivalent",
    "fixedbitset",
    "foldhash",
    "indexmap",
    "memchr",
    "once_cell",
    "proc-macro-crate",
    "proc-macro2",
    "quote",
    "regex-automata",
    "regex-syntax",
    "syn",
    "thiserror-impl",
    "toml_datetime",
    "toml_edit",
    "toml_parser",
    "unicode-ident",
    "version_check",
    "winnow",
    "zerocopy",
    "zerocopy-derive",
];

fn root() -> PathBuf {
    let engine = Path::new(env!("CARGO_MANIFEST_DIR"));
    engine.parent().expect("the workspace").to_owned()
}

/// The packages that a package depends on, without development dependencies.
fn tree(package: &str, arguments: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(root())
        .args(["tree", "--offline", "-p", package, "-e", "normal"])
        .args(["--prefix", "none"])
        .args(arguments)
        .output()
        .expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "cargo tree: {errors}");
    let text = String::from_utf8(output.stdout).expect("names are text");
    text.lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|&name| name != package)
        .map(str::to_owned)
        .collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("a folder can be read").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found.sort();
}

fn files(folders: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for folder in folders {
        sources(&root().join(folder), &mut found);
    }
    assert!(!found.is_empty(), "{folders:?} have sources");
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("sources can be read");
        (path, text)
    };
    found.into_iter().map(read).collect()
}

#[test]
fn the_engine_depends_on_what_is_listed() {
    let direct = tree("hypocenter-engine", &["--depth", "1"]);
    assert_eq!(direct, DIRECT.map(str::to_owned).into());
    let allowed: BTreeSet<String> = DIRECT.iter().chain(&TRANSITIVE).map(|&n| n.into()).collect();
    let all = tree("hypocenter-engine", &[]);
    let more: Vec<_> = all.difference(&allowed).collect();
    assert!(more.is_empty(), "not on the list: {more:?}");
}

#[test]
fn dependencies_point_towards_the_engine() {
    let engine = tree("hypocenter-engine", &[]);
    assert!(!engine.contains("hypocenter") && !engine.contains("hypocenter-bench"));
    let ingest = tree("hypocenter", &[]);
    assert!(ingest.contains("hypocenter-engine"));
    assert!(!ingest.contains("hypocenter-bench"));
}

#[test]
fn the_engine_touches_nothing_outside() {
    let outside = [
        "std::fs",
        "std::env",
        "std::net",
        "std::thread",
        "std::process",
        "std::io",
        "Instant",
        "SystemTime",
        "println!",
        "eprintln!",
        "static mut",
        "RefCell",
        "Mutex",
    ];
    for (path, text) in files(&["engine/src"]) {
        for word in outside {
            assert!(!text.contains(word), "{} mentions {word}", path.display());
        }
    }
}

/// Planted mistakes are for a test of the tests: nothing that is built for use asks for them.
#[test]
fn no_build_for_use_has_planted_mistakes() {
    for package in ["engine", "ingest", "bench"] {
        let path = root().join(package).join("Cargo.toml");
        let manifest = fs::read_to_string(path).expect("a manifest");
        let named = manifest.lines().filter(|line| line.contains("planted")).count();
        assert_eq!(named, usize::from(package == "engine"), "{package}");
        assert!(!manifest.contains("default = ["), "{package} has default features");
    }
    let features = features_of_engine();
    assert_eq!(features, "", "the engine is built with {features}");
}

/// The engine's features in the daemon.
fn features_of_engine() -> String {
    let output = Command::new(env!("CARGO"))
        .current_dir(root())
        .args(["tree", "--offline", "-p", "hypocenter", "-e", "normal", "--prefix", "none"])
        .args(["-f", "{p}|{f}"])
        .output()
        .expect("cargo runs");
    let text = String::from_utf8(output.stdout).expect("names are text");
    let line = text.lines().find(|line| line.starts_with("hypocenter-engine "));
    let (_, features) = line.and_then(|line| line.split_once('|')).expect("it is used");
    features.split_whitespace().next().unwrap_or_default().replace("(*)", "")
}

#[test]
fn every_module_says_what_it_is_for() {
    for (path, text) in files(&["engine/src", "ingest/src", "bench/src"]) {
        let tests = path.ends_with("tests.rs");
        assert!(tests || text.starts_with("//! "), "{} has no header", path.display());
    }
}

#[test]
fn no_file_is_longer_than_600_lines() {
    for (path, text) in files(&["engine", "ingest", "bench"]) {
        let lines = text.lines().count();
        assert!(lines <= 600, "{} has {lines} lines", path.display());
    }
}
