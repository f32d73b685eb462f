//! Tokens by client credentials (RFC 6749, section 4.4): asked for when needed, kept until shortly
//! before they expire, and dropped when a server says 401.

#[cfg(test)]
mod tests;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;

use super::{Client, ClientError, reveal};
use crate::config::{HttpConfig, OAuth2};
use crate::redact::Secret;

/// Largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 << 10;
/// A token is not used any more this long before its end: it has a way to go.
const MARGIN: Duration = Duration::from_secs(10);
/// Longest time that a token is kept.
const KEEP_MAX: Duration = Duration::from_secs(24 * 3600);
/// What is written as it is in a form.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Asks for tokens and keeps the last one.
pub(super) struct Tokens {
    config: OAuth2,
    client: Client,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// What goes into the header, and until when.
    token: Option<(Secret, Instant)>,
    /// The server wants our credentials in the form, not in the header.
    in_form: bool,
}

/// The answer, as far as it matters.
#[derive(Deserialize)]
struct Granted {
    access_token: Option<String>,
    token_type: Option<String>,
    expires_in: Option<Value>,
    error: Option<String>,
}

impl Tokens {
    /// Of a configuration whose other settings, such as allowed addresses, hold here too.
    pub(super) fn new(
        oauth2: &OAuth2,
        config: &HttpConfig,
        timeout: Duration,
    ) -> Result<Self, String> {
        let of_server = HttpConfig {
            tls: oauth2.tls.clone(),
            proxy_url: oauth2.proxy_url.clone(),
            allow_addresses: config.allow_addresses.clone(),
            ..HttpConfig::default()
        };
        let client = Client::new(&oauth2.token_url, &of_server, timeout)
            .map_err(|why| format!("oauth2: {why}"))?;
        Ok(Self { config: oauth2.clone(), client, held: Mutex::default() })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value of the header, from memory or asked for now.
    pub(super) fn header(&self) -> Result<String, ClientError> {
        let mut held = self.held();
        if let Some((token, until)) = &held.token
            && Instant::now() < *until
        {
            return Ok(token.reveal().to_owned());
        }
        held.token = None;
        let granted = match self.ask(held.in_form) {
            // Some servers know one of the two ways only.
            Err((why, true)) => {
                let granted = self.ask(!held.in_form).map_err(|_| failed(&self.client, &why))?;
                held.in_form = !held.in_form;
                granted
            }
            outcome => outcome.map_err(|(why, _)| failed(&self.client, &why))?,
        };
        let (header, keep) = read(&granted).map_err(|why| failed(&self.client, &why))?;
        held.token = Some((Secret::new(header.clone()), Instant::now() + keep));
        Ok(header)
    }

    /// A server refused the token: the next request asks for another one.
    pub(super) fn refused(&self) {
        self.held().token = None;
    }

    /// Why there is no token, and whether that may be for the way in which credentials are sent.
    fn ask(&self, in_form: bool) -> Result<Granted, (String, bool)> {
        let final_failure = |error: ClientError| (error.to_string(), false);
        let secret = reveal(&self.config.client_secret).map_err(final_failure)?;
        let encoded = |text: &str| utf8_percent_encode(text, FORM).to_string();
        let mut form = String::from("grant_type=client_credentials");
        let mut add = |name: &str, value: &str| {
            form.push_str(&format!("&{}={}", encoded(name), encoded(value)));
        };
        if !self.config.scopes.is_empty() {
            add("scope", &self.config.scopes.join(" "));
        }
        self.config.endpoint_params.iter().for_each(|(name, value)| add(name, value));
        let mut headers = vec![("accept".to_owned(), "application/json".to_owned())];
        if in_form {
            add("client_id", &self.config.client_id);
            add("client_secret", &secret);
        } else {
            let pair = format!("{}:{}", encoded(&self.config.client_id), encoded(&secret));
            headers.push((
                "authorization".to_owned(),
                format!("Basic {}", BASE64_STANDARD.encode(pair)),
            ));
        }
        let kind = "application/x-www-form-urlencoded";
        let answer = self
            .client
            .post_as(kind, "", &headers, form.as_bytes(), ANSWER_BYTES_MAX)
            .map_err(final_failure)?;
        let read = serde_json::from_slice::<Granted>(&answer.body);
        if answer.is_success() {
            // Not shown: it may hold a token.
            return read.map_err(|_| ("answers with what is no token".to_owned(), false));
        }
        let error = read.ok().and_then(|granted| granted.error).filter(|error| is_word(error));
        let error = error.map(|error| format!(": {error}")).unwrap_or_default();
        let why = format!("answers with status {}{error}", answer.status);
        Err((why, matches!(answer.status, 400 | 401)))
    }
}

fn failed(client: &Client, why: &str) -> ClientError {
    ClientError::Unavailable(format!("no token from {}: {why}", client.place()))
}

/// Whether this is one of the short words that errors are told by, and may be shown.
fn is_word(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// The header, and how long it may be used.
fn read(granted: &Granted) -> Result<(String, Duration), String> {
    let token = granted.access_token.as_deref().filter(|token| !token.is_empty());
    let token = token.ok_or("answers without an access_token")?;
    let kind = granted.token_type.as_deref().unwrap_or("Bearer");
    let kind = match kind {
        _ if kind.eq_ignore_ascii_case("bearer") => "Bearer",
        _ if is_word(kind) && !kind.is_empty() => kind,
        _ => return Err("answers with a token_type that is no word".to_owned()),
    };
    let seconds = match &granted.expires_in {
        Some(Value::Number(seconds)) => seconds.as_f64(),
        Some(Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    // Without a word on its end it is used until it is refused.
    let keep = seconds.map_or(KEEP_MAX, |seconds| {
        Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(KEEP_MAX).min(KEEP_MAX)
    });
    Ok((format!("{kind} {token}"), keep.saturating_sub(MARGIN)))
}
