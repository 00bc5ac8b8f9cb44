//! Nodes with addresses of their own, in a network that loses packets.

use std::time::Duration;

use trilog_tests::cluster::Cluster;
use trilog_tests::complete::not_tested;
use trilog_tests::nemesis::plan::Plan;
use trilog_tests::nemesis::{Cut, Fault};
use trilog_tests::network::Network;
use trilog_tests::round;

use super::{LASTS, play};

#[tokio::test]
async fn unplugged_dropped_lossy() {
    if let Err(why) = Network::lay(&[]) {
        return not_tested("networks in which packets are lost (are you root?)", &why);
    }
    let unplugged = Plan::one(Fault::Unplug(1), LASTS);
    let mut cluster = Cluster::start(round::options(&unplugged)).await;
    play(&mut cluster, "unplugged", &unplugged).await;
    let one_way = Plan::one(Fault::Drop(Cut::Mute(2)), LASTS);
    let pause = Duration::from_millis(600);
    let packets = one_way.then(Fault::Lossy { node: 3, percent: 20 }, pause, LASTS);
    play(&mut cluster, "packets", &packets).await;
    cluster.assert_alive();
}
