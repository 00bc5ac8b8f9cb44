use bytes::BytesMut;
use kafka_protocol::messages::GroupId;
use kafka_protocol::protocol::Encodable;
use trilog_cluster::ids::{LeaderEpoch, Offset};

use super::*;

fn fetched() -> Vec<FetchedTopic> {
    let committed = FetchedOffset {
        offset: Offset(7),
        leader_epoch: Some(LeaderEpoch(3)),
        metadata: "so far".to_owned(),
    };
    let partitions = vec![(PartitionIndex(0), Some(committed)), (PartitionIndex(1), None)];
    vec![FetchedTopic { name: "t".into(), partitions }]
}

fn asked() -> Vec<OffsetFetchRequestTopic> {
    let topic = OffsetFetchRequestTopic::default().with_name(TopicName(text("t")));
    vec![topic.with_partition_indexes(vec![5])]
}

fn encode(response: &OffsetFetchResponse, version: i16) {
    response.encode(&mut BytesMut::new(), version).unwrap();
}

#[test]
fn every_version_with_one_group_can_carry_every_answer() {
    for version in OffsetFetch::SERVED.min..MANY_GROUPS_FROM {
        let topics: Vec<_> = fetched().into_iter().map(answer_topic).collect();
        let offsets: Vec<_> = topics[0].partitions.iter().map(|of| of.committed_offset).collect();
        assert_eq!(offsets, [7, -1]);
        assert_eq!(topics[0].partitions[0].metadata.as_deref(), Some("so far"));
        encode(&OffsetFetchResponse::default().with_topics(topics), version);
        encode(&refused(asked(), ResponseError::NotCoordinator, version), version);
    }
}

#[test]
fn every_version_with_many_groups_can_carry_every_answer() {
    for version in MANY_GROUPS_FROM..=OffsetFetch::SERVED.max {
        let group = OffsetFetchRequestGroup::default().with_group_id(GroupId(text("g")));
        let known = answer_group(group.clone(), Ok(fetched()));
        let partition = &known.topics[0].partitions[1];
        assert_eq!((partition.committed_offset, partition.committed_leader_epoch), (-1, -1));
        let unknown = answer_group(group, Err(ResponseError::NotCoordinator));
        assert_eq!((unknown.group_id.as_str(), unknown.error_code), ("g", 16));
        encode(&OffsetFetchResponse::default().with_groups(vec![known, unknown]), version);
    }
}

#[test]
fn an_error_of_the_group_stands_where_the_version_has_a_place_for_it() {
    let first = refused(asked(), ResponseError::NotCoordinator, 1);
    let partition = &first.topics[0].partitions[0];
    assert_eq!((partition.partition_index, partition.error_code, partition.committed_offset), (5, 16, -1));
    let later = refused(asked(), ResponseError::NotCoordinator, 2);
    assert_eq!((later.error_code, later.topics.len()), (16, 0));
}

#[test]
fn no_topics_are_all_topics_and_a_topic_named_twice_is_one() {
    let mut twice = OffsetFetchRequest::default().with_topics(Some([asked(), asked()].concat()));
    drop_repeated(&mut twice);
    let wanted = of_only_group(&twice).topics.unwrap();
    assert_eq!(wanted.into_iter().collect::<Vec<_>>(), [("t".into(), vec![PartitionIndex(5)])]);
    assert_eq!(of_only_group(&OffsetFetchRequest::default().with_topics(None)).topics, None);
    assert_eq!(of_group(&OffsetFetchRequestGroup::default().with_topics(None), false).topics, None);
}

#[test]
fn a_group_named_twice_is_asked_once_about_all_that_was_named() {
    let group = |name: &str, topics: Option<&[(&str, i32)]>| {
        let topic = |&(topic, index): &(&str, i32)| {
            OffsetFetchRequestTopics::default()
                .with_name(TopicName(text(topic)))
                .with_partition_indexes(vec![index])
        };
        let topics = topics.map(|topics| topics.iter().map(topic).collect());
        OffsetFetchRequestGroup::default().with_group_id(GroupId(text(name))).with_topics(topics)
    };
    let groups = vec![
        group("g", Some(&[("t", 1)])),
        group("all", Some(&[("t", 1)])),
        group("g", Some(&[("u", 1), ("t", 1), ("t", 2)])),
        group("all", None),
    ];
    let mut request = OffsetFetchRequest::default().with_groups(groups);
    drop_repeated(&mut request);
    let expected = [group("g", Some(&[("t", 1), ("u", 1), ("t", 2)])), group("all", None)];
    assert_eq!(request.groups, expected);
}
