//! `trilog health`, and the topics that a node makes by itself.

use kafka_protocol::messages::MetadataRequest;
use trilog_client::wire::{Connection, ConnectionOptions};
use trilog_tests::binary;
use trilog_tests::node::Node;
use trilog_tests::ports::free_port;
use trilog_tests::scratch::Scratch;
use trilog_tests::waiting::wait_until;

/// Asks the node, and says whether it is well, with what was said.
async fn health(address: &str, topics: &str) -> (bool, String) {
    let address = format!("--address={address}");
    let output = binary::run(&["health", &address, "--create-topics", topics], &[]).await;
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test]
async fn a_node_is_healthy_once_it_serves_and_its_topics_exist() {
    let scratch = Scratch::new("health");
    let executable = tokio::task::spawn_blocking(binary::trilog).await.unwrap();
    let address = format!("127.0.0.1:{}", free_port());
    let (data_dir, log) = (scratch.join("data"), scratch.join("log"));
    let arguments = vec![
        format!("--data-dir={}", data_dir.display()),
        format!("--listeners=PLAINTEXT://{address}"),
        "--create-topics=orders:2:1,mail:1:1".to_owned(),
    ];
    let mut node = Node::new(1, executable.to_owned(), arguments, address.clone(), data_dir, log);

    let (well, said) = health(&address, "").await;
    assert!(!well && said.contains(&address), "{said}");

    // Twice: what exists is no reason to complain.
    for _ in 0..2 {
        node.start();
        wait_until("the node is healthy", async || health(&address, "orders:2:1").await.0.then_some(()))
            .await;
        let (well, said) = health(&address, "nothing:1:1").await;
        assert!(!well && said.contains("nothing"), "{said}");
        assert!(!node.log().contains("ERROR"), "{}", node.log());
        node.stop().await;
    }

    node.start();
    wait_until("the node is healthy", async || health(&address, "").await.0.then_some(())).await;
    let connection = Connection::connect(&address, &ConnectionOptions::default()).await.unwrap();
    let metadata = connection.request(MetadataRequest::default().with_topics(None)).await.unwrap();
    let mut topics = metadata
        .topics
        .iter()
        .map(|topic| (topic.name.as_ref().unwrap().0.to_string(), topic.partitions.len()))
        .collect::<Vec<_>>();
    topics.sort();
    assert_eq!(topics[1..], [("mail".to_owned(), 1), ("orders".to_owned(), 2)]);
}
