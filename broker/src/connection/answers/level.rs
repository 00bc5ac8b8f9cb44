//! Bytes that many share, and the one overdraft beside them.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A number of bytes, and leave for one answer at a time to do without. Clones are the same ones.
#[derive(Clone, Debug)]
pub(super) struct Level {
    size: usize,
    bytes: Arc<Semaphore>,
    overdraft: Arc<Semaphore>,
}

/// What one answer has of a [`Level`], given back on drop.
#[derive(Debug, Default)]
pub(super) struct Part {
    bytes: Option<OwnedSemaphorePermit>,
    overdraft: Option<OwnedSemaphorePermit>,
}

/// What an answer gets that has waited.
#[derive(Debug)]
pub(super) enum Grant {
    Bytes(OwnedSemaphorePermit),
    Overdraft(OwnedSemaphorePermit),
}

impl Level {
    /// Of so many bytes.
    pub(super) fn new(size: usize) -> Self {
        Self { size, bytes: Arc::new(Semaphore::new(size)), overdraft: Arc::new(Semaphore::new(1)) }
    }

    /// Bytes that are free.
    pub(super) fn free(&self) -> usize {
        self.bytes.available_permits()
    }

    /// Whether half of the bytes are free, or more.
    pub(super) fn is_half_free(&self) -> bool {
        self.free() >= self.size / 2
    }

    fn try_take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes).ok()?;
        Arc::clone(&self.bytes).try_acquire_many_owned(bytes).ok()
    }

    /// Waits for `bytes` or for the overdraft, whichever is free first.
    pub(super) async fn wait(&self, bytes: usize) -> Grant {
        let lacking = u32::try_from(bytes).unwrap_or(u32::MAX);
        let (free, overdraft) = (Arc::clone(&self.bytes), Arc::clone(&self.overdraft));
        let granted = tokio::select! {
            biased;
            // More than there is at all is for the overdraft alone.
            granted = free.acquire_many_owned(lacking), if bytes <= self.size => granted.map(Grant::Bytes),
            granted = overdraft.acquire_owned() => granted.map(Grant::Overdraft),
        };
        granted.expect("the budget's semaphores are never closed")
    }
}

impl Part {
    /// Bytes that it has; the overdraft is not counted.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Whether it has anything.
    pub(super) const fn is_any(&self) -> bool {
        self.bytes.is_some() || self.overdraft.is_some()
    }

    /// Whether it has the overdraft.
    pub(super) const fn is_overdrawn(&self) -> bool {
        self.overdraft.is_some()
    }

    /// How many of `bytes` it lacks.
    pub(super) fn lacks(&self, bytes: usize) -> usize {
        if self.is_overdrawn() { 0 } else { bytes.saturating_sub(self.bytes()) }
    }

    /// Whether it lacks nothing of `bytes`.
    pub(super) fn covers(&self, bytes: usize) -> bool {
        self.lacks(bytes) == 0
    }

    /// Covers `bytes`, if what it lacks is free.
    pub(super) fn try_grow_to(&mut self, level: &Level, bytes: usize) -> bool {
        let lacking = self.lacks(bytes);
        if lacking == 0 {
            return true;
        }
        let granted = level.try_take(lacking);
        granted.map(|granted| self.add(Grant::Bytes(granted))).is_some()
    }

    /// Adds what was granted.
    pub(super) fn add(&mut self, grant: Grant) {
        match (grant, &mut self.bytes) {
            (Grant::Bytes(more), Some(bytes)) => bytes.merge(more),
            (Grant::Bytes(first), none) => *none = Some(first).filter(|first| first.num_permits() > 0),
            (Grant::Overdraft(overdraft), _) => self.overdraft = Some(overdraft),
        }
    }

    /// Gives back the bytes above `bytes`.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        let surplus = self.bytes().saturating_sub(bytes);
        if let Some(permit) = &mut self.bytes {
            drop(permit.split(surplus));
        }
        self.bytes.take_if(|permit| permit.num_permits() == 0);
    }

    /// Gives back what is not needed to cover `bytes`: the overdraft, too, if they are free without it.
    pub(super) fn settle(&mut self, level: &Level, bytes: usize) {
        if let Some(overdraft) = self.overdraft.take()
            && !self.try_grow_to(level, bytes)
        {
            self.overdraft = Some(overdraft);
            return;
        }
        self.shrink_to(bytes);
    }
}
