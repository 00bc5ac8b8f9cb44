//! Sound requests of every API that a broker has, in all versions: what fuzzed frames are made from.
//!
//! Each has an element in each of its arrays, so that a changed byte may be in any field. What would change the cluster for
//! good names topics that there are not, or asks for nothing but a check.

use bytes::Bytes;
use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions as OwnedPartitions;
use kafka_protocol::messages::describe_topic_partitions_request::TopicRequest;
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterPartitionReassignmentsRequest, ApiVersionsRequest, BrokerId,
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, CreatePartitionsRequest,
    CreateTopicsRequest, DeleteGroupsRequest, DeleteRecordsRequest, DeleteTopicsRequest, DescribeAclsRequest,
    DescribeClientQuotasRequest, DescribeClusterRequest, DescribeConfigsRequest, DescribeGroupsRequest,
    DescribeLogDirsRequest, DescribeProducersRequest, DescribeQuorumRequest, DescribeTopicPartitionsRequest,
    DescribeTransactionsRequest, DescribeUserScramCredentialsRequest, ElectLeadersRequest, FetchRequest,
    FindCoordinatorRequest, HeartbeatRequest, IncrementalAlterConfigsRequest, InitProducerIdRequest,
    JoinGroupRequest, LeaveGroupRequest, ListConfigResourcesRequest, ListGroupsRequest, ListOffsetsRequest,
    ListPartitionReassignmentsRequest, ListTransactionsRequest, MetadataRequest, OffsetCommitRequest,
    OffsetDeleteRequest, OffsetFetchRequest, OffsetForLeaderEpochRequest, ProduceRequest, SyncGroupRequest,
    TransactionalId, UpdateFeaturesRequest, alter_configs_request, alter_partition_reassignments_request,
    create_partitions_request, create_topics_request, delete_records_request, delete_topics_request,
    describe_client_quotas_request, describe_configs_request, describe_log_dirs_request,
    describe_producers_request, describe_quorum_request, describe_user_scram_credentials_request,
    fetch_request, incremental_alter_configs_request, join_group_request, leave_group_request,
    list_offsets_request, list_partition_reassignments_request, metadata_request, offset_commit_request,
    offset_delete_request, offset_fetch_request, offset_for_leader_epoch_request, sync_group_request,
    update_features_request,
};
use kafka_protocol::protocol::Request;
use trilog_client::wire::frame::{LENGTH_PREFIX, encode_request};
use trilog_client::wire::{Api, BrokerVersions};
use uuid::Uuid;

use crate::batch::values;
use crate::requests::{FetchPlan, Target, group_id, text, topic_name};

/// A topic that there is not.
const NOWHERE: &str = "no such topic";

/// The topic among the kinds of resources.
const TOPIC_RESOURCE: i8 = 2;

/// Sound requests without their lengths, and the APIs that are among them.
#[derive(Debug, Default)]
pub(super) struct Corpus {
    /// The content of each frame.
    pub(super) frames: Vec<Vec<u8>>,
    /// Each API and version of `frames`.
    pub(super) apis: Vec<(Api, i16)>,
    versions: Option<BrokerVersions>,
}

impl Corpus {
    /// Requests in all versions that the broker lists. Produce and Fetch are about `target`.
    ///
    /// # Panics
    /// If the broker lists an API that there is no request of.
    pub(super) fn new(versions: &BrokerVersions, target: &Target) -> Self {
        let mut corpus = Self { versions: Some(versions.clone()), ..Self::default() };
        corpus.add_records(target);
        corpus.add_topics(target);
        corpus.add_groups();
        corpus.add_group_members();
        corpus.add_changes();
        corpus.add_questions();
        for (api, range) in versions.iter() {
            assert!(corpus.apis.contains(&(api, range.max)), "{api:?} is not fuzzed");
        }
        corpus
    }

