//! kafka-protocol's decoder and encoder of every request, behind one type.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Message, Request, VersionRange};

/// What the crate does with one API's requests.
pub(super) struct Codec {
    pub(super) versions: VersionRange,
    decode: fn(&mut Bytes, i16) -> Result<(), String>,
    recode: fn(&mut Bytes, i16) -> Result<BytesMut, String>,
}

impl Codec {
    /// Decodes a body; bytes may remain.
    pub(super) fn decode(&self, body: &[u8], version: i16) -> Result<(), String> {
        (self.decode)(&mut Bytes::copy_from_slice(body), version)
    }

    /// Decodes a body to its last byte and encodes the message again.
    pub(super) fn recode(&self, body: &[u8], version: i16) -> Result<Vec<u8>, String> {
        let mut rest = Bytes::copy_from_slice(body);
        let encoded = (self.recode)(&mut rest, version)?;
        if rest.is_empty() { Ok(encoded.to_vec()) } else { Err(format!("{} bytes left", rest.len())) }
    }
}

fn codec<R: Request>() -> Codec {
    fn decode<R: Request>(body: &mut Bytes, version: i16) -> Result<R, String> {
        R::decode(body, version).map_err(|error| error.to_string())
    }
    Codec {
        versions: <R as Message>::VERSIONS,
        decode: |body, version| decode::<R>(body, version).map(|_| ()),
        recode: |body, version| {
            let mut encoded = BytesMut::new();
            decode::<R>(body, version)?.encode(&mut encoded, version).map_err(|error| error.to_string())?;
            Ok(encoded)
        },
    }
}

pub(super) fn codec_of(api_key: ApiKey) -> Codec {
    match api_key {
        ApiKey::Produce => codec::<ProduceRequest>(),
        ApiKey::Fetch => codec::<FetchRequest>(),
        ApiKey::ListOffsets => codec::<ListOffsetsRequest>(),
        ApiKey::Metadata => codec::<MetadataRequest>(),
        ApiKey::OffsetCommit => codec::<OffsetCommitRequest>(),
        ApiKey::OffsetFetch => codec::<OffsetFetchRequest>(),
        ApiKey::FindCoordinator => codec::<FindCoordinatorRequest>(),
        ApiKey::JoinGroup => codec::<JoinGroupRequest>(),
        ApiKey::Heartbeat => codec::<HeartbeatRequest>(),
        ApiKey::LeaveGroup => codec::<LeaveGroupRequest>(),
        ApiKey::SyncGroup => codec::<SyncGroupRequest>(),
        ApiKey::DescribeGroups => codec::<DescribeGroupsRequest>(),
        ApiKey::ListGroups => codec::<ListGroupsRequest>(),
        ApiKey::SaslHandshake => codec::<SaslHandshakeRequest>(),
        ApiKey::ApiVersions => codec::<ApiVersionsRequest>(),
        ApiKey::CreateTopics => codec::<CreateTopicsRequest>(),
        ApiKey::DeleteTopics => codec::<DeleteTopicsRequest>(),
        ApiKey::DeleteRecords => codec::<DeleteRecordsRequest>(),
        ApiKey::InitProducerId => codec::<InitProducerIdRequest>(),
        ApiKey::OffsetForLeaderEpoch => codec::<OffsetForLeaderEpochRequest>(),
        ApiKey::AddPartitionsToTxn => codec::<AddPartitionsToTxnRequest>(),
        ApiKey::AddOffsetsToTxn => codec::<AddOffsetsToTxnRequest>(),
        ApiKey::EndTxn => codec::<EndTxnRequest>(),
        ApiKey::TxnOffsetCommit => codec::<TxnOffsetCommitRequest>(),
        ApiKey::DescribeConfigs => codec::<DescribeConfigsRequest>(),
        ApiKey::AlterConfigs => codec::<AlterConfigsRequest>(),
        ApiKey::SaslAuthenticate => codec::<SaslAuthenticateRequest>(),
        ApiKey::CreatePartitions => codec::<CreatePartitionsRequest>(),
        ApiKey::DeleteGroups => codec::<DeleteGroupsRequest>(),
        ApiKey::IncrementalAlterConfigs => codec::<IncrementalAlterConfigsRequest>(),
        ApiKey::ListPartitionReassignments => codec::<ListPartitionReassignmentsRequest>(),
        ApiKey::OffsetDelete => codec::<OffsetDeleteRequest>(),
        ApiKey::DescribeCluster => codec::<DescribeClusterRequest>(),
        ApiKey::ConsumerGroupHeartbeat => codec::<ConsumerGroupHeartbeatRequest>(),
        ApiKey::ConsumerGroupDescribe => codec::<ConsumerGroupDescribeRequest>(),
        ApiKey::DescribeTopicPartitions => codec::<DescribeTopicPartitionsRequest>(),
        ApiKey::DescribeAcls => codec::<DescribeAclsRequest>(),
        ApiKey::DescribeLogDirs => codec::<DescribeLogDirsRequest>(),
        ApiKey::ElectLeaders => codec::<ElectLeadersRequest>(),
        ApiKey::AlterPartitionReassignments => codec::<AlterPartitionReassignmentsRequest>(),
        ApiKey::DescribeClientQuotas => codec::<DescribeClientQuotasRequest>(),
        ApiKey::DescribeUserScramCredentials => codec::<DescribeUserScramCredentialsRequest>(),
        ApiKey::DescribeQuorum => codec::<DescribeQuorumRequest>(),
        ApiKey::UpdateFeatures => codec::<UpdateFeaturesRequest>(),
        ApiKey::DescribeProducers => codec::<DescribeProducersRequest>(),
        ApiKey::DescribeTransactions => codec::<DescribeTransactionsRequest>(),
        ApiKey::ListTransactions => codec::<ListTransactionsRequest>(),
        ApiKey::ListConfigResources => codec::<ListConfigResourcesRequest>(),
        other => panic!("{other:?} has a schema and no codec here"),
    }
}
