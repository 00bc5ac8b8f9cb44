//! What happens to processes.

use std::time::Duration;

use trilog_tests::cluster::Cluster;
use trilog_tests::nemesis::Fault;
use trilog_tests::nemesis::plan::Plan;
use trilog_tests::round;

use super::{LASTS, play};

#[tokio::test]
async fn killed_paused_terminated() {
    let killed = Plan::one(Fault::Kill(1), LASTS);
    let mut cluster = Cluster::start(round::options(&killed)).await;
    play(&mut cluster, "killed", &killed).await;
    play(&mut cluster, "paused", &Plan::one(Fault::Pause(2), LASTS)).await;
    let pause = Duration::from_millis(700);
    let rolling = Plan::one(Fault::Terminate(3), LASTS / 4);
    let rolling =
        rolling.then(Fault::Terminate(1), pause, LASTS / 4).then(Fault::Terminate(2), pause, LASTS / 4);
    play(&mut cluster, "terminated", &rolling).await;
    play(&mut cluster, "all-killed", &Plan::one(Fault::KillAll, LASTS / 4)).await;
    cluster.assert_alive();
}
