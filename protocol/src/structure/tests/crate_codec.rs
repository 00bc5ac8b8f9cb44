//! kafka-protocol's decoder and encoder of every request and answer, behind one type.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, Message, Request, VersionRange};

/// What the crate does with one API's requests, or with its answers.
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

fn codec<M: Message + Decodable + Encodable>() -> Codec {
    fn decode<M: Decodable>(body: &mut Bytes, version: i16) -> Result<M, String> {
        M::decode(body, version).map_err(|error| error.to_string())
    }
    Codec {
        versions: <M as Message>::VERSIONS,
        decode: |body, version| decode::<M>(body, version).map(|_| ()),
        recode: |body, version| {
            let mut encoded = BytesMut::new();
            decode::<M>(body, version)?.encode(&mut encoded, version).map_err(|error| error.to_string())?;
            Ok(encoded)
        },
    }
}

/// The requests of an API, and its answers.
fn both<R: Request>() -> [Codec; 2] {
    [codec::<R>(), codec::<R::Response>()]
}

pub(super) fn codecs_of(api_key: ApiKey) -> [Codec; 2] {
    match api_key {
        ApiKey::Produce => both::<ProduceRequest>(),
        ApiKey::Fetch => both::<FetchRequest>(),
        ApiKey::ListOffsets => both::<ListOffsetsRequest>(),
        ApiKey::Metadata => both::<MetadataRequest>(),
        ApiKey::OffsetCommit => both::<OffsetCommitRequest>(),
        ApiKey::OffsetFetch => both::<OffsetFetchRequest>(),
        ApiKey::FindCoordinator => both::<FindCoordinatorRequest>(),
        ApiKey::JoinGroup => both::<JoinGroupRequest>(),
        ApiKey::Heartbeat => both::<HeartbeatRequest>(),
        ApiKey::LeaveGroup => both::<LeaveGroupRequest>(),
        ApiKey::SyncGroup => both::<SyncGroupRequest>(),
        ApiKey::DescribeGroups => both::<DescribeGroupsRequest>(),
        ApiKey::ListGroups => both::<ListGroupsRequest>(),
        ApiKey::SaslHandshake => both::<SaslHandshakeRequest>(),
        ApiKey::ApiVersions => both::<ApiVersionsRequest>(),
        ApiKey::CreateTopics => both::<CreateTopicsRequest>(),
        ApiKey::DeleteTopics => both::<DeleteTopicsRequest>(),
        ApiKey::DeleteRecords => both::<DeleteRecordsRequest>(),
        ApiKey::InitProducerId => both::<InitProducerIdRequest>(),
        ApiKey::OffsetForLeaderEpoch => both::<OffsetForLeaderEpochRequest>(),
        ApiKey::AddPartitionsToTxn => both::<AddPartitionsToTxnRequest>(),
        ApiKey::AddOffsetsToTxn => both::<AddOffsetsToTxnRequest>(),
        ApiKey::EndTxn => both::<EndTxnRequest>(),
        ApiKey::TxnOffsetCommit => both::<TxnOffsetCommitRequest>(),
        ApiKey::DescribeConfigs => both::<DescribeConfigsRequest>(),
        ApiKey::AlterConfigs => both::<AlterConfigsRequest>(),
        ApiKey::SaslAuthenticate => both::<SaslAuthenticateRequest>(),
        ApiKey::CreatePartitions => both::<CreatePartitionsRequest>(),
        ApiKey::DeleteGroups => both::<DeleteGroupsRequest>(),
        ApiKey::IncrementalAlterConfigs => both::<IncrementalAlterConfigsRequest>(),
        ApiKey::ListPartitionReassignments => both::<ListPartitionReassignmentsRequest>(),
        ApiKey::OffsetDelete => both::<OffsetDeleteRequest>(),
        ApiKey::DescribeCluster => both::<DescribeClusterRequest>(),
        ApiKey::ConsumerGroupHeartbeat => both::<ConsumerGroupHeartbeatRequest>(),
        ApiKey::ConsumerGroupDescribe => both::<ConsumerGroupDescribeRequest>(),
        ApiKey::DescribeTopicPartitions => both::<DescribeTopicPartitionsRequest>(),
        ApiKey::DescribeAcls => both::<DescribeAclsRequest>(),
        ApiKey::DescribeLogDirs => both::<DescribeLogDirsRequest>(),
        ApiKey::ElectLeaders => both::<ElectLeadersRequest>(),
        ApiKey::AlterPartitionReassignments => both::<AlterPartitionReassignmentsRequest>(),
        ApiKey::DescribeClientQuotas => both::<DescribeClientQuotasRequest>(),
        ApiKey::DescribeUserScramCredentials => both::<DescribeUserScramCredentialsRequest>(),
        ApiKey::DescribeQuorum => both::<DescribeQuorumRequest>(),
        ApiKey::UpdateFeatures => both::<UpdateFeaturesRequest>(),
        ApiKey::DescribeProducers => both::<DescribeProducersRequest>(),
        ApiKey::DescribeTransactions => both::<DescribeTransactionsRequest>(),
        ApiKey::ListTransactions => both::<ListTransactionsRequest>(),
        ApiKey::ListConfigResources => both::<ListConfigResourcesRequest>(),
        ApiKey::CreateAcls => both::<CreateAclsRequest>(),
        ApiKey::DeleteAcls => both::<DeleteAclsRequest>(),
        ApiKey::AlterClientQuotas => both::<AlterClientQuotasRequest>(),
        ApiKey::AlterUserScramCredentials => both::<AlterUserScramCredentialsRequest>(),
        other => panic!("{other:?} has a schema and no codec here"),
    }
}
