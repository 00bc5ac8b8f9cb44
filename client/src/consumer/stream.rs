//! A consumer's records one by one, as a [`Stream`].

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec::IntoIter;

use futures_core::Stream;
use trilog_protocol::records::Record;

use super::partition::TopicPartition;
use super::{Batch, Consumer};
use crate::Error;

/// A `poll` that is under way, with the consumer inside.
type Polling = Pin<Box<dyn Future<Output = (Box<Consumer>, Result<Batch, Error>)> + Send>>;

/// The records of a [`Consumer`], each with its partition, without an end. Made by [`Consumer::into_stream`].
///
/// The application is done with the records of a batch when it asks for the first of the next one: until then, automatic
/// commits do not cover them. An error is an item like others; the stream goes on where the consumer can.
#[must_use = "a stream does nothing unless it is polled"]
pub struct RecordStream {
    phase: Phase,
    partition: Option<TopicPartition>,
    records: IntoIter<Record>,
}

enum Phase {
    Idle(Box<Consumer>),
    Polling(Polling),
    /// Between the two, within one call.
    Moving,
}

impl std::fmt::Debug for RecordStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordStream").field("ready", &self.records.len()).finish_non_exhaustive()
    }
}

impl RecordStream {
    pub(super) fn new(consumer: Consumer) -> Self {
        Self { phase: Phase::Idle(Box::new(consumer)), partition: None, records: Vec::new().into_iter() }
    }
}

impl Stream for RecordStream {
    type Item = Result<(TopicPartition, Record), Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let (Some(partition), Some(record)) = (&this.partition, this.records.next()) {
                return Poll::Ready(Some(Ok((partition.clone(), record))));
            }
            let mut polling: Polling = match std::mem::replace(&mut this.phase, Phase::Moving) {
                Phase::Idle(mut consumer) => Box::pin(async move {
                    let batch = consumer.poll().await;
                    (consumer, batch)
                }),
                Phase::Polling(polling) => polling,
                // Only a panic inside of the consumer leaves it so.
                Phase::Moving => return Poll::Ready(None),
            };
            let Poll::Ready((consumer, batch)) = polling.as_mut().poll(context) else {
                this.phase = Phase::Polling(polling);
                return Poll::Pending;
            };
            this.phase = Phase::Idle(consumer);
            match batch {
                Ok(batch) => {
                    this.partition = Some(batch.partition);
                    this.records = batch.records.into_iter();
                }
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }
}
