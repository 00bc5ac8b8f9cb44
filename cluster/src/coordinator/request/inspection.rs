//! What administrators see: groups described and listed.

use bytes::Bytes;

use crate::coordinator::ids::{GroupId, InstanceId, MemberEpoch, MemberId};
use crate::ids::{PartitionIndex, TopicId, TopicName};

/// A classic group, or one without members, as administrators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicDescription {
    /// Kafka's name of its state.
    pub state: &'static str,
    /// The kind of its protocols; empty without members.
    pub protocol_type: String,
    /// The protocol in use; empty while there is none.
    pub protocol: String,
    /// Its members.
    pub members: Vec<ClassicMemberDescription>,
}

/// A member of a [`ClassicDescription`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicMemberDescription {
    /// Its id.
    pub member: MemberId,
    /// Its static name, if it has one.
    pub instance: Option<InstanceId>,
    /// How it calls itself.
    pub client_id: String,
    /// Where it connects from.
    pub client_host: String,
    /// Its subscription, in the protocol in use.
    pub metadata: Bytes,
    /// Its part.
    pub assignment: Bytes,
}

/// A consumer group as administrators see it (KIP-848).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerDescription {
    /// Kafka's name of its state.
    pub state: &'static str,
    /// Counts the changes of members, subscriptions and topics.
    pub epoch: MemberEpoch,
    /// The epoch that the target assignment was made for.
    pub assignment_epoch: MemberEpoch,
    /// The assignor in use.
    pub assignor: String,
    /// Its members.
    pub members: Vec<ConsumerMemberDescription>,
}

/// A member of a [`ConsumerDescription`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerMemberDescription {
    /// Its id.
    pub member: MemberId,
    /// Its static name, if it has one.
    pub instance: Option<InstanceId>,
    /// Its rack.
    pub rack: Option<String>,
    /// The epoch it has reached.
    pub epoch: MemberEpoch,
    /// How it calls itself.
    pub client_id: String,
    /// Where it connects from.
    pub client_host: String,
    /// The topics it subscribes to by name.
    pub topic_names: Vec<String>,
    /// The pattern it subscribes to.
    pub topic_regex: Option<String>,
    /// What it owns now.
    pub assignment: Vec<NamedTopicPartitions>,
    /// What it is to own.
    pub target: Vec<NamedTopicPartitions>,
    /// Whether it speaks the classic protocol, during a migration.
    pub is_classic: bool,
}

/// Partitions of one topic, by id and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedTopicPartitions {
    /// The topic's id.
    pub id: TopicId,
    /// Its name.
    pub name: TopicName,
    /// Which of its partitions.
    pub partitions: Vec<PartitionIndex>,
}

/// Which groups to list. An empty filter lets everything pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListGroups {
    /// By state, in whatever case (KIP-518).
    pub states: Vec<String>,
    /// By type, in whatever case (KIP-848).
    pub types: Vec<String>,
}

/// A group in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    /// Its name.
    pub group: GroupId,
    /// The kind of its protocols; empty where there never was a member.
    pub protocol_type: String,
    /// Kafka's name of its state.
    pub state: &'static str,
    /// `classic` or `consumer`.
    pub group_type: &'static str,
}
