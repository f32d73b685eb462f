//! The file that `--web.config.file` names, in the format of Prometheus' exporter toolkit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};

use crate::file_error::FileError;
use crate::yaml::Problem;
use crate::yaml::reader::Reader;
use crate::yaml::section::{Section, text_of};

/// Largest file, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A checked file. Files that it names have not been read.
#[derive(Debug, Default)]
pub(super) struct WebConfig {
    pub(super) tls: Option<TlsConfig>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) users: BTreeMap<String, Hash>,
    pub(super) rate: Option<Rate>,
}

/// A bcrypt hash, which is not shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Hash(pub(super) String);

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<secret>")
    }
}

/// At most one request each `interval`, and `burst` at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rate {
    pub(super) interval: Duration,
    pub(super) burst: u32,
}

/// Something in PEM form: in a file, or in place.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Pem {
    File(PathBuf),
    Inline(String),
}

impl std::fmt::Debug for Pem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            Self::Inline(_) => f.write_str("<secret>"),
        }
    }
}

/// `tls_server_config`.
#[derive(Clone, Debug)]
pub(super) struct TlsConfig {
    pub(super) cert: Pem,
    pub(super) key: Pem,
    pub(super) client_auth: ClientAuth,
    pub(super) client_ca: Option<Pem>,
    pub(super) client_sans: Vec<String>,
    pub(super) versions: (Version, Version),
    pub(super) cipher_suites: Vec<String>,
    pub(super) curves: Vec<String>,
}

/// What is asked of a client's certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ClientAuth {
    None,
    Request,
    RequireAny,
    VerifyIfGiven,
    RequireAndVerify,
}

impl ClientAuth {
    const CHOICES: [(&'static str, Self); 5] = [
        ("NoClientCert", Self::None),
        ("RequestClientCert", Self::Request),
        ("RequireAnyClientCert", Self::RequireAny),
        ("VerifyClientCertIfGiven", Self::VerifyIfGiven),
        ("RequireAndVerifyClientCert", Self::RequireAndVerify),
    ];

    pub(super) const fn verifies(self) -> bool {
        matches!(self, Self::VerifyIfGiven | Self::RequireAndVerify)
    }
}

/// A version of TLS. Older ones than these are not spoken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
pub(super) enum Version {
    Tls12,
    Tls13,
}

/// Headers that may be set, as in the toolkit.
const HEADERS: [&str; 5] = [
    "Strict-Transport-Security",
    "Content-Security-Policy",
    "X-Frame-Options",
    "X-Content-Type-Options",
    "X-XSS-Protection",
];

impl WebConfig {
    /// Reads and checks a file. Relative paths in it are taken from its directory.
    pub(super) fn load(file: &Path) -> Result<Self, FileError> {
        let text = crate::text_file::read(file, FILE_BYTES_MAX)
            .map_err(|what| FileError::new(file, vec![Problem::new(None, "", what)]))?;
        let mut config = Self::parse(&text).map_err(|problems| FileError::new(file, problems))?;
        let directory = file.parent().unwrap_or(Path::new(""));
        if let Some(tls) = &mut config.tls {
            let pems = [Some(&mut tls.cert), Some(&mut tls.key), tls.client_ca.as_mut()];
            for pem in pems.into_iter().flatten() {
                if let Pem::File(path) = pem {
                    *path = directory.join(&*path);
                }
            }
        }
        Ok(config)
    }

    fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let reader = Reader::default();
        let mut config = Self::default();
        if let Some(node) = reader.parse(text) {
            reader.section(&node, "", |root| {
                if let Some(node) = root.take("tls_server_config") {
                    reader.section(node, "tls_server_config", |s| config.tls = tls(s));
                }
                root.section("http_server_config", |s| http(s, &mut config.headers));
                root.section("basic_auth_users", |s| users(s, &mut config.users));
                if let Some(node) = root.take("rate_limit") {
                    reader.section(node, "rate_limit", |s| config.rate = rate(s));
                }
            });
        }
        if reader.problem_count() == 0 { Ok(config) } else { Err(reader.into_problems()) }
    }
}

