//! The main job: a file of a million lines in through kcat and out again, byte for byte and in order.

use trilog_tests::admin::{NewTopic, delete_topic};
use trilog_tests::batch::Codec;
use trilog_tests::cluster::{Cluster, ClusterOptions, shared};
use trilog_tests::kcat::{SlowProducer, consume_file, produce_file};
use trilog_tests::lines;
use trilog_tests::waiting::wait_until;

const LINES: usize = 1_000_000;

/// An offset well within the file.
const MIDDLE: i64 = 500_000;

/// The high watermark upon which the leader is killed: there is more on its way, and it is not the first batch.
const A_QUARTER: i64 = 250_000;

/// Runs what blocks off the runtime.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test]
async fn a_million_lines_pass_through_with_every_codec() {
    let cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    let (sent, bootstrap) = (cluster.scratch().join("sent"), cluster.bootstrap());
    let file = sent.clone();
    blocking(move || lines::write(&file, LINES)).await;
    for codec in Codec::ALL {
        let topic = format!("kcat-{}", codec.name());
        cluster.create(NewTopic::new(&topic).partitions(1).replicas(3)).await;
        let received = cluster.scratch().join(&topic);
        let (from, to, bootstrap, name) = (sent.clone(), received.clone(), bootstrap.clone(), topic.clone());
        blocking(move || {
            produce_file(&bootstrap, &name, &from, &["-z", codec.name()]);
            consume_file(&bootstrap, &name, &to);
            lines::assert_same(&from, &to);
        })
        .await;
        // The client really compressed: it leaves that out if it takes the broker for one that cannot read it.
        let partition = cluster.partition(&topic, 0).await;
        assert_eq!(partition.fetch(MIDDLE).await[0].codec(), codec);
        std::fs::remove_file(&received).unwrap();
        delete_topic(&cluster.connect_any().await, &topic).await;
    }
    cluster.assert_alive();
}

#[tokio::test]
async fn a_million_lines_survive_the_leaders_death() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    cluster.create(NewTopic::new("kcat-killed").partitions(1).replicas(3)).await;
    let (sent, received) = (cluster.scratch().join("sent"), cluster.scratch().join("received"));
    let (file, bootstrap) = (sent.clone(), cluster.bootstrap());
    let mut producer = blocking(move || {
        lines::write(&file, LINES);
        let flags = ["-X", "enable.idempotence=true"];
        let mut producer = SlowProducer::start(&bootstrap, "kcat-killed", &file, &flags);
        producer.feed(LINES / 2);
        producer
    })
    .await;
    let leader = cluster.leader("kcat-killed", 0).await;
    let partition = cluster.partition("kcat-killed", 0).await;
    wait_until("a quarter is acknowledged", async || {
        let answer = partition.try_list_offset(-1).await;
        (answer.offset > A_QUARTER).then_some(())
    })
    .await;
    // The other quarter is on its way: in kcat's queue, on the wire, in the leader.
    cluster.kill(leader);
    producer = blocking(move || {
        producer.feed(LINES / 4);
        producer
    })
    .await;
    cluster.leader_where("kcat-killed", 0, |node| node != leader).await;
    cluster.start_node(leader);
    cluster.wait_ready().await.unwrap();
    let (from, to, bootstrap) = (sent.clone(), received.clone(), cluster.bootstrap());
    blocking(move || {
        producer.finish();
        consume_file(&bootstrap, "kcat-killed", &to);
        lines::assert_same(&from, &to);
    })
    .await;
    cluster.assert_alive();
}

#[tokio::test]
async fn a_topic_needs_not_exist() {
    let cluster = shared().await;
    let (sent, received) = (cluster.scratch().join("auto-sent"), cluster.scratch().join("auto-received"));
    let bootstrap = cluster.bootstrap();
    blocking(move || {
        lines::write(&sent, 1000);
        produce_file(&bootstrap, "kcat-auto-created", &sent, &[]);
        consume_file(&bootstrap, "kcat-auto-created", &received);
        lines::assert_same(&sent, &received);
    })
    .await;
}
