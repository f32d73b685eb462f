//! Answers, with what every one of them carries.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{Either, Full};
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};

/// What comes back.
pub type Answer = Response<AnswerBody>;
/// Its body: whole, or a stream.
pub type AnswerBody = Either<Full<Bytes>, UnsyncBoxBody<Bytes, Infallible>>;

/// An answer with a body of this type.
#[must_use]
pub fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Either::Left(Full::new(body.into())));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    // What is JSON or text must not be taken for a page, whatever an alert's label says.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// 200 with nothing.
#[must_use]
pub fn empty() -> Answer {
    Response::new(Either::Left(Full::new(Bytes::new())))
}

/// A line of plain text.
#[must_use]
pub fn text(status: StatusCode, text: impl Into<String>) -> Answer {
    let mut text = text.into();
    text.push('\n');
    answer(status, "text/plain; charset=utf-8", text)
}

/// JSON.
#[must_use]
pub fn json(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    answer(status, "application/json", body)
}

/// An error in JSON, as an object: `{"code": 400, "message": "..."}`.
#[must_use]
pub fn error(status: StatusCode, message: &str) -> Answer {
    let body = serde_json::json!({ "code": status.as_u16(), "message": message });
    json(status, body.to_string())
}

/// Says that the connection is closed after this answer: its request was not read to the end.
#[must_use]
pub fn closing(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}
