//! What a consumer asks brokers on the application's behalf: committed offsets, offsets by time, watermarks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use trilog_protocol::ErrorCode;

use super::group::classic::Identity;
use super::ledger::Committable;
use super::partition::TopicPartition;
use super::requests::log::{self, BEGINNING, END};
use super::requests::offsets;
use super::{CommitOffset, Consumer, GroupMetadata};
use crate::Error;
use crate::cluster::on_node;
use crate::metadata::NodeId;

impl Consumer {
    /// All partitions of a topic. Waits for `limit` until they are known.
    ///
    /// Cancel safety: nothing is changed.
    ///
    /// # Errors
    ///
    /// [`Error::Broker`] with what brokers say of the topic, as that it does not exist; [`Error::Timeout`] if none says anything.
    pub async fn partitions(&self, topic: &str, limit: Duration) -> Result<Vec<TopicPartition>, Error> {
        let count = self.shared.cluster.partitions(topic, limit).await?;
        let topic: Arc<str> = topic.into();
        Ok((0..count).map(|partition| TopicPartition::new(Arc::clone(&topic), partition)).collect())
    }

    /// Why the cluster did not answer when it was last asked about topics and leaders; none if it did. The consumer goes on trying.
    #[must_use]
    pub fn trouble(&self) -> Option<Error> {
        self.shared.cluster.trouble()
    }

    /// What a producer needs to send this consumer's offsets as part of a transaction:
    /// [`Transaction::send_offsets`](crate::Transaction::send_offsets). It is taken anew for each transaction, as rebalances change it.
    ///
    /// # Errors
    ///
    /// `INVALID_GROUP_ID` without `group.id`. `UNKNOWN_MEMBER_ID` of a member that is not in its group, or not any more: it has no
    /// partitions whose offsets it could send.
    pub fn group_metadata(&self) -> Result<GroupMetadata, Error> {
        if self.shared.config.group.is_none() {
            return Err(Error::code(ErrorCode::INVALID_GROUP_ID));
        }
        let identity = self.shared.state().member.identity();
        let Identity { member_id, generation, instance } =
            identity.ok_or_else(|| Error::code(ErrorCode::UNKNOWN_MEMBER_ID))?;
        Ok(GroupMetadata { group: self.shared.group().to_owned(), generation, member_id, instance })
    }

    /// The group's committed offsets, of those partitions that have one. It waits for transactions that are about to change them.
    ///
    /// Cancel safety: nothing is changed.
    ///
    /// # Errors
    ///
    /// Of the first partition that the group refuses, or of the coordinator.
    pub async fn committed(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, CommitOffset>, Error> {
        let places: Vec<_> = partitions.into_iter().collect();
        let shared = &self.shared;
        let asked = || async {
            let node = shared.find_coordinator().await?;
            let patience = shared.config.common.request_timeout;
            let answer = on_node(&shared.group_cluster, node, patience, async |connection| {
                offsets::committed(connection, shared.group(), &places).await
            });
            let mut committed = BTreeMap::new();
            for (place, found) in answer.await? {
                // One that a transaction is about to change is asked for again.
                if let Some(found) = found.map_err(Error::code)? {
                    let Committable { offset, leader_epoch } = found.offset;
                    committed.insert(place, CommitOffset { offset, leader_epoch, metadata: found.metadata });
                }
            }
            Ok(committed)
        };
        self.patiently(asked).await
    }

    /// The offset of each partition's first record of a time (milliseconds since 1970) or later. Partitions without such a
    /// record are left out.
    ///
    /// Cancel safety: nothing is changed.
    ///
    /// # Errors
    ///
    /// Of the first partition that cannot be asked.
    pub async fn offsets_for_times(
        &self,
        times: BTreeMap<TopicPartition, i64>,
    ) -> Result<BTreeMap<TopicPartition, i64>, Error> {
        self.patiently(|| self.list(&times)).await
    }

    /// The offset of the first record of each partition, and the one behind the last.
    ///
    /// Cancel safety: nothing is changed.
    ///
    /// # Errors
    ///
    /// Of the first partition that cannot be asked.
    pub async fn watermarks(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, (i64, i64)>, Error> {
        let places: Vec<_> = partitions.into_iter().collect();
        self.marks(|time| places.iter().map(|place| (place.clone(), time)).collect()).await
    }

    /// As [`watermarks`](Self::watermarks), of those partitions that have a leader now. The others are left out, so that they do not
    /// hold these up.
    ///
    /// Cancel safety: nothing is changed.
    ///
    /// # Errors
    ///
    /// Of the first partition that has a leader and cannot be asked.
    pub async fn watermarks_of_led(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, (i64, i64)>, Error> {
        let places: Vec<_> = partitions.into_iter().collect();
        self.marks(|time| {
            let snapshot = self.shared.cluster.watch().borrow().clone();
            let led = places.iter().filter(|place| snapshot.leader(&place.topic, place.partition).is_some());
            led.map(|place| (place.clone(), time)).collect()
        })
        .await
    }

    /// Where partitions begin and end. `asked` gives those that are asked, in each attempt anew: a leader may be lost meanwhile.
    async fn marks(
        &self,
        asked: impl Fn(i64) -> BTreeMap<TopicPartition, i64>,
    ) -> Result<BTreeMap<TopicPartition, (i64, i64)>, Error> {
        let lows = self.patiently(|| async { self.list(&asked(BEGINNING)).await }).await?;
        let mut highs = self.patiently(|| async { self.list(&asked(END)).await }).await?;
        let both = |(place, low)| highs.remove(&place).map(|high| (place, (low, high)));
        Ok(lows.into_iter().filter_map(both).collect())
    }

    async fn list(
        &self,
        times: &BTreeMap<TopicPartition, i64>,
    ) -> Result<BTreeMap<TopicPartition, i64>, Error> {
        let shared = &self.shared;
        let mut by_leader = BTreeMap::<NodeId, BTreeMap<TopicPartition, i64>>::new();
        let snapshot = shared.cluster.watch().borrow().clone();
        for (place, time) in times {
            shared.cluster.uses(&place.topic);
            let Some(leader) = snapshot.leader(&place.topic, place.partition) else {
                shared.cluster.ask_anew();
                return Err(Error::code(ErrorCode::LEADER_NOT_AVAILABLE));
            };
            by_leader.entry(leader).or_default().insert(place.clone(), *time);
        }
        let mut listed = BTreeMap::new();
        for (node, times) in by_leader {
            let patience = shared.config.common.request_timeout;
            let rows = on_node(&shared.cluster, node, patience, async |connection| {
                log::offsets(connection, &times, shared.config.read_committed).await
            });
            for (place, row) in rows.await? {
                if let Err(code) = row
                    && code.is_retriable()
                {
                    shared.cluster.ask_anew();
                }
                if let Some(found) = row.map_err(Error::code)? {
                    listed.insert(place, found.offset);
                }
            }
        }
        Ok(listed)
    }

    /// Tries again for `default.api.timeout.ms`, where that may help.
    async fn patiently<T, F: Future<Output = Result<T, Error>>>(
        &self,
        ask: impl Fn() -> F,
    ) -> Result<T, Error> {
        let config = &self.shared.config;
        let end = Instant::now() + config.api_timeout;
        let mut failures = 0;
        loop {
            let error = match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            failures += 1;
            let pause = config.common.retry.delay(failures, fastrand::f64());
            if error.class() != crate::ErrorClass::Retriable || Instant::now() + pause > end {
                return Err(error);
            }
            sleep(pause).await;
        }
    }
}
