//! The group coordinator as a pure machine: who is in a consumer group, who consumes what, and how far they are.
//!
//! Each partition of `__consumer_offsets` is a Raft group whose entries are [records] of this room; the leader of a
//! group's partition is its coordinator. As everywhere: **decide → record → replay**. [`GroupCoordinator::handle`] looks
//! at the state, decides, and replays its own records at once, so that the next request is decided on top of them; its
//! answers are given when those records are committed. All replicas replay them into a [`CoordinatorState`], so that a new
//! leader has nothing to load: it starts a coordinator from what it has applied.
//!
//! What is not replicated lives in the coordinator alone and is lost with its leadership, as in Kafka: session
//! deadlines, which start afresh, and the join phase of a classic rebalance, whose members join again.
//!
//! | room | what it tells |
//! | --- | --- |
//! | [`classic`] | JoinGroup, SyncGroup, Heartbeat, LeaveGroup: a member assigns |
//! | [`consumer`] | ConsumerGroupHeartbeat (KIP-848): the coordinator assigns |
//! | [`assignor`] | range and uniform |
//! | [`offsets`] | committed offsets and their expiry |
//! | [`inspection`] | describing, listing and deleting groups |
//!
//! Nothing in here has a clock, a socket, a task or a source of randomness: time comes in with the calls, fresh ids with
//! the requests.

pub(crate) mod assignor;
mod classic;
mod consumer;
mod error;
#[cfg(test)]
mod golden;
mod ids;
mod inspection;
mod offsets;
#[cfg(test)]
pub(crate) mod properties;
mod records;
mod request;
mod settings;
mod state;
mod subscription;
mod survey;
mod timers;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use self::error::{GroupError, GroupErrorCode};
pub use self::ids::{Generation, GroupId, InstanceId, MemberEpoch, MemberId};
pub(crate) use self::records::{GroupRecord, decode_entry, encode_record, entry_header};
pub use self::request::{
    ClassicDescription, ClassicMemberDescription, CommitOffsets, CommitPartition, CommitTopic,
    ConsumerDescription, ConsumerHeartbeat, ConsumerHeartbeatAnswer, ConsumerMemberDescription,
    DeleteOffsets, FetchOffsets, FetchedOffset, FetchedTopic, GroupRequest, GroupResponse, Heartbeat,
    JoinGroup, JoinProtocol, JoinedGroup, JoinedMember, LeaveGroup, LeavingMember, LeftGroup, ListGroups,
    ListedGroup, NamedTopicPartitions, SyncGroup, SyncedGroup, TopicPartitions, TopicResults,
};
pub use self::settings::{AssignorName, GroupProtocol, GroupSettings, MigrationPolicy};
pub(crate) use self::state::CoordinatorState;
pub use self::survey::CommittedOffsets;
use self::timers::{Timer, Timers};
use crate::controller::MetadataImage;
use crate::ids::{Ticket, TimestampMs};

/// How many groups one coordinator holds. A request that would make one more is refused with
/// GROUP_MAX_SIZE_REACHED, so that no client can fill the memory of a node with names.
const MAX_GROUPS: usize = 65_536;

/// How many deadlines one coordinator keeps, which is how many members it has in all groups, those included that were only
/// given an id. Beyond it a new member is refused with GROUP_MAX_SIZE_REACHED, for the same reason.
const MAX_DEADLINES: usize = 4 * MAX_GROUPS;

/// What a leader does for the groups of one partition of `__consumer_offsets`.
pub(crate) struct GroupCoordinator {
    settings: Arc<GroupSettings>,
    /// The metadata as this node knows it.
    image: Arc<MetadataImage>,
    /// The replicated state with everything that was proposed.
    state: CoordinatorState,
    /// What is known of classic groups beyond what is replicated.
    classic: BTreeMap<GroupId, classic::LiveGroup>,
    /// What is known of consumer groups beyond what is replicated.
    consumer: BTreeMap<GroupId, consumer::LiveGroup>,
    timers: Timers,
    now: Duration,
    /// The latest time that was noted of a commit, which no later one is noted before.
    last_commit: TimestampMs,
    actions: Actions,
}

/// What a coordinator wants done: the answers are given once the records are committed, and all that were handed out
/// before them.
#[derive(Debug, Default)]
pub(crate) struct Actions {
    pub(crate) records: Vec<GroupRecord>,
    pub(crate) answers: Vec<(Ticket, GroupResponse)>,
}

impl GroupCoordinator {
    /// A coordinator that begins with what is applied. Every member gets a fresh session.
    pub(crate) fn new(
        state: CoordinatorState,
        settings: Arc<GroupSettings>,
        image: Arc<MetadataImage>,
        now: Duration,
    ) -> Self {
        let mut coordinator = Self {
            settings,
            image,
            state,
            classic: BTreeMap::new(),
            consumer: BTreeMap::new(),
            timers: Timers::default(),
            now,
            last_commit: TimestampMs(i64::MIN),
            actions: Actions::default(),
        };
        coordinator.load_last_commit();
        coordinator.load_classic_groups();
        coordinator.load_consumer_groups();
        coordinator.forget_deleted_topics();
        coordinator
    }

