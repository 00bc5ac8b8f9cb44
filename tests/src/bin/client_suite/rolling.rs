//! Members of a cooperative group that are started anew one after the other.

use std::collections::BTreeSet;
use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use trilog_client::TopicPartition;
use trilog_client::consumer::{CallbackFuture, Committer, RebalanceListener};

use crate::stage::{Stage, joined, number, until};

const PARTITIONS: i32 = 6;

/// What happened to a member.
#[derive(Clone, Debug, Default)]
struct Diary(Arc<Mutex<Notes>>);

#[derive(Debug, Default)]
struct Notes {
    owned: BTreeSet<i32>,
    /// The most partitions that were taken at once.
    most_taken: usize,
    lost: bool,
    read: Vec<u32>,
}

impl Diary {
    fn with<T>(&self, change: impl FnOnce(&mut Notes) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl RebalanceListener for Diary {
    fn revoked(&self, _committer: Committer, partitions: BTreeSet<TopicPartition>) -> CallbackFuture {
        self.with(|notes| {
            notes.most_taken = notes.most_taken.max(partitions.len());
            notes.owned.retain(|owned| partitions.iter().all(|gone| gone.partition != *owned));
        });
        Box::pin(ready(()))
    }

    fn lost(&self, _partitions: BTreeSet<TopicPartition>) -> CallbackFuture {
        self.with(|notes| notes.lost = true);
        Box::pin(ready(()))
    }

    fn assigned(&self, partitions: BTreeSet<TopicPartition>) -> CallbackFuture {
        self.with(|notes| notes.owned.extend(partitions.iter().map(|place| place.partition)));
        Box::pin(ready(()))
    }
}

struct Member {
    diary: Diary,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Member {
    fn start(stage: &Stage) -> Self {
        let settings =
            [("group.protocol", "classic"), ("partition.assignment.strategy", "cooperative-sticky")];
        let mut consumer = stage.consumer(&settings);
        let diary = Diary::default();
        consumer.set_listener(diary.clone());
        consumer.subscribe([stage.name]).expect("it has a group");
        let (stop, mut stopped) = oneshot::channel();
        let notes = diary.clone();
        let task = tokio::spawn(async move {
            while stopped.try_recv().is_err() {
                if let Ok(batch) = timeout(Duration::from_millis(50), consumer.poll()).await {
                    let batch = batch.expect("records");
                    let numbers = batch.records.iter().map(|record| number(record.value.as_deref()));
                    notes.with(|notes| notes.read.extend(numbers));
                }
            }
            consumer.close().await.expect("the last commit is made");
        });
        Self { diary, stop, task }
    }

    /// Leaves, and gives back what it has read.
    async fn end(self) -> Vec<u32> {
        self.stop.send(()).expect("it polls");
        joined(self.task).await;
        self.diary.with(|notes| std::mem::take(&mut notes.read))
    }
}

/// Whether all partitions are owned, and none twice.
fn is_shared(members: &[Member]) -> Option<()> {
    let mut owned: Vec<_> =
        members.iter().flat_map(|member| member.diary.with(|notes| notes.owned.clone())).collect();
    owned.sort_unstable();
    (owned == (0..PARTITIONS).collect::<Vec<_>>()).then_some(())
}

/// Nothing is lost or read twice, and no member that stays gives up all that it has.
pub(crate) async fn restarts(stage: Stage) {
    stage.topic(PARTITIONS).await;
    let mut members: Vec<_> = (0..3).map(|_| Member::start(&stage)).collect();
    until("all partitions are owned", async || is_shared(&members)).await;
    for member in &members {
        member.diary.with(|notes| notes.most_taken = 0);
    }
    let (mut sent, mut read) = (0, Vec::new());
    for _ in 0..3 {
        stage.send(sent..sent + 300).await;
        sent += 300;
        read.extend(members.remove(0).end().await);
        members.push(Member::start(&stage));
        until("all partitions are owned again", async || is_shared(&members)).await;
        // Those that stay keep what they have, but for what the newcomer gets.
        let stayed = &members[..2];
        assert!(stayed.iter().all(|member| member.diary.with(|notes| notes.most_taken <= 2 && !notes.lost)));
    }
    stage.send(sent..sent + 300).await;
    sent += 300;
    until("everything is read", async || {
        let now: usize = members.iter().map(|member| member.diary.with(|notes| notes.read.len())).sum();
        (read.len() + now >= usize::try_from(sent).ok()?).then_some(())
    })
    .await;
    for member in members {
        read.extend(member.end().await);
    }
    crate::stage::each_once(read, 0..sent);
}
