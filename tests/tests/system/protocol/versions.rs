//! ApiVersions, and what happens outside the versions it lists.

use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest,
    CreateTopicsRequest, DeleteGroupsRequest, DeleteTopicsRequest, DescribeClusterRequest,
    DescribeGroupsRequest, FetchRequest, FindCoordinatorRequest, HeartbeatRequest, InitProducerIdRequest,
    JoinGroupRequest, LeaveGroupRequest, ListGroupsRequest, ListOffsetsRequest, MetadataRequest,
    OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest, OffsetForLeaderEpochRequest,
    ProduceRequest, SyncGroupRequest,
};
use kafka_protocol::protocol::{Decodable, Request, StrBytes};
use trilog_client::wire::frame::{correlation_id, encode_request};
use trilog_client::wire::{Api, BrokerVersions, RawConnection};
use trilog_tests::cluster::{SharedCluster, shared};
use trilog_tests::requests::{FetchPlan, served};

/// Kafka's UNSUPPORTED_VERSION.
const UNSUPPORTED_VERSION: i16 = 35;

async fn raw(cluster: &SharedCluster) -> RawConnection {
    RawConnection::connect(cluster.node(1).address()).await.unwrap()
}

/// A request header without a client id, and then a body.
fn request(key: i16, version: i16, correlation_id: i32, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend_from_slice(&key.to_be_bytes());
    frame.extend_from_slice(&version.to_be_bytes());
    frame.extend_from_slice(&correlation_id.to_be_bytes());
    frame.extend_from_slice(&(-1_i16).to_be_bytes());
    frame.extend_from_slice(body);
    frame
}

fn assert_listed<R: Request>(versions: &BrokerVersions, min: i16, max: i16) {
    let api = Api::of::<R>();
    let range = versions.get(api).unwrap_or_else(|| panic!("{api} is not listed"));
    assert_eq!(range.min, min, "the lowest version of {api}");
    assert!(range.max >= max, "{api} is served up to {} only", range.max);
}

#[tokio::test]
async fn the_table_lists_what_clients_look_for() {
    let cluster = shared().await;
    let connection = cluster.connect(1).await;
    let versions = connection.versions();
    // 0 is listed although 0-2 are not served: librdkafka compresses nothing otherwise (KAFKA-18659).
    assert_listed::<ProduceRequest>(versions, 0, 13);
    assert_listed::<FetchRequest>(versions, 4, 18);
    assert_listed::<ListOffsetsRequest>(versions, 1, 7);
    assert_listed::<MetadataRequest>(versions, 0, 12);
    assert_listed::<ApiVersionsRequest>(versions, 0, 4);
    assert_listed::<CreateTopicsRequest>(versions, 2, 7);
    assert_listed::<DeleteTopicsRequest>(versions, 1, 6);
    assert_listed::<InitProducerIdRequest>(versions, 0, 4);
    assert_listed::<OffsetForLeaderEpochRequest>(versions, 2, 4);
    assert_listed::<DescribeClusterRequest>(versions, 0, 1);
    // kafka-go commits in version 2 and fetches in version 1, librdkafka 2.0 finds coordinators in version 0.
    assert_listed::<OffsetCommitRequest>(versions, 2, 9);
    assert_listed::<OffsetFetchRequest>(versions, 1, 9);
    assert_listed::<FindCoordinatorRequest>(versions, 0, 6);
    assert_listed::<JoinGroupRequest>(versions, 0, 9);
    assert_listed::<SyncGroupRequest>(versions, 0, 5);
    assert_listed::<HeartbeatRequest>(versions, 0, 4);
    assert_listed::<LeaveGroupRequest>(versions, 0, 5);
    assert_listed::<DescribeGroupsRequest>(versions, 0, 6);
    assert_listed::<ListGroupsRequest>(versions, 0, 5);
    assert_listed::<DeleteGroupsRequest>(versions, 0, 2);
    assert_listed::<OffsetDeleteRequest>(versions, 0, 0);
    assert_listed::<ConsumerGroupHeartbeatRequest>(versions, 0, 1);
    assert_listed::<ConsumerGroupDescribeRequest>(versions, 0, 1);
    for never in [71, 72] {
        assert!(versions.get(Api(never)).is_none(), "clients push telemetry as soon as {never} is listed");
    }
}

