//! The time that an administrative request gives the cluster.
//!
//! A request's timeout covers two things here: that the controller commits the change, and that new
//! partitions have leaders, so that a client which creates a topic and then uses it never meets one without.
//! A timeout of zero or less means what it means in Kafka, that nobody is to wait for the latter; the commit
//! is still waited for, or there would be nothing to answer.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;
use trilog_cluster::controller::MetadataImage;
use trilog_cluster::ids::RaftGroupId;

use super::broker::Broker;

/// What the commit is given when the client gives less. A controller that has just lost its leader is back
/// within it.
const LEAST_FOR_COMMIT: Duration = Duration::from_secs(5);

/// When an administrative request is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct AdminDeadline {
    commit: Instant,
    leaders: Option<Instant>,
}

impl AdminDeadline {
    /// The deadline of a request that states `timeout_ms` and arrives now.
    pub(super) fn after(timeout_ms: i32) -> Self {
        let stated = u64::try_from(timeout_ms).ok().filter(|&ms| ms > 0).map(Duration::from_millis);
        let now = Instant::now();
        Self {
            commit: now + stated.unwrap_or_default().max(LEAST_FOR_COMMIT),
            leaders: stated.map(|stated| now + stated),
        }
    }

    /// Until when the commit of the change is waited for.
    pub(super) const fn commit(&self) -> Instant {
        self.commit
    }

    /// What is left for the controller.
    pub(super) fn left_for_commit(&self) -> Duration {
        self.commit.saturating_duration_since(Instant::now())
    }

    /// Waits for the leaders of all partitions of `topics`, as long as there is time, and returns the names
    /// of those that lack one then. None lacks one when the client did not want to wait.
    pub(super) async fn await_leaders(&self, broker: &Broker, topics: &[Expected]) -> BTreeSet<String> {
        let Some(deadline) = self.leaders else { return BTreeSet::new() };
        let left = || deadline.saturating_duration_since(Instant::now());
        // What the controller has committed reaches this node a moment later.
        let known = || {
            let image = broker.image();
            topics.iter().all(|topic| topic.groups(&image).is_some())
        };
        let all_known = broker.node.await_published(left(), known).await.held();
        let image = broker.image();
        let groups: Vec<_> = topics.iter().filter_map(|topic| topic.groups(&image)).flatten().collect();
        if all_known && broker.node.await_leaders(&groups, left()).await.held() {
            return BTreeSet::new();
        }
        let is_led = |group| broker.node.leadership(group).is_some();
        let unled = |topic: &&Expected| !topic.groups(&image).is_some_and(|mut groups| groups.all(is_led));
        topics.iter().filter(unled).map(|topic| topic.name.clone()).collect()
    }
}

/// A topic as the controller has committed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    /// Its name.
    pub(super) name: String,
    /// How many partitions it has, at least.
    pub(super) partitions: usize,
}

impl Expected {
    /// The groups of its partitions, once `image` has them.
    fn groups<'a>(&self, image: &'a MetadataImage) -> Option<impl Iterator<Item = RaftGroupId> + use<'a>> {
        let topic = image.topic(&self.name).filter(|topic| topic.partitions.len() >= self.partitions)?;
        Some(topic.partitions.iter().map(|partition| partition.group))
    }
}
