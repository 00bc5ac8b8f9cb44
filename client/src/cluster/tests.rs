//! Which connections a cluster hands out.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::BytesMut;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::MetadataResponseBroker;
use kafka_protocol::messages::{ApiKey, ApiVersionsResponse, MetadataResponse};
use kafka_protocol::protocol::{Encodable, StrBytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::admin::{Admin, AdminConfig};
use crate::backoff::Backoff;
use crate::config::Address;
use crate::consumer::{Consumer, ConsumerConfig, TopicPartition};
use crate::producer::{Producer, ProducerConfig, Record};
use crate::security::{Sasl, Security};
use crate::wire::testing::{Peer, denial, listen, offer};

const API_VERSIONS: u8 = 18;
const METADATA: u8 = 3;

/// A broker that names itself as the only one, and its address.
async fn broker() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, address.port()));
        }
    });
    address.to_string()
}

async fn serve(mut stream: TcpStream, port: u16) {
    while let Ok(length) = stream.read_u32().await {
        let mut request = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut request).await.unwrap();
        let mut answer = BytesMut::from(&request[4..8]);
        match request[1] {
            API_VERSIONS => listing().encode(&mut answer, 4).unwrap(),
            METADATA => {
                answer.extend_from_slice(&[0]); // No tagged field in the header.
                itself(port).encode(&mut answer, 12).unwrap();
            }
            other => panic!("unexpected key {other}"),
        }
        stream.write_u32(u32::try_from(answer.len()).unwrap()).await.unwrap();
        stream.write_all(&answer).await.unwrap();
    }
}

fn listing() -> ApiVersionsResponse {
    let rows = [(i16::from(METADATA), 0, 12), (i16::from(API_VERSIONS), 0, 4)].map(|(key, min, max)| {
        ApiVersion::default().with_api_key(key).with_min_version(min).with_max_version(max)
    });
    ApiVersionsResponse::default().with_api_keys(rows.to_vec())
}

fn itself(port: u16) -> MetadataResponse {
    let host = StrBytes::from_static_str("127.0.0.1");
    let broker = MetadataResponseBroker::default().with_node_id(1.into()).with_host(host);
    MetadataResponse::default().with_brokers(vec![broker.with_port(port.into())])
}

#[tokio::test]
async fn a_connection_on_which_a_request_timed_out_is_not_chosen_again() {
    let bootstrap = Address::parse_list(&broker().await).unwrap();
    let cluster = Cluster::start(Common { bootstrap, ..Common::default() });
    cluster.watch().wait_for(|known| !known.brokers.is_empty()).await.unwrap();
    let silent = cluster.any_node().await.unwrap().1;
    assert!(cluster.any_node().await.unwrap().1.is_same(&silent));
    let answer: Result<(), _> = cluster
        .on_any(async |connection| {
            assert!(connection.is_same(&silent));
            let cause = "no answer".to_owned();
            Err(Error::Timeout { what: "a request", limit: Duration::ZERO, cause })
        })
        .await;
    assert!(answer.is_err());
    assert!(!cluster.any_node().await.unwrap().1.is_same(&silent));
}

#[tokio::test]
async fn brokers_may_make_only_topics_that_were_named() {
    let cluster = Cluster::start(Common::default());
    let asks = || {
        let request = refresh::request(&cluster.shared);
        let names = request.topics.unwrap_or_default().into_iter().filter_map(|topic| topic.name);
        (request.allow_auto_topic_creation, names.map(|name| name.to_string()).collect::<Vec<_>>())
    };
    let topics = |name: &str| BTreeSet::from([Arc::from(name)]);
    cluster.consumes(&topics("matched"), false);
    assert_eq!(asks(), (false, vec!["matched".to_owned()]));
    cluster.consumes(&topics("named"), true);
    assert_eq!(asks(), (true, vec!["named".to_owned()]), "the other one might be gone by now");
}

/// A broker that refuses every password, and how many connections it has seen.
async fn refusing() -> (String, Arc<AtomicUsize>) {
    let connections = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&connections);
    let address = listen(move |socket| {
        seen.fetch_add(1, Ordering::Relaxed);
        async move {
            let mut peer = Peer::over(socket);
            while let Some(asked) = peer.asked().await {
                match asked.key {
                    ApiKey::SaslHandshake => peer.answer(&asked, &offer(&[], 0)).await,
                    ApiKey::SaslAuthenticate => peer.answer(&asked, &denial("no such user")).await,
                    _ => assert!(peer.served(&asked).await),
                }
            }
        }
    });
    (address.await, connections)
}

#[tokio::test]
async fn a_refused_client_says_so_at_once_and_does_not_come_back_in_a_storm() {
    let (address, connections) = refusing().await;
    let security = || Security::sasl_plaintext(Sasl::plain("u", "p"));
    let is_told = |error: Error| {
        assert!(matches!(error, Error::Authentication { .. }), "{error:?}");
        assert!(error.to_string().contains("no such user"), "{error}");
    };
    // Far less time than any of the timeouts.
    let started = Instant::now();
    let admin = Admin::new(AdminConfig::new(&address).unwrap().security(security())).unwrap();
    for _ in 0..100 {
        is_told(admin.list_topics().await.unwrap_err());
    }
    for idempotence in [true, false] {
        let config = ProducerConfig::new(&address).unwrap().idempotence(idempotence);
        let producer = Producer::new(config.security(security())).unwrap();
        is_told(producer.send(Record::to("t").value("v")).await.unwrap().await.unwrap_err());
        is_told(producer.partitions("t", Duration::from_secs(60)).await.unwrap_err());
    }
    for is_member in [true, false] {
        let config = ConsumerConfig::new(&address).unwrap().group("g");
        let mut consumer = Consumer::new(config.security(security())).unwrap();
        if is_member {
            consumer.subscribe(["t"]).unwrap();
        } else {
            consumer.assign([TopicPartition::new("t", 0)]).unwrap();
        }
        is_told(consumer.poll().await.unwrap_err());
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    // One or two of the admin client and each producer, and of both views that a consumer has of its cluster.
    let seen = connections.load(Ordering::Relaxed);
    assert!(seen < 30, "{seen} connections");
}

#[tokio::test]
async fn a_broker_that_has_refused_is_not_dialled_for_each_call() {
    let (address, connections) = refusing().await;
    let backoff = Backoff { initial: Duration::from_millis(1), max: Duration::from_millis(1) };
    let links = Links::new(backoff);
    let security = Security::sasl_plaintext(Sasl::plain("u", "p")).prepare().unwrap();
    let options = ConnectionOptions { security, ..ConnectionOptions::default() };
    let address = Address::parse_list(&address).unwrap().remove(0);
    for _ in 0..20 {
        let refused = links.get(1, &address, &options, &ClusterCounters::default()).await;
        assert!(matches!(refused, Err(Error::Authentication { .. })), "{refused:?}");
    }
    let seen = connections.load(Ordering::Relaxed);
    assert!(seen < 20, "{seen} connections");
}