    /// A request. Its answer is among the [actions](Self::take_actions) of this call or, for a join or a sync, of a
    /// later one.
    pub(crate) fn handle(&mut self, now: Duration, ticket: Ticket, request: GroupRequest) {
        self.now = now;
        match request {
            GroupRequest::Join(request) => self.join(ticket, request),
            GroupRequest::Sync(request) => self.sync(ticket, request),
            GroupRequest::Heartbeat(request) => self.heartbeat(ticket, &request),
            GroupRequest::Leave(request) => self.leave(ticket, request),
            GroupRequest::ConsumerHeartbeat(request) => {
                let response = self.consumer_heartbeat(request);
                self.answer(ticket, GroupResponse::ConsumerHeartbeat(response));
            }
            GroupRequest::CommitOffsets(request) => {
                let response = self.commit_offsets(request);
                self.answer(ticket, GroupResponse::CommitOffsets(response));
            }
            GroupRequest::FetchOffsets(request) => {
                let response = self.fetch_offsets(&request);
                self.answer(ticket, GroupResponse::FetchOffsets(response));
            }
            GroupRequest::DeleteOffsets(request) => {
                let response = self.delete_offsets(request);
                self.answer(ticket, GroupResponse::DeleteOffsets(response));
            }
            GroupRequest::DescribeClassic(group) => {
                let response = self.describe_classic(&group);
                self.answer(ticket, GroupResponse::DescribeClassic(response));
            }
            GroupRequest::DescribeConsumer(group) => {
                let response = self.describe_consumer(&group);
                self.answer(ticket, GroupResponse::DescribeConsumer(response));
            }
            GroupRequest::List(filter) => {
                let response = self.list(&filter);
                self.answer(ticket, GroupResponse::List(response));
            }
            GroupRequest::Delete(group) => {
                let response = self.delete(&group);
                self.answer(ticket, GroupResponse::Delete(response));
            }
        }
    }

    /// The cluster's metadata has changed.
    pub(crate) fn set_image(&mut self, image: Arc<MetadataImage>) {
        self.image = image;
    }

    /// When something has to be done without being asked.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.timers.next()
    }

    /// Does what has become due.
    pub(crate) fn handle_timeout(&mut self, now: Duration) {
        self.now = now;
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Session(group, member) => self.session_expired(&group, &member),
                Timer::PendingMember(group, member) => self.pending_member_expired(&group, &member),
                Timer::Join(group) => self.join_phase_over(&group),
                Timer::Sync(group) => self.sync_phase_over(&group),
                Timer::Revocation(group, member) => self.revocation_overdue(&group, &member),
                Timer::ClassicMember(group, member) => self.classic_member_overdue(&group, &member),
            }
        }
    }

    /// A session has run out, in whichever protocol the member speaks.
    fn session_expired(&mut self, group: &GroupId, member: &MemberId) {
        if self.classic.contains_key(group) {
            self.classic_session_expired(group, member);
        } else {
            self.consumer_session_expired(group, member);
        }
    }

    /// Removes the offsets, and then the groups, that nobody has a use for any more.
    pub(crate) fn expire(&mut self, now: Duration, wall_clock: TimestampMs) {
        self.now = now;
        self.expire_offsets(wall_clock);
    }

    /// A topic was deleted: its offsets go.
    pub(crate) fn topics_deleted(&mut self, now: Duration) {
        self.now = now;
        self.forget_deleted_topics();
    }

    /// What came of the calls since this was last asked.
    pub(crate) fn take_actions(&mut self) -> Actions {
        std::mem::take(&mut self.actions)
    }

    /// Whoever still waits for an answer: joins and syncs. They are told that the coordinator is another one.
    pub(crate) fn abandon(self) -> Vec<Ticket> {
        let waiting = self.classic.into_values().flat_map(classic::LiveGroup::into_waiting);
        let answered = self.actions.answers.into_iter().map(|(ticket, _)| ticket);
        waiting.chain(answered).collect()
    }

    /// Writes a record, and lives with it at once.
    fn record(&mut self, group: &GroupId, change: records::GroupChange) {
        let record = GroupRecord { group: group.clone(), change };
        self.state.replay(&record);
        self.actions.records.push(record);
    }

    fn answer(&mut self, ticket: Ticket, response: GroupResponse) {
        self.actions.answers.push((ticket, response));
    }

    /// Whether one more group may come into being.
    fn has_room(&self) -> bool {
        let live = self.classic.len().max(self.consumer.len());
        self.state.groups().len().max(live) < MAX_GROUPS
    }

    /// Whether one more member may come into being.
    fn has_room_for_member(&self) -> bool {
        self.timers.len() < MAX_DEADLINES
    }
}
