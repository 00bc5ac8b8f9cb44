//! Fewer replicas than wanted, and fewer than needed.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::ProduceRequest;
use trilog_tests::admin::NewTopic;
use trilog_tests::batch::values;
use trilog_tests::cluster::{Cluster, ClusterOptions};
use trilog_tests::partition::{LATEST, Partition};
use trilog_tests::requests::{FetchPlan, Target, error, produced};
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
    // Nor does the last one go on as leader: it could not know what the others have agreed upon since.
    wait_unled(&cluster, &partition).await;
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

/// Waits until the node at the other end of the connection serves nothing of a partition, and names no leader of it.
async fn wait_unled(cluster: &Cluster, partition: &Partition) {
    let refused = Some(ResponseError::NotLeaderOrFollower);
    wait_until("the partition is not served", async || {
        let fetched = error(partition.try_fetch(FetchPlan::from(0)).await.error_code);
        let listed = error(partition.try_list_offset(LATEST).await.error_code);
        (fetched == refused && listed == refused).then_some(())
    })
    .await;
    let answer = partition.try_produce(values(1, &["refused"])).await;
    assert_eq!(error(answer.error_code), refused);
    let Target { topic, partition: index, .. } = &partition.target;
    let shown = cluster.partition_metadata(topic, *index).await.expect("the topic is shown");
    assert_eq!((shown.leader_id.0, error(shown.error_code)), (-1, Some(ResponseError::LeaderNotAvailable)));
}

/// A partition as one of its replicas' nodes shows it, whether that leads it or not.
async fn partition_at(cluster: &Cluster, node: i32, topic: &str) -> Partition {
    let id = cluster.topic(topic).await.expect("the topic is shown").topic_id;
    let target = Target { topic: topic.to_owned(), id, partition: 0 };
    Partition { connection: cluster.connect(node).await, target }
}

#[tokio::test]
async fn topics_with_fewer_replicas_are_missed_with_their_nodes_and_hold_up_nobody() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    let placed: [(&str, &[i32]); 4] =
        [("one", &[3]), ("two", &[2, 3]), ("elsewhere", &[1, 2]), ("everywhere", &[3, 1, 2])];
    for (topic, nodes) in placed {
        cluster.create(NewTopic::new(topic).assign(0, nodes)).await;
        assert_eq!(cluster.partition(topic, 0).await.produce(values(1, &["a"])).await, 0);
    }
    cluster.kill(3);
    for topic in ["elsewhere", "everywhere"] {
        let partition = cluster.partition(topic, 0).await;
        assert_eq!(partition.produce(values(1, &["b"])).await, 1, "{topic} has a majority");
    }
    // New topics of every factor are made where nodes are.
    for (topic, nodes) in [("one-more", &[1][..]), ("two-more", &[2, 1])] {
        cluster.create(NewTopic::new(topic).assign(0, nodes)).await;
        assert_eq!(cluster.partition(topic, 0).await.produce(values(1, &["a"])).await, 0);
    }
    for (topic, node) in [("one", 1), ("two", 2)] {
        wait_unled(&cluster, &partition_at(&cluster, node, topic).await).await;
    }
    cluster.start_node(3);
    cluster.wait_ready().await.unwrap();
    for (topic, nodes) in placed {
        let partition = cluster.partition(topic, 0).await;
        partition.produce(values(1, &["c"])).await;
        let written: &[&str] =
            if nodes.len() == 1 || nodes == [2, 3] { &["a", "c"] } else { &["a", "b", "c"] };
        assert_eq!(partition.read_values().await, written, "{topic}");
    }
    cluster.assert_alive();
}
