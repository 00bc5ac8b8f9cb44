//! What a group subscribes to, kept up with its members and with the cluster's metadata.
//!
//! Patterns are matched when a member brings a new one and when the metadata has changed, never because a member
//! says that it lives. One that is not compiled yet matches what it matched before, and is matched at the next heartbeat.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

use super::group::ConsumerGroup;
use super::pattern::topics_matching;
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
        let (mut changed, mut later) = (false, false);
        for &pattern in wanted.iter().filter(|pattern| all || !group.patterns().contains_key(**pattern)) {
            let before = group.patterns().get(pattern);
            let compiled = self.patterns.get(pattern);
            later |= compiled.is_none();
            // A pattern was looked at when it was brought. One that this release does not understand any more matches nothing.
            let found = compiled.and_then(Result::ok).map(|pattern| topics_matching(&pattern, &self.image));
            let matching = with_those_of_before(found.unwrap_or_default(), pattern, group, &self.image);
            changed |= before.map_or(!matching.is_empty(), |before| *before != matching);
            if before != Some(&matching) {
                records.push(ConsumerRecord::Pattern(Arc::clone(pattern), matching));
            }
        }
        for record in records {
            self.record_consumer(id, record);
        }
        if later && let Some(live) = self.consumer.get_mut(id) {
            live.image = Weak::new();
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

/// The topics that match: those found in `image`, and those that matched before and are not known to be gone.
fn with_those_of_before(
    mut matching: BTreeSet<TopicName>,
    pattern: &str,
    group: &ConsumerGroup,
    image: &MetadataImage,
) -> BTreeSet<TopicName> {
    let before = group.patterns().get(pattern).into_iter().flatten();
    matching.extend(before.filter(|name| group.topics().survives_in(name, image)).cloned());
    matching
}

/// The names of all topics that members subscribe to, those that do not exist among them.
fn subscribed_names(group: &ConsumerGroup) -> BTreeSet<TopicName> {
    let by_name = group.members().values().flat_map(|member| &member.metadata.topics);
    by_name.chain(group.patterns().values().flatten()).cloned().collect()
}
