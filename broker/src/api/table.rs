//! The list of APIs: what dispatches requests, and what ApiVersions is answered from.

use std::sync::Arc;

use kafka_protocol::messages::ApiKey;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::protocol::Request as RequestMessage;

use super::alter_configs::AlterConfigs;
use super::alter_partition_reassignments::AlterPartitionReassignments;
use super::api_versions::{self, ApiVersions};
use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use super::consumer_group_describe::ConsumerGroupDescribe;
use super::consumer_group_heartbeat::ConsumerGroupHeartbeat;
use super::create_partitions::CreatePartitions;
use super::create_topics::CreateTopics;
use super::delete_groups::DeleteGroups;
use super::delete_records::DeleteRecords;
use super::delete_topics::DeleteTopics;
use super::describe_acls::DescribeAcls;
use super::describe_client_quotas::DescribeClientQuotas;
use super::describe_cluster::DescribeCluster;
use super::describe_configs::DescribeConfigs;
use super::describe_groups::DescribeGroups;
use super::describe_log_dirs::DescribeLogDirs;
use super::describe_producers::DescribeProducers;
use super::describe_quorum::DescribeQuorum;
use super::describe_topic_partitions::DescribeTopicPartitions;
use super::describe_transactions::DescribeTransactions;
use super::describe_user_scram_credentials::DescribeUserScramCredentials;
use super::elect_leaders::ElectLeaders;
use super::error_codes::ErrorCodes;
use super::fetch::Fetch;
use super::find_coordinator::FindCoordinator;
use super::heartbeat::Heartbeat;
use super::incremental_alter_configs::IncrementalAlterConfigs;
use super::init_producer_id::InitProducerId;
use super::join_group::JoinGroup;
use super::leave_group::LeaveGroup;
use super::list_config_resources::ListConfigResources;
use super::list_groups::ListGroups;
use super::list_offsets::ListOffsets;
use super::list_partition_reassignments::ListPartitionReassignments;
use super::list_transactions::ListTransactions;
use super::metadata::Metadata;
use super::offset_commit::OffsetCommit;
use super::offset_delete::OffsetDelete;
use super::offset_fetch::OffsetFetch;
use super::offset_for_leader_epoch::OffsetForLeaderEpoch;
use super::produce::Produce;
use super::sync_group::SyncGroup;
use super::update_features::UpdateFeatures;
use crate::connection::{CloseReason, Reply, Request, Share};

/// Every API that is served, by key.
static TABLE: &[Entry] = &[
    Entry::of::<Produce>(),
    Entry::of::<Fetch>(),
    Entry::of::<ListOffsets>(),
    Entry::of::<Metadata>(),
    Entry::of::<OffsetCommit>(),
    Entry::of::<OffsetFetch>(),
    Entry::of::<FindCoordinator>(),
    Entry::of::<JoinGroup>(),
    Entry::of::<Heartbeat>(),
    Entry::of::<LeaveGroup>(),
    Entry::of::<SyncGroup>(),
    Entry::of::<DescribeGroups>(),
    Entry::of::<ListGroups>(),
    Entry::of::<ApiVersions>(),
    Entry::of::<CreateTopics>(),
    Entry::of::<DeleteTopics>(),
    Entry::of::<DeleteRecords>(),
    Entry::of::<InitProducerId>(),
    Entry::of::<OffsetForLeaderEpoch>(),
    Entry::of::<DescribeAcls>(),
    Entry::of::<DescribeConfigs>(),
    Entry::of::<AlterConfigs>(),
    Entry::of::<DescribeLogDirs>(),
    Entry::of::<CreatePartitions>(),
    Entry::of::<DeleteGroups>(),
    Entry::of::<ElectLeaders>(),
    Entry::of::<IncrementalAlterConfigs>(),
    Entry::of::<AlterPartitionReassignments>(),
    Entry::of::<ListPartitionReassignments>(),
    Entry::of::<OffsetDelete>(),
    Entry::of::<DescribeClientQuotas>(),
    Entry::of::<DescribeUserScramCredentials>(),
    Entry::of::<DescribeQuorum>(),
    Entry::of::<UpdateFeatures>(),
    Entry::of::<DescribeCluster>(),
    Entry::of::<DescribeProducers>(),
    Entry::of::<DescribeTransactions>(),
    Entry::of::<ListTransactions>(),
    Entry::of::<ConsumerGroupHeartbeat>(),
    Entry::of::<ConsumerGroupDescribe>(),
    Entry::of::<ListConfigResources>(),
    Entry::of::<DescribeTopicPartitions>(),
];

/// One API of the list.
struct Entry {
    key: i16,
    served: Versions,
    listed_from: i16,
    run: fn(&Arc<Broker>, Request) -> Reply,
}

impl Entry {
    const fn of<H: Handler>() -> Self {
        assert!(H::LISTED_FROM <= H::SERVED.min, "what is served is listed");
        Self {
            key: <H::Request as RequestMessage>::KEY,
            served: H::SERVED,
            listed_from: H::LISTED_FROM,
            run: run::<H>,
        }
    }
}

