//! Carrying out rebalances: taking partitions over, handing them back, leaving the group.

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use super::context::{self, Context, Rebalance};
use super::start::{self, NoStart, Start};
use super::{FirstStart, KafkaSource, Owned};
use crate::source::{Assignment, Input, SourceError};

/// How long to wait before asking again where to start.
const AGAIN: Duration = Duration::from_millis(500);

/// How long leaving the group may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long an ending group is given to end without an answer from us.
const GRACE: Duration = Duration::from_millis(300);

/// Partitions that are announced as ours, but for which no start is known yet.
pub(super) struct Arriving {
    partitions: TopicPartitionList,
    not_before: Instant,
}

impl KafkaSource {
    /// Carries out what librdkafka has announced. Whether anything was handed out.
    pub(super) fn rebalance(
        &mut self,
        each: &mut dyn FnMut(Input<'_>),
    ) -> Result<bool, SourceError> {
        if let Some(partitions) = self.leaving.take() {
            self.let_go(&partitions)?;
        }
        let mut busy = false;
        if let Some(arriving) = self.arriving.take() {
            if arriving.not_before <= Instant::now() {
                busy |= self.take_over(arriving.partitions, each)?;
            } else {
                self.arriving = Some(arriving);
            }
        }
        while let Some(rebalance) = self.consumer.context().next() {
            match rebalance {
                Rebalance::Assign(partitions) => {
                    busy |= self.take_over(partitions, each)?;
                }
                Rebalance::Revoke { partitions, lost } => {
                    for element in partitions.elements() {
                        let Some(owned) = self.owned.get(&element.partition()) else {
                            continue;
                        };
                        busy = true;
                        if lost {
                            self.commits.forget(element.partition());
                            each(Input::Lost(&owned.shard));
                        } else {
                            each(Input::Revoked(&owned.shard));
                        }
                    }
                    if !lost && partitions.count() > 0 {
                        self.leaving = Some(partitions);
                        return Ok(busy);
                    }
                    self.let_go(&partitions)?;
                }
            }
        }
        Ok(busy)
    }

    /// Takes partitions over, or puts that off when the brokers cannot say now where to start.
    /// Whether anything was handed out.
    fn take_over(
        &mut self,
        partitions: TopicPartitionList,
        each: &mut dyn FnMut(Input<'_>),
    ) -> Result<bool, SourceError> {
        let numbers: Vec<i32> = partitions.elements().iter().map(|e| e.partition()).collect();
        let starts = match start::find(&self.consumer, &self.config, &numbers) {
            Ok(starts) => starts,
            Err(NoStart::Never(why)) => return Err(self.failed(why)),
            Err(NoStart::NotNow(error)) => {
                let text = format!("cannot tell yet where to start, will try again: {error}");
                self.consumer.context().journal.warn("start", &text);
                let not_before = Instant::now() + AGAIN;
                self.arriving = Some(Arriving { partitions, not_before });
                return Ok(false);
            }
        };
        let mut list = TopicPartitionList::new();
        for one in &starts {
            let offset = Offset::Offset(start::signed(one.start));
            list.add_partition_offset(&self.config.topic, one.partition, offset)
                .map_err(|error| self.failed(error.to_string()))?;
        }
        context::assign(&self.consumer, &list)
            .map_err(|error| self.failed(format!("assign: {error}")))?;
        let busy = !starts.is_empty();
        for one in starts {
            self.own(one, each);
        }
        Ok(busy)
    }

    fn own(&mut self, start: Start, each: &mut dyn FnMut(Input<'_>)) {
        let Start { partition, committed, start } = start;
        let assignment =
            Assignment { shard: self.config.shard(partition), committed, start: Some(start) };
        tracing::info!(
            place = self.consumer.context().journal.place(),
            partition,
            ?committed,
            start,
            "assigned"
        );
        self.commits.assigned(partition, committed);
        if committed.is_none() && self.config.first_start == FirstStart::Latest {
            // Or a restart before the first record would skip what came in between.
            self.commits.want(partition, start);
        }
        each(Input::Assigned(&assignment));
        let owned = Owned { shard: assignment.shard, next: start, at_end: false };
        self.owned.insert(partition, owned);
    }

    /// Makes the commits durable and lets revoked partitions go.
    fn let_go(&mut self, partitions: &TopicPartitionList) -> Result<(), SourceError> {
        if !self.consumer.assignment_lost() {
            self.commit_all();
        }
        for element in partitions.elements() {
            self.commits.forget(element.partition());
            self.owned.remove(&element.partition());
        }
        context::unassign(&self.consumer, partitions)
            .map_err(|error| self.failed(format!("unassign: {error}")))
    }
}

impl Drop for KafkaSource {
    /// Leaves the group. librdkafka will not close before an announced rebalance is carried out,
    /// so those that are half way are finished here, and later ones in the callback.
    fn drop(&mut self) {
        let arriving = self.arriving.take().map(|one| Rebalance::Assign(one.partitions));
        let leaving =
            self.leaving.take().map(|partitions| Rebalance::Revoke { partitions, lost: false });
        self.consumer.leave(leaving.into_iter().chain(arriving));
    }
}

/// The group's consumer. Closing one can hang in librdkafka and in the binding, when the
/// coordinator is away or a rebalance is under way, and nothing can interrupt that. So it is
/// closed by a thread that is left behind if it takes too long: only a process that ends leaves
/// its group, and one that cannot end is worse than one that is missed at the next heartbeat.
pub(super) struct Member(Option<BaseConsumer<Context>>);

impl Member {
    pub(super) fn new(consumer: BaseConsumer<Context>) -> Self {
        Self(Some(consumer))
    }

    /// Finishes what is half way, and closes.
    fn leave(&mut self, half_way: impl Iterator<Item = Rebalance>) {
        let Some(consumer) = self.0.take() else {
            return;
        };
        let half_way: Vec<Rebalance> = half_way.collect();
        let context = Arc::clone(consumer.context());
        if half_way.is_empty() && !context.is_waiting() {
            context.close();
        }
        let (done, closed) = crossbeam_channel::bounded::<()>(1);
        let closing = std::thread::Builder::new().name("kafka-leave".to_owned());
        let closing = closing.spawn(move || {
            finish(&consumer, half_way);
            consumer.context().close();
            drop(consumer);
            drop(done);
        });
        let late = closed.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout);
        if late || closing.is_err() {
            let text = "could not leave the group in time; it will notice by the session timeout";
            context.journal.warn("close", text);
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.leave(std::iter::empty());
    }
}

impl Deref for Member {
    type Target = BaseConsumer<Context>;

    fn deref(&self) -> &Self::Target {
        self.0.as_ref().expect("only empty once it has left")
    }
}

/// Closes the group of a consumer that owes librdkafka an answer to a rebalance.
///
/// While a group ends, librdkafka may announce further rebalances, and it gives no reply to an
/// answer that comes when the group has just ended: the call then never returns. So the close
/// comes first, and an answer is given only when the group has waited for it long enough to be
/// sure that it will not end by itself. `leaving_half_way_through_a_hand_over_does_not_hang`
/// tests this.
fn finish(consumer: &BaseConsumer<Context>, half_way: Vec<Rebalance>) {
    let context = consumer.context();
    let mut owed: Vec<Rebalance> = half_way;
    owed.extend(std::iter::from_fn(|| context.next()));
    if owed.is_empty() {
        return;
    }
    let mut done = consumer.close_queue();
    let mut since = Instant::now();
    while done.is_ok() && !consumer.closed() {
        drop(consumer.poll(Duration::from_millis(20)));
        let before = owed.len();
        owed.extend(std::iter::from_fn(|| context.next()));
        if owed.len() > before {
            since = Instant::now();
        }
        // While a group ends, every answer is taken for an unassign.
        if since.elapsed() > GRACE
            && !consumer.closed()
            && let Some(Rebalance::Assign(list) | Rebalance::Revoke { partitions: list, .. }) =
                owed.pop()
        {
            done = context::unassign(consumer, &list);
            owed.clear();
        }
    }
    if let Err(error) = done {
        context.journal.warn("close", &format!("leaving: {error}"));
    }
}
