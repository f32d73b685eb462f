//! What is posted to us: checked, answered at once, and queued for the engine.
//!
//! A body is decoded here, on the server's thread, because the answer depends on it, and goes to
//! the engine in decoded form: it is parsed once. The answer waits for nothing else. A queue that is
//! full is said with 503: Prometheus counts a failed send and sends again with its next evaluation,
//! Alertmanager's webhook repeats the same body. (429 would be a loss: Alertmanager gives up then.)

mod counters;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use hyper::header::{self, HeaderValue};
use hyper::{Method, StatusCode};
use hypocenter_engine::{AlertEvent, Status, Timestamp};

pub use counters::IntakeCounters;
use counters::Refusal;

use crate::book::Book;
use crate::http::answer::{self, Answer};
use crate::http::{Request, Router};
use crate::neighbours::resync::Offered;
use crate::source::http::Queue;
use crate::wire::{Batch, BodyError, BodyFault, Decoder, Door, Options, Reason, Summary};

/// Where alerts are posted to.
pub struct Intake {
    queue: Queue,
    clock: fn() -> Timestamp,
    counters: Arc<IntakeCounters>,
    book: Arc<Book>,
    api: Mutex<Decoder>,
    webhook: Mutex<Decoder>,
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intake").finish_non_exhaustive()
    }
}

impl Intake {
    /// Puts what is accepted into `queue`, and into `book` for readers. `clock` is the wall clock.
    #[must_use]
    pub fn new(
        queue: Queue,
        options: &Options,
        clock: fn() -> Timestamp,
        counters: Arc<IntakeCounters>,
        book: Arc<Book>,
    ) -> Arc<Self> {
        let decoder = |door| Mutex::new(Decoder::at(door, options.clone()));
        let (api, webhook) = (decoder(Door::Api), decoder(Door::Webhook));
        Arc::new(Self { queue, clock, counters, book, api, webhook })
    }

    /// From now on, bodies are decoded so.
    pub fn exchange_decoder(&self, options: &Options) {
        for (door, decoder) in [(Door::Api, &self.api), (Door::Webhook, &self.webhook)] {
            let new = Decoder::at(door, options.clone());
            *decoder.lock().unwrap_or_else(PoisonError::into_inner) = new;
        }
    }

    /// Adds `POST /api/v2/alerts` and `POST /webhook` to `router`.
    #[must_use]
    pub fn routes(self: &Arc<Self>, router: Router) -> Router {
        let post = |door| {
            let intake = Arc::clone(self);
            move |request| {
                let intake = Arc::clone(&intake);
                async move { intake.post(request, door).await.unwrap_or_else(|refusal| refusal) }
            }
        };
        router.route(Method::POST, "/api/v2/alerts", post(Door::Api)).route(
            Method::POST,
            "/webhook",
            post(Door::Webhook),
        )
    }

    async fn post(&self, mut request: Request, door: Door) -> Result<Answer, Answer> {
        self.check_type(&request).map_err(|refusal| *refusal)?;
        if self.queue.is_full() {
            // Not worth receiving.
            return Err(answer::closing(self.overloaded()));
        }
        let body = request.body().await.inspect_err(|refusal| {
            self.counters.refused(match refusal.status() {
                StatusCode::PAYLOAD_TOO_LARGE => Refusal::TooLarge,
                StatusCode::REQUEST_TIMEOUT => Refusal::TooSlow,
                StatusCode::SERVICE_UNAVAILABLE => Refusal::Overloaded,
                _ => Refusal::BrokenOff,
            });
        })?;
        let received = Instant::now();
        let place = self.queue.place(body.len()).ok_or_else(|| self.overloaded())?;
        let batch = self.decode(&body, door).map_err(|error| unreadable(&error))?;
        let answer = verdict(&batch);
        if !batch.is_empty() {
            place.put(batch, received);
        }
        Ok(answer)
    }

