//! From a partition as a client names it to the replica that this node leads.
//!
//! Fetch, ListOffsets and OffsetForLeaderEpoch all begin so, and all hold the leader epoch that the client
//! believes in against the real one (KIP-320): a client with an older epoch has to refresh its metadata, one
//! with a newer epoch has met a node that does not know yet what the client knows. A replica that does not lead says the
//! same, by the epoch of the leader that it knows, before it says that it does not lead.
//!
//! What a leader shows may be out of date: another one may have been elected since it last heard that it leads. So all
//! three [ask](confirm_all) when a request comes, and answer only what is confirmed; anything else is
//! NOT_LEADER_OR_FOLLOWER, which sends the client for newer metadata.

use std::cmp::Ordering;
use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use trilog_cluster::controller::{MetadataImage, Topic};
use trilog_cluster::ids::{LeaderEpoch, Offset, PartitionIndex, RaftGroupId};
use trilog_cluster::node::{ConfirmFuture, Confirmed, Leadership};
use trilog_cluster::replica::{Replica, ReplicaStatus};

use super::broker::Broker;

/// A client's way of saying that it knows no leader epoch.
pub(super) const NO_EPOCH: i32 = -1;

/// A partition that this node leads, at one moment.
pub(super) struct LedPartition {
    /// Its records.
    pub(super) replica: Arc<Replica>,
    /// How it stood when it was looked at.
    pub(super) status: ReplicaStatus,
    /// The epoch that this node leads it in.
    pub(super) epoch: LeaderEpoch,
}

/// The Raft group of a topic's partition.
///
/// # Errors
///
/// UNKNOWN_TOPIC_OR_PARTITION for no topic, or one without that partition.
pub(super) fn group_of(topic: Option<&Arc<Topic>>, index: i32) -> Result<RaftGroupId, ResponseError> {
    let partition = topic.and_then(|topic| topic.partition(PartitionIndex(index)));
    partition.map(|partition| partition.group).ok_or(ResponseError::UnknownTopicOrPartition)
}

/// Asks which of the partitions, each named by its topic and its index, this node leads for certain.
pub(super) fn confirm_all<'a>(
    broker: &Broker,
    image: &MetadataImage,
    named: impl Iterator<Item = (&'a str, i32)>,
) -> ConfirmFuture {
    let groups = named.filter_map(|(topic, index)| group_of(image.topic(topic), index).ok());
    broker.node.confirm(groups.collect())
}

impl LedPartition {
    /// The partition with that group, if this node is confirmed to lead it, in the epoch that the client believes in.
    ///
    /// # Errors
    ///
    /// NOT_LEADER_OR_FOLLOWER, FENCED_LEADER_EPOCH or UNKNOWN_LEADER_EPOCH.
    pub(super) fn find(
        broker: &Broker,
        confirmed: &Confirmed,
        group: RaftGroupId,
        believed: i32,
    ) -> Result<Self, ResponseError> {
        let replica = broker.node.replica(group).ok_or(ResponseError::NotLeaderOrFollower)?;
        let status = replica.status();
        let leading = status.leading.filter(|epoch| confirmed.covers(group, *epoch));
        let known = known_epoch(&status, broker.node.leadership(group).as_ref());
        let epoch = check_epoch(leading, known, believed)?;
        Ok(Self { replica, status, epoch })
    }
}

/// The latest epoch of the partition that this node knows: its own, or the one of another leader.
fn known_epoch(status: &ReplicaStatus, leadership: Option<&Leadership>) -> Option<LeaderEpoch> {
    status.leading.max(leadership.map(|known| known.epoch))
}

/// Holds the epoch that a client believes in against the one that is `known`, and then asks for the one that is led in.
///
/// # Errors
///
/// FENCED_LEADER_EPOCH or UNKNOWN_LEADER_EPOCH when the first two differ; NOT_LEADER_OR_FOLLOWER when none is led in.
pub(super) fn check_epoch(
    leading: Option<LeaderEpoch>,
    known: Option<LeaderEpoch>,
    believed: i32,
) -> Result<LeaderEpoch, ResponseError> {
    match known.map(|known| believed.cmp(&known.0)) {
        Some(Ordering::Less) if believed != NO_EPOCH => Err(ResponseError::FencedLeaderEpoch),
        Some(Ordering::Greater) => Err(ResponseError::UnknownLeaderEpoch),
        _ => leading.ok_or(ResponseError::NotLeaderOrFollower),
    }
}

/// The greatest epoch not above `asked`, and the offset after its last record, in a partition that is led in
/// the epoch `current`. None for an epoch above the current one. An epoch in which nothing
/// was written is in no list, but the current one is known all the same.
pub(super) fn end_of_epoch(
    status: &ReplicaStatus,
    current: LeaderEpoch,
    asked: LeaderEpoch,
) -> Option<(LeaderEpoch, Offset)> {
    let end = status.high_watermark;
    match asked.cmp(&current) {
        Ordering::Less => status.leader_epochs.end_offset_for(asked, end),
        Ordering::Equal => Some((asked, end)),
        Ordering::Greater => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_believed_in_has_to_be_the_one_led_in() {
        let led = Some(LeaderEpoch(5));
        assert_eq!(check_epoch(led, led, NO_EPOCH), Ok(LeaderEpoch(5)));
        assert_eq!(check_epoch(led, led, 5), Ok(LeaderEpoch(5)));
        assert_eq!(check_epoch(led, led, 4), Err(ResponseError::FencedLeaderEpoch));
        assert_eq!(check_epoch(led, led, 6), Err(ResponseError::UnknownLeaderEpoch));
    }

    #[test]
    fn a_wrong_epoch_is_told_before_the_missing_leadership() {
        let known = Some(LeaderEpoch(5));
        assert_eq!(check_epoch(None, known, NO_EPOCH), Err(ResponseError::NotLeaderOrFollower));
        assert_eq!(check_epoch(None, known, 5), Err(ResponseError::NotLeaderOrFollower));
        assert_eq!(check_epoch(None, known, 4), Err(ResponseError::FencedLeaderEpoch));
        assert_eq!(check_epoch(None, known, 6), Err(ResponseError::UnknownLeaderEpoch));
        assert_eq!(check_epoch(None, None, 6), Err(ResponseError::NotLeaderOrFollower));
    }

    #[test]
    fn a_partition_that_is_not_there_is_unknown() {
        assert_eq!(group_of(None, 0), Err(ResponseError::UnknownTopicOrPartition));
    }

    #[test]
    fn epochs_of_a_partition_that_was_never_written_end_where_it_begins() {
        let status = ReplicaStatus {
            leading: Some(LeaderEpoch(5)),
            log_start_offset: Offset(0),
            high_watermark: Offset(0),
            bytes_so_far: 0,
            leader_epochs: Arc::default(),
        };
        let end = |asked| end_of_epoch(&status, LeaderEpoch(5), LeaderEpoch(asked));
        assert_eq!(
            end(5),
            Some((LeaderEpoch(5), Offset(0))),
            "the current epoch needs no record to be known"
        );
        assert_eq!(end(6), None, "nobody knows of a later epoch");
        assert_eq!(end(4), Some((LeaderEpoch(4), Offset(0))), "who read until then has read everything");
        assert_eq!(end(-1), None, "a client that knows no epoch asks for none");
    }
}
