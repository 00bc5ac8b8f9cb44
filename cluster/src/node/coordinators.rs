//! Group coordinators as a node's callers see them: where they are, what they are asked, and that they exist at all.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior};

use super::{Awaited, Node, NotCoordinator};
use crate::controller::topic_name::CONSUMER_OFFSETS;
use crate::controller::{ControllerRequest, CreateTopics, MetadataImage, NewTopic};
use crate::coordinator::{GroupId, GroupRequest, GroupResponse, TopicPatterns};
use crate::driver::inbox::Input;
use crate::ids::RaftGroupId;

/// How long one attempt to make `__consumer_offsets` may take before it is made again.
const CREATE_WITHIN: Duration = Duration::from_secs(30);

/// The pause between two attempts. One that is refused at once would otherwise be followed by the next at once.
const CREATE_AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Node {
    /// The partition of `__consumer_offsets` whose leader coordinates `group`. None while that topic does not exist.
    #[must_use]
    pub fn coordinator_of(&self, group: &GroupId) -> Option<RaftGroupId> {
        let image = self.image();
        let partitions = &image.topic(CONSUMER_OFFSETS)?.partitions;
        Some(partitions[group.partition_of(partitions.len())?].group)
    }

    /// The coordinators that this node serves.
    #[must_use]
    pub fn led_coordinators(&self) -> Vec<RaftGroupId> {
        let led = |group: &RaftGroupId| {
            self.leadership(*group).is_some_and(|leadership| leadership.leader == self.id())
        };
        coordinators(&self.image()).filter(led).collect()
    }

    /// Asks a coordinator on this node. The order of calls is the order in which it is asked; the future resolves when
    /// the answer may be given: everything that it rests on is committed. That of a join or a sync may take as long as
    /// a rebalance. Dropping the future changes nothing about the request.
    pub fn coordinate(&self, coordinator: RaftGroupId, request: GroupRequest) -> CoordinateFuture {
        let (reply, answer) = oneshot::channel();
        self.shared.inbox.push(Input::Coordinate { coordinator, request: Box::new(request), reply });
        CoordinateFuture(answer)
    }

    /// Has a topic pattern compiled, or refused, before a coordinator needs it.
    #[must_use]
    pub fn topic_patterns(&self) -> &Arc<TopicPatterns> {
        &self.shared.patterns
    }

    /// Sees to it that there are coordinators: makes `__consumer_offsets` if it does not exist, and waits for leaders
    /// of all its partitions. Returns whether they are there.
    pub async fn ensure_coordinators(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let left = || deadline.saturating_duration_since(Instant::now());
        let exists = || self.image().topic(CONSUMER_OFFSETS).is_some();
        if !exists() {
            let topic = NewTopic {
                name: CONSUMER_OFFSETS.to_owned(),
                num_partitions: -1,
                replication_factor: -1,
                assignments: Vec::new(),
                configs: Vec::new(),
            };
            let request = CreateTopics { topics: vec![topic], validate_only: false };
            // That somebody else made it in the meantime is as good.
            let _ = self.submit(ControllerRequest::CreateTopics(request), left()).await;
        }
        let partitions = || coordinators(&self.image()).collect::<Vec<_>>();
        self.await_published(left(), exists).await.held()
            && self.await_leaders(&partitions(), left()).await.held()
    }

    /// Makes the coordinators once every node of the cluster has registered, so that they are there before anybody asks
    /// and spread over all nodes, and lets those that are led here forget old offsets from time to time.
    pub(super) async fn keep_coordinators(self) {
        let mut ended = self.shared.ended.clone();
        let keep = async {
            let all_registered = || self.image().brokers().len() >= self.shared.nodes;
            while self.await_published(CREATE_WITHIN, all_registered).await == Awaited::TimedOut {}
            while !self.ensure_coordinators(CREATE_WITHIN).await {
                tokio::time::sleep(CREATE_AGAIN_AFTER).await;
            }
            let mut interval = tokio::time::interval(self.settings().offsets.retention_check_interval);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                interval.tick().await;
                self.shared.inbox.push(Input::ExpireOffsets);
            }
        };
        tokio::select! {
            () = keep => {}
            _ = ended.wait_for(Option::is_some) => {}
        }
    }
}

fn coordinators(image: &MetadataImage) -> impl Iterator<Item = RaftGroupId> {
    image
        .topic(CONSUMER_OFFSETS)
        .into_iter()
        .flat_map(|topic| topic.partitions.iter().map(|partition| partition.group))
}

/// The answer to [`Node::coordinate`].
#[derive(Debug)]
pub struct CoordinateFuture(oneshot::Receiver<Result<GroupResponse, NotCoordinator>>);

impl Future for CoordinateFuture {
    type Output = Result<GroupResponse, NotCoordinator>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| answer.unwrap_or(Err(NotCoordinator)))
    }
}
