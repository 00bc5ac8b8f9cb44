//! InitProducerId and what a leader remembers of idempotent producers (KIP-98).

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::InitProducerIdRequest;
use trilog_tests::batch::{BatchBuilder, Record};
use trilog_tests::cluster::{Cluster, ClusterOptions, shared};
use trilog_tests::partition::{Partition, init_producer};
use trilog_tests::requests::{error, served};
use trilog_tests::waiting::wait_until;

/// A batch of `count` records of one producer.
fn batch(producer: i64, epoch: i16, sequence: i32, count: i32) -> Bytes {
    let records = (0..count).map(|step| Record::new(1, format!("{}", sequence.wrapping_add(step))));
    BatchBuilder::new(records.collect()).producer(producer, epoch, sequence).build()
}

async fn refusal(partition: &Partition, records: Bytes) -> Option<ResponseError> {
    error(partition.try_produce(records).await.error_code)
}

#[tokio::test]
async fn every_version_gives_out_ids_that_differ() {
    let cluster = shared().await;
    let mut given = Vec::new();
    for node in cluster.ids() {
        let connection = cluster.connect(node).await;
        for version in served::<InitProducerIdRequest>(&connection) {
            given.push(init_producer(&connection, version).await);
        }
    }
    let count = given.len();
    given.sort_unstable();
    given.dedup();
    assert_eq!(given.len(), count, "no id is given twice, whichever node gives it");
}

