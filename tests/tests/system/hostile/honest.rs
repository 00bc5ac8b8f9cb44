use trilog_tests::hostile::play_small;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn honest_clients_work_within_the_bounds() {
    play_small("honest").await;
}
