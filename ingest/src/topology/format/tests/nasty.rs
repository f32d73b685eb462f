//! What a file or a remote endpoint may give instead of a graph, or along with one.

use crate::topology::{Format, Places};

fn refused(format: Format, bytes: &[u8]) -> String {
    match format.read(bytes, &Places::default()) {
        Ok(layer) => panic!("{format:?} took {}: {layer:?}", String::from_utf8_lossy(bytes)),
        Err(error) => error.to_string(),
    }
}

/// Formats that are JSON, and come over HTTP.
const REMOTE: [Format; 8] = [
    Format::ServiceGraph,
    Format::Istio,
    Format::Linkerd,
    Format::Hubble,
    Format::KubeState,
    Format::Jaeger,
    Format::Zipkin,
    Format::Kiali,
];

#[test]
fn pages_of_others_and_wrong_types_are_refused_with_a_reason() {
    for format in REMOTE.into_iter().chain([Format::Backstage, Format::Kubectl]) {
        assert!(refused(format, b"<!doctype html><title>Log in</title>").contains("HTML"));
        assert!(refused(format, b"").contains("empty"), "{format:?}");
        for wrong in ["1", "null", "\"x\"", "{}", "[1]", "{\"data\":7}", "{\"elements\":[[]]}"] {
            let why = refused(format, wrong.as_bytes());
            assert!(!why.is_empty(), "{format:?} {wrong}");
        }
    }
    assert!(refused(Format::Native, b"edges: 1").contains("edges"));
    assert!(refused(Format::Keep, b"nonsense: 1").contains("services: is missing"));
    assert!(refused(Format::Csv, b"a,b\n1,2\n").contains("line 1"));
    assert!(refused(Format::Csv, b"from,to,kind\na,b,call\n").contains("line 2: unknown kind"));
    assert!(refused(Format::Edges, b"{\"from\":\"a\"}").contains("line 1: missing field `to`"));
    assert!(refused(Format::Native, &[0xff, 0xfe]).contains("UTF-8"));
}

#[test]
fn an_answer_that_says_what_is_wrong_is_told() {
    let body = br#"{"status":"error","errorType":"execution","error":"query timed out"}"#;
    assert!(refused(Format::Istio, body).contains("query timed out"));
    let matrix = br#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
    assert!(refused(Format::Istio, matrix).contains("is a matrix"));
    let errors = br#"{"data":null,"errors":[{"code":500,"msg":"no storage"}]}"#;
    assert!(refused(Format::Jaeger, errors).contains("no storage"));
    assert!(refused(Format::Kiali, br#"{"error":"no access"}"#).contains("no access"));
    assert!(
        refused(Format::Backstage, br#"{"error":{"name":"AuthenticationError"}}"#)
            .contains("AuthenticationError")
    );
    let status = br#"{"kind":"Status","message":"pods is forbidden"}"#;
    assert!(refused(Format::Kubectl, status).contains("is a Status, not a list of objects: pods"));
    let bare = br#"{"status":"success","data":{"resultType":"vector","result":[
        {"metric":{"verdict":"FORWARDED"},"value":[0,"1"]}]}}"#;
    assert!(refused(Format::Hubble, bare).contains("labelsContext"));
}

/// Every fixture, cut off anywhere, is an error or a smaller graph, and never a panic.
#[test]
fn what_is_cut_off_or_damaged_never_panics() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/topology");
    let mut tried = 0;
    for entry in std::fs::read_dir(root).expect("fixtures") {
        let path = entry.expect("an entry").path();
        let bytes = std::fs::read(&path).expect("a fixture");
        for end in (0..bytes.len()).step_by(29) {
            let mut damaged = bytes.clone();
            damaged[end] = b"\x00\"{}[],:->"[end % 10];
            for format in Format::ALL {
                drop(format.read(&bytes[..end], &Places::default()));
                drop(format.read(&damaged, &Places::default()));
                tried += 2;
            }
        }
    }
    assert!(tried > 1000);
}

