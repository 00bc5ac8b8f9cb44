//! Bytes on the disk that are not what was written: nobody is sent them, the node says where they are and stops, and the
//! others go on.

use std::fs::File;
use std::os::unix::fs::FileExt;

use kafka_protocol::messages::FetchRequest;
use trilog_tests::batch::{Batch, BatchBuilder, Record, values};
use trilog_tests::cluster::{Cluster, ClusterOptions};
use trilog_tests::partition::Partition;
use trilog_tests::requests::{FetchPlan, error, fetched};
use trilog_tests::waiting::wait_until;

/// Records of a quarter of a mebibyte: far more than a node keeps in memory.
const RECORDS: u64 = 240;

/// Reads from the beginning as far as that goes. Whatever comes is sound.
async fn read_until_refused(partition: &Partition) {
    let version = partition.connection.versions().negotiate::<FetchRequest>().unwrap();
    let mut offset = 0;
    loop {
        let request = partition.target.fetch(version, FetchPlan::from(offset));
        let Ok(answer) = partition.connection.request(request).await else { return };
        let Some(records) =
            Some(fetched(answer)).filter(|data| data.error_code == 0).and_then(|data| data.records)
        else {
            return;
        };
        let batches = Batch::split(&records);
        let Some(last) = batches.last() else { return };
        assert!(batches.iter().all(Batch::crc_is_right), "damaged bytes were sent");
        offset = last.last_offset() + 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_reads_damaged_records_stops_and_the_others_go_on() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    let partition = cluster.new_partition("damaged").await;
    for number in 0..RECORDS {
        let value: Vec<u8> =
            (0..1 << 15).flat_map(|word: u64| (word * RECORDS + number).to_be_bytes()).collect();
        partition.produce(BatchBuilder::new(vec![Record::new(1, value)]).build()).await;
    }
    let node = cluster.leader("damaged", 0).await;

    // From the outside only the data file as a whole can be hit: a byte in every page or so of its middle.
    let data = File::options().write(true).open(cluster.node(node).data_dir().join("store/db")).unwrap();
    let len = data.metadata().unwrap().len();
    for at in (len / 8..len / 2).step_by(16 << 10) {
        data.write_all_at(&[0xa5; 8], at).unwrap();
    }
    wait_until("the node meets the damage and ends", async || {
        read_until_refused(&partition).await;
        cluster.node(node).has_died().then_some(())
    })
    .await;
    let log = cluster.node(node).log();
    let words = log.lines().rev().find(|line| line.starts_with("trilog: ")).expect("it says why");
    assert!(words.contains("damaged") && words.contains("damaged-0") && words.contains("wipe"), "{words}");

    cluster.kill(node);
    wait_until("the others go on", async || {
        let partition = cluster.partition("damaged", 0).await;
        error(partition.try_produce(values(1, &["after"])).await.error_code).is_none().then_some(())
    })
    .await;
    let batches = cluster.partition("damaged", 0).await.read_all().await;
    assert_eq!(batches.len() as u64, RECORDS + 1);
}
