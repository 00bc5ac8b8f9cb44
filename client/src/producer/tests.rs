//! A producer against brokers that do not keep to the protocol: each costs an error in time, and nothing else.

use std::time::Duration;

use bytes::BytesMut;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{ApiVersionsResponse, MetadataResponse, TopicName};
use kafka_protocol::protocol::{Encodable, StrBytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::*;
use crate::ErrorClass;

/// How a broker treats a connection: what it does with the request of this number, by its correlation id.
type Manners = fn(usize, [u8; 4]) -> Vec<u8>;

/// A frame with a length that is true.
fn frame(correlation_id: [u8; 4], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(4 + body.len()).unwrap();
    [&length.to_be_bytes()[..], &correlation_id, body].concat()
}

/// What a sound broker answers to ApiVersions in version 4.
fn api_versions(correlation_id: [u8; 4]) -> Vec<u8> {
    let rows = [(0, 0, 11), (3, 0, 12), (18, 0, 4), (22, 0, 4)].map(|(key, min, max)| {
        ApiVersion::default().with_api_key(key).with_min_version(min).with_max_version(max)
    });
    let mut body = BytesMut::new();
    ApiVersionsResponse::default().with_api_keys(rows.to_vec()).encode(&mut body, 4).unwrap();
    frame(correlation_id, &body)
}

/// Serves every connection by these manners, and returns the address.
async fn broker(manners: Manners) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, manners));
        }
    });
    address
}