    /// Takes a body of `POST /api/v2/alerts` that did not come over HTTP.
    pub fn offer(&self, body: &[u8]) -> Offered {
        let Some(place) = self.queue.place(body.len()) else { return Offered::Full };
        match self.decode(body, Door::Api) {
            Ok(batch) if batch.is_empty() => Offered::Taken,
            Ok(batch) => {
                place.put(batch, Instant::now());
                Offered::Taken
            }
            Err(error) => Offered::Refused(error.to_string()),
        }
    }

    fn check_type(&self, request: &Request) -> Result<(), Box<Answer>> {
        let given = request.header(&header::CONTENT_TYPE);
        let plain = given.map(|text| text.split(';').next().unwrap_or_default().trim());
        if plain.is_some_and(|text| text.eq_ignore_ascii_case("application/json")) {
            return Ok(());
        }
        self.counters.refused(Refusal::MediaType);
        let given = given.unwrap_or("application/x-www-form-urlencoded");
        let what = format!("unsupported media type {given:?}, only [application/json] are allowed");
        let refusal = answer::error(StatusCode::UNSUPPORTED_MEDIA_TYPE, &what);
        Err(Box::new(answer::closing(refusal)))
    }

    fn overloaded(&self) -> Answer {
        self.counters.refused(Refusal::QueueFull);
        let what = "the queue is full: outputs are slower than alerts come; send this again later";
        let mut answer = answer::error(StatusCode::SERVICE_UNAVAILABLE, what);
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        answer
    }

    fn decode(&self, body: &[u8], door: Door) -> Result<Batch, BodyError> {
        let decoder = if door == Door::Api { &self.api } else { &self.webhook };
        let mut decoder = decoder.lock().unwrap_or_else(PoisonError::into_inner);
        let mut batch = Batch::for_body(body.len());
        let (now, mut firing, mut resolved) = ((self.clock)(), 0, 0);
        let summary = decoder.decode(body, &mut |decoded| match decoded {
            Ok(decoded) => {
                let is_resolved = is_resolved(&decoded.event, now);
                *(if is_resolved { &mut resolved } else { &mut firing }) += 1;
                batch.push(&decoded.event);
                self.book.note(&decoded, now);
            }
            Err(rejected) => batch.rejected.push(rejected),
        });
        let refused = |error: &BodyError| self.counters.refused(Refusal::of(error));
        let Summary { truncated, .. } = summary.inspect_err(refused)?;
        self.book.tidy(now);
        self.counters.received(firing, resolved, truncated);
        Ok(batch)
    }
}

/// The answer to a body that cannot be read at all.
fn unreadable(error: &BodyError) -> Answer {
    match error.fault {
        BodyFault::Empty => answer::error(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string()),
        _ => bad_request(&error.to_string()),
    }
}

fn is_resolved(event: &AlertEvent<'_>, now: Timestamp) -> bool {
    match event.status {
        Some(status) => status == Status::Resolved,
        None => event.ends_at.is_some_and(|end| end <= now),
    }
}

/// The answer to a body that could be read: good alerts have been taken whatever the others are.
fn verdict(batch: &Batch) -> Answer {
    let Some(first) = batch.rejected.first() else { return answer::empty() };
    let is_missing = |reason: &Reason| matches!(reason, Reason::NoLabels("missing"));
    let (refused, all) = (batch.rejected.len(), batch.rejected.len() + batch.len());
    let what = match all {
        1 => first.to_string(),
        _ => format!("{first} ({refused} of {all} alerts are refused, the others are accepted)"),
    };
    if batch.rejected.iter().all(|rejected| is_missing(&rejected.reason)) {
        answer::error(StatusCode::UNPROCESSABLE_ENTITY, &what)
    } else {
        bad_request(&what)
    }
}

/// 400 as Alertmanager gives it, whose clients expect a text.
pub(crate) fn bad_request(what: &str) -> Answer {
    let text = serde_json::Value::String(what.to_owned());
    answer::json(StatusCode::BAD_REQUEST, format!("{text}\n"))
}
