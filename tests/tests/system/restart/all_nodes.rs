//! All nodes killed at once, and started again.

use trilog_tests::admin::NewTopic;
use trilog_tests::batch::{BatchBuilder, Record, values};
use trilog_tests::cluster::{Cluster, ClusterOptions};
use trilog_tests::requests::error;

async fn kill_and_restart_all(cluster: &mut Cluster) {
    for node in cluster.ids() {
        cluster.kill(node);
    }
    for node in cluster.ids() {
        cluster.start_node(node);
    }
    cluster.wait_ready().await.unwrap();
}

#[tokio::test]
async fn everything_acknowledged_is_there() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    let id = cluster.create(NewTopic::new("killed").partitions(3)).await;
    let mut written: [Vec<String>; 3] = Default::default();
    for round in 0..3 {
        for (index, texts) in (0..3).zip(&mut written) {
            let partition = cluster.partition("killed", index).await;
            let new = (0..200).map(|n| format!("{round}-{index}-{n}")).collect::<Vec<_>>();
            for answer in partition.produce_in_flight(new.iter().map(|text| values(1, &[text]))).await {
                assert_eq!(error(answer.error_code), None);
            }
            texts.extend(new);
        }
        kill_and_restart_all(&mut cluster).await;
        assert_eq!(cluster.topic("killed").await.map(|topic| topic.topic_id), Some(id));
        for (index, texts) in (0..3).zip(&written) {
            assert_eq!(&cluster.partition("killed", index).await.read_values().await, texts, "round {round}");
        }
    }
}

#[tokio::test]
async fn producers_are_remembered() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    let partition = cluster.new_partition("remembered").await;
    let producer = partition.new_producer().await;
    let batch = |sequence: i32| {
        BatchBuilder::new(vec![Record::new(1, sequence.to_string())]).producer(producer, 0, sequence).build()
    };
    for sequence in 0..7 {
        partition.produce(batch(sequence)).await;
    }
    kill_and_restart_all(&mut cluster).await;
    let partition = cluster.partition("remembered", 0).await;
    for sequence in 2..7 {
        let again = partition.try_produce(batch(sequence)).await;
        assert_eq!((error(again.error_code), again.base_offset), (None, i64::from(sequence)));
    }
    assert_eq!(partition.produce(batch(7)).await, 7);
    assert_ne!(partition.new_producer().await, producer, "no id is given out twice");
}

#[tokio::test]
async fn a_node_alone_keeps_its_data_too() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(1)).await;
    let partition = cluster.new_partition("alone").await;
    partition.produce(values(1, &["a", "b"])).await;
    kill_and_restart_all(&mut cluster).await;
    let partition = cluster.partition("alone", 0).await;
    assert_eq!(partition.read_values().await, ["a", "b"]);
    assert_eq!(partition.produce(values(1, &["c"])).await, 2);
    cluster.stop(1).await;
    cluster.start_node(1);
    cluster.wait_ready().await.unwrap();
    assert_eq!(cluster.partition("alone", 0).await.read_values().await, ["a", "b", "c"]);
}
