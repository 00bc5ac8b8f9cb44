//! What a member notes, whichever library it is made of.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::history::{Deed, Micros, Outcome, Place, Recorder, Seen};

/// How far a group has read.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    next: Arc<Mutex<BTreeMap<Place, i64>>>,
}

impl Progress {
    /// The partitions that were not read up to their ends.
    pub fn behind(&self, ends: &BTreeMap<Place, i64>) -> Vec<Place> {
        let next = lock(&self.next);
        let is_behind = |(place, end): &(&Place, &i64)| next.get(place).is_none_or(|next| next < end);
        ends.iter().filter(|(_, end)| **end > 0).filter(is_behind).map(|(place, _)| place.clone()).collect()
    }
}

/// Successive records of one partition, to become one entry.
#[derive(Debug)]
struct Run {
    place: Place,
    invoked: Micros,
    records: Vec<Seen>,
}

/// A member's notes. Only the thread that polls reads; commits may be noted by another.
#[derive(Debug)]
pub(super) struct Diary {
    pub(super) client: String,
    pub(super) group: String,
    pub(super) recorder: Recorder,
    progress: Progress,
    run: Mutex<Option<Run>>,
    /// What it would commit: the offset behind the last record read of each partition.
    position: Mutex<BTreeMap<Place, i64>>,
}

/// What a mutex holds, even after a panic.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Diary {
    pub(super) fn new(client: String, group: String, recorder: Recorder, progress: Progress) -> Self {
        Self { client, group, recorder, progress, run: Mutex::default(), position: Mutex::default() }
    }

    /// A record was handed out. None is one that nobody sent.
    pub(super) fn read(&self, place: Place, offset: i64, record: Option<Seen>) {
        let Some(record) = record else {
            return self.gave_up(format!("{place} at offset {offset} holds what nobody sent"));
        };
        let next = offset + 1;
        lock(&self.position).insert(place.clone(), next);
        if lock(&self.run).as_ref().is_some_and(|run| run.place != place) {
            self.end_run();
        }
        let mut run = lock(&self.run);
        let new = || Run { place: place.clone(), invoked: self.recorder.now(), records: Vec::new() };
        run.get_or_insert_with(new).records.push(record);
        drop(run);
        let mut progress = lock(&self.progress.next);
        let furthest = progress.entry(place).or_default();
        *furthest = next.max(*furthest);
    }

    pub(super) fn end_run(&self) {
        if let Some(Run { place, invoked, records }) = lock(&self.run).take() {
            self.recorder.ended(&self.client, invoked, Deed::Read { place, records });
        }
    }

    /// Where it is, if that was not taken before.
    pub(super) fn take_position(&self) -> BTreeMap<Place, i64> {
        self.end_run();
        std::mem::take(&mut *lock(&self.position))
    }

    pub(super) fn assigned(&self, places: Vec<Place>) {
        self.end_run();
        self.recorder.happened(&self.client, Deed::Assigned { group: self.group.clone(), places });
    }

    pub(super) fn revoked(&self, places: Vec<Place>) {
        self.end_run();
        lock(&self.position).retain(|place, _| !places.contains(place));
        self.recorder.happened(&self.client, Deed::Revoked { group: self.group.clone(), places });
    }

    /// The library goes back by a fault of its own. It may say so on any thread, so that what was read before is still to be noted.
    pub(super) fn went_back(&self, (place, offset): (Place, i64)) {
        let deed = Deed::WentBack { group: self.group.clone(), place, offset };
        self.recorder.happened(&self.client, deed);
    }

    /// A commit that was begun then has ended.
    pub(super) fn committed(&self, invoked: Micros, offsets: BTreeMap<Place, i64>, outcome: Outcome) {
        if !offsets.is_empty() {
            let offsets = offsets.into_iter().collect();
            let deed = Deed::Commit { group: self.group.clone(), offsets, outcome };
            self.recorder.ended(&self.client, invoked, deed);
        }
    }

    pub(super) fn gave_up(&self, why: String) {
        self.recorder.happened(&self.client, Deed::GaveUp { why });
    }
}
