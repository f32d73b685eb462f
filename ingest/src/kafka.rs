//! What the Kafka source and the Kafka sink have in common: librdkafka's properties, waiting for a
//! topic, and turning its log and errors into ours. Knows nothing of consuming or producing.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::Client;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientContext, types::RDKafkaRespErr};

/// One warning of a kind in this long; the others are counted.
const QUIET: Duration = Duration::from_secs(10);

/// Properties of one client: ours that correctness rests on, ours that may be overridden, theirs.
pub(crate) struct Properties<'a> {
    /// May not be given another value.
    pub(crate) fixed: &'a [(&'a str, &'a str)],
    /// May not be given at all, with the reason.
    pub(crate) refused: &'a [(&'a str, &'a str)],
    /// Used where the configuration says nothing.
    pub(crate) defaults: &'a [(&'a str, &'a str)],
    /// From the configuration.
    pub(crate) given: &'a BTreeMap<String, String>,
}

/// Who the broker is must be proved, by an authority and by its name. Fixed for every client.
const VERIFIED: [(&str, &str); 2] = [
    ("enable.ssl.certificate.verification", "true"),
    ("ssl.endpoint.identification.algorithm", "https"),
];

impl Properties<'_> {
    /// The client's configuration, or every conflict at once.
    pub(crate) fn merge(&self) -> Result<ClientConfig, String> {
        let mut wrong = Vec::new();
        for (key, value) in self.given {
            let ours = self.fixed.iter().chain(&VERIFIED).find(|(name, _)| name == key);
            if let Some((_, ours)) = ours.filter(|(_, ours)| value != ours) {
                wrong.push(format!("{key} is {value:?}, but must be {ours:?}: remove it"));
            }
            if let Some((_, why)) = self.refused.iter().find(|(name, _)| name == key) {
                wrong.push(format!("{key} may not be set here: {why}"));
            }
        }
        if !wrong.is_empty() {
            return Err(wrong.join("; "));
        }
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Info);
        for (key, value) in self.defaults.iter().chain(self.fixed).chain(&VERIFIED) {
            config.set(*key, *value);
        }
        for (key, value) in self.given {
            config.set(key, value);
        }
        Ok(config)
    }
}

/// Names the keys of pass-through properties; their values may be secrets.
pub(crate) fn keys(properties: &BTreeMap<String, String>) -> Vec<&str> {
    properties.keys().map(String::as_str).collect()
}

/// Where a client's log lines, errors and warnings go, and what the last error was.
pub(crate) struct Journal {
    place: String,
    state: Mutex<JournalState>,
}

#[derive(Default)]
struct JournalState {
    last_error: Option<String>,
    fatal: bool,
    warned: BTreeMap<String, (Instant, u64)>,
}

impl Journal {
    /// `place` says which client this is: topic and brokers.
    pub(crate) fn new(place: String) -> Self {
        Self { place, state: Mutex::default() }
    }

    /// Which client this is.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// One line of librdkafka's log.
    pub(crate) fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        let place = self.place.as_str();
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => {
                self.warn(facility, &format!("{facility}: {line}"));
            }
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "librdkafka", place, facility, "{line}");
            }
            RDKafkaLogLevel::Debug => {
                tracing::debug!(target: "librdkafka", place, facility, "{line}");
            }
        }
    }

    /// An error that belongs to no record. librdkafka keeps trying unless it is fatal.
    pub(crate) fn error(&self, error: &KafkaError, reason: &str) {
        let Some(code) = error.rdkafka_error_code() else {
            return self.warn("error", reason);
        };
        if code == RDKafkaErrorCode::PartitionEOF {
            return;
        }
        {
            let mut state = self.state();
            state.last_error = Some(reason.to_owned());
            state.fatal |= code == RDKafkaErrorCode::Fatal;
        }
        self.warn(&format!("{code:?}"), &format!("{reason}{}", hint(code)));
    }

    /// Warns, at most once per kind and [`QUIET`]. Kinds must be few.
    pub(crate) fn warn(&self, kind: &str, text: &str) {
        let now = Instant::now();
        let mut state = self.state();
        let suppressed = match state.warned.get_mut(kind) {
            Some((last, suppressed)) if now.duration_since(*last) < QUIET => {
                *suppressed += 1;
                return;
            }
            Some((last, suppressed)) => {
                *last = now;
                std::mem::take(suppressed)
            }
            None => {
                state.warned.insert(kind.to_owned(), (now, 0));
                0
            }
        };
        drop(state);
        tracing::warn!(place = self.place.as_str(), suppressed, "{text}");
    }

    /// Whether an error came that librdkafka cannot recover from.
    pub(crate) fn is_fatal(&self) -> bool {
        self.state().fatal
    }

    fn last_error(&self) -> Option<String> {
        self.state().last_error.clone()
    }

    fn state(&self) -> MutexGuard<'_, JournalState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What to do about an error, to be appended to it; empty where there is no good advice.
