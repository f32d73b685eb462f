//! The outputs of a configuration, made.

use crate::config::{Config, Input, Output, Web};
use crate::metrics::Metrics;
use crate::outbox::Outbox;
use crate::sink::alertmanager::AlertmanagerSink;
use crate::sink::file::FileSink;
use crate::sink::kafka::{KafkaSink, KafkaSinkConfig};
use crate::sink::stdout::StdoutSink;
use crate::sink::webhook::{WebhookOptions, WebhookSink};
use crate::sink::{Sink, SinkError};

/// Every output of a configuration.
///
/// # Errors
/// Why one of them cannot be had.
pub(super) fn sinks(config: &Config, metrics: &Metrics) -> Result<Vec<Box<dyn Sink>>, SinkError> {
    let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
    for output in &config.outputs {
        sinks.push(match output {
            Output::Stdout => Box::new(StdoutSink::new(metrics.sink("stdout"))),
            Output::File { path } => Box::new(FileSink::open(path, metrics.sink("file"))?),
            Output::Webhook(webhook) => {
                let mut options = WebhookOptions::new(&webhook.url, webhook.timeout);
                options.http = webhook.http.clone();
                Box::new(WebhookSink::start(&options, metrics.sink("webhook"))?)
            }
            Output::Alertmanager(output) => {
                let tenant = config.policy.spec().labels.tenant.as_deref();
                let mut output = output.clone();
                output.incident_url = output.incident_url.or_else(|| incident_url(&config.web));
                let reporter = reporter(&config.web);
                Box::new(AlertmanagerSink::start(&output, tenant, Some(&reporter), metrics)?)
            }
            Output::Kafka(kafka) => {
                let mut sink = KafkaSinkConfig::new(&kafka.brokers.join(","), &kafka.topic);
                sink.properties.extend(kafka.properties.clone());
                Box::new(KafkaSink::new(sink)?.counted(metrics.sink("kafka")))
            }
        });
    }
    Ok(sinks)
}

/// The outputs of a configuration, dead letters included.
///
/// # Errors
/// Why one of them cannot be had.
pub(super) fn outbox(config: &Config, metrics: &Metrics) -> Result<Outbox, SinkError> {
    let outbox = Outbox::new(sinks(config, metrics)?);
    let Input::Kafka(input) = &config.input else {
        return Ok(outbox);
    };
    let Some(topic) = &input.dead_letter_topic else {
        return Ok(outbox);
    };
    let mut sink = KafkaSinkConfig::new(&input.brokers.join(","), topic);
    sink.properties.extend(input.properties.clone());
    Ok(outbox.with_dead_letters(KafkaSink::new(sink)?, topic.clone()))
}

/// The name of this Hypocenter, the same after a restart: the machine's, and where it listens.
fn reporter(web: &Web) -> String {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let address = web.listen_addresses.first().map(ToString::to_string).unwrap_or_default();
    format!("{} {address}", machine.trim())
}

/// The page of an incident as the API has it, where it is said how people reach that.
fn incident_url(web: &Web) -> Option<String> {
    let base = web.external_url.as_deref()?.trim_end_matches('/');
    Some(format!("{base}/api/v1/incidents/{{incident}}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incidents_are_linked_where_people_reach_us() {
        let web =
            |url: Option<&str>| Web { external_url: url.map(str::to_owned), ..Web::default() };
        assert_eq!(incident_url(&web(None)), None);
        let link = incident_url(&web(Some("https://h.example/hypo/")));
        assert_eq!(link.as_deref(), Some("https://h.example/hypo/api/v1/incidents/{incident}"));
    }
}
