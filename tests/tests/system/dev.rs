//! `trilog dev`: a local cluster, and a stage for failover.

use std::os::unix::fs::PermissionsExt;

use kafka_protocol::messages::MetadataRequest;
use trilog_client::wire::Connection;
use trilog_tests::admin::topic_metadata;
use trilog_tests::cluster::{connection_options, permit_to_run};
use trilog_tests::dev::{Dev, DevOptions};
use trilog_tests::node::{Signal, is_alive};
use trilog_tests::ports::free_block;
use trilog_tests::requests::only;
use trilog_tests::scratch::Scratch;
use trilog_tests::waiting::wait_until;

/// How far above its port for clients a node's port for its peers is, and its HTTP port.
const DISTANCES: [u16; 2] = [1000, 2000];

fn options(scratch: &Scratch) -> DevOptions {
    DevOptions::new(free_block(5, &[0, DISTANCES[0], DISTANCES[1]]), scratch.join("data"))
}

async fn connect(options: &DevOptions, node: u16) -> Connection {
    let address = format!("127.0.0.1:{}", options.base_port + node - 1);
    Connection::connect(&address, &connection_options()).await.unwrap()
}

/// The process ids of nodes 1 to 3, once all are written down.
async fn pids(dev: &Dev) -> [u32; 3] {
    wait_until("the process ids are written down", async || {
        Some([dev.node_pid(1)?, dev.node_pid(2)?, dev.node_pid(3)?])
    })
    .await
}

async fn wait_gone(pids: &[u32]) {
    wait_until("the nodes end", async || pids.iter().all(|pid| !is_alive(*pid)).then_some(())).await;
}

#[tokio::test]
async fn it_starts_says_what_there_is_and_ends_everything() {
    let _permit = permit_to_run().await;
    let scratch = Scratch::new("dev");
    let options = options(&scratch);
    let mut dev = Dev::start(&options);
    dev.ready().await;
    let secret = std::fs::metadata(scratch.join("data").join("cluster.secret")).unwrap();
    assert_eq!(secret.permissions().mode() & 0o777, 0o600);
    let pids = pids(&dev).await;
    let bootstrap = format!("127.0.0.1:{}", options.base_port);
    dev.hear("the bootstrap string", |line| line.contains("bootstrap") && line.contains(&bootstrap)).await;
    dev.hear("a command to try", |line| line.contains("produce greetings -b")).await;
    for pid in pids {
        dev.hear("each node's process id", |line| line.contains(&pid.to_string())).await;
        assert!(is_alive(pid));
    }
    dev.hear("a line of node 2's log", |line| line.starts_with("[2] ")).await;
    for address in [bootstrap, format!("[::1]:{}", options.base_port + 1)] {
        let connection = Connection::connect(&address, &connection_options()).await.unwrap();
        let metadata = connection.request(MetadataRequest::default().with_topics(None)).await.unwrap();
        assert_eq!(metadata.brokers.len(), 3, "{address}");
    }
    dev.signal(Signal::Interrupt);
    assert!(dev.ended().await.success());
    wait_gone(&pids).await;
    assert_eq!(dev.node_pid(1), None, "the file of process ids is gone");
}

#[tokio::test]
async fn topics_are_created_and_kept_over_a_restart() {
    let _permit = permit_to_run().await;
    let scratch = Scratch::new("dev");
    let options = options(&scratch)
        .flags(&["--create-topic", "flagged:3:3"])
        .variable("TRILOG_CREATE_TOPICS", "topic1:3:1,topic2:2:1");
    let mut ids = Vec::new();
    for _ in 0..2 {
        let mut dev = Dev::start(&options);
        dev.ready().await;
        let connection = connect(&options, 1).await;
        let mut shown = Vec::new();
        for (name, partitions, replicas) in [("flagged", 3, 3), ("topic1", 3, 1), ("topic2", 2, 1)] {
            let topic = only(topic_metadata(&connection, name).await.unwrap().topics);
            assert_eq!((topic.error_code, topic.partitions.len()), (0, partitions), "{name}");
            assert!(topic.partitions.iter().all(|row| row.replica_nodes.len() == replicas), "{name}");
            shown.push(topic.topic_id);
        }
        ids.push(shown);
        dev.say("quit");
        assert!(dev.ended().await.success());
    }
    assert_eq!(ids[0], ids[1], "a topic that exists is left as it is");
}

