//! Clients of the HTTP port that send a part of a request and then nothing, more of them than the port has connections. Probes of
//! health are answered all the same.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{Attack, Scenario, Size};
use crate::cluster::{Cluster, ClusterOptions};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "slow-http",
    what: "clients of the HTTP port send a part of a request and then nothing, while health is asked for",
    cluster: || ClusterOptions::nodes(3),
    prepare: super::nothing,
    attack: |cluster, size| -> Attack<'_> { Box::pin(attack(cluster, size)) },
};

/// How long a client waits before it connects again, once the node has closed its connection.
const AGAIN: Duration = Duration::from_millis(100);

/// What they begin with.
const BEGINNINGS: [&[u8]; 4] = [
    b"",
    b"GET /health/live HTTP/1.1\r\nHost:",
    b"PUT /log HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nin",
    b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ",
];

async fn attack(cluster: &mut Cluster, size: Size) {
    let mut slow = JoinSet::new();
    let (clients, probes) = size.choose((80, 30), (500, 300));
    for number in 0..clients {
        let address = cluster.node(1).http_address().to_owned();
        slow.spawn(async move {
            loop {
                if let Ok(mut stream) = TcpStream::connect(&address).await {
                    let _ = stream.write_all(BEGINNINGS[number % BEGINNINGS.len()]).await;
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                }
                tokio::time::sleep(AGAIN).await;
            }
        });
    }
    for probe in 0..probes {
        tokio::time::sleep(Duration::from_millis(20)).await;
        for path in ["/health/live", "/health/ready", "/metrics"] {
            let answer = cluster.node(1).get(path).await;
            let answer = answer.unwrap_or_else(|| panic!("probe {probe} of {path} is not answered"));
            // A node may have reasons of its own not to be ready.
            assert!(answer.status == 200 || path == "/health/ready", "{path}: {answer:?}");
        }
    }
}
