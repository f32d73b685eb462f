//! The documents keep their word: every path they name exists, and every relative link resolves.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that a path in the text may start with.
const FOLDERS: [&str; 8] =
    [".ci/", "deploy/", "engine/", "ingest/", "bench/", "fixtures/", "scripts/", "docs/"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All Markdown files: those of the root, and those of the folders for readers.
fn documents() -> Vec<PathBuf> {
    fn collect(folder: &Path, deep: bool, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && deep {
                collect(&path, deep, found);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    collect(&root(), false, &mut found);
    collect(&root().join("docs"), true, &mut found);
    collect(&root().join("fixtures"), true, &mut found);
    found
}

/// The text without fenced blocks, which show other people's files.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    prose
}

/// What stands between backticks and looks like a path of this repository.
fn paths(prose: &str) -> impl Iterator<Item = &str> {
    let is_path = |span: &&str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        FOLDERS.iter().any(|folder| span.starts_with(folder)) && span.chars().all(plain)
    };
    prose.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).filter(is_path)
}

/// The targets of links, without those to other places and without anchors.
fn links(prose: &str) -> impl Iterator<Item = &str> {
    prose
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.split('#').next().unwrap_or_default())
        .filter(|target| !target.is_empty() && !target.contains("://"))
}

#[test]
fn every_path_and_link_exists() {
    let mut missing = Vec::new();
    let (mut named, mut linked) = (0, 0);
    for document in documents() {
        let text = fs::read_to_string(&document).expect("text");
        let prose = prose(&text);
        let folder = document.parent().expect("a folder");
        let shown = document.display();
        for path in paths(&prose) {
            named += 1;
            if !root().join(path).exists() {
                missing.push(format!("{shown}: `{path}`"));
            }
        }
        for link in links(&prose) {
            linked += 1;
            if !folder.join(link).exists() {
                missing.push(format!("{shown}: ({link})"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(named > 50 && linked > 20, "{named} paths, {linked} links");
}

#[test]
fn the_architecture_opens_with_five_files() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("text");
    let way = text.split("\n## ").nth(1).expect("a first section").to_owned();
    assert!(way.starts_with("An alert's way in five files\n"), "{way}");
    let steps: Vec<&str> = way
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_digit()))
        .filter_map(|line| paths(line).next())
        .collect();
    assert_eq!(steps.len(), 5, "{steps:?}");
    for step in steps {
        assert!(root().join(step).is_file(), "{step}");
    }
}

/// The first fenced block of a language.
fn block<'t>(text: &'t str, language: &str) -> &'t str {
    let (_, rest) = text.split_once(&format!("```{language}\n")).expect("a block");
    rest.split_once("```").expect("its end").0
}

#[test]
fn the_record_is_described_as_it_is() {
    let text = fs::read_to_string(root().join("docs/record.md")).expect("text");
    let example: serde_json::Value = serde_json::from_str(block(&text, "json")).expect("JSON");
    let schema: serde_json::Value =
        serde_json::from_str(&hypocenter::record::schema()).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let faults: Vec<String> = validator
        .iter_errors(&example)
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let fields = schema["properties"].as_object().expect("fields");
    let untold: Vec<&String> =
        fields.keys().filter(|field| !text.contains(&format!("`{field}`"))).collect();
    assert!(untold.is_empty(), "not in docs/record.md: {untold:?}");
}

#[test]
fn configurations_in_documents_are_valid() {
    for (document, number) in
        [("README.md", 1), ("docs/configuration.md", 0), ("docs/alertmanager-output.md", 0)]
    {
        let text = fs::read_to_string(root().join(document)).expect("text");
        let blocks: Vec<&str> = text.split("```yaml\n").skip(1).collect();
        let yaml = blocks[number].split_once("```").expect("its end").0;
        let problems = hypocenter::config::Config::parse(yaml).err();
        assert_eq!(problems, None, "{document}: {yaml}");
    }
}

#[test]
fn paths_and_links_are_found() {
    let text = prose("a `engine/src/x.rs` b [c](docs/d.md#e)\n```\n`docs/no`\n```\n`docs/*.md`");
    assert_eq!(paths(&text).collect::<Vec<_>>(), ["engine/src/x.rs"]);
    assert_eq!(links(&text).collect::<Vec<_>>(), ["docs/d.md"]);
}
