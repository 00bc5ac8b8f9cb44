//! Fetch that waits: for data, for enough data, and not for ever.
//!
//! That an answer came because data came, and not because the wait was over, shows in the test's own connection giving
//! up ([`trilog_tests::cluster::connection_options`]) long before the wait would be over.

use trilog_client::wire::Connection;
use trilog_tests::admin::delete_topic;
use trilog_tests::batch::{Batch, values};
use trilog_tests::cluster::{connection_options, shared};
use trilog_tests::partition::Partition;
use trilog_tests::requests::{FetchPlan, error, fetched};

/// Longer than a test's connection waits for any answer.
const TOO_LONG_MS: i32 = 600_000;

/// A connection of its own for the Fetch that waits, since answers leave in order.
async fn another(partition: &Partition) -> Partition {
    let options = connection_options();
    let address = partition.connection.address();
    let connection = Connection::connect(address, &options).await.unwrap();
    Partition { connection, target: partition.target.clone() }
}

fn waiting(offset: i64, min_bytes: usize) -> FetchPlan {
    let min_bytes = i32::try_from(min_bytes).unwrap();
    FetchPlan { max_wait_ms: TOO_LONG_MS, min_bytes, ..FetchPlan::from(offset) }
}

#[tokio::test]
async fn data_that_come_end_the_wait() {
    let cluster = shared().await;
    let partition = cluster.new_partition("long-poll-data").await;
    let reader = another(&partition).await;
    for offset in 0..10 {
        let request = reader.target.fetch(11, waiting(offset, 1));
        let pending = reader.connection.enqueue_at(request, 11).await.unwrap();
        partition.produce(values(1, &["a"])).await;
        let answer = fetched(pending.answer().await.unwrap());
        let batches = Batch::split(&answer.records.unwrap());
        assert_eq!((batches.len(), batches[0].base_offset()), (1, offset));
        assert_eq!(answer.high_watermark, offset + 1);
    }
}

#[tokio::test]
async fn fewer_bytes_than_wanted_do_not_end_the_wait() {
    let cluster = shared().await;
    let partition = cluster.new_partition("long-poll-min-bytes").await;
    let reader = another(&partition).await;
    let batch = values(1, &["a"]);
    let request = reader.target.fetch(11, waiting(0, batch.len() * 3));
    let pending = reader.connection.enqueue_at(request, 11).await.unwrap();
    for _ in 0..3 {
        partition.produce(batch.clone()).await;
    }
    let answer = fetched(pending.answer().await.unwrap());
    assert_eq!(Batch::split(&answer.records.unwrap()).len(), 3);
}

#[tokio::test]
async fn the_wait_ends_without_data() {
    let cluster = shared().await;
    let partition = cluster.new_partition("long-poll-over").await;
    partition.produce(values(1, &["a"])).await;
    let plan = FetchPlan { max_wait_ms: 200, ..waiting(1, 1) };
    let answer = partition.try_fetch(plan).await;
    assert_eq!((error(answer.error_code), answer.high_watermark), (None, 1));
    assert_eq!(answer.records.as_deref(), Some(&[][..]));
    // What there is is returned when the wait for more is over.
    let plan = FetchPlan { offset: 0, min_bytes: 1 << 20, ..plan };
    let answer = partition.try_fetch(plan).await;
    assert_eq!(Batch::split(&answer.records.unwrap()).len(), 1);
}

#[tokio::test]
async fn a_topic_deleted_meanwhile_ends_the_wait() {
    let cluster = shared().await;
    let partition = cluster.new_partition("long-poll-deleted").await;
    let reader = another(&partition).await;
    let request = reader.target.fetch(11, waiting(0, 1));
    let pending = reader.connection.enqueue_at(request, 11).await.unwrap();
    let code = delete_topic(&partition.connection, "long-poll-deleted").await;
    assert_eq!(error(code), None);
    let answer = fetched(pending.answer().await.unwrap());
    assert!(error(answer.error_code).is_some(), "it is gone");
}

#[tokio::test]
async fn many_may_wait_at_once() {
    let cluster = shared().await;
    let partition = cluster.new_partition("long-poll-many").await;
    let mut pending = Vec::new();
    for _ in 0..50 {
        let reader = another(&partition).await;
        let request = reader.target.fetch(11, waiting(0, 1));
        pending.push(reader.connection.enqueue_at(request, 11).await.unwrap());
    }
    partition.produce(values(1, &["a"])).await;
    for pending in pending {
        let answer = fetched(pending.answer().await.unwrap());
        assert_eq!(Batch::split(&answer.records.unwrap()).len(), 1);
    }
}