#[tokio::test]
async fn a_batch_sent_again_gets_its_first_answer() {
    let cluster = shared().await;
    let partition = cluster.new_partition("idempotence-again").await;
    let producer = partition.new_producer().await;
    for sequence in [0, 3, 6] {
        let first = partition.try_produce(batch(producer, 0, sequence, 3)).await;
        let second = partition.try_produce(batch(producer, 0, sequence, 3)).await;
        assert_eq!((error(first.error_code), first.base_offset), (None, i64::from(sequence)));
        assert_eq!((error(second.error_code), second.base_offset), (None, i64::from(sequence)));
    }
    assert_eq!(partition.read_values().await, (0..9).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_last_five_batches_are_remembered() {
    let cluster = shared().await;
    let partition = cluster.new_partition("idempotence-window").await;
    let producer = partition.new_producer().await;
    for sequence in 0..8 {
        partition.produce(batch(producer, 0, sequence, 1)).await;
    }
    for sequence in 3..8 {
        let again = partition.try_produce(batch(producer, 0, sequence, 1)).await;
        assert_eq!((error(again.error_code), again.base_offset), (None, i64::from(sequence)));
    }
    // An older one is not known any more; that it is no new one is certain all the same.
    let forgotten = refusal(&partition, batch(producer, 0, 2, 1)).await;
    let refused = matches!(
        forgotten,
        Some(ResponseError::OutOfOrderSequenceNumber | ResponseError::DuplicateSequenceNumber)
    );
    assert!(refused, "{forgotten:?}");
    assert_eq!(partition.end().await, 8);
}

#[tokio::test]
async fn each_of_thousands_of_producers_is_remembered() {
    let cluster = shared().await;
    let partition = cluster.new_partition("idempotence-crowd").await;
    let batches: Vec<Bytes> = (0..5_000).map(|number| batch(number + (1 << 40), 0, 0, 1)).collect();
    let first = partition.produce_in_flight(batches.iter().cloned()).await;
    let again = partition.produce_in_flight(batches).await;
    for (first, again) in first.iter().zip(&again) {
        assert_eq!((error(first.error_code), error(again.error_code)), (None, None));
        assert_eq!(first.base_offset, again.base_offset);
    }
    assert_eq!(partition.end().await, 5_000);
}

#[tokio::test]
async fn a_producer_is_forgotten_when_it_has_been_silent_for_long_enough() {
    let options = ClusterOptions::nodes(1).set("producer.id.expiration.ms", "400");
    let cluster = Cluster::start(options).await;
    let partition = cluster.new_partition("idempotence-expired").await;
    let producer = partition.new_producer().await;
    partition.produce(batch(producer, 0, 0, 1)).await;
    // A gap is one as long as the producer is known. Afterwards it may be what follows batches that are forgotten.
    wait_until("the producer is forgotten", async || {
        match refusal(&partition, batch(producer, 0, 7, 1)).await {
            Some(ResponseError::OutOfOrderSequenceNumber) => None,
            Some(ResponseError::NotLeaderOrFollower) => Some(()),
            other => panic!("{other:?}"),
        }
    })
    .await;
    assert_eq!(partition.produce(batch(producer, 0, 7, 1)).await, 1);
}

#[tokio::test]
async fn five_in_flight_and_all_five_again() {
    let cluster = shared().await;
    let partition = cluster.new_partition("idempotence-in-flight").await;
    let producer = partition.new_producer().await;
    for round in 0..10 {
        let batches = (0..5).map(|step| batch(producer, 0, (round * 5 + step) * 2, 2)).collect::<Vec<_>>();
        let twice = batches.iter().chain(&batches).cloned();
        let answers = partition.produce_in_flight(twice).await;
        let offsets = answers.iter().map(|answer| (error(answer.error_code), answer.base_offset));
        let expected = (0..5).map(|step| (None, i64::from((round * 5 + step) * 2))).collect::<Vec<_>>();
        assert!(offsets.eq(expected.iter().chain(&expected).copied()), "round {round}: {answers:?}");
    }
    assert_eq!(partition.read_values().await, (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_gap_is_refused_and_nothing_of_it_appended() {
    let cluster = shared().await;
    let partition = cluster.new_partition("idempotence-gap").await;
    let producer = partition.new_producer().await;
    partition.produce(batch(producer, 0, 0, 2)).await;
    for sequence in [3, 100, 1] {
        let code = refusal(&partition, batch(producer, 0, sequence, 2)).await;
        assert_eq!(code, Some(ResponseError::OutOfOrderSequenceNumber), "sequence {sequence}");
    }
    assert_eq!(partition.end().await, 2);
    assert_eq!(partition.produce(batch(producer, 0, 2, 1)).await, 2, "the right one is taken");
}

#[tokio::test]
async fn an_older_epoch_is_fenced_and_a_newer_one_starts_at_0() {
    let cluster = shared().await;
    let partition = cluster.new_partition("idempotence-epoch").await;
    let producer = partition.new_producer().await;
    partition.produce(batch(producer, 0, 0, 1)).await;
    let code = refusal(&partition, batch(producer, 1, 1, 1)).await;
    assert_eq!(code, Some(ResponseError::OutOfOrderSequenceNumber), "a new epoch starts over");
    assert_eq!(partition.produce(batch(producer, 1, 0, 1)).await, 1);
    let code = refusal(&partition, batch(producer, 0, 1, 1)).await;
    assert_eq!(code, Some(ResponseError::InvalidProducerEpoch));
    assert_eq!(partition.produce(batch(producer, 1, 1, 1)).await, 2);
    assert_eq!(partition.end().await, 3);
}

#[tokio::test]
async fn sequences_go_on_at_0_after_the_greatest() {
    let cluster = shared().await;
    let partition = cluster.new_partition("idempotence-wrap").await;
    let producer = partition.new_producer().await;
    // A leader that knows nothing of a producer takes any sequence from who insists: it may have forgotten the producer.
    let far = batch(producer, 0, i32::MAX - 1, 1);
    assert_eq!(refusal(&partition, far.clone()).await, Some(ResponseError::NotLeaderOrFollower));
    assert_eq!(partition.produce(far).await, 0);
    // This one is the greatest sequence and then 0.
    assert_eq!(partition.produce(batch(producer, 0, i32::MAX, 2)).await, 1);
    assert_eq!(partition.produce(batch(producer, 0, 1, 1)).await, 3);
    let again = partition.try_produce(batch(producer, 0, i32::MAX, 2)).await;
    assert_eq!((error(again.error_code), again.base_offset), (None, 1));
    assert_eq!(partition.end().await, 4);
}

#[tokio::test]
async fn what_overtook_a_producers_first_batch_comes_again_behind_it() {
    let cluster = shared().await;
    let partition = cluster.new_partition("idempotence-overtaken").await;
    let producer = partition.new_producer().await;
    // The first batch was refused while nobody led, say, and those behind it, in flight at the same time, come to a leader.
    for sequence in [2, 4] {
        let code = refusal(&partition, batch(producer, 0, sequence, 2)).await;
        assert_eq!(code, Some(ResponseError::NotLeaderOrFollower), "sequence {sequence}");
    }
    for sequence in [0, 2, 4] {
        assert_eq!(partition.produce(batch(producer, 0, sequence, 2)).await, i64::from(sequence));
    }
    assert_eq!(partition.read_values().await, (0..6).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn producers_do_not_disturb_each_other() {
    let cluster = shared().await;
    let partition = cluster.new_partition("idempotence-apart").await;
    let (one, two) = (partition.new_producer().await, partition.new_producer().await);
    assert_eq!(partition.produce(batch(one, 0, 0, 2)).await, 0);
    assert_eq!(partition.produce(batch(two, 0, 0, 2)).await, 2);
    assert_eq!(partition.produce(batch(one, 0, 2, 1)).await, 4);
    assert_eq!(partition.try_produce(batch(two, 0, 0, 2)).await.base_offset, 2);
    assert_eq!(partition.end().await, 5);
}
