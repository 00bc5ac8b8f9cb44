use trilog_tests::hostile::play_small;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_partitions_come_and_a_node_with_them_starts_anew() {
    play_small("many-partitions").await;
}