#[tokio::test]
async fn commands_kill_stop_pause_and_start_nodes() {
    let _permit = permit_to_run().await;
    let scratch = Scratch::new("dev");
    let mut dev = Dev::start(&options(&scratch));
    dev.ready().await;
    let before = pids(&dev).await;
    for (command, node, index) in [("kill 2", 2, 1), ("stop 3", 3, 2)] {
        dev.say(command);
        wait_gone(&[before[index]]).await;
        dev.hear("that it is down", |line| {
            line.starts_with(&format!("node {node}")) && line.contains("down")
        })
        .await;
        wait_until("its file is gone", async || dev.node_pid(node).is_none().then_some(())).await;
        dev.say(&format!("start {node}"));
        let after = wait_until("it is started again", async || dev.node_pid(node)).await;
        assert_ne!(after, before[index]);
        assert!(is_alive(after));
    }
    let stopped = async |wanted: bool| {
        wait_until("node 1 is paused or goes on", async || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", before[0])).ok()?;
            (stat.contains(") T ") == wanted).then_some(())
        })
        .await;
    };
    dev.say("pause 1");
    stopped(true).await;
    dev.say("resume 1");
    stopped(false).await;
    let heard = dev.heard();
    dev.say("status");
    for node in 1..=3 {
        let names = |line: &str| line.contains(&format!("node {node}"));
        dev.hear_after(heard, "how each node is", names).await;
    }
    dev.say("juggle 2");
    dev.hear_after(heard, "what is allowed", |line| line.contains("pause N")).await;
    assert!(dev.runs());
    dev.say("quit");
    assert!(dev.ended().await.success());
}

#[tokio::test]
async fn a_node_that_dies_stays_down_and_it_says_so() {
    let _permit = permit_to_run().await;
    let scratch = Scratch::new("dev");
    let options = options(&scratch);
    let mut dev = Dev::start(&options);
    dev.ready().await;
    let pids = pids(&dev).await;
    let killed = std::process::Command::new("sh").args(["-c", &format!("kill -KILL {}", pids[1])]).status();
    assert!(killed.unwrap().success());
    dev.hear("that node 2 is down", |line| line.starts_with("node 2") && line.contains("down")).await;
    assert!(dev.runs() && is_alive(pids[0]) && is_alive(pids[2]), "the others go on");
    let connection = connect(&options, 1).await;
    connection.request(MetadataRequest::default()).await.unwrap();
}

#[tokio::test]
async fn the_end_of_input_is_not_the_end() {
    let _permit = permit_to_run().await;
    let scratch = Scratch::new("dev");
    let options = options(&scratch);
    let mut dev = Dev::start(&options);
    dev.end_input();
    dev.ready().await;
    connect(&options, 3).await.request(MetadataRequest::default()).await.unwrap();
    assert!(dev.runs());
    dev.signal(Signal::Terminate);
    assert!(dev.ended().await.success());
}

#[tokio::test]
async fn no_node_outlives_it() {
    let _permit = permit_to_run().await;
    let scratch = Scratch::new("dev");
    let options = options(&scratch);
    let mut dev = Dev::start(&options);
    dev.ready().await;
    let pids = pids(&dev).await;
    dev.kill();
    wait_gone(&pids).await;
    // What it left behind does not keep the next one from starting.
    let dev = Dev::start(&options);
    dev.ready().await;
}

#[tokio::test]
async fn one_directory_serves_one_at_a_time() {
    let _permit = permit_to_run().await;
    let scratch = Scratch::new("dev");
    let mut dev = Dev::start(&options(&scratch).flags(&["--nodes=1"]));
    dev.hear("node 1", |line| line.starts_with("node 1")).await;
    let mut second = Dev::start(&options(&scratch).flags(&["--nodes=1"]));
    assert_eq!(second.ended().await.code(), Some(1));
    second.hear("who has it", |line| line.contains("in use")).await;
    assert!(dev.runs());
}

#[tokio::test]
async fn five_nodes_are_a_cluster_too() {
    let _permit = permit_to_run().await;
    let scratch = Scratch::new("dev");
    let options = options(&scratch).flags(&["--nodes=5", "--create-topic=wide:5:5"]);
    let dev = Dev::start(&options);
    dev.ready().await;
    let topic = only(topic_metadata(&connect(&options, 5).await, "wide").await.unwrap().topics);
    assert!(topic.partitions.iter().all(|row| row.replica_nodes.len() == 5), "{topic:?}");
}
