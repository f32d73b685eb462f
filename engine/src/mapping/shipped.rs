//! The mapping that is shipped: right for the rules of kube-prometheus and the mixins that it is
//! made of, and for plain labels otherwise.

use super::{Action, Exporter, MappingRule};

/// Where things of a cluster are named.
const PLACE: &str = "${cluster?}/${namespace?}";

/// A rule by its name, what must match, and what the entity is called.
fn rule(name: &str, matches: &[(&str, &str)], to: &str) -> MappingRule {
    let pair = |&(label, pattern): &(&str, &str)| (label.to_owned(), pattern.to_owned());
    MappingRule {
        name: name.to_owned(),
        matches: matches.iter().map(pair).collect(),
        to: to.to_owned(),
        ..MappingRule::default()
    }
}

fn any(any_of: &[&str], rule: MappingRule) -> MappingRule {
    MappingRule { any_of: any_of.iter().map(|&label| label.to_owned()).collect(), ..rule }
}

fn doing(action: Action, rule: MappingRule) -> MappingRule {
    MappingRule { action, ..rule }
}

fn of_exporter(rule: MappingRule) -> MappingRule {
    MappingRule { exporter: true, ..rule }
}

/// The rules.
#[must_use]
pub fn default_rules() -> Vec<MappingRule> {
    let mut rules = about_monitoring();
    rules.extend(about_control_plane());
    rules.extend(about_kubernetes());
    rules.extend(about_services());
    rules
}

/// Alerts about what watches, which say nothing of what is watched.
fn about_monitoring() -> Vec<MappingRule> {
    let alert = |name, pattern, to: &str| rule(name, &[("alertname", pattern)], to);
    let blind = |rule| doing(Action::Blind, of_exporter(rule));
    vec![
        doing(Action::Heartbeat, alert("heartbeat", "Watchdog|DeadMansSwitch", "")),
        doing(Action::Drop, alert("inhibitor", "InfoInhibitor", "")),
        blind(any(
            &["service", "job"],
            alert("target", "TargetDown", &format!("service/{PLACE}/${{value}}")),
        )),
        blind(alert(
            "state-metrics",
            "KubeStateMetrics.*",
            "service/${cluster?}/kube-state-metrics",
        )),
        blind(alert(
            "operator",
            "PrometheusOperator.*",
            &format!("service/{PLACE}/prometheus-operator"),
        )),
        blind(alert("reloader", "ConfigReloader.*", &format!("pod/{PLACE}/${{pod}}"))),
        blind(any(
            &["service", "job"],
            alert(
                "monitoring",
                "(Prometheus|Alertmanager)[A-Z].*",
                &format!("service/{PLACE}/${{value}}"),
            ),
        )),
        of_exporter(any(
            &["service", "job"],
            alert("grafana", "Grafana.*", &format!("service/{PLACE}/${{value}}")),
        )),
    ]
}

fn about_control_plane() -> Vec<MappingRule> {
    let alert = |name, pattern, to: &str| of_exporter(rule(name, &[("alertname", pattern)], to));
    let system = |name: &str| format!("service/${{cluster?}}/kube-system/{name}");
    let apiserver = "KubeAPI.*|KubeClientCertificateExpiration";
    let overcommit = "Kube(CPU|Memory)(Quota)?Overcommit|KubeVersionMismatch|KubeletDown";
    vec![
        alert("aggregated-api", "KubeAggregatedAPI.*", "service/${cluster?}/${name}"),
        alert("apiserver", apiserver, &system("kube-apiserver")),
        alert("scheduler", "KubeScheduler.*", &system("kube-scheduler")),
        alert("controllers", "KubeControllerManager.*", &system("kube-controller-manager")),
        alert("proxy", "KubeProxy.*", &system("kube-proxy")),
        alert("etcd", "[Ee]tcd.*", "database/${cluster?}/kube-system/etcd"),
        alert("api-client", "KubeClientErrors", &format!("service/{PLACE}/${{job}}")),
        alert("cluster", overcommit, "cluster/${cluster=this}"),
    ]
}

