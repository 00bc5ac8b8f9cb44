//! Requests that name the same topic, group, key or resource thousands of times, in every API that lists names. Each name is
//! answered once.

use kafka_protocol::messages::alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_topic_partitions_request::TopicRequest;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::incremental_alter_configs_request::AlterConfigsResource as IncrementalResource;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::{
    AlterConfigsRequest, ConsumerGroupDescribeRequest, CreatePartitionsRequest, CreateTopicsRequest,
    DeleteGroupsRequest, DeleteRecordsRequest, DeleteTopicsRequest, DescribeConfigsRequest,
    DescribeGroupsRequest, DescribeTopicPartitionsRequest, FetchRequest, FindCoordinatorRequest,
    IncrementalAlterConfigsRequest, LeaveGroupRequest, ListOffsetsRequest, MetadataRequest,
    OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest, OffsetForLeaderEpochRequest,
};
use kafka_protocol::protocol::Request;
use trilog_client::wire::Connection;

use super::{Attack, Scenario, Size};
use crate::cluster::{Cluster, ClusterOptions};
use crate::requests::{group_id, text, topic_name};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "repeated-names",
    what: "requests name a topic of 10,000 partitions, a group or a resource thousands of times",
    cluster: || ClusterOptions::nodes(3),
    prepare: |cluster, size| -> Attack<'_> { Box::pin(prepare(cluster, size)) },
    attack: |cluster, size| -> Attack<'_> { Box::pin(attack(cluster, size)) },
};

const TOPIC: &str = "wide";
const GROUP: &str = "group";

/// Kafka's number for topics among resources.
const TOPIC_RESOURCE: i8 = 2;

/// The topic is there before the requests, and after them.
async fn prepare(cluster: &mut Cluster, size: Size) {
    super::create_wide(cluster, TOPIC, size.choose(100, 10_000)).await;
}

async fn attack(cluster: &mut Cluster, size: Size) {
    let connection = cluster.connect(1).await;
    let times = size.choose(1_000, 4_500);
    for _ in 0..size.choose(1, 10) {
        topics(&connection, times).await;
        partitions(&connection, times).await;
        groups(&connection, times).await;
        resources(&connection, times).await;
    }
}

async fn asked<R: Request>(connection: &Connection, request: R) -> R::Response {
    connection.request(request).await.unwrap_or_else(|error| panic!("{}: {error}", R::KEY))
}

async fn topics(connection: &Connection, times: usize) {
    let topic = MetadataRequestTopic::default().with_name(Some(topic_name(TOPIC)));
    let request = MetadataRequest::default().with_topics(Some(vec![topic; times]));
    assert_eq!(asked(connection, request).await.topics.len(), 1, "Metadata");

    let topic = TopicRequest::default().with_name(topic_name(TOPIC));
    let request = DescribeTopicPartitionsRequest::default()
        .with_topics(vec![topic; times])
        .with_response_partition_limit(50);
    assert_eq!(asked(connection, request).await.topics.len(), 1, "DescribeTopicPartitions");

    let topic = CreatableTopic::default().with_name(topic_name("twice")).with_num_partitions(1);
    let topic = topic.with_replication_factor(-1);
    let request = CreateTopicsRequest::default().with_topics(vec![topic; times]).with_timeout_ms(20_000);
    let answer = asked(connection, request).await;
    let codes: Vec<i16> = answer.topics.iter().map(|topic| topic.error_code).collect();
    assert_eq!(codes, [42], "CreateTopics refuses a name that is repeated");

    let topic = CreatePartitionsTopic::default().with_name(topic_name(TOPIC)).with_count(20_000);
    let request = CreatePartitionsRequest::default().with_topics(vec![topic; times]).with_timeout_ms(20_000);
    let answer = asked(connection, request).await;
    let codes: Vec<i16> = answer.results.iter().map(|topic| topic.error_code).collect();
    assert_eq!(codes, [42], "CreatePartitions refuses a name that is repeated");

    let topic = DeleteTopicState::default().with_name(Some(topic_name(TOPIC)));
    let request = DeleteTopicsRequest::default().with_topics(vec![topic; times]).with_timeout_ms(20_000);
    let answer = asked(connection, request).await;
    let codes: Vec<i16> = answer.responses.iter().map(|topic| topic.error_code).collect();
    assert_eq!(codes, [42], "DeleteTopics refuses a name that is repeated");
}

