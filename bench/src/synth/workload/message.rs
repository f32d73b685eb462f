//! One message: what it says, as an event and as the JSON that Prometheus would post.

use std::fmt::Write as _;
use std::io::Write as _;

use hypocenter_engine::{AlertEvent, Breach, LabelLimits, Labels, Span, Status, Timestamp};

use super::super::play::sign;
use super::super::rules::named;
use super::super::scenario::EPOCH_MS;
use super::{Rule, Workload, rule};

/// One message about one alert. Times are nanoseconds from the workload's beginning.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Message {
    /// When it arrives.
    pub at: i64,
    /// Tells alerts of one rule on one entity apart: their pod.
    pub(super) number: u64,
    pub(super) entity: usize,
    pub(super) rule: usize,
    pub(super) starts: i64,
    pub(super) ends: i64,
    pub(super) resolved: bool,
    /// Which of a pair of senders tells of it, where there are two.
    pub(super) replica: Option<u8>,
}

/// The labels of a message, which an event borrows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Labelled {
    pairs: Vec<(&'static str, String)>,
}

impl Labelled {
    /// Name and value, in order of names.
    #[must_use]
    pub fn pairs(&self) -> Vec<(&str, &str)> {
        self.pairs.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    /// As `name=value;` for each.
    pub fn write(&self, to: &mut Vec<u8>) {
        for (name, value) in &self.pairs {
            for text in [name, "=", value, ";"] {
                to.extend_from_slice(text.as_bytes());
            }
        }
    }
}

impl Message {
    /// Its labels: ten, or eleven with the sender's replica.
    #[must_use]
    pub fn labelled(&self, workload: &Workload) -> Labelled {
        let service = workload.name(self.entity);
        let (number, name) = (self.number, rule(self.rule).name);
        let rule = named(name);
        let mut pairs = vec![
            ("alertname", name.to_owned()),
            ("cluster", "eu-1".to_owned()),
            ("container", "app".to_owned()),
            (
                "instance",
                format!("10.{}.{}.{}:9090", number >> 16 & 255, number >> 8 & 255, number & 255),
            ),
            ("job", "kubernetes-pods".to_owned()),
            ("metric", rule.metric.to_owned()),
            ("namespace", "prod".to_owned()),
            ("pod", format!("{service}-{:010x}", number)),
        ];
        let replica = |replica| ("prometheus_replica", format!("prometheus-{replica}"));
        pairs.extend(self.replica.map(replica));
        pairs.push(("service", service.to_owned()));
        pairs.push(("severity", rule.severity.to_owned()));
        Labelled { pairs }
    }

    /// When it arrives, as log time, with the beginning `shift` nanoseconds later.
    #[must_use]
    pub fn time(&self, shift: i64) -> Timestamp {
        instant(self.at, shift)
    }

    /// Log time so many nanoseconds from the workload's beginning.
    #[must_use]
    pub fn instant(at: i64) -> Timestamp {
        instant(at, 0)
    }

    /// As an event for an engine. `pairs` are those of [`Message::labelled`].
    ///
    /// # Panics
    /// Never: the labels of messages are valid.
    #[must_use]
    pub fn event<'a>(&self, pairs: &'a mut Vec<(&'a str, &'a str)>) -> AlertEvent<'a> {
        let Rule { threshold, side, worst, .. } = rule(self.rule);
        AlertEvent {
            labels: Labels::canonical(pairs, &LabelLimits::default())
                .expect("the labels of messages are few and short"),
            starts_at: Some(instant(whole_ms(self.starts), 0)),
            ends_at: Some(instant(whole_ms(self.ends), 0)),
            held: Span::ZERO,
            // Prometheus sends none: what is over has an end that is past.
            status: self.resolved.then_some(Status::Resolved),
            breach: Some(Breach { value: worst, threshold, side }),
        }
    }

    /// Appends it as one alert in JSON, of about 600 bytes. The beginning is `shift` nanoseconds
    /// later.
    pub fn write_json(&self, workload: &Workload, shift: i64, to: &mut Vec<u8>) {
        let Rule { name, threshold, side, worst } = rule(self.rule);
        let service = workload.name(self.entity);
        let mut text = String::with_capacity(640);
        let time = |ns| hypocenter::record::rfc3339(instant(whole_ms(ns), shift));
        let (starts, ends) = (time(self.starts), time(self.ends));
        let expression = "histogram_quantile%280.99%2C+sum+by+%28le%29+%28rate%28requests_bucket%5B5m%5D%29%29%29";
        let fine = write!(
            text,
            "{{\"annotations\":{{\"summary\":\"{name} on {service}: {worst} against a limit of \
             {threshold}\",\"threshold\":\"{}{threshold}\",\"value\":\"{worst}\"}},\
             \"endsAt\":\"{ends}\",\"startsAt\":\"{starts}\",\"generatorURL\":\
             \"http://prometheus.example:9090/graph?g0.expr={expression}&g0.tab=1\"{},\"labels\":{{",
            sign(side),
            if self.resolved { ",\"status\":\"resolved\"" } else { "" },
        );
        debug_assert!(fine.is_ok(), "writing to memory");
        for (at, (name, value)) in self.labelled(workload).pairs.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let fine = write!(text, "{comma}\"{name}\":\"{value}\"");
            debug_assert!(fine.is_ok(), "writing to memory");
        }
        text.push_str("}}");
        let fine = to.write_all(text.as_bytes());
        debug_assert!(fine.is_ok(), "writing to memory");
    }
}

/// JSON has milliseconds.
fn whole_ms(ns: i64) -> i64 {
    ns.div_euclid(1_000_000) * 1_000_000
}

fn instant(ns: i64, shift: i64) -> Timestamp {
    Timestamp::from_nanos(EPOCH_MS * 1_000_000 + shift + ns)
}
