use super::*;
use crate::label::LabelLimits;

fn labels<R>(pairs: &[(&str, &str)], look: impl FnOnce(Labels<'_>) -> R) -> R {
    let mut pairs = pairs.to_vec();
    look(Labels::canonical(&mut pairs, &LabelLimits::default()).expect("valid"))
}

fn spec(rules: &[MappingRule]) -> MappingSpec {
    MappingSpec { rules: rules.to_vec(), ..MappingSpec::default() }
}

fn map(spec: &MappingSpec, pairs: &[(&str, &str)]) -> Option<(String, String)> {
    let mapping = Mapping::new(spec).expect("valid");
    labels(pairs, |labels| {
        mapping.entity(labels).map(|m| (m.entity.to_string(), m.rule.to_owned()))
    })
}

fn rule(name: &str, label: &str, pattern: &str, to: &str) -> MappingRule {
    MappingRule {
        name: name.into(),
        matches: vec![(label.into(), pattern.into())],
        to: to.into(),
        ..MappingRule::default()
    }
}

#[test]
fn plain_labels_name_the_subject() {
    let of = |pairs: &[(&str, &str)]| map(&MappingSpec::default(), pairs);
    let yes = |entity: &str, rule: &str| Some((entity.to_owned(), rule.to_owned()));
    assert_eq!(of(&[("service", "a"), ("job", "b"), ("node", "c")]), yes("a", "service"));
    assert_eq!(of(&[("job", "b"), ("node", "c")]), yes("node/c", "node"));
    assert_eq!(of(&[("job", "b"), ("instance", "h:1")]), yes("b", "job"));
    assert_eq!(of(&[("job", "shop/b"), ("namespace", "n")]), yes("service/n/b", "job"));
    assert_eq!(of(&[("instance", "h:9100")]), yes("node/h", "instance"));
    assert_eq!(of(&[("instance", "fe80::1")]), yes("node/fe80::1", "instance"));
    assert_eq!(of(&[("instance", "[fe80::1]:80")]), yes("node/[fe80::1]", "instance"));
    let probe = [("job", "blackbox"), ("instance", "https://shop.example.org:443/health?x")];
    assert_eq!(of(&probe), yes("shop.example.org", "probe"));
    assert_eq!(of(&[("alertname", "x")]), None);
}

#[test]
fn rules_match_in_order_with_anchored_patterns() {
    let rules = spec(&[
        rule("kube", "alertname", "KubeNode.*", "node/${node}"),
        rule("rest", "alertname", ".+", "service/${namespace}/${service}"),
    ]);
    let kube = map(&rules, &[("alertname", "KubeNodeNotReady"), ("node", "n1")]);
    assert_eq!(kube.expect("maps").0, "node/n1");
    assert_eq!(map(&rules, &[("alertname", "XKubeNode"), ("node", "n1")]), None);
    let rest = [("alertname", "a"), ("namespace", "n"), ("service", "s")];
    assert_eq!(map(&rules, &rest).expect("maps").0, "service/n/s");
}

#[test]
fn own_rules_come_first() {
    let own = vec![rule("mine", "team", "db", "database/${instance|strip_port}")];
    let spec = MappingSpec { own, ..MappingSpec::default() };
    let pairs = [("team", "db"), ("service", "s"), ("instance", "pg1:9187")];
    assert_eq!(map(&spec, &pairs), Some(("database/pg1".to_owned(), "mine".to_owned())));
    assert_eq!(map(&spec, &pairs[1..]).expect("maps").1, "service");
}

#[test]
fn parts_of_a_name_can_be_left_out() {
    let one = spec(&[rule("r", "pod", ".+", "pod/${cluster?}/${namespace?}/${pod}")]);
    let of = |pairs: &[(&str, &str)]| map(&one, pairs).expect("maps").0;
    assert_eq!(of(&[("pod", "p")]), "pod/p");
    assert_eq!(of(&[("pod", "p"), ("namespace", "n")]), "pod/n/p");
    assert_eq!(of(&[("pod", "p"), ("cluster", "c")]), "pod/c/-/p");
    assert_eq!(of(&[("pod", "p"), ("cluster", "c"), ("namespace", "n")]), "pod/c/n/p");
    let other = spec(&[rule("r", "a", ".+", "cluster/${cluster=this}")]);
    assert_eq!(map(&other, &[("a", "1")]).expect("maps").0, "cluster/this");
}

#[test]
fn labels_of_exporters_are_hidden_and_what_they_export_is_seen() {
    let of = |pairs: &[(&str, &str)]| map(&MappingSpec::default(), pairs).expect("maps").0;
    let exporter = [
        ("job", "kube-state-metrics"),
        ("service", "kps-kube-state-metrics"),
        ("pod", "kps-kube-state-metrics-5c44f58f6c-cmctr"),
        ("instance", "10.2.0.9:8080"),
        ("container", "kube-state-metrics"),
    ];
    let with = |more: &[(&'static str, &'static str)]| {
        let mut all: Vec<_> = exporter.to_vec();
        all.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
        all.extend(more);
        of(&all)
    };
    assert_eq!(with(&[("namespace", "shop")]), "namespace/shop");
    assert_eq!(with(&[("namespace", "shop"), ("pod", "orders-0")]), "pod/shop/orders-0");
    assert_eq!(
        with(&[("namespace", "m"), ("exported_namespace", "shop"), ("exported_pod", "pg-0")]),
        "pod/shop/pg-0"
    );
    assert_eq!(with(&[("exported_service", "orders")]), "orders");
    assert_eq!(with(&[("alertname", "TargetDown")]), "kps-kube-state-metrics");
    let itself = [("alertname", "KubePodCrashLooping"), ("namespace", "m")];
    assert_eq!(with(&itself), "pod/m/kps-kube-state-metrics-5c44f58f6c-cmctr");
}

#[test]
fn why_not_is_told_of_each_rule_passed_over() {
    let rules = [
        rule("a", "alertname", "Node.*", "node/${node}"),
        rule("b", "team", "x|y", "${service}"),
        rule("c", "alertname", ".+", "${service}"),
        rule("d", "alertname", ".+", "namespace/${namespace}"),
        rule("e", "job", ".+", "${job}"),
    ];
    let mapping = Mapping::new(&spec(&rules)).expect("valid");
    let pairs = [
        ("alertname", "A"),
        ("team", "z"),
        ("service", "kube-state-metrics"),
        ("namespace", "n"),
        ("job", "kube-state-metrics"),
    ];
    let shown: Vec<String> = labels(&pairs, |labels| {
        let why = |t: &Tried<'_>| t.why_not.clone().unwrap_or_else(|| "matches".to_owned());
        mapping.tried(labels).iter().map(why).collect()
    });
    let expected = [
        "alertname is \"A\", not Node.*",
        "team is \"z\", not x|y",
        "service is not set but to name the exporter",
        "matches",
    ];
    assert_eq!(shown, expected);
    let hidden = labels(&pairs, |labels| {
        let (job, hidden) = mapping.hidden(labels).expect("an exporter");
        (job.to_owned(), hidden.join(","))
    });
    assert_eq!(hidden, ("kube-state-metrics".to_owned(), "job,service".to_owned()));
}

#[test]
fn every_mistake_is_named() {
    let bad = |rule: MappingRule| {
        Mapping::new(&spec(&[rule])).expect_err("refused").remove(0).to_string()
    };
    let named = |to: &str| MappingRule {
        name: "r".into(),
        any_of: vec!["a".into()],
        to: to.into(),
        ..MappingRule::default()
    };
    assert!(bad(MappingRule { name: String::new(), ..named("x") }).contains("mapping.rules[0]"));
    assert!(bad(named("")).contains("has no `to`"));
    assert!(bad(named("${a")).contains("not closed"));
    assert!(bad(named("${}")).contains("names no label"));
    assert!(bad(named("${a b}")).contains("`a b` is not the name of a label"));
    assert!(bad(named("${a|upper}")).contains("there are strip_port, after_slash, host"));
    assert!(bad(named("nod/${a}")).contains("\"nod\" is no kind of entity; there are service,"));
    assert!(bad(named("node//${a}")).contains("nothing stands between two slashes"));
    assert!(bad(named("node/${a?}")).contains("the name itself cannot be left out"));
    assert!(bad(named("${a?}")).contains("only cluster and namespace"));
    assert!(bad(MappingRule { any_of: vec![], ..named("x") }).contains("everything"));
    assert!(bad(MappingRule { any_of: vec![], ..named("${value}") }).contains("needs `match_any`"));
    assert!(bad(MappingRule { action: Action::Drop, ..named("x") }).contains("names no entity"));
    let pattern = vec![("l".to_owned(), "(".to_owned())];
    assert!(bad(MappingRule { matches: pattern, ..named("x") }).contains("unclosed group"));
    let exporters = vec![Exporter { job: "(".to_owned(), hides: vec![] }, Exporter::default()];
    let errors = Mapping::new(&MappingSpec { exporters, ..MappingSpec::default() });
    assert_eq!(errors.expect_err("refused").len(), 2);
}

#[test]
fn rules_that_nothing_reaches_are_told() {
    let refused = |rules: &[MappingRule]| match Mapping::new(&spec(rules)) {
        Ok(_) => String::new(),
        Err(errors) => errors.iter().map(|e| format!("{e}\n")).collect::<String>(),
    };
    let broad = rule("broad", "alertname", "Kube.*", "node/${node}");
    let narrow = rule("narrow", "alertname", "KubeNodeNotReady|KubeletDown", "node/${node}");
    let shadowed = refused(&[broad.clone(), narrow.clone()]);
    assert!(shadowed.contains("mapping.rules[1]: can never match: rule \"broad\" before it takes"));
    assert_eq!(refused(&[narrow.clone(), broad.clone()]), "");
    let other = rule("other", "alertname", "KubeNodeNotReady", "node/${instance}");
    assert_eq!(refused(&[broad.clone(), other]), "", "the name may need a label that is not set");
    let exporter = MappingRule { exporter: true, ..narrow };
    assert_eq!(refused(&[broad.clone(), exporter]), "", "it sees more labels");
    assert!(refused(&[broad.clone(), broad]).contains("has the name of a rule before it"));
    let any = |name: &str, labels: &[&str]| MappingRule {
        name: name.into(),
        any_of: labels.iter().map(|&l| l.to_owned()).collect(),
        to: "${value}".into(),
        ..MappingRule::default()
    };
    assert!(refused(&[any("a", &["x", "y"]), any("b", &["y", "x"])]).contains("can never match"));
    assert_eq!(refused(&[any("a", &["x"]), any("b", &["x", "y"])]), "");
}
