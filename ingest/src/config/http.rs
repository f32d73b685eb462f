//! `http_config`: how an HTTP client shows who it is and whom it trusts, in the form that
//! Prometheus and Alertmanager have for it.

mod oauth2;

use std::fmt;
use std::path::{Path, PathBuf};

pub use oauth2::OAuth2;

use crate::file_error::FileError;
use crate::http_client::address::Network;
use crate::redact::{Secret, host_of};
use crate::yaml::Problem;
use crate::yaml::reader::Reader;
use crate::yaml::section::Section;

/// Largest file, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// How an HTTP client shows who it is and whom it trusts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HttpConfig {
    /// What goes into the `Authorization` header.
    pub authorization: Authorization,
    /// Whom it trusts, and its own certificate.
    pub tls: ClientTls,
    /// The proxy that connections go through, by the CONNECT method.
    pub proxy_url: Option<ProxyUrl>,
    /// Whether a redirect is followed.
    pub follow_redirects: bool,
    /// Further headers.
    pub headers: Vec<(String, Credential)>,
    /// Addresses that may be connected to although they are link-local or serve the metadata of a
    /// cloud.
    pub allow_addresses: Vec<Network>,
}

/// What goes into the `Authorization` header.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Authorization {
    /// Nothing.
    #[default]
    None,
    /// User and password.
    Basic {
        /// The user.
        username: String,
        /// Its password.
        password: Credential,
    },
    /// A scheme, such as `Bearer`, and a token.
    Token {
        /// The scheme.
        scheme: String,
        /// The token.
        credentials: Credential,
    },
    /// A token that is asked for with our own credentials, and again before it expires.
    OAuth2(Box<OAuth2>),
}

impl Authorization {
    fn secret_mut(&mut self) -> Option<&mut Credential> {
        match self {
            Self::None => None,
            Self::Basic { password: secret, .. } | Self::Token { credentials: secret, .. } => {
                Some(secret)
            }
            Self::OAuth2(oauth2) => Some(&mut oauth2.client_secret),
        }
    }

    fn secret(&self) -> Option<&Credential> {
        match self {
            Self::None => None,
            Self::Basic { password: secret, .. } | Self::Token { credentials: secret, .. } => {
                Some(secret)
            }
            Self::OAuth2(oauth2) => Some(&oauth2.client_secret),
        }
    }
}

/// Something secret, or where it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Credential {
    /// In the configuration.
    Inline(Secret),
    /// In a file, read at each use; white space at its end does not count.
    File(PathBuf),
}

/// Whom a client trusts, and its own certificate. Files are read again when they change.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClientTls {
    /// Certificates of authorities (PEM); `None`: those of the system.
    pub ca_file: Option<PathBuf>,
    /// The client's certificate chain (PEM).
    pub cert_file: Option<PathBuf>,
    /// Its key (PEM).
    pub key_file: Option<PathBuf>,
    /// The name that the server's certificate must have; `None`: the host of the URL.
    pub server_name: Option<String>,
    /// Takes any certificate: whoever is in between can read and change everything.
    pub insecure_skip_verify: bool,
    /// The oldest version of TLS that is spoken.
    pub min_version: TlsVersion,
}

impl ClientTls {
    fn files_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let Self { ca_file, cert_file, key_file, .. } = self;
        [ca_file, cert_file, key_file].into_iter().flatten()
    }
}

/// Versions of TLS that are spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// The URL of a proxy; it may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl(pub String);

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&host_of(&self.0))
    }
}

impl HttpConfig {
    /// Reads and checks a file of its own. Relative paths in it are taken from its directory.
    ///
    /// # Errors
    /// That it cannot be read, or everything that is wrong in it.
    pub fn load(file: &Path) -> Result<Self, FileError> {
        let failed = |problems| FileError::new(file, problems);
        let text = crate::text_file::read(file, FILE_BYTES_MAX)
            .map_err(|what| failed(vec![Problem::new(None, "", what)]))?;
        let (mut config, reader) = (Self::default(), Reader::default());
        if let Some(node) = reader.parse(&text) {
            reader.section(&node, "", |s| read_keys(s, &mut config));
        }
        if reader.has_problem("") {
            return Err(failed(reader.into_problems()));
        }
        config.resolve(file.parent().unwrap_or(Path::new("")));
        Ok(config)
    }

