use trilog_tests::hostile::play_small;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fuzzed_frames_of_all_kinds_end_no_node() {
    play_small("fuzzed").await;
}
