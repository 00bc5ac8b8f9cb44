//! A classic group as administrators see it, and as its offsets' expiry does.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::group::{LiveGroup, State};
use super::record::{ClassicGroup, ClassicMember};
use crate::coordinator::ids::MemberId;
use crate::coordinator::request::{ClassicDescription, ClassicMemberDescription};
use trilog_protocol::consumer_protocol::Subscription;

/// The protocol type of consumers, whose subscriptions can be read.
const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

impl LiveGroup {
    /// Whether it has no members. Some may have been given an id and be about to join.
    pub(in crate::coordinator) fn is_empty(&self) -> bool {
        self.state == State::Empty
    }

    /// Kafka's name of its state.
    pub(in crate::coordinator) fn state_name(&self) -> &'static str {
        match self.state {
            State::Empty => "Empty",
            State::PreparingRebalance { .. } => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }

    /// The kind of its members' protocols; empty before the first member.
    pub(in crate::coordinator) fn protocol_type(&self) -> &str {
        self.group().protocol_type()
    }

    /// The group as DescribeGroups shows it. The protocol and what members subscribe to with it is told of a stable group
    /// alone: in any other state it is about to be chosen. Members consume what they were assigned last until then, and so
    /// that is told.
    pub(in crate::coordinator) fn describe(&self) -> ClassicDescription {
        let stable = self.state == State::Stable;
        let protocol = self.group().protocol.as_deref().filter(|_| stable);
        let members = self.members().iter().map(|(id, member)| describe_member(id, member, protocol));
        ClassicDescription {
            state: self.state_name(),
            protocol_type: self.protocol_type().to_owned(),
            protocol: protocol.unwrap_or_default().to_owned(),
            members: members.collect(),
        }
    }

    /// Whether a member consumes the topic. Of consumers that do not say so readably, any topic may be in use; what
    /// members of another kind do with topics is not known, and does not count.
    pub(in crate::coordinator) fn subscribes_to(&self, topic: &str) -> bool {
        match self.subscribed_topics() {
            Some(topics) => topics.contains(topic),
            None => self.protocol_type() == CONSUMER_PROTOCOL_TYPE,
        }
    }
}

impl ClassicGroup {
    /// The topics that the members subscribe to. None if they are no consumers, or do not say so readably.
    pub(super) fn subscribed_topics(&self) -> Option<BTreeSet<String>> {
        if self.protocol_type() != CONSUMER_PROTOCOL_TYPE {
            return None;
        }
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(member.topics(self.protocol.as_deref()?)?);
        }
        Some(topics)
    }

    /// The kind of its members' protocols; empty before the first member.
    pub(in crate::coordinator) fn protocol_type(&self) -> &str {
        self.protocol_type.as_deref().unwrap_or_default()
    }

    /// The group as DescribeGroups shows it when nobody is in it any more.
    pub(in crate::coordinator) fn describe_empty(&self) -> ClassicDescription {
        ClassicDescription {
            state: "Empty",
            protocol_type: self.protocol_type().to_owned(),
            protocol: String::new(),
            members: Vec::new(),
        }
    }
}

impl ClassicMember {
    /// The topics that the member subscribes to in `protocol`. None if that is no protocol of consumers.
    pub(super) fn topics(&self, protocol: &str) -> Option<BTreeSet<String>> {
        let subscription = Subscription::parse(&self.metadata(protocol))?;
        Some(subscription.topics.into_iter().collect())
    }
}

fn describe_member(
    id: &MemberId,
    member: &Arc<ClassicMember>,
    protocol: Option<&str>,
) -> ClassicMemberDescription {
    ClassicMemberDescription {
        member: id.clone(),
        instance: member.instance.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        metadata: protocol.map(|protocol| member.metadata(protocol)).unwrap_or_default(),
        assignment: member.assignment.clone(),
    }
}