#[tokio::test]
async fn every_version_tells_the_same_table() {
    let cluster = shared().await;
    let connection = cluster.connect(1).await;
    for version in served::<ApiVersionsRequest>(&connection) {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("test"))
            .with_client_software_version(StrBytes::from_static_str("1"));
        let answer = connection.request_at_version(request, version).await.unwrap();
        let told = BrokerVersions::from_response(&answer);
        assert!(told.iter().eq(connection.versions().iter()), "version {version}");
    }
}

#[tokio::test]
async fn a_version_of_api_versions_above_ours_is_answered_in_version_0() {
    let cluster = shared().await;
    let mut raw = raw(&cluster).await;
    // The header is flexible, without tags; the body is one that only that version could read.
    let body = [&[0][..], &[0xff; 9]].concat();
    raw.send_frame(&request(ApiVersionsRequest::KEY, 99, 7, &body)).await.unwrap();
    let mut answer = raw.read_frame().await.unwrap().unwrap();
    assert_eq!(correlation_id(&answer), Some(7));
    let mut body = answer.split_off(4);
    let response = ApiVersionsResponse::decode(&mut body, 0).unwrap();
    assert_eq!((response.error_code, body.len()), (UNSUPPORTED_VERSION, 0));
    let listed = BrokerVersions::from_response(&response);
    assert_eq!(listed.get(Api::of::<ApiVersionsRequest>()).unwrap().max, 4);
    // The connection goes on: that is how the client learns and asks again.
    raw.send_frame(&request(ApiVersionsRequest::KEY, 0, 8, &[])).await.unwrap();
    let answer = raw.read_frame().await.unwrap().unwrap();
    assert_eq!(correlation_id(&answer), Some(8));
}

#[tokio::test]
async fn an_api_that_is_not_served_closes_the_connection() {
    let cluster = shared().await;
    for key in [-1, 7, 71, 999, i16::MAX] {
        let mut raw = raw(&cluster).await;
        raw.send_frame(&request(key, 0, 1, &[])).await.unwrap();
        assert!(!matches!(raw.read_frame().await, Ok(Some(_))), "key {key}");
    }
    cluster.assert_alive();
}

#[tokio::test]
async fn a_version_that_is_not_served_closes_the_connection() {
    let cluster = shared().await;
    for (key, version) in [(MetadataRequest::KEY, 99), (FetchRequest::KEY, -1), (ProduceRequest::KEY, 1)] {
        let mut raw = raw(&cluster).await;
        raw.send_frame(&request(key, version, 1, &[0; 32])).await.unwrap();
        assert!(!matches!(raw.read_frame().await, Ok(Some(_))), "key {key} version {version}");
    }
    cluster.assert_alive();
}

#[tokio::test]
async fn answers_leave_in_the_order_of_the_requests() {
    let cluster = shared().await;
    let partition = cluster.new_partition("answer-order").await;
    let mut raw = RawConnection::connect(partition.connection.address()).await.unwrap();
    let client = StrBytes::from_static_str("test");
    // The first one has to wait for data that never come; the others could be answered at once.
    let waiting = FetchPlan { max_wait_ms: 300, min_bytes: 1, ..FetchPlan::from(0) };
    let mut bytes = encode_request(&partition.target.fetch(11, waiting), 11, 1, &client).unwrap();
    for id in 2..10 {
        bytes.unsplit(encode_request(&MetadataRequest::default(), 4, id, &client).unwrap());
    }
    raw.send_bytes(&bytes).await.unwrap();
    for id in 1..10 {
        let answer = raw.read_frame().await.unwrap().unwrap();
        assert_eq!(correlation_id(&answer), Some(id));
    }
}
