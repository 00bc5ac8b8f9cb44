use trilog_tests::hostile::play_small;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_writers_do_not_keep_the_memory_from_others() {
    play_small("slow-writers").await;
}
