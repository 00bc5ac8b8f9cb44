//! Which connections a cluster hands out.

use bytes::BytesMut;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::MetadataResponseBroker;
use kafka_protocol::messages::{ApiVersionsResponse, MetadataResponse};
use kafka_protocol::protocol::{Encodable, StrBytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::config::Address;

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
