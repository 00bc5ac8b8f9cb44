//! Strings that are not UTF-8: what is not valid is replaced, and the request is served.

use std::rc::Rc;

use bytes::Bytes;
use kafka_protocol::messages::api_versions_request::ApiVersionsRequest;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{MetadataRequest, OffsetCommitRequest};
use kafka_protocol::protocol::Request;
use trilog_client::wire::RawConnection;
use trilog_client::wire::frame::{LENGTH_PREFIX, decode_response, encode_request};
use trilog_tests::group::classic::ClassicMember;
use trilog_tests::group::offsets::{Commit, committed};
use trilog_tests::requests::{only, text, topic_name};

use crate::stage::Stage;
use crate::told;

/// Stands for a byte that is no text.
const MARK: char = '~';

/// Sends a request in which each mark is replaced by the next of these bytes, and returns the answer.
async fn answered<R: Request>(
    address: &str,
    client: &str,
    request: &R,
    version: i16,
    bytes: &[u8],
) -> R::Response {
    let mut frame = encode_request(request, version, 1, &text(client)).expect("the request is one");
    let mut next = bytes.iter().copied().cycle();
    for byte in frame.iter_mut().skip(LENGTH_PREFIX).filter(|byte| **byte == b'~') {
        *byte = next.next().expect("there are bytes");
    }
    let mut raw = RawConnection::connect(address).await.expect("the node takes connections");
    raw.send_bytes(&frame).await.expect("the node reads");
    let answer: Option<Bytes> = raw.read_frame().await.expect("the node answers");
    let answer = answer.expect("the node keeps the connection");
    decode_response::<R>(answer, version).expect("an answer")
}

/// What is no text, in several ways.
const CASES: [(&str, &[u8]); 6] = [
    ("Latin-1", &[0xe9]),
    ("a cut sequence", &[0xe2, 0x82]),
    ("a zero in two bytes", &[0xc0, 0x80]),
    ("half of a pair of UTF-16", &[0xed, 0xa0, 0x80]),
    ("a cut sequence of four", &[0xf0, 0x9f, 0x98]),
    ("bytes that never occur", &[0xff, 0xfe]),
];

pub(crate) async fn latin_1(stage: Rc<Stage>) {
    let topic = stage.named("topic");
    stage.new_partition(&topic, &[]).await;
    for version in [1, 9] {
        let request = MetadataRequest::default().with_topics(Some(Vec::new()));
        let answer = answered(stage.address(1), "caf~", &request, version, &[0xe9]).await;
        stage.note(format!("a client's id, Metadata {version}"), format!("{} nodes", answer.brokers.len()));
        let asked = MetadataRequestTopic::default().with_name(Some(topic_name("caf~")));
        let request = MetadataRequest::default().with_topics(Some(vec![asked]));
        let answer = answered(stage.address(1), "client", &request, version, &[0xe9]).await;
        let row = only(answer.topics);
        let name = row.name.expect("a name").to_string();
        stage.note(
            format!("a topic's name, Metadata {version}"),
            format!("{name}: {}", told::code(row.error_code)),
        );
    }
    let request = ApiVersionsRequest::default()
        .with_client_software_name(text("caf~"))
        .with_client_software_version(text("1"));
    let answer = answered(stage.address(1), "caf~", &request, 3, &[0xe9]).await;
    stage.note("a client's software, ApiVersions 3", told::code(answer.error_code));

    for (what, bytes) in CASES {
        let marks = MARK.to_string().repeat(bytes.len());
        let group = stage.group(&stage.named("metadata")).await;
        for version in [2, 8] {
            let commit = Commit::outside(&topic, 0, 1).metadata(Some(&format!("<{marks}>")));
            let request: OffsetCommitRequest = commit.request(&group.name, version);
            let answer = answered(group.connection.address(), "client", &request, version, bytes).await;
            let fetched = group.try_fetch_offsets(None).await.expect("OffsetFetch is answered");
            let row = only(only(fetched.topics).partitions);
            let metadata =
                row.metadata.map_or_else(|| "null".to_owned(), |text| text.escape_unicode().to_string());
            stage.note(
                format!("{what} in an offset's metadata, OffsetCommit {version}"),
                format!("{}, {metadata}", told::refusal(committed(answer))),
            );
        }
    }
    group_name(&stage, &topic).await;
    client_id(&stage).await;
}

/// A group is named by what its name becomes.
async fn group_name(stage: &Stage, topic: &str) {
    let group = stage.group(&stage.named("\u{fffd}")).await;
    let request = Commit::outside(topic, 0, 7).request(&stage.named("~"), 2);
    let answer = answered(group.connection.address(), "client", &request, 2, &[0xe9]).await;
    stage.note("a group's name, OffsetCommit 2", told::refusal(committed(answer)));
    stage.note("the offset of the group with that name", group.offset(topic, 0).await);
}

/// What DescribeGroups tells of a member with such a client id.
async fn client_id(stage: &Stage) {
    let group = stage.group(&stage.named("members")).await;
    let mut member = ClassicMember::new(&group).await.level(0);
    let joined = answered(group.connection.address(), "caf~", &member.join_request(), 0, &[0xe9]).await;
    stage.note("a member's client id, JoinGroup 0", told::code(joined.error_code));
    (member.id, member.generation) = (joined.member_id.to_string(), joined.generation_id);
    let mine = [(member.id.clone(), "all".into())];
    stage.note("the member syncs", told::code(member.try_sync(&mine).await.error_code));
    let described = only(group.describe().await.members);
    stage.note("the member's client id, described", described.client_id.as_str());
    let is_its_id = joined.member_id.starts_with("caf\u{fffd}-");
    stage.note("the member's id begins with it", is_its_id);
}
