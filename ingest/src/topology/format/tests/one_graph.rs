//! One logical graph, written in every format, is one graph again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use hypocenter_engine::{EdgeKind, EntityKind};
use proptest::prelude::*;

use crate::topology::layer::Name;
use crate::topology::{EdgeTopic, Format, Layer, Places, export};

/// Who calls whom, all in the namespace `shop`.
type Calls = BTreeSet<(String, String)>;

fn places() -> Places {
    Places { namespace: "shop".to_owned(), ..Places::default() }
}

fn names() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        8 => "[a-z][a-z0-9]{0,6}(-[a-z]{1,4})?",
        1 => Just("Ünïcode".to_owned()),
        1 => Just("数据库".to_owned()),
        1 => Just("Orders".to_owned()),
    ];
    name.prop_filter("placeholders are nobody", |name| {
        !crate::topology::layer::is_placeholder(name)
    })
}

fn graphs() -> impl Strategy<Value = Calls> {
    let edges = prop::collection::vec((0..9usize, 0..9usize), 1..20);
    (prop::collection::btree_set(names(), 9), edges).prop_map(|(names, edges)| {
        let names: Vec<String> = names.into_iter().collect();
        let edge = |(a, b): (usize, usize)| (names[a].clone(), names[b].clone());
        edges.into_iter().filter(|(a, b)| a != b).map(edge).collect()
    })
}

fn expected(calls: &Calls) -> Layer {
    let full = |name: &String| Name::from(format!("service/shop/{name}"));
    let mut layer = Layer::default();
    for (from, to) in calls {
        for name in [from, to] {
            layer.entities.insert(full(name), EntityKind::Service);
        }
        layer.edges.insert((full(from), full(to)), EdgeKind::Calls);
    }
    layer
}

fn series(calls: &Calls, metric: impl Fn(&str, &str) -> serde_json::Value) -> String {
    let sample = |(a, b): &(String, String)| serde_json::json!({"metric": metric(a, b), "value": [1795328760.1, "12.4"]});
    let result: Vec<_> = calls.iter().map(sample).collect();
    let data = serde_json::json!({"resultType": "vector", "result": result});
    serde_json::json!({"status": "success", "data": data}).to_string()
}

fn links(calls: &Calls) -> Vec<serde_json::Value> {
    let link =
        |(a, b): &(String, String)| serde_json::json!({"parent": a, "child": b, "callCount": 3});
    calls.iter().map(link).collect()
}

fn kiali(calls: &Calls) -> String {
    let names: BTreeSet<&String> = calls.iter().flat_map(|(a, b)| [a, b]).collect();
    let id: BTreeMap<&String, usize> = names.iter().enumerate().map(|(at, n)| (*n, at)).collect();
    let node = |name: &&String| {
        serde_json::json!({"data": {"id": id[*name].to_string(), "nodeType": "service",
            "cluster": "east", "namespace": "shop", "service": name}})
    };
    let edge = |(a, b): &(String, String)| {
        serde_json::json!({"data": {"id": "e", "source": id[a].to_string(),
            "target": id[b].to_string(), "traffic": {"rates": {"http": "80.00"}}}})
    };
    let nodes: Vec<_> = names.iter().map(node).collect();
    let edges: Vec<_> = calls.iter().map(edge).collect();
    serde_json::json!({"elements": {"nodes": nodes, "edges": edges}}).to_string()
}

fn backstage(calls: &Calls) -> String {
    let names: BTreeSet<&String> = calls.iter().flat_map(|(a, b)| [a, b]).collect();
    let item = |name: &&String| {
        let to = calls.iter().filter(|(a, _)| a == *name);
        let relation = |(_, b): &(String, String)| serde_json::json!({"type": "dependsOn", "targetRef": format!("component:default/{b}")});
        let relations: Vec<_> = to.map(relation).collect();
        serde_json::json!({"kind": "Component", "metadata": {"name": name, "namespace": "default"},
            "spec": {"type": "service"}, "relations": relations})
    };
    let items: Vec<_> = names.iter().map(item).collect();
    serde_json::json!({"items": items, "pageInfo": {}}).to_string()
}

