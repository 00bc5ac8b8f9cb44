use bytes::BytesMut;
use kafka_protocol::messages::BrokerId;
use kafka_protocol::protocol::Encodable;
use trilog_cluster::controller::{Broker, ControllerRecord, Listener, PartitionRecord};
use trilog_cluster::ids::{LeaderEpoch, NodeId};

use super::*;

const ID: u128 = 0xab;

/// Three nodes; topic `t` with partition 0 in group 1 on nodes 1, 2, 3 and partition 1 in group 2 on nodes 2,
/// 3.
fn image() -> MetadataImage {
    let mut image = MetadataImage::default();
    for node in 1..=3 {
        let host = format!("n{node}");
        image.replay(&ControllerRecord::BrokerRegistered(Broker {
            node: NodeId(node),
            incarnation: Uuid::nil(),
            listeners: vec![Listener { name: "PLAINTEXT".into(), host, port: 9092 }],
            rack: None,
        }));
    }
    let partition = |group, replicas: &[u32]| PartitionRecord {
        group,
        replicas: replicas.iter().copied().map(NodeId).collect(),
    };
    image.replay(&ControllerRecord::TopicCreated {
        name: "t".into(),
        id: TopicId(Uuid::from_u128(ID)),
        partitions: vec![partition(1, &[1, 2, 3]), partition(2, &[2, 3])],
        configs: BTreeMap::default(),
    });
    image
}

fn leadership(leader: u32, epoch: i32, isr: &[u32]) -> Leadership {
    Leadership {
        leader: NodeId(leader),
        epoch: LeaderEpoch(epoch),
        isr: isr.iter().copied().map(NodeId).collect(),
    }
}

/// The answer in `version` for `asked`, while node 3 is down and nobody leads group 2.
fn answered(asked: &MetadataRequestTopic, version: i16, refused: Option<&Refused>) -> MetadataResponseTopic {
    let image = image();
    let endpoints = Endpoints::new(&image, "PLAINTEXT", |node| node != NodeId(3));
    let leadership = |group: RaftGroupId| (group.0 == 1).then(|| leadership(2, 4, &[1, 2]));
    let operations = authorized_operations::NOT_ASKED;
    let view = View { image: &image, endpoints: &endpoints, leadership: &leadership, version, operations };
    view.asked(asked, refused)
}

fn by_name(name: &'static str) -> MetadataRequestTopic {
    MetadataRequestTopic::default().with_name(Some(TopicName(StrBytes::from_static_str(name))))
}

fn by_id(id: u128) -> MetadataRequestTopic {
    MetadataRequestTopic::default().with_name(None).with_topic_id(Uuid::from_u128(id))
}

fn ids(nodes: &[i32]) -> Vec<BrokerId> {
    nodes.iter().copied().map(BrokerId).collect()
}

#[test]
fn partitions_tell_who_leads_and_who_keeps_up() {
    let topic = answered(&by_name("t"), 12, None);
    assert_eq!((topic.error_code, topic.topic_id.as_u128(), topic.is_internal), (0, ID, false));
    let led = &topic.partitions[0];
    assert_eq!((led.error_code, led.leader_id, led.leader_epoch), (0, BrokerId(2), 4));
    assert_eq!(led.replica_nodes, ids(&[1, 2, 3]));
    assert_eq!(led.isr_nodes, ids(&[1, 2]));
    assert_eq!(led.offline_replicas, ids(&[3]));
    let leaderless = &topic.partitions[1];
    assert_eq!((leaderless.error_code, leaderless.leader_id, leaderless.leader_epoch), (5, BrokerId(-1), -1));
}

#[test]
fn a_leader_that_cannot_be_reached_is_not_named() {
    let image = image();
    let partition = image.topic("t").unwrap().partitions[0].clone();
    let described = |listener: &str, lost: u32| {
        let endpoints = Endpoints::new(&image, listener, |node| node != NodeId(lost));
        PartitionDescription::new(&partition, Some(&leadership(2, 4, &[1, 2])), &endpoints)
    };
    assert_eq!(described("PLAINTEXT", 2).error, Some(ResponseError::LeaderNotAvailable));
    assert_eq!(described("OTHER", 3).error, Some(ResponseError::ListenerNotFound));
    assert_eq!(described("OTHER", 3).leader, BrokerId(-1));
}

#[test]
fn topics_are_found_by_id_where_the_version_allows_it() {
    assert_eq!(answered(&by_id(ID), 12, None).name.unwrap().as_str(), "t");
    let unknown = answered(&by_id(1), 12, None);
    assert_eq!((unknown.error_code, unknown.topic_id.as_u128(), unknown.name), (100, 1, None));
    assert_eq!(answered(&by_id(ID), 11, None).error_code, 42);
}

#[test]
fn a_missing_topic_says_why() {
    let code = |name, refused: Option<&Refused>| answered(&by_name(name), 9, refused).error_code;
    assert_eq!(code("u", None), 3);
    assert_eq!(code("no such name", None), 17);
    let refused = |error| Refused::from([("u".to_owned(), ItemError::bare(error))]);
    assert_eq!(code("u", Some(&refused(ResponseError::InvalidReplicationFactor))), 38);
    assert_eq!(
        code("u", Some(&refused(ResponseError::TopicAlreadyExists))),
        5,
        "it will be here in a moment"
    );
    assert_eq!(code("u", Some(&Refused::new())), 5, "so will one that was just made");
}

#[test]
fn topics_are_made_when_the_client_allows_it() {
    let request = |allow: bool| {
        MetadataRequest::default()
            .with_topics(Some(vec![by_name("t"), by_name("u"), by_name("no such name"), by_id(7)]))
            .with_allow_auto_topic_creation(allow)
    };
    let made = |allow, version| topics_to_make(&image(), &request(allow), version);
    assert_eq!(made(true, 4), BTreeSet::from(["u".to_owned()]));
    assert!(made(false, 4).is_empty());
    assert_eq!(made(false, 3), BTreeSet::from(["u".to_owned()]), "before v4 nobody is asked");
    assert!(topics_to_make(&image(), &MetadataRequest::default().with_topics(None), 1).is_empty());
}

#[test]
fn all_topics_are_asked_for_with_null_or_in_v0_with_nothing() {
    let request = |topics| MetadataRequest::default().with_topics(topics);
    assert!(named(&request(None), 1).is_none());
    assert!(named(&request(Some(vec![])), 0).is_none());
    assert_eq!(named(&request(Some(vec![])), 1), Some(&[][..]));
}

#[test]
fn every_version_can_carry_the_answer() {
    for version in Metadata::SERVED.min..=Metadata::SERVED.max {
        let topics = vec![answered(&by_name("t"), version, None), answered(&by_name("u"), version, None)];
        MetadataResponse::default().with_topics(topics).encode(&mut BytesMut::new(), version).unwrap();
    }
}
