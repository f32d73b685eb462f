//! Basic authentication with bcrypt hashes.
//!
//! A comparison costs tens of milliseconds on purpose, so results are remembered, as salted digests
//! and not as passwords; and comparisons run on threads of their own, two at a time, so that a
//! client that guesses slows down nobody but those that guess too.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{self, HeaderMap, HeaderValue};
use ring::digest::{Context, SHA256};
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use super::web_config::Hash;

/// Results that are remembered.
const REMEMBERED_MAX: usize = 100;
/// Comparisons that run at once.
const AT_ONCE: usize = 2;
/// Cost of the hash that stands for users that do not exist.
const COST: u32 = 10;

type Digest = [u8; 32];

/// The users of a listener.
pub(super) struct BasicAuth {
    users: BTreeMap<String, Hash>,
    /// Compared with when the user does not exist, so that this takes as long.
    nobody: Hash,
    salt: Digest,
    remembered: Mutex<VecDeque<(Digest, bool)>>,
    turns: Arc<Semaphore>,
}

impl BasicAuth {
    /// # Errors
    /// That the system has no randomness to give.
    pub(super) fn new(users: BTreeMap<String, Hash>) -> Result<Self, String> {
        let mut salt = Digest::default();
        let failed = |error| format!("no randomness from the system: {error}");
        SystemRandom::new().fill(&mut salt).map_err(|error| failed(error.to_string()))?;
        let cost = users.values().filter_map(|hash| cost(&hash.0)).max().unwrap_or(COST);
        let nobody = bcrypt::hash(salt, cost).map_err(|error| failed(error.to_string()))?;
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        Ok(Self { users, nobody: Hash(nobody), salt, remembered: Mutex::default(), turns })
    }

    /// Whether the request's credentials are right.
    pub(super) async fn admits(&self, headers: &HeaderMap<HeaderValue>) -> bool {
        let Some((user, password)) = credentials(headers) else { return false };
        let known = self.users.get(&user);
        let hash = known.unwrap_or(&self.nobody).clone();
        let digest = self.digest(&user, &hash, &password);
        if let Some(remembered) = self.remembered(&digest) {
            return remembered;
        }
        let Ok(_turn) = Arc::clone(&self.turns).acquire_owned().await else { return false };
        // Another request may have found out in the meantime.
        if let Some(remembered) = self.remembered(&digest) {
            return remembered;
        }
        let compared = tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash.0)).await;
        let is_right = matches!(compared, Ok(Ok(true))) && known.is_some();
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_MAX {
            // Wrong guesses go first: who guesses must not make us forget who is right.
            let at = remembered.iter().position(|(_, right)| !right).unwrap_or(0);
            remembered.remove(at);
        }
        remembered.push_back((digest, is_right));
        is_right
    }

    fn remembered(&self, digest: &Digest) -> Option<bool> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |(known, _): &&(Digest, bool)| bool::from(known.ct_eq(digest));
        remembered.iter().find(same).map(|(_, right)| *right)
    }

    fn digest(&self, user: &str, hash: &Hash, password: &[u8]) -> Digest {
        let mut context = Context::new(&SHA256);
        for part in [&self.salt[..], user.as_bytes(), hash.0.as_bytes(), password] {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        let mut digest = Digest::default();
        digest.copy_from_slice(context.finish().as_ref());
        digest
    }
}

fn cost(hash: &str) -> Option<u32> {
    hash.parse::<bcrypt::HashParts>().ok().map(|parts| parts.get_cost())
}

/// User and password of an `Authorization: Basic` header.
fn credentials(headers: &HeaderMap<HeaderValue>) -> Option<(String, Vec<u8>)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(encoded.trim()).ok()?;
    let colon = decoded.iter().position(|&byte| byte == b':')?;
    let user = String::from_utf8(decoded.get(..colon)?.to_vec()).ok()?;
    Some((user, decoded.get(colon + 1..)?.to_vec()))
}
