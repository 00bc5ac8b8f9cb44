//! What Java's assignors answer, from the tests of Apache Kafka 4 (`RangeAssignorTest`, `RoundRobinAssignorTest`,
//! `StickyAssignorTest`, `AbstractStickyAssignorTest`, `CooperativeStickyAssignorTest`).

use super::*;

/// A member that wants these topics, separated by spaces.
fn member(id: &str, topics: &str) -> Member {
    Member {
        id: id.to_owned(),
        topics: topics.split_whitespace().map(Arc::from).collect(),
        ..Member::default()
    }
}

fn static_member(id: &str, instance: &str, topics: &str) -> Member {
    Member { instance: Some(instance.to_owned()), ..member(id, topics) }
}

fn owner(id: &str, topics: &str, owned: &str, generation: i32) -> Member {
    Member { owned: places(owned), generation: Some(generation), ..member(id, topics) }
}

/// `a-0 a-1` as partitions.
fn places(text: &str) -> Vec<TopicPartition> {
    let place = |text: &str| {
        let (topic, partition) = text.rsplit_once('-').unwrap();
        TopicPartition::new(topic, partition.parse().unwrap())
    };
    text.split_whitespace().map(place).collect()
}

/// `a:3 b:2` as topics with their numbers of partitions.
fn topics(text: &str) -> Topics {
    let topic = |text: &str| {
        let (topic, count) = text.split_once(':').unwrap();
        (Arc::from(topic), count.parse().unwrap())
    };
    text.split_whitespace().map(topic).collect()
}

/// `c1: a-0 a-1 | c2: b-0`: each member's partitions in order.
fn assigned(assignor: Assignor, members: &[Member], partitions: &str) -> String {
    let row = |(member, partitions): (String, Vec<TopicPartition>)| {
        let partitions = partitions.iter().map(|partition| format!(" {partition}")).collect::<String>();
        format!("{member}:{partitions}")
    };
    let rows = assignor.assign(members, &topics(partitions)).into_iter().map(row);
    rows.collect::<Vec<_>>().join(" | ")
}

#[test]
fn range_cuts_each_topic_apart() {
    let range = |members: &[Member], topics| assigned(Assignor::Range, members, topics);
    assert_eq!(range(&[member("c1", "a")], ""), "c1:");
    assert_eq!(range(&[member("c1", "a")], "a:3"), "c1: a-0 a-1 a-2");
    assert_eq!(range(&[member("c1", "a")], "a:3 other:3"), "c1: a-0 a-1 a-2");
    assert_eq!(range(&[member("c1", "a"), member("c2", "a")], "a:1"), "c1: a-0 | c2:");
    assert_eq!(range(&[member("c1", "a"), member("c2", "a")], "a:2"), "c1: a-0 | c2: a-1");
    assert_eq!(
        range(&[member("c1", "a"), member("c2", "a b"), member("c3", "a")], "a:3 b:2"),
        "c1: a-0 | c2: a-1 b-0 b-1 | c3: a-2"
    );
    assert_eq!(
        range(&[member("c1", "a b"), member("c2", "a b")], "a:3 b:3"),
        "c1: a-0 a-1 b-0 b-1 | c2: a-2 b-2"
    );
}

#[test]
fn static_members_keep_their_ranges_when_their_ids_change() {
    let before =
        [static_member("c-z", "1", "a"), static_member("c-a", "2", "a"), static_member("c-m", "3", "a")];
    assert_eq!(assigned(Assignor::Range, &before, "a:3"), "c-a: a-1 | c-m: a-2 | c-z: a-0");
    let after = [static_member("c-b", "1", "a"), static_member("c-a", "2", "a"), member("c-0", "a")];
    assert_eq!(assigned(Assignor::Range, &after, "a:3"), "c-0: a-2 | c-a: a-1 | c-b: a-0");
}

#[test]
fn round_robin_takes_all_partitions_in_turn() {
    let round_robin = |members: &[Member], topics| assigned(Assignor::RoundRobin, members, topics);
    assert_eq!(round_robin(&[member("c1", "a b")], "a:1 b:2"), "c1: a-0 b-0 b-1");
    assert_eq!(round_robin(&[member("c1", "a"), member("c2", "a")], "a:1"), "c1: a-0 | c2:");
    assert_eq!(
        round_robin(&[member("c1", "a"), member("c2", "a b"), member("c3", "a")], "a:3 b:2"),
        "c1: a-0 | c2: a-1 b-0 b-1 | c3: a-2"
    );
    assert_eq!(
        round_robin(&[member("c1", "a b"), member("c2", "a b")], "a:3 b:3"),
        "c1: a-0 a-2 b-1 | c2: a-1 b-0 b-2"
    );
}

