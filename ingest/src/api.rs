//! What can be read over HTTP: Alertmanager's API, for the tools that speak it, and our own.

mod matcher;
mod v1;
mod v2;

pub use v1::Incidents;
pub use v2::Alertmanager;

use std::sync::Arc;

use hyper::StatusCode;
use tokio::sync::Semaphore;

use crate::http::answer::{self, Answer};

/// Large answers that are put together at once; one more is refused, so that readers cannot take
/// the processors from those who send alerts.
const AT_ONCE: usize = 4;

/// Turns of those who read much.
#[derive(Clone, Debug)]
pub struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Turns {
    /// Puts an answer together beside the server's loop.
    async fn work(&self, work: impl FnOnce() -> Answer + Send + 'static) -> Answer {
        let Ok(_turn) = self.0.try_acquire() else {
            let what = format!("{AT_ONCE} large answers are under way; ask again");
            return answer::error(StatusCode::SERVICE_UNAVAILABLE, &what);
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
            tracing::error!(%error, "an answer could not be put together");
            answer::error(StatusCode::INTERNAL_SERVER_ERROR, "this is a fault of ours; see the log")
        })
    }
}
