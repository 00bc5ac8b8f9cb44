//! Millions of frames that are nearly sound: requests of all APIs in all versions, frames and hellos at the peers' port, and requests of
//! HTTP. At last somebody who has the cluster's secret says anything in the name of a node.
//!
//! A frame counts once the node has answered it, or has closed the connection for it. What waits for an answer for too long is left, as
//! what was changed may be the time that a request may take.

mod corpus;
mod mutate;
mod peer;

use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::corpus::Corpus;
use self::peer::Speaker;
use super::memory::Memory;
use super::{Attack, Scenario, Size};
use crate::batch::values;
use crate::cluster::{Cluster, ClusterOptions};
use crate::waiting::wait_until;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "fuzzed",
    what: "millions of fuzzed frames: all APIs and versions, the peers' port without and with the secret, HTTP",
    cluster: || ClusterOptions::nodes(3).set("auto.create.topics.enable", "false"),
    prepare: super::nothing,
    attack: |cluster, size| -> Attack<'_> { Box::pin(attack(cluster, size)) },
};

/// Connections at the same time.
const CONNECTIONS: u64 = 240;

/// Frames that are sent before answers are read.
const BURST: usize = 8;

/// How long a burst waits for an answer.
const PATIENCE: Duration = Duration::from_millis(200);

/// The pause after a connection that failed.
const AGAIN: Duration = Duration::from_millis(20);

/// The longest answer that is read as one.
const LONGEST_ANSWER: usize = 64 << 20;

/// The correlation id of the request behind each burst.
const LAST: i32 = i32::MIN;

/// Requests of HTTP that others are made from.
const HTTP: [&[u8]; 5] = [
    b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /log HTTP/1.0\r\n\r\n",
    b"PUT /log HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\ninfo",
    b"POST /log HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ninfo\r\n0\r\n\r\n",
];

async fn attack(cluster: &mut Cluster, size: Size) {
    let partition = cluster.new_partition("fuzzed").await;
    let connection = cluster.connect(1).await;
    let corpus = Corpus::new(connection.versions(), &partition.target);
    eprintln!("{} requests of {} versions are changed", corpus.frames.len(), corpus.apis.len());
    let requests = fuzz_requests(cluster, corpus.frames, size.choose(20_000, 9_300_000)).await;
    let at_peers = fuzz_peer_port(cluster, size.choose(720, 300_000)).await;
    let over_http = fuzz_http(cluster, size.choose(480, 200_000)).await;
    cluster.assert_alive();
    let as_peer = fuzz_as_peer(size.choose(2_000, 200_000)).await;
    eprintln!("{requests} requests, {at_peers} at the peers' port, {over_http} of HTTP, {as_peer} as a peer");
    // A changed name that is the topic's own has it deleted. With millions of frames that happens, and is sound as well.
    if let Some(partition) = cluster.partition_as_led("fuzzed", 0).await {
        assert!(partition.end().await > 0, "some requests were sound");
    }
    let after = cluster.new_partition("after").await;
    assert_eq!(after.produce(values(1, &["a"])).await, 0, "a new topic is served");
}

/// Sends about so many fuzzed requests to all nodes. How many were worked on.
async fn fuzz_requests(cluster: &Cluster, sound: Vec<Vec<u8>>, count: u64) -> u64 {
    let addresses: Vec<String> =
        cluster.ids().into_iter().map(|id| cluster.node(id).address().to_owned()).collect();
    let sound: &'static [Vec<u8>] = sound.leak();
    let mut clients = JoinSet::new();
    for (seed, address) in (0..CONNECTIONS).zip(addresses.into_iter().cycle()) {
        clients.spawn(async move {
            let (mut random, mut done) = (Rng::with_seed(seed), 0);
            let mut open = None;
            while done < count / CONNECTIONS {
                let burst: Vec<_> = (0..BURST).map(|_| mutate::frame(&mut random, sound)).collect();
                let stream = match open.take() {
                    Some(stream) => stream,
                    None => connected(&address).await,
                };
                let (worked_on, kept) = converse(stream, &burst).await;
                done += worked_on;
                open = kept;
            }
            done
        });
    }
    clients.join_all().await.into_iter().sum()
}

