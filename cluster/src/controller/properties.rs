//! What holds of any sequence of requests, and of any bytes.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::fixtures::{Cluster, broker, topic};
use super::requests::{
    AlterConfigs, AlterTopicConfigs, Assignment, ConfigAlteration, ConfigChange, ConfigOperation,
    ConfigResource, ControllerRequest, ControllerResponse, CreatePartitions, CreateTopics, DeleteTopics,
    NewTopic, ResourceAlteration, TopicAlteration, TopicGrowth, TopicRef,
};
use super::{ControllerRecord, MetadataImage, decode_entry, encode_entry};
use crate::encoding;
use crate::ids::NodeId;

/// Few names, so that requests meet each other's topics; one is not allowed, and two collide.
fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "x.y", "x_y", "__consumer_offsets", "not allowed"])
        .prop_map(str::to_owned)
}

fn config() -> impl Strategy<Value = (String, Option<String>)> {
    let names = prop::sample::select(vec!["retention.ms", "cleanup.policy", "max.message.bytes", "nonsense"]);
    let values = prop::sample::select(vec!["1", "-1", "compact", "delete", "compact,delete"]);
    (names, option::weighted(0.9, values))
        .prop_map(|(name, value)| (name.to_owned(), value.map(str::to_owned)))
}

fn new_topic() -> impl Strategy<Value = NewTopic> {
    let assignment =
        (0..4i32, vec(0..5i32, 0..4)).prop_map(|(partition, replicas)| Assignment { partition, replicas });
    let counts = prop_oneof![Just((-1, -1)), (-2..9i32, -2..5i16)];
    let assignments = prop_oneof![4 => Just(vec![]), 1 => vec(assignment, 0..4)];
    (name(), counts, assignments, vec(config(), 0..2)).prop_map(
        |(name, (num_partitions, replication_factor), assignments, configs)| NewTopic {
            num_partitions,
            replication_factor,
            assignments,
            configs,
            ..topic(&name)
        },
    )
}

fn alteration() -> impl Strategy<Value = ConfigAlteration> {
    let operation = prop::sample::select(vec![
        ConfigOperation::Set,
        ConfigOperation::Delete,
        ConfigOperation::Append,
        ConfigOperation::Subtract,
    ]);
    (config(), operation).prop_map(|((name, value), operation)| ConfigAlteration { name, operation, value })
}

fn change() -> impl Strategy<Value = ConfigChange> {
    prop_oneof![
        vec(alteration(), 0..3).prop_map(ConfigChange::Incremental),
        vec(config(), 0..3).prop_map(ConfigChange::Replace),
    ]
}

/// A change of settings that nodes or groups have.
fn other_change() -> impl Strategy<Value = ConfigChange> {
    let settings = vec![
        ("log.cleanup.policy", "compact"),
        ("log.retention.ms", "5"),
        ("num.partitions", "2"),
        ("consumer.session.timeout.ms", "50000"),
        ("consumer.heartbeat.interval.ms", "1"),
    ];
    let alteration =
        (prop::sample::select(settings), alteration()).prop_map(|((name, value), alteration)| {
            ConfigAlteration { name: name.to_owned(), value: Some(value.to_owned()), ..alteration }
        });
    vec(alteration, 0..3).prop_map(ConfigChange::Incremental)
}

fn request() -> impl Strategy<Value = ControllerRequest> {
    let create = (vec(new_topic(), 1..4), prop::bool::weighted(0.1)).prop_map(|(topics, validate_only)| {
        ControllerRequest::CreateTopics(CreateTopics { topics, validate_only })
    });
    let delete = vec(name().prop_map(TopicRef::Name), 1..3)
        .prop_map(|topics| ControllerRequest::DeleteTopics(DeleteTopics { topics }));
    let growth = (name(), -1..12i32, option::weighted(0.2, vec(vec(1..4i32, 1..4), 0..3)))
        .prop_map(|(name, count, assignments)| TopicGrowth { name, count, assignments });
    let grow = (vec(growth, 1..3), prop::bool::weighted(0.1)).prop_map(|(topics, validate_only)| {
        ControllerRequest::CreatePartitions(CreatePartitions { topics, validate_only })
    });
    let alter = vec((name(), change()).prop_map(|(name, change)| TopicAlteration { name, change }), 1..3)
        .prop_map(|topics| {
            ControllerRequest::AlterTopicConfigs(AlterTopicConfigs { topics, validate_only: false })
        });
    let resource = prop_oneof![
        Just(ConfigResource::Cluster),
        (1..5u32).prop_map(|node| ConfigResource::Node(NodeId(node))),
        prop::sample::select(vec!["g", "h", ""]).prop_map(|name| ConfigResource::Group(name.to_owned())),
    ];
    let alter_others = vec((resource, other_change()), 1..3).prop_map(|resources| {
        let resources =
            resources.into_iter().map(|(resource, change)| ResourceAlteration { resource, change });
        ControllerRequest::AlterConfigs(AlterConfigs { resources: resources.collect(), validate_only: false })
    });
    prop_oneof![
        2 => alter_others,
        5 => create,
        2 => delete,
        2 => grow,
        2 => alter,
        1 => (1..4u32).prop_map(|node| ControllerRequest::RegisterBroker(broker(node))),
        1 => Just(ControllerRequest::AllocateProducerIds),
    ]
}

