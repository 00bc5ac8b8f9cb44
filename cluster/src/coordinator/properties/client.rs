//! A client process, whichever protocol it speaks: what it does when, and what it makes of the answers.
//!
//! It has at most one request under way, but for commits, and gives up waiting after a while, as real clients do.

use std::collections::BTreeSet;
use std::time::Duration;

use uuid::Uuid;

use super::classic_client::ClassicClient;
use super::consumer_client::ConsumerClient;
use super::topics::{TopicPartition, Topics};
use crate::coordinator::{
    CommitOffsets, CommitPartition, CommitTopic, GroupId, GroupProtocol, GroupRequest, GroupResponse,
    InstanceId, MemberId,
};
use crate::ids::{Offset, Ticket};

/// After how long without a word the coordinator thinks a member gone.
pub(super) const SESSION_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a member may take to join again, or to give partitions up.
pub(super) const REBALANCE_TIMEOUT: Duration = Duration::from_secs(20);
/// The same of some members: less than their session.
pub(super) const QUICK_REBALANCE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a member says that it lives.
pub(super) const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(3);
/// How long a client waits before it tries again what went wrong.
pub(super) const BACKOFF: Duration = Duration::from_millis(100);
/// How long a client waits for an answer; for a join, as long as others may take to join too.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// What stays the same when the process is started again.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) number: usize,
    pub(crate) group: GroupId,
    pub(crate) instance: Option<InstanceId>,
    /// Whether it keeps its partitions while the group is rebalanced, if it speaks the classic protocol.
    pub(crate) is_cooperative: bool,
    pub(crate) topics: BTreeSet<String>,
}

impl Identity {
    /// Whether it sends a request that got no answer once more, as librdkafka does, instead of saying all there is to say,
    /// as Java does. Both are members of the consumer protocol.
    pub(super) const fn repeats_itself(&self) -> bool {
        self.number % 2 == 1
    }

    /// How long it may take to give partitions up: more than its session, or less.
    pub(super) const fn rebalance_timeout(&self) -> Duration {
        if self.number % 3 == 2 { QUICK_REBALANCE_TIMEOUT } else { REBALANCE_TIMEOUT }
    }
}

/// Whether the process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Stopped,
    Running,
    /// It does nothing and hears nothing, and will go on as if nothing had been.
    Paused,
}

#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(super) identity: Identity,
    pub(super) life: Life,
    /// When it does something again.
    pub(crate) due: Duration,
    /// What it waits for an answer to.
    pub(crate) waiting: Option<Ticket>,
    /// Whether its next answer gets lost on the way.
    pub(super) loses_answer: bool,
    pub(super) last_request: Option<GroupRequest>,
    /// Whether its group has gone on without it, and it has not been told anything since: what it believes to own is
    /// others' by now.
    pub(super) is_out: bool,
    pub(super) member: Member,
}

/// A client's view of its membership.
#[derive(Clone, Debug)]
pub(super) enum Member {
    Classic(ClassicClient),
    Consumer(Box<ConsumerClient>),
}

/// What a client does after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Something at once.
    Now,
    /// Something after a while.
    After(Duration),
    /// Nothing any more: it fails.
    Stop,
}

impl Client {
    pub(crate) fn new(identity: Identity) -> Self {
        Self {
            identity,
            life: Life::Stopped,
            due: Duration::ZERO,
            waiting: None,
            loses_answer: false,
            last_request: None,
            is_out: true,
            member: Member::Classic(ClassicClient::default()),
        }
    }

    /// The group that it is, or means to be, a member of.
    pub(crate) const fn group(&self) -> &GroupId {
        &self.identity.group
    }

    /// The process starts and knows nothing.
    pub(crate) fn start(&mut self, now: Duration, protocol: GroupProtocol, fresh: Uuid) {
        self.member = match protocol {
            GroupProtocol::Classic => Member::Classic(ClassicClient::default()),
            GroupProtocol::Consumer => Member::Consumer(Box::new(ConsumerClient::new(&self.identity, fresh))),
        };
        self.life = Life::Running;
        self.due = now;
    }

    /// The process ends, and says so if that is the custom.
    pub(crate) fn stop(&mut self) -> Option<GroupRequest> {
        let is_running = self.life == Life::Running;
        self.kill();
        match &self.member {
            Member::Classic(member) => member.leave(&self.identity),
            Member::Consumer(member) => member.leave(&self.identity),
        }
        .filter(|_| is_running)
    }