fn keep_yaml(calls: &Calls) -> String {
    let names: BTreeSet<&String> = calls.iter().flat_map(|(a, b)| [a, b]).collect();
    let mut text = String::from("services:\n");
    for (at, name) in names.iter().enumerate() {
        writeln!(text, "  - {{id: {at}, service: '{name}', team: a, namespace: shop}}")
            .expect("text");
    }
    text.push_str("applications: [{name: shop, services: [0]}]\ndependencies:\n");
    let id = |name: &String| names.iter().position(|n| *n == name).expect("a name");
    for (a, b) in calls {
        writeln!(text, "  - {{service_id: {}, depends_on_service_id: {}}}", id(a), id(b))
            .expect("text");
    }
    text
}

fn keep_json(calls: &Calls) -> String {
    let mut services: BTreeMap<&String, BTreeMap<&String, &str>> = BTreeMap::new();
    for (a, b) in calls {
        services.entry(a).or_default().insert(b, "http");
    }
    let service = |(name, to): (&&String, &BTreeMap<&String, &str>)| serde_json::json!({"service": name, "environment": "unknown", "dependencies": to});
    let list: Vec<_> = services.iter().map(service).collect();
    serde_json::Value::from(list).to_string()
}

fn hubble_flows(calls: &Calls) -> String {
    let end = |name: &str| {
        serde_json::json!({"namespace": "shop", "labels": [format!("k8s:app={name}")],
            "pod_name": "x-1", "workloads": [{"name": name, "kind": "Deployment"}]})
    };
    let flow = |(a, b): &(String, String)| {
        let there = serde_json::json!({"flow": {"verdict": "FORWARDED", "source": end(a),
            "destination": end(b), "is_reply": false}, "node_name": "prod/w1"});
        let back = serde_json::json!({"flow": {"verdict": "FORWARDED", "source": end(b),
            "destination": end(a), "is_reply": true}, "node_name": "prod/w1"});
        format!("{there}\n{back}\n")
    };
    calls.iter().map(flow).collect()
}

