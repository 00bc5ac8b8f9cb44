//! Topics: created, deleted, described, listed, given more partitions.

use std::collections::BTreeMap;
use std::fmt;

use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::{CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest};
use uuid::Uuid;

use super::requests::{checked, metadata};
use super::rounds::Policy;
use super::route::Route;
use super::run::{Attempt, Operation};
use super::{Admin, Change, Results};
use crate::Error;
use crate::messages::{millis, text, topic_name, version};

/// Fills in the partition count and the replication factor of the cluster's configuration.
const DEFAULT: i32 = -1;
/// From this version on, brokers know [`DEFAULT`] (KIP-464).
const DEFAULTS_FROM: i16 = 4;
/// From this version on, topics can be deleted by id (KIP-516).
const DELETE_BY_ID: i16 = 6;

/// A topic, by name or by id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TopicRef {
    /// By its name.
    Name(String),
    /// By its id, which another topic of the same name will not have.
    Id(Uuid),
}

impl From<&str> for TopicRef {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl From<String> for TopicRef {
    fn from(name: String) -> Self {
        Self::Name(name)
    }
}

impl From<Uuid> for TopicRef {
    fn from(id: Uuid) -> Self {
        Self::Id(id)
    }
}

impl fmt::Display for TopicRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Id(id) => write!(f, "{id}"),
        }
    }
}

/// A topic to create.
///
/// ```
/// use trilog_client::admin::NewTopic;
///
/// let topic = NewTopic::new("orders").partitions(6).replicas(3).config("cleanup.policy", "delete");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    name: String,
    partitions: Option<i32>,
    replicas: Option<i16>,
    assignments: BTreeMap<i32, Vec<i32>>,
    configs: BTreeMap<String, String>,
}

impl NewTopic {
    /// A topic with the cluster's `num.partitions` and `default.replication.factor`.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            partitions: None,
            replicas: None,
            assignments: BTreeMap::new(),
            configs: BTreeMap::new(),
        }
    }

    /// Its number of partitions.
    #[must_use]
    pub const fn partitions(mut self, count: i32) -> Self {
        self.partitions = Some(count);
        self
    }

    /// Its replication factor.
    #[must_use]
    pub const fn replicas(mut self, factor: i16) -> Self {
        self.replicas = Some(factor);
        self
    }

    /// The brokers of a partition, the preferred leader first. Partition count and replication factor follow from the assignments.
    #[must_use]
    pub fn assign(mut self, partition: i32, brokers: impl Into<Vec<i32>>) -> Self {
        self.assignments.insert(partition, brokers.into());
        self
    }

    /// A configuration value of the topic.
    #[must_use]
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.insert(name.into(), value.into());
        self
    }

    fn message(&self) -> CreatableTopic {
        let assignments = self.assignments.iter().map(|(partition, brokers)| {
            CreatableReplicaAssignment::default()
                .with_partition_index(*partition)
                .with_broker_ids(brokers.iter().map(|broker| (*broker).into()).collect())
        });
        let configs = self.configs.iter().map(|(name, value)| {
            CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
        });
        let assigned = !self.assignments.is_empty();
        CreatableTopic::default()
            .with_name(topic_name(&self.name))
            .with_num_partitions(self.partitions.filter(|_| !assigned).unwrap_or(DEFAULT))
            .with_replication_factor(self.replicas.filter(|_| !assigned).unwrap_or(-1))
            .with_assignments(assignments.collect())
            .with_configs(configs.collect())
    }

    fn has_defaults(&self) -> bool {
        self.assignments.is_empty() && (self.partitions.is_none() || self.replicas.is_none())
    }
}

/// A topic that was created. Brokers before Kafka 2.4 tell nothing of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its id.
    pub id: Option<Uuid>,
    /// Its number of partitions; -1 if the broker does not tell.
    pub partitions: i32,
    /// Its replication factor; -1 if the broker does not tell.
    pub replicas: i16,
}

/// More partitions for a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPartitions {
    topic: String,
    total: i32,
    assignments: Option<Vec<Vec<i32>>>,
}

impl NewPartitions {
    /// As many partitions as the topic is to have in total.
    pub fn total(topic: impl Into<String>, total: i32) -> Self {
        Self { topic: topic.into(), total, assignments: None }
    }

    /// The brokers of each new partition, the preferred leader first.
    #[must_use]
    pub fn assign(mut self, brokers: impl Into<Vec<Vec<i32>>>) -> Self {
        self.assignments = Some(brokers.into());
        self
    }
}

/// A topic, as the cluster's metadata tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its name.
    pub name: String,
    /// Its id. Brokers before Kafka 2.8 know none.
    pub id: Option<Uuid>,
    /// Whether it belongs to the cluster itself.
    pub internal: bool,
    /// Its partitions, by number.
    pub partitions: Vec<PartitionDescription>,
}

