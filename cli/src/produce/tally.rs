//! What became of the records.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use trilog_client::{Delivery, Error};

/// Deliveries that are taken at once.
const AT_ONCE: usize = 1024;

/// Deliveries that wait to be taken. Their memory is small beside that of their records, which the producer bounds.
const WAITING: usize = 64 << 10;

/// How long a delivery takes before the person who waits is told.
const SILENCE: Duration = Duration::from_secs(5);

/// What is known so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Records acknowledged, by topic and partition.
    pub(super) partitions: BTreeMap<(Arc<str>, i32), u64>,
    /// Records acknowledged.
    pub(super) delivered: u64,
    /// Records given up.
    pub(super) failed: u64,
    /// The first of them: the number of its piece, and why.
    pub(super) failure: Option<(u64, Error)>,
}

/// A record that was sent: the number of its piece, its topic, and what becomes of it.
type Sent = (u64, Arc<str>, Delivery);

/// Takes the deliveries of records in the order in which they were sent.
#[derive(Debug)]
pub(super) struct Settler {
    deliveries: mpsc::Sender<Sent>,
    tally: Arc<Mutex<Tally>>,
    has_failed: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Settler {
    pub(super) fn start() -> Self {
        let (deliveries, queue) = mpsc::channel(WAITING);
        let tally = Arc::<Mutex<Tally>>::default();
        let (failing, has_failed) = watch::channel(false);
        let task = tokio::spawn(settle(queue, Arc::clone(&tally), failing));
        Self { deliveries, tally, has_failed, task }
    }

    /// Hands over what becomes of the record of piece `number`.
    pub(super) async fn take(&self, number: u64, topic: Arc<str>, delivery: Delivery) {
        // The task ends with its senders.
        let _ = self.deliveries.send((number, topic, delivery)).await;
    }

    /// Waits until a record has failed: forever, if none does.
    ///
    /// Cancel safety: nothing is lost.
    pub(super) fn failure(&self) -> impl Future<Output = ()> + use<> {
        let mut has_failed = self.has_failed.clone();
        async move {
            if has_failed.wait_for(|failed| *failed).await.is_err() {
                std::future::pending().await
            }
        }
    }

    /// What is known so far.
    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until every record has its fate.
    pub(super) async fn finish(self) -> Tally {
        drop(self.deliveries);
        // It does not panic, and nobody aborts it.
        let _ = self.task.await;
        std::mem::take(&mut *self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn settle(mut queue: mpsc::Receiver<Sent>, tally: Arc<Mutex<Tally>>, failing: watch::Sender<bool>) {
    let mut some = Vec::with_capacity(AT_ONCE);
    while queue.recv_many(&mut some, AT_ONCE).await > 0 {
        for (number, topic, mut delivery) in some.drain(..) {
            let fate = match timeout(SILENCE, &mut delivery).await {
                Ok(fate) => fate,
                Err(_) => {
                    eprintln!("trilog: record {number} is not acknowledged yet; waiting");
                    delivery.await
                }
            };
            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            match fate {
                Ok(delivered) => {
                    tally.delivered += 1;
                    *tally.partitions.entry((topic, delivered.partition)).or_default() += 1;
                }
                Err(error) => {
                    tally.failed += 1;
                    tally.failure.get_or_insert((number, error));
                    failing.send_replace(true);
                }
            }
        }
    }
}