/// A graph in all formats that tell who calls whom.
fn written(calls: &Calls) -> Vec<(Format, String)> {
    use serde_json::json;
    let full = |name: &str| format!("service/shop/{name}");
    let edges = calls.iter().map(|(a, b)| json!({"from": full(a), "to": b}).to_string());
    let edges: Vec<String> = edges.collect();
    let rows: String = calls.iter().map(|(a, b)| format!("{},\"{b}\"\n", full(a))).collect();
    let layer = expected(calls);
    let otel = series(
        calls,
        |a, b| json!({"client": a, "server": b, "connection_type": "", "server_service_namespace": "shop"}),
    );
    let istio = series(calls, |a, b| {
        json!({"source_workload_namespace": "shop", "source_workload": format!("{a}-v1"),
            "source_canonical_service": a, "destination_service_namespace": "shop",
            "destination_service_name": b, "destination_workload": "unknown"})
    });
    let linkerd = series(calls, |a, b| {
        json!({"direction": "outbound", "deployment": a, "namespace": "shop",
            "authority": format!("{b}.shop:80"), "dst_statefulset": b, "dst_namespace": "shop"})
    });
    let hubble = series(calls, |a, b| {
        json!({"source_namespace": "shop", "source_workload": a,
            "destination_namespace": "shop", "destination_workload": b})
    });
    let jaeger = json!({"data": links(calls), "total": 0, "errors": null}).to_string();
    vec![
        (Format::Native, export::json(&layer)),
        (Format::Csv, format!("from,to\n{rows}")),
        (Format::Dot, export::dot(&layer)),
        (Format::Keep, keep_yaml(calls)),
        (Format::Keep, keep_json(calls)),
        (Format::ServiceGraph, otel),
        (Format::Istio, istio),
        (Format::Linkerd, linkerd),
        (Format::Hubble, hubble),
        (Format::Hubble, hubble_flows(calls)),
        (Format::Jaeger, jaeger),
        (Format::Zipkin, serde_json::Value::from(links(calls)).to_string()),
        (Format::Kiali, kiali(calls)),
        (Format::Backstage, backstage(calls)),
        (Format::Edges, edges.join("\n")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 128, ..Default::default() })]

    #[test]
    fn one_graph_in_every_format_is_one_graph(calls in graphs()) {
        prop_assume!(!calls.is_empty());
        let expected = expected(&calls);
        for (format, text) in written(&calls) {
            let layer = format.read(text.as_bytes(), &places());
            let layer = layer.map_err(|error| TestCaseError::fail(format!("{format:?}: {error}")))?;
            prop_assert_eq!(&layer.edges, &expected.edges, "{:?}", format);
            prop_assert_eq!(&layer.entities, &expected.entities, "{:?}", format);
        }
        let mut topic = EdgeTopic::default();
        for (at, (a, b)) in calls.iter().enumerate() {
            topic.apply(&at.to_le_bytes(), Some(b"{\"from\": \"x\", \"to\": \"y\"}")).expect("valid");
            let value = serde_json::json!({"from": a, "to": b}).to_string();
            topic.apply(&at.to_le_bytes(), Some(value.as_bytes())).expect("valid");
        }
        topic.apply(b"gone", Some(b"{\"from\": \"x\", \"to\": \"y\"}")).expect("valid");
        topic.apply(b"gone", None).expect("valid");
        prop_assert_eq!(topic.layer(&places()).edges, expected.edges);
    }

    #[test]
    fn what_runs_where_is_the_same_from_either_source(
        pods in prop::collection::btree_map(0..30u32, (0..4usize, 0..3usize), 1..12)
    ) {
        let zones = ["a", "b", "a"];
        let of = ["orders", "web", "cart", "db"];
        let pod = |at: &u32, of: &str| format!("{of}-5c44f58f6c-{at:05}");
        let info = pods.iter().map(|(at, (owner, node))| serde_json::json!({"metric": {
            "__name__": "kube_pod_info", "namespace": "shop", "pod": pod(at, of[*owner]),
            "node": format!("w{node}"), "created_by_kind": "ReplicaSet",
            "created_by_name": format!("{}-5c44f58f6c", of[*owner])}, "value": [0, "1"]}));
        let zone = (0..3).map(|at| serde_json::json!({"metric": {"node": format!("w{at}"),
            "label_topology_kubernetes_io_zone": zones[at]}, "value": [0, "1"]}));
        let answer = |result: Vec<serde_json::Value>| {
            serde_json::json!({"status": "success",
                "data": {"resultType": "vector", "result": result}}).to_string()
        };
        let metrics = [answer(info.collect()), answer(zone.collect())];
        let items = pods.iter().map(|(at, (owner, node))| serde_json::json!({"kind": "Pod",
            "metadata": {"namespace": "shop", "name": pod(at, of[*owner]), "ownerReferences": [
                {"kind": "ReplicaSet", "name": format!("{}-5c44f58f6c", of[*owner])}]},
            "spec": {"nodeName": format!("w{node}")}}));
        let nodes = (0..3).map(|at| serde_json::json!({"kind": "Node", "metadata": {
            "name": format!("w{at}"), "labels": {"topology.kubernetes.io/zone": zones[at]}}}));
        let items: Vec<_> = items.chain(nodes).collect();
        let list = serde_json::json!({"kind": "List", "items": items}).to_string();
        let pieces: Vec<&[u8]> = metrics.iter().map(String::as_bytes).collect();
        let asked = Format::KubeState.read_all(&pieces, &places()).expect("valid");
        let dumped = Format::Kubectl.read(list.as_bytes(), &places()).expect("valid");
        prop_assert_eq!(&asked.edges, &dumped.edges);
        prop_assert_eq!(&asked.entities, &dumped.entities);
        prop_assert!(asked.entities.keys().any(|name| name.starts_with("workload/shop/")));
        for (exported, format) in [(export::json(&asked), Format::Native), (export::dot(&asked), Format::Dot)] {
            let again = format.read(exported.as_bytes(), &Places::default()).expect("valid");
            prop_assert_eq!(&again.edges, &asked.edges);
            prop_assert_eq!(&again.entities, &asked.entities);
        }
    }
}