    /// Adds a request in every version, built for it. Where a version lacks a field, the fields stay at their defaults.
    fn add<R: Request + Default>(&mut self, build: impl Fn(i16) -> R) {
        let api = Api::of::<R>();
        let Some(range) = self.versions.as_ref().and_then(|versions| versions.get(api)) else { return };
        for version in range.min..=range.max {
            let encode = |request: &R| encode_request(request, version, 1, &text("fuzz"));
            let encoded = encode(&build(version)).or_else(|_| encode(&R::default()));
            // Versions that are listed and never served cannot be encoded.
            let Ok(frame) = encoded else { continue };
            self.frames.push(frame[LENGTH_PREFIX..].to_vec());
            self.apis.push((api, version));
        }
    }

    fn add_records(&mut self, target: &Target) {
        for acks in [-1, 1] {
            self.add(|version| -> ProduceRequest { target.produce(version, acks, values(1, &["a", "b"])) });
        }
        let plan = FetchPlan { max_wait_ms: 0, ..FetchPlan::from(0) };
        self.add(|version| -> FetchRequest { target.fetch(version, plan) });
        self.add(|version| {
            let forgotten = fetch_request::ForgottenTopic::default().with_partitions(vec![1, 2]);
            let request = target.fetch(version, plan).with_session_epoch(0);
            if version < 7 {
                return target.fetch(version, plan);
            }
            request.with_forgotten_topics_data(vec![match version {
                13.. => forgotten.with_topic_id(target.id),
                _ => forgotten.with_topic(topic_name(&target.topic)),
            }])
        });
        self.add(|_| target.list_offsets(-1));
        self.add(|_| -> ListOffsetsRequest {
            let partition = list_offsets_request::ListOffsetsPartition::default().with_timestamp(5);
            let topic = list_offsets_request::ListOffsetsTopic::default().with_partitions(vec![partition; 3]);
            ListOffsetsRequest::default().with_topics(vec![topic.with_name(topic_name(NOWHERE))])
        });
        self.add(|_| -> OffsetForLeaderEpochRequest {
            let partition = offset_for_leader_epoch_request::OffsetForLeaderPartition::default();
            let topic = offset_for_leader_epoch_request::OffsetForLeaderTopic::default()
                .with_topic(topic_name(&target.topic))
                .with_partitions(vec![partition; 2]);
            OffsetForLeaderEpochRequest::default().with_replica_id((-1).into()).with_topics(vec![topic])
        });
        self.add(|_| InitProducerIdRequest::default().with_transaction_timeout_ms(1_000));
        self.add(|_| InitProducerIdRequest::default().with_transactional_id(Some(transaction())));
        self.add(|_| -> DeleteRecordsRequest {
            let partition = delete_records_request::DeleteRecordsPartition::default();
            let topic = delete_records_request::DeleteRecordsTopic::default()
                .with_name(topic_name(NOWHERE))
                .with_partitions(vec![partition; 2]);
            DeleteRecordsRequest::default().with_timeout_ms(100).with_topics(vec![topic])
        });
    }

