//! A look at the disk, again and again: whether it has room, and whether the store's files are still there.
//!
//! Two levels divide what is free. Below the *reserve* the node takes no more records in, and everything else lives on
//! what is left: votes, metadata, offsets, and above all deletions, which make room again. Below a *quarter* of it the
//! node stops, as it will not come to a good end. It stops as it would after a failed write, but before one failed.
//!
//! Whether it moves is not asked here, since each look waits for the disk ([`stall`](super::stall)).
//!
//! Room that is back counts once it is an eighth more than the reserve, so that the edge is not crossed to and fro.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use trilog_storage::{Store, StoreError};

use super::inbox::{Inbox, Input};
use super::threads;

/// How often one looks while there is plenty.
const INTERVAL: Duration = Duration::from_millis(500);

/// How often when there is less than [`PLENTY`] above the reserve. A disk that takes a gigabyte a second is met in time.
const CLOSE_INTERVAL: Duration = Duration::from_millis(50);

/// How much above the reserve is plenty, in bytes.
const PLENTY: u64 = 1 << 30;

/// One in how many looks at the free space is also one at the files.
const LOOKS_A_FILE_CHECK: u32 = 4;

/// What is kept free on the disk, and what follows from how much is. In bytes; 0 keeps nothing free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reserve(pub u64);

impl Reserve {
    /// What must be free for a node to start: enough not to stop at once, and to delete something.
    #[must_use]
    pub const fn to_start(self) -> u64 {
        self.0 / 2
    }

    /// Below this the node stops.
    const fn to_go_on(self) -> u64 {
        self.0 / 4
    }

    /// From here on there is room again.
    const fn to_return(self) -> u64 {
        self.0.saturating_add(self.0 / 8)
    }

    /// Whether there is room with `free` bytes, as there `was` before or not.
    const fn has_room(self, free: u64, was: bool) -> bool {
        free >= if was { self.0 } else { self.to_return() }
    }
}

/// The thread that looks. It ends when this is dropped.
pub(super) struct DiskWatch {
    _running: Sender<()>,
}

impl DiskWatch {
    pub(super) fn start(store: Store, inbox: Arc<Inbox>, reserve: Reserve) -> io::Result<Self> {
        let (running, ended) = channel();
        let watch = Watch { store, reserve, ended, had_room: true };
        threads::start("disk-watch", inbox, move |inbox| watch.run(inbox))?;
        Ok(Self { _running: running })
    }
}

struct Watch {
    store: Store,
    reserve: Reserve,
    ended: Receiver<()>,
    had_room: bool,
}

impl Watch {
    fn run(mut self, inbox: &Inbox) -> Result<(), StoreError> {
        for look in 0_u32.. {
            if look.is_multiple_of(LOOKS_A_FILE_CHECK) {
                self.store.check_files()?;
            }
            let interval = self.look(inbox)?;
            match self.ended.recv_timeout(interval) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(())
    }

    /// Looks at the free space, tells of a change, and returns when to look again.
    fn look(&mut self, inbox: &Inbox) -> Result<Duration, StoreError> {
        let free = self.store.free_space()?;
        if free < self.reserve.to_go_on() {
            return Err(StoreError::Io {
                action: "keep any of the reserve on the disk free",
                source: io::ErrorKind::StorageFull.into(),
            });
        }
        let has_room = self.reserve.has_room(free, self.had_room);
        if has_room != self.had_room {
            self.had_room = has_room;
            self.log_room(free);
            inbox.push(Input::Room(has_room));
        }
        let plenty = free >= self.reserve.0.saturating_add(PLENTY);
        Ok(if plenty { INTERVAL } else { CLOSE_INTERVAL })
    }

    fn log_room(&self, free: u64) {
        let (free_mib, reserve_mib) = (free >> 20, self.reserve.0 >> 20);
        if self.had_room {
            tracing::info!(free_mib, reserve_mib, "the disk has room again: records are taken in");
        } else {
            let needed_mib = self.reserve.to_return() >> 20;
            tracing::error!(
                free_mib,
                reserve_mib,
                needed_mib,
                "the disk is nearly full: no more records are taken in until there is room; delete topics or other \
                 files, enlarge the disk, or lower --min-free-space"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_lost_below_the_reserve_and_back_well_above_it() {
        let reserve = Reserve(800);
        assert!(reserve.has_room(800, true));
        assert!(!reserve.has_room(799, true));
        assert!(!reserve.has_room(899, false));
        assert!(reserve.has_room(900, false));
        assert!(reserve.to_go_on() < reserve.to_start() && reserve.to_start() < reserve.0);
    }

    #[test]
    fn without_a_reserve_there_is_always_room() {
        assert!(Reserve(0).has_room(0, false));
        assert_eq!(Reserve(0).to_start(), 0);
    }
}
