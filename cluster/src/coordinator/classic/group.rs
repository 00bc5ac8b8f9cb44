//! A classic group on its coordinator: the state machine that members' requests move, without time, answers or records.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::protocols::ProtocolTally;
use super::record::{ClassicGroup, ClassicMember};
use crate::coordinator::error::GroupErrorCode;
use crate::coordinator::ids::{Generation, GroupId, InstanceId, MemberId};
use crate::coordinator::request::{JoinGroup, JoinProtocol, JoinedGroup, JoinedMember, SyncedGroup};
use crate::ids::Ticket;

/// How many bytes a group's members may say about themselves and assign to each other, apart from ids. A record holds all
/// of it, and has to be far below what a message between nodes holds. Kafka has a lower bound, from its
/// `message.max.bytes`.
pub(in crate::coordinator) const MAX_GROUP_BYTES: usize = 4 << 20;

/// What a classic group is doing. See the [room](super) for how one leads to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nobody is in it, but for members that were given an id and have not joined with it.
    Empty,
    /// The join phase: waits until every member has joined. With a delay if the group was empty before.
    PreparingRebalance { initial: Option<InitialDelay> },
    /// The sync phase: the members know the generation and wait for what the leader assigns them.
    CompletingRebalance,
    /// Every member can have its assignment.
    Stable,
}

/// How long a group that was empty goes on waiting for more members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InitialDelay {
    /// The wait under way.
    pub(super) delay: Duration,
    /// How much more there may be after it.
    pub(super) remaining: Duration,
    /// Whether somebody has joined during it, so that others may still come.
    pub(super) has_newcomers: bool,
}

/// A classic group while somebody is in it.
///
/// Invariants, which [`check_invariants`](Self::check_invariants) asserts:
/// * There is a leader, a member, exactly while there are members.
/// * `statics` has each member with an instance id, under it, and nobody else.
/// * Who waits for a join or a sync is a member; who is pending is none.
/// * Nobody waits for a join outside of the join phase, or for a sync outside of the sync phase.
/// * Only in the sync phase and after it can a member be missing that has not asked for its assignment.
#[derive(Debug)]
pub(in crate::coordinator) struct LiveGroup {
    pub(super) id: GroupId,
    pub(super) state: State,
    /// What a record of the group would say now.
    group: ClassicGroup,
    /// Who holds each instance id.
    statics: BTreeMap<InstanceId, MemberId>,
    tally: ProtocolTally,
    /// What the current generation subscribes to; see [`ClassicGroup::subscribed_topics`].
    subscribed_topics: Option<BTreeSet<String>>,
    /// Joins that are answered when the join phase is over.
    joins: BTreeMap<MemberId, Ticket>,
    /// Syncs that are answered when the leader has brought the assignments.
    syncs: BTreeMap<MemberId, Ticket>,
    /// Members whose first join is not answered yet: they cannot heartbeat.
    new: BTreeSet<MemberId>,
    /// Ids that were given out and have not joined (KIP-394).
    pub(super) pending: BTreeSet<MemberId>,
    /// Members of the current generation that have not asked for their assignments.
    pub(super) unsynced: BTreeSet<MemberId>,
}

/// Requests of one member that wait, and have to be answered when it is no member any more.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) join: Option<Ticket>,
    pub(super) sync: Option<Ticket>,
}

impl LiveGroup {
    /// A group as it was recorded: stable, if it has members. One that comes from the consumer protocol gets the protocol
    /// that its members vote for now, as they already believe in it.
    pub(super) fn new(id: GroupId, mut group: ClassicGroup) -> Self {
        let mut tally = ProtocolTally::default();
        let mut statics = BTreeMap::new();
        for (id, member) in &group.members {
            tally.add(member);
            if let Some(instance) = &member.instance {
                statics.insert(instance.clone(), id.clone());
            }
        }
        if group.protocol.is_none() {
            let elected = tally.elect(group.members.values().map(Arc::as_ref));
            group.protocol = elected.map(str::to_owned);
        }
        let state = if group.members.is_empty() { State::Empty } else { State::Stable };
        Self {
            id,
            state,
            subscribed_topics: group.subscribed_topics(),
            group,
            statics,
            tally,
            joins: BTreeMap::new(),
            syncs: BTreeMap::new(),
            new: BTreeSet::new(),
            pending: BTreeSet::new(),
            unsynced: BTreeSet::new(),
        }
    }