    /// The files that hold something secret.
    pub fn secret_files(&self) -> impl Iterator<Item = &Path> {
        let file = |credential| match credential {
            &Credential::Inline(_) => None,
            Credential::File(path) => Some(path.as_path()),
        };
        let secret = self.authorization.secret();
        let headers = self.headers.iter().map(|(_, credential)| credential);
        let keys = [
            self.tls.key_file.as_deref(),
            match &self.authorization {
                Authorization::OAuth2(oauth2) => oauth2.tls.key_file.as_deref(),
                _ => None,
            },
        ];
        secret.into_iter().chain(headers).filter_map(file).chain(keys.into_iter().flatten())
    }

    /// Takes relative paths from `directory`.
    pub(super) fn resolve(&mut self, directory: &Path) {
        let join = |path: &mut PathBuf| *path = directory.join(&*path);
        self.tls.files_mut().for_each(join);
        if let Authorization::OAuth2(oauth2) = &mut self.authorization {
            oauth2.tls.files_mut().for_each(join);
        }
        let secret = self.authorization.secret_mut();
        for credential in secret.into_iter().chain(self.headers.iter_mut().map(|(_, c)| c)) {
            if let Credential::File(path) = credential {
                join(path);
            }
        }
    }
}

pub(super) fn read(parent: &mut Section<'_, '_>, into: &mut HttpConfig) {
    parent.section("http_config", |s| read_keys(s, into));
}

fn read_keys(s: &mut Section<'_, '_>, into: &mut HttpConfig) {
    let ways = [
        ("basic_auth", read_basic(s)),
        ("authorization", read_token(s)),
        ("oauth2", oauth2::read(s)),
    ];
    let mut given = ways.into_iter().filter_map(|(key, found)| Some((key, found?)));
    if let Some((first, found)) = given.next() {
        into.authorization = found;
        for (key, _) in given {
            s.problem(key, format!("is given beside {first}; keep one of them"));
        }
    }
    s.section("tls_config", |s| read_tls(s, &mut into.tls));
    read_proxy(s, &mut into.proxy_url);
    const FLAGS: [(&str, bool); 2] = [("true", true), ("false", false)];
    s.choice("follow_redirects", &FLAGS, &mut into.follow_redirects);
    let mut http2 = false;
    s.choice("enable_http2", &FLAGS, &mut http2);
    if http2 {
        s.problem("enable_http2", "is true, but HTTP/1.1 is what is spoken; leave it out");
    }
    read_headers(s, &mut into.headers);
    let mut networks = Vec::new();
    s.texts("allow_addresses", &mut networks);
    for (at, text) in networks.iter().enumerate() {
        match text.parse() {
            Ok(network) => into.allow_addresses.push(network),
            Err(what) => s.problem(&format!("allow_addresses[{at}]"), format!("is {text}, {what}")),
        }
    }
}

fn read_proxy(s: &mut Section<'_, '_>, into: &mut Option<ProxyUrl>) {
    let mut proxy = None;
    s.optional("proxy_url", &mut proxy);
    if let Some(url) = proxy {
        let uri = url.parse::<ureq::http::Uri>().ok();
        if uri.is_some_and(|u| u.scheme_str() == Some("http") && u.host().is_some()) {
            *into = Some(ProxyUrl(url));
        } else {
            // Not shown: it may carry a password.
            let what = "must be an http URL with a host, such as http://proxy:3128; other \
                        kinds of proxies are not spoken to";
            s.problem("proxy_url", what);
        }
    }
}

