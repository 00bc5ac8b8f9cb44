//! The heartbeat of a member: it joins, says what has changed, or that it lives, and hears what it is to own.
//!
//! 1. The member is let in, or refused. Nothing is refused after this.
//! 2. What it says of itself is kept.
//! 3. The group's epoch goes up if the member subscribes to something else, or a topic of the group has changed.
//! 4. The target assignment is made anew if the epoch is ahead of it.
//! 5. The member gets a step nearer to its target ([reconciliation](super::reconciliation)).
//!
//! All but a few heartbeats do nothing in any of these, and cost a look at the member.

use std::sync::{Arc, Weak};

use super::admission::Admission;
use super::group::ConsumerGroup;
use super::member::{CurrentAssignment, Member, MemberMetadata, MemberState};
use super::reconciliation::Step;
use super::records::ConsumerRecord;
use super::{target, validation};
use crate::coordinator::GroupCoordinator;
use crate::coordinator::error::GroupError;
use crate::coordinator::ids::{GroupId, MemberEpoch, MemberId};
use crate::coordinator::records::GroupChange;
use crate::coordinator::request::{ConsumerHeartbeat, ConsumerHeartbeatAnswer, TopicPartitions};
use crate::coordinator::timers::Timer;

/// How many times as often as else the members of a group heartbeat that is moving.
const HASTE: u32 = 10;

impl GroupCoordinator {
    /// ConsumerGroupHeartbeat.
    pub(in crate::coordinator) fn consumer_heartbeat(
        &mut self,
        request: ConsumerHeartbeat,
    ) -> Result<ConsumerHeartbeatAnswer, GroupError> {
        validation::check(&request, &self.settings)?;
        match request.epoch {
            MemberEpoch::LEAVE | MemberEpoch::LEAVE_FOR_A_WHILE => self.consumer_leave(request),
            _ => self.consumer_stay(&request),
        }
    }

    fn consumer_stay(&mut self, request: &ConsumerHeartbeat) -> Result<ConsumerHeartbeatAnswer, GroupError> {
        let (group, epoch) = (&request.group, request.epoch);
        let was_classic = self.classic.contains_key(group);
        let Admission { member, replaces } = self.admit(request)?;
        if let Some(replaced) = replaces {
            self.replace_member(group, &replaced, &member);
        }
        let resubscribed = self.update_metadata(request, &member);
        // What the leader of a classic group shared out may be subscribed to by nobody any more.
        self.update_epoch(group, resubscribed || was_classic);
        self.update_targets(group);
        let reassigned = self.reconcile(group, &member, resubscribed, request.owned.as_deref());
        let session = self.session_timeout(group);
        self.timers.set(Timer::Session(group.clone(), member.clone()), self.now + session);
        self.timers.cancel(&Timer::ClassicMember(group.clone(), member.clone()));

        let wants_all = epoch == MemberEpoch::JOIN || is_full(request);
        self.note_confirmation(group, &member, request.owned.as_deref());
        let current = self.current_assignment(group, &member);
        // While the group moves, the member is at it. If all stand still, it may never have heard.
        let tells_all = wants_all || reassigned || (!current.confirmed && !self.is_moving(group));
        let assignment = tells_all.then(|| current.assigned.to_answer());
        let epoch = current.epoch;
        Ok(ConsumerHeartbeatAnswer {
            member,
            epoch,
            heartbeat_interval_ms: self.heartbeat_interval_ms(group),
            assignment,
        })
    }

    /// Puts a static member that is back under a new id in the place of the one that left for a while, or that spoke
    /// the classic protocol.
    pub(super) fn replace_member(&mut self, group: &GroupId, replaced: &MemberId, member: &MemberId) {
        let before = self.consumer_group(group).and_then(|group| group.member(replaced)).cloned();
        let Some(Member { metadata, target, current }) = before else { return };
        self.record_consumer(group, ConsumerRecord::MemberRemoved(replaced.clone()));
        self.cancel_member_timers(group, replaced);
        self.record_consumer(group, ConsumerRecord::Member(member.clone(), Box::new(metadata)));
        self.record_consumer(group, ConsumerRecord::Target(member.clone(), target));
        let (epoch, previous_epoch) = (MemberEpoch::JOIN, MemberEpoch::JOIN);
        let current = CurrentAssignment { epoch, previous_epoch, confirmed: false, ..current };
        self.record_consumer(group, ConsumerRecord::Current(member.clone(), current));
    }

    /// Keeps what the member says of itself. Whether it subscribes to something else than before.
    fn update_metadata(&mut self, request: &ConsumerHeartbeat, member: &MemberId) -> bool {
        let known = self.consumer_group(&request.group).and_then(|group| group.member(member));
        let nothing = MemberMetadata::default();
        let before = known.map_or(&nothing, |known| &known.metadata);
        let Some(updated) = before.updated(request) else { return false };
        let resubscribed = !updated.subscribes_like(before);
        self.record_consumer(&request.group, ConsumerRecord::Member(member.clone(), Box::new(updated)));
        resubscribed
    }

