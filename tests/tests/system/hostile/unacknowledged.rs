use kafka_protocol::messages::{MetadataRequest, ProduceRequest};
use trilog_tests::batch::{BatchBuilder, Record};
use trilog_tests::cluster::{Cluster, ClusterOptions};
use trilog_tests::hostile::play_small;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn producers_that_want_no_acknowledgement_are_held_to_what_the_disks_take() {
    play_small("unacknowledged").await;
}

/// A batch of an idempotent producer, from a sequence on.
fn batch(producer: i64, sequence: i32) -> bytes::Bytes {
    BatchBuilder::new(vec![Record::new(0, vec![b'x'; 10])]).producer(producer, 0, sequence).build()
}

#[tokio::test]
async fn a_failure_in_the_log_closes_the_connection_of_a_producer_without_acknowledgements() {
    let cluster = Cluster::start(ClusterOptions::nodes(1)).await;
    let partition = cluster.new_partition("t").await;
    let producer = partition.new_producer().await;
    partition.produce(batch(producer, 0)).await;
    let send = async |records| {
        let request: ProduceRequest = partition.target.produce(9, 0, records);
        partition.connection.send_without_reply_at(request, 9).await.unwrap();
    };
    send(batch(producer, 1)).await;
    let metadata = MetadataRequest::default().with_topics(Some(Vec::new()));
    partition.connection.request(metadata).await.unwrap();
    // Only the log knows that this one is out of order.
    send(batch(producer, 7)).await;
    partition.connection.wait_closed().await;
    let anew = cluster.partition("t", 0).await;
    assert_eq!(anew.read_all().await.len(), 2, "what was in order is there");
}
