//! A coordinator with members that behave like clients, for the tests of this room.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::controller::{ControllerRecord, MetadataImage, PartitionRecord};
use crate::coordinator::request::{
    ConsumerDescription, ConsumerHeartbeat, ConsumerHeartbeatAnswer, GroupRequest, GroupResponse,
    TopicPartitions,
};
use crate::coordinator::{
    AssignorName, CoordinatorRecord, CoordinatorState, GroupCoordinator, GroupError, GroupErrorCode, GroupId,
    GroupSettings, MemberEpoch,
};
use crate::ids::{NodeId, PartitionIndex, Ticket, TopicId};

/// The one group there is.
pub(super) const GROUP: &str = "group";

/// A coordinator, what it has written, and the clock.
pub(super) struct Stage {
    pub(super) coordinator: GroupCoordinator,
    pub(super) image: MetadataImage,
    pub(super) written: Vec<CoordinatorRecord>,
    /// What was answered and not yet taken.
    pub(super) answers: Vec<(Ticket, GroupResponse)>,
    pub(super) now: Duration,
    settings: Arc<GroupSettings>,
}

/// A member as its client knows it.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) instance: Option<String>,
    pub(super) topics: Vec<String>,
    pub(super) pattern: Option<String>,
    pub(super) assignor: Option<AssignorName>,
    pub(super) epoch: MemberEpoch,
    pub(super) owned: BTreeSet<(TopicId, PartitionIndex)>,
    /// Whether the coordinator has yet to hear what it owns, or what it subscribes to.
    pub(super) has_news: bool,
}

impl Client {
    pub(super) fn new(id: &str, topics: &[&str]) -> Self {
        Self {
            id: id.into(),
            instance: None,
            topics: topics.iter().map(|&topic| topic.into()).collect(),
            pattern: None,
            assignor: None,
            epoch: MemberEpoch::JOIN,
            owned: BTreeSet::new(),
            has_news: true,
        }
    }

    pub(super) fn request(&self) -> ConsumerHeartbeat {
        let news = self.has_news || self.epoch == MemberEpoch::JOIN;
        ConsumerHeartbeat {
            group: GROUP.into(),
            member: self.id.as_str().into(),
            epoch: self.epoch,
            instance: self.instance.as_deref().map(Into::into),
            rack: None,
            rebalance_timeout_ms: if news { 60_000 } else { -1 },
            topic_names: news.then(|| self.topics.clone()),
            topic_regex: self.pattern.clone().filter(|_| news),
            assignor: self.assignor.map(|assignor| assignor.as_str().to_owned()).filter(|_| news),
            owned: news.then(|| self.claimed()),
            client_id: "client".into(),
            client_host: "/127.0.0.1".into(),
            fresh: Uuid::from_u128(7),
        }
    }

    pub(super) fn claimed(&self) -> Vec<TopicPartitions> {
        let mut topics: BTreeMap<TopicId, Vec<PartitionIndex>> = BTreeMap::new();
        for &(topic, partition) in &self.owned {
            topics.entry(topic).or_default().push(partition);
        }
        topics.into_iter().map(|(topic, partitions)| TopicPartitions { topic, partitions }).collect()
    }

    /// Takes what an answer says: gives up and takes at once what it is told to.
    fn follow(&mut self, answer: &ConsumerHeartbeatAnswer) {
        self.epoch = answer.epoch;
        self.has_news = false;
        if let Some(assignment) = &answer.assignment {
            let told = partitions_of(assignment);
            self.has_news = told != self.owned;
            self.owned = told;
        }
    }
}

pub(super) fn partitions_of(assignment: &[TopicPartitions]) -> BTreeSet<(TopicId, PartitionIndex)> {
    assignment.iter().flat_map(|topic| topic.partitions.iter().map(|&index| (topic.topic, index))).collect()
}

