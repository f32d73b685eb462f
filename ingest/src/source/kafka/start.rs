//! Where to start reading a partition.
//!
//! The engine's state is in memory only. To rebuild it, a partition is read again from one
//! *replay window* before the committed position: from the first record whose log time is not
//! before that of the first uncommitted record, less the window. The pipeline suppresses what
//! records before the committed position cause. Where somebody knows the state at a position
//! before the committed one ([`Resume`](crate::source::Resume)), reading starts there instead.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

use super::config::{FirstStart, KafkaSourceConfig};
use super::context::Context;
use super::member::Member;

/// How long one question to the brokers may take. The pipeline's thread waits meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where one partition begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Start {
    pub(super) partition: i32,
    pub(super) committed: Option<u64>,
    pub(super) start: u64,
}

/// Why there is no start.
pub(super) enum NoStart {
    /// The brokers did not answer: ask again.
    NotNow(KafkaError),
    /// It was forbidden by the configuration, or by the brokers.
    Never(String),
}

impl From<KafkaError> for NoStart {
    fn from(error: KafkaError) -> Self {
        match error.rdkafka_error_code() {
            Some(
                code @ (RDKafkaErrorCode::GroupAuthorizationFailed
                | RDKafkaErrorCode::TopicAuthorizationFailed),
            ) => Self::Never(format!("{error}{}", crate::kafka::hint(code))),
            _ => Self::NotNow(error),
        }
    }
}

/// Asks the brokers for all that is needed to say where each partition starts.
pub(super) fn find(
    consumer: &BaseConsumer<Context>,
    config: &KafkaSourceConfig,
    partitions: &[i32],
) -> Result<Vec<Start>, NoStart> {
    let topic = config.topic.as_str();
    let committed = committed(consumer, topic, partitions)?;
    let (mut starts, mut known) = (Vec::with_capacity(partitions.len()), Vec::new());
    for &partition in partitions {
        let (low, high) = consumer.fetch_watermarks(topic, partition, PATIENCE)?;
        let range = Range { low: unsigned(low), high: unsigned(high) };
        let committed = committed.get(&partition).copied();
        let start = first_choice(config, consumer.context(), partition, committed, range)?;
        match resumed(config, start, range) {
            Some(start) => known.push(start),
            None => starts.push((start, range)),
        }
    }
    if !config.replay_window.is_zero() {
        go_back(consumer, config, &mut starts)?;
    }
    Ok(starts.into_iter().map(|(start, _)| start).chain(known).collect())
}

#[derive(Clone, Copy)]
struct Range {
    low: u64,
    high: u64,
}

/// The start without the replay window.
fn first_choice(
    config: &KafkaSourceConfig,
    context: &Context,
    partition: i32,
    committed: Option<u64>,
    range: Range,
) -> Result<Start, NoStart> {
    let Range { low, high } = range;
    let place = format!("{}[{partition}]", config.topic);
    let usable = committed.filter(|committed| *committed <= high);
    let start = match (usable, committed, config.first_start) {
        (Some(committed), ..) => {
            if committed < low {
                let lost = low - committed;
                context.journal.warn(
                    "retention",
                    &format!(
                        "{place}: {lost} positions after the committed {committed} are gone \
                         already, going on at {low}; raise the topic's retention"
                    ),
                );
            }
            committed.max(low)
        }
        (None, None, FirstStart::Earliest) => low,
        (None, None, FirstStart::Latest) => high,
        (None, None, FirstStart::Error) => {
            return Err(NoStart::Never(format!(
                "{place}: the group has committed nothing here, and first_start is \"error\"; set \
                 it to \"earliest\" or \"latest\" once"
            )));
        }
        (None, Some(committed), _) => {
            return Err(NoStart::Never(format!(
                "{place}: position {committed} is committed, but the topic ends at {high}: it was \
                 deleted and created again, or lost records; reset the group's offsets"
            )));
        }
    };
    Ok(Start { partition, committed, start })
}

/// The start at a position before which the state is known. Never after the committed one: who
/// moves that back wants to read again.
fn resumed(config: &KafkaSourceConfig, start: Start, range: Range) -> Option<Start> {
    let latest = start.committed.map_or(range.high, |committed| committed.min(range.high));
    let may = |next: u64| (range.low..=latest).contains(&next);
    let resume = config.resume.as_deref()?;
    let next = resume.resume(&config.shard(start.partition), &may)?;
    Some(Start { start: next, ..start })
}

