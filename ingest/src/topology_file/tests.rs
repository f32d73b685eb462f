use std::fs;

use super::*;

fn read(text: &str) -> TopologyFile {
    match TopologyFile::parse(text) {
        Ok(file) => file,
        Err(problems) => panic!("{text}: {problems:?}"),
    }
}

fn refused(text: &str) -> String {
    let problems = TopologyFile::parse(text).expect_err(text);
    problems.iter().map(|p| format!("{p}\n")).collect()
}

#[test]
fn one_graph_in_every_form_is_one_topology() {
    let forms = [
        r#"{"nodes": ["a", "b", "c"], "edges": [{"from": "a", "to": "b"}, {"from": "b", "to": "c"}]}"#,
        r#"{"edges": [{"to": "c", "from": "b"}, {"from": "a", "to": "b"}]}"#,
        r#"{"version": 1, "edges": [{"from": "a", "to": "b"}, {"from": "b", "to": "c"}],
            "nodes": [{"id": "c"}, "b", {"id": "a"}]}"#,
        "version: 1\nnodes: [a, {id: b}]\nedges:\n  - {from: a, to: b}\n  - from: b\n    to: 'c'\n",
        "edges:\n- from: b\n  to: c\n- {to: b, from: a}\n",
    ];
    for form in forms {
        let file = read(form);
        assert_eq!(file.topology.version(), read(forms[0]).topology.version(), "{form}");
        assert_eq!((file.topology.len(), file.topology.edges()), (3, 2));
    }
}

#[test]
fn kinds_may_be_given() {
    let json = r#"{"nodes": [{"id": "db", "kind": "database"}, "a", "pod/shop/a-0"],
        "edges": [{"from": "a", "to": "db", "kind": "stores_in"},
                  {"from": "a", "to": "pod/shop/a-0", "kind": "runs_on"}]}"#;
    let yaml = "nodes: [{id: db, kind: database}]\nedges:\n  - {from: a, to: db, kind: stores_in}\n  \
                - {from: a, to: pod/shop/a-0, kind: runs_on}\n";
    for text in [json, yaml] {
        let topology = read(text).topology;
        assert_eq!(topology.version(), read(json).topology.version());
        assert_eq!(topology.kind_of("db"), Some(EntityKind::Database));
        assert_eq!(topology.kind_of("pod/shop/a-0"), Some(EntityKind::Pod));
        let kinds: Vec<EdgeKind> = topology.all_edges().map(|(.., kind)| kind).collect();
        assert_eq!(kinds, [EdgeKind::StoresIn, EdgeKind::RunsOn]);
    }
    let wrong = "nodes: [{id: db, kind: base}]\nedges: [{from: a, to: b, kind: call}]\n";
    let text = refused(wrong);
    assert!(text.contains("nodes[0].kind: is base, must be one of service, "), "{text}");
    assert!(text.contains("edges[0].kind: is call, must be one of calls, "), "{text}");
    let text = refused(r#"{"edges": [{"from": "a", "to": "b", "kind": "call"}]}"#);
    assert!(text.contains("unknown kind \"call\", there is calls, "), "{text}");
}

