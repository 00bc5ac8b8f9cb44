//! What scenarios share: the cluster, topics and groups of their own, and notes.

use std::collections::BTreeMap;
use std::rc::Rc;

use kafka_protocol::messages::MetadataRequest;
use kafka_protocol::protocol::Request;
use trilog_client::wire::Connection;
use trilog_tests::admin::{NewTopic, topic_metadata};
use trilog_tests::cluster::connection_options;
use trilog_tests::group::{Group, find_coordinator};
use trilog_tests::partition::{LATEST, Partition};
use trilog_tests::requests::{Target, only};
use trilog_tests::waiting::wait_until;

use crate::answers::Answers;

/// Where a scenario plays.
#[derive(Debug)]
pub(crate) struct Stage {
    /// The scenario's name, with which those of its topics and groups begin.
    pub(crate) name: &'static str,
    /// The address of each node.
    nodes: BTreeMap<i32, String>,
    answers: Rc<Answers>,
}

impl Stage {
    /// Finds the cluster's nodes.
    pub(crate) async fn new(name: &'static str, answers: Rc<Answers>) -> Self {
        let bootstrap =
            std::env::var("COMPAT_BOOTSTRAP").expect("COMPAT_BOOTSTRAP is set by tests/compat/run");
        let first = bootstrap.split(',').next().expect("there are addresses").to_owned();
        let nodes = wait_until("three nodes", async || {
            let connection = Connection::connect(&first, &connection_options()).await.ok()?;
            let answer =
                connection.request(MetadataRequest::default().with_topics(Some(Vec::new()))).await.ok()?;
            let nodes =
                answer.brokers.into_iter().map(|row| (row.node_id.0, format!("{}:{}", &*row.host, row.port)));
            let nodes: BTreeMap<_, _> = nodes.collect();
            (nodes.len() == 3).then_some(nodes)
        })
        .await;
        Self { name, nodes, answers }
    }

    /// Notes a question and what was answered.
    pub(crate) fn note(&self, question: impl ToString, answer: impl ToString) {
        self.answers.note(question, answer);
    }

    /// A name that begins with the scenario's.
    pub(crate) fn named(&self, name: &str) -> String {
        format!("{}-{name}", self.name)
    }

    /// The nodes' numbers.
    pub(crate) fn ids(&self) -> impl Iterator<Item = i32> {
        self.nodes.keys().copied()
    }

    /// A node's address.
    pub(crate) fn address(&self, node: i32) -> &str {
        &self.nodes[&node]
    }

    /// A new connection to a node.
    pub(crate) async fn connect(&self, node: i32) -> Connection {
        Connection::connect(self.address(node), &connection_options()).await.expect("a running node answers")
    }

    /// Creates a topic, and waits until every node shows it and the leaders of its partitions.
    pub(crate) async fn create(&self, name: &str, topic: NewTopic) {
        topic.create(&self.connect(1).await).await;
        for node in self.ids() {
            let connection = self.connect(node).await;
            wait_until(&format!("node {node} shows {name}"), async || {
                let topic = only(topic_metadata(&connection, name).await.ok()?.topics);
                let is_led = topic.error_code == 0 && topic.partitions.iter().all(|row| row.leader_id.0 >= 0);
                is_led.then_some(())
            })
            .await;
        }
    }

    /// A partition through a new connection to its leader, which is its first replica and says itself that it leads.
    pub(crate) async fn partition(&self, topic: &str, partition: i32) -> Partition {
        let asked = self.connect(1).await;
        wait_until(&format!("{topic}-{partition} is led"), async || {
            let shown = only(topic_metadata(&asked, topic).await.ok()?.topics);
            let row = shown.partitions.iter().find(|row| row.partition_index == partition)?;
            if row.replica_nodes.first() != Some(&row.leader_id) {
                return None;
            }
            let connection = self.connect(row.leader_id.0).await;
            let target = Target { topic: topic.to_owned(), id: shown.topic_id, partition };
            let partition = Partition { connection, target };
            (partition.try_list_offset(LATEST).await.error_code == 0).then_some(partition)
        })
        .await
    }

    /// Creates a topic of one partition with three replicas and these settings, and returns the partition.
    pub(crate) async fn new_partition(&self, name: &str, settings: &[(&str, &str)]) -> Partition {
        let topic = NewTopic::new(name).partitions(1).replicas(3);
        let topic = settings.iter().fold(topic, |topic, (name, value)| topic.config(name, value));
        self.create(name, topic).await;
        self.partition(name, 0).await
    }

    /// The same partition through a connection to a node that does not lead it.
    pub(crate) async fn elsewhere(&self, led: &Partition) -> Partition {
        let leader = led.connection.address();
        let other = self.nodes.iter().find(|(_, address)| *address != leader).expect("there are three nodes");
        Partition { connection: self.connect(*other.0).await, target: led.target.clone() }
    }

    /// A group through a new connection to its coordinator, which says itself that it is.
    pub(crate) async fn group(&self, name: &str) -> Group {
        let asked = self.connect(1).await;
        wait_until(&format!("group {name} has a coordinator"), async || {
            let found = find_coordinator(&asked, name).await.ok()?;
            if found.error_code != 0 {
                return None;
            }
            let connection = self.connect(found.node_id.0).await;
            let group = Group { name: name.to_owned(), node: found.node_id.0, connection };
            let agrees = group.try_fetch_offsets(None).await.is_ok_and(|answer| answer.error_code == 0);
            agrees.then_some(group)
        })
        .await
    }
}

/// Asks in the highest version.
///
/// # Panics
/// If there is no answer: no bad request closes the connection.
pub(crate) async fn asked<R: Request>(connection: &Connection, request: R) -> R::Response {
    connection.request(request).await.unwrap_or_else(|error| panic!("API {}: {error}", R::KEY))
}
