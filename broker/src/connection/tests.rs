//! Connections over real sockets, to an API that does what its clients ask for.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::FindCoordinatorRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::queue::MAX_READY_BYTES;
use super::*;
use crate::metrics::Metrics;

/// Obeys the key of a FindCoordinator request.
#[derive(Default)]
struct Obedient {
    handled: watch::Sender<usize>,
    waiting: watch::Sender<usize>,
    released: Notify,
    memory: Arc<Memory>,
}

/// How many bytes of answers are in memory, and were at most.
#[derive(Default)]
struct Memory {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// An answer's body that is missed when it is gone.
struct Tracked(Vec<u8>, Arc<Memory>);

impl Tracked {
    fn bytes(length: usize, memory: &Arc<Memory>) -> Bytes {
        let now = memory.now.fetch_add(length, Ordering::SeqCst) + length;
        memory.most.fetch_max(now, Ordering::SeqCst);
        Bytes::from_owner(Self(vec![0; length], Arc::clone(memory)))
    }
}

impl AsRef<[u8]> for Tracked {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.1.now.fetch_sub(self.0.len(), Ordering::SeqCst);
    }
}

/// Counts one future that waits to be released.
struct Waiting(Arc<Obedient>);

impl Waiting {
    fn new(api: &Arc<Obedient>) -> Self {
        api.waiting.send_modify(|waiting| *waiting += 1);
        Self(Arc::clone(api))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.send_modify(|waiting| *waiting -= 1);
    }
}

/// The API behind a shared handle, so that tests can look into it.
struct Shared(Arc<Obedient>);

impl Api for Shared {
    fn handle(&self, request: Request) -> Reply {
        let api = Arc::clone(&self.0);
        api.handled.send_modify(|handled| *handled += 1);
        let asked: FindCoordinatorRequest = match request.decode() {
            Ok(asked) => asked,
            Err(reason) => return reason.into(),
        };
        let (reply_to, memory) = (request.reply_to(), Arc::clone(&request.memory));
        let (order, number) = asked.key.split_once(' ').unwrap_or((&asked.key, "0"));
        let number = number.parse().unwrap();
        match order {
            "now" => reply_to.answer_body([Tracked::bytes(number, &api.memory)], memory.nothing()).into(),
            "none" => Reply::unanswered(async { Ok(()) }),
            "close" => CloseReason::NotServed { api_key: request.api_key, api_version: 99 }.into(),
            "later" => Reply::later(async move {
                reply_to.answer_body([Tracked::bytes(number, &api.memory)], memory.nothing())
            }),
            "wait" => {
                let waiting = Waiting::new(&api);
                Reply::later(async move {
                    waiting.0.released.notified().await;
                    reply_to.answer_body([], memory.nothing())
                })
            }
            "release" => Reply::later(async move {
                api.released.notify_one();
                reply_to.answer_body([], memory.nothing())
            }),
            other => panic!("unknown order {other}"),
        }
    }
}

/// A node that serves [`Obedient`].
struct Server {
    api: Arc<Obedient>,
    address: SocketAddr,
    shutdown: watch::Sender<bool>,
    serving: JoinHandle<io::Result<()>>,
}

impl Server {
    fn start(limits: Limits) -> Self {
        Self::start_with(limits, PerAddress::default())
    }

    fn start_with(limits: Limits, per_address: PerAddress) -> Self {
        Self::start_for(limits, Admission { most: watch::channel(4096).1, per_address })
    }

    fn start_for_most(most: usize) -> Self {
        let most = watch::channel(most).1;
        Self::start_for(Limits::default(), Admission { most, per_address: PerAddress::default() })
    }

    fn start_for(limits: Limits, admission: Admission) -> Self {
        let api = Arc::new(Obedient::default());
        let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = socket.local_addr().unwrap();
        let (shutdown, stopped) = watch::channel(false);
        let listener = Listener { name: "TEST".into(), sockets: vec![socket] };
        let shared = Arc::new(Shared(Arc::clone(&api)));
        let serving =
            tokio::spawn(serve(vec![listener], shared, (limits, admission), Metrics::default(), stopped));
        Self { api, address, shutdown, serving }
    }

