//! Who may heartbeat: the group that is meant, and the member with its epoch.

use super::group::ConsumerGroup;
use super::member::Member;
use super::migration::Upgrade;
use super::records::ConsumerRecord;
use crate::coordinator::GroupCoordinator;
use crate::coordinator::error::{GroupError, GroupErrorCode};
use crate::coordinator::ids::{GroupId, InstanceId, MemberEpoch, MemberId};
use crate::coordinator::request::{ConsumerHeartbeat, TopicPartitions};

/// A member that may heartbeat.
#[derive(Debug)]
pub(super) struct Admission {
    /// Its id.
    pub(super) member: MemberId,
    /// The member in whose place it comes, with the same instance id.
    pub(super) replaces: Option<MemberId>,
}

impl GroupCoordinator {
    /// Lets a member in that heartbeats, and makes its group a consumer group if it is to become one. Fails without
    /// having changed anything.
    pub(super) fn admit(&mut self, request: &ConsumerHeartbeat) -> Result<Admission, GroupError> {
        if self.consumer_group(&request.group).is_none() {
            self.make_consumer_group(request)?;
        }
        let group =
            self.consumer_group(&request.group).ok_or_else(|| self.not_a_consumer_group(&request.group))?;
        self.check_room(group, &request.member, request.instance.as_ref())?;
        let admission = match &request.instance {
            None => admit_dynamic(group, request)?,
            Some(instance) => admit_static(group, instance, request)?,
        };
        self.check_pattern(request.topic_regex.as_deref(), Some(group))?;
        Ok(admission)
    }

    /// Makes a consumer group of one that does not exist, has nothing but offsets, or is a classic one. Whoever this is
    /// for is let in afterwards.
    fn make_consumer_group(&mut self, request: &ConsumerHeartbeat) -> Result<(), GroupError> {
        let id = &request.group;
        if request.epoch != MemberEpoch::JOIN {
            return Err(self.not_a_consumer_group(id));
        }
        self.check_pattern(request.topic_regex.as_deref(), None)?;
        if let Some(classic) = self.classic.get(id).filter(|group| !group.is_empty()) {
            let upgrade = Upgrade::of(classic.group(), id, &self.settings, &self.image)?;
            if !upgrade.has_place_for(&request.member, request.instance.as_ref()) {
                self.check_room_beside(upgrade.size())?;
            }
            self.upgrade(id, upgrade);
            return Ok(());
        }
        self.check_room_beside(0)?;
        if self.state.group(id).is_none() && !self.has_room() {
            let message = "The coordinator holds as many groups as it can.";
            return Err(GroupError::new(GroupErrorCode::GroupMaxSizeReached, message));
        }
        // Members may have been given ids and not have joined.
        self.remove_classic_group(id);
        self.record_consumer(id, ConsumerRecord::Formed(MemberEpoch::JOIN));
        Ok(())
    }

    /// Whether a pattern that the group does not have yet is one. Where it is not compiled, the protocol's edge has seen that it
    /// can be.
    fn check_pattern(&self, pattern: Option<&str>, group: Option<&ConsumerGroup>) -> Result<(), GroupError> {
        let Some(pattern) = pattern.filter(|pattern| !pattern.is_empty()) else { return Ok(()) };
        if group.is_some_and(|group| group.patterns().contains_key(pattern)) {
            return Ok(());
        }
        match self.patterns.get(&pattern.into()) {
            Some(Err(error)) => Err(GroupError::invalid_pattern(pattern, &error)),
            Some(Ok(_)) | None => Ok(()),
        }
    }

    /// Whether there is room for a member that may be new. A static member that comes back is none.
    pub(super) fn check_room(
        &self,
        group: &ConsumerGroup,
        member: &MemberId,
        instance: Option<&InstanceId>,
    ) -> Result<(), GroupError> {
        let has_place = instance.is_some_and(|instance| group.static_member(instance).is_some());
        if has_place || group.member(member).is_some() {
            return Ok(());
        }
        self.check_room_beside(group.members().len())
    }

    /// Whether there is room for a new member in a group of so many.
    fn check_room_beside(&self, members: usize) -> Result<(), GroupError> {
        let most = self.settings.consumer_max_size;
        if members >= most {
            return Err(full(most));
        }
        if !self.has_room_for_member() {
            let message = "The coordinator holds as many members as it can.";
            return Err(GroupError::new(GroupErrorCode::GroupMaxSizeReached, message));
        }
        Ok(())
    }

