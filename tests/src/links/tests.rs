//! What the two ends of a link feel.

use std::io::ErrorKind;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::waiting::wait_until;

/// Two nodes' listeners and the links between them.
struct Pair {
    links: Links,
    /// Where node 2 listens.
    listener: TcpListener,
    ports: BTreeMap<i32, u16>,
}

impl Pair {
    async fn new() -> Self {
        let ports = BTreeMap::from([(1, free_port()), (2, free_port())]);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, ports[&2])).await.unwrap();
        Self { links: Links::new(&ports), listener, ports }
    }

    /// Node 1 dials node 2, which the link does by itself, too, to see whether anybody is there: such a connection
    /// closes without a word.
    async fn connect(&self) -> (TcpStream, TcpStream) {
        let mut sender = self.dial().await;
        sender.write_all(b"hello").await.unwrap();
        let receiver = self.accept().await;
        (sender, receiver)
    }

    async fn dial(&self) -> TcpStream {
        wait_until("the link listens", async || self.try_dial().await.ok()).await
    }

    async fn try_dial(&self) -> std::io::Result<TcpStream> {
        TcpStream::connect(self.links.address(1, 2)).await
    }

    async fn accept(&self) -> TcpStream {
        loop {
            let (mut stream, _) = self.listener.accept().await.unwrap();
            let mut hello = [0; 5];
            if stream.read_exact(&mut hello).await.is_ok() {
                assert_eq!(&hello, b"hello");
                return stream;
            }
        }
    }
}

async fn receive(stream: &mut TcpStream) -> u8 {
    stream.read_u8().await.unwrap()
}

/// What a read finds without waiting.
fn look(stream: &TcpStream) -> std::io::Result<usize> {
    stream.try_read(&mut [0; 16])
}

#[tokio::test]
async fn a_healthy_link_passes_both_ways_and_to_the_end() {
    let pair = Pair::new().await;
    let (mut sender, mut receiver) = pair.connect().await;
    sender.write_all(b"a").await.unwrap();
    assert_eq!(receive(&mut receiver).await, b'a');
    receiver.write_all(b"b").await.unwrap();
    assert_eq!(receive(&mut sender).await, b'b');
    sender.shutdown().await.unwrap();
    assert_eq!(receiver.read(&mut [0; 1]).await.unwrap(), 0);
    receiver.write_all(b"c").await.unwrap();
    drop(receiver);
    assert_eq!(receive(&mut sender).await, b'c');
    assert_eq!(sender.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_cut_is_silent_and_one_way_and_what_was_sent_comes_when_it_is_healed() {
    let pair = Pair::new().await;
    let (mut sender, mut receiver) = pair.connect().await;
    pair.links.cut(1, 2);
    sender.write_all(b"a").await.unwrap();
    // A dial is accepted, and what is said is not heard.
    let mut other = pair.dial().await;
    other.write_all(b"hello").await.unwrap();
    let backwards = TcpListener::bind((Ipv4Addr::LOCALHOST, pair.ports[&1])).await.unwrap();
    wait_until("the other direction is open", async || {
        TcpStream::connect(pair.links.address(2, 1)).await.ok()
    })
    .await;
    backwards.accept().await.unwrap();
    for stream in [&sender, &receiver, &other] {
        assert_eq!(look(stream).unwrap_err().kind(), ErrorKind::WouldBlock);
    }
    pair.links.heal(1, 2);
    assert_eq!(receive(&mut receiver).await, b'a');
    pair.accept().await;
}

#[tokio::test]
async fn a_peers_end_during_a_cut_is_heard_of_when_it_is_healed() {
    let pair = Pair::new().await;
    let (mut sender, receiver) = pair.connect().await;
    pair.links.cut(1, 2);
    drop((receiver, pair.listener));
    // The link is not asked whether anybody is there.
    TcpStream::connect(pair.links.address(1, 2)).await.unwrap();
    assert_eq!(look(&sender).unwrap_err().kind(), ErrorKind::WouldBlock);
    pair.links.heal_all();
    assert!(sender.read(&mut [0; 1]).await.is_ok_and(|read| read == 0));
    let refused = TcpStream::connect(pair.links.address(1, 2)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_reset_link_resets_and_refuses() {
    let pair = Pair::new().await;
    let (mut sender, mut receiver) = pair.connect().await;
    pair.links.cut_reset(1, 2);
    for stream in [&mut sender, &mut receiver] {
        let error = stream.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    wait_until("the link refuses", async || pair.try_dial().await.err()).await;
    pair.links.heal(1, 2);
    pair.connect().await;
}

#[tokio::test]
async fn a_peer_that_is_gone_refuses_and_one_that_returns_does_not() {
    let Pair { links, listener, ports } = Pair::new().await;
    let pair = Pair { links, listener, ports };
    let (mut sender, receiver) = pair.connect().await;
    let Pair { links, listener, ports } = pair;
    drop((listener, receiver));
    assert_eq!(sender.read(&mut [0; 1]).await.unwrap(), 0, "the peer's end");
    let refused = TcpStream::connect(links.address(1, 2)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "no later than the connection closed");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, ports[&2])).await.unwrap();
    Pair { links, listener, ports }.connect().await;
}

#[tokio::test]
async fn a_slow_link_takes_its_time_and_keeps_the_order() {
    let pair = Pair::new().await;
    let (mut sender, mut receiver) = pair.connect().await;
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    for (delay, rate) in [(Duration::from_millis(50), None), (Duration::ZERO, Some(1_000_000))] {
        pair.links.delay(1, 2, delay);
        pair.links.rate(1, 2, rate);
        let start = Instant::now();
        sender.write_all(&bytes).await.unwrap();
        let mut received = vec![0; bytes.len()];
        receiver.read_exact(&mut received).await.unwrap();
        assert_eq!(received, bytes);
        // Faster than that it cannot have been.
        assert!(start.elapsed() >= Duration::from_millis(50), "{delay:?}, {rate:?}");
    }
}