/// Answers request by request, until an answer is empty or the client leaves.
async fn serve(mut stream: TcpStream, manners: Manners) {
    for number in 0.. {
        let Ok(length) = stream.read_u32().await else { return };
        let mut request = vec![0; usize::try_from(length).unwrap()];
        if stream.read_exact(&mut request).await.is_err() {
            return;
        }
        let answer = manners(number, request[4..8].try_into().unwrap());
        if answer.is_empty() || stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// Sends a record to a broker of these manners, and returns why it failed.
async fn failure(manners: Manners) -> Error {
    let names = [("request.timeout.ms", "300"), ("max.block.ms", "400"), ("delivery.timeout.ms", "400")];
    let config = ProducerConfig::new(&broker(manners).await).unwrap().with_names(names).unwrap();
    let producer = Producer::new(config).unwrap();
    let delivery = producer.send(Record::to("t").value("v")).await.unwrap();
    producer.close().await;
    assert!(matches!(producer.send(Record::to("t")).await, Err(Error::Closed)));
    assert_eq!(producer.metrics().buffered_bytes, 0);
    let error = delivery.await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Retriable, "{error}");
    error
}

#[tokio::test]
async fn a_broker_that_does_not_keep_to_the_protocol_costs_an_error_in_time() {
    let all: [(&str, Manners); 8] = [
        ("closes at once", |_, _| Vec::new()),
        ("speaks HTTP", |_, _| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        ("negative length", |_, _| vec![0xff; 8]),
        ("length above the bound", |_, _| vec![0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 1]),
        ("frame that is too short", |_, _| vec![0, 0, 0, 2, 0, 0]),
        ("another request's answer", |_, id| api_versions((u32::from_be_bytes(id) + 1).to_be_bytes())),
        ("half an answer", |_, id| {
            let mut answer = api_versions(id);
            answer.truncate(10);
            answer
        }),
        ("metadata that is none", |number, id| match number {
            0 => api_versions(id),
            _ => frame(id, &[0, 0, 0]),
        }),
    ];
    for (manners, broker) in all {
        let error = failure(broker).await;
        assert!(matches!(error, Error::Timeout { .. }), "{manners}: {error}");
    }
}

#[tokio::test]
async fn a_producer_without_a_transactional_id_says_that_it_has_no_transactions() {
    let producer = Producer::new(ProducerConfig::new("127.0.0.1:1").unwrap()).unwrap();
    let refused = producer.init_transactions().await.unwrap_err();
    assert_eq!(refused.to_string(), "the producer has no transactional.id, and so no transactions");
    assert!(producer.begin_transaction().await.is_err());
}

#[tokio::test]
async fn transactions_wait_for_a_coordinator_only_so_long() {
    let names = [("transactional.id", "x"), ("max.block.ms", "300"), ("request.timeout.ms", "100")];
    let config = ProducerConfig::new("127.0.0.1:1").unwrap().with_names(names).unwrap();
    let producer = Producer::new(config).unwrap();
    let refused = producer.begin_transaction().await.unwrap_err();
    assert_eq!(refused.to_string(), "init_transactions comes before the first transaction");
    for _ in 0..2 {
        let late = producer.init_transactions().await.unwrap_err();
        assert!(matches!(late, Error::Timeout { .. }), "{late}");
        assert!(late.to_string().contains("no broker can be reached"), "{late}");
    }
    let refused = producer.send(Record::to("t")).await.unwrap_err();
    assert!(matches!(refused, Error::TransactionState { .. }), "{refused}");
    producer.close().await;
    assert!(matches!(producer.send(Record::to("t")).await, Err(Error::Closed)));
}

#[tokio::test]
async fn a_record_that_can_never_be_sent_is_refused_at_once() {
    let config = ProducerConfig::new("127.0.0.1:1").unwrap().max_request_size(1000);
    let producer = Producer::new(config).unwrap();
    let refused = async |record| producer.send(record).await.unwrap_err();
    let large = refused(Record::to("t").value(vec![0; 1000])).await;
    assert!(matches!(large, Error::RecordTooLarge { limit: 1000, .. }), "{large}");
    for name in ["", ".", "a/b", "naïve", &"t".repeat(250)] {
        assert_eq!(refused(Record::to(name)).await.class(), ErrorClass::Refused, "{name}");
    }
    assert_eq!(refused(Record::to("t").timestamp(-1)).await.class(), ErrorClass::Refused);
}

#[tokio::test]
async fn full_memory_gives_the_record_back_or_makes_it_wait() {
    let limit = Duration::from_millis(50);
    let config = ProducerConfig::new("127.0.0.1:1").unwrap().batch_size(1000).buffer_memory(1000);
    let producer = Producer::new(config.max_block(limit)).unwrap();
    drop(producer.try_send(Record::to("t").value(vec![0; 500])).unwrap());
    let record = Record::to("t").value(vec![1; 500]);
    match producer.try_send(record.clone()) {
        Err(TrySendError::Full(back)) => assert_eq!(*back, record),
        other => panic!("{other:?}"),
    }
    // The first record gives its memory back once its topic has stayed unknown for as long.
    let outcome = producer.send(record).await;
    assert!(matches!(outcome, Ok(_) | Err(Error::Timeout { .. })), "{outcome:?}");
    producer.close().await;
    assert_eq!(producer.metrics().buffered_bytes, 0);
}

#[tokio::test]
async fn memory_that_holds_no_record_is_told_with_each() {
    let config = ProducerConfig::new("127.0.0.1:1").unwrap().batch_size(10).buffer_memory(100);
    let producer = Producer::new(config).unwrap();
    let refused = producer.send(Record::to("t")).await.unwrap_err();
    assert!(matches!(refused, Error::RecordTooLarge { limit: 0, .. }), "{refused}");
}

#[tokio::test]
async fn a_send_that_waits_for_memory_is_refused_by_close() {
    let config = ProducerConfig::new("127.0.0.1:1").unwrap().batch_size(1000).buffer_memory(1000);
    let producer = Producer::new(config.max_block(Duration::from_millis(300))).unwrap();
    let record = Record::to("t").value(vec![0; 500]);
    drop(producer.send(record.clone()).await.unwrap());
    let (waiting, ()) = tokio::join!(producer.send(record.clone()), producer.close());
    assert!(matches!(waiting, Err(Error::Closed)), "{waiting:?}");
    assert!(matches!(producer.try_send(record), Err(TrySendError::Refused(Error::Closed))));
    assert_eq!(producer.metrics().buffered_bytes, 0);
}

#[test]
fn nothing_waits_for_a_driver_that_has_ended() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let (producer, delivery) = first.block_on(async {
        let producer = Producer::new(ProducerConfig::new("127.0.0.1:1").unwrap()).unwrap();
        let delivery = producer.send(Record::to("t").value("v")).await.unwrap();
        (producer, delivery)
    });
    // The driver ends with its runtime, as it would by a panic.
    drop(first);
    runtime().block_on(async {
        assert!(matches!(delivery.await, Err(Error::Closed)));
        producer.flush().await;
        assert!(matches!(producer.send(Record::to("t")).await, Err(Error::Closed)));
        producer.close().await;
        assert_eq!((producer.metrics().records_failed, producer.metrics().buffered_bytes), (1, 0));
    });
}

/// A broker that leads partition 0 of `t`, and answers no Produce request.
struct Sink {
    address: String,
    /// As long as this is false, Produce requests are read up to their headers. When it changes, their connections end.
    reads: watch::Sender<bool>,
    /// Lengths of the Produce requests that were read as a whole.
    produced: watch::Receiver<Vec<usize>>,
}

impl Sink {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (reads, does_read) = watch::channel(false);
        let (produced, lengths) = watch::channel(Vec::new());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Self::serve(stream, address.port(), does_read.clone(), produced.clone()));
            }
        });
        Self { address: address.to_string(), reads, produced: lengths }
    }

    async fn serve(
        mut stream: TcpStream,
        port: u16,
        mut reads: watch::Receiver<bool>,
        produced: watch::Sender<Vec<usize>>,
    ) {
        while let Ok(length) = stream.read_u32().await {
            let mut head = [0; 8];
            stream.read_exact(&mut head).await.unwrap();
            if head[1] == 0 && !*reads.borrow_and_update() {
                reads.changed().await.unwrap();
                return;
            }
            let mut rest = vec![0; usize::try_from(length).unwrap() - head.len()];
            stream.read_exact(&mut rest).await.unwrap();
            let id = head[4..8].try_into().unwrap();
            match head[1] {
                0 => produced.send_modify(|lengths| lengths.push(rest.len())),
                3 => stream.write_all(&frame(id, &Self::metadata(port))).await.unwrap(),
                18 => stream.write_all(&api_versions(id)).await.unwrap(),
                other => panic!("unexpected key {other}"),
            }
        }
    }

    fn metadata(port: u16) -> BytesMut {
        let host = StrBytes::from_static_str("127.0.0.1");
        let broker = MetadataResponseBroker::default().with_node_id(1.into()).with_host(host);
        let partition = MetadataResponsePartition::default().with_leader_id(1.into());
        let name = TopicName(StrBytes::from_static_str("t"));
        let topic = MetadataResponseTopic::default().with_name(Some(name)).with_partitions(vec![partition]);
        let answer = MetadataResponse::default().with_brokers(vec![broker.with_port(port.into())]);
        // No tagged field in the header.
        let mut body = BytesMut::from(&[0][..]);
        answer.with_topics(vec![topic]).encode(&mut body, 12).unwrap();
        body
    }

    /// A producer with `acks=0`, and a record of which the buffers of a connection hold only a part.
    fn producer(&self, names: [(&str, &str); 2]) -> (Producer, Record) {
        let config = ProducerConfig::new(&self.address).unwrap().acks(Acks::None).with_names(names).unwrap();
        let producer = Producer::new(config.max_request_size(64 << 20).buffer_memory(50 << 20)).unwrap();
        (producer, Record::to("t").value(vec![0; 40 << 20]))
    }
}

