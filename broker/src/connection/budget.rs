//! The node's budget of request bytes: how much memory all clients' requests together may take.
//!
//! A request claims its bytes as they arrive and gives them back when nobody holds them any more ([`super::load`]). Small
//! requests of a connection that has little in flight are exempt (the reader decides), so that heartbeats and metadata pass
//! however large the produce requests are that others wait with. A small produce request has a budget of its own, as what it
//! brings waits for the disk, whether its client stays or not. Connections without number, each with a few requests, may use that up.
//! Therefore there is a reserve for a connection that has nothing else in flight, and whose earlier produce requests were decided.
//!
//! Claiming as bytes arrive, rather than the announced length at once, keeps a client that announces 100 MB
//! and sends nothing from taking anybody's share. The price is that many half-received requests could
//! together exhaust the budget, each waiting for bytes that only another could free. Therefore one request at
//! a time may overdraw: whoever gets the overdraft reads its frame to the end, is answered, and passes the
//! overdraft on. Memory is so bounded by the budget and one largest request, and there is always progress.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that the requests of all connections may hold, exempt ones aside. Half a second of what a disk takes: what waits beyond that waits
/// as well with its client. A larger request overdraws it.
pub(crate) const NODE_REQUEST_BYTES: usize = 64 << 20;

/// Bytes that small produce requests may hold besides.
pub(crate) const NODE_SMALL_PRODUCE_BYTES: usize = 16 << 20;

/// Bytes that small produce requests may hold where that is taken: one at a time of each connection that has produced before.
pub(crate) const NODE_SMALL_RESERVE_BYTES: usize = 4 << 20;

/// The bytes that are still free, shared by all connections of a node.
#[derive(Clone, Debug)]
pub(super) struct ByteBudget {
    bytes: Arc<Semaphore>,
    overdraft: Arc<Semaphore>,
    small: Arc<Semaphore>,
    reserve: Arc<Semaphore>,
}

/// Bytes taken out of the budget, given back on drop.
#[derive(Debug, Default)]
pub(super) struct Claim {
    bytes: Option<OwnedSemaphorePermit>,
    overdraft: Option<OwnedSemaphorePermit>,
    /// It is of a small produce request.
    is_small: bool,
}

/// What the budget grants: the bytes asked for, or leave to do without.
#[derive(Debug)]
pub(super) enum Grant {
    Bytes(OwnedSemaphorePermit),
    Overdraft(OwnedSemaphorePermit),
}

impl ByteBudget {
    /// A budget of so many bytes, and of [`NODE_SMALL_PRODUCE_BYTES`] for small produce requests.
    pub(super) fn new(bytes: usize) -> Self {
        let of = |permits| Arc::new(Semaphore::new(permits));
        let (small, reserve) = (of(NODE_SMALL_PRODUCE_BYTES), of(NODE_SMALL_RESERVE_BYTES));
        Self { bytes: of(bytes), overdraft: of(1), small, reserve }
    }

    /// Takes `bytes` for a small produce request, if they are free, or free in the reserve where it `may_use_reserve`.
    pub(super) fn try_take_small(&self, bytes: u32, may_use_reserve: bool) -> Option<Grant> {
        let take =
            |from: &Arc<Semaphore>| Arc::clone(from).try_acquire_many_owned(bytes).ok().map(Grant::Bytes);
        take(&self.small).or_else(|| if may_use_reserve { take(&self.reserve) } else { None })
    }

    /// Waits for `bytes` for a small produce request, or for as many of the reserve where it `may_use_reserve`.
    pub(super) fn take_small(
        &self,
        bytes: u32,
        may_use_reserve: bool,
    ) -> impl Future<Output = Grant> + Send + use<> {
        let (small, reserve) = (Arc::clone(&self.small), Arc::clone(&self.reserve));
        async move {
            let granted = tokio::select! {
                biased;
                permit = small.acquire_many_owned(bytes) => permit,
                permit = reserve.acquire_many_owned(bytes), if may_use_reserve => permit,
            };
            granted.map(Grant::Bytes).expect("the budget's semaphores are never closed")
        }
    }

    /// Takes `bytes` if they are free.
    pub(super) fn try_take(&self, bytes: u32) -> Option<Grant> {
        Arc::clone(&self.bytes).try_acquire_many_owned(bytes).ok().map(Grant::Bytes)
    }

    /// Waits for `bytes` or for the overdraft, whichever is free first.
    pub(super) fn take(&self, bytes: u32) -> impl Future<Output = Grant> + Send + use<> {
        let Self { bytes: free, overdraft, .. } = self.clone();
        async move {
            let granted = tokio::select! {
                biased;
                permit = free.acquire_many_owned(bytes) => permit.map(Grant::Bytes),
                permit = overdraft.acquire_owned() => permit.map(Grant::Overdraft),
            };
            granted.expect("the budget's semaphores are never closed")
        }
    }
}

impl Claim {
    /// How many of `bytes` this claim still has to ask for.
    pub(super) fn lacks(&self, bytes: usize) -> usize {
        if self.overdraft.is_some() {
            return 0;
        }
        bytes.saturating_sub(self.bytes.as_ref().map_or(0, OwnedSemaphorePermit::num_permits))
    }

    /// Adds what a small produce request was granted.
    pub(super) fn add_small(&mut self, grant: Grant) {
        self.is_small = true;
        self.add(grant);
    }

    /// Whether it is of a small produce request.
    pub(super) const fn is_small(&self) -> bool {
        self.is_small
    }

    /// Adds what was granted.
    pub(super) fn add(&mut self, grant: Grant) {
        match (grant, &mut self.bytes) {
            (Grant::Bytes(more), Some(bytes)) => bytes.merge(more),
            (Grant::Bytes(first), none) => *none = Some(first),
            (Grant::Overdraft(overdraft), _) => {
                assert!(
                    self.overdraft.is_none(),
                    "who holds the overdraft lacks nothing and asks for nothing"
                );
                self.overdraft = Some(overdraft);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(budget: &ByteBudget, bytes: u32) -> Option<Claim> {
        let mut claim = Claim::default();
        claim.add(budget.try_take(bytes)?);
        Some(claim)
    }

    #[test]
    fn bytes_come_back_when_a_claim_is_dropped() {
        let budget = ByteBudget::new(100);
        let mut first = claim(&budget, 60).unwrap();
        assert_eq!(first.lacks(100), 40);
        assert!(claim(&budget, 60).is_none());
        first.add(budget.try_take(40).unwrap());
        assert_eq!(first.lacks(100), 0);
        drop(first);
        assert!(claim(&budget, 100).is_some());
    }

    #[tokio::test]
    async fn one_claim_at_a_time_may_overdraw() {
        let budget = ByteBudget::new(100);
        let mut first = claim(&budget, 60).unwrap();
        let mut second = claim(&budget, 40).unwrap();

        first.add(budget.take(1_000).await);
        assert_eq!(first.lacks(usize::MAX), 0, "the first overdraws");
        let mut waiting = Box::pin(budget.take(1_000));
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("two claims must not overdraw at once"),
            () = std::future::ready(()) => {}
        }
        drop(first);
        second.add(waiting.await);
        assert_eq!(second.lacks(usize::MAX), 0, "then the second does");
    }
}
