//! `POST /api/v1/incidents/{id}/feedback`, without the server: who may ask, and what is answered.

use hypocenter_engine::Timestamp;
use serde_json::json;

use super::judgement::{Sent, Via};
use super::{Feedback, Taken};

/// Largest body, in bytes.
pub const BODY_BYTES_MAX: usize = 16 << 10;
/// Fewest bytes of a token: shorter ones can be guessed.
pub const TOKEN_BYTES_MIN: usize = 16;

/// What is answered: a status, and JSON.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// HTTP's status code.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// Whether an `Authorization` header carries the token. Takes as long for each wrong one.
#[must_use]
pub fn is_allowed(authorization: Option<&str>, token: &str) -> bool {
    let given = authorization.and_then(|header| header.split_once(' '));
    let given = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let given = given.map_or("", |(_, given)| given.trim());
    let differs = given.bytes().zip(token.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    !token.is_empty() && given.len() == token.len() && differs == 0
}

/// Takes a judgement on an incident. `key` is the `Idempotency-Key` header.
#[must_use]
pub fn post(
    feedback: &Feedback,
    incident: &str,
    key: Option<String>,
    body: &[u8],
    now: Timestamp,
) -> Answer {
    let answer =
        |status: u16, body: serde_json::Value| Answer { status, body: format!("{body}\n") };
    let judgement = match Sent::read(body, (Some(incident), key), Via::Http, now) {
        Ok(judgement) => judgement,
        Err(error) => {
            feedback.refuse();
            return answer(400, json!({"error": error.to_string()}));
        }
    };
    match feedback.take(judgement) {
        Ok(Taken::Stored) => answer(201, json!({"stored": true})),
        Ok(Taken::Duplicate) => answer(200, json!({"stored": false, "duplicate": true})),
        Err(error) => {
            tracing::error!(%error, "a judgement could not be stored");
            answer(503, json!({"error": "it could not be stored; try again later"}))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_opens() {
        let token = "0123456789abcdef";
        let allowed = |header| is_allowed(header, token);
        assert!(
            allowed(Some("Bearer 0123456789abcdef")) && allowed(Some("bearer 0123456789abcdef "))
        );
        for bad in [None, Some(""), Some("Bearer"), Some("Bearer 0123456789abcdeF")] {
            assert!(!allowed(bad), "{bad:?}");
        }
        assert!(
            !allowed(Some("Basic 0123456789abcdef")) && !allowed(Some("Bearer 0123456789abcde"))
        );
        assert!(!is_allowed(Some("Bearer "), ""), "no token opens nothing");
    }
}