    fn add_topics(&mut self, target: &Target) {
        self.add(|_| MetadataRequest::default().with_topics(None).with_allow_auto_topic_creation(false));
        self.add(|_| -> MetadataRequest {
            let topic = metadata_request::MetadataRequestTopic::default();
            let named = [NOWHERE, &target.topic].map(|name| topic.clone().with_name(Some(topic_name(name))));
            MetadataRequest::default().with_topics(Some(named.into())).with_allow_auto_topic_creation(false)
        });
        self.add(|_| -> DescribeTopicPartitionsRequest {
            let topics =
                [NOWHERE, &target.topic].map(|name| TopicRequest::default().with_name(topic_name(name)));
            DescribeTopicPartitionsRequest::default()
                .with_topics(topics.into())
                .with_response_partition_limit(9)
        });
        self.add(|_| -> DescribeLogDirsRequest {
            let topic = describe_log_dirs_request::DescribableLogDirTopic::default()
                .with_topic(topic_name(&target.topic))
                .with_partitions(vec![0, 1]);
            DescribeLogDirsRequest::default().with_topics(Some(vec![topic]))
        });
        self.add(|_| -> DescribeProducersRequest {
            let topic = describe_producers_request::TopicRequest::default()
                .with_name(topic_name(&target.topic))
                .with_partition_indexes(vec![0, 1]);
            DescribeProducersRequest::default().with_topics(vec![topic])
        });
        self.add(|version| -> ElectLeadersRequest {
            let topic = TopicPartitions::default().with_topic(topic_name(&target.topic));
            let topics = Some(vec![topic.with_partitions(vec![0, 1])]);
            let request = ElectLeadersRequest::default().with_topic_partitions(topics).with_timeout_ms(100);
            request.with_election_type(i8::from(version > 0))
        });
        self.add(|_| -> ListPartitionReassignmentsRequest {
            let topic = list_partition_reassignments_request::ListPartitionReassignmentsTopics::default()
                .with_name(topic_name(&target.topic))
                .with_partition_indexes(vec![0, 1]);
            ListPartitionReassignmentsRequest::default().with_timeout_ms(100).with_topics(Some(vec![topic]))
        });
    }

    fn add_groups(&mut self) {
        let (names, key) = (vec![group_id("fuzzed"), group_id("other")], text("fuzzed"));
        self.add(|_| DescribeGroupsRequest::default().with_groups(names.clone()));
        self.add(|_| ConsumerGroupDescribeRequest::default().with_group_ids(names.clone()));
        self.add(|_| DeleteGroupsRequest::default().with_groups_names(names.clone()));
        self.add(|version| match version {
            4.. => FindCoordinatorRequest::default().with_coordinator_keys(vec![key.clone(), text("other")]),
            _ => FindCoordinatorRequest::default().with_key(key.clone()),
        });
        self.add(|version| match version {
            0..3 => ListGroupsRequest::default(),
            _ => ListGroupsRequest::default().with_states_filter(vec![text("Stable"), text("Empty")]),
        });
        self.add(|version| -> OffsetCommitRequest {
            let partition = offset_commit_request::OffsetCommitRequestPartition::default();
            let topic = offset_commit_request::OffsetCommitRequestTopic::default()
                .with_partitions(vec![partition.with_committed_metadata(Some(text("m"))); 2]);
            let topic = match version {
                10.. => topic.with_topic_id(Uuid::from_u128(7)),
                _ => topic.with_name(topic_name(NOWHERE)),
            };
            OffsetCommitRequest::default().with_group_id(group_id("fuzzed")).with_topics(vec![topic])
        });
        self.add(|version| -> OffsetFetchRequest {
            if version < 8 {
                let topic = offset_fetch_request::OffsetFetchRequestTopic::default();
                let topic = topic.with_name(topic_name(NOWHERE)).with_partition_indexes(vec![0, 1]);
                let request = OffsetFetchRequest::default().with_topics(Some(vec![topic]));
                return request.with_group_id(group_id("fuzzed"));
            }
            let topic = offset_fetch_request::OffsetFetchRequestTopics::default();
            let topic = topic.with_partition_indexes(vec![0, 1]);
            let topic = match version {
                10.. => topic.with_topic_id(Uuid::from_u128(7)),
                _ => topic.with_name(topic_name(NOWHERE)),
            };
            let group = offset_fetch_request::OffsetFetchRequestGroup::default();
            let group = group.with_group_id(group_id("fuzzed")).with_topics(Some(vec![topic]));
            OffsetFetchRequest::default().with_groups(vec![group; 2])
        });
        self.add(|_| -> OffsetDeleteRequest {
            let partition = offset_delete_request::OffsetDeleteRequestPartition::default();
            let topic = offset_delete_request::OffsetDeleteRequestTopic::default();
            let topic = topic.with_name(topic_name(NOWHERE)).with_partitions(vec![partition; 2]);
            OffsetDeleteRequest::default().with_group_id(group_id("fuzzed")).with_topics(vec![topic])
        });
    }

