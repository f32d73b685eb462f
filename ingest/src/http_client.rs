//! The HTTP client for everything that Hypocenter itself sends or asks for.
//!
//! Blocking, for threads that may wait. Secrets are read from their files at each request, and
//! certificates again when their files change, so that neither needs a restart. An answer is read
//! up to a limit. Redirects are not followed unless the configuration says so.

pub mod address;
mod oauth2;
#[cfg(test)]
pub(crate) mod tests;
mod tls;

use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ureq::http::header::{AUTHORIZATION, HeaderValue};
use ureq::http::{Request, Uri};
use ureq::unversioned::resolver::{DefaultResolver, Resolver};
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, TcpConnector};
use ureq::{Agent, Proxy};

use self::address::Guarded;
use self::oauth2::Tokens;
use self::tls::TlsConnector;
use crate::config::{Authorization, ClientTls, Credential, HttpConfig};
use crate::redact::host_of;

/// What the client calls itself.
pub const USER_AGENT: &str = concat!("Hypocenter/", env!("CARGO_PKG_VERSION"));

/// Largest file with a secret, in bytes.
const SECRET_BYTES_MAX: u64 = 64 << 10;
/// Most redirects that are followed, where they are.
const REDIRECTS_MAX: u32 = 5;
/// The longest pause that a receiver can ask for with `Retry-After`.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// A client of one base URL.
pub struct Client {
    url: String,
    place: String,
    host: String,
    config: HttpConfig,
    timeout: Duration,
    agent: Mutex<Built>,
    tokens: Option<Box<Tokens>>,
}

/// An agent, and of what files it was made.
struct Built {
    agent: Agent,
    stamps: Vec<Option<Stamp>>,
    /// Whether newer files could not be used; said once.
    is_stale: bool,
}

/// What tells one version of a file from another.
type Stamp = (u64, Option<SystemTime>);

/// What came back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// How long the server asks to wait, at most five minutes.
    pub retry_after: Option<Duration>,
    /// The body, as far as it was read.
    pub body: Vec<u8>,
    /// Whether there was more than the limit.
    pub truncated: bool,
}

impl Answer {
    /// Whether the status is 2xx.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..300)
    }

    /// Whether the same request may succeed later: 408, 425, 429 and 5xx.
    #[must_use]
    pub const fn may_heal(&self) -> bool {
        matches!(self.status, 408 | 425 | 429 | 500..600)
    }
}

/// For the log: the status, and how the body begins.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "answered with status {}", self.status)?;
        let text = String::from_utf8_lossy(&self.body);
        let start: String = text.trim().chars().take(120).collect();
        if !start.is_empty() {
            write!(f, ": {start}")?;
        }
        Ok(())
    }
}