    /// The process ends without a word.
    pub(crate) fn kill(&mut self) {
        self.life = Life::Stopped;
        self.waiting = None;
        self.loses_answer = false;
        self.last_request = None;
        self.is_out = true;
    }

    /// The client's turn: what it asks, if anything.
    pub(crate) fn act(&mut self, now: Duration, topics: &Topics, fresh: Uuid) -> Option<GroupRequest> {
        if self.waiting.is_some() {
            self.lose_answer(now);
            return None;
        }
        let request = match &mut self.member {
            Member::Classic(member) => member.act(&self.identity, topics, fresh),
            Member::Consumer(member) => GroupRequest::ConsumerHeartbeat(member.act(&self.identity, fresh)),
        };
        let others =
            if matches!(request, GroupRequest::Join(_)) { REBALANCE_TIMEOUT } else { Duration::ZERO };
        self.due = now + others + REQUEST_TIMEOUT;
        self.last_request = Some(request.clone());
        Some(request)
    }

    /// The answer never comes.
    pub(crate) fn lose_answer(&mut self, now: Duration) {
        self.waiting = None;
        self.due = now + BACKOFF;
        match &mut self.member {
            Member::Classic(member) => member.lose_answer(),
            Member::Consumer(member) => member.lose_answer(),
        }
    }

    /// The answer to what the client waits for.
    pub(crate) fn hear(&mut self, now: Duration, topics: &Topics, response: GroupResponse) {
        self.waiting = None;
        let next = match (&mut self.member, response) {
            (Member::Classic(member), response) => member.hear(&self.identity, topics, response),
            (Member::Consumer(member), GroupResponse::ConsumerHeartbeat(answer)) => {
                member.hear(&self.identity, answer)
            }
            (Member::Consumer(_), other) => panic!("{other:?} answers no heartbeat"),
        };
        match next {
            Next::Now => self.due = now,
            // Not all at the same moment.
            Next::After(wait) => self.due = now + wait + Duration::from_millis(self.identity.number as u64),
            Next::Stop => self.kill(),
        }
    }

    /// A commit of `offset` for some of what the client believes to own.
    pub(crate) fn commit(&self, topics: &Topics, offset: i64) -> Option<CommitOffsets> {
        let (member, epoch) = self.member();
        let owned = self.owned().iter().take(2);
        let commits: Vec<_> = owned
            .filter_map(|(topic, index)| Some((topics.name(*topic)?, *index)))
            .map(|(name, index)| CommitTopic {
                name: name.as_str().into(),
                partitions: vec![CommitPartition {
                    index,
                    offset: Offset(offset),
                    leader_epoch: None,
                    metadata: String::new(),
                }],
            })
            .collect();
        (!commits.is_empty()).then(|| CommitOffsets {
            group: self.identity.group.clone(),
            member,
            epoch,
            instance: self.identity.instance.clone(),
            retention_ms: None,
            knows_epochs: true,
            topics: commits,
        })
    }

    /// Who it believes to be: its member id, and its generation or epoch.
    pub(crate) fn member(&self) -> (MemberId, i32) {
        match &self.member {
            Member::Classic(member) => member.member(),
            Member::Consumer(member) => member.member(),
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.life == Life::Running
    }

    /// The topics that it wants.
    pub(crate) const fn topics(&self) -> &BTreeSet<String> {
        &self.identity.topics
    }

    /// What it believes to own.
    pub(crate) fn owned(&self) -> &BTreeSet<TopicPartition> {
        match &self.member {
            Member::Classic(member) => member.owned(),
            Member::Consumer(member) => member.owned(),
        }
    }

    /// Whether it has partitions to give up that it was told to, and has not yet.
    pub(super) fn gives_up(&self) -> bool {
        let told = match &self.member {
            Member::Classic(_) => None,
            Member::Consumer(member) => member.told(),
        };
        told.is_some_and(|told| !self.owned().is_subset(told))
    }

    /// Whether it has nothing to do but to consume.
    pub(crate) fn is_settled(&self) -> bool {
        let is_member = match &self.member {
            Member::Classic(member) => member.is_settled(),
            Member::Consumer(member) => member.is_settled(),
        };
        self.life == Life::Stopped || (is_member && self.waiting.is_none())
    }
}
