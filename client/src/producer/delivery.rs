//! What becomes of a record.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::Error;

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivered {
    /// The partition.
    pub partition: i32,
    /// Its offset there. Unknown with `acks=0`, and where the broker remembers of a retry only that it is one.
    pub offset: Option<i64>,
    /// Its timestamp in milliseconds since 1970: the record's own, or the broker's where the topic says so.
    pub timestamp: i64,
}

/// The fate of one record: resolves once it is acknowledged, or given up.
///
/// Dropped, the record is sent all the same. Deliveries of one partition resolve in the order of their records, except that a
/// producer that is not idempotent may overtake with later records what it retries.
///
/// An error of the class [`Retriable`](crate::ErrorClass::Retriable) means that the record was retried until
/// `delivery.timeout.ms`: it *may* have been appended.
///
/// Cancel-safe: it may be polled, dropped and put into `select!` at any time.
#[derive(Debug)]
#[must_use = "a record that fails says so nowhere else"]
pub struct Delivery {
    fate: oneshot::Receiver<Result<Delivered, Error>>,
}

impl Delivery {
    /// A delivery, and the means to resolve it.
    pub(super) fn channel() -> (oneshot::Sender<Result<Delivered, Error>>, Self) {
        let (sender, fate) = oneshot::channel();
        (sender, Self { fate })
    }
}

impl Future for Delivery {
    type Output = Result<Delivered, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // The driver answers every record that it accepted; it is gone only with its runtime.
        Pin::new(&mut self.fate).poll(context).map(|fate| fate.unwrap_or(Err(Error::Closed)))
    }
}
