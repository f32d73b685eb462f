//! The accept loop, and what happens on one connection.

use std::convert::Infallible;
use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch as signal;
use tracing::{debug, warn};

use super::answer::{self, Answer};
use super::guarded::Guarded;
use super::measured::{Closed, HttpCounters};
use super::request::{Bodies, Request};
use super::router::{Routed, Router};
use super::security::Security;
use super::watch::{Entry, SWEEP, Watch, Watches};
use super::{DRAIN, Limits, Options};

/// Pause after a failure to accept: out of file descriptors, mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Most of a body that fits into hyper's buffer at once.
const BUFFER_BYTES: usize = 128 << 10;

/// What all connections of a server share.
struct Shared {
    router: Router,
    security: Arc<Security>,
    limits: Limits,
    counters: Arc<HttpCounters>,
    watches: Arc<Watches>,
    bodies: Bodies,
}

/// Serves until `stopped`'s sender is gone, then finishes requests under way.
pub(super) async fn serve(
    listeners: Vec<StdListener>,
    options: Options,
    mut stopped: signal::Receiver<()>,
) {
    let Options { name, router, security, limits, counters, .. } = options;
    let watches = Watches::new(&limits, Arc::clone(&counters));
    let bodies = Bodies::default();
    let shared = Arc::new(Shared { router, security, limits, counters, watches, bodies });
    for listener in listeners {
        match TcpListener::from_std(listener) {
            Ok(listener) => {
                tokio::spawn(accept(listener, Arc::clone(&shared), stopped.clone()));
            }
            Err(error) => return tracing::error!(%error, server = name, "cannot listen"),
        }
    }
    let mut sweep = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            _ = stopped.changed() => break,
            _ = sweep.tick() => shared.watches.sweep(),
        }
    }
    let until = Instant::now() + DRAIN;
    while shared.watches.len() > 0 && Instant::now() < until {
        shared.watches.close_idle();
        sweep.tick().await;
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stopped: signal::Receiver<()>) {
    loop {
        let accepted = tokio::select! {
            _ = stopped.changed() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, client) = match accepted {
            Ok((stream, client)) => (stream, client.ip().to_canonical()),
            Err(error) => {
                warn!(%error, "cannot accept a connection; are there enough file descriptors?");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(entry) = shared.watches.admit(client) else {
            shared.counters.closed(Closed::Refused);
            continue;
        };
        let watch = Arc::clone(entry.watch());
        let task = tokio::spawn(connection(stream, entry, Arc::clone(&shared), stopped.clone()));
        Entry::is_served_by(&watch, task.abort_handle());
    }
}

async fn connection(
    stream: TcpStream,
    entry: Entry,
    shared: Arc<Shared>,
    stopped: signal::Receiver<()>,
) {
    // Answers are small and written at once; waiting for more would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "cannot set TCP_NODELAY");
    }
    let watch = entry.watch();
    let Some(acceptor) = shared.security.acceptor() else {
        return speak(stream, watch, &shared, stopped).await;
    };
    watch.handshake();
    match acceptor.accept(stream).await {
        Ok(stream) => {
            watch.secured();
            speak(stream, watch, &shared, stopped).await;
        }
        Err(error) => {
            shared.counters.closed(Closed::Tls);
            debug!(%error, "a TLS handshake failed");
        }
    }
}

async fn speak<S>(
    stream: S,
    watch: &Arc<Watch>,
    shared: &Arc<Shared>,
    mut stopped: signal::Receiver<()>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let io = TokioIo::new(Guarded::new(stream, Arc::clone(watch)));
    let service = service_fn(|request| {
        let (watch, shared) = (Arc::clone(watch), Arc::clone(shared));
        async move { Ok::<_, Infallible>(respond(request, watch, &shared).await) }
    });
    let connection = http1::Builder::new()
        .max_buf_size(BUFFER_BYTES)
        .max_header_size(shared.limits.head_bytes_max)
        // The watch does this, and more.
        .header_read_timeout(None)
        .serve_connection(io, service);
    let mut connection = std::pin::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        debug!(%error, "a connection ended early");
    }
}

async fn respond(
    request: hyper::Request<Incoming>,
    watch: Arc<Watch>,
    shared: &Arc<Shared>,
) -> Answer {
    let started = Instant::now();
    watch.handling();
    let (head, body) = request.into_parts();
    let method = head.method.clone();
    let (label, mut answer) = if head.uri.path_and_query().map_or(0, |p| p.as_str().len())
        > shared.limits.uri_bytes_max
    {
        let what = format!("the path has more than {} bytes", shared.limits.uri_bytes_max);
        ("other", answer::closing(answer::error(StatusCode::URI_TOO_LONG, &what)))
    } else if let Some(refusal) = refusal(&head, shared).await {
        ("other", answer::closing(refusal))
    } else {
        match shared.router.find(&head.method, head.uri.path()) {
            Routed::Answer(answer, label) => (label, answer),
            Routed::To(handler, label, parameter) => {
                let request = Request {
                    method: head.method,
                    uri: head.uri,
                    headers: head.headers,
                    parameter,
                    body,
                    watch: Arc::clone(&watch),
                    limits: shared.limits,
                    bodies: shared.bodies.clone(),
                };
                (label, handler.handle(request).await)
            }
        }
    };
    shared.security.decorate(answer.headers_mut());
    watch.answered(matches!(answer.body(), http_body_util::Either::Right(_)));
    shared.counters.request(label, &method, answer.status(), started.elapsed());
    answer
}

/// Why a request is not looked at at all.
async fn refusal(head: &hyper::http::request::Parts, shared: &Shared) -> Option<Answer> {
    if let Err(refusal) = shared.security.authorize(&head.headers).await {
        return Some(refusal);
    }
    // A page of another site may make a browser send simple requests here, with its credentials.
    let changes = !matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS);
    if changes && is_cross_site(&head.headers) {
        let what = "requests from pages of other sites may not change anything";
        return Some(answer::error(StatusCode::FORBIDDEN, what));
    }
    None
}

/// Whether a browser says that another site's page sent this.
fn is_cross_site(headers: &header::HeaderMap<HeaderValue>) -> bool {
    let text = |name: header::HeaderName| headers.get(name).map(HeaderValue::as_bytes);
    let Some(origin) = text(header::ORIGIN) else { return false };
    let host = text(header::HOST).unwrap_or_default();
    let is_ours = |scheme: &[u8]| origin.strip_prefix(scheme) == Some(host);
    !is_ours(b"http://") && !is_ours(b"https://")
}
