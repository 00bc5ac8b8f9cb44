//! Connections against a broker that does exactly what each test tells it to.

use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, DescribeClusterRequest, DescribeClusterResponse,
    MetadataRequest, MetadataResponse, ProduceRequest, RequestHeader, ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

use super::*;
use crate::wire::frame::{FrameError, take_frame};
use crate::wire::handshake;

/// What the fake broker lists: enough to negotiate, one API without a common version.
const LISTED: [(i16, i16, i16); 4] = [(18, 0, 4), (3, 0, 12), (0, 0, 11), (60, 90, 99)];

/// A listening socket on the loopback interface.
struct FakeBroker {
    listener: TcpListener,
    address: String,
}

impl FakeBroker {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        Self { listener, address }
    }

    async fn accept(&self) -> Peer {
        Peer { stream: self.listener.accept().await.unwrap().0, incoming: BytesMut::new() }
    }

    /// A connection that has passed the handshake, and the broker's end of it.
    async fn connected(&self, options: &ConnectionOptions) -> (Connection, Peer) {
        let serve = async {
            let mut peer = self.accept().await;
            peer.handshake().await;
            peer
        };
        let (connection, peer) = tokio::join!(Connection::connect(&self.address, options), serve);
        (connection.unwrap(), peer)
    }
}

/// The broker's end of one connection.
struct Peer {
    stream: TcpStream,
    incoming: BytesMut,
}

impl Peer {
    /// The next request's header and body, `None` once the client has closed.
    async fn read(&mut self) -> Option<(RequestHeader, Bytes)> {
        loop {
            if let Some(mut frame) = take_frame(&mut self.incoming, 1 << 20).unwrap() {
                let key = i16::from_be_bytes([frame[0], frame[1]]);
                let version = i16::from_be_bytes([frame[2], frame[3]]);
                let header_version = match key {
                    18 => ApiVersionsRequest::header_version(version),
                    3 => MetadataRequest::header_version(version),
                    0 => ProduceRequest::header_version(version),
                    other => panic!("unexpected key {other}"),
                };
                return Some((RequestHeader::decode(&mut frame, header_version).unwrap(), frame));
            }
            if self.stream.read_buf(&mut self.incoming).await.unwrap() == 0 {
                return None;
            }
        }
    }

    /// Answers a request with `body` encoded in `version`.
    async fn answer<B: Encodable + HeaderVersion>(&mut self, to: &RequestHeader, body: &B, version: i16) {
        let mut frame = BytesMut::new();
        let header = ResponseHeader::default().with_correlation_id(to.correlation_id);
        header.encode(&mut frame, B::header_version(version)).unwrap();
        body.encode(&mut frame, version).unwrap();
        self.send_frame(&frame).await;
    }

    async fn send_frame(&mut self, frame: &[u8]) {
        let mut bytes = BytesMut::new();
        bytes.put_u32(u32::try_from(frame.len()).unwrap());
        bytes.put_slice(frame);
        self.stream.write_all(&bytes).await.unwrap();
    }

    async fn handshake(&mut self) {
        let (header, _) = self.read().await.unwrap();
        assert_eq!(header.request_api_key, 18);
        self.answer(&header, &listing(), header.request_api_version).await;
    }
}

fn listing() -> ApiVersionsResponse {
    let rows = LISTED.iter().map(|(key, min, max)| {
        ApiVersion::default().with_api_key(*key).with_min_version(*min).with_max_version(*max)
    });
    ApiVersionsResponse::default().with_api_keys(rows.collect())
}

/// A Metadata answer that can be told from others.
fn metadata(controller: i32) -> MetadataResponse {
    MetadataResponse::default().with_controller_id(controller.into())
}

#[tokio::test]
async fn a_request_is_sent_in_the_negotiated_version_under_our_name() {
    let broker = FakeBroker::start().await;
    let options = ConnectionOptions { client_id: "a test".to_owned(), ..ConnectionOptions::default() };
    let (connection, mut peer) = broker.connected(&options).await;
    let serve = async {
        let (header, mut body) = peer.read().await.unwrap();
        assert_eq!(header.request_api_version, 12, "the broker's highest, since the codec knows more");
        assert_eq!(header.client_id.as_deref(), Some("a test"));
        MetadataRequest::decode(&mut body, 12).unwrap();
        peer.answer(&header, &metadata(3), 12).await;
    };
    let (answer, ()) = tokio::join!(connection.request(MetadataRequest::default()), serve);
    assert_eq!(answer.unwrap().controller_id.0, 3);
}

