use super::*;

fn problems(text: &str) -> String {
    let mut problems = Vec::new();
    let node = parse(text, &mut problems);
    assert_eq!(node.is_none(), !problems.is_empty(), "{problems:?}");
    problems.iter().map(|p| format!("{p}\n")).collect()
}

fn problems_of(text: &str) -> String {
    let mut problems = Vec::new();
    parse(text, &mut problems);
    problems.iter().map(|p| format!("{p}\n")).collect()
}

#[test]
fn places_count_from_one() {
    let mut problems = Vec::new();
    let node = parse("a: 1\nb:\n  - x\n  - 'y'\n", &mut problems).expect("valid");
    let Value::Map(entries) = node.value else {
        panic!("a map");
    };
    assert_eq!(entries[1].at, At { line: 2, column: 1 });
    let Value::List(nodes) = &entries[1].node.value else {
        panic!("a list");
    };
    assert_eq!(nodes[1].at, At { line: 4, column: 5 });
    assert_eq!(nodes[1].value, Value::Quoted("y".to_owned()));
}

#[test]
fn duplicates_are_reported_and_the_first_one_counts() {
    let mut problems = Vec::new();
    let node = parse("a: 1\nb: 2\na: 3\n", &mut problems).expect("readable");
    assert_eq!(problems[0].to_string(), "3:1: a: is given twice, first in line 1; keep one");
    assert!(matches!(node.value, Value::Map(entries) if entries.len() == 2));
    let deep = problems_of("a:\n  - x\n  - b: {c: 1, c: 2}\n");
    assert_eq!(deep, "3:15: a[1].b.c: is given twice, first in line 3; keep one\n");
}

#[test]
fn what_is_not_read_is_named() {
    let table = [
        ("a: &x 1\nb: *x\n", "2:4: is an alias"),
        ("a: !!int 1\n", "has a tag"),
        ("a: 1\n---\nb: 2\n", "a second document"),
        ("? [a]\n: 1\n", "a key must be plain text"),
        ("a:\n\tb: 1\n", "2:1: is indented with a tab"),
        ("a: [1, 2\n", "is not valid YAML"),
        ("a: 'x\n", "is not valid YAML"),
        ("a: b: c\n", "is not valid YAML"),
    ];
    for (text, expected) in table {
        let found = problems(text);
        assert!(found.contains(expected), "{text:?}: {found}");
    }
}

#[test]
fn hostile_documents_end_quickly() {
    let start = std::time::Instant::now();
    let table = [
        ("[".repeat(1_000_000), "recursion limit"),
        ("{a: ".repeat(300_000), "recursion limit"),
        (format!("{}x{}", "[".repeat(40), "]".repeat(40)), "nested deeper"),
        ("- ".repeat(300_000), "nested deeper"),
        ("? ".repeat(300_000), "plain text"),
    ];
    for (text, expected) in table {
        let found = problems(&text);
        assert!(found.contains(expected), "{}: {found}", &text[..8]);
    }
    let mut bomb = "a0: &a0 [x, x]\n".to_owned();
    for n in 1..40 {
        bomb.push_str(&format!("a{n}: &a{n} [*a{p}, *a{p}]\n", p = n - 1));
    }
    assert!(problems(&bomb).contains("alias"));
    let many: String = (0..100_000).map(|n| format!("k{n}: {n}\n")).collect();
    assert_eq!(problems(&many), "");
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

#[test]
fn empty_documents_are_null() {
    for text in ["", "\n", "# only a comment\n", "---\n", "null\n"] {
        let node = parse(text, &mut Vec::new()).expect("valid");
        assert_eq!(node.value, Value::Null, "{text:?}");
    }
}
