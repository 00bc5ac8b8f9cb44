//! Disks that are full, and one that is lost.

use trilog_tests::cluster::Cluster;
use trilog_tests::complete::not_tested;
use trilog_tests::nemesis::plan::Plan;
use trilog_tests::nemesis::{Fault, Left};
use trilog_tests::round;
use trilog_tests::small_disk::SmallDisk;

use super::{LASTS, play};

#[tokio::test]
async fn full_and_nearly_full() {
    if let Err(why) = SmallDisk::mount(1) {
        return not_tested("disks that fill up (are you root?)", &why);
    }
    let full = Plan::one(Fault::Full { node: 1, left: Left::Nothing }, LASTS);
    let mut cluster = Cluster::start(round::options(&full)).await;
    play(&mut cluster, "full", &full).await;
    let nearly = Plan::one(Fault::Full { node: 2, left: Left::HalfTheReserve }, LASTS);
    play(&mut cluster, "nearly-full", &nearly).await;
    cluster.assert_alive();
}

#[tokio::test]
async fn lost() {
    let lost = Plan::one(Fault::Wipe(2), LASTS / 4);
    let mut cluster = Cluster::start(round::options(&lost)).await;
    play(&mut cluster, "lost", &lost).await;
    cluster.assert_alive();
}
