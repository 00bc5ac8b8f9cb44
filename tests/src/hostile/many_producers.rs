//! A stranger writes one record each under ever new producer ids, which costs nothing to make up. What honest producers wrote
//! before stays known, their retries are not appended again, and the stranger is refused once it has taken what there is.

use kafka_protocol::ResponseError;

use super::{Attack, Scenario, Size};
use crate::admin::NewTopic;
use crate::batch::{BatchBuilder, Record};
use crate::cluster::{Cluster, ClusterOptions};
use crate::partition::Partition;
use crate::requests::error;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "many-producers",
    what: "ever new idempotent producers, until the nodes remember no more of them",
    cluster: || ClusterOptions::nodes(3),
    prepare: super::nothing,
    attack: |cluster, size| -> Attack<'_> { Box::pin(attack(cluster, size)) },
};

/// Partitions that the stranger writes to.
const PARTITIONS: i32 = 6;

/// Batches that are sent before their answers are read.
const AT_ONCE: i64 = 500;

async fn attack(cluster: &mut Cluster, size: Size) {
    cluster.create(NewTopic::new("crowd").partitions(PARTITIONS)).await;
    cluster.wait_preferred("crowd").await;
    let honest = cluster.new_partition("honest").await;
    let producer = honest.new_producer().await;
    let first = honest.try_produce(batch(producer, 0)).await;
    let mut refused = 0;
    for partition in 0..PARTITIONS {
        refused += crowd(cluster, partition, size.choose(1_000, 40_000)).await;
    }
    let is_refused = refused > 0;
    assert_eq!(is_refused, size.choose(false, true), "{refused} producers are refused");
    let honest = cluster.partition("honest", 0).await;
    let again = honest.try_produce(batch(producer, 0)).await;
    assert_eq!((error(again.error_code), again.base_offset), (None, first.base_offset), "it is a retry");
    let newcomer = honest.new_producer().await;
    assert_eq!(honest.produce(batch(newcomer, 0)).await, 1, "the partition has room of its own");
}

fn batch(producer: i64, sequence: i32) -> bytes::Bytes {
    BatchBuilder::new(vec![Record::new(1, "r")]).producer(producer, 0, sequence).build()
}

/// Writes to a partition under `producers` ids, each batch twice. Returns how many were refused.
async fn crowd(cluster: &Cluster, partition: i32, producers: i64) -> usize {
    let partition: Partition = cluster.partition("crowd", partition).await;
    let mut refused = 0;
    for first in (0..producers).step_by(usize::try_from(AT_ONCE).expect("a few")) {
        let ids = (first..producers.min(first + AT_ONCE)).map(|id| id + (1 << 40));
        let batches: Vec<_> = ids.map(|id| batch(id, 0)).collect();
        let taken = partition.produce_in_flight(batches.iter().cloned()).await;
        let again = partition.produce_in_flight(batches).await;
        for (taken, again) in taken.iter().zip(&again) {
            assert_eq!((again.error_code, again.base_offset), (taken.error_code, taken.base_offset));
            if let Some(error) = error(taken.error_code) {
                assert_eq!(error, ResponseError::NotEnoughReplicas, "{:?}", taken.error_message);
                refused += 1;
            }
        }
    }
    refused
}