/// What an element of a request takes while it is worked on, in bytes: decoded, and in the answer.
const ELEMENT_BYTES: usize = 384;

/// Answers a request once there is memory for the work on it.
fn run<H: Handler>(broker: &Arc<Broker>, request: Request) -> Reply {
    let bytes = request.elements * ELEMENT_BYTES;
    let memory = Arc::clone(&request.memory);
    match memory.try_share(bytes) {
        Some(share) => run_decoded::<H>(broker, request, share),
        None => {
            let broker = Arc::clone(broker);
            Reply::deferred(async move {
                let mut share = memory.nothing();
                share.grow_to(bytes).await;
                run_decoded::<H>(&broker, request, share)
            })
        }
    }
}

fn run_decoded<H: Handler>(broker: &Arc<Broker>, request: Request, mut share: Share) -> Reply {
    let elements = request.elements * ELEMENT_BYTES;
    let call = match Call::decode(broker, request) {
        Ok(call) => call,
        Err(reason) => return reason.into(),
    };
    let bytes = elements + H::answer_bytes(broker, &call.request, call.context.version);
    if share.try_grow_to(bytes) {
        return H::handle(broker, call.with(share));
    }
    let broker = Arc::clone(broker);
    Reply::deferred(async move {
        share.grow_to(bytes).await;
        H::handle(&broker, call.with(share))
    })
}

/// Hands a request to its API. One that is not served closes the connection, as in Kafka; only ApiVersions
/// has an answer for versions that it does not know.
pub(super) fn dispatch(broker: &Arc<Broker>, request: Request) -> Reply {
    let Request { api_key, api_version, .. } = request;
    match TABLE.iter().find(|entry| entry.key == api_key as i16) {
        Some(entry) if entry.served.contain(api_version) => (entry.run)(broker, request),
        _ if api_key == ApiKey::ApiVersions => {
            let response = api_versions::unsupported_version();
            broker.errors.count(api_key, response.error_codes());
            request.reply_to().in_version(0).answer(&response, request.memory.nothing()).into()
        }
        _ => CloseReason::NotServed { api_key, api_version }.into(),
    }
}

/// The list as ApiVersions tells it.
pub(super) fn listed() -> impl Iterator<Item = ApiVersion> {
    TABLE.iter().map(|entry| {
        ApiVersion::default()
            .with_api_key(entry.key)
            .with_min_version(entry.listed_from)
            .with_max_version(entry.served.max)
    })
}

/// The list as the documents show it: key, lowest and highest version that is served.
#[cfg(test)]
pub(super) fn served() -> impl Iterator<Item = (i16, i16, i16)> {
    TABLE.iter().map(|entry| (entry.key, entry.served.min, entry.served.max))
}

#[cfg(test)]
mod tests {
    use trilog_protocol::structure;

    use super::*;

    #[test]
    fn keys_rise() {
        assert!(TABLE.is_sorted_by(|a, b| a.key < b.key));
    }

    #[test]
    fn what_is_served_can_be_decoded() {
        for entry in TABLE {
            let key = ApiKey::try_from(entry.key).unwrap();
            let decodable = key.valid_versions();
            assert!(decodable.min <= entry.served.min && entry.served.max <= decodable.max, "{key:?}");
            let schema = structure::request_schema(entry.key).unwrap();
            assert!((entry.served.min..=entry.served.max).all(|version| schema.covers(version)), "{key:?}");
        }
    }

    #[test]
    fn produce_is_listed_from_0_for_the_sake_of_librdkafka() {
        let produce = listed().next().unwrap();
        assert_eq!((produce.api_key, produce.min_version, produce.max_version), (0, 0, 13));
    }

    #[test]
    fn versions_that_clients_insist_on_are_inside() {
        let pinned = [
            (ApiKey::Produce, [3, 7]),
            (ApiKey::Fetch, [4, 10]),
            (ApiKey::ListOffsets, [1, 1]),
            (ApiKey::Metadata, [1, 6]),
            (ApiKey::OffsetCommit, [2, 9]),
            (ApiKey::OffsetFetch, [1, 9]),
            (ApiKey::FindCoordinator, [0, 4]),
            (ApiKey::JoinGroup, [0, 5]),
            (ApiKey::Heartbeat, [0, 3]),
            (ApiKey::LeaveGroup, [0, 3]),
            (ApiKey::SyncGroup, [0, 3]),
            (ApiKey::ConsumerGroupHeartbeat, [1, 1]),
            (ApiKey::ApiVersions, [0, 3]),
        ];
        for (key, versions) in pinned {
            let entry = TABLE.iter().find(|entry| entry.key == key as i16).unwrap();
            assert!(versions.into_iter().all(|version| entry.served.contain(version)), "{key:?}");
        }
    }
}
