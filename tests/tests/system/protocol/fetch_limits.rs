//! The limits of a Fetch: by whole batches, and never less than one.

use trilog_tests::admin::NewTopic;
use trilog_tests::batch::{Batch, BatchBuilder, Record};
use trilog_tests::cluster::shared;
use trilog_tests::partition::Partition;
use trilog_tests::requests::{FetchPlan, Target, fetched};

/// Ten batches of one record of 1,000 bytes each; returns the size of one.
async fn fill(partition: &Partition) -> i32 {
    let batch = BatchBuilder::new(vec![Record::new(1, vec![b'x'; 1000])]).build();
    for _ in 0..10 {
        partition.produce(batch.clone()).await;
    }
    i32::try_from(batch.len()).unwrap()
}

async fn batches(partition: &Partition, plan: FetchPlan) -> Vec<Batch> {
    Batch::split(&partition.try_fetch(plan).await.records.unwrap())
}

#[tokio::test]
async fn a_partitions_limit_is_kept() {
    let cluster = shared().await;
    let partition = cluster.new_partition("limits-partition").await;
    let size = fill(&partition).await;
    for (limit, most) in [(size, 1), (size * 2, 2), (size * 7 / 2, 3), (size * 100, 10)] {
        let plan = FetchPlan { partition_max_bytes: limit, ..FetchPlan::from(0) };
        let fetched = batches(&partition, plan).await;
        assert!((1..=most).contains(&fetched.len()), "{} batches within {limit} bytes", fetched.len());
    }
}

#[tokio::test]
async fn one_batch_is_returned_however_small_the_limits() {
    let cluster = shared().await;
    let partition = cluster.new_partition("limits-one").await;
    fill(&partition).await;
    for (max_bytes, partition_max_bytes) in [(1, 1), (1, 1 << 20), (1 << 20, 1), (0, 0)] {
        for offset in [0, 5, 9] {
            let plan = FetchPlan { max_bytes, partition_max_bytes, ..FetchPlan::from(offset) };
            let fetched = batches(&partition, plan).await;
            assert_eq!(fetched.len(), 1, "limits {max_bytes} and {partition_max_bytes}");
            assert_eq!(fetched[0].base_offset(), offset);
        }
    }
}

#[tokio::test]
async fn the_whole_answers_limit_is_kept_across_partitions() {
    let cluster = shared().await;
    let topic = NewTopic::new("limits-whole").assign(0, &[2, 1, 3]).assign(1, &[2, 1, 3]);
    cluster.create(topic).await;
    let mut size = 0;
    for index in 0..2 {
        cluster.leader_where("limits-whole", index, |leader| leader == 2).await;
        size = fill(&cluster.partition("limits-whole", index).await).await;
    }
    let first = cluster.partition("limits-whole", 0).await;
    let second = Target { partition: 1, ..first.target.clone() };
    for (limit, most) in [(1, 1), (size * 3, 3), (size * 12, 12), (size * 100, 20)] {
        let plan = FetchPlan { max_bytes: limit, ..FetchPlan::from(0) };
        let mut request = first.target.fetch(11, plan);
        request.topics.push(second.fetch_topic(11, plan));
        let answer = first.connection.request_at_version(request, 11).await.unwrap();
        let partitions = answer.responses.into_iter().flat_map(|topic| topic.partitions);
        let count = partitions
            .map(|partition| Batch::split(&partition.records.unwrap_or_default()).len())
            .sum::<usize>();
        assert!((1..=most).contains(&count), "{count} batches within {limit} bytes");
    }
}

#[tokio::test]
async fn reading_in_small_pieces_reads_all() {
    let cluster = shared().await;
    let partition = cluster.new_partition("limits-pieces").await;
    fill(&partition).await;
    let mut offset = 0;
    while offset < 10 {
        let plan = FetchPlan { partition_max_bytes: 1500, ..FetchPlan::from(offset) };
        let answer = fetched(
            partition.connection.request_at_version(partition.target.fetch(4, plan), 4).await.unwrap(),
        );
        for batch in Batch::split(&answer.records.unwrap()) {
            assert_eq!(batch.base_offset(), offset);
            offset = batch.last_offset() + 1;
        }
    }
}
