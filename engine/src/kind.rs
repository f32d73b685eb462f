//! What sort of trouble an alert reports, read from the words of its name.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};

/// What sort of trouble an alert reports. It decides how far the alert accuses its own entity
/// and how far it asks the entity's dependencies for an explanation.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, BorshDeserialize, BorshSerialize,
)]
pub enum Kind {
    /// A resource is used up: a cause in itself.
    Saturation,
    /// Something stopped, restarts or is absent: a cause in itself.
    Crash,
    /// Requests fail.
    Error,
    /// Requests are slow.
    Latency,
    /// One caller's requests to the entity are slow; the caller is known.
    Edge,
    /// The entity's own outgoing requests are slow: the trouble is behind it.
    Client,
    /// Fewer or more requests than usual: mostly a consequence.
    Traffic,
    /// Any other alert.
    Other,
    /// What watches the entity fails: less is seen of it, and nothing is known to be wrong with it.
    Blind,
    /// Not about the monitored world (a heartbeat, an inhibitor): never correlated.
    Meta,
}

impl Kind {
    /// All kinds, in the order in which an alert's name is matched against their words.
    pub const ALL: [Self; 10] = [
        Self::Meta,
        Self::Crash,
        Self::Saturation,
        Self::Edge,
        Self::Client,
        Self::Traffic,
        Self::Error,
        Self::Latency,
        Self::Other,
        Self::Blind,
    ];
    /// How many kinds there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Position in tables by kind.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Name in records and configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Saturation => "saturation",
            Self::Crash => "crash",
            Self::Error => "error",
            Self::Latency => "latency",
            Self::Edge => "edge",
            Self::Client => "client",
            Self::Traffic => "traffic",
            Self::Other => "other",
            Self::Blind => "blind",
            Self::Meta => "meta",
        }
    }

    /// Whether an alert of this kind is a cause in itself.
    #[must_use]
    pub const fn is_cause(self) -> bool {
        matches!(self, Self::Saturation | Self::Crash)
    }

    /// Whether an alert of this kind asks what its entity calls for an explanation.
    pub(crate) const fn is_symptom(self) -> bool {
        matches!(self, Self::Error | Self::Latency | Self::Edge | Self::Client | Self::Traffic)
    }

    /// Whether the size of the alert is a delay, comparable along a call chain.
    pub(crate) const fn is_delay(self) -> bool {
        matches!(self, Self::Latency | Self::Edge | Self::Client)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The words that give an alert its kind. Matched whole, in lower case, against the words of the
/// alert's name (`KubePodCrashLooping` has `kube`, `pod`, `crash`, `looping`), and against each
/// two neighbours joined (`podcrash`, `crashlooping`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KindWords(pub Vec<(Kind, Vec<String>)>);

impl Default for KindWords {
    fn default() -> Self {
        let words = |kind, text: &str| (kind, text.split(' ').map(str::to_owned).collect());
        Self(vec![
            words(Kind::Meta, "watchdog infoinhibitor deadmansswitch"),
            words(
                Kind::Crash,
                "restart restarts restarting crash crashloop crashlooping down absent unreachable \
                 notready evicted oomkilled disconnected",
            ),
            words(
                Kind::Saturation,
                "cpu memory mem oom disk filesystem inode inodes volume saturation saturated \
                 throttling throttled quota pool exhausted",
            ),
            words(Kind::Edge, "edge"),
            words(Kind::Client, "client outgoing upstream"),
            words(Kind::Traffic, "traffic throughput rps qps workload requestrate"),
            words(
                Kind::Error,
                "error errors availability success failure failures failed fail 5xx exception \
                 exceptions",
            ),
            words(Kind::Latency, "latency duration durations slow slowness p50 p90 p95 p99 apdex"),
        ])
    }
}

impl KindWords {
    /// The kind of an alert: by its name first, else by the name of its metric.
    #[must_use]
    pub fn classify(&self, alertname: &str, metric: Option<&str>) -> Kind {
        let by_text = |text| self.of_words(&words_of(text));
        by_text(alertname).or_else(|| metric.and_then(by_text)).unwrap_or(Kind::Other)
    }

    fn of_words(&self, words: &[String]) -> Option<Kind> {
        let joined: Vec<String> = words.windows(2).map(|pair| pair.concat()).collect();
        let has = |word: &String| words.contains(word) || joined.contains(word);
        self.0.iter().find(|(_, list)| list.iter().any(has)).map(|&(kind, _)| kind)
    }
}

/// Splits at case changes, before digits, and at everything that is not a letter or digit; digits
/// stay with a single letter before them. `HTTPErrorP95High` has `http`, `error`, `p95`, `high`.
fn words_of(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let chars: Vec<char> = text.chars().collect();
    let mut word = String::new();
    for (at, &c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).map(|i| chars[i]);
        let after = chars.get(at + 1);
        let starts = c.is_uppercase()
            && (before.is_some_and(|b| !b.is_uppercase())
                || after.is_some_and(|a| a.is_lowercase()));
        let number = c.is_ascii_digit()
            && word.chars().count() > 1
            && before.is_some_and(|b| !b.is_ascii_digit());
        if (starts || number || !c.is_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_names() {
        assert_eq!(words_of("HTTPErrorP95High"), ["http", "error", "p95", "high"]);
        assert_eq!(words_of("latency_p95"), ["latency", "p95"]);
        assert_eq!(words_of("Http5xxRate"), ["http", "5xx", "rate"]);
        assert_eq!(words_of("KubePodCrashLooping"), ["kube", "pod", "crash", "looping"]);
        assert_eq!(words_of("--"), [""; 0]);
    }

    #[test]
    fn classifies_common_alerts() {
        let words = KindWords::default();
        let table = [
            ("Watchdog", Kind::Meta),
            ("KubePodCrashLooping", Kind::Crash),
            ("KubeNodeNotReady", Kind::Crash),
            ("TargetDown", Kind::Crash),
            ("CPUThrottlingHigh", Kind::Saturation),
            ("NodeFilesystemAlmostFull", Kind::Saturation),
            ("PostgresConnectionsSaturated", Kind::Saturation),
            ("EdgeLatencyP90High", Kind::Edge),
            ("ClientLatencyP95High", Kind::Client),
            ("UpstreamTimeouts", Kind::Client),
            ("TrafficLow", Kind::Traffic),
            ("ErrorBudgetBurn", Kind::Error),
            ("AvailabilityLow", Kind::Error),
            ("HighRequestLatency", Kind::Latency),
            ("CertificateExpiresSoon", Kind::Other),
        ];
        for (name, kind) in table {
            assert_eq!(words.classify(name, None), kind, "{name}");
        }
        assert_eq!(words.classify("High", Some("latency_Average")), Kind::Latency);
    }
}