    /// What a record of the group would say now: its generation, and its members with all that is known of them.
    pub(in crate::coordinator) fn group(&self) -> &ClassicGroup {
        &self.group
    }

    /// Whether nobody is in the group and nobody is about to be.
    pub(super) fn is_vacant(&self) -> bool {
        self.group.members.is_empty() && self.pending.is_empty()
    }

    pub(super) fn generation(&self) -> Generation {
        self.group.generation
    }

    pub(super) fn members(&self) -> &BTreeMap<MemberId, Arc<ClassicMember>> {
        &self.group.members
    }

    pub(super) fn has_member(&self, member: &MemberId) -> bool {
        self.group.members.contains_key(member)
    }

    pub(super) fn is_leader(&self, member: &MemberId) -> bool {
        self.group.leader.as_ref() == Some(member)
    }

    /// The topics that the members of the current generation subscribe to, as far as that is known.
    pub(super) fn subscribed_topics(&self) -> Option<&BTreeSet<String>> {
        self.subscribed_topics.as_ref()
    }

    /// Who holds an instance id.
    pub(super) fn holder(&self, instance: &InstanceId) -> Option<&MemberId> {
        self.statics.get(instance)
    }

    /// Whether `member` is in the group, and is who holds its instance id if it says one (KIP-345).
    pub(super) fn validate_member(
        &self,
        member: &MemberId,
        instance: Option<&InstanceId>,
    ) -> Result<(), GroupErrorCode> {
        if let Some(instance) = instance {
            let holder = self.holder(instance).ok_or(GroupErrorCode::UnknownMemberId)?;
            if holder != member {
                return Err(GroupErrorCode::FencedInstanceId);
            }
        }
        if self.has_member(member) { Ok(()) } else { Err(GroupErrorCode::UnknownMemberId) }
    }

    /// Whether somebody who joins speaks the group's kind of protocols, and one that everybody in it supports.
    pub(super) fn supports(&self, request: &JoinGroup) -> bool {
        if self.state == State::Empty {
            return !request.protocol_type.is_empty() && !request.protocols.is_empty();
        }
        let members = self.group.members.len();
        self.group.protocol_type.as_ref() == Some(&request.protocol_type)
            && request
                .protocols
                .iter()
                .any(|protocol| self.tally.is_supported_by_all(&protocol.name, members))
    }

    /// Whether `member` may join without the group growing beyond `max_size` (KIP-389).
    ///
    /// In the join phase those count who have joined already: where a group is larger than it may be, because the
    /// setting has changed, its slowest members are the ones that have to go.
    pub(super) fn accepts(&self, member: &MemberId, max_size: usize) -> bool {
        match self.state {
            State::Empty => true,
            State::PreparingRebalance { .. } => {
                self.joins.contains_key(member) || self.joins.len() < max_size
            }
            State::CompletingRebalance | State::Stable => {
                self.has_member(member) || self.group.members.len() < max_size
            }
        }
    }

    /// Whether there is room for what somebody says who joins in the place of `member`, if that is one.
    pub(super) fn has_room_for(&self, protocols: &[JoinProtocol], member: &MemberId) -> bool {
        let before = self.group.members.get(member).map_or(0, |member| member.size());
        let stated = protocols.iter().map(|protocol| protocol.name.len() + protocol.metadata.len());
        self.tally.size() - before + stated.sum::<usize>() <= MAX_GROUP_BYTES
    }

    /// Whether there is room for everybody's assignments beside what the members say about themselves.
    pub(super) fn has_room_for_assignments(&self, assignments: &BTreeMap<MemberId, Bytes>) -> bool {
        self.tally.size() + assignments.values().map(Bytes::len).sum::<usize>() <= MAX_GROUP_BYTES
    }

