use trilog_tests::hostile::play_small;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expressions_that_take_long_hold_up_nobody() {
    play_small("expressions").await;
}
