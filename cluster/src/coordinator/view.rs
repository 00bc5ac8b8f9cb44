//! A group as it is at this moment, whichever protocol its members speak.
//!
//! What is replicated says how a classic group's last rebalance ended, and only its coordinator knows the one that is
//! going on: who asks about a group as a whole asks here.

use super::GroupCoordinator;
use super::classic;
use super::consumer::ConsumerGroup;
use super::ids::GroupId;
use super::records::GroupChange;
use super::state::{Group, Membership};

/// The protocol type that consumers join with; what they say about themselves can be read.
const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

/// One group.
#[derive(Clone, Copy, Debug)]
pub(super) enum GroupView<'a> {
    /// It has offsets and never had a member. To clients it is an empty classic group.
    Simple,
    /// A classic group.
    Classic(&'a classic::LiveGroup),
    /// A classic group that all members have left.
    Abandoned(&'a classic::ClassicGroup),
    /// A consumer group.
    Consumer(&'a ConsumerGroup),
}

impl<'a> GroupView<'a> {
    /// Whether it has no members.
    pub(super) fn is_empty(self) -> bool {
        match self {
            Self::Simple | Self::Abandoned(_) => true,
            Self::Classic(group) => group.is_empty(),
            Self::Consumer(group) => group.is_empty(),
        }
    }

    /// Kafka's name of its state.
    pub(super) fn state_name(self) -> &'static str {
        match self {
            Self::Simple | Self::Abandoned(_) => "Empty",
            Self::Classic(group) => group.state_name(),
            Self::Consumer(group) => group.state_name(),
        }
    }

    /// Kafka's name of the protocol that its members speak.
    pub(super) const fn group_type(self) -> &'static str {
        match self {
            Self::Simple | Self::Classic(_) | Self::Abandoned(_) => "classic",
            Self::Consumer(_) => "consumer",
        }
    }

    /// What its members use it for; empty where there never was one.
    pub(super) fn protocol_type(self) -> &'a str {
        match self {
            Self::Simple => "",
            Self::Classic(group) => group.protocol_type(),
            Self::Abandoned(group) => group.protocol_type(),
            Self::Consumer(_) => CONSUMER_PROTOCOL_TYPE,
        }
    }

    /// Whether its members are consumers.
    pub(super) fn is_of_consumers(self) -> bool {
        self.protocol_type() == CONSUMER_PROTOCOL_TYPE
    }

    /// Whether it can be told which topics its members subscribe to: not of those that have not yet joined again.
    pub(super) fn knows_subscriptions(self) -> bool {
        match self {
            Self::Simple | Self::Abandoned(_) => false,
            Self::Classic(_) => self.is_of_consumers() && self.state_name() == "Stable",
            Self::Consumer(_) => true,
        }
    }

    /// Whether a member subscribes to the topic.
    pub(super) fn subscribes_to(self, topic: &str) -> bool {
        match self {
            Self::Simple | Self::Abandoned(_) => false,
            Self::Classic(group) => group.subscribes_to(topic),
            Self::Consumer(group) => group.subscribes_to(topic),
        }
    }
}

impl GroupCoordinator {
    /// The group, if there is one.
    pub(super) fn view(&self, id: &GroupId) -> Option<GroupView<'_>> {
        match self.state.group(id) {
            Some(group) => Some(self.view_of(id, group)),
            None => self.classic.get(id).map(GroupView::Classic),
        }
    }

    /// All groups: those that something is replicated of, by name, then those whose first rebalance is going on.
    pub(super) fn views(&self) -> impl Iterator<Item = (&GroupId, GroupView<'_>)> {
        let replicated = self.state.groups().map(|(id, group)| (id, self.view_of(id, group)));
        let forming = self.classic.iter().filter(|(id, _)| self.state.group(id).is_none());
        replicated.chain(forming.map(|(id, group)| (id, GroupView::Classic(group))))
    }

    pub(super) fn view_of<'a>(&'a self, id: &GroupId, group: &'a Group) -> GroupView<'a> {
        match (&group.membership, self.classic.get(id)) {
            (Membership::Consumer(group), _) => GroupView::Consumer(group),
            (Membership::None | Membership::Classic(_), Some(live)) => GroupView::Classic(live),
            (Membership::Classic(group), None) => GroupView::Abandoned(group),
            (Membership::None, None) => GroupView::Simple,
        }
    }

    /// Removes a group with all that is known of it.
    pub(super) fn remove_group(&mut self, id: &GroupId) {
        if self.classic.contains_key(id) {
            self.remove_classic_group(id);
        }
        if self.consumer.contains_key(id) {
            self.remove_consumer_group(id);
        }
        if self.state.group(id).is_some() {
            self.record(id, GroupChange::Removed);
        }
    }
}
