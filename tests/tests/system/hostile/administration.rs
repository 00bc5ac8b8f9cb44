use trilog_tests::hostile::play_small;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_administrators_may_ask_fills_no_node() {
    play_small("administration").await;
}
