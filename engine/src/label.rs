//! Label sets and their fingerprint: the identity of an alert.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::hash::Fnv;

/// A label set in canonical form: sorted by name bytes, names unique, no empty name, no empty value.
///
/// The only constructor checks all of that, so that everything behind it can rely on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Labels<'a> {
    pairs: &'a [(&'a str, &'a str)],
}

/// Bounds on one alert's labels. Alertmanager has none; ours keep memory bounded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LabelLimits {
    /// Most labels on one alert.
    pub count_max: usize,
    /// Longest label name, in bytes.
    pub name_bytes_max: usize,
    /// Longest label value, in bytes.
    pub value_bytes_max: usize,
}

impl Default for LabelLimits {
    fn default() -> Self {
        Self { count_max: 64, name_bytes_max: 128, value_bytes_max: 2048 }
    }
}

/// Why a label set was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// No label with a non-empty value is left: the alert has no identity.
    #[error("no label with a non-empty value: an alert is identified by its labels")]
    Empty,
    /// A label has an empty name.
    #[error("a label has an empty name (its value is {value:?})")]
    EmptyName {
        /// The value, cut to 64 bytes.
        value: String,
    },
    /// More labels than [`LabelLimits::count_max`].
    #[error("{count} labels, at most {max} are accepted")]
    TooMany {
        /// How many there are.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// A name longer than [`LabelLimits::name_bytes_max`].
    #[error("label name {name:?}... has {bytes} bytes, at most {max} are accepted")]
    NameTooLong {
        /// The name, cut to 64 bytes.
        name: String,
        /// Its length in bytes.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// A value longer than [`LabelLimits::value_bytes_max`].
    #[error("the value of label {name:?} has {bytes} bytes, at most {max} are accepted")]
    ValueTooLong {
        /// The label's name.
        name: String,
        /// The value's length in bytes.
        bytes: usize,
        /// The limit.
        max: usize,
    },
}

fn excerpt(text: &str) -> String {
    let mut end = text.len().min(64);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

impl<'a> Labels<'a> {
    /// Brings `pairs` into canonical form in place and checks them.
    ///
    /// Pairs with an empty value are removed, as Alertmanager does before hashing. Of two pairs
    /// with the same name the later one wins, as in its JSON decoding.
    ///
    /// # Errors
    /// [`LabelError`] when nothing is left or a limit is exceeded.
    pub fn canonical<'t: 'a>(
        pairs: &'a mut Vec<(&'t str, &'t str)>,
        limits: &LabelLimits,
    ) -> Result<Self, LabelError> {
        if !pairs.is_sorted_by(|a, b| a.0 < b.0) {
            pairs.sort_by(|a, b| a.0.cmp(b.0));
            // Stable sort: the later one of equal names stands later; keep it.
            pairs.reverse();
            pairs.dedup_by(|a, b| a.0 == b.0);
            pairs.reverse();
        }
        pairs.retain(|(_, value)| !value.is_empty());
        let labels = Self { pairs };
        labels.check(limits)?;
        Ok(labels)
    }

    fn check(self, limits: &LabelLimits) -> Result<(), LabelError> {
        if self.pairs.is_empty() {
            return Err(LabelError::Empty);
        }
        if self.pairs.len() > limits.count_max {
            return Err(LabelError::TooMany { count: self.pairs.len(), max: limits.count_max });
        }
        for &(name, value) in self.pairs {
            if name.is_empty() {
                return Err(LabelError::EmptyName { value: excerpt(value) });
            }
            if name.len() > limits.name_bytes_max {
                let (bytes, max) = (name.len(), limits.name_bytes_max);
                return Err(LabelError::NameTooLong { name: excerpt(name), bytes, max });
            }
            if value.len() > limits.value_bytes_max {
                let (bytes, max) = (value.len(), limits.value_bytes_max);
                return Err(LabelError::ValueTooLong { name: excerpt(name), bytes, max });
            }
        }
        Ok(())
    }

    /// The value of a label, if it is set.
    #[must_use]
    pub fn get(self, name: &str) -> Option<&'a str> {
        // A linear scan: label sets are short, and most names differ in length.
        self.pairs.iter().find(|(n, _)| *n == name).map(|&(_, value)| value)
    }

    /// The pairs, sorted by name.
    #[must_use]
    pub fn pairs(self) -> &'a [(&'a str, &'a str)] {
        self.pairs
    }

    /// Alertmanager's fingerprint of these labels.
    #[must_use]
    pub fn fingerprint(self) -> Fingerprint {
        self.fingerprint_without(&[])
    }

    /// The fingerprint of these labels without the named ones (replica labels).
    #[must_use]
    pub fn fingerprint_without(self, dropped: &[String]) -> Fingerprint {
        let mut hash = Fnv::new();
        for (name, value) in self.pairs {
            if !dropped.iter().any(|d| d == name) {
                hash.write(name.as_bytes());
                hash.write(value.as_bytes());
            }
        }
        Fingerprint(hash.finish())
    }
}

/// Alertmanager's fingerprint: FNV-1a 64 over the sorted label pairs. Shown as 16 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshDeserialize, BorshSerialize)]
pub struct Fingerprint(pub u64);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(pairs: &[(&str, &str)]) -> String {
        let mut pairs = pairs.to_vec();
        let limits = LabelLimits::default();
        Labels::canonical(&mut pairs, &limits).expect("valid").fingerprint().to_string()
    }

    #[test]
    fn alertmanager_vectors() {
        let watchdog = [("severity", "none"), ("alertname", "Watchdog"), ("cluster", "shop-eu-1")];
        assert_eq!(fingerprint(&watchdog), "7e6cc39ac8f4b661");
        assert_eq!(Labels { pairs: &[] }.fingerprint().to_string(), "cbf29ce484222325");
    }

    #[test]
    fn empty_values_do_not_count_and_the_last_of_equal_names_wins() {
        let plain = fingerprint(&[("a", "1"), ("b", "2")]);
        assert_eq!(fingerprint(&[("b", "9"), ("a", "1"), ("c", ""), ("b", "2")]), plain);
        assert_eq!(fingerprint(&[("b", "2"), ("a", "1"), ("z", "1"), ("z", "")]), plain);
    }

    #[test]
    fn dropped_labels_do_not_count() {
        let mut pairs = vec![("a", "1"), ("replica", "x")];
        let labels = Labels::canonical(&mut pairs, &LabelLimits::default()).expect("valid");
        let without = labels.fingerprint_without(&["replica".to_owned()]);
        assert_eq!(without.to_string(), fingerprint(&[("a", "1")]));
    }

    #[test]
    fn refusals_name_what_and_how_much() {
        let limits = LabelLimits { count_max: 2, name_bytes_max: 4, value_bytes_max: 4 };
        let refuse = |pairs: &[(&str, &str)]| {
            let mut pairs = pairs.to_vec();
            Labels::canonical(&mut pairs, &limits).expect_err("refused").to_string()
        };
        assert!(refuse(&[]).contains("identified by its labels"));
        assert!(refuse(&[("a", "")]).contains("identified by its labels"));
        assert!(refuse(&[("", "x")]).contains("empty name"));
        assert!(refuse(&[("a", "1"), ("b", "1"), ("c", "1")]).contains("3 labels, at most 2"));
        assert!(refuse(&[("abcde", "1")]).contains("5 bytes, at most 4"));
        assert!(refuse(&[("a", "12345")]).contains("\"a\" has 5 bytes"));
    }
}
