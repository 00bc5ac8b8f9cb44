//! Frames that are none, and requests whose counts promise more than the frame holds.

use kafka_protocol::messages::{ApiVersionsRequest, MetadataRequest, ProduceRequest};
use kafka_protocol::protocol::{Request, StrBytes};
use trilog_client::wire::frame::encode_request;
use trilog_client::wire::{Connection, RawConnection};
use trilog_tests::admin::NewTopic;
use trilog_tests::cluster::{Cluster, ClusterOptions, connection_options};
use trilog_tests::group::offsets::Commit;
use trilog_tests::requests::only;

/// How much a node may grow while it is ill-treated, in bytes.
const GROWTH: u64 = 100 << 20;

/// A cluster of one to ill-treat, and how big it was before.
struct Victim {
    cluster: Cluster,
    size: u64,
}

impl Victim {
    async fn start() -> Self {
        let cluster = Cluster::start(ClusterOptions::nodes(1)).await;
        let size = cluster.resident_bytes();
        Self { cluster, size }
    }

    async fn raw(&self) -> RawConnection {
        RawConnection::connect(self.cluster.node(1).address()).await.unwrap()
    }

    /// Sends bytes on a connection of their own, says that there are no more, and waits until the node has closed it.
    async fn swallow(&self, bytes: &[u8]) {
        let mut raw = self.raw().await;
        // The node may close while there is more to send.
        if raw.send_bytes(bytes).await.is_ok() && raw.finish_sending().await.is_ok() {
            while let Ok(Some(_)) = raw.read_frame().await {}
        }
    }

    /// Sends bytes and waits until the node closes the connection of its own accord.
    async fn closes_upon(&self, bytes: &[u8]) {
        let mut raw = self.raw().await;
        if raw.send_bytes(bytes).await.is_ok() {
            let answer = raw.read_frame().await;
            assert!(!matches!(answer, Ok(Some(_))), "an answer to {} bad bytes", bytes.len());
        }
    }

    /// Asserts that the node lives, serves and has not grown beyond measure.
    async fn is_well(&self) {
        self.cluster.assert_alive();
        let connection = self.cluster.connect(1).await;
        connection.request(MetadataRequest::default()).await.unwrap();
        let grown = self.cluster.resident_bytes().saturating_sub(self.size);
        assert!(grown < GROWTH, "the node has grown by {} MiB", grown >> 20);
    }
}

/// A frame with a header of version 1 (no tags) or 2 and then this body.
fn frame(key: i16, version: i16, flexible: bool, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in [&key.to_be_bytes()[..], &version.to_be_bytes(), &[0, 0, 0, 1], &[0xff, 0xff]] {
        bytes.extend_from_slice(part);
    }
    if flexible {
        bytes.push(0);
    }
    bytes.extend_from_slice(body);
    let mut framed = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    framed.extend_from_slice(&bytes);
    framed
}

/// A source of arbitrary bytes that is the same on every run.
struct Noise(u64);

impl Noise {
    fn byte(&mut self) -> u8 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0.to_be_bytes()[0]
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }
}

#[tokio::test]
async fn four_bytes_do_not_ask_for_154_gigabytes() {
    let victim = Victim::start().await;
    victim.closes_upon(&frame(MetadataRequest::KEY, 1, false, &[0x7f, 0xff, 0xff, 0xff])).await;
    victim.is_well().await;
}

#[tokio::test]
async fn twelve_bytes_do_not_ask_for_412_gigabytes() {
    let victim = Victim::start().await;
    // No transactional id, acks=all, a timeout, and then 2,147,483,647 topics.
    let body = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff];
    victim.closes_upon(&frame(ProduceRequest::KEY, 3, false, &body)).await;
    victim.is_well().await;
}

#[tokio::test]
async fn counts_of_every_api_are_checked_in_every_version() {
    let victim = Victim::start().await;
    let listed = Connection::connect(victim.cluster.node(1).address(), &connection_options()).await.unwrap();
    for (api, range) in listed.versions().iter() {
        for version in range.min..=range.max {
            for flexible in [false, true] {
                // Read as a count, as a compact count, as a length, after a plausible beginning.
                victim.swallow(&frame(api.0, version, flexible, &[0x7f; 40])).await;
                victim.swallow(&frame(api.0, version, flexible, &[0xff; 40])).await;
                let ends_large =
                    [&[0; 11][..], &[0xff, 0xff, 0xff, 0xff, 0x07, 0x7f, 0xff, 0xff, 0xff]].concat();
                victim.swallow(&frame(api.0, version, flexible, &ends_large)).await;
            }
        }
    }
    victim.is_well().await;
}