#[test]
fn sticky_begins_as_java_does() {
    for assignor in [Assignor::Sticky, Assignor::CooperativeSticky] {
        let sticky = |members: &[Member], topics| assigned(assignor, members, topics);
        assert_eq!(sticky(&[member("c1", "a")], "a:3"), "c1: a-0 a-1 a-2");
        assert_eq!(sticky(&[member("c1", "a"), member("c2", "a")], "a:1"), "c1: a-0 | c2:");
        assert_eq!(
            sticky(&[member("c1", "a"), member("c2", "a b"), member("c3", "a")], "a:3 b:2"),
            "c1: a-0 a-2 | c2: b-0 b-1 | c3: a-1"
        );
        assert_eq!(
            sticky(&[member("c1", "a b"), member("c2", "a b")], "a:3 b:3"),
            "c1: a-0 a-2 b-1 | c2: a-1 b-0 b-2"
        );
    }
}

/// `testAddRemoveConsumerOneTopic`.
#[test]
fn sticky_moves_no_more_than_it_must() {
    let joined = [owner("c1", "a", "a-0 a-1 a-2", 1), member("c2", "a")];
    assert_eq!(assigned(Assignor::Sticky, &joined, "a:3"), "c1: a-0 a-1 | c2: a-2");
    let left = [owner("c2", "a", "a-2", 2)];
    assert_eq!(assigned(Assignor::Sticky, &left, "a:3"), "c2: a-0 a-1 a-2");
}

/// `testStaleOwnedPartitions...`, `testConflictingPreviousAssignments`, `testOwnedPartitionsAreInvalidated...`.
#[test]
fn the_claim_of_the_latest_generation_holds() {
    let stale = [owner("c1", "a", "a-0 a-2", 10), owner("c2", "a", "a-1 a-2", 9)];
    assert_eq!(assigned(Assignor::Sticky, &stale, "a:3"), "c1: a-0 a-2 | c2: a-1");
    let equal = [owner("c1", "a", "a-0 a-1", 4), owner("c2", "a", "a-0 a-1", 4)];
    assert_eq!(assigned(Assignor::Sticky, &equal, "a:2"), "c1: a-0 | c2: a-1");
}

#[test]
fn what_is_no_longer_wanted_or_no_longer_there_is_given_up() {
    let members = [owner("c1", "b", "a-0 b-7 gone-0", 1), member("c2", "a b")];
    assert_eq!(assigned(Assignor::Sticky, &members, "a:1 b:2"), "c1: b-0 b-1 | c2: a-0");
}

/// Java's assignor finds no single move here: the middle member wants both topics and has one less than the first.
#[test]
fn load_travels_through_members_in_between() {
    let members =
        [owner("c1", "a", "a-0 a-1 a-2", 1), owner("c2", "a b", "b-0 b-1", 1), owner("c3", "b", "b-2", 1)];
    assert_eq!(assigned(Assignor::Sticky, &members, "a:3 b:3"), "c1: a-0 a-1 | c2: a-2 b-0 | c3: b-1 b-2");
}

/// `testAllConsumersHaveOwnedPartitionInvalidatedWhenClaimedByMultipleConsumersInSameGeneration...` apart, the cooperative
/// assignor differs only in what changes hands.
#[test]
fn a_partition_that_changes_hands_is_free_for_a_generation() {
    let first = [owner("c1", "a", "a-0 a-1 a-2", 1), member("c2", "a")];
    assert_eq!(assigned(Assignor::CooperativeSticky, &first, "a:3"), "c1: a-0 a-1 | c2:");
    let second = [owner("c1", "a", "a-0 a-1", 2), owner("c2", "a", "", 2)];
    assert_eq!(assigned(Assignor::CooperativeSticky, &second, "a:3"), "c1: a-0 a-1 | c2: a-2");
}

#[test]
fn members_read_what_java_members_write() {
    let subscription = Subscription {
        topics: vec!["a".into()],
        owned: vec![("a".into(), vec![1])],
        generation: Some(7),
        rack: None,
    };
    let cooperative = Assignor::CooperativeSticky;
    let user_data = cooperative.user_data(&places("a-1"), Some(6));
    let newest = cooperative.read_member("m", None, &subscription.encode(3, user_data.as_deref()));
    assert_eq!((newest.owned, newest.generation), (places("a-1"), Some(7)));
    let older = cooperative.read_member("m", None, &subscription.encode(1, user_data.as_deref()));
    assert_eq!((older.owned, older.generation), (places("a-1"), Some(6)));

    let user_data = Assignor::Sticky.user_data(&places("a-2 b-0"), Some(5));
    let eager = Assignor::Sticky.read_member("m", Some("i"), &subscription.encode(1, user_data.as_deref()));
    assert_eq!((eager.owned, eager.generation), (places("a-2 b-0"), Some(5)));
    assert_eq!(eager.instance.as_deref(), Some("i"));

    let broken = Assignor::Range.read_member("m", None, b"no subscription");
    assert_eq!(broken, member("m", ""));
}
