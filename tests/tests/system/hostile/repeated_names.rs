use trilog_tests::hostile::play_small;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_repeated_is_answered_once_in_every_api() {
    play_small("repeated-names").await;
}
