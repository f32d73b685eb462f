//! Positions that may be committed, collected so that many records cost one request.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::KafkaSource;

/// How long a last commit may be repeated. Well below any session timeout.
const COMMIT_PATIENCE: Duration = Duration::from_secs(3);

/// Positions of the partitions that are ours.
pub(super) struct Commits {
    interval: Duration,
    last: Instant,
    progress: BTreeMap<i32, Progress>,
}

struct Progress {
    /// What the group has, or has been sent: nothing below may be committed again, or a restart
    /// during the replay window would move the group backwards.
    floor: u64,
    /// What the pipeline allows.
    wanted: u64,
    /// What was sent last, unless that failed.
    sent: Option<u64>,
}

impl Commits {
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, last: Instant::now(), progress: BTreeMap::new() }
    }

    /// A partition is ours, and this is committed for it.
    pub(super) fn assigned(&mut self, partition: i32, committed: Option<u64>) {
        let floor = committed.unwrap_or(0);
        let progress = Progress { floor, wanted: floor, sent: Some(floor) };
        self.progress.insert(partition, progress);
    }

    /// A partition is no longer ours.
    pub(super) fn forget(&mut self, partition: i32) {
        self.progress.remove(&partition);
    }

    /// Everything before `next` is done. Ignored for partitions that are not ours.
    pub(super) fn want(&mut self, partition: i32, next: u64) {
        if let Some(progress) = self.progress.get_mut(&partition) {
            progress.wanted = progress.wanted.max(next);
        }
    }

    /// A commit failed: it is not known which, so all are sent again.
    pub(super) fn failed(&mut self) {
        for progress in self.progress.values_mut() {
            progress.sent = None;
        }
    }

    /// What to commit now, if it is time.
    pub(super) fn due(&mut self, topic: &str) -> KafkaResult<Option<TopicPartitionList>> {
        if self.last.elapsed() < self.interval {
            return Ok(None);
        }
        self.all(topic)
    }

    /// What to commit, whatever the time.
    pub(super) fn all(&mut self, topic: &str) -> KafkaResult<Option<TopicPartitionList>> {
        self.last = Instant::now();
        let mut list = TopicPartitionList::new();
        for (partition, progress) in &mut self.progress {
            let done = progress.sent.is_some_and(|sent| sent >= progress.wanted);
            if done || progress.wanted <= progress.floor {
                continue;
            }
            let offset = Offset::Offset(i64::try_from(progress.wanted).unwrap_or(i64::MAX));
            list.add_partition_offset(topic, *partition, offset)?;
            progress.sent = Some(progress.wanted);
        }
        Ok(if list.count() == 0 { None } else { Some(list) })
    }
}

impl KafkaSource {
    /// Commits what has waited long enough. Failure is logged and repeated: it costs a longer
    /// replay, no record.
    pub(super) fn commit_due(&mut self) {
        if self.consumer.context().take_commit_failure() {
            self.commits.failed();
        }
        let list = self.commits.due(&self.config.topic);
        let committed = list.and_then(|list| match list {
            Some(list) => self.consumer.commit(&list, CommitMode::Async),
            None => Ok(()),
        });
        self.note_commit(committed);
    }

    /// Commits everything and waits for it. Coordinators turn commits away for a moment while
    /// members synchronise, or while they change places: then it is tried again.
    pub(super) fn commit_all(&mut self) {
        use RDKafkaErrorCode as Code;
        if self.consumer.context().take_commit_failure() {
            self.commits.failed();
        }
        let list = match self.commits.all(&self.config.topic) {
            Ok(Some(list)) => list,
            nothing => return self.note_commit(nothing.map(drop)),
        };
        let deadline = Instant::now() + COMMIT_PATIENCE;
        loop {
            let committed = self.consumer.commit(&list, CommitMode::Sync);
            let code = committed.as_ref().err().and_then(KafkaError::rdkafka_error_code);
            let passes = matches!(
                code,
                Some(
                    Code::RebalanceInProgress
                        | Code::CoordinatorLoadInProgress
                        | Code::CoordinatorNotAvailable
                        | Code::NotCoordinator
                        | Code::RequestTimedOut
                )
            );
            if !passes || Instant::now() > deadline || self.consumer.assignment_lost() {
                return self.note_commit(committed);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn note_commit(&mut self, committed: KafkaResult<()>) {
        if let Err(error) = committed {
            self.commits.failed();
            let text = format!("commit failed, will be repeated: {error}");
            self.consumer.context().journal.warn("commit", &text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(list: Option<TopicPartitionList>) -> Vec<(i32, Offset)> {
        list.map_or_else(Vec::new, |list| {
            let elements = list.elements();
            elements.iter().map(|e| (e.partition(), e.offset())).collect()
        })
    }

    #[test]
    fn only_progress_is_committed() {
        let mut commits = Commits::new(Duration::ZERO);
        commits.assigned(0, Some(100));
        commits.assigned(1, None);
        commits.want(0, 60);
        assert_eq!(offsets(commits.due("t").unwrap()), [], "in the replay window");
        commits.want(0, 130);
        commits.want(0, 120);
        commits.want(7, 5);
        assert_eq!(offsets(commits.due("t").unwrap()), [(0, Offset::Offset(130))]);
        assert_eq!(offsets(commits.due("t").unwrap()), []);
        commits.want(1, 1);
        commits.failed();
        assert_eq!(
            offsets(commits.all("t").unwrap()),
            [(0, Offset::Offset(130)), (1, Offset::Offset(1))]
        );
        commits.forget(0);
        commits.want(0, 200);
        assert_eq!(offsets(commits.all("t").unwrap()), []);
    }

    #[test]
    fn not_before_the_interval() {
        let mut commits = Commits::new(Duration::from_secs(3600));
        commits.assigned(0, None);
        commits.want(0, 1);
        assert_eq!(offsets(commits.due("t").unwrap()), []);
        assert_eq!(offsets(commits.all("t").unwrap()), [(0, Offset::Offset(1))]);
    }
}
