//! From a classic group to a consumer group.

use std::collections::BTreeSet;
use std::time::Duration;

use super::CONSUMER_PROTOCOL_TYPE;
use super::embedded::to_assignment;
use crate::controller::MetadataImage;
use crate::coordinator::GroupCoordinator;
use crate::coordinator::assignor::Assignment;
use crate::coordinator::classic::{self, ClassicGroup};
use crate::coordinator::consumer::member::{ClassicMetadata, CurrentAssignment, Member, MemberMetadata};
use crate::coordinator::consumer::partitions::OwnedPartitions;
use crate::coordinator::consumer::records::ConsumerRecord;
use crate::coordinator::error::{GroupError, GroupErrorCode};
use crate::coordinator::ids::{GroupId, InstanceId, MemberEpoch, MemberId};
use crate::coordinator::settings::GroupSettings;
use crate::ids::TopicName;
use trilog_protocol::consumer_protocol::{Subscription, carries_user_data, parse_assignment};

/// What becomes of a classic group.
#[derive(Debug)]
pub(in crate::coordinator::consumer) struct Upgrade {
    epoch: MemberEpoch,
    members: Vec<(MemberId, Member)>,
}

impl Upgrade {
    /// Fails if the group may not, or cannot, become a consumer group.
    pub(in crate::coordinator::consumer) fn of(
        group: &ClassicGroup,
        id: &GroupId,
        settings: &GroupSettings,
        image: &MetadataImage,
    ) -> Result<Self, GroupError> {
        let refuse = |why: &str| {
            let message = format!("Cannot upgrade classic group {id} to consumer group because {why}.");
            GroupError::new(GroupErrorCode::GroupIdNotFound, message)
        };
        if !settings.migration_policy.allows_upgrade() {
            return Err(refuse("online upgrade is disabled"));
        }
        if group.protocol_type.as_deref() != Some(CONSUMER_PROTOCOL_TYPE) {
            return Err(refuse("the group does not use the consumer embedded protocol"));
        }
        if group.members.len() > settings.consumer_max_size {
            return Err(refuse("the group size exceeds the consumer group maximum size"));
        }
        if group.members.values().any(|member| carries_user_data(&member.assignment)) {
            return Err(refuse(
                "an unsupported custom assignor is in use. Please refer to the documentation or switch to a default \
                 assignor before re-attempting the upgrade",
            ));
        }
        let epoch = MemberEpoch(group.generation.0);
        let convert = |(id, member): (&MemberId, &std::sync::Arc<classic::ClassicMember>)| {
            Some((id.clone(), converted(member, group.protocol.as_deref(), epoch, image)?))
        };
        let members: Option<Vec<_>> = group.members.iter().map(convert).collect();
        let mut members = members.ok_or_else(|| refuse("the embedded consumer protocol is malformed"))?;
        part_what_is_shared(&mut members, epoch);
        Ok(Self { epoch, members })
    }

    /// Whether somebody who joins is, or takes the place of, a member that is there already.
    pub(in crate::coordinator::consumer) fn has_place_for(
        &self,
        id: &MemberId,
        instance: Option<&InstanceId>,
    ) -> bool {
        self.members.iter().any(|(member_id, member)| {
            member_id == id || instance.is_some() && member.metadata.instance.as_ref() == instance
        })
    }

    /// How many members the group has.
    pub(in crate::coordinator::consumer) fn size(&self) -> usize {
        self.members.len()
    }
}

impl GroupCoordinator {
    /// Makes a consumer group of a classic one. Whoever waits in the classic one has to join again.
    pub(in crate::coordinator::consumer) fn upgrade(&mut self, id: &GroupId, upgrade: Upgrade) {
        self.remove_classic_group(id);
        self.record_consumer(id, ConsumerRecord::Formed(upgrade.epoch));
        for (member_id, Member { metadata, target, current }) in upgrade.members {
            let session = metadata.classic.as_ref().map_or(Duration::ZERO, |classic| classic.session_timeout);
            self.record_consumer(id, ConsumerRecord::Member(member_id.clone(), Box::new(metadata)));
            self.record_consumer(id, ConsumerRecord::Target(member_id.clone(), target));
            self.record_consumer(id, ConsumerRecord::Current(member_id.clone(), current));
            self.await_classic_heartbeat(id, &member_id, session);
        }
    }
}

/// A classic member in a consumer group. It has what its last assignment says, in the generation that the group is in;
/// nothing if it has not had one yet. None if what it says cannot be read.
fn converted(
    member: &classic::ClassicMember,
    protocol: Option<&str>,
    epoch: MemberEpoch,
    image: &MetadataImage,
) -> Option<Member> {
    let spoken = member.protocols.iter().find(|supported| Some(supported.name.as_str()) == protocol);
    let subscription = Subscription::parse(&spoken.or(member.protocols.first())?.metadata)?;
    let target = if member.assignment.is_empty() {
        Assignment::new()
    } else {
        to_assignment(&parse_assignment(&member.assignment)?, image)
    };
    let metadata = MemberMetadata {
        instance: member.instance.clone(),
        rack: subscription.rack,
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        rebalance_timeout_ms: i32::try_from(member.rebalance_timeout.as_millis()).unwrap_or(i32::MAX),
        topics: subscription.topics.iter().map(|topic| TopicName::from(topic.as_str())).collect(),
        pattern: None,
        assignor: None,
        classic: Some(ClassicMetadata {
            session_timeout: member.session_timeout,
            protocols: member.protocols.clone(),
        }),
    };
    let assigned = OwnedPartitions::given(&target, epoch);
    let current =
        CurrentAssignment { epoch, previous_epoch: epoch, assigned, ..CurrentAssignment::default() };
    Some(Member { metadata, target, current })
}

/// Leaves each partition with one member alone. An assignor may have given it to several; then the others own it no
/// more as far as this group knows, and hear so when they join.
fn part_what_is_shared(members: &mut [(MemberId, Member)], epoch: MemberEpoch) {
    let mut taken = BTreeSet::new();
    for (_, member) in members {
        member.target.retain(|&topic, partitions| {
            partitions.retain(|&partition| taken.insert((topic, partition)));
            !partitions.is_empty()
        });
        member.current.assigned = OwnedPartitions::given(&member.target, epoch);
    }
}