    fn add_group_members(&mut self) {
        let group = || group_id("fuzzed");
        self.add(|_| -> JoinGroupRequest {
            let protocol = join_group_request::JoinGroupRequestProtocol::default();
            let protocol = protocol.with_name(text("range")).with_metadata(Bytes::from_static(&[0; 10]));
            let request =
                JoinGroupRequest::default().with_group_id(group()).with_protocols(vec![protocol; 2]);
            request.with_protocol_type(text("consumer")).with_session_timeout_ms(6_000)
        });
        self.add(|_| -> SyncGroupRequest {
            let assigned = sync_group_request::SyncGroupRequestAssignment::default();
            let assigned = assigned.with_member_id(text("m")).with_assignment(Bytes::from_static(&[0; 10]));
            let request = SyncGroupRequest::default().with_group_id(group()).with_member_id(text("m"));
            request.with_assignments(vec![assigned])
        });
        self.add(|_| HeartbeatRequest::default().with_group_id(group()).with_member_id(text("m")));
        self.add(|version| -> LeaveGroupRequest {
            if version < 3 {
                return LeaveGroupRequest::default().with_group_id(group()).with_member_id(text("m"));
            }
            let member = leave_group_request::MemberIdentity::default().with_member_id(text("m"));
            LeaveGroupRequest::default().with_group_id(group()).with_members(vec![member; 2])
        });
        self.add(|version| -> ConsumerGroupHeartbeatRequest {
            let owned =
                OwnedPartitions::default().with_topic_id(Uuid::from_u128(7)).with_partitions(vec![0, 1]);
            let request = ConsumerGroupHeartbeatRequest::default()
                .with_group_id(group_id("fuzzed-too"))
                .with_member_id(text(if version > 0 { "AAAAAAAAAAAAAAAAAAAAAA" } else { "" }))
                .with_rebalance_timeout_ms(5_000)
                .with_subscribed_topic_names(Some(vec![topic_name(NOWHERE)]))
                .with_topic_partitions(Some(vec![owned]));
            if version > 0 { request.with_subscribed_topic_regex(Some(text("a.*[b-d]+"))) } else { request }
        });
    }

    fn add_changes(&mut self) {
        self.add(|_| -> CreateTopicsRequest {
            let topic = create_topics_request::CreatableTopic::default().with_name(topic_name(NOWHERE));
            let config = create_topics_request::CreatableTopicConfig::default();
            let config = config.with_name(text("retention.ms")).with_value(Some(text("1")));
            let assigned = create_topics_request::CreatableReplicaAssignment::default();
            let topic = topic.with_configs(vec![config]).with_num_partitions(-1).with_replication_factor(-1);
            let topic = topic.with_assignments(vec![assigned.with_broker_ids(vec![BrokerId(1)])]);
            CreateTopicsRequest::default().with_topics(vec![topic]).with_validate_only(true)
        });
        self.add(|_| -> CreatePartitionsRequest {
            let topic = create_partitions_request::CreatePartitionsTopic::default();
            let assigned = create_partitions_request::CreatePartitionsAssignment::default();
            let topic = topic.with_name(topic_name(NOWHERE)).with_count(3);
            let topic = topic.with_assignments(Some(vec![assigned.with_broker_ids(vec![BrokerId(1)])]));
            CreatePartitionsRequest::default().with_topics(vec![topic]).with_validate_only(true)
        });
        self.add(|version| -> DeleteTopicsRequest {
            if version < 6 {
                return DeleteTopicsRequest::default().with_topic_names(vec![topic_name(NOWHERE)]);
            }
            let topic = delete_topics_request::DeleteTopicState::default();
            let topics = vec![topic.clone().with_name(Some(topic_name(NOWHERE))), topic];
            DeleteTopicsRequest::default().with_topics(topics)
        });
        self.add(|_| -> AlterConfigsRequest {
            let config = alter_configs_request::AlterableConfig::default();
            let config = config.with_name(text("retention.ms")).with_value(Some(text("1")));
            let resource = alter_configs_request::AlterConfigsResource::default().with_configs(vec![config]);
            let resource = resource.with_resource_type(TOPIC_RESOURCE).with_resource_name(text(NOWHERE));
            AlterConfigsRequest::default().with_resources(vec![resource]).with_validate_only(true)
        });
        self.add(|_| -> IncrementalAlterConfigsRequest {
            let config = incremental_alter_configs_request::AlterableConfig::default();
            let config = config.with_name(text("retention.ms")).with_value(Some(text("1")));
            let resource = incremental_alter_configs_request::AlterConfigsResource::default();
            let resource = resource.with_resource_type(TOPIC_RESOURCE).with_resource_name(text(NOWHERE));
            let resource = resource.with_configs(vec![config]);
            IncrementalAlterConfigsRequest::default().with_resources(vec![resource]).with_validate_only(true)
        });
        self.add(|_| -> AlterPartitionReassignmentsRequest {
            let partition = alter_partition_reassignments_request::ReassignablePartition::default();
            let partition = partition.with_replicas(Some(vec![BrokerId(1), BrokerId(2)]));
            let topic = alter_partition_reassignments_request::ReassignableTopic::default();
            let topic = topic.with_name(topic_name(NOWHERE)).with_partitions(vec![partition]);
            AlterPartitionReassignmentsRequest::default().with_timeout_ms(100).with_topics(vec![topic])
        });
        self.add(|_| -> UpdateFeaturesRequest {
            let update = update_features_request::FeatureUpdateKey::default();
            let update = update.with_feature(text("no.such.feature")).with_max_version_level(1);
            UpdateFeaturesRequest::default().with_feature_updates(vec![update]).with_timeout_ms(100)
        });
    }

