//! What is written down of a consumer group.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::member::{CurrentAssignment, MemberMetadata};
use super::topics::SubscribedTopics;
use crate::coordinator::assignor::Assignment;
use crate::coordinator::ids::{MemberEpoch, MemberId};
use crate::ids::TopicName;

/// A change of a consumer group: the whole new value of one of its parts. Variants are numbered by their order on
/// disk: new ones go to the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::coordinator) enum ConsumerRecord {
    /// The group is a consumer group from now on, without members, whatever it was before.
    Formed(MemberEpoch),
    /// The group's epoch.
    Epoch(MemberEpoch),
    /// The topics that the group subscribes to, of those that exist.
    Topics(SubscribedTopics),
    /// What a pattern matches.
    Pattern(Arc<str>, BTreeSet<TopicName>),
    /// Nobody subscribes to the pattern any more.
    PatternRemoved(Arc<str>),
    /// A member joined, or says something else of itself.
    Member(MemberId, Box<MemberMetadata>),
    /// A member is gone, with its assignments.
    MemberRemoved(MemberId),
    /// What a member is to own.
    Target(MemberId, Assignment),
    /// The epoch that the targets are made for.
    TargetEpoch(MemberEpoch),
    /// What a member owns.
    Current(MemberId, CurrentAssignment),
}
