//! Alert rules, as installations have them: names, severities, limits, and how long a condition
//! must hold before they fire (`for`).

use hypocenter_engine::Side;

use super::graph::Graph;
use super::layered::Role;
use super::numbers::Numbers;
use super::scenario::Alert;

/// What a rule watches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Watches {
    /// Seconds per request.
    Latency,
    /// Failed requests, in per cent.
    Errors,
    /// Answered requests, in per cent.
    Availability,
    /// Use of something that is limited, in per cent.
    Saturation,
    /// Restarts and absence.
    Crash,
    /// Requests per second, too few.
    Traffic,
    /// Outgoing requests that fail or take too long, in per cent.
    Outgoing,
    /// Seconds per request of one known caller.
    Edge,
    /// Work that waits.
    Backlog,
}

/// One rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) name: &'static str,
    pub(super) watches: Watches,
    pub(super) severity: &'static str,
    pub(super) metric: &'static str,
    /// Values of `for` to draw from, in minutes.
    holds: &'static [f64],
    /// Where it is used.
    roles: &'static [Role],
}

const SERVERS: &[Role] = &[Role::Service];
const DOORS: &[Role] = &[Role::Gateway];
const STORES: &[Role] = &[Role::Store];
const ANSWERING: &[Role] = &[Role::Gateway, Role::Service];

const fn rule(
    name: &'static str,
    watches: Watches,
    severity: &'static str,
    metric: &'static str,
    holds: &'static [f64],
    roles: &'static [Role],
) -> Rule {
    Rule { name, watches, severity, metric, holds, roles }
}

const SOON: &[f64] = &[0.0, 1.0, 2.0, 5.0];
const LATER: &[f64] = &[2.0, 5.0, 10.0];
const LATE: &[f64] = &[5.0, 10.0, 15.0];

/// All rules.
pub(super) const RULES: &[Rule] = &[
    rule("HighRequestLatency", Watches::Latency, "warning", "http_p95_seconds", LATER, SERVERS),
    rule(
        "RequestLatencyP99Critical",
        Watches::Latency,
        "critical",
        "http_p99_seconds",
        SOON,
        SERVERS,
    ),
    rule("GatewayLatencyP95High", Watches::Latency, "critical", "http_p95_seconds", LATER, DOORS),
    rule("QueryLatencyHigh", Watches::Latency, "warning", "query_p95_seconds", LATER, STORES),
    rule("HighErrorRate", Watches::Errors, "critical", "http_5xx_ratio", SOON, SERVERS),
    rule("GrpcErrorsHigh", Watches::Errors, "warning", "grpc_error_ratio", LATER, SERVERS),
    rule("OperationsFailing", Watches::Errors, "critical", "op_error_ratio", LATER, STORES),
    rule("AvailabilityLow", Watches::Availability, "critical", "http_success_ratio", SOON, DOORS),
    rule("ContainerCpuHigh", Watches::Saturation, "warning", "cpu_ratio", LATE, ANSWERING),
    rule("ThreadPoolExhausted", Watches::Saturation, "warning", "threads_ratio", LATE, SERVERS),
    rule("ContainerMemoryHigh", Watches::Saturation, "warning", "memory_ratio", LATE, SERVERS),
    rule(
        "ConnectionsSaturated",
        Watches::Saturation,
        "critical",
        "connections_ratio",
        LATE,
        STORES,
    ),
    rule("DiskAlmostFull", Watches::Saturation, "warning", "disk_ratio", LATE, STORES),
    rule("KubePodCrashLooping", Watches::Crash, "warning", "restarts", &[15.0], SERVERS),
    rule("TargetDown", Watches::Crash, "critical", "targets_missing", &[10.0], STORES),
    rule("TrafficLow", Watches::Traffic, "warning", "http_requests_rate", LATE, ANSWERING),
    rule("UpstreamTimeouts", Watches::Outgoing, "warning", "client_timeout_ratio", SOON, ANSWERING),
    rule("EdgeLatencyHigh", Watches::Edge, "warning", "edge_p95_seconds", LATER, ANSWERING),
    rule("ConsumerLagHigh", Watches::Backlog, "warning", "consumer_lag", LATE, SERVERS),
];

