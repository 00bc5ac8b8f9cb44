//! A hundred members in one group.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;
use trilog_client::Consumer;

use crate::stage::{Owned, Stage, until};

const MEMBERS: usize = 100;

/// What each member has.
type Shares = Arc<Mutex<BTreeMap<usize, Owned>>>;

fn shares(all: &Shares) -> BTreeMap<usize, Owned> {
    all.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

async fn attend(mut consumer: Consumer, number: usize, all: Shares) {
    loop {
        let _ = timeout(Duration::from_millis(200), consumer.poll()).await;
        let owned = consumer.assignment().iter().map(|place| place.partition).collect();
        all.lock().unwrap_or_else(PoisonError::into_inner).insert(number, owned);
    }
}

/// Whether each partition has one owner among these members, and each member the same number of them.
fn is_shared(shares: &BTreeMap<usize, Owned>, mut members: std::ops::Range<usize>) -> Option<()> {
    let each = MEMBERS / members.len();
    let mut owned: Vec<_> = shares.values().flatten().copied().collect();
    owned.sort_unstable();
    let complete = owned == (0..i32::try_from(MEMBERS).ok()?).collect::<Vec<_>>();
    (complete && members.all(|member| shares.get(&member).is_some_and(|owned| owned.len() == each)))
        .then_some(())
}

/// Each gets one of a hundred partitions; when half of them leave, each of the others gets two.
pub(crate) async fn hundred(stage: Stage) {
    stage.topic(i32::try_from(MEMBERS).expect("a small number")).await;
    let all = Shares::default();
    let mut halves = [JoinSet::new(), JoinSet::new()];
    for number in 0..MEMBERS {
        let mut consumer = stage.consumer(&[("group.protocol", "consumer"), ("enable.auto.commit", "false")]);
        consumer.subscribe([stage.name]).expect("it has a group");
        halves[number * 2 / MEMBERS].spawn(attend(consumer, number, Arc::clone(&all)));
    }
    until("a partition each", async || is_shared(&shares(&all), 0..MEMBERS)).await;
    let [first, mut second] = halves;
    // Dropped, they leave.
    second.shutdown().await;
    all.lock().unwrap_or_else(PoisonError::into_inner).retain(|member, _| *member < MEMBERS / 2);
    until("two partitions each", async || is_shared(&shares(&all), 0..MEMBERS / 2)).await;
    drop(first);
}
