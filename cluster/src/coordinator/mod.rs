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
//! | [`patterns`] | the topic patterns of the node's groups, compiled |
//! | [`offsets`] | committed offsets and their expiry |
//! | [`service_time`] | the time that expiry counts |
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
mod patterns;
#[cfg(test)]
pub(crate) mod properties;
mod records;
mod request;
#[cfg(test)]
mod sabotage;
mod service_time;
mod settings;
mod state;
mod survey;
mod timers;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use self::error::{GroupError, GroupErrorCode};
pub use self::ids::{Generation, GroupId, InstanceId, MemberEpoch, MemberId};
pub use self::patterns::TopicPatterns;
use self::records::GroupRecord;
pub(crate) use self::records::{CoordinatorRecord, decode_entry, encode_record, entry_header};
pub use self::request::{
    ClassicDescription, ClassicMemberDescription, CommitOffsets, CommitPartition, CommitTopic,
    ConsumerDescription, ConsumerHeartbeat, ConsumerHeartbeatAnswer, ConsumerMemberDescription,
    DeleteOffsets, FetchOffsets, FetchedOffset, FetchedTopic, GroupRequest, GroupResponse, Heartbeat,
    JoinGroup, JoinProtocol, JoinedGroup, JoinedMember, LeaveGroup, LeavingMember, LeftGroup, ListGroups,
    ListedGroup, NamedTopicPartitions, SyncGroup, SyncedGroup, TopicPartitions, TopicResults,
};
use self::service_time::{ServiceClock, ServiceTime};
pub use self::settings::{AssignorName, GroupProtocol, GroupSettings, MigrationPolicy};
pub(crate) use self::state::CoordinatorState;
pub use self::survey::CommittedOffsets;
use self::timers::{Timer, Timers};
use crate::controller::MetadataImage;
use crate::ids::Ticket;

/// How much one coordinator holds, so that no client can fill the memory of a node with names.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// How many groups. A request that would make one more is refused with GROUP_MAX_SIZE_REACHED.
    groups: usize,
    /// How many deadlines, which is how many members it has in all groups, those included that were only given an id.
    /// Beyond it a new member is refused in the same way.
    deadlines: usize,
}

impl Limits {
    const DEFAULT: Self = Self { groups: 65_536, deadlines: 262_144 };
}

/// What a leader does for the groups of one partition of `__consumer_offsets`.
pub(crate) struct GroupCoordinator {
    settings: Arc<GroupSettings>,
    limits: Limits,
    /// The node's compiled topic patterns.
    patterns: Arc<TopicPatterns>,
    /// The metadata as this node knows it.
    image: Arc<MetadataImage>,
    /// The replicated state with everything that was proposed.
    state: CoordinatorState,
    /// What is known of classic groups beyond what is replicated.
    classic: BTreeMap<GroupId, classic::LiveGroup>,
    /// How many of those are [forming](Self::is_forming).
    forming: usize,
    /// What is known of consumer groups beyond what is replicated.
    consumer: BTreeMap<GroupId, consumer::LiveGroup>,
    timers: Timers,
    now: Duration,
    clock: ServiceClock,
    actions: Actions,
}

/// What a coordinator wants done: the answers are given once the records are committed, and all that were handed out
/// before them.
#[derive(Debug, Default)]
pub(crate) struct Actions {
    pub(crate) records: Vec<CoordinatorRecord>,
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
        let clock = ServiceClock::new(state.time(), now);
        let mut coordinator = Self {
            settings,
            limits: Limits::DEFAULT,
            patterns: TopicPatterns::in_place(),
            image,
            state,
            classic: BTreeMap::new(),
            forming: 0,
            consumer: BTreeMap::new(),
            timers: Timers::default(),
            now,
            clock,
            actions: Actions::default(),
        };
        coordinator.load_classic_groups();
        coordinator.load_consumer_groups();
        coordinator.forget_deleted_topics();
        coordinator
    }

    /// Takes topic patterns from where all coordinators of the node do.
    pub(crate) fn with_patterns(mut self, patterns: &Arc<TopicPatterns>) -> Self {
        self.patterns = Arc::clone(patterns);
        self
    }

    /// A request. Its answer is among the [actions](Self::take_actions) of this call or, for a join or a sync, of a
    /// later one. What is due by `now` happens before it: a member whose session is over does not join, commit or keep its
    /// group from being deleted.
    pub(crate) fn handle(&mut self, now: Duration, ticket: Ticket, request: GroupRequest) {
        self.handle_timeout(now);
        let changed = request.group_that_may_change_hands().cloned();
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
        if let Some(group) = changed {
            self.note_use(&group);
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

    /// This process stood still for so long, and members' words may lie unread: nobody is late for that.
    pub(crate) fn stood_still(&mut self, gap: Duration) {
        self.timers.postpone(gap);
    }

    /// Does what has become due.
    pub(crate) fn handle_timeout(&mut self, now: Duration) {
        self.now = now;
        while let Some(timer) = self.timers.pop_due(now) {
            match &timer {
                Timer::Session(group, member) => self.session_expired(group, member),
                Timer::PendingMember(group, member) => self.pending_member_expired(group, member),
                Timer::Join(group) => self.join_phase_over(group),
                Timer::Sync(group) => self.sync_phase_over(group),
                Timer::Revocation(group, member) => self.revocation_overdue(group, member),
                Timer::ClassicMember(group, member) => self.classic_member_overdue(group, member),
            }
            self.note_use(timer.group());
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
    pub(crate) fn expire(&mut self, now: Duration) {
        self.handle_timeout(now);
        self.expire_offsets();
    }

    /// A topic was deleted: its offsets go.
    pub(crate) fn topics_deleted(&mut self, now: Duration) {
        self.handle_timeout(now);
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

    /// Writes down a change of a group, and lives with it at once.
    fn record(&mut self, group: &GroupId, change: records::GroupChange) {
        let was_forming = self.is_forming(group);
        self.write(CoordinatorRecord::Group(GroupRecord { group: group.clone(), change }));
        self.count_forming(group, was_forming);
    }

    /// Writes down how late it is.
    fn record_time(&mut self, time: ServiceTime) {
        self.write(CoordinatorRecord::Time(time));
    }

    fn write(&mut self, record: CoordinatorRecord) {
        self.state.replay(&record);
        self.actions.records.push(record);
    }

    /// The time by which offsets grow old.
    fn time(&self) -> ServiceTime {
        self.clock.read(self.now)
    }

    fn answer(&mut self, ticket: Ticket, response: GroupResponse) {
        self.actions.answers.push((ticket, response));
    }

    /// Whether one more group may come into being, beside those of which something is replicated and those of which nothing
    /// is yet.
    fn has_room(&self) -> bool {
        self.state.groups().len() + self.forming < self.limits.groups
    }

    /// Whether the group is known by the members that form it alone.
    fn is_forming(&self, group: &GroupId) -> bool {
        self.state.group(group).is_none() && self.classic.contains_key(group)
    }

    /// Counts a group that has begun or ended to be [forming](Self::is_forming).
    fn count_forming(&mut self, group: &GroupId, was_forming: bool) {
        match (was_forming, self.is_forming(group)) {
            (false, true) => self.forming += 1,
            (true, false) => self.forming -= 1,
            _ => {}
        }
    }

    /// Whether one more member may come into being.
    fn has_room_for_member(&self) -> bool {
        self.timers.len() < self.limits.deadlines
    }
}
