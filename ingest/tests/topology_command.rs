//! `hypocenter topology`, from the outside.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn hypocenter(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hypocenter"));
    command.arg("topology").args(args).output().expect("it runs")
}

fn out(args: &[&str]) -> String {
    let output = hypocenter(args);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {error}");
    String::from_utf8(output.stdout).expect("text")
}

fn fixture(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/topology");
    root.join(name).to_str().expect("a path").to_owned()
}

#[test]
fn graphs_are_looked_at_and_written_for_others() {
    let lint = out(&["lint", &fixture("zipkin.json"), &format!("csv:{}", fixture("csv.csv"))]);
    assert!(lint.contains("zipkin, 3 entities, 3 dependencies, version "), "{lint}");
    assert!(lint.contains("note: 1 circle of dependencies, kept: backend <-> frontend"), "{lint}");
    assert!(lint.contains("note: left out: 1 placeholder, 1 loop"), "{lint}");
    assert!(lint.contains("differ in case or spaces only"), "{lint}");
    let dot = out(&["export", "--format", "dot", &fixture("kube_state.json")]);
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("graph.gv");
    std::fs::write(&file, &dot).expect("written");
    let again = file.to_str().expect("a path");
    assert_eq!(out(&["diff", &fixture("kube_state.json"), again]), "");
    let mermaid = out(&["export", "--format", "mermaid", again]);
    assert!(mermaid.starts_with("flowchart TD\n  n0[\"node/cp1\"]\n"), "{mermaid}");
    let differ = hypocenter(&["diff", &fixture("zipkin.json"), &fixture("jaeger.json")]);
    assert_eq!(differ.status.code(), Some(4));
    let told = String::from_utf8_lossy(&differ.stdout);
    assert!(told.contains("- backend\n") && told.contains("+ customer -> mysql (calls)"), "{told}");
    let unknown = hypocenter(&["lint", &fixture("README.md")]);
    assert_eq!(unknown.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("name it, as in jaeger:FILE"));
}

#[test]
fn graphs_are_merged_where_names_are_certain() {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| -> String {
        let path: PathBuf = dir.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("a path").to_owned()
    };
    let traces = write("traces.csv", "from,to\nweb,orders\n");
    let mesh = write("mesh.csv", "from,to\nservice/shop/orders,service/shop/db\n");
    let merged = out(&["merge", &traces, &mesh]);
    assert!(merged.contains(r#"{"from": "web", "to": "service/shop/orders"}"#), "{merged}");
    let both = write("both.json", &merged);
    let lint = out(&["lint", &both]);
    assert!(lint.contains("3 entities, 2 dependencies"), "{lint}");
}

#[test]
fn an_import_does_not_replace_a_graph_by_a_half_empty_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let (csv, graph) = (dir.path().join("g.csv"), dir.path().join("graph.json"));
    let [from, to] = [&csv, &graph].map(|path| path.to_str().expect("a path").to_owned());
    let args = ["import", "csv", "--file", &from, "--output", &to];
    std::fs::write(&csv, "from,to\na,b\nb,c\nc,d\nd,e\n").expect("written");
    out(&args);
    let before = std::fs::read_to_string(&graph).expect("written");
    std::fs::write(&csv, "from,to\na,b\n").expect("written");
    let refused = hypocenter(&args);
    assert_eq!(refused.status.code(), Some(4));
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(told.contains("has 1 edges after 4, which is 75 % less"), "{told}");
    assert!(told.contains("use --force"), "{told}");
    assert_eq!(std::fs::read_to_string(&graph).expect("kept"), before);
    out(&[&args[..], &["--force"]].concat());
    assert!(std::fs::read_to_string(&graph).expect("written").len() < before.len());
    let unknown = hypocenter(&["import", "nonsense", "--file", &from]);
    assert_eq!(unknown.status.code(), Some(2));
    let down = hypocenter(&["import", "istio", "--url", "http://127.0.0.1:1"]);
    assert_eq!(down.status.code(), Some(5));
    assert!(
        String::from_utf8_lossy(&down.stderr).contains("istio at http://127.0.0.1:1: query sum")
    );
}
