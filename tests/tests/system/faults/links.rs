//! What happens between nodes.

use std::time::Duration;

use trilog_tests::cluster::Cluster;
use trilog_tests::nemesis::plan::Plan;
use trilog_tests::nemesis::{Cut, Fault};
use trilog_tests::round;

use super::{LASTS, play};

#[tokio::test]
async fn cut_reset_slow() {
    let cut_off = Plan::one(Fault::Cut(Cut::Off(1)), LASTS);
    let mut cluster = Cluster::start(round::options(&cut_off)).await;
    play(&mut cluster, "cut-off", &cut_off).await;
    play(&mut cluster, "cut-between", &Plan::one(Fault::Cut(Cut::Between(2, 3)), LASTS)).await;
    let pause = Duration::from_millis(600);
    let one_way = Plan::one(Fault::Cut(Cut::Mute(3)), LASTS).then(Fault::Cut(Cut::Deaf(1)), pause, LASTS);
    play(&mut cluster, "one-way", &one_way).await;
    let short = Duration::from_millis(20);
    let mut resets = Plan::one(Fault::Resets(2), short);
    for _ in 0..8 {
        resets = resets.then(Fault::Resets(2), short * 5, short);
    }
    play(&mut cluster, "resets", &resets).await;
    let slow = Fault::Slow { node: 1, delay_ms: 100, bytes_per_second: 100_000 };
    play(&mut cluster, "slow", &Plan::one(slow, LASTS)).await;
    cluster.assert_alive();
}