    /// Why a group cannot be heartbeated in.
    pub(super) fn not_a_consumer_group(&self, group: &GroupId) -> GroupError {
        let known = self.classic.contains_key(group) || self.state.group(group).is_some();
        let message = if known {
            format!("Group {group} is not a consumer group.")
        } else {
            format!("Group {group} not found.")
        };
        GroupError::new(GroupErrorCode::GroupIdNotFound, message)
    }
}

/// The id of a member that joins: one that has none is given one (v0).
fn member_id(request: &ConsumerHeartbeat) -> MemberId {
    if request.member.as_str().is_empty() {
        MemberId::from(request.fresh.to_string().as_str())
    } else {
        request.member.clone()
    }
}

fn admit_dynamic(group: &ConsumerGroup, request: &ConsumerHeartbeat) -> Result<Admission, GroupError> {
    match group.member(&request.member) {
        Some(member) => check_epoch(member, request.epoch, request.owned.as_deref())?,
        None if request.epoch == MemberEpoch::JOIN => {}
        None => return Err(unknown_member(&request.member, &request.group)),
    }
    Ok(Admission { member: member_id(request), replaces: None })
}

/// A static member may join in the place of one that has left for a while, or that speaks the classic protocol and
/// hence cannot say so.
fn admit_static(
    group: &ConsumerGroup,
    instance: &InstanceId,
    request: &ConsumerHeartbeat,
) -> Result<Admission, GroupError> {
    let member = member_id(request);
    match group.static_member(instance) {
        Some((holder, known)) if *holder == request.member => {
            check_epoch(known, request.epoch, request.owned.as_deref())?;
            Ok(Admission { member, replaces: None })
        }
        Some((holder, known)) if request.epoch == MemberEpoch::JOIN => {
            if known.metadata.classic.is_none() && !known.current.is_away() {
                return Err(unreleased(&member, instance, holder));
            }
            Ok(Admission { member, replaces: Some(holder.clone()) })
        }
        Some((holder, _)) => Err(fenced(&request.member, instance, holder)),
        None if request.epoch == MemberEpoch::JOIN => Ok(Admission { member, replaces: None }),
        None => Err(unknown_instance(instance)),
    }
}

/// Whether a member may come with `epoch`: with its own; with 0, to join again; or with the one before, if it owns
/// nothing that it should not: the answer with its new epoch may have been lost.
fn check_epoch(
    member: &Member,
    epoch: MemberEpoch,
    owned: Option<&[TopicPartitions]>,
) -> Result<(), GroupError> {
    let current = &member.current;
    let missed_an_answer =
        || epoch == current.previous_epoch && owned.is_some_and(|claimed| current.assigned.cover(claimed));
    if epoch == MemberEpoch::JOIN || epoch == current.epoch {
        return Ok(());
    }
    let relation = if epoch > current.epoch { "greater" } else { "smaller" };
    if epoch < current.epoch && missed_an_answer() {
        return Ok(());
    }
    let message = format!(
        "The consumer group member has a {relation} member epoch ({}) than the one known by the group coordinator \
         ({}). The member must abandon all its partitions and rejoin.",
        epoch.0, current.epoch.0
    );
    Err(GroupError::new(GroupErrorCode::FencedMemberEpoch, message))
}

/// The group has as many members as it may.
fn full(most: usize) -> GroupError {
    let message = format!("The consumer group has reached its maximum capacity of {most} members.");
    GroupError::new(GroupErrorCode::GroupMaxSizeReached, message)
}

pub(super) fn unknown_member(member: &MemberId, group: &GroupId) -> GroupError {
    let message = format!("Member {member} is not a member of group {group}.");
    GroupError::new(GroupErrorCode::UnknownMemberId, message)
}

pub(super) fn unknown_instance(instance: &InstanceId) -> GroupError {
    GroupError::new(GroupErrorCode::UnknownMemberId, format!("Instance id {instance} is unknown."))
}

/// Another member holds the instance id.
pub(super) fn fenced(member: &MemberId, instance: &InstanceId, holder: &MemberId) -> GroupError {
    let message =
        format!("Static member {member} with instance id {instance} was fenced by member {holder}.");
    GroupError::new(GroupErrorCode::FencedInstanceId, message)
}

/// Another member holds the instance id and has not left.
fn unreleased(member: &MemberId, instance: &InstanceId, holder: &MemberId) -> GroupError {
    let message = format!(
        "Static member {member} with instance id {instance} cannot join the group because the instance id is owned \
         by {holder} member."
    );
    GroupError::new(GroupErrorCode::UnreleasedInstanceId, message)
}