#[tokio::test]
async fn many_requests_in_flight_get_their_own_answers() {
    let broker = FakeBroker::start().await;
    let (connection, mut peer) = broker.connected(&ConnectionOptions::default()).await;
    let ask = |version| connection.request_at_version(MetadataRequest::default(), version);
    let serve = async {
        let mut headers = Vec::new();
        for _ in 0..3 {
            headers.push(peer.read().await.unwrap().0);
        }
        // All three are in flight before the first is answered; each answer is in its request's version.
        for header in headers {
            let version = header.request_api_version;
            peer.answer(&header, &metadata(i32::from(version)), version).await;
        }
    };
    let (one, nine, five, ()) = tokio::join!(ask(1), ask(9), ask(5), serve);
    assert_eq!(one.unwrap().controller_id.0, 1);
    assert_eq!(nine.unwrap().controller_id.0, 9);
    assert_eq!(five.unwrap().controller_id.0, 5);
}

#[tokio::test]
async fn requests_leave_in_the_order_they_were_queued() {
    let broker = FakeBroker::start().await;
    let (connection, mut peer) = broker.connected(&ConnectionOptions::default()).await;
    let mut pending = Vec::new();
    for _ in 0..20 {
        pending.push(connection.enqueue(MetadataRequest::default()).await.unwrap());
    }
    drop(connection);
    for controller in 0..20 {
        let (header, _) = peer.read().await.unwrap();
        peer.answer(&header, &metadata(controller), 12).await;
    }
    for (controller, pending) in (0..20).zip(pending) {
        assert_eq!(pending.answer().await.unwrap().controller_id.0, controller);
    }
    assert!(peer.read().await.is_none(), "the last pending answer kept the connection open");
}

#[tokio::test]
async fn an_older_broker_is_asked_again_in_a_version_it_knows() {
    let broker = FakeBroker::start().await;
    let serve = async {
        let mut peer = broker.accept().await;
        let (header, _) = peer.read().await.unwrap();
        assert_eq!(header.request_api_version, handshake::FIRST_VERSION);
        peer.answer(&header, &listing().with_error_code(35).with_api_keys(Vec::new()), 0).await;
        let (header, body) = peer.read().await.unwrap();
        assert_eq!((header.request_api_version, body.len()), (0, 0));
        peer.answer(&header, &listing(), 0).await;
        peer
    };
    let options = ConnectionOptions::default();
    let (connection, _peer) = tokio::join!(Connection::connect(&broker.address, &options), serve);
    assert_eq!(connection.unwrap().versions().negotiate::<MetadataRequest>().unwrap(), 12);
}

#[tokio::test]
async fn a_refused_handshake_names_the_code() {
    let broker = FakeBroker::start().await;
    let serve = async {
        let mut peer = broker.accept().await;
        let (header, _) = peer.read().await.unwrap();
        peer.answer(&header, &ApiVersionsResponse::default().with_error_code(58), 4).await;
        peer
    };
    let options = ConnectionOptions::default();
    let (connection, _peer) = tokio::join!(Connection::connect(&broker.address, &options), serve);
    assert!(matches!(connection, Err(ConnectError::Refused { code: 58, .. })), "{connection:?}");
}

#[tokio::test]
async fn an_api_without_a_common_version_is_refused_before_it_is_sent() {
    let broker = FakeBroker::start().await;
    let (connection, mut peer) = broker.connected(&ConnectionOptions::default()).await;
    let refused = connection.request(DescribeClusterRequest::default()).await;
    assert!(matches!(refused, Err(ClientError::UnsupportedVersion { theirs: Some(_), .. })), "{refused:?}");
    let refused: Result<DescribeClusterResponse, _> =
        connection.request_at_version(DescribeClusterRequest::default(), 0).await;
    assert!(matches!(refused, Err(ClientError::UnsupportedVersion { .. })), "{refused:?}");
    drop(connection);
    assert!(peer.read().await.is_none(), "nothing was sent");
}

#[tokio::test]
async fn a_late_answer_is_dropped_and_the_connection_goes_on() {
    let broker = FakeBroker::start().await;
    let (connection, mut peer) = broker.connected(&ConnectionOptions::default()).await;
    // The handshake and the second answer have real time, the silence has none.
    tokio::time::pause();
    let late = connection.request(MetadataRequest::default()).await;
    tokio::time::resume();
    assert!(matches!(late, Err(ClientError::Timeout { .. })), "{late:?}");
    let serve = async {
        for controller in [1, 2] {
            let (header, _) = peer.read().await.unwrap();
            peer.answer(&header, &metadata(controller), 12).await;
        }
    };
    let (answer, ()) = tokio::join!(connection.request(MetadataRequest::default()), serve);
    assert_eq!(answer.unwrap().controller_id.0, 2);
}

#[tokio::test]
async fn a_request_without_reply_leaves_the_pairing_of_the_others_alone() {
    let broker = FakeBroker::start().await;
    let (connection, mut peer) = broker.connected(&ConnectionOptions::default()).await;
    connection.send_without_reply(ProduceRequest::default().with_acks(0)).await.unwrap();
    let serve = async {
        let (header, _) = peer.read().await.unwrap();
        assert_eq!((header.request_api_key, header.request_api_version), (0, 11));
        let (header, _) = peer.read().await.unwrap();
        peer.answer(&header, &metadata(2), 12).await;
    };
    let (answer, ()) = tokio::join!(connection.request(MetadataRequest::default()), serve);
    assert_eq!(answer.unwrap().controller_id.0, 2);
}