#[test]
fn names_are_taken_as_they_are() {
    let file = read(r#"{"nodes": ["Cart", "cart", "cart ", "数据库", "a\u0062"], "edges": []}"#);
    let names: Vec<_> = file.topology.names().collect();
    assert_eq!(names, ["Cart", "ab", "cart", "cart ", "数据库"]);
    assert_eq!(file.lookalikes, [["Cart", "cart", "cart "]]);
    let yaml = read("nodes: [Cart, 数据库, 123, yes, 1.0]\n");
    let names: Vec<_> = yaml.topology.names().collect();
    assert_eq!(names, ["1.0", "123", "Cart", "yes", "数据库"]);
}

#[test]
fn what_is_odd_is_shown() {
    let file = read(
        "nodes: [a, a, b, A]\nedges:\n  - {from: a, to: b}\n  - {from: a, to: b}\n  - {from: b, to: a}\n  \
         - {from: a, to: a}\n  - {from: b, to: z}\n",
    );
    assert_eq!(
        file.to_string(),
        format!(
            "  YAML: 4 entities, 3 dependencies, version {:016x}\n  \
             note: 1 declared more than once, counted once: a\n  \
             note: 1 used by an edge but not in nodes, added: z\n  \
             note: 1 given more than once, counted once: a -> b\n  \
             note: 1 depends on itself, edge dropped: a\n  \
             note: 1 circle of dependencies, kept: a <-> b\n  \
             note: 1 differ in case or spaces only, kept apart: \"A\" = \"a\"\n",
            file.topology.version()
        )
    );
}

/// Texts with one mistake each, and how it is reported.
const MISTAKES: &[(&str, &str)] = &[
    ("", "holds no topology; write `edges:"),
    (" \n\t\n", "holds no topology"),
    ("# nothing\n", "holds no topology"),
    ("{}", "holds no topology"),
    ("version: 1\n", "holds no topology"),
    (r#"{"nodes": ["a""#, "1:14: EOF while parsing a list; the file ends too early"),
    (r#"{"edges": [{"from": "a"}]}"#, "1:24: missing field `to`"),
    (r#"{"edges": [{"from": "a", "to": 1}]}"#, "1:32: invalid type: integer `1`"),
    (r#"{"edges": [["a", "b"]]}"#, "an edge such as {\"from\": \"a\", \"to\": \"b\"}"),
    (
        "{\"edges\": [\n{\"source\": \"a\", \"target\": \"b\"}]}",
        "2:9: unknown field `source`, expected one of `from`, `to`, `kind`",
    ),
    (r#"{"nodes": [1]}"#, "a node such as \"a\" or {\"id\": \"a\"}"),
    (r#"{"nodes": [{"id": "a", "sort": "pod"}]}"#, "unknown field `sort`, expected `id` or `kind`"),
    (r#"{"edges": []} x"#, "trailing characters"),
    (r#"{"edges": [], "edges": []}"#, "duplicate field `edges`"),
    (r#"{"version": 2, "edges": []}"#, "version: is 2; this release reads version 1"),
    (r#"["a"]"#, "expected an object with `nodes` and `edges`"),
    ("[[[[", "1:"),
    ("version: 2\nedges: []\n", "1:10: version: is 2, allowed is 1 to 1"),
    ("edges:\n  - {from: a}\n", "2:5: edges[0].to: is missing; an edge is {from: a, to: b}"),
    ("edges:\n  - [a, b]\n", "2:5: edges[0]: is a list, must be an edge such as {from: a, to: b}"),
    ("edges:\n  - {from: a, to: ''}\n", "2:19: edges[0].to: is empty, must be text"),
    ("edges:\n  - {form: a, to: b}\n", "did you mean \"from\"?"),
    ("edges: {a: b}\n", "1:8: edges: is a section of keys and values, must be a list"),
    ("nodes: [[a]]\n", "1:9: nodes[0]: is a list, must be a name, or {id: name}"),
    (
        "nodes:\n  - id: a\n    sort: pod\n",
        "3:5: nodes[0].sort: is not a known key; there are id, kind",
    ),
    ("a: &a [x]\nedges: *a\n", "is an alias"),
    ("plain text", "1:1: is plain text, must be a section"),
];

#[test]
fn what_cannot_be_used_has_its_place_and_its_remedy() {
    for (text, expected) in MISTAKES {
        let found = refused(text);
        assert!(found.contains(expected), "{text}\nfound:    {found}expected: {expected}");
    }
}

#[test]
fn large_graphs_are_read() {
    let edge = |n: u32| (n % 5_000, (n * 7919 + 1) % 5_003);
    let json: Vec<String> = (0..50_000)
        .map(edge)
        .map(|(a, b)| format!(r#"{{"from": "s{a}", "to": "t{b}"}}"#))
        .collect();
    let json = read(&format!("{{\"edges\": [{}]}}", json.join(",")));
    let yaml: String =
        (0..50_000).map(edge).map(|(a, b)| format!("  - {{from: s{a}, to: t{b}}}\n")).collect();
    let yaml = read(&format!("edges:\n{yaml}"));
    assert_eq!(json.topology.version(), yaml.topology.version());
    assert!(json.topology.edges() > 40_000);
}

#[test]
fn long_chains_are_read() {
    let edges: String =
        (0..100_000).map(|n| format!("  - {{from: s{n}, to: s{}}}\n", n + 1)).collect();
    assert_eq!(read(&format!("edges:\n{edges}")).topology.edges(), 100_000);
}

#[test]
fn a_file_is_named_in_its_errors() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("t.json");
    fs::write(&file, "{\"edges\": [{]}").expect("written");
    let error = TopologyFile::load(&file).expect_err("refused").to_string();
    assert!(error.contains("t.json:1:13: "), "{error}");
    let missing = TopologyFile::load(&dir.path().join("no")).expect_err("refused");
    assert!(missing.to_string().contains("there is no such file"));
}

#[test]
fn a_large_file_that_is_wrong_all_over_ends_quickly() {
    let start = std::time::Instant::now();
    let found = refused(&format!("edges:\n{}", "  - {form: a}\n".repeat(50_000)));
    assert_eq!(found.lines().count(), crate::yaml::reader::PROBLEMS_MAX);
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
}