    /// Takes a member in, or changes what is known of one. The first one leads.
    pub(super) fn put(&mut self, id: MemberId, member: ClassicMember, protocol_type: &str) {
        if self.group.members.is_empty() {
            self.group.protocol_type = Some(protocol_type.to_owned());
        }
        self.tally.add(&member);
        if let Some(instance) = &member.instance {
            self.statics.insert(instance.clone(), id.clone());
        }
        self.group.leader.get_or_insert_with(|| id.clone());
        self.pending.remove(&id);
        if let Some(before) = self.group.members.insert(id, Arc::new(member)) {
            self.tally.remove(&before);
        }
    }

    /// A member has joined that cannot heartbeat until its join is answered.
    pub(super) fn mark_new(&mut self, member: MemberId) {
        self.new.insert(member);
    }

    /// Removes a member, and says which of its requests wait. If it led, another one leads.
    pub(super) fn remove(&mut self, member: &MemberId) -> Waiting {
        let Some(removed) = self.group.members.remove(member) else { return Waiting::default() };
        self.tally.remove(&removed);
        if let Some(instance) = &removed.instance {
            self.statics.remove(instance);
        }
        if self.is_leader(member) {
            self.group.leader = self.group.members.keys().next().cloned();
        }
        self.new.remove(member);
        self.unsynced.remove(member);
        Waiting { join: self.joins.remove(member), sync: self.syncs.remove(member) }
    }

    /// A static member has come back as `new`: whatever `old` was and has passes on to it, the leadership too.
    /// Says which requests of `old` wait.
    pub(super) fn replace(&mut self, old: &MemberId, new: &MemberId, member: ClassicMember) -> Waiting {
        let (led, unsynced) = (self.is_leader(old), self.unsynced.contains(old));
        let protocol_type = self.group.protocol_type.clone().unwrap_or_default();
        let waiting = self.remove(old);
        self.put(new.clone(), member, &protocol_type);
        if led {
            self.group.leader = Some(new.clone());
        }
        if unsynced {
            self.unsynced.insert(new.clone());
        }
        waiting
    }

    /// Lets a join wait for the end of the join phase. Returns an earlier one of the same member.
    pub(super) fn await_join(&mut self, member: MemberId, ticket: Ticket) -> Option<Ticket> {
        self.joins.insert(member, ticket)
    }

    /// Lets a sync wait for the assignments. Returns an earlier one of the same member.
    pub(super) fn await_sync(&mut self, member: MemberId, ticket: Ticket) -> Option<Ticket> {
        self.syncs.insert(member, ticket)
    }

    pub(super) fn take_joins(&mut self) -> BTreeMap<MemberId, Ticket> {
        self.new.clear();
        std::mem::take(&mut self.joins)
    }

    pub(super) fn take_syncs(&mut self) -> BTreeMap<MemberId, Ticket> {
        std::mem::take(&mut self.syncs)
    }

    /// Whether a member's silence is excused: it waits for an answer. That of a new one is not for ever, as it may
    /// have gone and nobody would know.
    pub(super) fn may_be_silent(&self, member: &MemberId) -> bool {
        !self.new.contains(member) && (self.joins.contains_key(member) || self.syncs.contains_key(member))
    }

    /// Whether the join phase waits for nobody any more, not even for those who have only been given an id.
    pub(super) fn have_all_joined(&self) -> bool {
        self.joins.len() == self.group.members.len() && self.pending.is_empty()
    }

    /// Those who did not join and do not hold an instance id under which they could come back.
    pub(super) fn dynamic_members_not_joined(&self) -> Vec<MemberId> {
        let missing = |(id, member): &(&MemberId, &Arc<ClassicMember>)| {
            member.instance.is_none() && !self.joins.contains_key(*id)
        };
        self.group.members.iter().filter(missing).map(|(id, _)| id.clone()).collect()
    }

    /// Makes sure that the leader is one who has joined. False if nobody has.
    pub(super) fn elect_joined_leader(&mut self) -> bool {
        if self.group.leader.as_ref().is_some_and(|leader| self.joins.contains_key(leader)) {
            return true;
        }
        let Some((joined, _)) = self.joins.first_key_value() else { return false };
        self.group.leader = Some(joined.clone());
        true
    }

