use trilog_tests::hostile::play_small;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_in_haste_are_all_answered_and_keep_nobody_waiting_for_good() {
    play_small("pipelined").await;
}
