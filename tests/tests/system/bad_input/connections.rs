//! Connections that say nothing, or begin and do not go on.

use std::time::Duration;

use kafka_protocol::messages::MetadataRequest;
use kafka_protocol::protocol::Request;
use trilog_client::wire::RawConnection;
use trilog_tests::batch::values;
use trilog_tests::cluster::{Cluster, ClusterOptions};

/// How much a node may grow by a thousand of them, in bytes.
const GROWTH: u64 = 100 << 20;

/// Requests that are sent at once.
const FLOOD: usize = 1000;

/// How many bytes of requests a node takes at most from a client that reads no answers: far more than all that operating
/// systems keep for both ends of a connection.
const MOST: usize = 128 << 20;

/// How long nothing can be sent before that counts as a standstill.
const STANDSTILL: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_thousand_silent_connections_disturb_nobody() {
    let cluster = Cluster::start(ClusterOptions::nodes(1)).await;
    let before = cluster.resident_bytes();
    let mut open = Vec::new();
    for number in 0..1000 {
        let mut raw = RawConnection::connect(cluster.node(1).address()).await.unwrap();
        match number % 3 {
            0 => {}
            // Half a length.
            1 => raw.send_bytes(&[0, 0]).await.unwrap(),
            // A hundred megabytes are announced, of which eight bytes come.
            _ => raw.send_bytes(&[0x06, 0x40, 0, 0, 0, 3, 0, 1]).await.unwrap(),
        }
        open.push(raw);
    }
    let partition = cluster.new_partition("among-silent-ones").await;
    assert_eq!(partition.produce(values(1, &["a"])).await, 0);
    assert_eq!(partition.read_values().await, ["a"]);
    cluster.assert_alive();
    let grown = cluster.resident_bytes().saturating_sub(before);
    assert!(grown < GROWTH, "the node has grown by {} MiB", grown >> 20);
}

#[tokio::test]
async fn a_client_that_never_reads_holds_up_only_itself() {
    let cluster = Cluster::start(ClusterOptions::nodes(1)).await;
    let partition = cluster.new_partition("never-read").await;
    let before = cluster.resident_bytes();
    let mut deaf = RawConnection::connect(cluster.node(1).address()).await.unwrap();
    // Metadata of everything, over and over: the answers are larger than the requests.
    let mut request = vec![0; 4];
    request.extend_from_slice(&MetadataRequest::KEY.to_be_bytes());
    request.extend_from_slice(&[0, 1, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    request[3] = u8::try_from(request.len() - 4).unwrap();
    let requests = request.repeat(FLOOD);
    // The node stops reading at some point, and then nothing more can be sent.
    let mut sent = 0;
    while let Ok(outcome) = tokio::time::timeout(STANDSTILL, deaf.send_bytes(&requests)).await {
        outcome.expect("the node keeps the connection");
        sent += requests.len();
        assert!(sent < MOST, "the node goes on reading from a client that reads nothing");
    }
    assert_eq!(partition.produce(values(1, &["a"])).await, 0);
    cluster.assert_alive();
    let grown = cluster.resident_bytes().saturating_sub(before);
    assert!(grown < GROWTH, "the node has grown by {} MiB", grown >> 20);

    // It is served as soon as it reads.
    for _ in 0..FLOOD {
        let answer = deaf.read_frame().await.unwrap().expect("the node keeps the connection");
        assert_eq!(answer[..4], [0, 0, 0, 1]);
    }
}
