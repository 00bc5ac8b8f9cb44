//! Right flags on a machine that does not allow them: one line, and exit code 1.

use std::net::TcpListener;
use std::path::Path;

use trilog_tests::batch::values;
use trilog_tests::binary::run;
use trilog_tests::cluster::{CLUSTER_ID, Cluster, ClusterOptions};
use trilog_tests::ports::free_port;
use trilog_tests::scratch::Scratch;
use trilog_tests::waiting::wait_until;

/// Starts a node alone; it must end with exit code 1 and one line of its own that says all of `named`.
async fn assert_fails(data_dir: &Path, port: u16, further: &[&str], named: &[&str]) {
    let data_dir = format!("--data-dir={}", data_dir.display());
    let listeners = format!("--listeners=PLAINTEXT://127.0.0.1:{port}");
    let arguments = [&["serve", data_dir.as_str(), listeners.as_str()], further].concat();
    let output = run(&arguments, &[]).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let lines = said.lines().filter(|line| line.starts_with("trilog:")).collect::<Vec<_>>();
    assert_eq!(lines.len(), 1, "{said}");
    assert!(!said.contains("panicked"), "{said}");
    for name in named {
        assert!(lines[0].contains(name), "it does not name {name}: {}", lines[0]);
    }
}

/// The data directory of a node that ran once, as node 1 of [`CLUSTER_ID`].
async fn used(cluster: &mut Cluster) -> &Path {
    let partition = cluster.new_partition("used").await;
    partition.produce(values(1, &["a"])).await;
    cluster.stop(1).await;
    cluster.node(1).data_dir()
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let scratch = Scratch::new("port");
    let port = free_port();
    let _holder = TcpListener::bind(("127.0.0.1", port)).unwrap();
    // This process has it.
    let named = [format!(":{port}"), format!("process {} (", std::process::id())];
    let named = named.each_ref().map(String::as_str);
    assert_fails(&scratch.join("data"), port, &[], &[&named[..], &["--listeners"]].concat()).await;
    let peers = format!("--peers=1@127.0.0.1:{port},2@127.0.0.1:1,3@127.0.0.1:2");
    let data_dir = scratch.join("data");
    assert_fails(&data_dir, free_port(), &[&peers], &[&named[..], &["--peer-listener"]].concat()).await;
    let http = format!("--http-listener=127.0.0.1:{port}");
    assert_fails(&data_dir, free_port(), &[&http], &[&named[..], &["--http-listener"]].concat()).await;
}

#[tokio::test]
async fn a_port_that_is_taken_for_a_moment_is_waited_for() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(1)).await;
    let node = cluster.node(1);
    for (address, tried) in [node.address(), node.http_address()].map(str::to_owned).iter().zip(1..) {
        cluster.stop(1).await;
        let taken = TcpListener::bind(address).unwrap();
        cluster.start_node(1);
        wait_until("the node tries again", async || {
            (cluster.node(1).log().matches("trying again").count() == tried).then_some(())
        })
        .await;
        drop(taken);
        cluster.wait_ready().await.unwrap();
    }
}

#[tokio::test]
async fn a_directory_in_use_is_named() {
    let cluster = Cluster::start(ClusterOptions::nodes(1)).await;
    let data_dir = cluster.node(1).data_dir();
    let cluster_id = format!("--cluster-id={CLUSTER_ID}");
    assert_fails(data_dir, free_port(), &[&cluster_id], &[&data_dir.display().to_string(), "in use"]).await;
    cluster.assert_alive();
}

#[tokio::test]
async fn a_directory_of_another_node_is_named() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(1)).await;
    let data_dir = used(&mut cluster).await;
    let cluster_id = format!("--cluster-id={CLUSTER_ID}");
    let named = [data_dir.display().to_string(), "node 1".to_owned()];
    let named = named.each_ref().map(String::as_str);
    assert_fails(data_dir, free_port(), &["--node-id=2", &cluster_id], &named).await;
}

#[tokio::test]
async fn a_directory_of_another_cluster_is_named() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(1)).await;
    let data_dir = used(&mut cluster).await;
    let named = [data_dir.display().to_string(), CLUSTER_ID.to_owned()];
    let named = named.each_ref().map(String::as_str);
    assert_fails(data_dir, free_port(), &["--cluster-id=another"], &named).await;
}

#[tokio::test]
async fn a_directory_of_a_cluster_of_other_nodes_is_named() {
    let cluster_id = format!("--cluster-id={CLUSTER_ID}");
    let three = format!(
        "--peers=1@127.0.0.1:{},2@127.0.0.1:{},3@127.0.0.1:{}",
        free_port(),
        free_port(),
        free_port()
    );
    for (nodes, flags, found) in [
        (1, vec![cluster_id.as_str(), &three], "of nodes 1,"),
        (3, vec![cluster_id.as_str()], "of nodes 1, 2, 3,"),
    ] {
        let mut cluster = Cluster::start(ClusterOptions::nodes(nodes)).await;
        let data_dir = used(&mut cluster).await.to_owned();
        let named = [&data_dir.display().to_string(), "--peers", found];
        // It is refused however often it is tried, and goes on with the nodes that it was made with.
        for _ in 0..2 {
            assert_fails(&data_dir, free_port(), &flags, &named).await;
        }
        cluster.start_node(1);
        cluster.wait_ready().await.unwrap();
        assert_eq!(cluster.partition("used", 0).await.read_values().await, ["a"]);
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_named() {
    let scratch = Scratch::new("unwritable");
    let file = scratch.join("file");
    std::fs::write(&file, "in the way").unwrap();
    // Below a file nothing can be made, whoever one is.
    for data_dir in [file.clone(), file.join("data"), Path::new("/proc/none/data").to_owned()] {
        assert_fails(&data_dir, free_port(), &[], &[&data_dir.display().to_string()]).await;
    }
}

#[tokio::test]
async fn a_directory_full_of_something_else_is_named() {
    let scratch = Scratch::new("foreign");
    let data_dir = scratch.join("data");
    std::fs::create_dir_all(data_dir.join("store")).unwrap();
    for name in ["db", "conf"] {
        std::fs::write(data_dir.join("store").join(name), "letters to the editor").unwrap();
    }
    assert_fails(&data_dir, free_port(), &[], &[&data_dir.display().to_string()]).await;
}