/// Why there was no answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ClientError {
    /// The request itself is at fault: it will not get better.
    #[error("{0}")]
    Request(String),
    /// The network, the server, or a file that is needed: may get better.
    #[error("{0}")]
    Unavailable(String),
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Client {
    /// A client of `url`; requests name what comes after it. `timeout` bounds a request from
    /// looking up the name to the last byte of the answer.
    ///
    /// # Errors
    /// Why the files of `tls_config` cannot be used.
    pub fn new(url: &str, config: &HttpConfig, timeout: Duration) -> Result<Self, String> {
        let host = url.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
        let host = host.ok_or("the URL has no host")?;
        let agent = build(url, &host, config, timeout, DefaultResolver::default())?;
        let tokens = match &config.authorization {
            Authorization::OAuth2(oauth2) => Some(Box::new(Tokens::new(oauth2, config, timeout)?)),
            _ => None,
        };
        warn_of_open_secrets(config);
        let stamps = stamps(&config.tls);
        let (url, place, config) = (url.to_owned(), host_of(url), config.clone());
        let agent = Mutex::new(Built { agent, stamps, is_stale: false });
        Ok(Self { url, place, host, config, timeout, agent, tokens })
    }

    /// Scheme, host and port, for logs and metrics.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Asks for what is at `path`, which is added to the URL.
    ///
    /// # Errors
    /// [`ClientError`] when there is no answer.
    pub fn get(&self, path: &str, body_bytes_max: u64) -> Result<Answer, ClientError> {
        let request =
            Request::get(format!("{}{path}", self.url)).header("accept", "application/json");
        self.send(request.body(()), body_bytes_max)
    }

    /// Posts JSON to `path`, which is added to the URL.
    ///
    /// # Errors
    /// [`ClientError`] when there is no answer.
    pub fn post(
        &self,
        path: &str,
        headers: &[(String, String)],
        body: &[u8],
        body_bytes_max: u64,
    ) -> Result<Answer, ClientError> {
        self.post_as("application/json", path, headers, body, body_bytes_max)
    }

    fn post_as(
        &self,
        content_type: &str,
        path: &str,
        headers: &[(String, String)],
        body: &[u8],
        body_bytes_max: u64,
    ) -> Result<Answer, ClientError> {
        let mut request = Request::post(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.header("content-type", content_type);
        self.send(request.body(body), body_bytes_max)
    }

    fn send<B: ureq::AsSendBody>(
        &self,
        request: ureq::http::Result<Request<B>>,
        body_bytes_max: u64,
    ) -> Result<Answer, ClientError> {
        let mut request = request.map_err(|error| ClientError::Request(error.to_string()))?;
        let headers = request.headers_mut();
        let value = match &self.tokens {
            Some(tokens) => Some(header_value(&tokens.header()?)?),
            None => authorization(&self.config.authorization)?,
        };
        if let Some(value) = value {
            headers.insert(AUTHORIZATION, value);
        }
        for (name, credential) in &self.config.headers {
            let value = header_value(&reveal(credential)?)?;
            let name = name.parse::<ureq::http::HeaderName>();
            let name = name.map_err(|error| ClientError::Request(error.to_string()))?;
            headers.append(name, value);
        }
        let mut answer = self.agent().run(request).map_err(|error| match error {
            ureq::Error::Http(_) | ureq::Error::BadUri(_) => {
                ClientError::Request("the request cannot be made from this URL".to_owned())
            }
            ureq::Error::Other(error) => ClientError::Unavailable(error.to_string()),
            error => ClientError::Unavailable(error.to_string()),
        })?;
        let retry_after = answer.headers().get("retry-after");
        let retry_after = retry_after
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(|secs| Duration::from_secs(secs).min(RETRY_AFTER_MAX));
        let status = answer.status().as_u16();
        if let Some(tokens) = self.tokens.as_ref().filter(|_| status == 401) {
            tokens.refused();
        }
        let (body, truncated) = read_body(answer.body_mut(), body_bytes_max)
            .map_err(|error| ClientError::Unavailable(error.to_string()))?;
        Ok(Answer { status, retry_after, body, truncated })
    }

    /// The agent; a new one where files of `tls_config` have changed. If these cannot be used, the
    /// old one goes on.
    fn agent(&self) -> Agent {
        let mut built = self.agent.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamps(&self.config.tls);
        if now != built.stamps {
            let resolver = DefaultResolver::default();
            match build(&self.url, &self.host, &self.config, self.timeout, resolver) {
                Ok(agent) => {
                    *built = Built { agent, stamps: now, is_stale: false };
                    tracing::info!(peer = self.place, "certificates were read anew");
                }
                Err(why) if !built.is_stale => {
                    built.is_stale = true;
                    tracing::warn!(peer = self.place, why, "new certificates cannot be used");
                }
                Err(_) => {}
            }
        }
        built.agent.clone()
    }
}

/// The body up to a limit, and whether there was more.
fn read_body(body: &mut ureq::Body, max: u64) -> std::io::Result<(Vec<u8>, bool)> {
    use std::io::Read as _;
    let mut read = Vec::new();
    body.as_reader().take(max + 1).read_to_end(&mut read)?;
    let truncated = read.len() as u64 > max;
    read.truncate(usize::try_from(max).unwrap_or(usize::MAX));
    Ok((read, truncated))
}

fn build(
    url: &str,
    host: &str,
    config: &HttpConfig,
    timeout: Duration,
    resolver: impl Resolver,
) -> Result<Agent, String> {
    let proxy = match &config.proxy_url {
        // The error does not show the URL.
        Some(url) => Some(Proxy::new(&url.0).map_err(|error| format!("proxy_url: {error}"))?),
        None => None,
    };
    let proxy_host = proxy.as_ref().map(Proxy::host).unwrap_or_default().to_owned();
    let settings = Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(if config.follow_redirects { REDIRECTS_MAX } else { 0 })
        .max_redirects_will_error(false)
        .proxy(proxy)
        .user_agent(USER_AGENT)
        .build();
    let resolver = Guarded::new(resolver, &[host, &proxy_host], &config.allow_addresses);
    let connector = ().chain(ConnectProxyConnector::default()).chain(TcpConnector::default());
    let is_tls = url.parse::<Uri>().is_ok_and(|uri| uri.scheme_str() == Some("https"));
    if is_tls || config.follow_redirects {
        let connector = connector.chain(TlsConnector::new(&config.tls, host)?);
        return Ok(Agent::with_parts(settings, connector, resolver));
    }
    Ok(Agent::with_parts(settings, connector, resolver))
}

fn stamps(tls: &ClientTls) -> Vec<Option<Stamp>> {
    let stamp = |path: &Path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.len(), metadata.modified().ok()))
    };
    [&tls.ca_file, &tls.cert_file, &tls.key_file].into_iter().flatten().map(|p| stamp(p)).collect()
}

/// Says which secrets every user of this machine can read.
fn warn_of_open_secrets(config: &HttpConfig) {
    use std::os::unix::fs::PermissionsExt as _;
    for path in config.secret_files() {
        let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
        if mode & 0o007 != 0 {
            let (path, mode) = (path.display(), mode & 0o777);
            tracing::warn!("{path} holds a secret and has mode {mode:o}; take it from others");
        }
    }
}

fn authorization(config: &Authorization) -> Result<Option<HeaderValue>, ClientError> {
    let text = match config {
        // A token that is asked for comes from elsewhere.
        Authorization::None | Authorization::OAuth2(_) => return Ok(None),
        Authorization::Basic { username, password } => {
            let pair = format!("{username}:{}", reveal(password)?);
            format!("Basic {}", BASE64_STANDARD.encode(pair))
        }
        Authorization::Token { scheme, credentials } => {
            format!("{scheme} {}", reveal(credentials)?)
        }
    };
    header_value(&text).map(Some)
}

/// A header's value that is not shown in logs.
fn header_value(text: &str) -> Result<HeaderValue, ClientError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        let what = "a secret has a character that no header may have, such as a line end";
        ClientError::Unavailable(what.to_owned())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn reveal(credential: &Credential) -> Result<String, ClientError> {
    match credential {
        Credential::Inline(secret) => Ok(secret.reveal().to_owned()),
        Credential::File(path) => crate::text_file::read(path, SECRET_BYTES_MAX)
            .map(|text| text.trim_end().to_owned())
            .map_err(|what| ClientError::Unavailable(format!("{}: {what}", path.display()))),
    }
}
