//! What `run` does with verdicts of engineers: the log, and the ways into it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use super::{Exit, Failure};
use crate::config::Feedback as FeedbackConfig;
use crate::feedback::http::{Guarded, TOKEN_BYTES_MIN};
use crate::feedback::topic::Reader;
use crate::feedback::{Feedback, Log};
use crate::metrics::Metrics;
use crate::source::kafka::{KafkaSource, KafkaSourceConfig};

/// Largest file with a token, in bytes.
const TOKEN_FILE_BYTES_MAX: u64 = 4096;

/// The log, if one is configured; shown in the metrics.
///
/// # Errors
/// [`Failure`] when it cannot be read or written.
pub fn open(config: &FeedbackConfig, metrics: &Metrics) -> Result<Option<Arc<Feedback>>, Failure> {
    let Some(file) = &config.file else {
        return Ok(None);
    };
    let feedback = Feedback::open(Log::new(file, config.bounds), config.objective);
    let feedback = Arc::new(feedback.map_err(|error| Failure::new(Exit::Unavailable, error))?);
    metrics.watch_feedback(Arc::clone(&feedback));
    info!(file = %file.display(), "keeping feedback");
    Ok(Some(feedback))
}

/// The log for HTTP clients, if there is a token for them.
///
/// # Errors
/// [`Failure`] when the token cannot be read, or is too short.
pub fn guard(
    config: &FeedbackConfig,
    feedback: Option<Arc<Feedback>>,
) -> Result<Option<Guarded>, Failure> {
    let Some((file, feedback)) = config.token_file.as_ref().zip(feedback) else {
        return Ok(None);
    };
    let token = read_token(file)?.into();
    Ok(Some(Guarded { feedback, token }))
}

/// The token in a file; white space around it does not count.
///
/// # Errors
/// [`Failure`] when it cannot be read, or is too short.
pub fn read_token(file: &Path) -> Result<String, Failure> {
    let failed = |what: String| Failure::new(Exit::Invalid, format!("{}: {what}", file.display()));
    let text = crate::text_file::read(file, TOKEN_FILE_BYTES_MAX).map_err(failed)?;
    let token = text.trim();
    if token.len() < TOKEN_BYTES_MIN || token.contains(char::is_whitespace) {
        let what = format!("must hold one token of at least {TOKEN_BYTES_MIN} characters");
        return Err(failed(what));
    }
    Ok(token.to_owned())
}

/// Reads a topic of verdicts into the log from now on, if one is configured.
///
/// # Errors
/// [`Failure`] when its brokers are unavailable.
pub fn read_topic(
    config: &FeedbackConfig,
    feedback: Option<&Arc<Feedback>>,
) -> Result<Option<Reader>, Failure> {
    let Some((kafka, feedback)) = config.kafka.as_ref().zip(feedback) else {
        return Ok(None);
    };
    let mut source = KafkaSourceConfig::new(&kafka.brokers.join(","), &kafka.topic, &kafka.group);
    // There is no state to rebuild.
    source.replay_window = Duration::ZERO;
    source.properties.extend(kafka.properties.clone());
    let source =
        KafkaSource::new(source).map_err(|error| Failure::new(Exit::Unavailable, error))?;
    let reader = Reader::start(Box::new(source), Arc::clone(feedback))
        .map_err(|error| Failure::new(Exit::Runtime, format!("no thread for feedback: {error}")))?;
    Ok(Some(reader))
}
