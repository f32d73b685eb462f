//! `/api/v1/stream`: every new version of an incident as a server-sent event.
//!
//! An event's id is the number of the version, with the process that counted it. A reader that
//! comes back with `Last-Event-ID` gets what it has missed, as long as that is held; one that has
//! missed more, or comes from another process, is told so first, and reads the list anew. Nothing is
//! kept for a reader that takes in nothing: it falls behind, and is told.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Either};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::board::{Board, Missed, Published};
use crate::http::Request;
use crate::http::answer::{self, Answer};

/// Streams at once.
const STREAMS_MAX: usize = 100;
/// A sign of life after so long without an event; a reader that is gone is noticed by it.
const PING: Duration = Duration::from_secs(15);
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The streams under way.
#[derive(Clone, Debug)]
pub(super) struct Streams(Arc<Semaphore>);

impl Default for Streams {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(STREAMS_MAX)))
    }
}

impl Streams {
    pub(super) fn begin(&self, board: &Board, request: &Request) -> Answer {
        let Ok(permit) = Arc::clone(&self.0).try_acquire_owned() else {
            let what = format!("{STREAMS_MAX} streams are open; close one");
            return answer::error(StatusCode::SERVICE_UNAVAILABLE, &what);
        };
        let (sender, body) = Channel::<Bytes, Infallible>::new(1);
        let last = request.header(&LAST_EVENT_ID).map(str::to_owned);
        tokio::spawn(run(board.clone(), last, sender, permit));
        let mut answer = Response::new(Either::Right(UnsyncBoxBody::new(body.boxed_unsync())));
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        answer
    }
}

async fn run(
    board: Board,
    last: Option<String>,
    mut sender: Sender<Bytes>,
    _permit: OwnedSemaphorePermit,
) {
    let (latest, mut following) = board.follow();
    let mut seen = latest;
    let mut begin = String::from("retry: 2000\n\n");
    if let Some(last) = last {
        match number(&last, board.epoch()).filter(|number| *number <= latest) {
            Some(number) => seen = number,
            None => begin.push_str(&lost("null")),
        }
    }
    if sender.send_data(begin.into()).await.is_err() {
        return;
    }
    loop {
        // Before it is looked: what comes in between is then seen as changed.
        following.mark_unchanged();
        match board.since(seen) {
            Ok(news) => {
                for published in news {
                    seen = published.number;
                    if sender.send_data(event(&published, board.epoch())).await.is_err() {
                        return;
                    }
                }
            }
            Err(Missed { versions, .. }) => {
                // Nothing more can be done than to say it: the stream ends if even that is too much.
                drop(sender.send_data(lost(&versions.to_string()).into()).await);
                return;
            }
        }
        let waited = tokio::time::timeout(PING, following.changed()).await;
        match waited {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            Err(_) if sender.send_data(Bytes::from_static(b": ping\n\n")).await.is_err() => return,
            Err(_) => {}
        }
    }
}

fn event(published: &Published, epoch: u64) -> Bytes {
    let Published { number, entry } = published;
    let mut text = format!("id: {epoch}-{number}\nevent: incident\ndata: ").into_bytes();
    text.extend_from_slice(&entry.body);
    text.extend_from_slice(b"\n\n");
    text.into()
}

/// Says that versions are missing; `versions` is how many, or null.
fn lost(versions: &str) -> String {
    format!("event: lost\ndata: {{\"versions\":{versions},\"read\":\"/api/v1/incidents\"}}\n\n")
}

/// The number in an id of this process.
fn number(id: &str, epoch: u64) -> Option<u64> {
    let (process, number) = id.trim().split_once('-')?;
    (process.parse() == Ok(epoch)).then(|| number.parse().ok())?
}
