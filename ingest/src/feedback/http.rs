//! `POST /api/v1/incidents/{id}/feedback`: who may judge, and what is answered.

use std::sync::Arc;

use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use serde_json::json;
use subtle::ConstantTimeEq;

use super::judgement::{Sent, Via};
use super::{Feedback, Taken};
use crate::clock;
use crate::http::answer::{self, Answer};
use crate::http::{Request, Router};

/// Largest body, in bytes.
const BODY_BYTES_MAX: usize = 16 << 10;
/// Fewest bytes of a token: shorter ones can be guessed.
pub const TOKEN_BYTES_MIN: usize = 16;
/// Carries the token where basic authentication needs `Authorization` for itself.
pub const TOKEN_HEADER: &str = "feedback-token";

/// The feedback log, for those who have the token.
#[derive(Clone)]
pub struct Guarded {
    /// The log.
    pub feedback: Arc<Feedback>,
    /// What clients show.
    pub token: Arc<str>,
}

impl Guarded {
    /// Adds the route to `router`. The token is asked for beside whatever the server asks for.
    #[must_use]
    pub fn routes(self, router: Router) -> Router {
        let path = "/api/v1/incidents/{}/feedback";
        router.route(Method::POST, path, move |request: Request| self.clone().judge(request))
    }

    async fn judge(self, mut request: Request) -> Answer {
        if !self.admits(&request) {
            let what = "show the token of feedback.token_file, as Authorization: Bearer or as \
                        Feedback-Token";
            let mut refusal = answer::error(StatusCode::UNAUTHORIZED, what);
            let challenge = HeaderValue::from_static("Bearer realm=\"hypocenter feedback\"");
            refusal.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            return answer::closing(refusal);
        }
        let body = match request.body_up_to(BODY_BYTES_MAX).await {
            Ok(body) => body,
            Err(refusal) => return refusal,
        };
        let key = request.header(&HeaderName::from_static("idempotency-key")).map(str::to_owned);
        let take = move || take(&self.feedback, &request.parameter, key, &body);
        // Reading and writing the log blocks.
        tokio::task::spawn_blocking(take).await.unwrap_or_else(|error| {
            tracing::error!(%error, "a judgement could not be handled");
            answer::error(StatusCode::INTERNAL_SERVER_ERROR, "this is a fault of ours; see the log")
        })
    }

    /// Whether a request shows the token.
    fn admits(&self, request: &Request) -> bool {
        let own = request.header(&HeaderName::from_static(TOKEN_HEADER));
        let bearer = || bearer(request.header(&header::AUTHORIZATION)?);
        let given = own.or_else(bearer).unwrap_or_default().trim();
        !self.token.is_empty() && bool::from(given.as_bytes().ct_eq(self.token.as_bytes()))
    }
}

/// The token of an `Authorization` header.
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// Takes a judgement on an incident.
fn take(feedback: &Feedback, incident: &str, key: Option<String>, body: &[u8]) -> Answer {
    let answer = |status, body: serde_json::Value| answer::json(status, format!("{body}\n"));
    let judgement = match Sent::read(body, (Some(incident), key), Via::Http, clock::wall()) {
        Ok(judgement) => judgement,
        Err(error) => {
            feedback.refuse();
            return answer::error(StatusCode::BAD_REQUEST, &error.to_string());
        }
    };
    match feedback.take(judgement) {
        Ok(Taken::Stored) => answer(StatusCode::CREATED, json!({"stored": true})),
        Ok(Taken::Duplicate) => answer(StatusCode::OK, json!({"stored": false})),
        Err(error) => {
            tracing::error!(%error, "a judgement could not be stored");
            let what = "it could not be stored; try again later";
            answer::error(StatusCode::SERVICE_UNAVAILABLE, what)
        }
    }
}
