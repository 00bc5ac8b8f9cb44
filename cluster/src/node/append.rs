//! Adding records to partitions that this node leads.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::Node;
use crate::driver::Append;
use crate::driver::inbox::Input;
use crate::shard::effects::{AppendError, Appended};

impl Node {
    /// Adds a batch to a partition. The order of calls is the order in the log; the future resolves when the batch is
    /// committed, or known not to be. Dropping the future changes nothing about the batch: what it holds is held until then.
    pub fn append(&self, append: Append) -> AppendFuture {
        let (reply, answer) = oneshot::channel();
        self.shared.inbox.push(Input::Append(append, reply));
        AppendFuture(answer)
    }
}

/// The answer to [`Node::append`].
#[derive(Debug)]
pub struct AppendFuture(oneshot::Receiver<Result<Appended, AppendError>>);

impl Future for AppendFuture {
    type Output = Result<Appended, AppendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| answer.unwrap_or(Err(AppendError::Unknown)))
    }
}
