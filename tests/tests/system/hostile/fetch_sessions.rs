use trilog_tests::hostile::play_small;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_are_left_behind_keep_nobody_from_fetching() {
    play_small("fetch-sessions").await;
}
