//! The judgement bites: brokers that break a promise on purpose, one after the other, and each is found out.
//!
//! What such a broker does is told in `broker/src/faults.rs`. `bites` shows the same of a history that is changed afterwards;
//! here the clients, too, have to notice what they are told.

use std::time::Duration;

use tokio::task::LocalSet;
use trilog_tests::checker::{Rule, check};
use trilog_tests::cluster::Cluster;
use trilog_tests::history::Recorder;
use trilog_tests::nemesis::plan::Plan;
use trilog_tests::round;

/// Plays a round without any fault but that of the brokers; these rules are broken.
async fn broken(fault: &'static str) -> Vec<Rule> {
    let plan = Plan { changes: vec![Duration::from_secs(2)], ..Plan::default() };
    let mut cluster = Cluster::start(round::options(&plan).fault(fault)).await;
    let recorder = Recorder::default();
    let recorded = recorder.clone();
    // In a task of its own: what cannot be read at all is one panic of several that such a broker may cause.
    let here = LocalSet::new();
    let playing = here.spawn_local(async move { round::play(&mut cluster, fault, &plan, &recorder).await });
    let played = here.run_until(playing).await;
    let violations = played.unwrap_or_else(|_| check(&recorded.history()));
    let mut rules = violations.iter().map(|violation| violation.rule).collect::<Vec<_>>();
    rules.sort_unstable();
    rules.dedup();
    println!("{fault}: {rules:?}, as in {}", violations.first().map(ToString::to_string).unwrap_or_default());
    rules
}

#[tokio::test]
async fn batches_of_one_producer_in_another_order() {
    assert!(broken("swap").await.contains(&Rule::Swapped));
}

#[tokio::test]
async fn an_end_that_never_comes_to_be() {
    // What lies below it cannot be read.
    assert!(broken("show-more").await.contains(&Rule::GaveUp));
}

#[tokio::test]
async fn an_offset_of_a_partition_for_which_nobody_committed() {
    assert!(broken("leak").await.contains(&Rule::Commit));
}

#[tokio::test]
async fn a_group_that_is_never_given_a_partition() {
    assert!(broken("starve").await.contains(&Rule::Unread));
}

#[tokio::test]
async fn a_record_that_cannot_be_read() {
    assert!(broken("damage").await.contains(&Rule::GaveUp));
}

#[tokio::test]
async fn a_replica_that_lacks_what_the_leader_has() {
    // No client sees it: nobody else leads as long as they are there.
    assert!(broken("diverge").await.contains(&Rule::Lost));
}

#[tokio::test]
async fn a_refused_batch_that_is_in_the_log() {
    assert!(broken("refuse").await.contains(&Rule::AbortedRead));
}