impl Stage {
    pub(super) fn new(settings: GroupSettings, topics: &[(&str, i32)]) -> Self {
        let settings = Arc::new(settings);
        let coordinator = GroupCoordinator::new(
            CoordinatorState::default(),
            Arc::clone(&settings),
            Arc::default(),
            Duration::ZERO,
        );
        let image = MetadataImage::default();
        let mut stage = Self {
            coordinator,
            image,
            written: Vec::new(),
            answers: Vec::new(),
            now: Duration::ZERO,
            settings,
        };
        for (name, partitions) in topics {
            stage.create_topic(name, *partitions);
        }
        stage
    }

    pub(super) fn create_topic(&mut self, name: &str, partitions: i32) {
        let first = self.image.next_group().0;
        self.metadata(&ControllerRecord::TopicCreated {
            name: name.to_owned(),
            id: TopicId(Uuid::from_u128(first.into())),
            partitions: self.new_partitions(partitions),
            configs: BTreeMap::new(),
        });
    }

    pub(super) fn add_partitions(&mut self, name: &str, more: i32) {
        let topic = self.image.topic(name).unwrap();
        let first = PartitionIndex(i32::try_from(topic.partitions.len()).unwrap());
        let id = topic.id;
        let partitions = self.new_partitions(more);
        self.metadata(&ControllerRecord::PartitionsAdded { id, first, partitions });
    }

    pub(super) fn delete_topic(&mut self, name: &str) {
        let id = self.image.topic(name).unwrap().id;
        self.metadata(&ControllerRecord::TopicDeleted { id });
    }

    fn new_partitions(&self, count: i32) -> Vec<PartitionRecord> {
        let groups = (self.image.next_group().0..).take(usize::try_from(count).unwrap());
        groups.map(|group| PartitionRecord { group, replicas: vec![NodeId(1)] }).collect()
    }

    fn metadata(&mut self, record: &ControllerRecord) {
        self.image.replay(record);
        self.coordinator.set_image(Arc::new(self.image.clone()));
    }

    /// One heartbeat of a client, which does as it is told.
    pub(super) fn heartbeat(&mut self, client: &mut Client) -> Result<ConsumerHeartbeatAnswer, GroupError> {
        let answer = self.send(client.request())?;
        client.follow(&answer);
        Ok(answer)
    }

    /// The code of a refusal.
    pub(super) fn refused(&mut self, request: ConsumerHeartbeat) -> GroupErrorCode {
        self.send(request).unwrap_err().code
    }

    pub(super) fn send(&mut self, request: ConsumerHeartbeat) -> Result<ConsumerHeartbeatAnswer, GroupError> {
        self.coordinator.now = self.now;
        let answer = self.coordinator.consumer_heartbeat(request);
        self.take_written();
        answer
    }

    /// Any request. What is answered is among the [answers](Self::answers) then or later.
    pub(super) fn handle(&mut self, ticket: Ticket, request: GroupRequest) {
        self.coordinator.handle(self.now, ticket, request);
        self.take_written();
    }

    /// Lets time pass, and what is due happen.
    pub(super) fn advance(&mut self, by: Duration) {
        self.now += by;
        self.coordinator.handle_timeout(self.now);
        self.take_written();
    }

    /// The next leader takes over from what is applied.
    pub(super) fn fail_over(&mut self) {
        let mut state = CoordinatorState::default();
        for record in &self.written {
            state.replay(record);
        }
        assert_eq!(state, self.coordinator.state, "the records tell the whole state");
        let state = CoordinatorState::decode(&state.encode()).unwrap();
        assert_eq!(state, self.coordinator.state, "a snapshot holds the whole state");
        let image = Arc::new(self.image.clone());
        self.coordinator = GroupCoordinator::new(state, Arc::clone(&self.settings), image, self.now);
    }

    pub(super) fn describe(&self) -> ConsumerDescription {
        self.coordinator.describe_consumer_group(&GroupId::from(GROUP))
    }

    fn take_written(&mut self) {
        let actions = self.coordinator.take_actions();
        self.written.extend(actions.records);
        self.answers.extend(actions.answers);
    }
}
