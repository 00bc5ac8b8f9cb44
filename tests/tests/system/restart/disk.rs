//! Data of deleted topics and deleted records really leave the disk.

use trilog_tests::admin::delete_topic;
use trilog_tests::batch::{BatchBuilder, Record};
use trilog_tests::cluster::{Cluster, ClusterOptions};
use trilog_tests::requests::error;
use trilog_tests::scratch::bytes_below;
use trilog_tests::waiting::wait_until;

/// Topics that come and go before the disk is measured for the first time, and until it is for the last.
const ROUNDS: (u32, u32) = (4, 16);

/// Batches of half a mebibyte in each topic.
const BATCHES: u32 = 32;

/// Noise, so that nothing may be gained by compressing it.
fn noise(state: &mut u64) -> Vec<u8> {
    let mut value = Vec::with_capacity(1 << 19);
    while value.len() < 1 << 19 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        value.extend_from_slice(&state.to_be_bytes());
    }
    value
}

#[tokio::test]
async fn deleted_records_do_not_fill_the_disk() {
    let cluster = Cluster::start(ClusterOptions::nodes(1)).await;
    let data_dir = cluster.node(1).data_dir();
    let partition = cluster.new_partition("deleted-records").await;
    let mut state = 1_u64;
    let batches = i64::from(4 * BATCHES);
    for _ in 0..batches {
        partition.produce(BatchBuilder::new(vec![Record::new(1, noise(&mut state))]).build()).await;
    }
    let full = bytes_below(data_dir);
    assert!(full >= u64::from(4 * BATCHES) << 19, "it was on the disk");
    assert_eq!(partition.delete_records(batches - 1).await, batches - 1);
    assert_eq!(partition.delete_records(-1).await, batches);
    wait_until("the disk holds little", async || (bytes_below(data_dir) < full / 2).then_some(())).await;
    assert_eq!(partition.produce(BatchBuilder::new(vec![Record::new(1, "x")]).build()).await, batches);
    assert_eq!(partition.read_values().await, ["x"]);
}

#[tokio::test]
async fn topics_that_come_and_go_do_not_fill_the_disk() {
    let cluster = Cluster::start(ClusterOptions::nodes(1)).await;
    let data_dir = cluster.node(1).data_dir();
    let mut state = 1_u64;
    let mut at_first = 0;
    for round in 1..=ROUNDS.1 {
        let name = format!("comes-and-goes-{round}");
        let partition = cluster.new_partition(&name).await;
        for _ in 0..BATCHES {
            let value = noise(&mut state);
            partition.produce(BatchBuilder::new(vec![Record::new(1, value)]).build()).await;
        }
        if round == ROUNDS.0 {
            at_first = bytes_below(data_dir);
        }
        assert_eq!(error(delete_topic(&cluster.connect(1).await, &name).await), None);
    }
    assert!(at_first >= u64::from(BATCHES) << 19, "it was on the disk");
    // Four times as much was written since. Space that was freed is used again, though not at once.
    wait_until("the disk holds little more than at first", async || {
        (bytes_below(data_dir) < at_first * 2).then_some(())
    })
    .await;
}
