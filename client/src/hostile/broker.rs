//! The broker that lies.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use fastrand::Rng;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, FetchResponse, FindCoordinatorResponse, InitProducerIdResponse,
    MetadataResponse, SaslAuthenticateResponse, SaslHandshakeResponse, TopicName,
};
use kafka_protocol::protocol::{Encodable, StrBytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use trilog_protocol::structure::answer_schema;
use trilog_protocol::structure::sample::Sampler;
use trilog_protocol::testing::{BatchBuilder, Packing, TestRecord, put_varint};
use uuid::Uuid;

/// How long a silent broker is silent before it closes the connection: longer than any call waits.
const SILENCE: Duration = Duration::from_secs(30);

/// Zeros that a bomb decompresses to. Read as headers, each of them takes many times its length.
const BOMB_BYTES: usize = 24 << 20;

/// A broker on a port of its own, until it is dropped.
pub(super) struct Liar {
    address: SocketAddr,
    task: AbortHandle,
}

impl Liar {
    /// Listens. The seed decides every answer, but for the order in which connections come.
    pub(super) async fn start(seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicU64::new(seed << 32));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = connections.fetch_add(1, Ordering::Relaxed);
                let speaker = Speaker { address, random: Rng::with_seed(number) };
                tokio::spawn(speaker.serve(stream));
            }
        });
        Self { address, task: accepting.abort_handle() }
    }

    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What it does with a request.
enum Reply {
    Frame(Vec<u8>),
    /// Bytes with lengths of their own.
    Raw(Vec<u8>),
    Silence,
    Close,
}

struct Speaker {
    address: SocketAddr,
    random: Rng,
}

