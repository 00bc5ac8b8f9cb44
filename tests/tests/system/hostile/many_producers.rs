use trilog_tests::hostile::play_small;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_producers_does_not_have_others_forgotten() {
    play_small("many-producers").await;
}
