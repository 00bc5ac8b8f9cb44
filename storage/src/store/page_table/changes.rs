//! What became of pages in a part of the log.

use std::collections::BTreeMap;

use super::segment::{Kind, Message, Place};

/// The pages that a part of the log is about, by their numbers, and where they are as of its end.
#[derive(Debug, Default)]
pub(super) struct Changes(BTreeMap<u64, PageChange>);

/// What became of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PageChange {
    /// It was written anew, and changed since.
    Written { page: Place, changes: Vec<Place> },
    /// It was changed.
    Changed(Vec<Place>),
    /// It was freed.
    Freed(Place),
}

impl Changes {
    /// Follows one more message. They come in the order of their positions.
    ///
    /// A page may seem to be changed that is free, or not there. sled skips such changes when it recovers, and so does who
    /// [merges](super::table): the page was written anew since, and the segment that held it then was used again.
    pub(super) fn follow(&mut self, message: Message) {
        let Message { page, kind, place } = message;
        match kind {
            Kind::Page => {
                self.0.insert(page, PageChange::Written { page: place, changes: Vec::new() });
            }
            Kind::Free => {
                self.0.insert(page, PageChange::Freed(place));
            }
            Kind::Change => match self.0.entry(page).or_insert_with(|| PageChange::Changed(Vec::new())) {
                PageChange::Written { changes, .. } | PageChange::Changed(changes) => changes.push(place),
                PageChange::Freed(_) => {}
            },
        }
    }

    /// What became of a page, if it is there.
    pub(super) fn of(&self, page: u64) -> Option<&PageChange> {
        self.0.get(&page)
    }

    /// The number after the greatest that was written or freed.
    pub(super) fn end(&self) -> u64 {
        let known = |change: &PageChange| !matches!(change, PageChange::Changed(_));
        self.0.iter().rev().find(|(_, change)| known(change)).map_or(0, |(page, _)| page + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(position: i64) -> Place {
        Place { position, offset: 0, len: 100 }
    }

    #[test]
    fn the_last_writing_counts_with_the_changes_behind_it() {
        let mut changes = Changes::default();
        let messages = [
            (3, Kind::Change),
            (3, Kind::Page),
            (4, Kind::Change),
            (3, Kind::Change),
            (3, Kind::Page),
            (3, Kind::Change),
            (5, Kind::Page),
            (5, Kind::Free),
            (5, Kind::Change),
            (9, Kind::Change),
        ];
        for (position, (page, kind)) in (0..).zip(messages) {
            changes.follow(Message { page, kind, place: place(position) });
        }
        let written = PageChange::Written { page: place(4), changes: vec![place(5)] };
        assert_eq!(changes.of(3), Some(&written));
        assert_eq!(changes.of(4), Some(&PageChange::Changed(vec![place(2)])));
        assert_eq!(changes.of(5), Some(&PageChange::Freed(place(7))));
        assert_eq!(changes.of(0), None);
        assert_eq!(changes.end(), 6, "of page 9 nothing is known but that it changed");
    }
}
