//! Files of a store that are lost: the node says which and stops, and the others go on.

use std::fs;
use std::path::PathBuf;

use trilog_tests::batch::values;
use trilog_tests::cluster::{Cluster, ClusterOptions};
use trilog_tests::waiting::wait_until;

/// The last words of a node that ended by itself.
async fn last_words(cluster: &Cluster, node: i32) -> String {
    wait_until("the node ends", async || cluster.node(node).has_died().then_some(())).await;
    let log = cluster.node(node).log();
    let words = log.lines().rev().find(|line| line.starts_with("trilog: "));
    words.unwrap_or_else(|| panic!("it ends without a word:\n{log}")).to_owned()
}

/// The others take records in, and hold what they took in before.
async fn others_go_on(cluster: &Cluster, expected: &mut Vec<String>) {
    let value = format!("after {}", expected.len());
    wait_until("the others go on", async || {
        let partition = cluster.partition("kept", 0).await;
        (partition.try_produce(values(1, &[&value])).await.error_code == 0).then_some(())
    })
    .await;
    expected.push(value);
    assert_eq!(cluster.partition("kept", 0).await.read_values().await, *expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_lost_a_file_says_which_and_the_others_go_on() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    let partition = cluster.new_partition("kept").await;
    partition.produce(values(1, &["a"])).await;
    let mut expected = vec!["a".to_owned()];
    let data_dir = cluster.node(1).data_dir().clone();

    for file in ["durable", "store/db"] {
        cluster.stop(1).await;
        let (path, aside): (PathBuf, PathBuf) = (data_dir.join(file), cluster.scratch().join("aside"));
        fs::rename(&path, &aside).unwrap();
        cluster.start_node(1);
        let words = last_words(&cluster, 1).await;
        assert!(words.contains(file) && words.contains("missing"), "{words}");
        others_go_on(&cluster, &mut expected).await;
        cluster.kill(1);
        fs::rename(&aside, &path).unwrap();
        cluster.start_node(1);
        cluster.wait_ready().await.unwrap();
    }

    // What sled can do without.
    cluster.stop(1).await;
    fs::remove_file(data_dir.join("store/conf")).unwrap();
    fs::remove_dir_all(data_dir.join("store/blobs")).unwrap();
    for file in fs::read_dir(data_dir.join("store")).unwrap() {
        let path = file.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("snap.") {
            fs::remove_file(path).unwrap();
        }
    }
    cluster.start_node(1);
    cluster.wait_ready().await.unwrap();

    // Under a running node a file that is removed lives on until the node ends, and then all is lost that it took in.
    fs::remove_file(data_dir.join("store/db")).unwrap();
    let words = last_words(&cluster, 1).await;
    assert!(words.contains("store/db") && words.contains("removed"), "{words}");
    others_go_on(&cluster, &mut expected).await;
}
