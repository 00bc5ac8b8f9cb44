//! Fewer replicas than wanted, and fewer than needed.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::ProduceRequest;
use trilog_tests::admin::NewTopic;
use trilog_tests::batch::values;
use trilog_tests::cluster::{Cluster, ClusterOptions};
use trilog_tests::requests::{error, produced};
use trilog_tests::waiting::wait_until;

#[tokio::test]
async fn min_insync_replicas_is_honoured() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    cluster.create(NewTopic::new("strict").config("min.insync.replicas", "3")).await;
    cluster.create(NewTopic::new("lenient").config("min.insync.replicas", "2")).await;
    for topic in ["strict", "lenient"] {
        let partition = cluster.partition(topic, 0).await;
        wait_until("all replicas are in sync", async || {
            let shown = cluster.partition_metadata(topic, 0).await?;
            (shown.isr_nodes.len() == 3).then_some(())
        })
        .await;
        partition.produce(values(1, &["a"])).await;
    }
    cluster.kill(3);
    wait_until("the strict topic refuses", async || {
        let partition = cluster.partition("strict", 0).await;
        let answer = partition.try_produce(values(1, &["refused"])).await;
        (error(answer.error_code) == Some(ResponseError::NotEnoughReplicas)).then_some(())
    })
    .await;
    // It is asked of acks=all only.
    let strict = cluster.partition("strict", 0).await;
    let answer = strict.produce_with_acks(1, values(1, &["b"])).await;
    assert_eq!(error(answer.error_code), None);
    let lenient = cluster.partition("lenient", 0).await;
    assert_eq!(lenient.produce(values(1, &["b"])).await, 1);
    cluster.start_node(3);
    cluster.wait_ready().await.unwrap();
    wait_until("the strict topic takes records again", async || {
        let partition = cluster.partition("strict", 0).await;
        let answer = partition.try_produce(values(1, &["c"])).await;
        error(answer.error_code).is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_a_majority_nothing_is_acknowledged_and_with_it_all_goes_on() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    let partition = cluster.new_partition("majority").await;
    partition.produce(values(1, &["a"])).await;
    let leader = cluster.leader("majority", 0).await;
    let others = cluster.ids().into_iter().filter(|node| *node != leader).collect::<Vec<_>>();
    for node in &others {
        cluster.kill(*node);
    }
    let version = partition.connection.versions().negotiate::<ProduceRequest>().unwrap();
    for _ in 0..2 {
        let request = partition.target.produce(version, -1, values(1, &["unknown"])).with_timeout_ms(1000);
        let answer = partition.connection.request(request).await.unwrap();
        let code = error(produced(answer).error_code);
        assert!(code.is_some(), "two of three nodes are dead");
    }
    for node in others {
        cluster.start_node(node);
    }
    cluster.wait_ready().await.unwrap();
    let partition = cluster.partition("majority", 0).await;
    partition.produce(values(1, &["b"])).await;
    let texts = partition.read_values().await;
    assert_eq!(texts.first().map(String::as_str), Some("a"));
    assert_eq!(texts.last().map(String::as_str), Some("b"));
    assert!(texts[1..texts.len() - 1].iter().all(|text| text == "unknown"), "{texts:?}");
}