/// A partition, as the cluster's metadata tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionDescription {
    /// Its number.
    pub partition: i32,
    /// The broker that leads it, if any does.
    pub leader: Option<i32>,
    /// The leader's epoch. Brokers before Kafka 2.1 tell none.
    pub leader_epoch: Option<i32>,
    /// The brokers that have a replica, the preferred leader first.
    pub replicas: Vec<i32>,
    /// The replicas that are in sync.
    pub in_sync: Vec<i32>,
    /// The replicas whose broker or disk is down.
    pub offline: Vec<i32>,
}

impl PartitionDescription {
    /// Whether a replica is out of sync.
    #[must_use]
    pub const fn is_under_replicated(&self) -> bool {
        self.in_sync.len() < self.replicas.len()
    }

    /// Whether a leader exists that is not the first replica.
    #[must_use]
    pub fn is_led_by_another(&self) -> bool {
        self.leader.is_some() && self.leader != self.replicas.first().copied()
    }
}

impl Admin {
    /// Creates topics. Outcomes are by name.
    pub async fn create_topics(
        &self,
        topics: impl IntoIterator<Item = NewTopic>,
        change: Change,
    ) -> Results<String, CreatedTopic> {
        let topics: BTreeMap<_, _> = topics.into_iter().map(|topic| (topic.name.clone(), topic)).collect();
        let names: Vec<_> = topics.keys().cloned().collect();
        self.run(CreateTopics { topics, change }, names).await
    }

    /// Deletes topics with all their records.
    pub async fn delete_topics<T: Into<TopicRef>>(
        &self,
        topics: impl IntoIterator<Item = T>,
    ) -> Results<TopicRef, ()> {
        self.run(DeleteTopics, topics.into_iter().map(Into::into)).await
    }

    /// Describes topics.
    pub async fn describe_topics<T: Into<TopicRef>>(
        &self,
        topics: impl IntoIterator<Item = T>,
    ) -> Results<TopicRef, TopicDescription> {
        self.run(DescribeTopics, topics.into_iter().map(Into::into)).await
    }

    /// Describes all topics, by name, internal ones too. Topics with an error of their own are left out;
    /// [`list_topic_results`](Self::list_topic_results) has them.
    ///
    /// # Errors
    ///
    /// If no broker answers in time.
    pub async fn list_topics(&self) -> Result<Vec<TopicDescription>, Error> {
        let told = self.list_topic_results().await?;
        Ok(told.into_values().filter_map(Result::ok).collect())
    }

    /// Describes all topics, internal ones too, or says why a topic cannot be described. A topic that is being deleted may be
    /// `UNKNOWN_TOPIC_OR_PARTITION`.
    ///
    /// # Errors
    ///
    /// If no broker answers in time.
    pub async fn list_topic_results(&self) -> Result<Results<String, TopicDescription>, Error> {
        self.run_one(ListTopics, ()).await
    }

    /// Gives topics more partitions. Outcomes are by name.
    pub async fn create_partitions(
        &self,
        topics: impl IntoIterator<Item = NewPartitions>,
        change: Change,
    ) -> Results<String, ()> {
        let topics: BTreeMap<_, _> = topics.into_iter().map(|topic| (topic.topic.clone(), topic)).collect();
        let names: Vec<_> = topics.keys().cloned().collect();
        self.run(CreatePartitions { topics, change }, names).await
    }
}

struct CreateTopics {
    topics: BTreeMap<String, NewTopic>,
    change: Change,
}

impl Operation for CreateTopics {
    type Key = String;
    type Value = CreatedTopic;
    const POLICY: Policy = Policy::IDEMPOTENT;

    fn route(&self, _topic: &String) -> Route {
        Route::Controller
    }

    async fn ask(
        &self,
        attempt: Attempt<'_>,
        names: &[String],
    ) -> Result<Results<String, CreatedTopic>, Error> {
        let version = version::<CreateTopicsRequest>(attempt.connection, i16::MAX)?;
        let topics: Vec<_> = names.iter().filter_map(|name| self.topics.get(name)).collect();
        if version < DEFAULTS_FROM && topics.iter().any(|topic| topic.has_defaults()) {
            attempt.connection.versions().check::<CreateTopicsRequest>(DEFAULTS_FROM)?;
        }
        let request = CreateTopicsRequest::default()
            .with_topics(topics.into_iter().map(NewTopic::message).collect())
            .with_timeout_ms(millis(attempt.limit))
            .with_validate_only(self.change == Change::ValidateOnly);
        let answer = attempt.connection.request_at_version(request, version).await?;
        let rows = answer.topics.into_iter().map(|row| {
            let created = CreatedTopic {
                id: Some(row.topic_id).filter(|id| !id.is_nil()),
                partitions: row.num_partitions,
                replicas: row.replication_factor,
            };
            (row.name.to_string(), checked(row.error_code, row.error_message).map(|()| created))
        });
        Ok(rows.collect())
    }
}

