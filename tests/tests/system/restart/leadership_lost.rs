//! What a change of leader means for clients: epochs, duplicates, and a leader that does not know yet.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::ProduceRequest;
use trilog_tests::batch::{Batch, BatchBuilder, Record, values};
use trilog_tests::cluster::{Cluster, ClusterOptions};
use trilog_tests::partition::Partition;
use trilog_tests::requests::{epoch_ended, error, produced};
use trilog_tests::waiting::wait_until;

#[tokio::test]
async fn epochs_go_up_and_old_ones_end_where_new_ones_begin() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    let partition = cluster.new_partition("epochs").await;
    partition.produce(values(1, &["a", "b", "c"])).await;
    let old = partition.fetch(0).await[0].leader_epoch();
    let leader = cluster.leader("epochs", 0).await;
    cluster.kill(leader);
    cluster.leader_where("epochs", 0, |node| node != leader).await;
    let partition = cluster.partition("epochs", 0).await;
    assert_eq!(partition.produce(values(1, &["d"])).await, 3);
    let new = partition.fetch(3).await[0].leader_epoch();
    assert!(new > old, "epoch {new} after {old}");
    assert_eq!(cluster.partition_metadata("epochs", 0).await.unwrap().leader_epoch, new);
    for (asked, end) in [(old, 3), (new, 4)] {
        let request = partition.target.epoch_end(asked);
        let answer = epoch_ended(partition.connection.request(request).await.unwrap());
        assert_eq!((error(answer.error_code), answer.leader_epoch, answer.end_offset), (None, asked, end));
    }
    let epochs = partition.read_all().await.iter().map(Batch::leader_epoch).collect::<Vec<_>>();
    assert_eq!(epochs, [old, new]);
}

#[tokio::test]
async fn the_epochs_of_a_partition_that_was_never_written_end_at_its_beginning() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    cluster.new_partition("unwritten").await;
    let leader = cluster.leader("unwritten", 0).await;
    let old = cluster.partition_metadata("unwritten", 0).await.unwrap().leader_epoch;
    cluster.kill(leader);
    cluster.leader_where("unwritten", 0, |node| node != leader).await;
    let new = cluster.partition_metadata("unwritten", 0).await.unwrap().leader_epoch;
    assert!(new > old, "epoch {new} after {old}");
    let partition = cluster.partition("unwritten", 0).await;
    let ask = async |asked| {
        let request = partition.target.epoch_end(asked);
        let answer = epoch_ended(partition.connection.request(request).await.unwrap());
        (error(answer.error_code), answer.leader_epoch, answer.end_offset)
    };
    // Else a consumer that listed the offset 0 under the old leader would take it for truncated, and reset.
    assert_eq!(ask(old).await, (None, old, 0));
    assert_eq!(ask(new).await, (None, new, 0));
    assert_eq!(ask(new + 1).await, (None, -1, -1), "nobody knows of a later epoch");
    partition.produce(values(1, &["a"])).await;
    assert_eq!(ask(old).await, (None, old, 0), "it was over before the first record");
    assert_eq!(ask(new).await, (None, new, 1));
}

#[tokio::test]
async fn a_new_leader_knows_the_old_ones_producers() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    let partition = cluster.new_partition("window").await;
    let producer = partition.new_producer().await;
    let batch = |sequence: i32| {
        BatchBuilder::new(vec![Record::new(1, sequence.to_string())]).producer(producer, 0, sequence).build()
    };
    for sequence in 0..5 {
        partition.produce(batch(sequence)).await;
    }
    let leader = cluster.leader("window", 0).await;
    cluster.kill(leader);
    cluster.leader_where("window", 0, |node| node != leader).await;
    let partition = cluster.partition("window", 0).await;
    for sequence in 0..5 {
        let again = partition.try_produce(batch(sequence)).await;
        assert_eq!((error(again.error_code), again.base_offset), (None, i64::from(sequence)));
    }
    assert_eq!(partition.produce(batch(5)).await, 5);
    assert_eq!(partition.read_values().await, ["0", "1", "2", "3", "4", "5"]);
}

#[tokio::test]
async fn a_leader_that_slept_through_its_end_acknowledges_nothing() {
    let cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    let old = cluster.new_partition("asleep").await;
    old.produce(values(1, &["a"])).await;
    let leader = cluster.leader("asleep", 0).await;
    // It is asked while it sleeps, over a connection it has, and wakes up believing that it leads.
    cluster.pause(leader);
    let version = old.connection.versions().negotiate::<ProduceRequest>().unwrap();
    let request = old.target.produce(version, -1, values(1, &["lost"]));
    let pending = old.connection.enqueue(request).await.unwrap();
    let awake = cluster.ids().into_iter().find(|node| *node != leader).unwrap();
    let new_leader = wait_until("another node leads", async || {
        let topic = cluster.topic_at(awake, "asleep").await?;
        let now = topic.partitions[0].leader_id.0;
        (now != leader && now > 0).then_some(now)
    })
    .await;
    let connection = cluster.connect(new_leader).await;
    let new = Partition { connection, target: old.target.clone() };
    wait_until("the new leader serves", async || {
        let answer = new.try_produce(values(1, &["b"])).await;
        error(answer.error_code).is_none().then_some(())
    })
    .await;
    cluster.resume(leader);
    let answer = produced(pending.answer().await.unwrap());
    assert!(error(answer.error_code).is_some(), "nobody agreed to it");
    let texts = cluster.partition("asleep", 0).await.read_values().await;
    assert_eq!(texts[..2], ["a", "b"]);
    // A value whose write failed for certain is never seen. Of one that timed out nothing is known.
    if error(answer.error_code) == Some(ResponseError::NotLeaderOrFollower) {
        assert!(!texts.contains(&"lost".to_owned()), "{texts:?}");
    }
    cluster.assert_alive();
}
