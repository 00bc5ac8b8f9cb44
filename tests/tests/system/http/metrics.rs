//! What a scrape tells.

use std::collections::BTreeSet;

use trilog_tests::batch::values;
use trilog_tests::cluster::{Cluster, ClusterOptions};
use trilog_tests::group::offsets::Commit;
use trilog_tests::http::{Sample, sum};
use trilog_tests::waiting::wait_until;

const DOCUMENTATION: &str = include_str!("../../../../monitoring/METRICS.md");
const DASHBOARD: &str = include_str!("../../../../monitoring/grafana-dashboard.json");

/// A cluster after some traffic: ten records into `traffic` and out of it, a group that has read six, and a refusal.
async fn busy_cluster() -> Cluster {
    let cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    let partition = cluster.new_partition("traffic").await;
    for pair in [["a", "b"], ["c", "d"], ["e", "f"], ["g", "h"], ["i", "j"]] {
        partition.produce(values(0, &pair)).await;
    }
    partition.read_all().await;
    let refused = partition.try_produce("no batch".into()).await;
    assert_ne!(refused.error_code, 0);
    let group = cluster.group("readers").await;
    assert_eq!(group.commit(&Commit::outside("traffic", 0, 6)).await, None);
    cluster
}

/// The samples of all nodes.
async fn scrape_all(cluster: &Cluster) -> Vec<Sample> {
    let mut samples = Vec::new();
    for id in cluster.ids() {
        samples.extend(cluster.node(id).scrape().await);
    }
    samples
}

/// Names of metrics in a text: those with our prefix, and those of every process.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|character: char| !(character.is_ascii_lowercase() || character == '_'));
    let is_name = |word: &&str| word.starts_with("trilog_") || word.starts_with("process_");
    words.filter(is_name).map(family).collect()
}

/// A histogram's name without the suffix of its parts.
fn family(name: &str) -> &str {
    let suffixes = ["_bucket", "_sum", "_count"];
    suffixes.into_iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}

#[tokio::test]
async fn clients_traffic_is_counted() {
    let cluster = busy_cluster().await;
    let _client = cluster.connect(1).await;
    let topic = [("topic", "traffic")];
    // The coordinator's node may have but a replica of the partition, and learns of its end a moment later.
    let samples = wait_until("the group's lag is told up to the end", async || {
        let samples = scrape_all(&cluster).await;
        (sum(&samples, "trilog_group_lag_records", &[("group", "readers")]) == 4.0).then_some(samples)
    })
    .await;
    let total = |name, labels: &[(&str, &str)]| sum(&samples, name, labels);
    assert_eq!(total("trilog_topic_records_in_total", &topic), 10.0);
    assert!(total("trilog_topic_bytes_in_total", &topic) > 0.0);
    assert!(total("trilog_topic_records_out_total", &topic) >= 10.0);
    assert!(total("trilog_topic_bytes_out_total", &topic) >= total("trilog_topic_bytes_in_total", &topic));
    assert_eq!(total("trilog_topic_records", &topic), 10.0);
    assert_eq!(total("trilog_topic_partitions_led", &topic), 1.0);

    assert_eq!(total("trilog_requests_total", &[("api", "Produce")]), 6.0);
    assert_eq!(total("trilog_request_duration_seconds_count", &[("api", "Produce")]), 6.0);
    assert_eq!(total("trilog_request_errors_total", &[("api", "Produce")]), 1.0);
    assert!(total("trilog_connections", &[("listener", "PLAINTEXT")]) >= 1.0);
    assert!(total("trilog_sync_seconds_count", &[]) > 0.0);

    let lag = [("group", "readers"), ("topic", "traffic"), ("partition", "0")];
    assert_eq!(total("trilog_group_partition_lag_records", &lag), 4.0);
    assert_eq!(total("trilog_groups", &[("type", "classic"), ("state", "Empty")]), 1.0);
}

#[tokio::test]
async fn every_node_tells_how_the_cluster_is() {
    let mut cluster = Cluster::start(ClusterOptions::nodes(3)).await;
    cluster.new_partition("kept").await;
    let is_whole = |samples: &[Sample]| {
        sum(samples, "trilog_controller_active", &[]) == 1.0
            && sum(samples, "trilog_cluster_nodes_live", &[]) == 9.0
            && sum(samples, "trilog_cluster_partitions_leaderless", &[]) == 0.0
            && sum(samples, "trilog_cluster_partitions_under_replicated", &[]) == 0.0
    };
    wait_until("the cluster is whole in everybody's eyes", async || {
        is_whole(&scrape_all(&cluster).await).then_some(())
    })
    .await;
    cluster.kill(3);
    wait_until("one replica of each partition is missed, and no leader", async || {
        let samples = cluster.node(1).scrape().await;
        let all = sum(&samples, "trilog_cluster_partitions", &[]);
        let missed = sum(&samples, "trilog_cluster_partitions_under_replicated", &[]);
        let leaderless = sum(&samples, "trilog_cluster_partitions_leaderless", &[]);
        (missed == all && leaderless == 0.0).then_some(())
    })
    .await;
    cluster.kill(2);
    wait_until("no partition has a leader", async || {
        let samples = cluster.node(1).scrape().await;
        let all = sum(&samples, "trilog_partitions", &[]);
        (sum(&samples, "trilog_partitions_leaderless", &[]) == all).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_told_is_what_is_written_down() {
    let cluster = busy_cluster().await;
    wait_until("all that is documented is told, and nothing else", async || {
        let samples = scrape_all(&cluster).await;
        let told: BTreeSet<&str> = samples.iter().map(|sample| family(&sample.name)).collect();
        (told == names(DOCUMENTATION)).then_some(())
    })
    .await;
    let unknown: Vec<&str> = names(DASHBOARD).difference(&names(DOCUMENTATION)).copied().collect();
    assert!(unknown.is_empty(), "the dashboard shows what nobody tells: {unknown:?}");
}
