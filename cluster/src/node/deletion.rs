//! Deleting the oldest records of partitions that this node leads.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::Node;
use crate::driver::inbox::Input;
use crate::ids::{Offset, RaftGroupId};
use crate::shard::effects::DeleteRecordsError;

impl Node {
    /// Deletes the records of a partition below `before`, or with none all that are committed. The future resolves when
    /// that is committed, with the log start offset after it. To ask for what is deleted already changes nothing.
    /// Dropping the future changes nothing about the request.
    pub fn delete_records(&self, group: RaftGroupId, before: Option<Offset>) -> DeleteRecordsFuture {
        let (reply, answer) = oneshot::channel();
        self.shared.inbox.push(Input::DeleteRecords { group, before, reply });
        DeleteRecordsFuture(answer)
    }
}

/// The answer to [`Node::delete_records`].
#[derive(Debug)]
pub struct DeleteRecordsFuture(oneshot::Receiver<Result<Offset, DeleteRecordsError>>);

impl Future for DeleteRecordsFuture {
    type Output = Result<Offset, DeleteRecordsError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = Pin::new(&mut self.0).poll(context);
        answer.map(|answer| answer.unwrap_or(Err(DeleteRecordsError::NotLeader)))
    }
}