#[tokio::test]
async fn what_was_queued_leaves_before_the_last_drop_closes() {
    let broker = FakeBroker::start().await;
    let (connection, mut peer) = broker.connected(&ConnectionOptions::default()).await;
    for _ in 0..10 {
        connection.send_without_reply(ProduceRequest::default()).await.unwrap();
    }
    drop(connection);
    for _ in 0..10 {
        assert!(peer.read().await.is_some());
    }
    assert!(peer.read().await.is_none());
}

#[tokio::test]
async fn every_request_in_flight_learns_that_the_broker_closed() {
    let broker = FakeBroker::start().await;
    let (connection, mut peer) = broker.connected(&ConnectionOptions::default()).await;
    let ask = || connection.request(MetadataRequest::default());
    let serve = async {
        peer.read().await.unwrap();
        peer.read().await.unwrap();
        drop(peer);
    };
    let (first, second, ()) = tokio::join!(ask(), ask(), serve);
    for answer in [first, second, ask().await] {
        let closed = matches!(answer, Err(ClientError::Closed { reason: CloseReason::ByBroker, .. }));
        assert!(closed, "{answer:?}");
    }
    assert_eq!(connection.wait_closed().await, CloseReason::ByBroker);
    assert_eq!(connection.closed(), Some(CloseReason::ByBroker));
}

/// Answers one request with a frame of the test's own and returns why the connection ended.
async fn ends_after(max_response_bytes: usize, frame: impl Fn(&RequestHeader) -> Vec<u8>) -> CloseReason {
    let broker = FakeBroker::start().await;
    let options = ConnectionOptions { max_response_bytes, ..ConnectionOptions::default() };
    let (connection, mut peer) = broker.connected(&options).await;
    let serve = async {
        let (header, _) = peer.read().await.unwrap();
        peer.send_frame(&frame(&header)).await;
    };
    let (answer, ()) = tokio::join!(connection.request(MetadataRequest::default()), serve);
    match answer {
        Err(ClientError::Closed { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_answer_out_of_order_ends_the_connection() {
    let reason = ends_after(1000, |header| (header.correlation_id + 1).to_be_bytes().to_vec()).await;
    assert!(matches!(reason, CloseReason::OutOfOrder { expected: Some(2), actual: 3 }), "{reason}");
}

#[tokio::test]
async fn a_frame_without_a_correlation_id_ends_the_connection() {
    assert_eq!(ends_after(1000, |_| vec![0; 3]).await, CloseReason::NoCorrelationId { length: 3 });
}

#[tokio::test]
async fn a_frame_above_the_bound_ends_the_connection() {
    let reason = ends_after(1000, |_| vec![0; 1001]).await;
    assert_eq!(reason, CloseReason::Frame(FrameError::TooLarge { length: 1001, limit: 1000 }));
}

#[tokio::test]
async fn an_undecodable_answer_fails_its_request_only() {
    let broker = FakeBroker::start().await;
    let (connection, mut peer) = broker.connected(&ConnectionOptions::default()).await;
    let serve = async {
        let (header, _) = peer.read().await.unwrap();
        peer.send_frame(&header.correlation_id.to_be_bytes()).await;
        let (header, _) = peer.read().await.unwrap();
        peer.answer(&header, &metadata(2), 12).await;
    };
    let asks = async {
        let first = connection.request(MetadataRequest::default()).await;
        (first, connection.request(MetadataRequest::default()).await)
    };
    let ((first, second), ()) = tokio::join!(asks, serve);
    assert!(matches!(first, Err(ClientError::Decode { version: 12, .. })), "{first:?}");
    assert_eq!(second.unwrap().controller_id.0, 2);
}

#[tokio::test]
async fn nobody_listening_is_said_with_the_address() {
    // Bound, so that nobody else gets the port, and not listening.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let error = Connection::connect(&address, &ConnectionOptions::default()).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot connect to {address}: ")), "{error}");
}

#[tokio::test]
async fn a_broker_that_never_answers_the_handshake_is_left() {
    let broker = FakeBroker::start().await;
    let request_timeout = Duration::from_millis(500);
    let options = ConnectionOptions { request_timeout, ..ConnectionOptions::default() };
    let (connection, _peer) = tokio::join!(Connection::connect(&broker.address, &options), broker.accept());
    let timed_out =
        matches!(&connection, Err(ConnectError::Handshake { source: ClientError::Timeout { .. }, .. }));
    assert!(timed_out, "{connection:?}");
}
