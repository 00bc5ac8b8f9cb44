//! Nodes that are asked to end: the others take it as it is meant, and a node that had hardly begun ends as well.

use trilog_tests::binary;
use trilog_tests::cluster::{Cluster, ClusterOptions};
use trilog_tests::node::Node;
use trilog_tests::ports::free_port;
use trilog_tests::scratch::Scratch;
use trilog_tests::waiting::wait_until;

/// The lines of a log from the one with this number on that hold all of `words`.
fn lines(node: &Node, from: usize, words: &[&str]) -> Vec<String> {
    let log = node.log();
    let is_it = |line: &&str| words.iter().all(|word| line.contains(word));
    log.lines().skip(from).filter(is_it).map(str::to_owned).collect()
}

fn log_length(node: &Node) -> usize {
    node.log().lines().count()
}

#[tokio::test]
async fn a_stop_that_was_announced_is_no_warning() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    for stopped in cluster.ids() {
        let before =
            cluster.ids().into_iter().map(|id| (id, log_length(cluster.node(id)))).collect::<Vec<_>>();
        cluster.stop(stopped).await;
        for (id, from) in before.iter().filter(|(id, _)| *id != stopped) {
            let node = cluster.node(*id);
            let peer = format!("peer={stopped} ");
            wait_until("the others have noticed", async || {
                lines(node, *from, &["has ended", &peer]).first().cloned()
            })
            .await;
            wait_until("the others know that it is gone", async || {
                lines(node, *from, &["peer lost", &format!("peer={stopped}")]).first().cloned()
            })
            .await;
        }
        cluster.start_node(stopped);
        cluster.wait_ready().await.unwrap();
        for (id, from) in before {
            let warnings = lines(cluster.node(id), from, &["WARN"]);
            assert!(warnings.is_empty(), "node {id} warns of a stop of node {stopped}: {warnings:?}");
        }
    }
    // A loss is one.
    cluster.kill(3);
    for id in [1, 2] {
        wait_until("a loss is warned of", async || {
            lines(cluster.node(id), 0, &["WARN", "lost the connection", "peer=3 "]).first().cloned()
        })
        .await;
    }
}

#[tokio::test]
async fn a_node_that_is_asked_to_end_before_all_have_registered_ends_in_a_few_lines() {
    let scratch = Scratch::new("early-end");
    let executable = tokio::task::spawn_blocking(binary::trilog).await.unwrap();
    let [address, own, http] = [(); 3].map(|()| format!("127.0.0.1:{}", free_port()));
    let data_dir = scratch.join("data");
    // Nobody is there but node 1.
    let arguments = vec![
        format!("--data-dir={}", data_dir.display()),
        format!("--listeners=PLAINTEXT://{address}"),
        format!("--http-listener={http}"),
        format!("--peers=1@{own},2@127.0.0.1:{},3@127.0.0.1:{}", free_port(), free_port()),
        "--create-topics=orders:1:3".to_owned(),
    ];
    let log = scratch.join("log");
    let mut node = Node::new(1, executable.to_owned(), arguments, address, data_dir, log).with_http(http);
    node.start();
    wait_until("the node runs, and waits for the others", async || {
        node.get("/health/ready").await.filter(|answer| answer.body.contains("no controller"))
    })
    .await;
    assert!(node.stop().await.success());
    let log = node.log();
    assert!(log.contains("ended"), "{log}");
    assert!(!log.contains("clients are served"), "{log}");
    assert!(!log.contains("--create-topics waits"), "it has not waited for long:\n{log}");
    assert!(log.lines().count() < 40, "{log}");
}
