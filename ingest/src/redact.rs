//! What may be shown of values that may hold secrets.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};

/// Scheme and host of a URL: user names, passwords, paths and queries may be secret.
#[must_use]
pub fn host_of(url: &str) -> String {
    let Ok(uri) = url.parse::<ureq::http::Uri>() else {
        return "an invalid URL".to_owned();
    };
    let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
    let scheme = uri.scheme_str().unwrap_or("http");
    format!("{scheme}://{}{port}", uri.host().unwrap_or_default())
}

/// Text that is never shown: not in logs, not in errors, not in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for where it has to go.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// Names and values of which only the names are shown.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Properties(pub BTreeMap<String, String>);

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Deref for Properties {
    type Target = BTreeMap<String, String>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Properties {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl IntoIterator for Properties {
    type Item = (String, String);
    type IntoIter = std::collections::btree_map::IntoIter<String, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let url = "https://user:secret@host:8443/secret?token=secret";
        assert_eq!(host_of(url), "https://host:8443");
        assert_eq!(host_of("::secret"), "an invalid URL");
        assert_eq!(format!("{:?}", Secret::new("hush".to_owned())), "<secret>");
        let mut properties = Properties::default();
        properties.insert("sasl.password".to_owned(), "secret".to_owned());
        assert_eq!(format!("{properties:?}"), "{\"sasl.password\"}");
    }
}