    async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }

    async fn handled(&self, requests: usize) {
        self.api.handled.subscribe().wait_for(|handled| *handled >= requests).await.unwrap();
    }
}

struct Client(TcpStream);

impl Client {
    async fn send(&mut self, correlation_id: i32, order: &str) {
        self.0.write_all(&request(correlation_id, order)).await.unwrap();
    }

    /// The next answer's correlation id and the length of its body.
    async fn receive(&mut self) -> io::Result<(i32, usize)> {
        let length = usize::try_from(self.0.read_i32().await?).unwrap();
        let correlation_id = self.0.read_i32().await?;
        let mut body = vec![0; length - 4];
        self.0.read_exact(&mut body).await?;
        Ok((correlation_id, body.len()))
    }

    /// Waits for the broker to close, before it sends anything else.
    async fn closed(&mut self) {
        match self.0.read(&mut [0; 16]).await {
            Ok(read) => assert_eq!(read, 0, "the broker sent something"),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
        }
    }
}

/// A FindCoordinator v0 request without a client id, prefix included.
fn request(correlation_id: i32, order: &str) -> Vec<u8> {
    let key = i16::try_from(order.len()).unwrap();
    let mut content = vec![0, 10, 0, 0];
    content.extend_from_slice(&correlation_id.to_be_bytes());
    content.extend_from_slice(&(-1i16).to_be_bytes());
    content.extend_from_slice(&key.to_be_bytes());
    content.extend_from_slice(order.as_bytes());
    framed(&content)
}

fn framed(content: &[u8]) -> Vec<u8> {
    [&i32::try_from(content.len()).unwrap().to_be_bytes()[..], content].concat()
}

#[tokio::test]
async fn answers_keep_the_order_of_requests() {
    let server = Server::start(Limits::default());
    let mut client = server.connect().await;
    // The first waits for the third, which is not at the head of the queue.
    for (correlation_id, order) in [(1, "wait"), (2, "now 3"), (3, "release"), (4, "none"), (5, "later 7")] {
        client.send(correlation_id, order).await;
    }
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(client.receive().await.unwrap());
    }
    assert_eq!(answers, [(1, 0), (2, 3), (3, 0), (5, 7)]);
}

#[tokio::test]
async fn a_burst_in_pieces_is_answered_whole() {
    let server = Server::start(Limits::default());
    let mut client = server.connect().await;
    let burst: Vec<u8> = (0..500).flat_map(|id| request(id, "now 10")).collect();
    let (mut read, mut write) = client.0.split();
    let sending = async {
        for piece in burst.chunks(7) {
            write.write_all(piece).await.unwrap();
        }
    };
    let receiving = async {
        for expected in 0..500 {
            let mut answer = [0; 18];
            read.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer[4..8], i32::to_be_bytes(expected));
        }
    };
    tokio::join!(sending, receiving);
}

