//! Log lines on standard error: logfmt, or JSON.
//!
//! One line an event: `ts`, `level`, `target`, `msg`, then the event's fields. Whatever a field
//! holds, the line stays one line.

use std::fmt::{self, Write as _};
use std::io;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, reload};

use crate::config::{Log, LogFormat, LogLevel};

/// Sets the level of a running log; the default one of none.
#[derive(Default)]
pub struct SetLevel(Option<Box<dyn Fn(LogLevel) + Send + Sync>>);

impl SetLevel {
    /// Sets it.
    pub fn set(&self, level: LogLevel) {
        if let Some(set) = &self.0 {
            set(level);
        }
    }
}

/// Sends the log of this process to standard error. Only the first call has an effect. What comes
/// back changes the level later.
pub fn init(log: Log) -> SetLevel {
    let (filter, handle) = reload::Layer::new(targets(log.level));
    let subscriber =
        tracing_subscriber::registry().with(filter).with(lines(log.format, io::stderr));
    // A second call is a test's or a library user's own subscriber: theirs stays.
    drop(tracing::subscriber::set_global_default(subscriber));
    // It fails where there is no log any more.
    SetLevel(Some(Box::new(move |level| drop(handle.reload(targets(level))))))
}

/// What writes log lines to `writer`. Libraries are heard from warnings on.
pub fn subscriber<W>(log: Log, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::registry().with(targets(log.level)).with(lines(log.format, writer))
}

fn targets(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("hypocenter", level)
}

fn lines<S, W>(format: LogFormat, writer: W) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer().event_format(Lines(format)).with_writer(writer)
}

struct Lines(LogFormat);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let meta = event.metadata();
        let level = match *meta.level() {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            Level::DEBUG | Level::TRACE => "debug",
        };
        let now = jiff::Timestamp::now();
        let fixed = [
            ("ts", format!("{now:.3}")),
            ("level", level.to_owned()),
            ("target", meta.target().to_owned()),
            ("msg", fields.message),
        ];
        let mut line = String::new();
        let all = fixed.into_iter().chain(fields.rest);
        match self.0 {
            LogFormat::Logfmt => {
                for (n, (key, value)) in all.enumerate() {
                    let space = if n == 0 { "" } else { " " };
                    write!(line, "{space}{key}={}", quoted(&value))?;
                }
            }
            LogFormat::Json => {
                for (n, (key, value)) in all.enumerate() {
                    let comma = if n == 0 { "{" } else { "," };
                    let value = serde_json::Value::from(value);
                    write!(line, "{comma}\"{key}\":{value}")?;
                }
                line.push('}');
            }
        }
        writeln!(writer, "{line}")
    }
}

/// A logfmt value: in quotes where it has to be.
fn quoted(value: &str) -> String {
    let bare = |c: char| c.is_alphanumeric() || "-_./:,+@%#*()[]{}<>!?&;$^~|".contains(c);
    if !value.is_empty() && value.chars().all(bare) {
        value.to_owned()
    } else {
        // JSON's escapes are logfmt's.
        serde_json::Value::from(value).to_string()
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    rest: Vec<(&'static str, String)>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: String) {
        if field.name() == "message" {
            self.message = value;
        } else {
            self.rest.push((field.name(), value));
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(log: Log, events: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let copy = buffer.clone();
        let subscriber = subscriber(log, move || copy.clone());
        tracing::subscriber::with_default(subscriber, events);
        let bytes = buffer.0.lock().expect("not poisoned").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn logfmt_lines_stay_one_line() {
        let text = logged(Log::default(), || {
            tracing::info!(sink = "webhook", tries = 3, error = %"a \"b\"\nc", "cannot deliver");
            tracing::debug!("not shown");
            tracing::info!(target: "hyper", "not shown");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        let (ts, rest) = text.split_once(' ').expect("fields");
        assert_eq!(ts.len(), "ts=2026-01-02T03:04:05.678Z".len(), "{ts}");
        assert_eq!(
            rest,
            "level=info target=hypocenter::logging::tests msg=\"cannot deliver\" sink=webhook \
             tries=3 error=\"a \\\"b\\\"\\nc\"\n"
        );
    }

    #[test]
    fn json_lines_are_json() {
        let log = Log { level: LogLevel::Debug, format: LogFormat::Json };
        let text = logged(log, || tracing::debug!(n = 1, text = "x\ty", "hello"));
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value["msg"], "hello");
        assert_eq!(value["n"], "1");
        assert_eq!(value["text"], "x\ty");
        assert_eq!(value["level"], "debug");
    }
}
