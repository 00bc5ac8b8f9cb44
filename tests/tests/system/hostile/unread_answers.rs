use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use trilog_client::wire::Connection;
use trilog_client::wire::frame::encode_request;
use trilog_tests::admin::NewTopic;
use trilog_tests::batch::{BatchBuilder, Record};
use trilog_tests::cluster::{Cluster, ClusterOptions, connection_options};
use trilog_tests::hostile::play_small;
use trilog_tests::partition::Partition;
use trilog_tests::requests::{FetchPlan, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_reads_do_not_keep_others_from_theirs() {
    play_small("unread-answers").await;
}

#[tokio::test]
async fn a_batch_that_is_larger_than_the_memory_for_answers_is_fetched() {
    let options = ClusterOptions::nodes(1).set("message.max.bytes", "104857600");
    let cluster = Cluster::start(options).await;
    cluster.create(NewTopic::new("large")).await;
    let partition = cluster.partition("large", 0).await;
    let batch = BatchBuilder::new(vec![Record::new(0, vec![b'l'; 95 << 20])]).build();
    partition.produce(batch).await;
    let plan = FetchPlan { max_bytes: 1, partition_max_bytes: 1, ..FetchPlan::from(0) };
    for _ in 0..2 {
        let fetched = partition.try_fetch(plan).await;
        let length = fetched.records.map_or(0, |records| records.len());
        assert!(length > 95 << 20, "{length} bytes");
    }
}

/// Fetches in a request of its own and reads the answer a little at a time, as over a slow line. How many bytes it was.
async fn read_slowly(partition: &Partition) -> usize {
    let request = partition.target.fetch(11, FetchPlan::from(0));
    let request = encode_request(&request, 11, 1, &text("slow")).unwrap();
    let mut stream = TcpStream::connect(partition.connection.address()).await.unwrap();
    stream.write_all(&request).await.unwrap();
    let length = usize::try_from(stream.read_i32().await.unwrap()).unwrap();
    let (mut piece, mut read) = (vec![0; 8 << 10], 0);
    while read < length {
        let taken = stream.read(&mut piece).await.unwrap();
        assert!(taken > 0, "the connection was closed after {read} of {length} bytes");
        read += taken;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    read
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_consumers_at_once_and_a_slow_one_are_served() {
    let cluster = Cluster::start(ClusterOptions::nodes(1)).await;
    let partition = cluster.new_partition("many").await;
    for number in 0..10 {
        partition.produce_records(vec![Record::new(number, vec![b'x'; 900_000])]).await;
    }
    let slow = partition.clone();
    let slow = tokio::spawn(async move { read_slowly(&slow).await });
    let mut consumers = JoinSet::new();
    for _ in 0..60 {
        let address = partition.connection.address().to_owned();
        let target = partition.target.clone();
        consumers.spawn(async move {
            let connection = Connection::connect(&address, &connection_options()).await.unwrap();
            Partition { connection, target }.read_all().await.len()
        });
    }
    assert!(consumers.join_all().await.into_iter().all(|batches| batches == 10));
    assert!(slow.await.unwrap() >= 900_000);
}
