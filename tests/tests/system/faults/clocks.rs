//! Wall clocks that jump.

use std::time::Duration;

use trilog_tests::clock;
use trilog_tests::cluster::Cluster;
use trilog_tests::complete::not_tested;
use trilog_tests::nemesis::Fault;
use trilog_tests::nemesis::plan::Plan;
use trilog_tests::round;

use super::play;

#[tokio::test]
async fn jump_ahead_and_back() {
    if clock::library().is_none() {
        return not_tested("clocks that jump", &clock::MISSING);
    }
    let (year, lasts) = (31_536_000, Duration::from_millis(800));
    let jumps = Plan::one(Fault::Clock { node: 1, seconds: year }, lasts)
        .then(Fault::Clock { node: 2, seconds: -year }, Duration::ZERO, lasts)
        .then(Fault::Clock { node: 3, seconds: -1_000_000_000 }, Duration::ZERO, lasts);
    let mut cluster = Cluster::start(round::options(&jumps)).await;
    play(&mut cluster, "clocks", &jumps).await;
    cluster.assert_alive();
}