    fn add_questions(&mut self) {
        self.add(|version| match version {
            0..3 => ApiVersionsRequest::default(),
            _ => ApiVersionsRequest::default()
                .with_client_software_name(text("fuzz"))
                .with_client_software_version(text("1")),
        });
        self.add(|_| -> DescribeConfigsRequest {
            let resource = describe_configs_request::DescribeConfigsResource::default();
            let resource = resource.with_resource_type(TOPIC_RESOURCE).with_resource_name(text(NOWHERE));
            let resource = resource.with_configuration_keys(Some(vec![text("retention.ms")]));
            DescribeConfigsRequest::default().with_resources(vec![resource; 2])
        });
        self.add(|_| DescribeClusterRequest::default());
        self.add(|_| DescribeAclsRequest::default().with_resource_name_filter(Some(text("a"))));
        self.add(|_| -> DescribeClientQuotasRequest {
            let component = describe_client_quotas_request::ComponentData::default();
            let component = component.with_entity_type(text("user")).with_match(Some(text("a")));
            DescribeClientQuotasRequest::default().with_components(vec![component])
        });
        self.add(|_| -> DescribeUserScramCredentialsRequest {
            let user = describe_user_scram_credentials_request::UserName::default().with_name(text("a"));
            DescribeUserScramCredentialsRequest::default().with_users(Some(vec![user]))
        });
        self.add(|_| -> DescribeQuorumRequest {
            let partition = describe_quorum_request::PartitionData::default();
            let topic = describe_quorum_request::TopicData::default().with_partitions(vec![partition]);
            let topic = topic.with_topic_name(topic_name("__cluster_metadata"));
            DescribeQuorumRequest::default().with_topics(vec![topic])
        });
        self.add(|_| DescribeTransactionsRequest::default().with_transactional_ids(vec![transaction(); 2]));
        self.add(|_| ListTransactionsRequest::default().with_state_filters(vec![text("Ongoing")]));
        self.add(|version| match version {
            0 => ListConfigResourcesRequest::default(),
            _ => ListConfigResourcesRequest::default().with_resource_types(vec![2, 4, 8, 32]),
        });
    }
}

fn transaction() -> TransactionalId {
    TransactionalId(text("transaction"))
}
