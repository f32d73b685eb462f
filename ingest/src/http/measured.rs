//! What the HTTP server counts. Labels are words of ours, never text of a request.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::{Method, StatusCode};

use crate::metrics::Latency;

/// Why a connection was closed by us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Closed {
    /// There were too many, and it was not in use.
    Limit,
    /// There were too many, and all others were in use.
    Refused,
    /// No first byte came.
    FirstByte,
    /// The header was not complete in time.
    Head,
    /// The body was not complete in time.
    Body,
    /// No further request came.
    Idle,
    /// The client took in nothing.
    Write,
    /// The TLS handshake failed.
    Tls,
}

impl Closed {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Limit, "limit"),
        (Self::Refused, "refused"),
        (Self::FirstByte, "first_byte"),
        (Self::Head, "header"),
        (Self::Body, "body"),
        (Self::Idle, "idle"),
        (Self::Write, "write"),
        (Self::Tls, "tls"),
    ];
}

/// Counters of all HTTP servers of a process.
#[derive(Debug, Default)]
pub struct HttpCounters {
    open: AtomicU64,
    closed: [AtomicU64; Closed::ALL.len()],
    requests: Mutex<BTreeMap<Key, Latency>>,
}

/// Handler, method, status code.
type Key = (&'static str, &'static str, u16);

impl HttpCounters {
    /// Counts a request that was answered.
    pub(crate) fn request(
        &self,
        handler: &'static str,
        method: &Method,
        status: StatusCode,
        took: Duration,
    ) {
        let key = (handler, method_label(method), status.as_u16());
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.entry(key).or_default().record(nanos);
    }

    pub(super) fn opened(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn left(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn closed(&self, why: Closed) {
        let at = Closed::ALL.iter().position(|(known, _)| *known == why);
        self.closed[at.unwrap_or_default()].fetch_add(1, Ordering::Relaxed);
    }

    /// Connections that are open.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// Connections closed by us, by reason.
    #[must_use]
    pub fn closings(&self) -> Vec<(&'static str, u64)> {
        let names = Closed::ALL.iter().map(|(_, name)| *name);
        names.zip(self.closed.iter().map(|count| count.load(Ordering::Relaxed))).collect()
    }

    /// Durations of requests by handler, method and status code.
    #[must_use]
    pub fn requests(&self) -> Vec<(Key, Latency)> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.iter().map(|(key, latency)| (*key, latency.clone())).collect()
    }
}

/// A method as a label: anybody may invent methods, nobody a series.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}
