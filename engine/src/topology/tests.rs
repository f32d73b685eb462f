use super::*;

fn built(edges: &[(&str, &str)]) -> TopologyBuilder {
    let mut builder = TopologyBuilder::new();
    edges.iter().for_each(|(a, b)| builder.edge(a, b));
    builder
}

#[test]
fn faults_are_reported_and_repaired() {
    let mut builder = TopologyBuilder::new();
    for name in ["b", "a", "a", ""] {
        builder.node(name);
    }
    for (from, to) in [("a", "b"), ("a", "b"), ("a", "a"), ("b", "c"), ("c", "a"), ("", "a")] {
        builder.edge(from, to);
    }
    let (topology, report) = builder.build();
    assert_eq!(topology.names().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(topology.edges(), 3);
    assert_eq!(report.duplicate_nodes, ["a"]);
    assert_eq!(report.duplicate_edges, [("a".to_owned(), "b".to_owned())]);
    assert_eq!(report.self_loops, ["a"]);
    assert_eq!(report.undeclared, ["c"]);
    assert_eq!(report.cycles, [["a", "b", "c"]]);
    assert_eq!(report.empty_names, 2);
}

#[test]
fn the_version_depends_on_the_graph_alone() {
    let build = |edges: &[(&str, &str)]| built(edges).build().0.version();
    assert_eq!(build(&[("a", "b"), ("c", "b")]), build(&[("c", "b"), ("a", "b"), ("a", "b")]));
    assert_ne!(build(&[("a", "b")]), build(&[("b", "a")]));
    let mut typed = built(&[("a", "b")]);
    typed.typed_edge("a", "b", EdgeKind::StoresIn);
    let typed = typed.build().0.version();
    assert_ne!(build(&[("a", "b")]), typed);
    let mut other = TopologyBuilder::new();
    other.typed_node("a", EntityKind::Service);
    other.typed_node("b", EntityKind::Database);
    other.typed_edge("a", "b", EdgeKind::StoresIn);
    assert_ne!(other.build().0.version(), typed);
}

#[test]
fn neighbours_come_in_the_order_of_names() {
    let (topology, _) = built(&[("k", "z"), ("k", "m"), ("k", "a")]).build();
    let k = topology.find("k").expect("known");
    let names: Vec<_> = topology.dependencies(k).iter().map(|&n| topology.name(n)).collect();
    assert_eq!(names, ["a", "m", "z"]);
    assert_eq!(topology.dependents(topology.find("m").expect("known")), [k]);
    assert_eq!(topology.find("q"), None);
}

#[test]
fn kinds_go_with_their_entities_and_edges() {
    let mut builder = TopologyBuilder::new();
    builder.typed_node("orders", EntityKind::Service);
    builder.typed_node("db", EntityKind::Database);
    builder.typed_node("db", EntityKind::External);
    builder.typed_edge("orders", "db", EdgeKind::StoresIn);
    builder.typed_edge("api", "orders", EdgeKind::Calls);
    builder.typed_edge("orders", "pod/shop/orders-0", EdgeKind::RunsOn);
    let (topology, report) = builder.build();
    assert_eq!(report.several_kinds, ["db"]);
    assert_eq!(topology.kind_of("db"), Some(EntityKind::Database));
    assert_eq!(topology.kind_of("api"), Some(EntityKind::Service));
    let edges: Vec<_> = topology.all_edges().collect();
    let pod = "pod/shop/orders-0";
    let expected = [
        ("api", "orders", EdgeKind::Calls),
        ("orders", "db", EdgeKind::StoresIn),
        ("orders", pod, EdgeKind::RunsOn),
    ];
    assert_eq!(edges, expected);
    assert_eq!(topology.kind_of(pod), Some(EntityKind::Pod), "its name says so");
    let orders = topology.find("orders").expect("known");
    let db = topology.find("db").expect("known");
    assert_eq!(topology.needs(orders).next(), Some((db, EdgeKind::StoresIn)));
    for kind in EdgeKind::ALL {
        assert_eq!(EdgeKind::named(kind.name()), Some(kind));
    }
}

#[test]
fn what_comes_after_keeps_numbers_and_equals_a_graph_built_afresh() {
    let (first, _) = built(&[("b", "d"), ("d", "f"), ("x", "y")]).build();
    let next = [("a", "d"), ("d", "f"), ("f", "c"), ("x", "c")];
    let ((second, _), (fresh, _)) = (built(&next).build_after(&first), built(&next).build());
    assert!(second.comes_after(&first) && !first.comes_after(&second));
    assert!(!fresh.comes_after(&first));
    for name in ["b", "d", "f", "x", "y"] {
        assert_eq!(second.find(name), first.find(name), "{name}");
    }
    assert_eq!((second.gone(), second.len()), (2, fresh.len()));
    assert!(second.find("b").is_some_and(|node| !second.is_live(node)));
    assert!(!second.contains("b"));
    assert_eq!(second.version(), fresh.version());
    assert_eq!(second.names().collect::<Vec<_>>(), fresh.names().collect::<Vec<_>>());
    assert_eq!(second.all_edges().collect::<Vec<_>>(), fresh.all_edges().collect::<Vec<_>>());
    let part = |name: &str| second.find(name).and_then(|node| second.part(node));
    assert_eq!(part("b"), None, "what is gone is in no part");
    assert_eq!(part("x"), part("a"), "two parts have become one");
    let of_d = first.part(first.find("d").expect("known")).expect("lives");
    assert_ne!(part("d").map(|(name, _)| name), Some(of_d.0), "its oldest entity is gone");
    let (third, _) = built(&[("b", "d")]).build_after(&second);
    assert_eq!(third.find("b"), first.find("b"), "what comes back has its number");
    assert!(third.comes_after(&first) && third.contains("b"));
}
