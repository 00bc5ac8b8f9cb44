//! Producers with `acks=0` send as fast as a node takes it, and some leave in the middle, while the disks take less. What waits to
//! be stored has a bound, and honest producers are acknowledged.

use bytes::BytesMut;
use kafka_protocol::messages::ProduceRequest;
use tokio::task::JoinSet;
use trilog_client::wire::RawConnection;
use trilog_client::wire::frame::encode_request;

use super::{Attack, Scenario, Size};
use crate::admin::NewTopic;
use crate::batch::{BatchBuilder, Record};
use crate::cluster::{Cluster, ClusterOptions};
use crate::requests::text;
use crate::waiting::wait_until;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "unacknowledged",
    what: "producers with acks=0 send as fast as they can, and half of them leave and come back all the time",
    cluster: || ClusterOptions::nodes(3),
    prepare: |cluster, size| -> Attack<'_> { Box::pin(prepare(cluster, size)) },
    attack: |cluster, size| -> Attack<'_> { Box::pin(attack(cluster, size)) },
};

const TOPIC: &str = "unacknowledged";

const PARTITIONS: i32 = 3;

/// The records of a request: a large one, and one that needs no share of the node's memory for large requests.
const RECORD_BYTES: [usize; 2] = [900_000, 20_000];

/// Requests after which those that leave do.
const LEAVE_AFTER: usize = 8;

async fn prepare(cluster: &mut Cluster, size: Size) {
    let connection = cluster.connect(1).await;
    let retention = ("retention.bytes", "50000000");
    let topic = NewTopic::new(TOPIC).partitions(PARTITIONS).config(retention.0, retention.1);
    topic.create(&connection).await;
    // As an honest producer that waits for acknowledgements fills a store.
    let batch = BatchBuilder::new(vec![Record::new(0, vec![b'h'; RECORD_BYTES[0]])]).build();
    for partition in 0..PARTITIONS {
        let partition = cluster.partition(TOPIC, partition).await;
        for _ in 0..size.choose(2, 25) {
            let taken = partition.produce_in_flight(vec![batch.clone(); 8]).await;
            assert!(taken.iter().all(|answer| answer.error_code == 0), "honest batches are acknowledged");
        }
    }
}

async fn attack(cluster: &mut Cluster, size: Size) {
    let mut producers = JoinSet::new();
    for number in 0..size.choose(6, 24) {
        let leader = cluster.partition(TOPIC, number % PARTITIONS).await;
        let address = leader.connection.address().to_owned();
        let requests = RECORD_BYTES.map(|bytes| {
            let batch = BatchBuilder::new(vec![Record::new(0, vec![b'x'; bytes])]).build();
            encoded(&leader.target.produce(9, 0, batch))
        });
        let leaves = number % 2 == 0;
        // Of large requests a share of the bytes, of small ones a share of the number.
        let request = requests[usize::from(number % 4 > 1)].clone();
        let times = size.choose(40_000_000, 120_000_000) / request.len();
        producers.spawn(async move { flood(&address, &request, times, leaves).await });
    }
    let sent: usize = producers.join_all().await.into_iter().sum();
    assert!(sent > 0, "nothing could be sent");
    for partition in 0..PARTITIONS {
        wait_until(&format!("an honest record is acknowledged in partition {partition}"), async || {
            let leader = cluster.partition_as_led(TOPIC, partition).await?;
            let honest = BatchBuilder::new(vec![Record::new(0, vec![b'h'; 100])]).build();
            (leader.try_produce(honest).await.error_code == 0).then_some(())
        })
        .await;
    }
}

fn encoded(request: &ProduceRequest) -> BytesMut {
    encode_request(request, 9, 1, &text("flood")).expect("the request can be encoded")
}

/// Sends a request so many times, over a new connection whenever the last one is gone. How many could be sent.
async fn flood(address: &str, request: &[u8], times: usize, leaves: bool) -> usize {
    let mut sent = 0;
    let mut connection = None;
    for number in 0..times {
        if leaves && number % LEAVE_AFTER == 0 {
            connection = None;
        }
        let open = match connection.take() {
            Some(open) => Ok(open),
            None => RawConnection::connect(address).await,
        };
        if let Ok(mut open) = open
            && open.send_bytes(request).await.is_ok()
        {
            sent += 1;
            connection = Some(open);
        }
    }
    sent
}
