//! Requests about the committed offset of one partition, which is never deleted.

use std::collections::BTreeMap;

use crate::coordinator::{
    CommitOffsets, CommitPartition, CommitTopic, FetchOffsets, GroupId, GroupRequest, MemberEpoch, MemberId,
};
use crate::ids::{Offset, PartitionIndex};

/// The topic that the partition is of.
pub(super) const TOPIC: &str = "orders";

/// A commit of `offset`, by a member or by a consumer that is in no group.
pub(super) fn commit(group: &GroupId, member: &MemberId, epoch: MemberEpoch, offset: Offset) -> GroupRequest {
    let partition =
        CommitPartition { index: PartitionIndex(0), offset, leader_epoch: None, metadata: String::new() };
    GroupRequest::CommitOffsets(CommitOffsets {
        group: group.clone(),
        member: member.clone(),
        epoch: epoch.0,
        instance: None,
        retention_ms: None,
        knows_epochs: true,
        topics: vec![CommitTopic { name: TOPIC.into(), partitions: vec![partition] }],
    })
}

/// The question for what is committed.
pub(super) fn fetch(group: &GroupId) -> GroupRequest {
    GroupRequest::FetchOffsets(FetchOffsets {
        group: group.clone(),
        member: None,
        epoch: -1,
        topics: Some(BTreeMap::from([(TOPIC.into(), vec![PartitionIndex(0)])])),
        require_stable: true,
    })
}
