//! The transport over real sockets: two nodes, or one node and a test that plays its peer byte by byte.

use bytes::{Buf, Bytes};
use raft::eraftpb::{Entry, Message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::gather::Gather;
use super::handshake::{HandshakeError, Refusal};
use super::incoming::MAX_STRANGERS;
use super::*;
use crate::ids::RaftGroupId;

const ONE: NodeId = NodeId(1);
const TWO: NodeId = NodeId(2);
/// A store that the handler takes for one that was replaced, and one that it takes for a replacement.
const RETIRED: StoreId = StoreId([7; 16]);
const SUCCESSOR: StoreId = StoreId([8; 16]);

/// Far above what anything here takes, so that a fault is a failure and not a hang.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, PartialEq)]
enum Event {
    Frame(NodeId, Frame),
    Alive(NodeId),
    Peer(NodeId, PeerEvent),
}

/// A handler that passes everything on to the test.
struct Forward(mpsc::UnboundedSender<Event>);

impl PeerHandler for Forward {
    fn meet(&self, _: NodeId, store: StoreId) -> Result<Recognition, Unrecognized> {
        match store {
            RETIRED => Err(Unrecognized::Retired),
            SUCCESSOR => Ok(Recognition::Successor),
            _ => Ok(Recognition::First),
        }
    }

    fn received(&self, from: NodeId, frame: Frame) {
        let _ = self.0.send(Event::Frame(from, frame));
    }

    fn alive(&self, from: NodeId) {
        let _ = self.0.send(Event::Alive(from));
    }

    fn failed(&self, task: &'static str) {
        panic!("{task} has panicked");
    }

    fn peer_event(&self, peer: NodeId, event: PeerEvent) {
        if event == PeerEvent::Recognized(Recognition::First) {
            return;
        }
        let _ = self.0.send(Event::Peer(peer, event));
    }
}

struct Node {
    transport: Transport,
    events: mpsc::UnboundedReceiver<Event>,
}

impl Node {
    fn start(node: NodeId, listener: TcpListener, peer: NodeId, address: &str) -> Self {
        Self::start_with(node, listener, peer, address, Some(secret()))
    }

    fn start_with(
        node: NodeId,
        listener: TcpListener,
        peer: NodeId,
        address: &str,
        secret: Option<ClusterSecret>,
    ) -> Self {
        let peers = BTreeMap::from([(peer, address.to_owned())]);
        let (sender, events) = mpsc::unbounded_channel();
        let (cluster_id, store) = ("test".to_owned(), StoreId([u8::try_from(node.0).unwrap(); 16]));
        let config = TransportConfig { cluster_id, node, store, listener, peers, secret };
        Self { transport: Transport::start(config, Arc::new(Forward(sender))), events }
    }

    /// What happens next, signs of life left out.
    async fn next(&mut self) -> Event {
        loop {
            match self.next_or_alive().await {
                Event::Alive(_) => {}
                event => return event,
            }
        }
    }

    async fn next_or_alive(&mut self) -> Event {
        timeout(PATIENCE, self.events.recv()).await.expect("nothing happened").expect("the transport ended")
    }

    async fn expect(&mut self, expected: Event) {
        assert_eq!(self.next().await, expected);
    }
}

fn secret() -> ClusterSecret {
    ClusterSecret::from_bytes(&[6; 32])
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// Two nodes that have reached each other.
async fn pair() -> (Node, Node, String) {
    let (listener_one, address_one) = listen().await;
    let (listener_two, address_two) = listen().await;
    let mut one = Node::start(ONE, listener_one, TWO, &address_two);
    let mut two = Node::start(TWO, listener_two, ONE, &address_one);
    one.expect(Event::Peer(TWO, PeerEvent::Connected)).await;
    two.expect(Event::Peer(ONE, PeerEvent::Connected)).await;
    (one, two, address_two)
}

/// Node two alone, whose peer one is played by the test; nobody listens where two looks for one.
async fn two_alone() -> (Node, String) {
    let (listener, address) = listen().await;
    let nowhere = listen().await.1;
    (Node::start(TWO, listener, ONE, &nowhere), address)
}

fn identity(cluster: &str, node: NodeId) -> Identity {
    with_store(cluster, node, StoreId([u8::try_from(node.0).unwrap(); 16]))
}

fn with_store(cluster: &str, node: NodeId, store: StoreId) -> Identity {
    let members = [ONE, TWO, node].map(|node| (node, String::new())).into();
    Identity::new(cluster.to_owned(), node, store, Members::new(members), Some(secret()))
}

/// A connection to node two on which the test is node one.
async fn dial_as_one(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    identity("test", ONE).dial(&mut stream, TWO).await.unwrap();
    stream
}

fn heartbeat(sequence: u64) -> Frame {
    Frame::Heartbeat { sequence }
}

#[tokio::test]
async fn part_of_a_frame_is_a_sign_of_life() {
    let (mut two, address) = two_alone().await;
    let mut stream = dial_as_one(&address).await;
    let entry = Entry { data: vec![7; 3 << 20].into(), ..Entry::default() };
    let message = Message { entries: vec![entry].into(), ..Message::default() };
    let frame = Frame::Raft(vec![GroupMessage { group: RaftGroupId(1), message }]);
    let mut gather = Gather::default();
    frame.encode(&mut gather);
    gather.finish();
    let bytes = gather.copy_to_bytes(gather.remaining());
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    stream.write_all(first).await.unwrap();
    assert_eq!(two.next_or_alive().await, Event::Alive(ONE));
    stream.write_all(rest).await.unwrap();
    two.expect(Event::Frame(ONE, frame)).await;
}

async fn write_heartbeat(stream: &mut TcpStream, sequence: u8) {
    stream.write_all(&[0, 0, 0, 9, 2, 0, 0, 0, 0, 0, 0, 0, sequence]).await.unwrap();
}

/// Waits until the other side has closed a connection, tidily or with a reset.
async fn assert_closed(stream: &mut TcpStream) {
    let read = timeout(PATIENCE, stream.read_u8()).await.expect("the connection stays open");
    assert!(read.is_err(), "a byte came instead of the end");
}

fn raft_frame(entries: usize, data: &Bytes) -> Frame {
    let messages = (0..entries).map(|number| {
        let entry = Entry { index: number as u64, data: data.clone(), ..Entry::default() };
        let message = Message { entries: vec![entry].into(), ..Message::default() };
        GroupMessage { group: RaftGroupId(number as u64), message }
    });
    Frame::Raft(messages.collect())
}

#[tokio::test]
async fn frames_arrive_in_order_both_ways() {
    let (mut one, mut two, _) = pair().await;
    let body = Bytes::from(vec![5; 200_000]);
    let sent = [heartbeat(1), raft_frame(3, &body), Frame::Request { id: 4, body }, heartbeat(2)];
    for frame in &sent {
        one.transport.send(TWO, frame.clone()).unwrap();
    }
    two.transport.send(ONE, heartbeat(9)).unwrap();
    for frame in sent {
        two.expect(Event::Frame(ONE, frame)).await;
    }
    one.expect(Event::Frame(TWO, heartbeat(9))).await;
}

#[tokio::test]
async fn raft_messages_above_the_split_arrive_in_several_frames() {
    let (one, mut two, _) = pair().await;
    let sent = raft_frame(12, &Bytes::from(vec![5; 1024 * 1024]));
    one.transport.send(TWO, sent.clone()).unwrap();
    let (Frame::Raft(sent), mut received) = (sent, Vec::new()) else { unreachable!("it is a Raft frame") };
    let mut frames = 0;
    while received.len() < sent.len() {
        let Event::Frame(ONE, Frame::Raft(some)) = two.next().await else { panic!("another frame") };
        received.extend(some);
        frames += 1;
    }
    assert_eq!(frames, 4);
    assert_eq!(received, sent);
}

#[tokio::test]
async fn any_thread_may_send() {
    let (one, mut two, _) = pair().await;
    let transport = one.transport.clone();
    std::thread::spawn(move || transport.send(TWO, heartbeat(1))).join().unwrap().unwrap();
    two.expect(Event::Frame(ONE, heartbeat(1))).await;
}

#[tokio::test]
async fn a_node_that_is_no_peer_is_not_sent_to() {
    let (one, ..) = pair().await;
    assert_eq!(one.transport.send(NodeId(3), heartbeat(1)), Err(SendError::UnknownPeer));
    assert_eq!(one.transport.send(ONE, heartbeat(1)), Err(SendError::UnknownPeer));
}

#[tokio::test]
async fn a_wrong_cluster_or_id_is_refused_and_the_right_ones_still_pass() {
    let (mut two, address) = two_alone().await;
    let attempts = [
        (identity("other", ONE), TWO, Refusal::Cluster),
        (identity("test", ONE), NodeId(3), Refusal::Node),
        (identity("test", NodeId(7)), TWO, Refusal::UnknownPeer),
        (identity("test", TWO), TWO, Refusal::DuplicateId),
    ];
    for (identity, to, expected) in attempts {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let refused = identity.dial(&mut stream, to).await;
        assert!(matches!(refused, Err(HandshakeError::Refused(why, _)) if why == expected), "{refused:?}");
        assert_closed(&mut stream).await;
    }
    write_heartbeat(&mut dial_as_one(&address).await, 1).await;
    two.expect(Event::Frame(ONE, heartbeat(1))).await;
}

#[tokio::test]
async fn a_peer_that_dies_is_seen_at_once_and_found_again_when_it_returns() {
    let (mut one, two, address) = pair().await;
    two.transport.shutdown().await;
    one.expect(Event::Peer(TWO, PeerEvent::Disconnected)).await;
    assert_eq!(one.transport.send(TWO, heartbeat(1)), Err(SendError::Disconnected));
    one.expect(Event::Peer(TWO, PeerEvent::Refused)).await;

    let listener = TcpListener::bind(&address).await.unwrap();
    let mut two = Node::start(TWO, listener, ONE, "127.0.0.1:1");
    one.expect(Event::Peer(TWO, PeerEvent::Connected)).await;
    one.transport.send(TWO, heartbeat(2)).unwrap();
    two.expect(Event::Frame(ONE, heartbeat(2))).await;
}

#[tokio::test]
async fn a_lost_connection_to_a_living_peer_is_redialled_without_a_refusal() {
    let (listener, address) = listen().await;
    let mut one = Node::start(ONE, listen().await.0, TWO, &address);
    for _ in 0..2 {
        let (mut stream, _) = listener.accept().await.unwrap();
        identity("test", TWO).accept(&mut stream, true, async |_, _| Ok(Recognition::First)).await.unwrap();
        one.expect(Event::Peer(TWO, PeerEvent::Connected)).await;
        drop(stream);
        one.expect(Event::Peer(TWO, PeerEvent::Disconnected)).await;
    }
}

#[tokio::test]
async fn a_peer_that_does_not_read_fills_its_queue_and_no_more() {
    let (listener, address) = listen().await;
    let mut one = Node::start(ONE, listen().await.0, TWO, &address);
    let (mut stream, _) = listener.accept().await.unwrap();
    identity("test", TWO).accept(&mut stream, true, async |_, _| Ok(Recognition::First)).await.unwrap();
    one.expect(Event::Peer(TWO, PeerEvent::Connected)).await;

    let body = Bytes::from(vec![0; MAX_QUEUED_BYTES / 16]);
    let fill = async {
        loop {
            if let Err(error) = one.transport.send(TWO, Frame::Request { id: 0, body: body.clone() }) {
                return error;
            }
            // Lets the writer fill the sockets' buffers too.
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(timeout(PATIENCE, fill).await, Ok(SendError::QueueFull));

    drop(stream);
    one.expect(Event::Peer(TWO, PeerEvent::Disconnected)).await;
    assert_eq!(one.transport.send(TWO, heartbeat(1)), Err(SendError::Disconnected));
}

#[tokio::test]
async fn rubbish_on_the_peer_port_ends_that_connection_only() {
    let (mut two, address) = two_alone().await;
    let mut peer = dial_as_one(&address).await;
    let rubbish: [&[u8]; 4] =
        [b"GET / HTTP/1.1\r\n\r\n", &[0; 100], &[255; 3000], b"TRLG\x00\x01\xff\xffand so on"];
    for bytes in rubbish {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        assert_closed(&mut stream).await;
    }
    write_heartbeat(&mut peer, 1).await;
    two.expect(Event::Frame(ONE, heartbeat(1))).await;
}

#[tokio::test]
async fn a_frame_that_is_none_ends_the_connection_and_the_peer_may_come_back() {
    let (mut two, address) = two_alone().await;
    let frames: [&[u8]; 4] =
        [&[255, 255, 255, 255, 1], &[0, 0, 0, 0], &[0, 0, 0, 2, 99, 0], &[0, 0, 0, 5, 1, 255, 255, 255, 255]];
    for (frame, sequence) in frames.into_iter().zip(1_u8..) {
        let mut peer = dial_as_one(&address).await;
        write_heartbeat(&mut peer, sequence).await;
        two.expect(Event::Frame(ONE, heartbeat(sequence.into()))).await;
        peer.write_all(frame).await.unwrap();
        assert_closed(&mut peer).await;
    }
}

#[tokio::test]
async fn silent_connections_give_way_oldest_first() {
    let (mut two, address) = two_alone().await;
    let mut silent = Vec::new();
    for _ in 0..=MAX_STRANGERS {
        silent.push(TcpStream::connect(&address).await.unwrap());
    }
    assert_closed(&mut silent[0]).await;
    write_heartbeat(&mut dial_as_one(&address).await, 1).await;
    two.expect(Event::Frame(ONE, heartbeat(1))).await;
}

#[tokio::test]
async fn a_newer_connection_of_a_peer_replaces_the_older() {
    let (mut two, address) = two_alone().await;
    let mut older = dial_as_one(&address).await;
    write_heartbeat(&mut older, 1).await;
    two.expect(Event::Frame(ONE, heartbeat(1))).await;
    let mut newer = dial_as_one(&address).await;
    assert_closed(&mut older).await;
    write_heartbeat(&mut newer, 2).await;
    two.expect(Event::Frame(ONE, heartbeat(2))).await;
}

#[tokio::test]
async fn an_older_connection_whose_handshake_ends_late_replaces_nothing() {
    let (mut two, address) = two_alone().await;
    let mut older = TcpStream::connect(&address).await.unwrap();
    let mut newer = dial_as_one(&address).await;
    write_heartbeat(&mut newer, 1).await;
    two.expect(Event::Frame(ONE, heartbeat(1))).await;
    identity("test", ONE).dial(&mut older, TWO).await.unwrap();
    assert_closed(&mut older).await;
    write_heartbeat(&mut newer, 2).await;
    two.expect(Event::Frame(ONE, heartbeat(2))).await;
}

#[tokio::test]
async fn what_was_sent_before_a_shutdown_arrives() {
    let (one, mut two, _) = pair().await;
    let body = Bytes::from(vec![0; 100_000]);
    for id in 0..20 {
        one.transport.send(TWO, Frame::Request { id, body: body.clone() }).unwrap();
    }
    one.transport.shutdown().await;
    one.transport.shutdown().await;
    assert_eq!(one.transport.send(TWO, heartbeat(1)), Err(SendError::Disconnected));
    // The other direction is closed at the same time, and may be noticed first.
    let mut received = Vec::new();
    while received.len() < 20 {
        if let Event::Frame(ONE, Frame::Request { id, body }) = two.next().await {
            assert_eq!(body.len(), 100_000);
            received.push(id);
        }
    }
    assert!(received.into_iter().eq(0..20));
}

#[tokio::test]
async fn a_call_is_answered() {
    let (mut one, mut two, _) = pair().await;
    let client = RpcClient::default();
    let transport = one.transport.clone();
    let asked = Bytes::from_static(b"question");
    let call = client.call(&transport, TWO, asked.clone(), PATIENCE);
    let serve = async {
        let Event::Frame(ONE, Frame::Request { id, body }) = two.next().await else { panic!("no request") };
        assert_eq!(body, asked);
        two.transport.send(ONE, Frame::Response { id, body: Bytes::from_static(b"answer") }).unwrap();
        let Event::Frame(from, Frame::Response { id, body }) = one.next().await else {
            panic!("no response")
        };
        client.complete(from, id, body);
    };
    let (answer, ()) = tokio::join!(call, serve);
    assert_eq!(answer.unwrap(), "answer");
}

#[tokio::test]
async fn a_call_ends_with_its_deadline_or_with_the_connection() {
    let (mut one, mut two, _) = pair().await;
    let client = RpcClient::default();
    let transport = one.transport.clone();
    let unanswered = client.call(&transport, TWO, Bytes::new(), Duration::from_millis(1));
    assert_eq!(unanswered.await, Err(RpcError::TimedOut));

    let call = client.call(&transport, TWO, Bytes::new(), PATIENCE);
    let die = async {
        two.next().await;
        two.transport.shutdown().await;
        one.expect(Event::Peer(TWO, PeerEvent::Disconnected)).await;
        client.disconnected(TWO);
    };
    let (outcome, ()) = tokio::join!(call, die);
    assert_eq!(outcome, Err(RpcError::Unreachable));
    let afterwards = client.call(&transport, TWO, Bytes::new(), PATIENCE).await;
    assert_eq!(afterwards, Err(RpcError::Unreachable));
}

#[tokio::test]
async fn a_node_learns_as_what_it_is_recognized_before_it_is_connected() {
    let (listener, address) = listen().await;
    let mut one = Node::start(ONE, listen().await.0, TWO, &address);
    let (mut stream, _) = listener.accept().await.unwrap();
    identity("test", TWO).accept(&mut stream, true, async |_, _| Ok(Recognition::Successor)).await.unwrap();
    one.expect(Event::Peer(TWO, PeerEvent::Recognized(Recognition::Successor))).await;
    one.expect(Event::Peer(TWO, PeerEvent::Connected)).await;
}

#[tokio::test]
async fn a_store_that_was_replaced_is_refused() {
    let (_two, address) = two_alone().await;
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let refused = with_store("test", ONE, RETIRED).dial(&mut stream, TWO).await;
    assert!(matches!(refused, Err(HandshakeError::Refused(Refusal::Retired, _))), "{refused:?}");
    assert_closed(&mut stream).await;
}

#[tokio::test]
async fn a_second_store_under_a_living_peers_id_is_refused_until_the_peer_falls_silent() {
    let (mut two, address) = two_alone().await;
    let mut first = dial_as_one(&address).await;
    let second = with_store("test", ONE, SUCCESSOR);
    for number in 1.. {
        write_heartbeat(&mut first, number).await;
        two.expect(Event::Frame(ONE, heartbeat(number.into()))).await;
        let mut stream = TcpStream::connect(&address).await.unwrap();
        match second.dial(&mut stream, TWO).await {
            Err(HandshakeError::Refused(Refusal::SecondStore, _)) => break,
            // This process stood still for so long that the first one's time was over.
            Ok(_) => first = dial_as_one(&address).await,
            Err(other) => panic!("{other}"),
        }
    }
    // The first one says nothing more, and its time runs out while the second one tries.
    let recognition = loop {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        match second.dial(&mut stream, TWO).await {
            Ok((recognition, _)) => break recognition,
            Err(HandshakeError::Refused(Refusal::SecondStore, _)) => {}
            Err(other) => panic!("{other}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(recognition, Recognition::Successor);
    assert_closed(&mut first).await;
}

#[tokio::test]
async fn nodes_without_a_secret_reach_each_other_on_loopback_and_others_not() {
    let (listener, address) = listen().await;
    let mut two = Node::start_with(TWO, listener, ONE, "127.0.0.1:1", None);
    let mut one = Node::start_with(ONE, listen().await.0, TWO, &address, None);
    one.expect(Event::Peer(TWO, PeerEvent::Connected)).await;
    one.transport.send(TWO, heartbeat(1)).unwrap();
    two.expect(Event::Frame(ONE, heartbeat(1))).await;
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let refused = identity("test", ONE).dial(&mut stream, TWO).await;
    assert!(
        matches!(refused, Err(HandshakeError::Refused(Refusal::AcceptorWithoutSecret, _))),
        "{refused:?}"
    );
    assert_closed(&mut stream).await;
}

/// What the first stranger did: with all that Metadata tells, but not with the secret.
#[tokio::test]
async fn a_stranger_that_knows_everything_but_the_secret_is_not_let_in() {
    let (mut two, address) = two_alone().await;
    for (secret, expected) in [
        (None, Refusal::DiallerWithoutSecret),
        (Some(ClusterSecret::from_bytes(&[7; 32])), Refusal::OtherSecret),
    ] {
        let members = Members::new([ONE, TWO].map(|node| (node, String::new())).into());
        let stranger = Identity::new("test".into(), ONE, StoreId([9; 16]), members, secret);
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let refused = stranger.dial(&mut stream, TWO).await;
        assert!(matches!(refused, Err(HandshakeError::Refused(why, _)) if why == expected), "{refused:?}");
        write_heartbeat(&mut stream, 1).await;
        assert_closed(&mut stream).await;
    }
    write_heartbeat(&mut dial_as_one(&address).await, 2).await;
    two.expect(Event::Frame(ONE, heartbeat(2))).await;
}
