//! Whose offsets a consumer group takes, and whom it gives them.

use super::group::ConsumerGroup;
use super::member::Member;
use crate::coordinator::GroupCoordinator;
use crate::coordinator::error::GroupErrorCode;
use crate::coordinator::ids::{MemberEpoch, MemberId};
use crate::coordinator::request::{CommitOffsets, FetchOffsets};

impl GroupCoordinator {
    /// Whether a commit may be taken.
    ///
    /// A member may be an epoch behind, as it commits and heartbeats at its own pace: its commit counts as long as each
    /// partition has been its own since that epoch or before (KIP-1251).
    pub(in crate::coordinator) fn check_consumer_commit(
        &self,
        request: &CommitOffsets,
    ) -> Result<(), GroupErrorCode> {
        let nothing = ConsumerGroup::default();
        let group = self.consumer_group(&request.group).unwrap_or(&nothing);
        // An administrator, or a consumer that assigns itself.
        if request.epoch < 0 && group.is_empty() {
            return Ok(());
        }
        let member = group.member(&request.member).ok_or(GroupErrorCode::UnknownMemberId)?;
        if member.metadata.classic.is_none() && !request.knows_epochs {
            return Err(GroupErrorCode::UnsupportedVersion);
        }
        let epoch = MemberEpoch(request.epoch);
        if epoch == member.current.epoch {
            return Ok(());
        }
        let partitions = request.topics.iter().flat_map(|topic| {
            let id = self.image.topic(&topic.name).map(|topic| topic.id);
            topic.partitions.iter().map(move |partition| (id, partition.index))
        });
        let mut owned_since = partitions.map(|(topic, partition)| {
            let (topic, current) = (topic?, &member.current);
            current
                .assigned
                .epoch_of(topic, partition)
                .or_else(|| current.revoking.epoch_of(topic, partition))
        });
        let in_time = epoch < member.current.epoch
            && owned_since.all(|since| since.is_some_and(|since| since <= epoch));
        if in_time { Ok(()) } else { Err(wrong_epoch(member)) }
    }

    /// Whether a member may be told the group's offsets. Whoever does not say that it is a member may.
    pub(in crate::coordinator) fn check_offset_fetch(
        &self,
        request: &FetchOffsets,
    ) -> Result<(), GroupErrorCode> {
        if request.member.is_none() && request.epoch < 0 {
            return Ok(());
        }
        let group = self.consumer_group(&request.group);
        let known = |id: &MemberId| group.and_then(|group| group.member(id));
        let member = request.member.as_ref().and_then(known).ok_or(GroupErrorCode::UnknownMemberId)?;
        let current = MemberEpoch(request.epoch) == member.current.epoch;
        if current { Ok(()) } else { Err(wrong_epoch(member)) }
    }
}

/// What a member is told that comes with another epoch than its own, in the words of its protocol.
fn wrong_epoch(member: &Member) -> GroupErrorCode {
    match member.metadata.classic {
        None => GroupErrorCode::StaleMemberEpoch,
        Some(_) => GroupErrorCode::IllegalGeneration,
    }
}
