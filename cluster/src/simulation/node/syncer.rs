//! The syncer's work: what waits for a sync or a flush, and what follows from either.

use std::time::Duration;

use super::{Output, Process, send};
use crate::shard::effects::{Needs, Persist};
use crate::simulation::disk::{Disk, Written};
use crate::simulation::mutant::Mutant;

/// A sync, or a flush, that is under way.
pub(super) struct Syncing {
    pub(super) rounds: Vec<Persist>,
    written: Written,
    needs: Needs,
    /// When it began, by the process's clock.
    began: Duration,
}

impl Process {
    /// Begins a sync if there is something to sync and none is under way. Returns whether Raft was told of anything
    /// that needs none.
    pub(super) fn begin_sync(&mut self, now: Duration, disk: &Disk, outputs: &mut Vec<Output>) -> bool {
        if self.syncing.is_some() || self.waiting.is_empty() {
            return false;
        }
        let mut rounds: Vec<Persist> = self.waiting.drain(..).collect();
        if rounds.iter().all(|round| round.needs == Needs::Nothing) {
            return self.release(now, rounds, outputs);
        }
        let mut needs = rounds.iter().map(|round| round.needs).max().unwrap_or_default();
        if !disk.is_relaxed {
            needs = Needs::Disk;
        } else if self.mutant == Some(Mutant::FlushPromises) {
            needs = Needs::Kernel;
        }
        let mut told = false;
        let is_relaxed = disk.is_relaxed && self.mutant == Some(Mutant::AcknowledgeUnflushed);
        if is_relaxed && needs == Needs::Kernel || self.mutant == Some(Mutant::AcknowledgeUnsynced) {
            told = self.release(now, std::mem::take(&mut rounds), outputs);
        }
        if self.mutant == Some(Mutant::PromiseUnsynced) {
            for round in &mut rounds {
                send(std::mem::take(&mut round.sends).into_frames(), outputs);
            }
        }
        self.syncing = Some(Syncing { rounds, written: disk.written(), needs, began: self.clock.shows(now) });
        outputs.push(Output::Sync);
        told
    }

    /// What relaxed durability has reached the kernel is synced from time to time.
    pub(super) fn sync_by_the_way(&mut self, disk: &Disk) {
        self.ticks += 1;
        if disk.is_relaxed && self.ticks.is_multiple_of(2) && disk.has_unsynced() {
            self.waiting.push_back(Persist { needs: Needs::Disk, ..Persist::default() });
        }
    }

    /// A node whose disk stands still leads nothing that others can lead, as the driver sees to.
    pub(super) fn watch_syncs(&mut self, now: Duration) {
        let own = self.clock.shows(now);
        let syncing_for =
            self.syncing.as_ref().map_or(Duration::ZERO, |syncing| own.saturating_sub(syncing.began));
        if let Some(is_stalled) = self.stall.look(own, syncing_for) {
            self.shard.set_stalled(own, is_stalled);
        }
    }

    /// Whether a sync is under way, and not only a flush.
    pub(super) fn is_syncing(&self) -> bool {
        self.syncing.as_ref().is_some_and(|syncing| syncing.needs == Needs::Disk)
    }

    pub(super) fn synced(&mut self, now: Duration, disk: &mut Disk, outputs: &mut Vec<Output>) {
        let Some(Syncing { rounds, written, needs, .. }) = self.syncing.take() else { return };
        match needs {
            Needs::Nothing | Needs::Kernel => disk.flushed(written),
            Needs::Disk if disk.failing => {}
            Needs::Disk => disk.synced(written),
        }
        self.release(now, rounds, outputs);
    }

    /// What waited for a sync is durable: its promises leave, and Raft hears of it.
    fn release(&mut self, now: Duration, rounds: Vec<Persist>, outputs: &mut Vec<Output>) -> bool {
        let (mut readies, mut bytes) = (Vec::new(), 0);
        for round in rounds {
            send(round.sends.into_frames(), outputs);
            readies.extend(round.readies);
            bytes += round.bytes;
        }
        let told = !readies.is_empty() || bytes > 0;
        if told {
            self.shard.persisted(self.clock.shows(now), &readies, bytes);
        }
        told
    }
}
