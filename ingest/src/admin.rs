//! The administrative routes: metrics, health, readiness. Read-only.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper::{Method, StatusCode, header};

use crate::commands::reload::Reload;
use crate::http::answer::{self, Answer};
use crate::http::{Request, Router};
use crate::metrics::{Exposition, Metrics};

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

/// Adds `/metrics` and a page with links to `router`.
#[must_use]
pub fn metrics(router: Router, metrics: Metrics) -> Router {
    router.route(Method::GET, "/", |_| async { landing() }).route(
        Method::GET,
        "/metrics",
        move |request: Request| {
            let metrics = metrics.clone();
            async move { scrape(&metrics, &request) }
        },
    )
}

/// Adds `POST /-/reload` to `router`: 200, or 500 and what is wrong.
#[must_use]
pub fn reload(router: Router, reload: Reload) -> Router {
    router.route(Method::POST, "/-/reload", move |_| {
        let reload = Arc::clone(&reload);
        async move {
            match tokio::task::spawn_blocking(move || reload()).await {
                Ok(Ok(())) => answer::text(StatusCode::OK, "OK"),
                Ok(Err(what)) => answer::text(StatusCode::INTERNAL_SERVER_ERROR, what),
                Err(error) => answer::text(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    format!("a fault of ours: {error}"),
                ),
            }
        }
    })
}

/// Adds `/-/healthy` and `/-/ready` to `router`.
#[must_use]
pub fn health(router: Router, ready: Readiness) -> Router {
    router.route(Method::GET, "/-/healthy", |_| async { answer::text(StatusCode::OK, "OK") }).route(
        Method::GET,
        "/-/ready",
        move |_| {
            let ready = ready.get();
            async move {
                match ready {
                    true => answer::text(StatusCode::OK, "OK"),
                    false => answer::text(StatusCode::SERVICE_UNAVAILABLE, "not ready yet"),
                }
            }
        },
    )
}

fn landing() -> Answer {
    const PAGE: &str = "<!doctype html><html lang=\"en\"><title>Hypocenter</title>\
        <h1>Hypocenter</h1><ul><li><a href=\"metrics\">Metrics</a>\
        <li><a href=\"-/healthy\">Health</a><li><a href=\"-/ready\">Readiness</a>\
        <li><a href=\"api/v1/incidents\">Incidents</a></ul></html>\n";
    let mut page = answer::answer(StatusCode::OK, "text/html; charset=utf-8", PAGE);
    let policy = header::HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    page
}

fn scrape(metrics: &Metrics, request: &Request) -> Answer {
    let accepts = request
        .headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("application/openmetrics-text"));
    let exposition = if accepts { Exposition::OpenMetrics } else { Exposition::Text };
    answer::answer(StatusCode::OK, exposition.content_type(), metrics.render(exposition))
}

#[cfg(test)]
mod tests;
