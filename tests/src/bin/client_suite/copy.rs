//! A copy of a topic, made exactly once: records are read, changed and written in transactions together with the offsets of what was
//! read. A node dies meanwhile, and the copying process is killed and started anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use trilog_client::consumer::{Batch, CommitOffset, Landmark};
use trilog_client::{Consumer, Error, ErrorClass, Producer, Record};

use crate::failover::HAS_KILLED;
use crate::stage::{Stage, each_once, number, until};
use crate::transactions::{read, reader, transactional};

/// A process that copies: a runtime of its own, which ends without a word.
struct Copier {
    runtime: tokio::runtime::Runtime,
}

impl Copier {
    fn start(stage: &Stage, target: &str, copied: &Arc<AtomicU32>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("the system gives a runtime");
        let (stage, target, copied) = (stage.clone(), target.to_owned(), Arc::clone(copied));
        runtime.spawn(async move { copy(stage, target, copied).await });
        Self { runtime }
    }

    fn kill(self) {
        self.runtime.shutdown_background();
    }
}

async fn copy(stage: Stage, target: String, copied: Arc<AtomicU32>) {
    // A static member: the next process takes its place at once, and fences it.
    let settings = [
        ("isolation.level", "read_committed"),
        ("enable.auto.commit", "false"),
        ("group.instance.id", "copier"),
        ("max.poll.records", "50"),
    ];
    let mut consumer = stage.consumer(&settings);
    consumer.subscribe([stage.name]).expect("it has a group");
    let producer = transactional(&stage, &[]).await;
    loop {
        let batch = consumer.poll().await.expect("records");
        match copy_batch(&consumer, &producer, &target, &batch).await {
            Ok(()) => {
                let count = u32::try_from(batch.records.len()).expect("a small number");
                copied.fetch_add(count, Ordering::Relaxed);
            }
            Err(error) => {
                let passes = matches!(error.class(), ErrorClass::NeedsAbort | ErrorClass::Retriable);
                assert!(passes, "the copier cannot pass over {error}");
                go_back(&mut consumer).await.expect("the group tells its offsets");
            }
        }
    }
}

async fn copy_batch(
    consumer: &Consumer,
    producer: &Producer,
    target: &str,
    batch: &Batch,
) -> Result<(), Error> {
    let mut transaction = producer.begin_transaction().await?;
    for record in &batch.records {
        let value = number(record.value.as_deref()).to_string();
        let mut copy = Record::to(target).value(value);
        copy.key.clone_from(&record.key);
        drop(transaction.send(copy).await?);
    }
    let offsets = [(batch.partition.clone(), CommitOffset::at(batch.next_offset))].into();
    transaction.send_offsets(offsets, &consumer.group_metadata()?).await?;
    transaction.commit().await
}

async fn go_back(consumer: &mut Consumer) -> Result<(), Error> {
    let assigned = consumer.assignment();
    let committed = consumer.committed(assigned.clone()).await?;
    for place in &assigned {
        match committed.get(place) {
            Some(commit) => consumer.seek(place, commit.offset),
            None => consumer.seek_to(place, Landmark::Beginning),
        };
    }
    Ok(())
}

/// Nodes and copiers die, and each record is copied once.
pub(crate) async fn exactly_once(stage: Stage) {
    stage.topic(3).await;
    let target = Stage { name: "copy-of-what-was-read", ..stage.clone() };
    target.topic(3).await;
    let copied = Arc::new(AtomicU32::new(0));
    let mut copier = Copier::start(&stage, target.name, &copied);
    let (mut sent, mut restarts) = (0, 0);
    until("a node dies", async || {
        stage.send(sent..sent + 20).await;
        sent += 20;
        let before = copied.load(Ordering::Relaxed);
        if restarts < 3 && sent > 100 * (restarts + 1) && before > 0 {
            restarts += 1;
            let next = Copier::start(&stage, target.name, &copied);
            std::mem::replace(&mut copier, next).kill();
        }
        (HAS_KILLED.load(Ordering::Relaxed) && restarts == 3).then_some(())
    })
    .await;
    stage.send(sent..sent + 200).await;
    sent += 200;
    let mut committed = reader(&stage, target.name, "read_committed").await;
    let found = read(&mut committed, usize::try_from(sent).expect("a small number")).await;
    each_once(found, 0..sent);
    copier.kill();
}