/// What goes wrong at a place: what a rule there can see of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trouble {
    /// Seconds that a request takes longer.
    pub(super) delay: f64,
    /// Requests that fail, in per cent.
    pub(super) failing: f64,
}

/// A measured value against its limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) threshold: f64,
    pub(super) side: Side,
    pub(super) worst: f64,
}

impl Rule {
    /// Whether such an entity has it.
    pub(super) fn suits(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// How long its condition must hold, in minutes.
    pub(super) fn hold(&self, numbers: &mut Numbers) -> f64 {
        numbers.pick(self.holds)
    }

    /// What it sees of a trouble; `None` when that stays within its limit.
    pub(super) fn reads(&self, trouble: Trouble, numbers: &mut Numbers) -> Option<Reading> {
        let above = |threshold, worst| Reading { threshold, side: Side::Above, worst };
        let below = |threshold, worst| Reading { threshold, side: Side::Below, worst };
        let failing = trouble.failing * numbers.uniform(0.6, 1.0);
        let reading = match self.watches {
            Watches::Latency | Watches::Edge => {
                let usual = numbers.log_uniform(0.02, 0.3);
                let slow = usual + trouble.delay * numbers.uniform(0.7, 1.5);
                above(round(usual * numbers.uniform(2.0, 4.0)), slow)
            }
            Watches::Errors => above(numbers.pick(&[1.0, 2.0, 5.0]), failing),
            Watches::Availability => below(numbers.pick(&[99.0, 99.5]), 100.0 - failing),
            Watches::Outgoing => {
                let timed_out = failing.max(8.0 * trouble.delay * numbers.unit());
                above(numbers.pick(&[1.0, 2.0]), timed_out.min(100.0))
            }
            Watches::Saturation => {
                let limit = numbers.pick(&[80.0, 85.0, 90.0]);
                above(limit, numbers.uniform(limit + 2.0, 100.0))
            }
            Watches::Crash => above(0.0, numbers.between(1, 6) as f64),
            Watches::Traffic => {
                let usual = numbers.log_uniform(5.0, 2_000.0);
                below(round(usual * 0.5), usual * numbers.uniform(0.05, 0.45))
            }
            Watches::Backlog => {
                let limit = numbers.pick(&[1_000.0, 10_000.0]);
                above(limit, limit * numbers.log_uniform(1.2, 20.0))
            }
        };
        let over = match reading.side {
            Side::Above => reading.worst > reading.threshold,
            Side::Below => reading.worst < reading.threshold,
        };
        over.then_some(reading)
    }

    /// Its alert on an entity; `caller` for a rule about one edge.
    pub(super) fn on(
        &self,
        graph: &Graph,
        entity: usize,
        caller: Option<usize>,
        reading: Reading,
    ) -> Alert {
        let text = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut labels = vec![
            text("alertname", self.name),
            text("metric", self.metric),
            text("namespace", "prod"),
            text("service", &graph.names[entity]),
            text("severity", self.severity),
        ];
        labels.extend(caller.map(|caller| text("source", &graph.names[caller])));
        labels.sort();
        Alert { entity, labels, threshold: reading.threshold, side: reading.side }
    }
}

/// A rule by its name.
pub(super) fn named(name: &str) -> &'static Rule {
    let found = RULES.iter().find(|rule| rule.name == name);
    found.expect("rules are named by literals of this crate, which the tests draw")
}

/// Two significant digits, as people write limits.
fn round(value: f64) -> f64 {
    format!("{value:.1e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_sees_trouble_or_nothing() {
        let mut numbers = Numbers::new("rules", 1);
        let bad = Trouble { delay: 3.0, failing: 60.0 };
        for rule in RULES {
            assert!(rule.reads(bad, &mut numbers).is_some(), "{} is blind", rule.name);
        }
        for name in ["HighErrorRate", "AvailabilityLow", "HighRequestLatency"] {
            let reading = named(name).reads(Trouble::default(), &mut numbers);
            assert!(reading.is_none(), "{name} cries wolf");
        }
    }
}
