//! Either kind of member, and none, behind one face.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use trilog_protocol::ErrorCode;
use uuid::Uuid;

use super::group::classic::{self, ClassicMember, Identity};
use super::group::modern::{self, HeartbeatRequest, ModernMember};
use super::group::{Callback, MemberFailure};

/// What binds a consumer to its group.
#[derive(Debug)]
pub(super) enum Membership {
    /// Nothing: its partitions are assigned by hand.
    Alone,
    /// The classic protocol.
    Classic(ClassicMember),
    /// The consumer protocol.
    Modern(ModernMember),
}

/// What a member wants done.
#[derive(Debug)]
pub(super) enum Step {
    FindCoordinator,
    Classic(classic::Request),
    Modern(HeartbeatRequest),
    Call(Callback),
    Count(BTreeSet<Arc<str>>),
    Name(BTreeSet<Uuid>),
    Fail(MemberFailure),
}

impl From<classic::Action> for Step {
    fn from(action: classic::Action) -> Self {
        match action {
            classic::Action::Send(request) => Self::Classic(request),
            classic::Action::FindCoordinator => Self::FindCoordinator,
            classic::Action::Call(callback) => Self::Call(callback),
            classic::Action::Count(topics) => Self::Count(topics),
            classic::Action::Fail(failure) => Self::Fail(failure),
        }
    }
}

impl From<modern::Action> for Step {
    fn from(action: modern::Action) -> Self {
        match action {
            modern::Action::Send(request) => Self::Modern(request),
            modern::Action::FindCoordinator => Self::FindCoordinator,
            modern::Action::Call(callback) => Self::Call(callback),
            modern::Action::NameTopics(ids) => Self::Name(ids),
            modern::Action::Fail(failure) => Self::Fail(failure),
        }
    }
}

impl Membership {
    pub(super) fn next(&mut self, now: Duration) -> Option<Step> {
        match self {
            Self::Alone => None,
            Self::Classic(member) => member.next_action(now).map(Step::from),
            Self::Modern(member) => member.next_action(now).map(Step::from),
        }
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        match self {
            Self::Alone => None,
            Self::Classic(member) => member.deadline(),
            Self::Modern(member) => member.deadline(),
        }
    }

    /// Whether the member joins again, as it had been given up.
    pub(super) fn polled(&mut self, now: Duration) -> bool {
        match self {
            Self::Alone => false,
            Self::Classic(member) => member.polled(now),
            Self::Modern(member) => member.polled(now),
        }
    }

    pub(super) fn callback_done(&mut self, now: Duration) {
        match self {
            Self::Alone => {}
            Self::Classic(member) => member.callback_done(),
            Self::Modern(member) => member.callback_done(now),
        }
    }

    pub(super) fn coordinator(&mut self, found: bool, now: Duration) {
        match (self, found) {
            (Self::Alone, _) => {}
            (Self::Classic(member), true) => member.coordinator_found(),
            (Self::Classic(member), false) => member.coordinator_missing(now),
            (Self::Modern(member), true) => member.coordinator_found(),
            (Self::Modern(member), false) => member.coordinator_missing(now),
        }
    }

    /// The name for commits; None for a member that is out of its group.
    pub(super) fn identity(&self) -> Option<Identity> {
        match self {
            Self::Alone => Some(Identity { member_id: String::new(), generation: -1, instance: None }),
            Self::Classic(member) => member.identity(),
            Self::Modern(member) => member.identity(),
        }
    }

    /// Whether the member waits for a rebalance to end: a commit has to wait as well, as it would come under a generation that
    /// is just over.
    pub(super) const fn is_joining(&self) -> bool {
        match self {
            Self::Classic(member) => member.is_joining(),
            Self::Alone | Self::Modern(_) => false,
        }
    }

    pub(super) fn commit_refused(&mut self, generation: i32, code: ErrorCode, now: Duration) {
        match self {
            Self::Alone => {}
            Self::Classic(member) => member.commit_refused(generation, code, now),
            Self::Modern(member) => member.commit_refused(generation, code, now),
        }
    }

    pub(super) fn leave(&mut self) {
        match self {
            Self::Alone => {}
            Self::Classic(member) => member.leave(),
            Self::Modern(member) => member.leave(),
        }
    }

    pub(super) fn has_left(&self) -> bool {
        match self {
            Self::Alone => true,
            Self::Classic(member) => member.has_left(),
            Self::Modern(member) => member.has_left(),
        }
    }
}