#[tokio::test]
async fn without_acknowledgement_a_record_is_sent_once_the_socket_has_taken_it() {
    let broker = Sink::start().await;
    let (producer, record) = broker.producer([("retry.backoff.ms", "10"), ("linger.ms", "0")]);
    let delivery = producer.send(record.clone()).await.unwrap();
    let early = timeout(Duration::from_millis(500), producer.flush()).await;
    assert!(early.is_err(), "most of the record is still here");
    assert!(producer.metrics().buffered_bytes > 40 << 20);
    assert!(matches!(producer.try_send(record), Err(TrySendError::Full(_))));
    // The connection ends, and the record goes out again.
    broker.reads.send_replace(true);
    producer.close().await;
    assert_eq!(delivery.await.unwrap().offset, None);
    assert_eq!(producer.metrics().buffered_bytes, 0);
    let mut produced = broker.produced.clone();
    let produced = produced.wait_for(|produced| !produced.is_empty()).await.unwrap();
    assert!(produced.len() == 1 && produced[0] > 40 << 20, "{produced:?}");
}

#[tokio::test]
async fn without_acknowledgement_a_broker_that_reads_nothing_costs_an_error_in_time() {
    let broker = Sink::start().await;
    let (producer, record) = broker.producer([("request.timeout.ms", "200"), ("delivery.timeout.ms", "600")]);
    let delivery = producer.send(record).await.unwrap();
    producer.close().await;
    let error = delivery.await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Retriable, "{error}");
    assert_eq!((producer.metrics().records_failed, producer.metrics().buffered_bytes), (1, 0));
}