/// What a cluster of three nodes writes down for `requests`, entry by entry, and the image it ends with.
fn log_of(requests: &[ControllerRequest]) -> (Vec<Vec<u8>>, MetadataImage) {
    let mut cluster = Cluster::of(0);
    cluster.alive = (1..=3).map(NodeId).collect();
    let registrations = (1..=3).map(|node| ControllerRequest::RegisterBroker(broker(node)));
    let mut entries = Vec::new();
    for request in registrations.chain(requests.iter().cloned()) {
        let decision = cluster.decide(&request);
        for record in &decision.records {
            let before = cluster.image.clone();
            cluster.image.replay(record);
            cluster.image.check_invariants();
            assert_ne!(cluster.image, before, "a decision writes only what changes the image: {record:?}");
        }
        assert_eq!(ControllerResponse::decode(&decision.response.encode()), Ok(decision.response));
        entries.push(encode_entry(&decision.records));
    }
    (entries, cluster.image)
}

fn replay(image: &mut MetadataImage, entries: &[Vec<u8>]) {
    for entry in entries {
        for record in decode_entry(entry).unwrap() {
            image.replay(&record);
            image.check_invariants();
        }
    }
}

proptest! {
    #[test]
    fn replicas_of_one_log_are_equal(requests in vec(request(), 0..24)) {
        let (entries, leader) = log_of(&requests);
        let mut follower = MetadataImage::default();
        replay(&mut follower, &entries);
        prop_assert_eq!(&follower, &leader);
        prop_assert_eq!(MetadataImage::decode(&leader.encode()), Ok(leader));
    }

    #[test]
    fn replaying_the_end_of_the_log_again_changes_nothing(requests in vec(request(), 0..24), from in 0..24usize) {
        let (entries, leader) = log_of(&requests);
        let mut again = leader.clone();
        replay(&mut again, &entries[from.min(entries.len())..]);
        prop_assert_eq!(again, leader);
    }

    #[test]
    fn requests_travel(request in request()) {
        prop_assert_eq!(ControllerRequest::decode(&request.encode()), Ok(request));
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(body in vec(any::<u8>(), 0..300)) {
        let bytes = [encoding::header(), body].concat();
        if let Ok(records) = decode_entry(&bytes) {
            let mut image = MetadataImage::default();
            for record in &records {
                image.replay(record);
            }
            image.check_invariants();
        }
        let _ = MetadataImage::decode(&bytes);
        let _ = ControllerRequest::decode(&bytes);
        let _ = ControllerResponse::decode(&bytes);
    }

    #[test]
    fn no_damaged_entry_makes_replay_panic(
        requests in vec(request(), 1..8),
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let (entries, leader) = log_of(&requests);
        for entry in entries {
            let mut damaged = entry;
            let at = at.index(damaged.len());
            damaged[at] = value;
            for record in decode_entry(&damaged).unwrap_or_default() {
                let mut image = leader.clone();
                image.replay(&record);
                image.check_invariants();
            }
        }
        let mut snapshot = leader.encode();
        let at = at.index(snapshot.len());
        snapshot[at] = value;
        if let Ok(image) = MetadataImage::decode(&snapshot) {
            image.check_invariants();
        }
    }
}

#[test]
fn an_empty_entry_holds_no_records() {
    assert_eq!(decode_entry(&encode_entry(&[])), Ok(Vec::<ControllerRecord>::new()));
}
