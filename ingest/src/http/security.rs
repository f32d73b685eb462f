//! Who may ask, and over what: the web configuration file, read again when it changes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use hyper::StatusCode;
use hyper::header::{self, HeaderMap, HeaderValue};
use tokio_rustls::TlsAcceptor;
use tracing::{info, warn};

use super::answer::{self, Answer};
use super::basic_auth::BasicAuth;
use super::tls;
use super::web_config::{ClientAuth, Pem, Rate, WebConfig};
use crate::file_error::FileError;
use crate::yaml::Problem;

/// How often it is looked whether the file, or one that it names, has changed.
const LOOK: Duration = Duration::from_secs(1);

/// TLS and authentication of a server.
pub struct Security {
    file: Option<PathBuf>,
    current: Mutex<Current>,
}

struct Current {
    loaded: Arc<Loaded>,
    stamps: Vec<(PathBuf, Stamp)>,
    looked: Instant,
}

/// What tells that a file has changed.
type Stamp = Option<(SystemTime, u64)>;

/// What a file asks for.
#[derive(Default)]
struct Loaded {
    acceptor: Option<TlsAcceptor>,
    basic_auth: Option<BasicAuth>,
    headers: Vec<(header::HeaderName, HeaderValue)>,
    verifies_clients: bool,
    bucket: Option<Bucket>,
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Security").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Security {
    /// Neither TLS nor authentication.
    #[must_use]
    pub fn none() -> Arc<Self> {
        let (loaded, stamps) = (Arc::default(), Vec::new());
        let current = Mutex::new(Current { loaded, stamps, looked: Instant::now() });
        Arc::new(Self { file: None, current })
    }

    /// What a web configuration file asks for; none without one.
    ///
    /// # Errors
    /// Everything that is wrong with the file, and with those that it names.
    pub fn load(file: Option<&Path>) -> Result<Arc<Self>, FileError> {
        let Some(file) = file else { return Ok(Self::none()) };
        let (loaded, stamps) = load(file)?;
        let current = Current { loaded: Arc::new(loaded), stamps, looked: Instant::now() };
        Ok(Arc::new(Self { file: Some(file.to_owned()), current: Mutex::new(current) }))
    }

    /// Whether every client has to say who it is.
    #[must_use]
    pub fn authenticates(&self) -> bool {
        let loaded = self.loaded();
        loaded.basic_auth.is_some() || loaded.verifies_clients
    }

    /// Whether connections are encrypted.
    #[must_use]
    pub fn encrypts(&self) -> bool {
        self.loaded().acceptor.is_some()
    }

    pub(super) fn acceptor(&self) -> Option<TlsAcceptor> {
        self.loaded().acceptor.clone()
    }

    /// # Errors
    /// The answer for a client that may not ask.
    pub(super) async fn authorize(&self, headers: &HeaderMap<HeaderValue>) -> Result<(), Answer> {
        if self.file.is_none() {
            return Ok(());
        }
        let loaded = self.loaded();
        if loaded.bucket.as_ref().is_some_and(|bucket| !bucket.take()) {
            let what = "too many requests; the web configuration file sets rate_limit";
            return Err(answer::text(StatusCode::TOO_MANY_REQUESTS, what));
        }
        let Some(basic_auth) = &loaded.basic_auth else { return Ok(()) };
        if basic_auth.admits(headers).await {
            return Ok(());
        }
        let mut refusal = answer::text(StatusCode::UNAUTHORIZED, "Unauthorized");
        let challenge = HeaderValue::from_static("Basic realm=\"hypocenter\"");
        refusal.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        Err(refusal)
    }

    /// Sets the headers that the file asks for.
    pub(super) fn decorate(&self, headers: &mut HeaderMap<HeaderValue>) {
        if self.file.is_some() {
            for (name, value) in &self.loaded().headers {
                headers.insert(name, value.clone());
            }
        }
    }

    /// What is in force; once a second it is looked whether a file has changed. A file that has
    /// become wrong changes nothing: nobody is let in by a mistake, nor shut out.
    fn loaded(&self) -> Arc<Loaded> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &self.file
            && current.looked.elapsed() >= LOOK
        {
            current.looked = Instant::now();
            if current.stamps.iter().any(|(path, stamp)| stamp_of(path) != *stamp) {
                current.renew(file);
            }
        }
        Arc::clone(&current.loaded)
    }
}

impl Current {
    fn renew(&mut self, file: &Path) {
        match load(file) {
            Ok((loaded, stamps)) => {
                let was_open = self.loaded.basic_auth.is_some() && loaded.basic_auth.is_none();
                if was_open {
                    warn!(file = %file.display(), "basic authentication is off now");
                }
                info!(file = %file.display(), "web configuration read again");
                (self.loaded, self.stamps) = (Arc::new(loaded), stamps);
            }
            Err(error) => {
                warn!("web configuration not changed, it has become invalid: {error}");
                // Not again before one of them changes.
                for (path, stamp) in &mut self.stamps {
                    *stamp = stamp_of(path);
                }
            }
        }
    }
}

fn stamp_of(path: &Path) -> Stamp {
    let data = std::fs::metadata(path).ok()?;
    Some((data.modified().ok()?, data.len()))
}

fn load(file: &Path) -> Result<(Loaded, Vec<(PathBuf, Stamp)>), FileError> {
    // Stamps first: a change while reading is then seen next time.
    let mut stamps = vec![(file.to_owned(), stamp_of(file))];
    let config = WebConfig::load(file)?;
    let failed = |what| FileError::new(file, vec![Problem::new(None, "", what)]);
    let mut loaded = Loaded::default();
    if let Some(tls) = &config.tls {
        for pem in [Some(&tls.cert), Some(&tls.key), tls.client_ca.as_ref()].into_iter().flatten() {
            if let Pem::File(path) = pem {
                stamps.push((path.clone(), stamp_of(path)));
            }
        }
        loaded.verifies_clients = tls.client_auth == ClientAuth::RequireAndVerify;
        let acceptor =
            tls::acceptor(tls).map_err(|what| failed(format!("tls_server_config: {what}")))?;
        loaded.acceptor = Some(acceptor);
    }
    if !config.users.is_empty() {
        loaded.basic_auth = Some(BasicAuth::new(config.users).map_err(failed)?);
    }
    loaded.headers = config.headers;
    loaded.bucket = config.rate.map(Bucket::new);
    Ok((loaded, stamps))
}

/// A token bucket for all requests.
struct Bucket {
    rate: Rate,
    /// Tokens, and when they were counted.
    state: Mutex<(f64, Instant)>,
}

impl Bucket {
    fn new(rate: Rate) -> Self {
        Self { rate, state: Mutex::new((f64::from(rate.burst), Instant::now())) }
    }

    fn take(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, counted) = *state;
        let now = Instant::now();
        let earned = (now - counted).as_secs_f64() / self.rate.interval.as_secs_f64();
        let tokens = (tokens + earned).min(f64::from(self.rate.burst));
        let has = tokens >= 1.0;
        *state = (if has { tokens - 1.0 } else { tokens }, now);
        has
    }
}