fn read_basic(parent: &mut Section<'_, '_>) -> Option<Authorization> {
    let mut found = None;
    parent.section("basic_auth", |s| {
        let mut username = None;
        s.optional("username", &mut username);
        let password = read_credential(s, "password", "password_file");
        match (username, password) {
            (None, None) => {}
            (None, Some(_)) => s.problem("username", "is missing; who has this password?"),
            (Some(username), Some(_)) if username.contains(':') => {
                s.problem("username", "has a colon, which ends a user's name in HTTP");
            }
            (Some(username), password) => {
                let empty = Credential::Inline(Secret::new(String::new()));
                let password = password.unwrap_or(empty);
                found = Some(Authorization::Basic { username, password });
            }
        }
    });
    found
}

fn read_token(parent: &mut Section<'_, '_>) -> Option<Authorization> {
    let mut found = None;
    parent.section("authorization", |s| {
        let mut scheme = "Bearer".to_owned();
        s.text("type", &mut scheme);
        if scheme.eq_ignore_ascii_case("basic") {
            s.problem("type", "is Basic; use basic_auth for it");
        } else if !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            s.problem("type", "must be one word, such as Bearer");
        }
        let credentials = read_credential(s, "credentials", "credentials_file");
        found = credentials.map(|credentials| Authorization::Token { scheme, credentials });
    });
    found
}

/// A secret, given outright or as the name of its file.
fn read_credential(s: &mut Section<'_, '_>, inline: &str, file: &str) -> Option<Credential> {
    let (mut text, mut path) = (None, None);
    s.optional(inline, &mut text);
    s.optional(file, &mut path);
    match (text, path) {
        (Some(_), Some(_)) => {
            s.problem(file, format!("is given beside {inline}; keep one of them"));
            None
        }
        (Some(text), None) => Some(Credential::Inline(Secret::new(text))),
        (None, Some(path)) => Some(Credential::File(PathBuf::from(path))),
        (None, None) => None,
    }
}

fn read_tls(s: &mut Section<'_, '_>, tls: &mut ClientTls) {
    for (key, into) in [
        ("ca_file", &mut tls.ca_file),
        ("cert_file", &mut tls.cert_file),
        ("key_file", &mut tls.key_file),
    ] {
        let mut path = None;
        s.optional(key, &mut path);
        *into = path.map(PathBuf::from);
    }
    match (&tls.cert_file, &tls.key_file) {
        (Some(_), None) => s.problem("key_file", "is missing; cert_file needs its key"),
        (None, Some(_)) => s.problem("cert_file", "is missing; key_file needs its certificate"),
        _ => {}
    }
    s.optional("server_name", &mut tls.server_name);
    const FLAGS: [(&str, bool); 2] = [("true", true), ("false", false)];
    s.choice("insecure_skip_verify", &FLAGS, &mut tls.insecure_skip_verify);
    let versions = [("TLS12", TlsVersion::Tls12), ("TLS13", TlsVersion::Tls13)];
    s.choice("min_version", &versions, &mut tls.min_version);
}

/// Headers that the client sets itself, or that say where a message ends.
const RESERVED: [&str; 12] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "trailer",
    "transfer-encoding",
    "user-agent",
];

fn read_headers(parent: &mut Section<'_, '_>, into: &mut Vec<(String, Credential)>) {
    parent.section("http_headers", |s| {
        for entry in s.take_rest() {
            let name = &entry.key;
            let is_token = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
            if name.is_empty() || !name.bytes().all(is_token) {
                s.problem_at(entry, "must be the name of a header, such as X-Scope-OrgID");
                continue;
            }
            if RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) {
                s.problem_at(entry, "is a header that is set for you; it cannot be given here");
                continue;
            }
            s.below(entry, |s| {
                let inline = |text| Credential::Inline(Secret::new(text));
                let file = |text| Credential::File(PathBuf::from(text));
                let (mut values, mut secrets, mut files) = (Vec::new(), Vec::new(), Vec::new());
                s.texts("values", &mut values);
                s.texts("secrets", &mut secrets);
                s.texts("files", &mut files);
                let inline = values.into_iter().chain(secrets).map(inline);
                let all = inline.chain(files.into_iter().map(file));
                into.extend(all.map(|value| (name.clone(), value)));
            });
        }
    });
}