/// Moves the starts of partitions with a committed position back by the replay window.
fn go_back(
    consumer: &BaseConsumer<Context>,
    config: &KafkaSourceConfig,
    starts: &mut [(Start, Range)],
) -> Result<(), NoStart> {
    let resumed =
        starts.iter().filter(|(start, range)| start.committed.is_some() && start.start > range.low);
    let waiting = resumed.clone().filter(|(one, range)| one.start < range.high);
    let waiting: Vec<Start> = waiting.map(|(start, _)| *start).collect();
    let times = log_times(config, &waiting)?;
    let window = i64::try_from(config.replay_window.as_millis()).unwrap_or(i64::MAX);
    let mut question = TopicPartitionList::new();
    for (start, _) in resumed {
        let anchor = times.get(&start.partition).copied();
        let since = anchor.unwrap_or_else(now).saturating_sub(window).max(0);
        question.add_partition_offset(&config.topic, start.partition, Offset::Offset(since))?;
    }
    if question.count() == 0 {
        return Ok(());
    }
    let answer = consumer.offsets_for_times(question, PATIENCE)?;
    for (start, range) in starts {
        let Some(found) = answer.find_partition(&config.topic, start.partition) else {
            continue;
        };
        found.error()?;
        // Anything but a position means that no record is as late as that: nothing to replay.
        if let Offset::Offset(found) = found.offset() {
            start.start = unsigned(found).min(start.start).max(range.low);
        }
    }
    Ok(())
}

/// The committed positions of the group.
fn committed(
    consumer: &BaseConsumer<Context>,
    topic: &str,
    partitions: &[i32],
) -> KafkaResult<BTreeMap<i32, u64>> {
    let mut question = TopicPartitionList::new();
    for &partition in partitions {
        question.add_partition(topic, partition);
    }
    let answer = consumer.committed_offsets(question, PATIENCE)?;
    let mut committed = BTreeMap::new();
    for element in answer.elements() {
        element.error()?;
        if let Offset::Offset(offset) = element.offset() {
            committed.insert(element.partition(), unsigned(offset));
        }
    }
    Ok(committed)
}

/// The log times, in milliseconds, of the first records at or after the given starts. Partitions
/// without one are left out.
///
/// Only fetching tells the time of a record, and the group's consumer cannot fetch before its
/// assign call. So a second consumer, that is not a member of the group, takes a look.
fn log_times(config: &KafkaSourceConfig, starts: &[Start]) -> Result<BTreeMap<i32, i64>, NoStart> {
    let mut times = BTreeMap::new();
    if starts.is_empty() {
        return Ok(times);
    }
    let mut client = config.client().map_err(|error| NoStart::Never(error.why))?;
    client.remove("group.instance.id");
    client.set("queued.min.messages", "1");
    let context = Context::new(format!("{}, looking back", config.place()));
    let probe = Member::new(client.create_with_context(context)?);
    let mut list = TopicPartitionList::new();
    for start in starts {
        let offset = Offset::Offset(signed(start.start));
        list.add_partition_offset(&config.topic, start.partition, offset)?;
    }
    probe.assign(&list)?;
    let deadline = Instant::now() + PATIENCE;
    let mut open: Vec<i32> = starts.iter().map(|start| start.partition).collect();
    while !open.is_empty() {
        if Instant::now() > deadline {
            let code = RDKafkaErrorCode::OperationTimedOut;
            return Err(NoStart::NotNow(KafkaError::MessageConsumption(code)));
        }
        match probe.poll(Duration::from_millis(100)) {
            Some(Ok(record)) => {
                let partition = record.partition();
                if let Some(time) = record.timestamp().to_millis() {
                    times.entry(partition).or_insert(time);
                }
                open.retain(|one| *one != partition);
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open.retain(|one| *one != partition);
            }
            Some(Err(error)) => probe.context().journal.warn("probe", &error.to_string()),
            None => {}
        }
    }
    Ok(times)
}

/// A position as librdkafka counts.
pub(super) fn signed(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

/// A position as we count. librdkafka's are negative only where they mean something else.
pub(super) fn unsigned(offset: i64) -> u64 {
    u64::try_from(offset).unwrap_or(0)
}

/// The wall clock, in milliseconds since the epoch.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(first_start: FirstStart, committed: Option<u64>) -> Result<u64, String> {
        let mut config = KafkaSourceConfig::new("127.0.0.1:1", "alerts", "hypocenter");
        config.first_start = first_start;
        let context = Context::new(String::new());
        let range = Range { low: 10, high: 90 };
        match first_choice(&config, &context, 0, committed, range) {
            Ok(start) => Ok(start.start),
            Err(NoStart::Never(why)) => Err(why),
            Err(NoStart::NotNow(error)) => panic!("{error}"),
        }
    }

    #[test]
    fn nothing_is_skipped_silently() {
        assert_eq!(start(FirstStart::Earliest, None), Ok(10));
        assert_eq!(start(FirstStart::Latest, None), Ok(90));
        assert!(start(FirstStart::Error, None).is_err());
        assert_eq!(start(FirstStart::Error, Some(50)), Ok(50));
        assert_eq!(start(FirstStart::Latest, Some(5)), Ok(10), "retention");
        assert_eq!(start(FirstStart::Latest, Some(90)), Ok(90), "at the end");
        assert!(start(FirstStart::Latest, Some(91)).is_err(), "recreated topic");
    }
}