pub(crate) fn hint(code: RDKafkaErrorCode) -> &'static str {
    use RDKafkaErrorCode as Code;
    match code {
        Code::AllBrokersDown | Code::BrokerTransportFailure | Code::Resolve => {
            "; check brokers, the network, and whether the brokers run"
        }
        Code::Authentication | Code::SaslAuthenticationFailed | Code::SSL => {
            "; check security.protocol, the sasl.* and the ssl.* properties"
        }
        Code::TopicAuthorizationFailed => "; grant READ (input) or WRITE (output) on the topic",
        Code::GroupAuthorizationFailed => "; grant READ on the consumer group",
        Code::ClusterAuthorizationFailed => "; grant IDEMPOTENT_WRITE on the cluster",
        Code::UnknownTopic | Code::UnknownTopicOrPartition => "; create the topic",
        Code::InconsistentGroupProtocol => {
            "; the group has members that assign partitions in another way: use a group of its own"
        }
        Code::MessageSizeTooLarge => {
            "; raise message.max.bytes here and max.message.bytes of the topic"
        }
        _ => "",
    }
}

/// Waits until the topic is there and has a leader for every partition.
///
/// `serve` runs between the attempts, so that errors reach the journal. Asking for the topic
/// creates it where client and broker both allow that.
pub(crate) fn await_topic<C: ClientContext>(
    client: &Client<C>,
    journal: &Journal,
    topic: &str,
    timeout: Duration,
    mut serve: impl FnMut(),
) -> Result<(), String> {
    let deadline = Instant::now() + timeout;
    let mut missing = None;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let attempt = left.min(Duration::from_secs(2));
        match client.fetch_metadata(Some(topic), attempt) {
            Ok(metadata) => match topic_state(&metadata, topic) {
                Ok(()) => return Ok(()),
                Err(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                    let code = RDKafkaErrorCode::TopicAuthorizationFailed;
                    return Err(format!("no permission for the topic{}", hint(code)));
                }
                Err(code) => missing = Some(code),
            },
            Err(error) => journal.warn("metadata", &format!("no answer yet: {error}")),
        }
        serve();
        if Instant::now() >= deadline {
            break;
        }
        std::thread::sleep(Duration::from_millis(100).min(left));
    }
    Err(match missing {
        Some(code) => format!("the topic was not usable within {timeout:?}: {code}{}", hint(code)),
        None => format!(
            "no broker answered within {timeout:?}{}{}",
            journal.last_error().map_or_else(String::new, |error| format!(" ({error})")),
            hint(RDKafkaErrorCode::AllBrokersDown)
        ),
    })
}

fn topic_state(
    metadata: &rdkafka::metadata::Metadata,
    topic: &str,
) -> Result<(), RDKafkaErrorCode> {
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let Some(found) = found else {
        return Err(RDKafkaErrorCode::UnknownTopicOrPartition);
    };
    if let Some(error) = found.error() {
        return Err(error.into());
    }
    if found.partitions().is_empty() || found.partitions().iter().any(|one| one.leader() < 0) {
        return Err(RDKafkaRespErr::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflicts_are_reported_all_at_once() {
        let given = BTreeMap::from([
            ("acks".to_owned(), "1".to_owned()),
            ("transactional.id".to_owned(), "x".to_owned()),
            ("linger.ms".to_owned(), "5".to_owned()),
        ]);
        let mut properties = Properties {
            fixed: &[("acks", "all")],
            refused: &[("transactional.id", "no transactions here")],
            defaults: &[("linger.ms", "0"), ("compression.type", "lz4")],
            given: &given,
        };
        let wrong = properties.merge().unwrap_err();
        assert!(wrong.contains("acks is \"1\""), "{wrong}");
        assert!(wrong.contains("transactional.id may not"), "{wrong}");

        let given = BTreeMap::from([("linger.ms".to_owned(), "5".to_owned())]);
        properties.given = &given;
        let merged = properties.merge().unwrap();
        assert_eq!(merged.get("acks"), Some("all"));
        assert_eq!(merged.get("linger.ms"), Some("5"));
        assert_eq!(merged.get("compression.type"), Some("lz4"));
    }
}