    /// Makes the group's epoch go up if `changed`, or if the metadata that it depends on has.
    pub(super) fn update_epoch(&mut self, group: &GroupId, changed: bool) {
        let image = Arc::downgrade(&self.image);
        let live = self.consumer.entry(group.clone()).or_default();
        let is_new_image = !Weak::ptr_eq(&live.image, &image);
        live.image = image;
        let Some(epoch) = self.consumer_group(group).map(ConsumerGroup::epoch) else { return };
        // A group that has just come into being leaves epoch 0, which means joining, whoever it begins with.
        let changed = changed || epoch == MemberEpoch::JOIN;
        if !changed && !is_new_image {
            return;
        }
        let patterns_changed = self.resolve_patterns(group, is_new_image);
        let topics_changed = self.update_topics(group);
        if changed || patterns_changed || topics_changed {
            self.record_consumer(group, ConsumerRecord::Epoch(epoch.next()));
        }
    }

    /// Makes the target assignment anew, if the group's epoch is ahead of it.
    pub(super) fn update_targets(&mut self, id: &GroupId) {
        let Some(group) = self.consumer_group(id) else { return };
        let epoch = group.epoch();
        if epoch <= group.target_epoch() {
            return;
        }
        for (member, target) in target::changed_targets(group, &self.settings.consumer_assignors) {
            self.record_consumer(id, ConsumerRecord::Target(member, target));
        }
        self.record_consumer(id, ConsumerRecord::TargetEpoch(epoch));
    }

    /// Takes the member a step nearer to its target. Whether its assignment is another one now.
    pub(super) fn reconcile(
        &mut self,
        id: &GroupId,
        member_id: &MemberId,
        resubscribed: bool,
        owned: Option<&[TopicPartitions]>,
    ) -> bool {
        let Some(group) = self.consumer_group(id) else { return false };
        let Some(member) = group.member(member_id) else { return false };
        if member.current.is_reconciled_to(group.target_epoch()) && !resubscribed {
            return false;
        }
        let step = Step {
            current: &member.current,
            target: &member.target,
            target_epoch: group.target_epoch(),
            subscription: &group.subscription(&member.metadata),
            resubscribed,
            owned,
            owned_by_another: |topic, partition| {
                group.owner(topic, partition).is_some_and(|owner| owner != member_id)
            },
        };
        let Some(next) = step.next() else { return false };
        let reassigned = next.assigned != member.current.assigned;
        let timeout = (next.state == MemberState::UnrevokedPartitions && member.metadata.classic.is_none())
            .then(|| member.metadata.rebalance_timeout());
        let timer = Timer::Revocation(id.clone(), member_id.clone());
        match timeout {
            Some(timeout) => self.timers.set(timer, self.now + timeout),
            None => self.timers.cancel(&timer),
        }
        self.record_consumer(id, ConsumerRecord::Current(member_id.clone(), next));
        reassigned
    }

    /// Writes down that the member owns what it was last told to, if it says so for the first time.
    fn note_confirmation(&mut self, group: &GroupId, member: &MemberId, owned: Option<&[TopicPartitions]>) {
        let current = self.current_assignment(group, member);
        if current.confirmed || !owned.is_some_and(|owned| current.assigned.are(owned)) {
            return;
        }
        let current = CurrentAssignment { confirmed: true, ..current.clone() };
        self.record(group, GroupChange::Consumer(ConsumerRecord::Current(member.clone(), current)));
    }

    fn current_assignment(&self, group: &GroupId, member: &MemberId) -> &CurrentAssignment {
        let group = self.consumer_group(group).expect("a member that was admitted has a group");
        &group.member(member).expect("a member that was admitted is in its group").current
    }

    /// Whether the group's epoch or somebody's assignment changed within a heartbeat's interval.
    fn is_moving(&self, group: &GroupId) -> bool {
        let moved_at = self.consumer.get(group).and_then(|live| live.moved_at);
        moved_at.is_some_and(|moved_at| self.now < moved_at + self.heartbeat_interval(group))
    }

    /// How soon a member is to heartbeat again. A member learns that it has partitions to give up by its next heartbeat,
    /// and another one that they are free by the one after: in a group that is moving, both are asked to come back
    /// sooner. A group that stands still for an interval, because somebody takes its time, is left in peace.
    fn heartbeat_interval_ms(&self, group: &GroupId) -> i32 {
        let interval = self.heartbeat_interval(group);
        let interval = if self.is_moving(group) { interval / HASTE } else { interval };
        i32::try_from(interval.as_millis()).unwrap_or(i32::MAX)
    }
}

/// Whether a request says all there is to say, as after an error: its sender may not know its assignment.
fn is_full(request: &ConsumerHeartbeat) -> bool {
    request.rebalance_timeout_ms != -1
        && (request.topic_names.is_some() || request.topic_regex.is_some())
        && request.owned.is_some()
}