struct DeleteTopics;

impl Operation for DeleteTopics {
    type Key = TopicRef;
    type Value = ();
    const POLICY: Policy = Policy::ONCE;

    fn route(&self, _topic: &TopicRef) -> Route {
        Route::Controller
    }

    async fn ask(&self, attempt: Attempt<'_>, topics: &[TopicRef]) -> Result<Results<TopicRef, ()>, Error> {
        let version = version::<DeleteTopicsRequest>(attempt.connection, i16::MAX)?;
        let mut request = DeleteTopicsRequest::default().with_timeout_ms(millis(attempt.limit));
        for topic in topics {
            match topic {
                TopicRef::Name(name) if version < DELETE_BY_ID => request.topic_names.push(topic_name(name)),
                TopicRef::Name(name) => {
                    request.topics.push(DeleteTopicState::default().with_name(Some(topic_name(name))));
                }
                TopicRef::Id(id) => {
                    attempt.connection.versions().check::<DeleteTopicsRequest>(DELETE_BY_ID)?;
                    request.topics.push(DeleteTopicState::default().with_name(None).with_topic_id(*id));
                }
            }
        }
        let answer = attempt.connection.request_at_version(request, version).await?;
        let mut rows = Results::new();
        for row in answer.responses {
            let outcome = checked(row.error_code, row.error_message);
            // A topic that was deleted by its id is answered by id and name.
            let id = TopicRef::Id(row.topic_id);
            let name = row.name.map(|name| TopicRef::Name(name.to_string()));
            let key = name.filter(|name| topics.contains(name)).unwrap_or(id);
            rows.insert(key, outcome);
        }
        Ok(rows)
    }
}

struct DescribeTopics;

impl Operation for DescribeTopics {
    type Key = TopicRef;
    type Value = TopicDescription;
    const POLICY: Policy = Policy::FREE;

    fn route(&self, _topic: &TopicRef) -> Route {
        Route::Any
    }

    async fn ask(
        &self,
        attempt: Attempt<'_>,
        topics: &[TopicRef],
    ) -> Result<Results<TopicRef, TopicDescription>, Error> {
        Ok(metadata::topics(attempt.connection, topics).await?.topics)
    }
}

struct ListTopics;

impl Operation for ListTopics {
    type Key = ();
    type Value = Results<String, TopicDescription>;
    const POLICY: Policy = Policy::FREE;

    fn route(&self, (): &()) -> Route {
        Route::Any
    }

    async fn ask(&self, attempt: Attempt<'_>, _all: &[()]) -> Result<Results<(), Self::Value>, Error> {
        let told = metadata::all(attempt.connection).await?;
        let topics = told.topics.into_iter().map(|(topic, outcome)| (topic.to_string(), outcome));
        Ok([((), Ok(topics.collect()))].into())
    }
}

struct CreatePartitions {
    topics: BTreeMap<String, NewPartitions>,
    change: Change,
}

impl Operation for CreatePartitions {
    type Key = String;
    type Value = ();
    const POLICY: Policy = Policy::IDEMPOTENT;

    fn route(&self, _topic: &String) -> Route {
        Route::Controller
    }

    async fn ask(&self, attempt: Attempt<'_>, names: &[String]) -> Result<Results<String, ()>, Error> {
        let topics = names.iter().filter_map(|name| self.topics.get(name)).map(|topic| {
            let assignments = topic.assignments.as_ref().map(|assignments| {
                let brokers = |brokers: &Vec<i32>| brokers.iter().map(|broker| (*broker).into()).collect();
                let assigned = |nodes| CreatePartitionsAssignment::default().with_broker_ids(brokers(nodes));
                assignments.iter().map(assigned).collect()
            });
            CreatePartitionsTopic::default()
                .with_name(topic_name(&topic.topic))
                .with_count(topic.total)
                .with_assignments(assignments)
        });
        let request = CreatePartitionsRequest::default()
            .with_topics(topics.collect())
            .with_timeout_ms(millis(attempt.limit))
            .with_validate_only(self.change == Change::ValidateOnly);
        let answer = attempt.connection.request(request).await?;
        let rows = answer.results.into_iter();
        Ok(rows.map(|row| (row.name.to_string(), checked(row.error_code, row.error_message))).collect())
    }
}