fn tls(s: &mut Section<'_, '_>) -> Option<TlsConfig> {
    let cert = pem(s, "cert_file", "cert");
    let key = pem(s, "key_file", "key");
    for (name, given) in [("cert_file", cert.is_some()), ("key_file", key.is_some())] {
        if !given && !s.has_problem(name) {
            s.problem(name, "is missing; TLS needs a certificate and its key");
        }
    }
    let mut client_auth = ClientAuth::None;
    // The toolkit's own names, and the same with an `s`, as its documents had it once.
    s.choice("client_auth_type", &ClientAuth::CHOICES, &mut client_auth);
    let client_ca = pem(s, "client_ca_file", "client_ca");
    if client_auth.verifies() && client_ca.is_none() && !s.has_problem("client_ca_file") {
        s.problem("client_ca_file", "is missing; client certificates are verified with it");
    }
    if !client_auth.verifies() && client_ca.is_some() {
        let what = "is given, but client_auth_type does not verify certificates; \
                    set it to RequireAndVerifyClientCert";
        s.problem("client_ca_file", what);
    }
    let mut client_sans = Vec::new();
    s.texts("client_allowed_sans", &mut client_sans);
    if !client_sans.is_empty() && client_auth != ClientAuth::RequireAndVerify {
        s.problem("client_allowed_sans", "needs client_auth_type: RequireAndVerifyClientCert");
    }
    if client_sans.iter().any(|san| san.contains('@') && !san.contains("://")) {
        let what = "names an e-mail address; only DNS names, IP addresses and URIs can be checked";
        s.problem("client_allowed_sans", what);
    }
    let versions =
        (version(s, "min_version", Version::Tls12), version(s, "max_version", Version::Tls13));
    if versions.0 > versions.1 {
        s.problem("min_version", "is newer than max_version");
    }
    let (mut cipher_suites, mut curves) = (Vec::new(), Vec::new());
    s.texts("cipher_suites", &mut cipher_suites);
    check(s, "cipher_suites", &cipher_suites, super::tls::is_cipher_suite);
    s.texts("curve_preferences", &mut curves);
    check(s, "curve_preferences", &curves, super::tls::is_curve);
    // Read and not needed: the server's order is always followed, as in Go today.
    let mut ignored = true;
    s.choice("prefer_server_cipher_suites", &BOOLS, &mut ignored);
    let (cert, key) = (cert?, key?);
    Some(TlsConfig {
        cert,
        key,
        client_auth,
        client_ca,
        client_sans,
        versions,
        cipher_suites,
        curves,
    })
}

const BOOLS: [(&str, bool); 2] = [("true", true), ("false", false)];

fn pem(s: &mut Section<'_, '_>, file: &str, inline: &str) -> Option<Pem> {
    let (mut path, mut text) = (None, None);
    s.optional(file, &mut path);
    s.optional(inline, &mut text);
    match (path, text) {
        (Some(_), Some(_)) => {
            s.problem(inline, format!("is given beside {file}; keep one of them"));
            None
        }
        (Some(path), None) => Some(Pem::File(PathBuf::from(path))),
        (None, Some(text)) => Some(Pem::Inline(text)),
        (None, None) => None,
    }
}

fn version(s: &mut Section<'_, '_>, key: &str, default: Version) -> Version {
    let mut version = Some(default);
    let choices = [
        ("TLS12", Some(Version::Tls12)),
        ("TLS13", Some(Version::Tls13)),
        ("TLS10", None),
        ("TLS11", None),
    ];
    s.choice(key, &choices, &mut version);
    if version.is_none() {
        s.problem(key, "is older than TLS12, which is the oldest version that is safe and spoken");
    }
    version.unwrap_or(default)
}

fn check(s: &Section<'_, '_>, key: &str, given: &[String], is_known: fn(&str) -> bool) {
    if let Some(unknown) = given.iter().find(|name| !is_known(name)) {
        s.problem(key, format!("has {unknown}, which is unknown or not safe; leave the list out"));
    }
}

