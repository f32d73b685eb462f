//! What a topic holds now, read once from front to end, without the group: nothing is committed and
//! no partition is taken from anybody.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hypocenter_engine::Timestamp;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};

use super::config::KafkaSourceConfig;
use super::context::Context;
use super::member::Member;
use super::start::{signed, unsigned};
use super::{Record, Shard, SourceError};
use crate::kafka::await_topic;

/// How long one question to the brokers may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Hands every record of the topic to `each`, in order within a partition, from `since` on or from
/// the first. Records that come after the call began are left out. How many there were is returned.
///
/// # Errors
/// [`SourceError`] when no broker answers, the topic does not exist, or nothing comes for so long
/// as `startup_timeout`.
pub fn read(
    config: &KafkaSourceConfig,
    since: Option<Timestamp>,
    each: &mut dyn FnMut(&Record<'_>),
) -> Result<u64, SourceError> {
    let place = format!("{}, read once", config.place());
    let failed = |why: String| SourceError { what: place.clone(), why };
    let kafka = |error: KafkaError| failed(error.to_string());
    let mut client = config.client()?;
    client.remove("group.instance.id");
    let consumer =
        Member::new(client.create_with_context(Context::new(place.clone())).map_err(kafka)?);
    let serve = || drop(consumer.poll(Duration::ZERO));
    let (journal, topic) = (&consumer.context().journal, config.topic.as_str());
    await_topic(consumer.client(), journal, topic, config.startup_timeout, serve)
        .map_err(&failed)?;
    let mut open = ends(&consumer, topic, since).map_err(kafka)?;
    let mut list = TopicPartitionList::new();
    for (&partition, range) in &open {
        let offset = Offset::Offset(signed(range.next));
        list.add_partition_offset(topic, partition, offset).map_err(kafka)?;
    }
    consumer.assign(&list).map_err(kafka)?;
    let (mut count, mut heard) = (0, Instant::now());
    open.retain(|_, range| range.next < range.end);
    while !open.is_empty() {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                heard = Instant::now();
                let (partition, position) = (message.partition(), unsigned(message.offset()));
                let Some(range) = open.get(&partition).filter(|range| position < range.end) else {
                    continue;
                };
                let time = message.timestamp().to_millis().filter(|&millis| millis > 0);
                each(&Record {
                    shard: &range.shard,
                    position,
                    time: time.map(Timestamp::from_millis),
                    payload: message.payload().unwrap_or_default(),
                });
                count += 1;
                if position + 1 >= range.end {
                    open.remove(&partition);
                }
            }
            // The end counts even where the last positions hold no record, as after compaction.
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(open.remove(&partition)),
            Some(Err(error)) => journal.warn("read", &error.to_string()),
            None => {}
        }
        if heard.elapsed() > config.startup_timeout {
            return Err(failed(format!(
                "nothing came for {:?}; check that the brokers run",
                config.startup_timeout
            )));
        }
    }
    Ok(count)
}

/// What is to be read of one partition.
struct Range {
    shard: Shard,
    next: u64,
    end: u64,
}

fn ends(
    consumer: &Member,
    topic: &str,
    since: Option<Timestamp>,
) -> Result<BTreeMap<i32, Range>, KafkaError> {
    let metadata = consumer.client().fetch_metadata(Some(topic), PATIENCE)?;
    let found = metadata.topics().iter().filter(|found| found.name() == topic);
    let partitions: Vec<i32> = found.flat_map(|t| t.partitions()).map(|p| p.id()).collect();
    let mut ranges = BTreeMap::new();
    for &partition in &partitions {
        let (low, high) = consumer.client().fetch_watermarks(topic, partition, PATIENCE)?;
        let shard =
            Shard { input: topic.to_owned(), partition: u32::try_from(partition).unwrap_or(0) };
        ranges.insert(partition, Range { shard, next: unsigned(low), end: unsigned(high) });
    }
    if let Some(since) = since {
        let mut question = TopicPartitionList::new();
        for &partition in &partitions {
            let since = Offset::Offset(since.as_millis().max(0));
            question.add_partition_offset(topic, partition, since)?;
        }
        let answer = consumer.offsets_for_times(question, PATIENCE)?;
        for (&partition, range) in &mut ranges {
            let found = answer.find_partition(topic, partition).map(|found| found.offset());
            range.next = match found {
                Some(Offset::Offset(offset)) => unsigned(offset).max(range.next),
                // No record is as late as that.
                _ => range.end,
            };
        }
    }
    Ok(ranges)
}