#[tokio::test]
async fn impossible_frames_close_the_connection_after_earlier_answers() {
    let server = Server::start(Limits { max_request_bytes: 1_000, ..Limits::default() });
    let negative = (-5i32).to_be_bytes().to_vec();
    let oversized = 1_001i32.to_be_bytes().to_vec();
    let empty = framed(&[]);
    let unknown_api = framed(&[0x7f, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff]);
    let hostile = framed(&[0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    let refused = request(2, "close");
    for frame in [negative, oversized, empty, unknown_api, hostile, refused] {
        let mut client = server.connect().await;
        client.send(1, "later 5").await;
        client.0.write_all(&frame).await.unwrap();
        assert_eq!(client.receive().await.unwrap(), (1, 5), "{frame:?}");
        client.closed().await;
    }
    let mut client = server.connect().await;
    client.send(1, "now 5").await;
    assert_eq!(client.receive().await.unwrap(), (1, 5), "others are not affected");
}

#[tokio::test]
async fn what_waits_is_dropped_when_the_client_leaves() {
    let server = Server::start(Limits::default());
    let mut client = server.connect().await;
    client.send(1, "wait").await;
    client.send(2, "wait").await;
    server.handled(2).await;
    assert_eq!(*server.api.waiting.borrow(), 2);
    drop(client);
    server.api.waiting.subscribe().wait_for(|waiting| *waiting == 0).await.unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_read_is_not_worked_for() {
    const ANSWER: usize = 1 << 20;
    let server = Server::start(Limits::default());
    for order in ["now 1048576", "later 1048576"] {
        let mut client = server.connect().await;
        let before = *server.api.handled.borrow();
        for correlation_id in 0..200 {
            client.send(correlation_id, order).await;
        }
        server.handled(before + MAX_READY_BYTES / ANSWER).await;
        for correlation_id in 0..200 {
            assert_eq!(client.receive().await.unwrap(), (correlation_id, ANSWER));
        }
        let most = server.api.memory.most.load(Ordering::SeqCst);
        // Beyond the bound: the answer that crossed it, and those with the writer.
        assert!(most <= MAX_READY_BYTES + 3 * ANSWER, "{order}: {most} bytes of answers at once");
    }
}

#[tokio::test]
async fn idle_connections_are_closed_and_waiting_ones_are_not() {
    let server = Server::start(Limits { max_idle: Duration::from_millis(50), ..Limits::default() });
    let mut waiting = server.connect().await;
    waiting.send(1, "wait").await;
    server.handled(1).await;
    let mut idle = server.connect().await;
    idle.closed().await;
    let mut other = server.connect().await;
    other.send(2, "release").await;
    assert_eq!(waiting.receive().await.unwrap(), (1, 0));
    waiting.closed().await;
}

#[tokio::test]
async fn connections_above_the_limit_wait() {
    let server = Server::start_for_most(2);
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    for client in [&mut first, &mut second] {
        client.send(1, "now 1").await;
        assert_eq!(client.receive().await.unwrap(), (1, 1));
    }
    let mut waiting = [server.connect().await, server.connect().await];
    for client in &mut waiting {
        client.send(1, "now 1").await;
    }
    // Those that have a slot are served meanwhile.
    second.send(2, "now 1").await;
    assert_eq!(second.receive().await.unwrap(), (2, 1));
    for leaving in [&mut first, &mut second] {
        leaving.send(3, "close").await;
        leaving.closed().await;
    }
    for client in &mut waiting {
        assert_eq!(client.receive().await.unwrap(), (1, 1));
    }
}

#[tokio::test]
async fn a_connection_that_waits_for_a_slot_does_not_keep_the_server() {
    let server = Server::start_for_most(1);
    let mut only = server.connect().await;
    only.send(1, "now 1").await;
    assert_eq!(only.receive().await.unwrap(), (1, 1));
    let mut waiting = server.connect().await;
    server.shutdown.send_replace(true);
    waiting.closed().await;
    server.serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn connections_of_an_address_above_its_limit_are_closed() {
    let overrides = [("::1".parse().unwrap(), 5)].into();
    let server = Server::start_with(Limits::default(), PerAddress { most: 1, overrides });
    let mut only = server.connect().await;
    only.send(1, "now 1").await;
    assert_eq!(only.receive().await.unwrap(), (1, 1));
    server.connect().await.closed().await;
    only.send(2, "now 2").await;
    assert_eq!(only.receive().await.unwrap(), (2, 2), "the first one stays");
}

#[tokio::test]
async fn shutdown_answers_open_requests_first() {
    let server = Server::start(Limits::default());
    let mut client = server.connect().await;
    let mut idle = server.connect().await;
    client.send(1, "wait").await;
    server.handled(1).await;
    server.shutdown.send(true).unwrap();
    idle.closed().await;
    server.api.released.notify_one();
    assert_eq!(client.receive().await.unwrap(), (1, 0));
    client.closed().await;
    server.serving.await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
}
