//! One group's troubles are its own, even where another one has the same coordinator.

use std::time::Duration;

use kafka_protocol::ResponseError;
use tokio::time::timeout;
use trilog_tests::cluster::shared;
use trilog_tests::group::classic::{ClassicMember, form};
use trilog_tests::group::consumer::{ConsumerMember, LEAVES, settle};
use trilog_tests::group::offsets::Commit;

/// How often the other group is rebalanced meanwhile.
const ROUNDS: i64 = 20;

#[tokio::test]
async fn a_rebalance_that_hangs_delays_no_other_group() {
    let cluster = shared().await;
    cluster.new_partition("independence").await;
    cluster.group("independence").await;
    let names = cluster.names_in_one_partition("independence", 3).await;

    // A member lives and does not join again, and may take an hour for it; another one waits for it.
    let hanging = cluster.group(&names[0]).await;
    let mut never = ClassicMember::new(&hanging).await;
    never.rebalance_timeout_ms = 3_600_000;
    form(std::slice::from_mut(&mut never)).await;
    let mut waits = ClassicMember::new(&hanging).await;
    let mut joining = Box::pin(waits.start_join().await.answer());
    never.hears_of_rebalance().await;

    let classic = cluster.group(&names[1]).await;
    let consumer = cluster.group(&names[2]).await;
    assert_eq!([classic.node, consumer.node], [hanging.node; 2], "they have one coordinator");
    for round in 0..ROUNDS {
        let mut members = [ClassicMember::new(&classic).await, ClassicMember::new(&classic).await];
        form(&mut members).await;
        let commit = Commit::outside("independence", 0, round);
        assert_eq!(classic.commit(&commit.by(&members[0].id, members[0].generation)).await, None);
        for member in members {
            assert_eq!(member.leave().await, None);
        }
        let mut member = ConsumerMember::new(&consumer, &["independence"]).await;
        settle(std::slice::from_mut(&mut member), &[1]).await;
        member.leave(LEAVES).await;
    }
    assert_eq!(classic.offset("independence", 0).await, ROUNDS - 1);
    assert_eq!(never.heartbeat().await, Some(ResponseError::RebalanceInProgress));
    let answered = timeout(Duration::ZERO, &mut joining).await;
    assert!(answered.is_err(), "it waits to this moment: {answered:?}");
    // Its own group goes on as soon as nothing stands in its way.
    assert_eq!(never.leave().await, None);
    let answer = joining.await.expect("JoinGroup is answered");
    assert_eq!((answer.error_code, answer.members.len()), (0, 1));
}