#[test]
fn numbers_that_are_none_are_no_traffic() {
    for value in ["NaN", "-Inf", "0", "-1", "", "x"] {
        let body = format!(
            r#"{{"status":"success","data":{{"resultType":"vector","result":[
            {{"metric":{{"client":"a","server":"b"}},"value":[1.5,"{value}"]}},
            {{"metric":{{"client":"a","server":"c"}},"value":[1.5,"+Inf"]}}]}}}}"#
        );
        let layer = Format::ServiceGraph.read(body.as_bytes(), &Places::default());
        let layer = layer.expect("valid");
        assert_eq!((layer.edges.len(), layer.skipped.idle), (1, 1), "{value}");
    }
}

#[test]
fn fifty_thousand_edges_of_one_caller_are_read_in_every_format() {
    let many = 50_000;
    let rows: String = (0..many).map(|n| format!("gateway,s{n}\n")).collect();
    let dot: String = (0..many).map(|n| format!("gateway -> s{n};\n")).collect();
    let link = |n| format!(r#"{{"parent":"gateway","child":"s{n}","callCount":1}}"#);
    let links = (0..many).map(link).collect::<Vec<_>>().join(",");
    let sample =
        |n| format!(r#"{{"metric":{{"client":"gateway","server":"s{n}"}},"value":[1,"2"]}}"#);
    let samples = (0..many).map(sample).collect::<Vec<_>>().join(",");
    let lines: String =
        (0..many).map(|n| format!("{{\"from\":\"gateway\",\"to\":\"s{n}\"}}\n")).collect();
    let native = (0..many).map(|n| format!(r#"{{"from":"gateway","to":"s{n}"}}"#));
    let native = native.collect::<Vec<_>>().join(",");
    let texts = [
        (Format::Csv, format!("from,to\n{rows}")),
        (Format::Dot, format!("digraph {{\n{dot}}}\n")),
        (Format::Jaeger, format!("{{\"data\":[{links}]}}")),
        (Format::Zipkin, format!("[{links}]")),
        (
            Format::ServiceGraph,
            format!(
                r#"{{"status":"success","data":{{"resultType":"vector","result":[{samples}]}}}}"#
            ),
        ),
        (Format::Edges, lines),
        (Format::Native, format!("{{\"edges\":[{native}]}}")),
    ];
    for (format, text) in texts {
        let layer = format.read(text.as_bytes(), &Places::default()).expect("valid");
        assert_eq!(layer.edges.len(), many, "{format:?}");
        assert_eq!(layer.skipped.all(), 0, "{format:?}");
    }
}

#[test]
fn what_graphviz_allows_and_what_says_nothing() {
    let text = r#"/* of
        two lines */ strict digraph "G" {
        # a line of the preprocessor
        rankdir=LR; node [shape=box, kind=nothing]; // defaults say nothing of one entity
        "a b":port:n -> { c; d } -> "e \"quoted\"" [kind=stores_in, label="x"]
        subgraph cluster_x { label="x"; f -> g }
        db [kind=database]; f -> db; "ser" + "vice" -> f
    }"#;
    let layer = Format::Dot.read(text.as_bytes(), &Places::default()).expect("valid");
    let edges: Vec<String> =
        layer.edges.iter().map(|((a, b), kind)| format!("{a}>{b}:{}", kind.name())).collect();
    let expected = [
        "a b>c:stores_in",
        "a b>d:stores_in",
        "c>e \"quoted\":stores_in",
        "d>e \"quoted\":stores_in",
        "f>database/db:calls",
        "f>g:calls",
        "service>f:calls",
    ];
    assert_eq!(edges, expected);
    for (text, told) in [
        ("graph { a -- b }", "has no directions"),
        ("digraph {\n a -- b }", "line 2: `--` has no direction"),
        ("digraph {\n a -> b", "may be truncated"),
        ("digraph {\n a -> \"b", "line 2: a quoted name is not closed"),
        ("digraph { a -> <b> }", "HTML"),
        ("digraph { a -> b [kind=call] }", "unknown kind \"call\""),
        ("digraph { a -> b } x", "more after the graph's end"),
        ("x", "begins with `digraph {`"),
        ("", "begins with `digraph {`"),
    ] {
        let why = refused(Format::Dot, text.as_bytes());
        assert!(why.contains(told), "{text}: {why}");
    }
    let deep = format!("digraph {}{}", "{".repeat(100_000), "}".repeat(100_000));
    assert!(refused(Format::Dot, deep.as_bytes()).contains("nested too deep"));
}
