//! What a group subscribes to, kept up with its members and with the cluster's metadata.
//!
//! Patterns are matched when somebody brings a new one and when the metadata has changed, never because a member
//! says that it lives.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::group::ConsumerGroup;
use super::pattern::TopicPattern;
use super::records::ConsumerRecord;
use crate::controller::MetadataImage;
use crate::coordinator::GroupCoordinator;
use crate::coordinator::ids::GroupId;
use crate::ids::TopicName;

impl GroupCoordinator {
    /// Matches the group's patterns: all of them, or those alone that have not been. Whether one matches something
    /// else than before.
    pub(super) fn resolve_patterns(&mut self, id: &GroupId, all: bool) -> bool {
        let Some(group) = self.consumer_group(id) else { return false };
        let wanted: BTreeSet<&Arc<str>> =
            group.members().values().filter_map(|member| member.metadata.pattern.as_ref()).collect();
        let mut records = Vec::new();
        for pattern in group.patterns().keys().filter(|pattern| !wanted.contains(pattern)) {
            records.push(ConsumerRecord::PatternRemoved(Arc::clone(pattern)));
        }
        let mut changed = false;
        for &pattern in wanted.iter().filter(|pattern| all || !group.patterns().contains_key(**pattern)) {
            let before = group.patterns().get(pattern);
            let matching = matching(pattern, group, &self.image);
            changed |= before.map_or(!matching.is_empty(), |before| *before != matching);
            if before != Some(&matching) {
                records.push(ConsumerRecord::Pattern(Arc::clone(pattern), matching));
            }
        }
        for record in records {
            self.record_consumer(id, record);
        }
        changed
    }

    /// Looks at the topics that the group subscribes to. Whether they are others, or have another shape, than before.
    pub(super) fn update_topics(&mut self, id: &GroupId) -> bool {
        let Some(group) = self.consumer_group(id) else { return false };
        let topics = group.topics().refreshed(&subscribed_names(group), &self.image);
        let changed = topics != *group.topics();
        if changed {
            self.record_consumer(id, ConsumerRecord::Topics(topics));
        }
        changed
    }
}

/// The topics that match: those of `image`, and those that matched before and are not known to be gone.
fn matching(pattern: &str, group: &ConsumerGroup, image: &MetadataImage) -> BTreeSet<TopicName> {
    // A pattern was looked at when it was brought. One that this release does not understand any more matches nothing.
    let mut matching = TopicPattern::new(pattern).map(|pattern| pattern.topics(image)).unwrap_or_default();
    let before = group.patterns().get(pattern).into_iter().flatten();
    matching.extend(before.filter(|name| group.topics().survives_in(name, image)).cloned());
    matching
}

/// The names of all topics that members subscribe to, those that do not exist among them.
fn subscribed_names(group: &ConsumerGroup) -> BTreeSet<TopicName> {
    let by_name = group.members().values().flat_map(|member| &member.metadata.topics);
    by_name.chain(group.patterns().values().flatten()).cloned().collect()
}
