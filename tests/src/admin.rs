//! Topics and leaders, asked for through the wire.

use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use kafka_protocol::messages::{CreateTopicsRequest, DeleteTopicsRequest, MetadataRequest, MetadataResponse};
use kafka_protocol::protocol::StrBytes;
use trilog_client::wire::{ClientError, Connection};
use uuid::Uuid;

use crate::cluster::{Cluster, connection_options};
use crate::partition::{LATEST, Partition};
use crate::requests::{Target, only, topic_name};
use crate::waiting::wait_until;

/// A topic to create.
#[derive(Debug, Clone)]
pub struct NewTopic {
    topic: CreatableTopic,
}

impl NewTopic {
    /// A topic with the cluster's defaults.
    pub fn new(name: &str) -> Self {
        let topic = CreatableTopic::default().with_name(topic_name(name));
        Self { topic: topic.with_num_partitions(-1).with_replication_factor(-1) }
    }

    /// How many partitions.
    #[must_use]
    pub fn partitions(mut self, count: i32) -> Self {
        self.topic.num_partitions = count;
        self
    }

    /// How many replicas of each.
    #[must_use]
    pub fn replicas(mut self, factor: i16) -> Self {
        self.topic.replication_factor = factor;
        self
    }

    /// A configuration entry.
    #[must_use]
    pub fn config(mut self, name: &str, value: &str) -> Self {
        let entry = CreatableTopicConfig::default()
            .with_name(StrBytes::from_string(name.to_owned()))
            .with_value(Some(StrBytes::from_string(value.to_owned())));
        self.topic.configs.push(entry);
        self
    }

    /// Places the next partition on these nodes; counts are left to the assignment then.
    #[must_use]
    pub fn assign(mut self, partition: i32, nodes: &[i32]) -> Self {
        let nodes = nodes.iter().map(|node| (*node).into()).collect();
        let assignment =
            CreatableReplicaAssignment::default().with_partition_index(partition).with_broker_ids(nodes);
        self.topic.assignments.push(assignment);
        self
    }

    /// The request that creates just this topic.
    pub fn request(self) -> CreateTopicsRequest {
        CreateTopicsRequest::default().with_timeout_ms(30_000).with_topics(vec![self.topic])
    }

    /// Asks for it and returns the answer, error code and all.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn try_create(self, connection: &Connection) -> CreatableTopicResult {
        only(connection.request(self.request()).await.expect("CreateTopics is answered").topics)
    }

    /// Creates it and returns its id.
    ///
    /// # Panics
    /// If the broker refuses.
    pub async fn create(self, connection: &Connection) -> Uuid {
        let answer = self.try_create(connection).await;
        assert_eq!(answer.error_code, 0, "{:?}: {:?}", answer.name, answer.error_message);
        answer.topic_id
    }
}

/// Metadata about one topic, which is not created if it does not exist.
///
/// # Errors
/// [`ClientError`] if there is no answer.
pub async fn topic_metadata(connection: &Connection, name: &str) -> Result<MetadataResponse, ClientError> {
    let topic = MetadataRequestTopic::default().with_name(Some(topic_name(name)));
    let request =
        MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(false);
    connection.request(request).await
}

/// Deletes a topic by name and returns the error code.
///
/// # Panics
/// If there is no answer.
pub async fn delete_topic(connection: &Connection, name: &str) -> i16 {
    let request =
        DeleteTopicsRequest::default().with_topic_names(vec![topic_name(name)]).with_timeout_ms(30_000);
    // Up to version 5 topics are named in a plain list.
    let answer = connection.request_at_version(request, 5).await.expect("DeleteTopics is answered");
    only(answer.responses).error_code
}

impl Cluster {
    /// A topic as any running node shows it now, `None` if that node does not answer or shows an error.
    pub async fn topic(&self, name: &str) -> Option<MetadataResponseTopic> {
        for id in self.started() {
            if let Some(topic) = self.topic_at(id, name).await {
                return Some(topic);
            }
        }
        None
    }