fn http(s: &mut Section<'_, '_>, headers: &mut Vec<(HeaderName, HeaderValue)>) {
    // Clients settle on HTTP/1.1 whatever is said here.
    let mut ignored = true;
    s.choice("http2", &BOOLS, &mut ignored);
    s.section("headers", |s| {
        for name in HEADERS {
            let mut value = None;
            s.optional(name, &mut value);
            let Some(value) = value else { continue };
            match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                (Ok(name), Ok(value)) => headers.push((name, value)),
                _ => s.problem(name, "has characters that no header may have"),
            }
        }
    });
}

fn users(s: &mut Section<'_, '_>, users: &mut BTreeMap<String, Hash>) {
    for entry in s.take_rest() {
        match text_of(&entry.node).filter(|text| text.parse::<bcrypt::HashParts>().is_ok()) {
            Some(text) if !entry.key.is_empty() && !entry.key.contains(':') => {
                users.insert(entry.key.clone(), Hash(text.to_owned()));
            }
            Some(_) => s.problem_at(entry, "the user name must not be empty nor have a colon"),
            // Not shown: it may be the password itself.
            None => {
                s.problem_at(entry, "must be a bcrypt hash, as `htpasswd -nBC 10 NAME` prints it")
            }
        }
    }
}

fn rate(s: &mut Section<'_, '_>) -> Option<Rate> {
    let (mut interval, mut burst) = (Duration::ZERO, 0);
    s.duration("interval", &mut interval);
    s.whole("burst", 0..=1_000_000, &mut burst);
    (!interval.is_zero()).then_some(Rate { interval, burst: burst.max(1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> String {
        let problems = WebConfig::parse(text).expect_err(text);
        problems.iter().map(|problem| format!("{problem}\n")).collect()
    }

    #[test]
    fn a_whole_file_of_the_toolkit_is_read() {
        let text = "
tls_server_config:
  cert_file: server.crt
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.crt
  client_allowed_sans: [prometheus.example.org, 'spiffe://a/b', 10.0.0.1]
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: true
  curve_preferences: [X25519, CurveP256]
http_server_config:
  http2: false
  headers:
    Strict-Transport-Security: max-age=1
basic_auth_users:
  alice: $2y$04$e0MYzXyjpJS7Pd0RVvHwHeFqkzQ1k1Q0x0b3v0mQm5mFhPp7vVb6K
rate_limit: {interval: 10ms, burst: 20}
";
        let config = WebConfig::parse(text).expect("valid");
        let tls = config.tls.expect("TLS");
        assert_eq!(tls.client_auth, ClientAuth::RequireAndVerify);
        assert_eq!(tls.client_sans.len(), 3);
        assert_eq!((config.users.len(), config.headers.len()), (1, 1));
        assert_eq!(config.rate.map(|rate| rate.burst), Some(20));
        assert!(WebConfig::parse("").expect("an empty file asks for nothing").tls.is_none());
    }

    #[test]
    fn mistakes_are_told_all_at_once_and_no_secret_is_shown() {
        let found = problems(
            "tls_server_config: {cert_file: a, min_version: TLS10, cipher_suites: [RC4]}\n\
             basic_auth_users: {bob: hunter2}\n\
             basic_auth: {}\n",
        );
        assert!(found.contains("key_file: is missing"), "{found}");
        assert!(found.contains("min_version: is older than TLS12"), "{found}");
        assert!(found.contains("cipher_suites: has RC4"), "{found}");
        assert!(found.contains("bob: must be a bcrypt hash"), "{found}");
        assert!(found.contains("basic_auth: is not a known key"), "{found}");
        assert!(!found.contains("hunter2"), "{found}");
        let unverified = "tls_server_config: {cert_file: a, key_file: b, client_ca_file: c}\n";
        assert!(problems(unverified).contains("client_auth_type"));
    }
}
