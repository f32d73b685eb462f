//! A request, and how its body is received within bounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap};
use hyper::{Method, StatusCode, Uri};
use percent_encoding::percent_decode;

use super::Limits;
use super::answer::{self, Answer};
use super::watch::Watch;

/// One request. Its body has not been received yet.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path and query as sent.
    pub uri: Uri,
    /// The header.
    pub headers: HeaderMap,
    /// What stands in the place of the route's `{}`, decoded.
    pub parameter: String,
    pub(super) body: Incoming,
    pub(super) watch: Arc<Watch>,
    pub(super) limits: Limits,
    pub(super) bodies: Bodies,
}

/// The bytes of all bodies that are being received or are waiting to be decoded.
#[derive(Clone, Debug, Default)]
pub(super) struct Bodies(Arc<AtomicUsize>);

/// A body's share of [`Bodies`], given back when dropped.
#[derive(Debug)]
struct Share {
    bodies: Bodies,
    bytes: usize,
}

impl Share {
    /// Takes more, unless that would be too much for all bodies together.
    fn grow(&mut self, bytes: usize, max: usize) -> bool {
        let before = self.bodies.0.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        before + bytes <= max
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.bodies.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Request {
    /// Receives the whole body.
    ///
    /// # Errors
    /// The answer to give instead: 413 when it is too large, 408 when it is too slow, 503 when too
    /// many are being received, 400 when it breaks off.
    pub async fn body(&mut self) -> Result<Vec<u8>, Answer> {
        let announced = self.content_length();
        if announced.is_some_and(|length| length > self.limits.body_bytes_max) {
            return Err(too_large(&self.limits));
        }
        self.watch.body();
        let received = self.receive(announced.unwrap_or_default()).await;
        self.watch.handling();
        received
    }

    /// The same, of a body that has no business to be larger than `bytes_max`.
    ///
    /// # Errors
    /// As [`Request::body`].
    pub async fn body_up_to(&mut self, bytes_max: usize) -> Result<Vec<u8>, Answer> {
        self.limits.body_bytes_max = self.limits.body_bytes_max.min(bytes_max);
        self.body().await.map_err(|refusal| match refusal.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                let what = format!("the body has more than {bytes_max} bytes");
                answer::closing(answer::error(StatusCode::PAYLOAD_TOO_LARGE, &what))
            }
            _ => refusal,
        })
    }

    async fn receive(&mut self, announced: usize) -> Result<Vec<u8>, Answer> {
        let mut share = Share { bodies: self.bodies.clone(), bytes: 0 };
        // What is only announced gets little memory before it comes.
        let mut body = Vec::with_capacity(announced.min(64 << 10));
        loop {
            let frame = tokio::select! {
                biased;
                frame = self.body.frame() => frame,
                () = self.watch.late() => return Err(late(&self.limits)),
            };
            let data = match frame {
                None => return Ok(body),
                Some(Err(_)) => {
                    let what = "the body broke off; send it whole, with a right Content-Length";
                    return Err(answer::closing(answer::error(StatusCode::BAD_REQUEST, what)));
                }
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            };
            if body.len() + data.len() > self.limits.body_bytes_max {
                return Err(too_large(&self.limits));
            }
            if !share.grow(data.len(), self.limits.bodies_bytes_max) {
                let what = "too many bodies are being received at once; send this one again later";
                let refusal = answer::error(StatusCode::SERVICE_UNAVAILABLE, what);
                return Err(answer::closing(refusal));
            }
            body.extend_from_slice(&data);
        }
    }

    fn content_length(&self) -> Option<usize> {
        self.header(&header::CONTENT_LENGTH)?.parse().ok()
    }

    /// A header's value, if it is there and is text.
    #[must_use]
    pub fn header(&self, name: &header::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The query's names and values, decoded, in order.
    #[must_use]
    pub fn query(&self) -> Vec<(String, String)> {
        let query = self.uri.query().unwrap_or_default();
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let split = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        split.map(|(name, value)| (decoded(name), decoded(value))).collect()
    }
}

/// Text of a query: `+` is a space, `%20` too. What is no UTF-8 becomes U+FFFD.
fn decoded(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode(spaced.as_bytes()).decode_utf8_lossy().into_owned()
}

fn too_large(limits: &Limits) -> Answer {
    let max = limits.body_bytes_max;
    let what =
        format!("the body has more than {max} bytes (limits.body_bytes_max); send smaller batches");
    answer::closing(answer::error(StatusCode::PAYLOAD_TOO_LARGE, &what))
}

fn late(limits: &Limits) -> Answer {
    let (seconds, rate) = (limits.body.as_secs(), limits.body_bytes_per_second);
    let what = format!(
        "the body came too slowly; it must be complete within {seconds} s and come with {rate} \
         bytes a second at least"
    );
    answer::closing(answer::error(StatusCode::REQUEST_TIMEOUT, &what))
}