#[tokio::test]
async fn lengths_outside_the_bounds_close_the_connection() {
    let victim = Victim::start().await;
    for length in [-1, i32::MIN, i32::MAX, 0, 1, 7] {
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend_from_slice(&[0; 7]);
        victim.closes_upon(&bytes).await;
    }
    victim.is_well().await;
}

#[tokio::test]
async fn a_frame_cut_off_anywhere_is_let_go() {
    let victim = Victim::start().await;
    let client = StrBytes::from_static_str("cut");
    let whole = encode_request(&MetadataRequest::default(), 12, 1, &client).unwrap();
    for length in 0..whole.len() {
        victim.swallow(&whole[..length]).await;
    }
    victim.is_well().await;
}

#[tokio::test]
async fn a_request_cut_off_within_its_frame_closes_the_connection() {
    let victim = Victim::start().await;
    let client = StrBytes::from_static_str("cut");
    let whole = encode_request(&ApiVersionsRequest::default(), 3, 1, &client).unwrap();
    let body = &whole[4..];
    // Eight bytes hold key, version and correlation id; from there on every field is missed in turn.
    for length in 0..body.len() {
        let mut bytes = u32::try_from(length).unwrap().to_be_bytes().to_vec();
        bytes.extend_from_slice(&body[..length]);
        victim.closes_upon(&bytes).await;
    }
    victim.is_well().await;
}

#[tokio::test]
async fn strings_that_are_not_utf_8_are_replaced_and_served() {
    let victim = Victim::start().await;
    let cluster = &victim.cluster;
    cluster.create(NewTopic::new("text").partitions(1)).await;
    let group = cluster.group("text-group").await;
    let client = StrBytes::from_static_str("client");
    let commit = Commit::outside("text", 0, 7).metadata(Some("<>"));
    let mut raw = victim.raw().await;
    for version in [2, 8] {
        let request = commit.request("text-group", version);
        let mut bytes = encode_request(&request, version, 1, &client).unwrap().to_vec();
        // The client's name and the metadata in Latin-1: both as long as before.
        for (text, latin) in [(&b"client"[..], &b"cli\xe9nt"[..]), (b"<>", b"\xab\xbb")] {
            let at = bytes.windows(text.len()).position(|window| window == text).unwrap();
            bytes[at..at + text.len()].copy_from_slice(latin);
        }
        raw.send_bytes(&bytes).await.unwrap();
        assert!(raw.read_frame().await.unwrap().is_some(), "version {version}");
        let fetched = group.try_fetch_offsets(Some(("text", &[0]))).await.unwrap();
        let partition = only(only(fetched.topics).partitions);
        assert_eq!(partition.metadata.as_deref(), Some("\u{fffd}\u{fffd}"), "version {version}");
    }
    victim.is_well().await;
}

#[tokio::test]
async fn arbitrary_bytes_do_no_harm() {
    let victim = Victim::start().await;
    let mut noise = Noise(1);
    for round in 0..300_usize {
        victim.swallow(&noise.bytes(round)).await;
        // The same behind a plausible header, so that more than the frame's length is looked at.
        let (key, version) = (i16::from(noise.byte() % 64), i16::from(noise.byte() % 14));
        let body = noise.bytes(round);
        victim.swallow(&frame(key, version, round % 2 == 0, &body)).await;
    }
    victim.is_well().await;
}

#[tokio::test]
async fn good_requests_with_one_byte_changed_do_no_harm() {
    let victim = Victim::start().await;
    let client = StrBytes::from_static_str("changed");
    let mut noise = Noise(2);
    for version in [1, 9, 12] {
        let request =
            MetadataRequest::default().with_topics(Some(Vec::new())).with_allow_auto_topic_creation(true);
        let whole = encode_request(&request, version, 1, &client).unwrap();
        for position in 4..whole.len() {
            let mut changed = whole.to_vec();
            changed[position] = noise.byte();
            victim.swallow(&changed).await;
        }
    }
    victim.is_well().await;
}
