//! Slow and hostile clients of the HTTP port, which the Kafka port must not notice.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use trilog_tests::batch::values;
use trilog_tests::cluster::{Cluster, ClusterOptions};
use trilog_tests::http::request;
use trilog_tests::waiting::wait_until;

/// More than the port serves at once.
const MANY: usize = 300;

/// The end of a connection: whatever still came, and how it ended.
async fn ended(mut stream: TcpStream) -> String {
    let mut received = Vec::new();
    // A reset is an end as good as any.
    let _ = stream.read_to_end(&mut received).await;
    String::from_utf8_lossy(&received).into_owned()
}

#[tokio::test]
async fn clients_that_say_nothing_are_let_go_and_nobody_else_waits_for_them() {
    let cluster = Cluster::start(ClusterOptions::nodes(1)).await;
    let node = cluster.node(1);
    let mut silent = Vec::new();
    for number in 0..MANY {
        let mut stream = TcpStream::connect(node.http_address()).await.unwrap();
        if number % 2 == 0 {
            // It may be closed already.
            let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost:").await;
        }
        silent.push(stream);
    }
    // Kafka's clients come and go as before.
    cluster.new_partition("unmoved").await.produce(values(0, &["still"])).await;
    cluster.connect(1).await;
    for stream in silent {
        let received = ended(stream).await;
        assert!(!received.contains("200 OK"), "{received}");
    }
    wait_until("the port answers again", async || node.get("/health/live").await).await;
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    let cluster = Cluster::start(ClusterOptions::nodes(1)).await;
    let address = cluster.node(1).http_address();
    for rubbish in [
        "\0\0\0\x10\0\x12\0\x03".to_owned(),
        "GET / HTTP/1.1\r\n".to_owned() + &"x: y\r\n".repeat(1 << 16),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The node need not read it all.
        let _ = stream.write_all(rubbish.as_bytes()).await;
        let _ = stream.shutdown().await;
        let received = ended(stream).await;
        assert!(!received.contains("200 OK"), "{received}");
    }
    let long = request(address, "PUT", "/log", &"x".repeat(5_000)).await.unwrap();
    assert_eq!(long.status, 413);
    let unknown = request(address, "GET", "/metrics/all", "").await.unwrap();
    assert_eq!(unknown.status, 404);
    let pushed = request(address, "POST", "/metrics", "a 1").await.unwrap();
    assert_eq!(pushed.status, 405);
    cluster.assert_alive();
}
