//! How fast topics come into being because clients ask for them, and how many.
//!
//! With `auto.create.topics.enable` a client makes a topic by naming it. A loop with a mistake, or a stranger, could so take all the
//! partitions that a cluster may have, and nobody could create any more. So each node lets a few hundred topics come at once and
//! then a few tens a second, and it keeps half of the cluster's partitions for those who create topics.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use tokio::time::Instant;
use trilog_cluster::bounds::MAX_PARTITIONS_PER_CLUSTER;

use super::item_error::ItemError;

/// How many topics clients may have a node make in a second, by asking for them.
pub(crate) const TOPICS_PER_SECOND: u32 = 20;

/// How many they may have it make at once, after a time without any.
pub(crate) const TOPICS_AT_ONCE: u32 = 400;

/// How many partitions the cluster may have so that topics are still made for those who ask for them.
pub(crate) const MAX_PARTITIONS: usize = MAX_PARTITIONS_PER_CLUSTER / 2;

/// The time that each topic takes of what may be made.
const TOPIC_TAKES: Duration = Duration::from_millis(1_000 / TOPICS_PER_SECOND as u64);

/// What a node may still make.
pub(super) struct AutoCreation {
    /// When all that was made would be made if it had come at the steady rate.
    paid_until: Mutex<Instant>,
}

impl Default for AutoCreation {
    fn default() -> Self {
        Self { paid_until: Mutex::new(Instant::now()) }
    }
}

impl AutoCreation {
    /// Which of the topics that are asked for at the time `now` are to be made, and why the others are not. There are
    /// `partitions` in the cluster, and each topic would have `partitions_each`.
    pub(super) fn admit(
        &self,
        names: BTreeSet<String>,
        now: Instant,
        partitions: usize,
        partitions_each: usize,
    ) -> (BTreeSet<String>, Vec<(String, ItemError)>) {
        let room = MAX_PARTITIONS.saturating_sub(partitions) / partitions_each.max(1);
        let (mut admitted, mut refused) = (BTreeSet::new(), Vec::new());
        for name in names {
            if admitted.len() >= room {
                refused.push((name, no_room()));
            } else if self.take_one(now) {
                admitted.insert(name);
            } else {
                refused.push((name, too_fast()));
            }
        }
        (admitted, refused)
    }

    fn take_one(&self, now: Instant) -> bool {
        let mut paid_until = self.paid_until.lock().unwrap_or_else(PoisonError::into_inner);
        let paid = (*paid_until).max(now) + TOPIC_TAKES;
        let is_allowed = paid <= now + TOPIC_TAKES * TOPICS_AT_ONCE;
        if is_allowed {
            *paid_until = paid;
        }
        is_allowed
    }
}

/// Clients ask again after a moment.
fn too_fast() -> ItemError {
    ItemError::bare(ResponseError::LeaderNotAvailable)
}

/// Clients give up: it would not be otherwise in a moment.
fn no_room() -> ItemError {
    ItemError::bare(ResponseError::PolicyViolation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: u32) -> BTreeSet<String> {
        (0..count).map(|number| format!("t{number}")).collect()
    }

    /// How many are admitted, and with which error the others are not.
    fn outcome(
        admission: &AutoCreation,
        count: u32,
        now: Instant,
        partitions: usize,
    ) -> (usize, Option<ResponseError>) {
        let (admitted, refused) = admission.admit(names(count), now, partitions, 10);
        assert_eq!(admitted.len() + refused.len(), count as usize);
        (admitted.len(), refused.first().map(|(_, error)| error.error))
    }

    #[test]
    fn many_come_at_once_and_then_some_a_second() {
        let (admission, now) = (AutoCreation::default(), Instant::now());
        let (at_once, later) = (TOPICS_AT_ONCE as usize, Some(ResponseError::LeaderNotAvailable));
        assert_eq!(outcome(&admission, TOPICS_AT_ONCE + 5, now, 0), (at_once, later));
        assert_eq!(outcome(&admission, 5, now, 0), (0, later));
        let second = now + Duration::from_secs(1);
        assert_eq!(outcome(&admission, 100, second, 0), (TOPICS_PER_SECOND as usize, later));
        let much_later = now + Duration::from_secs(3_600);
        assert_eq!(outcome(&admission, TOPICS_AT_ONCE, much_later, 0), (at_once, None));
    }

    #[test]
    fn half_of_the_partitions_are_left() {
        let (admission, now) = (AutoCreation::default(), Instant::now());
        let (nearly, full) = (MAX_PARTITIONS - 25, Some(ResponseError::PolicyViolation));
        assert_eq!(outcome(&admission, 5, now, nearly), (2, full));
        assert_eq!(outcome(&admission, 5, now, MAX_PARTITIONS + 1), (0, full));
    }
}