impl Speaker {
    async fn serve(mut self, mut stream: TcpStream) {
        let mut incoming = BytesMut::new();
        loop {
            while let Some(request) = next_frame(&mut incoming) {
                let sent = match self.reply(&request) {
                    Reply::Frame(frame) => {
                        let mut bytes = BytesMut::new();
                        bytes.put_u32(u32::try_from(frame.len()).unwrap());
                        bytes.extend_from_slice(&frame);
                        stream.write_all(&bytes).await
                    }
                    Reply::Raw(bytes) => stream.write_all(&bytes).await,
                    Reply::Silence => {
                        tokio::time::sleep(SILENCE).await;
                        return;
                    }
                    Reply::Close => return,
                };
                if sent.is_err() {
                    return;
                }
            }
            match stream.read_buf(&mut incoming).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    fn reply(&mut self, request: &[u8]) -> Reply {
        let mut head = request;
        let (key, version, id) = (head.get_i16(), head.get_i16(), head.get_i32());
        let api = ApiKey::try_from(key).expect("the client sends APIs that exist");
        // Without these, hardly any call would get to its own question.
        let honest = match api {
            ApiKey::ApiVersions => 31,
            ApiKey::Metadata | ApiKey::FindCoordinator | ApiKey::InitProducerId => 24,
            ApiKey::SaslHandshake | ApiKey::SaslAuthenticate => 28,
            ApiKey::Fetch => 8,
            _ => 0,
        };
        if self.random.u8(0..32) < honest
            && let Some(body) = self.honest(api, version)
        {
            return Reply::Frame(framed(api, version, id, &body));
        }
        self.lie(api, version, id)
    }

    fn lie(&mut self, api: ApiKey, version: i16, id: i32) -> Reply {
        let body = self.sample(api, version);
        let mut frame = framed(api, version, id, &body);
        match self.random.u8(0..40) {
            0..12 => {}
            12..20 => self.damage(&mut frame),
            20..24 => frame.truncate(self.random.usize(0..=frame.len())),
            24 => frame.extend((0..self.random.usize(1..64)).map(|_| self.random.u8(..))),
            25 => frame[..4].copy_from_slice(&self.random.i32(..).to_be_bytes()),
            26..32 => self.lie_about_counts(&mut frame),
            32 => return Reply::Raw(vec![0x7f, 0xff, 0xff, 0xff, 0]),
            33 => return Reply::Raw(vec![0xff, 0xff, 0xff, 0xff]),
            34 => {
                // Longer than what comes.
                let mut bytes = 1_000_000_u32.to_be_bytes().to_vec();
                bytes.extend(frame);
                return Reply::Raw(bytes);
            }
            35 => return Reply::Raw((0..self.random.usize(1..256)).map(|_| self.random.u8(..)).collect()),
            36 => return Reply::Silence,
            37 => return Reply::Close,
            38 => {
                // Twice: the second is the answer to nothing.
                let mut bytes = Vec::new();
                for _ in 0..2 {
                    bytes.extend(u32::try_from(frame.len()).unwrap().to_be_bytes());
                    bytes.extend(&frame);
                }
                return Reply::Raw(bytes);
            }
            _ => {
                let count = self.random.usize(1..2000);
                let noise = std::iter::repeat_with(|| self.random.u8(..)).take(count);
                let body: Vec<u8> = noise.collect();
                return Reply::Frame(framed(api, version, id, &body));
            }
        }
        Reply::Frame(frame)
    }

    /// An answer of the right shape whose fields hold anything.
    fn sample(&mut self, api: ApiKey, version: i16) -> Vec<u8> {
        let choices = (0..self.random.usize(0..120)).map(|_| self.random.u8(..)).collect();
        answer_schema(api as i16)
            .filter(|schema| schema.covers(version))
            .map(|schema| Sampler::random(schema, version, choices).body())
            .unwrap_or_default()
    }

    fn damage(&mut self, frame: &mut [u8]) {
        for _ in 0..self.random.usize(1..6) {
            if frame.len() > 4 {
                let at = self.random.usize(4..frame.len());
                frame[at] = self.random.u8(..);
            }
        }
    }

    /// Puts a number that is far too great, or negative, somewhere.
    fn lie_about_counts(&mut self, frame: &mut [u8]) {
        let lies: [&[u8]; 5] = [
            &[0x7f, 0xff, 0xff, 0xff],
            &[0xff, 0xff, 0xff, 0xff, 0x07],
            &[0x80, 0x00, 0x00, 0x00],
            &[0x00, 0x0f, 0xff, 0xff],
            &[0xff, 0xfe],
        ];
        let lie = lies[self.random.usize(0..lies.len())];
        if frame.len() > 4 + lie.len() {
            let at = self.random.usize(4..frame.len() - lie.len());
            frame[at..at + lie.len()].copy_from_slice(lie);
        }
    }

    /// What a broker would say whose cluster is itself.
    fn honest(&mut self, api: ApiKey, version: i16) -> Option<Vec<u8>> {
        let host = StrBytes::from_string(self.address.ip().to_string());
        let port = i32::from(self.address.port());
        let mut body = BytesMut::new();
        let encoded = match api {
            ApiKey::ApiVersions => self.versions().encode(&mut body, version),
            ApiKey::Metadata => metadata(host, port).encode(&mut body, version),
            ApiKey::FindCoordinator => {
                let answer = FindCoordinatorResponse::default().with_node_id(1.into());
                answer.with_host(host).with_port(port).encode(&mut body, version)
            }
            ApiKey::InitProducerId => {
                let answer = InitProducerIdResponse::default().with_producer_id(7.into());
                answer.with_producer_epoch(0).encode(&mut body, version)
            }
            ApiKey::SaslHandshake => SaslHandshakeResponse::default().encode(&mut body, version),
            ApiKey::SaslAuthenticate => {
                let lifetime = self.random.choice([0, 1, 1200, i64::MAX]).unwrap_or_default();
                let answer = SaslAuthenticateResponse::default();
                let answer = if version > 0 { answer.with_session_lifetime_ms(lifetime) } else { answer };
                answer.encode(&mut body, version)
            }
            ApiKey::Fetch => self.records(version).encode(&mut body, version),
            _ => return None,
        };
        encoded.ok().map(|()| body.to_vec())
    }

    /// All APIs, each up to a version that the seed decides.
    fn versions(&mut self) -> ApiVersionsResponse {
        let rows = (0..100).filter_map(|key| {
            let served = ApiKey::try_from(key).ok()?.valid_versions();
            let max = if self.random.bool() { served.max } else { self.random.i16(served.min..=served.max) };
            Some(ApiVersion::default().with_api_key(key).with_min_version(served.min).with_max_version(max))
        });
        let rows = rows.collect();
        ApiVersionsResponse::default().with_api_keys(rows)
    }

    /// Record batches: sound ones, damaged ones and bombs.
    fn records(&mut self, version: i16) -> FetchResponse {
        let mut batch = match self.random.u8(0..8) {
            bomb @ 0..2 => bombs()[usize::from(bomb)].clone(),
            _ => {
                let packing = Packing::ALL[self.random.usize(0..Packing::ALL.len())];
                BatchBuilder::of_count(self.random.u32(1..50)).packing(packing).build()
            }
        };
        if self.random.u8(0..4) == 0 {
            self.damage(&mut batch);
        }
        let partition = PartitionData::default()
            .with_high_watermark(self.random.i64(0..1 << 40))
            .with_last_stable_offset(self.random.i64(0..1 << 40))
            .with_records(Some(Bytes::from(batch)));
        let topic = FetchableTopicResponse::default().with_partitions(vec![partition]);
        let topic = if version < 13 { topic.with_topic(name()) } else { topic.with_topic_id(id()) };
        FetchResponse::default().with_responses(vec![topic])
    }
}

fn name() -> TopicName {
    TopicName(StrBytes::from_static_str("t"))
}

const fn id() -> Uuid {
    Uuid::from_u128(0x7091)
}

fn metadata(host: StrBytes, port: i32) -> MetadataResponse {
    let broker = MetadataResponseBroker::default().with_node_id(1.into()).with_host(host).with_port(port);
    let partition = |index| {
        MetadataResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(1.into())
            .with_leader_epoch(0)
            .with_replica_nodes(vec![1.into()])
            .with_isr_nodes(vec![1.into()])
    };
    let topic = MetadataResponseTopic::default()
        .with_name(Some(name()))
        .with_topic_id(id())
        .with_partitions(vec![partition(0), partition(1)]);
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_controller_id(1.into())
        .with_topics(vec![topic])
}

/// A small batch that is very large once it is decompressed: one record of very many headers, or very many records.
fn bomb(packing: Packing) -> Vec<u8> {
    let many_headers = matches!(packing, Packing::Zstd);
    let (plain, count) = if many_headers { (one_record(), 1) } else { many_records() };
    BatchBuilder::of_plain(plain, count).packing(packing).build()
}

fn one_record() -> Vec<u8> {
    let mut record = vec![0, 0, 0, 1, 1];
    put_varint(&mut record, i64::try_from(BOMB_BYTES / 2).unwrap());
    record.resize(record.len() + BOMB_BYTES, 0);
    let mut plain = Vec::new();
    put_varint(&mut plain, i64::try_from(record.len()).unwrap());
    plain.extend(record);
    plain
}

fn many_records() -> (Vec<u8>, usize) {
    let mut plain = Vec::new();
    let mut count = 0;
    while plain.len() < BOMB_BYTES {
        plain.extend(TestRecord::default().encode(i64::try_from(count).unwrap()));
        count += 1;
    }
    (plain, count)
}

/// The bombs, made once: that takes longer than all else.
fn bombs() -> &'static [Vec<u8>; 2] {
    static BOMBS: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    BOMBS.get_or_init(|| [bomb(Packing::Zstd), bomb(Packing::Gzip)])
}

/// A frame without its length.
fn framed(api: ApiKey, version: i16, id: i32, body: &[u8]) -> Vec<u8> {
    let mut frame = id.to_be_bytes().to_vec();
    if api.response_header_version(version) > 0 {
        frame.push(0);
    }
    frame.extend_from_slice(body);
    frame
}

fn next_frame(incoming: &mut BytesMut) -> Option<BytesMut> {
    let length = usize::try_from(i32::from_be_bytes(*incoming.first_chunk()?)).unwrap();
    if incoming.len() < 4 + length {
        return None;
    }
    incoming.advance(4);
    Some(incoming.split_to(length))
}
