//! A stranger dials the peer ports in the name of a node that is silent, with all that the cluster tells its clients but
//! without its secret. It is let in nowhere, whatever it says first, and the real node comes back.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Attack, Scenario, Size};
use crate::cluster::{CLUSTER_ID, Cluster, ClusterOptions};
use crate::waiting::wait_until;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "stranger",
    what: "dials to the peer ports in the name of a silent node, without the secret",
    cluster: || ClusterOptions::nodes(3),
    prepare: super::nothing,
    attack: |cluster, size| -> Attack<'_> { Box::pin(attack(cluster, size)) },
};

/// The node in whose name the stranger speaks.
const SILENT: i32 = 3;

/// Verdicts of an acceptor, see `cluster/src/transport/handshake`.
const ACCEPTED: [u8; 2] = [0, 255];
const CHALLENGE: u8 = 254;

/// Lines of the log that a node may write about all of it, and about the node that is silent.
const MOST_LINES: usize = 140;

/// How the stranger goes about it.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// As a node of another release.
    OtherVersion,
    /// As a node without a secret.
    WithoutSecret,
    /// As one with a secret, for which it makes up the proof.
    WithProof,
}

async fn attack(cluster: &mut Cluster, size: Size) {
    let lines = |cluster: &Cluster| cluster.node(1).log().lines().count();
    let before = lines(cluster);
    cluster.kill(SILENT);
    let address = cluster.node(1).peer_address().to_owned();
    for _ in 0..size.choose(50, 5_000) {
        for way in [Way::OtherVersion, Way::WithoutSecret, Way::WithProof] {
            assert!(!is_let_in(&address, way).await, "{way:?} is let in");
        }
    }
    assert!(lines(cluster) - before <= MOST_LINES, "{}", cluster.node(1).log());
    cluster.start_node(SILENT);
    wait_until("the silent node is back", async || {
        let answer = cluster.node(SILENT).get("/health/ready").await?;
        (answer.status == 200).then_some(())
    })
    .await;
}

/// Whether a node takes what follows the stranger's hello for a peer's frames.
async fn is_let_in(address: &str, way: Way) -> bool {
    let version = match way {
        Way::OtherVersion => 3,
        Way::WithoutSecret | Way::WithProof => version_of(address).await,
    };
    let mut stream = TcpStream::connect(address).await.expect("the peer port is open");
    stream.write_all(&hello(version, matches!(way, Way::WithProof))).await.expect("a hello is taken");
    let verdict = verdict(&mut stream).await;
    let Some(CHALLENGE) = verdict else { return verdict.is_some_and(|verdict| ACCEPTED.contains(&verdict)) };
    let (mut challenge, proof) = ([0; 48], [7; 32]);
    stream.read_exact(&mut challenge).await.expect("a challenge is whole");
    stream.write_all(&proof).await.expect("a proof is taken");
    self::verdict(&mut stream).await.is_some_and(|verdict| ACCEPTED.contains(&verdict))
}

/// The version of the peers' protocol that a node speaks, which it says to anybody.
async fn version_of(address: &str) -> u16 {
    let mut stream = TcpStream::connect(address).await.expect("the peer port is open");
    stream.write_all(&hello(0, false)).await.expect("a hello is taken");
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).await.expect("another version is refused");
    u16::from_be_bytes([answer[4], answer[5]])
}

async fn verdict(stream: &mut TcpStream) -> Option<u8> {
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).await.ok()?;
    Some(answer[6])
}

/// The silent node's hello to node 1, from a store that nobody knows.
fn hello(version: u16, proves: bool) -> Vec<u8> {
    let silent = SILENT.unsigned_abs().to_be_bytes();
    let mut rest = [&silent[..], &1_u32.to_be_bytes(), &[9; 16], &[u8::from(proves)], &[5; 32]].concat();
    rest.push(u8::try_from(CLUSTER_ID.len()).expect("a short name"));
    rest.extend_from_slice(CLUSTER_ID.as_bytes());
    rest.extend_from_slice(b"1@127.0.0.1:1,2@127.0.0.1:2,3@127.0.0.1:3");
    let length = u16::try_from(rest.len()).expect("a short hello");
    [&b"TRLG"[..], &version.to_be_bytes(), &length.to_be_bytes(), &rest].concat()
}
