use trilog_tests::hostile::play_small;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_are_made_up_leave_room_for_topics_with_intent() {
    play_small("auto-creation").await;
}
