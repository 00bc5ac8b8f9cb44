//! Who subscribes to what, in numbers: members and topics by their positions, and members with equal subscriptions
//! together in a class.
//!
//! A group has thousands of members but few classes: one, as a rule, and two while its application is being updated. To
//! ask each class rather than each member is what makes a large group cheap.

use std::collections::BTreeMap;

use super::super::{PartitionCounts, Subscriber};
use crate::ids::TopicId;

/// A member's position among the members, which are in the order of their ids.
pub(super) type Member = usize;
/// A topic's position among the topics, which are in the order of their ids.
pub(super) type Topic = usize;
/// A class of members with equal subscriptions, in the order of their first members.
pub(super) type Class = usize;

/// A group, as one assignment sees it.
pub(super) struct Subscriptions<'a> {
    pub(super) members: Vec<Subscriber<'a>>,
    /// The topics that exist, have a partition, and are subscribed to.
    pub(super) topics: Vec<SubscribedTopic>,
    /// The class of each member.
    pub(super) class_of: Vec<Class>,
    /// The members of each class.
    pub(super) classes: Vec<Vec<Member>>,
}

/// A topic that somebody subscribes to.
pub(super) struct SubscribedTopic {
    pub(super) id: TopicId,
    pub(super) partitions: usize,
    /// The classes that subscribe to it.
    pub(super) subscribers: Vec<Class>,
}

impl<'a> Subscriptions<'a> {
    pub(super) fn new(subscribers: &[Subscriber<'a>], topics: &PartitionCounts) -> Self {
        let mut members = subscribers.to_vec();
        members.sort_by_key(|subscriber| subscriber.member);
        let mut class_by_topics = BTreeMap::new();
        let mut classes: Vec<Vec<Member>> = Vec::new();
        let mut class_of = Vec::with_capacity(members.len());
        for (member, subscriber) in members.iter().enumerate() {
            let class = *class_by_topics.entry(subscriber.topics).or_insert(classes.len());
            if class == classes.len() {
                classes.push(Vec::new());
            }
            classes[class].push(member);
            class_of.push(class);
        }
        let mut by_topic: BTreeMap<TopicId, Vec<Class>> = BTreeMap::new();
        for (class, members_of_class) in classes.iter().enumerate() {
            for topic in members_of_class.first().into_iter().flat_map(|first| members[*first].topics) {
                by_topic.entry(*topic).or_default().push(class);
            }
        }
        let exists = |id: TopicId, subscribers: Vec<Class>| {
            let partitions = usize::try_from(*topics.get(&id)?).ok().filter(|count| *count > 0)?;
            Some(SubscribedTopic { id, partitions, subscribers })
        };
        let topics = by_topic.into_iter().filter_map(|(id, subscribers)| exists(id, subscribers)).collect();
        Self { members, topics, class_of, classes }
    }

    /// Where a topic is among the topics, if it exists and is subscribed to.
    pub(super) fn position(&self, topic: TopicId) -> Option<Topic> {
        self.topics.binary_search_by_key(&topic, |topic| topic.id).ok()
    }

    /// The topics, those that few may have first: whoever can have any topic makes up for them later.
    pub(super) fn scarcest_first(&self) -> Vec<Topic> {
        let subscribers = |topic: &Topic| -> usize {
            self.topics[*topic].subscribers.iter().map(|class| self.classes[*class].len()).sum()
        };
        let mut topics: Vec<Topic> = (0..self.topics.len()).collect();
        topics.sort_by_cached_key(subscribers);
        topics
    }
}