fn about_kubernetes() -> Vec<MappingRule> {
    let alert = ("alertname", "KubeNode.*|Kubelet.*");
    let pods =
        ("alertname", "KubePod(CrashLooping|NotReady)|KubeContainerWaiting|CPUThrottlingHigh");
    let node = "node/${cluster?}/${value|strip_port}";
    vec![
        any(&["node", "instance"], rule("kube-node", &[alert], node)),
        any(
            &["node", "instance"],
            rule("node-exporter", &[("job", "(.*[-/])?node-exporter")], node),
        ),
        any(&["node", "instance"], rule("node-alert", &[("alertname", "Node[A-Z].*")], node)),
        of_exporter(rule("kube-pod", &[pods, ("pod", ".+")], &format!("pod/{PLACE}/${{pod}}"))),
        any(&["persistentvolumeclaim"], rule("claim", &[], &format!("volume/{PLACE}/${{value}}"))),
        any(&["persistentvolume"], rule("volume", &[], "volume/${cluster?}/${value}")),
        any(
            &[
                "deployment",
                "statefulset",
                "daemonset",
                "cronjob",
                "job_name",
                "horizontalpodautoscaler",
                "poddisruptionbudget",
            ],
            rule("workload", &[], &format!("workload/{PLACE}/${{value}}")),
        ),
        any(&["resourcequota"], rule("quota", &[], "namespace/${cluster?}/${namespace}")),
    ]
}

fn about_services() -> Vec<MappingRule> {
    let one = |name, labels: &[&str], to: &str| any(labels, rule(name, &[], to));
    let service = format!("service/{PLACE}/${{value}}");
    let mesh = "service/${cluster?}/${destination_service_namespace?}/${value}";
    let database = ["dbinstance_identifier", "cache_cluster_id"];
    let external = ["load_balancer", "resource_id", "arn"];
    vec![
        any(&["target", "instance"], rule("probe", &[("job", "blackbox.*")], "${value|host}")),
        one("otel", &["service_name"], "service/${cluster?}/${service_namespace?}/${value}"),
        one("mesh", &["destination_service_name"], mesh),
        one("service", &["service"], &service),
        one("app", &["app", "app_kubernetes_io_name", "application", "component"], &service),
        one("pod", &["pod"], &format!("pod/{PLACE}/${{value}}")),
        one("database", &database, "database/${value}"),
        one("external", &external, "external/${value}"),
        one("node", &["node"], "node/${cluster?}/${value}"),
        one("job", &["job"], &format!("service/{PLACE}/${{value|after_slash}}")),
        one("instance", &["instance"], "node/${cluster?}/${value|strip_port}"),
        one("namespace", &["namespace"], "namespace/${cluster?}/${value}"),
    ]
}

/// The exporters whose labels name themselves.
#[must_use]
pub fn default_exporters() -> Vec<Exporter> {
    let exporter = |job: &str, hides: &[&str]| Exporter {
        job: job.to_owned(),
        hides: hides.iter().map(|&label| label.to_owned()).collect(),
    };
    let place = ["service", "endpoint", "container", "pod", "namespace"];
    let all = ["service", "endpoint", "container", "pod", "namespace", "instance", "job"];
    vec![
        exporter(
            "(.*[-/])?kube-state-metrics",
            &["service", "endpoint", "container", "pod", "instance", "job"],
        ),
        exporter("(.*[-/])?(kubelet|cadvisor)", &["service", "endpoint", "instance", "job"]),
        exporter("(.*[-/])?node-exporter", &place),
        exporter("(blackbox|snmp).*", &place),
        exporter("yace|.*cloudwatch.*|stackdriver.*|pushgateway", &all),
    ]
}

/// The names of labels that go by several.
#[must_use]
pub fn default_aliases() -> Vec<(String, Vec<String>)> {
    let alias = |name: &str, names: &[&str]| {
        (name.to_owned(), names.iter().map(|&name| name.to_owned()).collect())
    };
    vec![
        alias("cluster", &["cluster", "k8s_cluster_name", "cluster_name"]),
        alias("namespace", &["namespace", "k8s_namespace_name", "kubernetes_namespace"]),
        alias("pod", &["pod", "pod_name", "k8s_pod_name", "kubernetes_pod_name"]),
        alias("node", &["node", "nodename", "kubernetes_node", "k8s_node_name"]),
        alias("deployment", &["deployment", "k8s_deployment_name"]),
        alias("statefulset", &["statefulset", "k8s_statefulset_name"]),
        alias("daemonset", &["daemonset", "k8s_daemonset_name"]),
    ]
}
