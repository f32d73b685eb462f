//! The HTTP server: listeners, TLS and authentication, limits on what a client may cost, routes.
//!
//! It knows nothing of alerts: handlers do. An accept loop of its own over hyper, because the
//! bounds that matter here (first byte, header, body, idle, number of connections) are nobody
//! else's default. HTTP/1.1 only: what speaks to it (Prometheus, Alertmanager, Grafana, curl) falls
//! back to it, and the attacks on HTTP/2's streams have nothing to work on.

pub mod answer;
mod basic_auth;
mod guarded;
mod limits;
mod listener;
mod measured;
mod request;
mod router;
mod security;
mod tls;
mod watch;
mod web_config;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch as signal;

pub use limits::Limits;
pub use measured::HttpCounters;
pub use request::Request;
pub use router::{Answering, Handler, Router};
pub use security::Security;

/// How long requests under way may take when the server stops.
pub const DRAIN: Duration = Duration::from_secs(2);

/// What to serve, and where.
pub struct Options {
    /// Name of its thread, for logs and tools.
    pub name: &'static str,
    /// Where to listen.
    pub addresses: Vec<SocketAddr>,
    /// What to answer.
    pub router: Router,
    /// Who may ask.
    pub security: Arc<Security>,
    /// What a client may cost.
    pub limits: Limits,
    /// Where to count.
    pub counters: Arc<HttpCounters>,
}

/// A running server, on a thread of its own. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    name: &'static str,
    addresses: Vec<SocketAddr>,
    stop: Option<signal::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Why a server could not start.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {why}; choose another address with {setting}")]
pub struct ListenError {
    /// The address.
    pub address: SocketAddr,
    /// Why.
    pub why: String,
    /// Where addresses are set.
    pub setting: &'static str,
}

impl Server {
    /// Starts to listen. `setting` says where the addresses come from.
    ///
    /// # Errors
    /// [`ListenError`] when one of the addresses cannot be had.
    pub fn start(options: Options, setting: &'static str) -> Result<Self, ListenError> {
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        for &address in &options.addresses {
            let failed = |error| failure(address, setting, &error);
            let listener = TcpListener::bind(address).map_err(failed)?;
            listener.set_nonblocking(true).map_err(failed)?;
            addresses.push(listener.local_addr().map_err(failed)?);
            listeners.push(listener);
        }
        let first = addresses.first().copied().unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
        let failed = |error| failure(first, setting, &error);
        // Passwords and large answers are worked out beside the loop, by a bounded number.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(8)
            .build()
            .map_err(failed)?;
        let name = options.name;
        let (stop, stopped) = signal::channel(());
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || runtime.block_on(listener::serve(listeners, options, stopped)))
            .map_err(failed)?;
        Ok(Self { name, addresses, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens; with port 0 asked for, the port that was given.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Stops listening, finishes requests under way, and waits for that, [`DRAIN`] at most.
    pub fn stop(mut self) {
        self.shut_down();
    }

    fn shut_down(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(server = self.name, "an HTTP server panicked");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shut_down();
    }
}

fn failure(address: SocketAddr, setting: &'static str, error: &io::Error) -> ListenError {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => "it is in use by another process".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not use that port".to_owned(),
        _ => error.to_string(),
    };
    ListenError { address, why, setting }
}
