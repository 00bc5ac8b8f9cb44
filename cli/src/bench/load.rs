//! Records in: as many as the cluster takes, or as a rate allows.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use trilog_client::{Delivery, Error, Producer, Record};

use super::histogram::Histogram;
use super::payload::{Stamp, Values};
use crate::interrupt::Interrupt;
use crate::pace::Pace;
use crate::progress::Progress;

/// The time between two records that are measured: a task for every record would cost more than the record.
const SAMPLE_EVERY: Duration = Duration::from_micros(500);

/// Deliveries that wait. Their memory is small beside that of their records, which the producer bounds.
const WAITING: usize = 64 << 10;

/// Records between two looks for a signal, where no record has to wait: then the signal is waited for as well.
const LOOK_EVERY: u64 = 64;

/// What is to be sent.
pub(super) struct Load {
    pub(super) producer: Producer,
    pub(super) topic: String,
    pub(super) values: Values,
    /// Stamps the values, for a consumer that measures.
    pub(super) stamp: Option<Stamp>,
    pub(super) pace: Pace,
    /// Records that are sent at most.
    pub(super) records: u64,
    /// When it ends.
    pub(super) until: Option<Instant>,
}

/// What was sent and acknowledged.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) records: u64,
    /// The times until acknowledgements, of a part of the records.
    pub(super) latency: Histogram,
}

impl Load {
    /// Sends until the end or a signal, and waits for all acknowledgements.
    pub(super) async fn send(self, mut interrupt: Interrupt, mut progress: Progress) -> Result<Sent, Error> {
        let mut fates = Fates::start();
        let mut records = 0;
        while records < self.records && !fates.have_ended() {
            if records % LOOK_EVERY == 0 && interrupt.came() {
                break;
            }
            let (begun, delivery) = tokio::select! {
                biased;
                sent = self.one(records + 1) => sent?,
                () = interrupt.wait() => break,
            };
            records += 1;
            fates.take(begun, delivery).await?;
            progress.show(|| format!("{records} records sent"));
            if self.until.is_some_and(|until| begun >= until) {
                break;
            }
        }
        self.producer.flush().await;
        let latency = fates.finish().await?;
        Ok(Sent { records, latency })
    }

    /// Sends a record when it is due, and gives the time from which its latency counts.
    async fn one(&self, number: u64) -> Result<(Instant, Delivery), Error> {
        let begun = self.pace.wait(number).await;
        let value = match &self.stamp {
            Some(stamp) => self.values.stamped(number, stamp, begun),
            None => self.values.plain(number),
        };
        let delivery = self.producer.send(Record::to(&*self.topic).value(value)).await?;
        Ok((begun, delivery))
    }
}

/// Waits for acknowledgements, and measures some of them.
struct Fates {
    measured: JoinSet<Result<Duration, Error>>,
    latency: Histogram,
    /// The time of the last record that is measured.
    last: Option<Instant>,
    others: mpsc::Sender<Delivery>,
    /// Ends early with the first record that fails.
    task: JoinHandle<Result<(), Error>>,
}

impl Fates {
    fn start() -> Self {
        let (others, queue) = mpsc::channel(WAITING);
        let task = tokio::spawn(settle(queue));
        Self { measured: JoinSet::new(), latency: Histogram::default(), last: None, others, task }
    }

    fn have_ended(&self) -> bool {
        self.task.is_finished()
    }

    async fn take(&mut self, begun: Instant, delivery: Delivery) -> Result<(), Error> {
        if self.last.is_some_and(|last| begun.saturating_duration_since(last) < SAMPLE_EVERY) {
            // The task has ended with an error, which `finish` gives.
            let _ = self.others.send(delivery).await;
            return Ok(());
        }
        self.last = Some(begun);
        self.measured.spawn(async move { delivery.await.map(|_| begun.elapsed()) });
        while let Some(time) = self.measured.try_join_next() {
            self.latency.record(time.unwrap_or(Err(Error::Closed))?);
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<Histogram, Error> {
        drop(self.others);
        while let Some(time) = self.measured.join_next().await {
            self.latency.record(time.unwrap_or(Err(Error::Closed))?);
        }
        self.task.await.unwrap_or(Err(Error::Closed))?;
        Ok(self.latency)
    }
}

async fn settle(mut queue: mpsc::Receiver<Delivery>) -> Result<(), Error> {
    let mut some = Vec::new();
    while queue.recv_many(&mut some, 1024).await > 0 {
        for delivery in some.drain(..) {
            delivery.await?;
        }
    }
    Ok(())
}
