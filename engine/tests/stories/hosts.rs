//! A machine under many workloads: it is the cause where several of them are in trouble, and not
//! where one is.

use hypocenter_engine::{EntityKind, TopologyBuilder};

use crate::support::{Event, Player, policy};

const WORKLOADS: usize = 12;
const PODS: usize = 30;

/// Thirty pods of twelve workloads on one of two nodes, and one pod of each on the other.
fn cluster() -> hypocenter_engine::Topology {
    let mut builder = TopologyBuilder::new();
    let workload = |at: usize| format!("workload/shop/w{:02}", at % WORKLOADS);
    for node in ["node/n1", "node/n2"] {
        builder.edge(node, "zone/a");
    }
    for at in 0..PODS {
        let pod = pod(at);
        builder.edge(&pod, "node/n1");
        builder.edge(&workload(at), &pod);
    }
    for at in 0..WORKLOADS {
        let pod = format!("pod/shop/w{at:02}-9b649846d-zzzzz");
        builder.edge(&pod, "node/n2");
        builder.edge(&workload(at), &pod);
        builder.edge(&format!("service/shop/s{at:02}"), &workload(at));
    }
    let (topology, _) = builder.build();
    assert_eq!(topology.kind_of(&pod(0)), Some(EntityKind::Pod));
    topology
}

fn pod(at: usize) -> String {
    let letters = b"bcdfghjklm";
    let (a, b) = (letters[at / 10] as char, letters[at % 10] as char);
    format!("pod/shop/w{:02}-9b649846d-xxx{a}{b}", at % WORKLOADS)
}

/// Seconds, name and labels of an alert.
type Alert<'a> = (i64, &'a str, &'a [(&'a str, &'a str)]);

/// Plays alerts, a second apart from the second one given, and what is due by two minutes later.
fn play(alerts: &[Alert<'_>]) -> Player {
    let mut player = Player::new(policy(|_| ()), cluster(), 7);
    let mut last = 0;
    for &(at, name, labels) in alerts {
        let mut all = vec![("alertname".to_owned(), name.to_owned())];
        all.push(("severity".to_owned(), "warning".to_owned()));
        all.extend(labels.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())));
        let now = 10_000_000 + at * 1000;
        let event = Event {
            now,
            labels: all,
            starts: Some(now),
            ends: None,
            status: None,
            breach: None,
            held: 0,
        };
        player.step(&event);
        last = now;
    }
    player.advance(last + 100_000);
    player
}

/// The candidates of the incidents that live, with the entities that alert in each.
fn found(player: &Player) -> Vec<(String, usize)> {
    let live = player.engine.incidents().filter(|view| !view.phase().is_final());
    let mut found: Vec<(String, usize)> = live
        .map(|view| (view.root_cause().map_or("", |root| root.entity).to_owned(), view.entities()))
        .collect();
    found.sort();
    found
}

fn failing(pods: &[usize]) -> Vec<(i64, String)> {
    (0..).zip(pods).map(|(at, &number)| (at * 2, pod(number))).collect()
}

fn all_down(own: bool) -> Player {
    let pods = failing(&(0..PODS).collect::<Vec<_>>());
    let names: Vec<(i64, &str)> =
        pods.iter().map(|(at, pod)| (*at, pod.rsplit('/').next().expect("a name"))).collect();
    let labels: Vec<[(&str, &str); 2]> =
        names.iter().map(|(_, pod)| [("namespace", "shop"), ("pod", *pod)]).collect();
    let mut alerts: Vec<Alert<'_>> = Vec::new();
    for ((at, _), labels) in names.iter().zip(&labels) {
        alerts.push((*at, "KubePodNotReady", labels));
    }
    if own {
        alerts.insert(4, (7, "KubeNodeNotReady", &[("node", "n1")]));
    }
    play(&alerts)
}

#[test]
fn a_node_that_fails_under_many_workloads_is_the_cause_of_one_incident() {
    assert_eq!(found(&all_down(true)), [("node/n1".to_owned(), PODS + 1)]);
    assert_eq!(found(&all_down(false)), [("node/n1".to_owned(), PODS)]);
}

#[test]
fn one_workload_in_trouble_does_not_accuse_its_machine() {
    let first = pod(0);
    let again = pod(WORKLOADS);
    let name = |pod: &str| pod.rsplit('/').next().expect("a name").to_owned();
    let (first, again) = (name(&first), name(&again));
    let one = play(&[(0, "KubePodCrashLooping", &[("namespace", "shop"), ("pod", &first)])]);
    assert_eq!(found(&one), [(pod(0), 1)]);
    let two = play(&[
        (0, "KubePodNotReady", &[("namespace", "shop"), ("pod", &first)]),
        (5, "KubePodNotReady", &[("namespace", "shop"), ("pod", &again)]),
    ]);
    for view in two.engine.incidents() {
        let hosts = ["node/n1", "node/n2", "zone/a"];
        let accused = view.candidates().iter().any(|c| hosts.contains(&c.entity));
        assert!(!accused, "{:?}", view.candidates());
    }
}

#[test]
fn what_watches_is_never_the_cause_of_what_burns() {
    let player = play(&[
        (0, "TargetDown", &[("service", "s00"), ("namespace", "shop"), ("job", "s00")]),
        (1, "LatencyHigh", &[("service", "s00"), ("namespace", "shop")]),
    ]);
    let view = player.engine.incidents().next().expect("an incident");
    let root = view.root_cause().expect("a candidate");
    assert_eq!((root.entity, root.alertname), ("service/shop/s00", Some("LatencyHigh")));
    assert_eq!(view.degraded().blind, 1);
    let kind = root.kind.expect("an alert");
    assert_eq!(kind.name(), "latency");
}