    /// A topic as one node shows it now.
    pub async fn topic_at(&self, node: i32, name: &str) -> Option<MetadataResponseTopic> {
        let address = self.node(node).address();
        let connection = Connection::connect(address, &connection_options()).await.ok()?;
        let topic = only(topic_metadata(&connection, name).await.ok()?.topics);
        (topic.error_code == 0).then_some(topic)
    }

    /// Waits until every running node shows a topic: the answer to its creation comes from one of them.
    pub async fn wait_shown(&self, name: &str) {
        wait_until(&format!("every node shows {name}"), async || {
            for node in self.started() {
                self.topic_at(node, name).await?;
            }
            Some(())
        })
        .await;
    }

    /// One partition as any running node shows it now.
    pub async fn partition_metadata(&self, topic: &str, partition: i32) -> Option<MetadataResponsePartition> {
        let topic = self.topic(topic).await?;
        topic.partitions.into_iter().find(|row| row.partition_index == partition)
    }

    /// The leader of a partition; waits until there is one that runs.
    pub async fn leader(&self, topic: &str, partition: i32) -> i32 {
        self.leader_where(topic, partition, |_| true).await
    }

    /// The leader of a partition once it is a running node that suits.
    pub async fn leader_where(&self, topic: &str, partition: i32, suits: impl Fn(i32) -> bool) -> i32 {
        wait_until(&format!("{topic}-{partition} has a leader"), async || {
            let leader = self.partition_metadata(topic, partition).await?.leader_id.0;
            (self.started().contains(&leader) && suits(leader)).then_some(leader)
        })
        .await
    }

    /// Waits until each partition of a topic is led by the first of its replicas, from which leaderships do not move by
    /// themselves.
    pub async fn wait_preferred(&self, topic: &str) {
        wait_until(&format!("the first replica of each partition of {topic} leads"), async || {
            let shown = self.topic(topic).await?;
            shown.partitions.iter().all(|row| row.replica_nodes.first() == Some(&row.leader_id)).then_some(())
        })
        .await;
    }

    /// A partition through a new connection to its leader, which says itself that it leads and will go on to do so:
    /// where the preferred leader (the first replica) runs, leadership is on its way back to it until it leads.
    pub async fn partition(&self, topic: &str, partition: i32) -> Partition {
        wait_until(&format!("{topic}-{partition} is led and stays so"), async || {
            let shown = self.topic(topic).await?;
            let row = shown.partitions.iter().find(|row| row.partition_index == partition)?;
            let (leader, preferred) = (row.leader_id.0, row.replica_nodes.first()?.0);
            let running = self.started();
            if !running.contains(&leader) || (running.contains(&preferred) && leader != preferred) {
                return None;
            }
            let address = self.node(leader).address();
            let connection = Connection::connect(address, &connection_options()).await.ok()?;
            let target = Target { topic: topic.to_owned(), id: shown.topic_id, partition };
            let partition = Partition { connection, target };
            let led = partition.try_list_offset(LATEST).await.error_code == 0;
            led.then_some(partition)
        })
        .await
    }

    /// A partition through a new connection to whoever leads it now, preferred or not: for a test in which the preferred
    /// leader runs and cannot lead. None while nobody does.
    pub async fn partition_as_led(&self, topic: &str, partition: i32) -> Option<Partition> {
        let shown = self.topic(topic).await?;
        let leader = shown.partitions.iter().find(|row| row.partition_index == partition)?.leader_id.0;
        let address = self.started().contains(&leader).then(|| self.node(leader).address())?;
        let connection = Connection::connect(address, &connection_options()).await.ok()?;
        let target = Target { topic: topic.to_owned(), id: shown.topic_id, partition };
        Some(Partition { connection, target })
    }

    /// Creates a topic of one partition with the cluster's defaults and returns that partition.
    pub async fn new_partition(&self, topic: &str) -> Partition {
        self.create(NewTopic::new(topic).partitions(1)).await;
        self.partition(topic, 0).await
    }

    /// Creates a topic through any running node.
    pub async fn create(&self, topic: NewTopic) -> Uuid {
        topic.create(&self.connect_any().await).await
    }
}
