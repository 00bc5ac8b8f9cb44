//! A fetch's share of the node's memory for answers.
//!
//! Before each pass a fetch takes a part of what is free, and reads no more than that; where little is left, only when it is the
//! oldest request of its connection. A fetch may always return less than it was asked for, but never nothing for ever: where the
//! first batch is larger, it waits for the memory of a usual batch, and if that does not do, until one answer of any size may be
//! built, which is one at a time. What it did not read it gives back at once.

use std::sync::Arc;

use super::limits::Memory;
use super::pass::Pass;
use super::read;
use crate::connection::{AnswerMemory, Share};

/// What a partition of a fetch takes beside its batches, in bytes.
pub(super) const PARTITION_BYTES: usize = 384;

/// As large as a batch may be by default (`message.max.bytes`), and its partition beside it.
const USUAL_BATCH_BYTES: usize = (1 << 20) + (4 << 10);

/// The memory of a fetch.
pub(super) struct MemoryOfFetch {
    share: Share,
    node: Arc<AnswerMemory>,
    /// What it takes without its batches.
    base: usize,
}

impl MemoryOfFetch {
    /// Of a fetch that has read nothing yet.
    pub(super) fn new(mut share: Share, node: Arc<AnswerMemory>, pass: &Pass) -> Self {
        let base = pass.partitions() * PARTITION_BYTES;
        share.shrink_to(base);
        Self { share, node, base }
    }

    /// One pass over the partitions, as far as there is memory.
    pub(super) async fn read(&mut self, mut pass: Pass) -> Pass {
        self.node.turn().await;
        let granted = self.share.grow_for_fetch(self.base + pass.max_bytes());
        pass.set_memory(Memory::Bytes(granted.saturating_sub(self.base)));
        pass = read(pass).await;
        if pass.lacks_memory() {
            // Nobody waits while it holds what others wait for.
            self.share.shrink_to(self.base);
            self.share.grow_to(self.base + USUAL_BATCH_BYTES).await;
            pass.set_memory(self.first_batch());
            pass = read(pass).await;
        }
        if pass.lacks_memory() {
            self.share.shrink_to(self.base);
            self.share.overdraw().await;
            pass.set_memory(Memory::FirstBatch);
            pass = read(pass).await;
        }
        self.share.shrink_to(self.base + pass.bytes());
        pass
    }

    /// What it may read with the memory of a usual batch, or with the overdraft instead.
    fn first_batch(&self) -> Memory {
        if self.share.is_overdrawn() { Memory::FirstBatch } else { Memory::Bytes(USUAL_BATCH_BYTES) }
    }

    /// Whether others could use what it has.
    pub(super) fn holds_any(&self) -> bool {
        self.share.is_any()
    }

    /// Waits until others wait for memory.
    pub(super) async fn is_wanted(&self) {
        self.node.scarce().await;
    }

    /// The share, for the answer.
    pub(super) fn into_share(self) -> Share {
        self.share
    }
}