    /// The join phase is over: the next generation begins, with the protocol that its members elect.
    pub(super) fn next_generation(&mut self) {
        self.group.generation.0 += 1;
        self.group.protocol = self.elected_protocol().map(str::to_owned);
        self.subscribed_topics = self.group.subscribed_topics();
        self.unsynced = self.group.members.keys().cloned().collect();
        self.state = if self.group.members.is_empty() { State::Empty } else { State::CompletingRebalance };
    }

    /// The protocol that the members would elect now.
    pub(super) fn elected_protocol(&self) -> Option<&str> {
        self.tally.elect(self.group.members.values().map(Arc::as_ref))
    }

    /// Sets every member's assignment, to nothing where there is none.
    pub(super) fn assign(&mut self, mut assignments: BTreeMap<MemberId, Bytes>) {
        for (id, member) in &mut self.group.members {
            Arc::make_mut(member).assignment = assignments.remove(id).unwrap_or_default();
        }
    }

    /// How long the slowest member may take to join.
    pub(super) fn rebalance_timeout(&self) -> Duration {
        self.group.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default()
    }

    /// The answer to a join of `member`, which is in the current generation.
    pub(super) fn joined(&self, member: &MemberId) -> JoinedGroup {
        let members = if self.is_leader(member) { self.members_for_leader() } else { Vec::new() };
        JoinedGroup {
            error: None,
            generation: self.group.generation,
            protocol_type: self.group.protocol_type.clone(),
            protocol: self.group.protocol.clone(),
            leader: self.group.leader.clone().unwrap_or_else(|| MemberId::from("")),
            skip_assignment: false,
            member: member.clone(),
            members,
        }
    }

    fn members_for_leader(&self) -> Vec<JoinedMember> {
        let protocol = self.group.protocol.as_deref().unwrap_or_default();
        let joined = |(id, member): (&MemberId, &Arc<ClassicMember>)| JoinedMember {
            member: id.clone(),
            instance: member.instance.clone(),
            metadata: member.metadata(protocol),
        };
        self.group.members.iter().map(joined).collect()
    }

    /// The answer to a sync of `member`: what it is assigned.
    pub(super) fn synced(&self, member: &MemberId) -> SyncedGroup {
        SyncedGroup {
            protocol_type: self.group.protocol_type.clone(),
            protocol: self.group.protocol.clone(),
            assignment: self.group.members.get(member).map(|m| m.assignment.clone()).unwrap_or_default(),
        }
    }

    /// Whoever waits for a join or a sync.
    pub(in crate::coordinator) fn into_waiting(self) -> Vec<Ticket> {
        self.joins.into_values().chain(self.syncs.into_values()).collect()
    }

    /// Whoever waits, by member.
    pub(super) fn into_waiting_members(mut self) -> Vec<(MemberId, Waiting)> {
        let members: Vec<_> = self.group.members.keys().cloned().collect();
        members.into_iter().map(|member| (member.clone(), self.remove(&member))).collect()
    }

    /// Panics if the group contradicts itself; see the type.
    pub(super) fn check_invariants(&self) {
        let members = &self.group.members;
        assert_eq!(self.group.leader.is_some(), !members.is_empty(), "a group with members has a leader");
        assert!(
            self.group.leader.iter().all(|leader| members.contains_key(leader)),
            "the leader is a member"
        );
        let holders = members.iter().filter_map(|(id, member)| Some((member.instance.as_ref()?, id)));
        assert!(
            self.statics.iter().eq(holders.collect::<BTreeMap<_, _>>()),
            "instance ids lead to their members"
        );
        let waiting = self.joins.keys().chain(self.syncs.keys()).chain(&self.new).chain(&self.unsynced);
        assert!({ waiting }.all(|id| members.contains_key(id)), "only members wait");
        assert!(self.pending.iter().all(|id| !members.contains_key(id)), "a pending member is none yet");
        let joining = matches!(self.state, State::PreparingRebalance { .. });
        assert!(joining || self.joins.is_empty(), "joins wait in the join phase alone");
        assert!(
            self.state == State::CompletingRebalance || self.syncs.is_empty(),
            "syncs wait in the sync phase"
        );
        assert!(!joining || self.unsynced.is_empty(), "a new join phase forgets who has not synced");
    }
}