/// A new connection. A node may take none for a moment, and a machine has so many ports.
async fn connected(address: &str) -> TcpStream {
    loop {
        if let Ok(stream) = TcpStream::connect(address).await {
            return stream;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Sends frames and reads what is answered. How many of them were worked on, and the connection if it is still of use.
async fn converse(mut stream: TcpStream, burst: &[Vec<u8>]) -> (u64, Option<TcpStream>) {
    let mut bytes = Vec::new();
    for frame in burst {
        bytes.extend_from_slice(&length_of(frame));
        bytes.extend_from_slice(frame);
    }
    // ApiVersions v0: its answer shows that all before it were worked on, also those that get none.
    bytes.extend_from_slice(&[0, 0, 0, 10, 0, 18, 0, 0]);
    bytes.extend_from_slice(&LAST.to_be_bytes());
    bytes.extend_from_slice(&[0xff, 0xff]);
    let mut answered = 0;
    let talk = async {
        let (mut read, mut write) = stream.split();
        let send = async {
            // A node that closes does not take the rest.
            let _ = write.write_all(&bytes).await;
        };
        let receive = async {
            loop {
                match timeout(PATIENCE, answer(&mut read)).await {
                    Ok(Some(LAST)) => return true,
                    Ok(Some(_)) => answered += 1,
                    Ok(None) | Err(_) => return false,
                }
            }
        };
        let (_, is_whole) = tokio::join!(timeout(PATIENCE, send), receive);
        is_whole
    };
    if talk.await { (burst.len() as u64, Some(stream)) } else { (answered + 1, None) }
}

fn length_of(frame: &[u8]) -> [u8; 4] {
    u32::try_from(frame.len()).expect("frames are short").to_be_bytes()
}

/// Reads an answer. Its correlation id, or none when there is no more.
async fn answer(read: &mut (impl AsyncReadExt + Unpin)) -> Option<i32> {
    let length = usize::try_from(read.read_u32().await.ok()?).ok()?;
    assert!((4..=LONGEST_ANSWER).contains(&length), "an answer of {length} bytes");
    let correlation_id = read.read_i32().await.ok()?;
    let mut rest = read.take((length - 4) as u64);
    let copied = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await.ok()?;
    (copied == (length - 4) as u64).then_some(correlation_id)
}

/// Says so many things to one address, each on a connection of its own. How many could be said.
async fn say_each(address: &str, count: u64, make: fn(&mut Rng) -> Vec<u8>) -> u64 {
    let mut clients = JoinSet::new();
    for seed in 0..CONNECTIONS {
        let address = address.to_owned();
        clients.spawn(async move {
            let (mut random, mut said) = (Rng::with_seed(seed), 0);
            for _ in 0..count / CONNECTIONS {
                let Ok(mut stream) = TcpStream::connect(&address).await else { continue };
                let bytes = make(&mut random);
                let exchange = async {
                    let _ = stream.write_all(&bytes).await;
                    let _ = stream.shutdown().await;
                    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                };
                let _ = timeout(PATIENCE, exchange).await;
                said += 1;
            }
            said
        });
    }
    clients.join_all().await.into_iter().sum()
}

/// Fuzzed hellos and frames for whoever has not proved the secret.
async fn fuzz_peer_port(cluster: &Cluster, count: u64) -> u64 {
    let make = |random: &mut Rng| {
        let members = "1@127.0.0.1:1,2@127.0.0.1:2,3@127.0.0.1:3".to_owned();
        let mut sound = peer::frames();
        let hellos = Range { start: 1, end: 5 }
            .map(|to| Speaker { node: 3, store: [9; 16], members: members.clone() }.hello(to));
        sound.extend(hellos);
        let mut said = Vec::new();
        for _ in 0..random.usize(1..4) {
            let frame = mutate::frame(random, &sound);
            if random.bool() {
                said.extend_from_slice(&length_of(&frame));
            }
            said.extend_from_slice(&frame);
        }
        said
    };
    say_each(cluster.node(1).peer_address(), count, make).await
}

async fn fuzz_http(cluster: &Cluster, count: u64) -> u64 {
    let make = |random: &mut Rng| mutate::frame(random, &HTTP.map(<[u8]>::to_vec));
    say_each(cluster.node(2).http_address(), count, make).await
}

/// In a cluster of its own, node 3 is stopped, and somebody with the secret and its store's id speaks in its name. Such a one may make
/// groups elect leaders, and more, but ends no node and fills none. How many frames were taken.
async fn fuzz_as_peer(count: u64) -> u64 {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    let members: Vec<_> = cluster.ids().into_iter().map(|id| (id, cluster.node(id).peer_address())).collect();
    let members: Vec<_> = members.into_iter().map(|(id, address)| format!("{id}@{address}")).collect();
    let members = members.join(",");
    let store = peer::store_of(3, cluster.node(3).peer_address(), &members).await;
    let store = store.expect("node 3 can be dialled").expect("node 3 challenges");
    let speaker = Speaker { node: 3, store, members };
    cluster.stop(3).await;
    let mut memory = Memory::before(&cluster);
    let (sound, mut random, mut taken) = (peer::frames(), Rng::with_seed(7), 0);
    while taken < count {
        for to in [1, 2] {
            let address = cluster.node(to).peer_address();
            let to = to.unsigned_abs();
            let stream = wait_until("the speaker is let in", async || {
                speaker.let_in(to, address).await.ok().flatten()
            });
            taken += speak(stream.await, &mut random, &sound).await;
            assert!(!cluster.node(1).has_died() && !cluster.node(2).has_died(), "a node has ended");
        }
    }
    memory.attacked(&cluster);
    assert!(memory.is_bounded(), "{memory:?}");
    for id in [1, 2] {
        wait_until("a node still answers", async || cluster.node(id).get("/health/live").await).await;
    }
    taken
}

/// Sends fuzzed frames until the node has enough of them. How many.
async fn speak(mut stream: TcpStream, random: &mut Rng, sound: &[Vec<u8>]) -> u64 {
    for said in 0..1_000 {
        let frame = mutate::frame(random, sound);
        let bytes = [&length_of(&frame)[..], &frame].concat();
        if stream.write_all(&bytes).await.is_err() {
            return said + 1;
        }
    }
    1_000
}
