//! Which topics a member's regular expression means. [`TopicPatterns`](super::TopicPatterns) keeps its compilation off the driver's
//! thread.
//!
//! Topics of the broker itself, such as `__consumer_offsets`, match no pattern: a subscription by name reaches them.

use std::collections::BTreeSet;

use trilog_protocol::topic_pattern::TopicPattern;

use crate::controller::MetadataImage;
use crate::controller::topic_name::{CONSUMER_OFFSETS, TRANSACTION_STATE};
use crate::ids::TopicName;

/// The topics of `image` that match.
pub(super) fn topics_matching(pattern: &TopicPattern, image: &MetadataImage) -> BTreeSet<TopicName> {
    let names = image.topics().map(|topic| &topic.name);
    names.filter(|name| matches(pattern, name)).cloned().collect()
}

fn matches(pattern: &TopicPattern, name: &str) -> bool {
    name != CONSUMER_OFFSETS && name != TRANSACTION_STATE && pattern.matches(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_of_the_broker_match_nothing() {
        let matches = |pattern, name| matches(&TopicPattern::new(pattern).unwrap(), name);
        assert!(!matches(".*", CONSUMER_OFFSETS));
        assert!(!matches(TRANSACTION_STATE, TRANSACTION_STATE));
        assert!(matches(".*", "__mine"));
    }
}
