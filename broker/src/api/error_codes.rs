//! Which error codes stand in a response, for those who count them. 0 stands for success, and stands there too.
//!
//! Codes are at different depths in different messages, and a message has no list of them: each says here where its own
//! are, as `errorCounts` does in Kafka's classes.

use std::iter::once;

use kafka_protocol::messages::{
    AlterConfigsResponse, AlterPartitionReassignmentsResponse, ApiVersionsResponse,
    ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatResponse, CreatePartitionsResponse,
    CreateTopicsResponse, DeleteGroupsResponse, DeleteRecordsResponse, DeleteTopicsResponse,
    DescribeAclsResponse, DescribeClientQuotasResponse, DescribeClusterResponse, DescribeConfigsResponse,
    DescribeGroupsResponse, DescribeLogDirsResponse, DescribeProducersResponse, DescribeQuorumResponse,
    DescribeTopicPartitionsResponse, DescribeTransactionsResponse, DescribeUserScramCredentialsResponse,
    ElectLeadersResponse, FetchResponse, FindCoordinatorResponse, HeartbeatResponse,
    IncrementalAlterConfigsResponse, InitProducerIdResponse, JoinGroupResponse, LeaveGroupResponse,
    ListConfigResourcesResponse, ListGroupsResponse, ListOffsetsResponse, ListPartitionReassignmentsResponse,
    ListTransactionsResponse, MetadataResponse, OffsetCommitResponse, OffsetDeleteResponse,
    OffsetFetchResponse, OffsetForLeaderEpochResponse, ProduceResponse, SyncGroupResponse,
    UpdateFeaturesResponse,
};

/// A response that says which error codes it holds.
pub(super) trait ErrorCodes {
    /// The codes, success included.
    fn error_codes(&self) -> impl Iterator<Item = i16>;
}

/// Responses with one code for all.
macro_rules! one_code {
    ($($response:ty),+ $(,)?) => {$(
        impl ErrorCodes for $response {
            fn error_codes(&self) -> impl Iterator<Item = i16> {
                once(self.error_code)
            }
        }
    )+};
}

/// Responses with a list of items, each with a code.
macro_rules! code_by_item {
    ($($response:ty: $items:ident),+ $(,)?) => {$(
        impl ErrorCodes for $response {
            fn error_codes(&self) -> impl Iterator<Item = i16> {
                self.$items.iter().map(|item| item.error_code)
            }
        }
    )+};
}

/// Responses with a list of topics, and in each a list of partitions with a code.
macro_rules! code_by_partition {
    ($($response:ty: $topics:ident.$partitions:ident),+ $(,)?) => {$(
        impl ErrorCodes for $response {
            fn error_codes(&self) -> impl Iterator<Item = i16> {
                self.$topics.iter().flat_map(|topic| &topic.$partitions).map(|partition| partition.error_code)
            }
        }
    )+};
}

one_code!(
    ApiVersionsResponse,
    ConsumerGroupHeartbeatResponse,
    DescribeAclsResponse,
    DescribeClientQuotasResponse,
    DescribeClusterResponse,
    // Its partitions are counted where they are read: the response is encoded without them.
    FetchResponse,
    HeartbeatResponse,
    InitProducerIdResponse,
    JoinGroupResponse,
    ListConfigResourcesResponse,
    ListGroupsResponse,
    ListPartitionReassignmentsResponse,
    ListTransactionsResponse,
    SyncGroupResponse,
    UpdateFeaturesResponse,
);

code_by_item!(
    AlterConfigsResponse: responses,
    ConsumerGroupDescribeResponse: groups,
    CreatePartitionsResponse: results,
    CreateTopicsResponse: topics,
    DeleteGroupsResponse: results,
    DeleteTopicsResponse: responses,
    DescribeConfigsResponse: results,
    DescribeGroupsResponse: groups,
    DescribeTransactionsResponse: transaction_states,
    DescribeUserScramCredentialsResponse: results,
    IncrementalAlterConfigsResponse: responses,
);

code_by_partition!(
    DescribeProducersResponse: topics.partitions,
    AlterPartitionReassignmentsResponse: responses.partitions,
    DeleteRecordsResponse: topics.partitions,
    ListOffsetsResponse: topics.partitions,
    OffsetCommitResponse: topics.partitions,
    OffsetForLeaderEpochResponse: topics.partitions,
    ProduceResponse: responses.partition_responses,
);

impl ErrorCodes for OffsetDeleteResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        let partitions = self.topics.iter().flat_map(|topic| &topic.partitions);
        once(self.error_code).chain(partitions.map(|partition| partition.error_code))
    }
}

impl ErrorCodes for DescribeLogDirsResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        once(self.error_code).chain(self.results.iter().map(|directory| directory.error_code))
    }
}

impl ErrorCodes for DescribeQuorumResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        let partitions = self.topics.iter().flat_map(|topic| &topic.partitions);
        once(self.error_code).chain(partitions.map(|partition| partition.error_code))
    }
}

impl ErrorCodes for ElectLeadersResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        let partitions = self.replica_election_results.iter().flat_map(|topic| &topic.partition_result);
        once(self.error_code).chain(partitions.map(|partition| partition.error_code))
    }
}

impl ErrorCodes for LeaveGroupResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        once(self.error_code).chain(self.members.iter().map(|member| member.error_code))
    }
}

impl ErrorCodes for FindCoordinatorResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        once(self.error_code).chain(self.coordinators.iter().map(|coordinator| coordinator.error_code))
    }
}

impl ErrorCodes for DescribeTopicPartitionsResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        self.topics.iter().flat_map(|topic| {
            once(topic.error_code).chain(topic.partitions.iter().map(|partition| partition.error_code))
        })
    }
}

impl ErrorCodes for MetadataResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        self.topics.iter().flat_map(|topic| {
            once(topic.error_code).chain(topic.partitions.iter().map(|partition| partition.error_code))
        })
    }
}

impl ErrorCodes for OffsetFetchResponse {
    /// Of the version's two forms one is empty.
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        let partitions = self.topics.iter().flat_map(|topic| &topic.partitions);
        let single = once(self.error_code).chain(partitions.map(|partition| partition.error_code));
        single.chain(self.groups.iter().flat_map(|group| {
            let partitions = group.topics.iter().flat_map(|topic| &topic.partitions);
            once(group.error_code).chain(partitions.map(|partition| partition.error_code))
        }))
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
    use kafka_protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;

    use super::*;

    #[test]
    fn codes_are_found_at_every_depth() {
        let partitions = vec![MetadataResponsePartition::default().with_error_code(5)];
        let topic = MetadataResponseTopic::default().with_error_code(3).with_partitions(partitions);
        let metadata = MetadataResponse::default().with_topics(vec![topic]);
        assert_eq!(metadata.error_codes().collect::<Vec<_>>(), [3, 5]);
        let group = OffsetFetchResponseGroup::default().with_error_code(16);
        let fetched = OffsetFetchResponse::default().with_groups(vec![group]);
        assert_eq!(fetched.error_codes().collect::<Vec<_>>(), [0, 16]);
    }
}
