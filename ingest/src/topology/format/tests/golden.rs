//! For each format a file with what its makers send, oddities included, and the graph of it.

use std::fs;
use std::path::Path;

use crate::topology::{Format, Places, export};

#[test]
fn golden_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/topology");
    let mut seen = Vec::new();
    for entry in fs::read_dir(&root).expect("fixtures") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let Some((format, _)) = name.split_once('.') else { continue };
        let format = format.trim_end_matches(|c: char| c.is_ascii_digit());
        let Some(format) = Format::named(format.trim_end_matches('-')) else { continue };
        if name.contains(".golden.") {
            continue;
        }
        let bytes = fs::read(&path).expect("a fixture");
        let places = Places { namespace: "default".to_owned(), ..Places::default() };
        let layer = match format.read(&bytes, &places) {
            Ok(layer) => layer,
            Err(error) => panic!("{name}: {error}"),
        };
        let found = format!("{}// skipped: {}\n", export::json(&layer), layer.skipped);
        let golden = root.join(format!("{name}.golden.txt"));
        if std::env::var_os("BLESS").is_some() {
            fs::write(&golden, &found).expect("written");
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(found, expected, "{name}; BLESS=1 writes it anew");
        seen.push(format);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen, Format::ALL, "every format has a fixture");
}
