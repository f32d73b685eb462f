//! The administrative HTTP server: metrics, health, readiness, and, where it is switched on, verdicts
//! of engineers. On a thread of its own.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::oneshot;

use crate::clock;
use crate::feedback::{self, Feedback};
use crate::metrics::{Exposition, Metrics};

/// How long requests under way may take when the server stops.
const DRAIN: Duration = Duration::from_secs(2);

/// The running server. Dropping it stops it.
#[derive(Debug)]
pub struct Admin {
    address: SocketAddr,
    ready: Readiness,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Whether the daemon is ready, as `/-/ready` says. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Says whether the daemon is ready.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }

    /// Whether the daemon is ready.
    #[must_use]
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on {address}: {why}; choose another address with --web.listen-address or \
     web.listen_address"
)]
pub struct AdminError {
    /// The address.
    pub address: SocketAddr,
    /// Why.
    pub why: String,
}

/// The feedback log, for those who have the token.
#[derive(Clone)]
pub struct Guarded {
    /// The log.
    pub feedback: Arc<Feedback>,
    /// What clients show.
    pub token: Arc<str>,
}

#[derive(Clone)]
struct Shared {
    metrics: Metrics,
    ready: Readiness,
    feedback: Option<Guarded>,
}

impl Admin {
    /// Starts to listen. Not ready until [`Readiness::set`] says so.
    ///
    /// # Errors
    /// [`AdminError`] when the address cannot be had.
    pub fn start(address: SocketAddr, metrics: Metrics) -> Result<Self, AdminError> {
        Self::start_with(address, metrics, None)
    }

    /// The same, and verdicts are taken from those who have the token.
    ///
    /// # Errors
    /// [`AdminError`] when the address cannot be had.
    pub fn start_with(
        address: SocketAddr,
        metrics: Metrics,
        feedback: Option<Guarded>,
    ) -> Result<Self, AdminError> {
        let failed = |error: io::Error| AdminError {
            address,
            why: match error.kind() {
                io::ErrorKind::AddrInUse => "it is in use by another process".to_owned(),
                io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
                io::ErrorKind::PermissionDenied => "this user may not use that port".to_owned(),
                _ => error.to_string(),
            },
        };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let ready = Readiness::default();
        let shared = Shared { metrics, ready: ready.clone(), feedback };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("admin".to_owned())
            .spawn(move || runtime.block_on(serve(listener, shared, stopped)))
            .map_err(failed)?;
        Ok(Self { address, ready, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens; with port 0 asked for, the port that was given.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What `/-/ready` says.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.ready.clone()
    }

    /// Stops listening, finishes requests under way, and waits for that, two seconds at most.
    pub fn stop(mut self) {
        self.shut_down();
    }

    fn shut_down(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the administrative server panicked");
        }
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.shut_down();
    }
}

async fn serve(listener: TcpListener, shared: Shared, stopped: oneshot::Receiver<()>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the administrative server cannot listen"),
    };
    let takes_feedback = shared.feedback.is_some();
    let mut router = Router::new()
        .route("/", get(landing))
        .route("/metrics", get(metrics))
        .route("/-/healthy", get(|| async { "OK\n" }))
        .route("/-/ready", get(ready));
    if takes_feedback {
        let limit = DefaultBodyLimit::max(feedback::http::BODY_BYTES_MAX);
        router = router.route("/api/v1/incidents/{id}/feedback", post(judge).layer(limit));
    }
    let router = router.with_state(shared);
    let (drain, drained) = oneshot::channel::<()>();
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        // Both a message and a dropped sender mean the end.
        drop(stopped.await);
        drop(drain);
    });
    tokio::select! {
        result = server.into_future() => {
            if let Err(error) = result {
                tracing::error!(%error, "the administrative server failed");
            }
        }
        () = async { drop(drained.await); tokio::time::sleep(DRAIN).await } => {}
    }
}

async fn landing() -> Html<&'static str> {
    Html(
        "<!doctype html><html lang=\"en\"><title>Hypocenter</title><h1>Hypocenter</h1><ul>\
         <li><a href=\"/metrics\">Metrics</a><li><a href=\"/-/healthy\">Health</a>\
         <li><a href=\"/-/ready\">Readiness</a></ul></html>\n",
    )
}

async fn ready(State(shared): State<Shared>) -> (StatusCode, &'static str) {
    if shared.ready.get() {
        (StatusCode::OK, "OK\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready yet\n")
    }
}

/// Takes a verdict. Reading and writing the log blocks, so it is done beside the server's thread.
async fn judge(
    State(shared): State<Shared>,
    Path(incident): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(Guarded { feedback, token }) = shared.feedback else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if !feedback::http::is_allowed(text("authorization"), &token) {
        let ask = [(header::WWW_AUTHENTICATE, "Bearer")];
        return (StatusCode::UNAUTHORIZED, ask, "{\"error\": \"show the token\"}\n")
            .into_response();
    }
    let key = text("idempotency-key").map(str::to_owned);
    let take = move || {
        let now = clock::wall();
        feedback::http::post(&feedback, &incident, key, &body, now)
    };
    match tokio::task::spawn_blocking(take).await {
        Ok(answer) => {
            let status = StatusCode::from_u16(answer.status);
            let kind = [(header::CONTENT_TYPE, "application/json")];
            (status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), kind, answer.body).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn metrics(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let accepts = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("application/openmetrics-text"));
    let exposition = if accepts { Exposition::OpenMetrics } else { Exposition::Text };
    let kind = [(header::CONTENT_TYPE, exposition.content_type())];
    (kind, shared.metrics.render(exposition)).into_response()
}

#[cfg(test)]
mod tests;
