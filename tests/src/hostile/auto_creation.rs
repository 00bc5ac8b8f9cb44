//! Clients name ever new topics, each of which comes into being by that. Whoever creates a topic with intent still can.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{MetadataRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use tokio::task::JoinSet;

use super::{Attack, Scenario, Size};
use crate::admin::NewTopic;
use crate::cluster::{Cluster, ClusterOptions};
use crate::requests::error;
use crate::waiting::wait_until;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "auto-creation",
    what: "clients name 50,000 topics that there are not, and each is made as far as that may be",
    cluster: || ClusterOptions::nodes(3),
    prepare: super::nothing,
    attack: |cluster, size| -> Attack<'_> { Box::pin(attack(cluster, size)) },
};

/// Topics that a request names: more than a node makes at once.
const NAMED_AT_ONCE: usize = 500;

async fn attack(cluster: &mut Cluster, size: Size) {
    let requests = size.choose(2, 34);
    let mut clients = JoinSet::new();
    for id in cluster.ids() {
        let connection = cluster.connect(id).await;
        clients.spawn(async move {
            let mut put_off = 0;
            for number in 0..requests {
                let name = |at| {
                    let name = StrBytes::from_string(format!("stranger-{id}-{number}-{at}"));
                    MetadataRequestTopic::default().with_name(Some(TopicName(name)))
                };
                let request = MetadataRequest::default()
                    .with_topics(Some((0..NAMED_AT_ONCE).map(name).collect()))
                    .with_allow_auto_topic_creation(true);
                let answer = connection.request(request).await.expect("Metadata is answered");
                for topic in answer.topics {
                    match error(topic.error_code) {
                        None => {}
                        Some(ResponseError::LeaderNotAvailable | ResponseError::PolicyViolation) => {
                            put_off += 1
                        }
                        Some(other) => panic!("{:?}: {other:?}", topic.name),
                    }
                }
            }
            put_off
        });
    }
    let put_off: usize = clients.join_all().await.into_iter().sum();
    assert!(put_off > 0, "all were made at once");
    let connection = cluster.connect_any().await;
    wait_until("a topic is created with intent", async || {
        let created = NewTopic::new("intended").try_create(&connection).await;
        matches!(error(created.error_code), None | Some(ResponseError::TopicAlreadyExists)).then_some(())
    })
    .await;
}