async fn partitions(connection: &Connection, times: usize) {
    let of = |topics: Vec<usize>| assert_eq!(topics, [1], "one topic with one partition is answered");

    let partitions = vec![ListOffsetsPartition::default().with_timestamp(0); times];
    let topic = ListOffsetsTopic::default().with_name(topic_name(TOPIC)).with_partitions(partitions);
    let request = ListOffsetsRequest::default().with_topics(vec![topic; 2]);
    let answer = asked(connection, request).await;
    of(answer.topics.iter().map(|topic| topic.partitions.len()).collect());
    assert_eq!(answer.topics[0].partitions[0].error_code, 42, "ListOffsets refuses what is repeated");

    let partitions = vec![OffsetForLeaderPartition::default(); times];
    let topic = OffsetForLeaderTopic::default().with_topic(topic_name(TOPIC)).with_partitions(partitions);
    let request =
        OffsetForLeaderEpochRequest::default().with_replica_id((-1).into()).with_topics(vec![topic; 2]);
    of(asked(connection, request).await.topics.iter().map(|topic| topic.partitions.len()).collect());

    let partitions = vec![DeleteRecordsPartition::default(); times];
    let topic = DeleteRecordsTopic::default().with_name(topic_name(TOPIC)).with_partitions(partitions);
    let request = DeleteRecordsRequest::default().with_topics(vec![topic; 2]).with_timeout_ms(20_000);
    of(asked(connection, request).await.topics.iter().map(|topic| topic.partitions.len()).collect());

    let partitions = vec![FetchPartition::default().with_partition_max_bytes(1 << 20); times];
    let topic = FetchTopic::default().with_topic(topic_name(TOPIC)).with_partitions(partitions);
    let request =
        FetchRequest::default().with_max_bytes(1 << 20).with_topics(vec![topic; 2]).with_session_epoch(-1);
    let answer = connection.request_at_version(request, 12).await.expect("a fetch is answered");
    of(answer.responses.iter().map(|topic| topic.partitions.len()).collect());

    let partitions = vec![OffsetCommitRequestPartition::default().with_committed_offset(7); times];
    let topic = OffsetCommitRequestTopic::default().with_name(topic_name(TOPIC)).with_partitions(partitions);
    let request = OffsetCommitRequest::default().with_group_id(group_id(GROUP)).with_topics(vec![topic; 2]);
    of(asked(connection, request).await.topics.iter().map(|topic| topic.partitions.len()).collect());

    let partitions = vec![OffsetDeleteRequestPartition::default(); times];
    let topic = OffsetDeleteRequestTopic::default().with_name(topic_name(TOPIC)).with_partitions(partitions);
    let request = OffsetDeleteRequest::default().with_group_id(group_id(GROUP)).with_topics(vec![topic; 2]);
    let answer = asked(connection, request).await;
    let most = answer.topics.iter().map(|topic| topic.partitions.len()).sum::<usize>();
    assert!(most <= 1, "OffsetDelete: {most} answers");
}

async fn groups(connection: &Connection, times: usize) {
    let names = vec![group_id(GROUP); times];
    let request = DescribeGroupsRequest::default().with_groups(names.clone());
    assert_eq!(asked(connection, request).await.groups.len(), 1, "DescribeGroups");

    let request = ConsumerGroupDescribeRequest::default().with_group_ids(names.clone());
    assert_eq!(asked(connection, request).await.groups.len(), 1, "ConsumerGroupDescribe");

    let request = DeleteGroupsRequest::default().with_groups_names(names);
    assert_eq!(asked(connection, request).await.results.len(), 1, "DeleteGroups");

    let request = FindCoordinatorRequest::default().with_coordinator_keys(vec![text(GROUP); times]);
    assert_eq!(asked(connection, request).await.coordinators.len(), 1, "FindCoordinator");

    // Below the bound on the elements of a request, also at full size.
    let topic =
        OffsetFetchRequestTopics::default().with_name(topic_name(TOPIC)).with_partition_indexes(vec![0; 50]);
    let group =
        OffsetFetchRequestGroup::default().with_group_id(group_id(GROUP)).with_topics(Some(vec![topic]));
    let request = OffsetFetchRequest::default().with_groups(vec![group; times]);
    assert_eq!(asked(connection, request).await.groups.len(), 1, "OffsetFetch");

    let members = vec![MemberIdentity::default().with_member_id(text("member")); times];
    let request = LeaveGroupRequest::default().with_group_id(group_id(GROUP)).with_members(members);
    let left = asked(connection, request).await.members.len();
    assert!(left <= 1, "LeaveGroup: {left} answers");
}

async fn resources(connection: &Connection, times: usize) {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(TOPIC_RESOURCE)
        .with_resource_name(text(TOPIC))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default().with_resources(vec![resource; times]);
    assert_eq!(asked(connection, request).await.results.len(), 1, "DescribeConfigs");

    let resource =
        AlterConfigsResource::default().with_resource_type(TOPIC_RESOURCE).with_resource_name(text(TOPIC));
    let request = AlterConfigsRequest::default().with_resources(vec![resource; times]);
    let answer = asked(connection, request).await;
    let codes: Vec<i16> = answer.responses.iter().map(|resource| resource.error_code).collect();
    assert_eq!(codes, [42], "AlterConfigs refuses what is repeated");

    let resource =
        IncrementalResource::default().with_resource_type(TOPIC_RESOURCE).with_resource_name(text(TOPIC));
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource; times]);
    let answer = asked(connection, request).await;
    let codes: Vec<i16> = answer.responses.iter().map(|resource| resource.error_code).collect();
    assert_eq!(codes, [42], "IncrementalAlterConfigs refuses what is repeated");
}
