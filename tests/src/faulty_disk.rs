//! A disk that loses what was not synced when its power is cut, and that is slow, hangs or fails on demand: a file system
//! of this process, in memory, mounted through `/dev/fuse`.
//!
//! | what | where |
//! | --- | --- |
//! | the bytes of a file, before and after a sync | [`bytes`] |
//! | names, which only a sync of their directory keeps | [`tree`] |
//! | how much of what was not synced survives | [`survival`] |
//! | open files, and the failures that their next syncs report | [`handles`] |
//! | the kernel's requests | [`fuse`] |
//!
//! It promises what POSIX does and not a bit more. Of what was not synced there may be nothing after a cut, or all, or what
//! came first, or a few sectors of 512 bytes in no order; a file's length may be older than its bytes or newer; of a rename
//! and a removal either may be there alone. A sync that is under way when the power goes has synced nothing.
//!
//! While a file is being synced, the kernel holds back who writes to it, as real disks may do: a slow sync is felt by writers.
//!
//! It takes root, Linux and `/dev/fuse`. A test process that is killed
//! leaves a mount point that answers nobody; `umount -l` removes it.

mod bytes;
#[cfg(target_os = "linux")]
mod fuse;
mod handles;
mod survival;
mod tree;

use std::fmt::{self, Display, Formatter};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use fastrand::Rng;

use crate::scratch::Scratch;
use handles::Handles;
use tree::{Content, Tree};

/// How much a disk holds: more than any test writes.
const CAPACITY: u64 = 64 << 30;

/// A mounted disk. Dropped, it is gone with everything on it, so whoever uses it has to end before.
#[derive(Debug)]
pub struct FaultyDisk {
    disk: Arc<Disk>,
    // In this order: a directory that something is mounted on cannot be removed.
    _session: Session,
    mounted_at: Scratch,
}

#[cfg(target_os = "linux")]
type Session = fuser::BackgroundSession;
#[cfg(not(target_os = "linux"))]
type Session = ();

/// Which files a trouble is with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of them, and the directories.
    All,
    /// Those of this name.
    File(&'static str),
}

/// What syncs do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// They take so long.
    Slow(Duration),
    /// They do not end before the trouble does.
    Hang,
    /// Syncs and writes fail. No later sync writes what a failed one left behind. Each open file reports the failure once, as on Linux.
    Fail,
    /// They do nothing, and say that they did.
    Lie,
}

impl Display for Part {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => write!(f, "everything"),
            Self::File(name) => write!(f, "file {name}"),
        }
    }
}

impl Display for Trouble {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slow(duration) => write!(f, "takes {} ms to sync", duration.as_millis()),
            Self::Hang => write!(f, "hangs"),
            Self::Fail => write!(f, "fails"),
            Self::Lie => write!(f, "only claims to sync"),
        }
    }
}

/// What the process and the kernel share.
#[derive(Debug)]
struct Disk(Mutex<State>);

#[derive(Debug)]
struct State {
    tree: Tree,
    has_power: bool,
    /// How often the power was cut: a sync does not outlive that.
    cuts: u64,
    trouble: Option<(Part, Trouble)>,
    /// After how many more changes and syncs the power is cut, and what decides what survives.
    cut_after: Option<(u64, u64)>,
    /// Syncs that hang: which file's, and who waits.
    hanging: Vec<(u64, Box<dyn Answer>)>,
    /// Whether syncs that would hang fail, as whoever called them is being killed.
    gives_up: bool,
    /// Whether a write or a sync has failed since that was asked last.
    has_failed: bool,
    handles: Handles,
}

/// Somebody who waits for a sync.
trait Answer: Send + fmt::Debug {
    fn done(self: Box<Self>);
    fn failed(self: Box<Self>);
}

impl FaultyDisk {
    /// Mounts an empty disk.
    ///
    /// # Errors
    /// Why this machine does not allow that.
    pub fn mount() -> io::Result<Self> {
        let mounted_at = Scratch::new("faulty-disk");
        let state = State {
            tree: Tree::new(),
            has_power: true,
            cuts: 0,
            trouble: None,
            cut_after: None,
            hanging: Vec::new(),
            gives_up: false,
            has_failed: false,
            handles: Handles::default(),
        };
        let disk = Arc::new(Disk(Mutex::new(state)));
        let session = mount(&disk, mounted_at.path())?;
        Ok(Self { disk, _session: session, mounted_at })
    }

    /// Where a node may keep its data. Neither the directory nor its parent is there at first.
    pub fn data_dir(&self) -> PathBuf {
        self.mounted_at.join("of-a-node").join("data")
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.mounted_at.path()
    }

    /// Cuts the power at this moment; the seed decides what survives. Nothing is read or written before
    /// [`Self::restore_power`], and whoever uses the disk has to be killed meanwhile, as its machine would be.
    pub fn cut_power(&self, seed: u64) {
        self.disk.lock().cut_power(seed);
    }

    /// As [`Self::cut_power`], but nothing survives that was not synced.
    pub fn cut_power_and_lose_unsynced(&self) {
        self.disk.lock().go_down(Tree::lose_unsynced);
    }

    /// Cuts the power after so many more changes and syncs, in place of the next one. Until then, [`Self::restore_power`]
    /// takes that back.
    pub fn cut_power_after(&self, changes: u64, seed: u64) {
        self.disk.lock().cut_after = Some((changes, seed));
    }

    /// Whether it has power.
    pub fn has_power(&self) -> bool {
        self.disk.lock().has_power
    }

    /// The power is back, and with it what the disk held durably.
    pub fn restore_power(&self) {
        let mut state = self.disk.lock();
        (state.has_power, state.cut_after) = (true, None);
    }

    /// Has syncs of some files be in trouble from now on, instead of any that were.
    pub fn trouble(&self, part: Part, trouble: Trouble) {
        self.heal();
        self.disk.lock().trouble = Some((part, trouble));
    }

    /// All is well again: what hung goes on.
    pub fn heal(&self) {
        let mut state = self.disk.lock();
        state.trouble = None;
        for (inode, answer) in std::mem::take(&mut state.hanging) {
            state.sync(inode);
            answer.done();
        }
    }

    /// Whether there is trouble.
    pub fn is_troubled(&self) -> bool {
        self.disk.lock().trouble.is_some()
    }

    /// Whether anybody waits for a sync that hangs.
    pub fn is_waited_for(&self) -> bool {
        !self.disk.lock().hanging.is_empty()
    }

    /// Lets go of whoever waits for a sync, with an error, and of all who will, until [`Self::wait_again`]. A process that
    /// waits for its disk cannot even be killed.
    pub fn give_up(&self) {
        let mut state = self.disk.lock();
        state.gives_up = true;
        state.hanging.drain(..).for_each(|(_, answer)| answer.failed());
    }

    /// Has syncs hang again if they do.
    pub fn wait_again(&self) {
        self.disk.lock().gives_up = false;
    }

    /// Whether a write or a sync has failed since this was asked last.
    pub fn has_failed(&self) -> bool {
        std::mem::take(&mut self.disk.lock().has_failed)
    }

    /// Whether a file that is still open has reported a failed write or sync.
    pub fn has_reported_failure(&self) -> bool {
        self.disk.lock().handles.has_reported_failure()
    }

    /// Whether an open file whose owner syncs still has a failure to report.
    pub fn has_unreported_failure(&self) -> bool {
        self.disk.lock().handles.has_unreported_failure()
    }

    /// Makes all there is durable.
    pub fn settle(&self) {
        self.disk.lock().tree.sync_all();
    }
}

#[cfg(target_os = "linux")]
use fuse::mount;

#[cfg(not(target_os = "linux"))]
fn mount(_: &Arc<Disk>, _: &Path) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "that takes Linux"))
}

impl Disk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Syncs a file or a directory as its trouble lets it.
    fn sync(self: &Arc<Self>, inode: u64, handle: u64, answer: Box<dyn Answer>) {
        let mut state = self.lock();
        if !state.takes_a_change() {
            return answer.failed();
        }
        if state.handles.begins_to_sync(handle) {
            state.has_failed = true;
            return answer.failed();
        }
        match state.trouble_with(inode) {
            None => state.sync(inode),
            Some(Trouble::Lie) => {}
            Some(Trouble::Fail) => {
                state.has_failed = true;
                state.handles.fails_to_sync(handle);
                if let Ok(bytes) = state.tree.file(inode) {
                    bytes.fail_to_sync();
                }
                return answer.failed();
            }
            Some(Trouble::Hang) if state.gives_up => return answer.failed(),
            Some(Trouble::Hang) => return state.hanging.push((inode, answer)),
            Some(Trouble::Slow(duration)) => {
                let (disk, cuts) = (Arc::clone(self), state.cuts);
                // A thread for each: there are never more of them than threads that sync.
                thread::spawn(move || disk.sync_later(inode, duration, cuts, answer));
                return;
            }
        }
        answer.done();
    }

    fn sync_later(&self, inode: u64, duration: Duration, cuts: u64, answer: Box<dyn Answer>) {
        thread::sleep(duration);
        let mut state = self.lock();
        if state.cuts != cuts || !state.has_power {
            return answer.failed();
        }
        state.sync(inode);
        answer.done();
    }
}

impl State {
    fn cut_power(&mut self, seed: u64) {
        self.go_down(|tree| tree.crash(&mut Rng::with_seed(seed)));
    }

    fn go_down(&mut self, crash: impl FnOnce(&mut Tree)) {
        (self.has_power, self.cut_after) = (false, None);
        self.cuts += 1;
        self.handles.forget();
        crash(&mut self.tree);
        self.hanging.drain(..).for_each(|(_, answer)| answer.failed());
    }

    /// Counts a change or a sync, unless the power is cut in its place.
    fn takes_a_change(&mut self) -> bool {
        match &mut self.cut_after {
            Some((0, seed)) => {
                let seed = *seed;
                self.cut_power(seed);
            }
            Some((changes, _)) => *changes -= 1,
            None => {}
        }
        self.has_power
    }

    fn trouble_with(&self, inode: u64) -> Option<Trouble> {
        let (part, trouble) = self.trouble?;
        let hit = match part {
            Part::All => true,
            Part::File(name) => self.tree.inode(inode).is_ok_and(|inode| inode.name == name),
        };
        hit.then_some(trouble)
    }

    /// Whether a write to a file fails.
    fn refuses(&mut self, inode: u64, handle: u64) -> bool {
        let refuses = self.trouble_with(inode) == Some(Trouble::Fail);
        if refuses {
            self.has_failed = true;
            self.handles.fails_to_write(handle);
        }
        refuses
    }

    fn sync(&mut self, inode: u64) {
        match self.tree.inode(inode).map(|inode| matches!(inode.content, Content::Dir { .. })) {
            Ok(true) => self.tree.sync_dir(inode),
            Ok(false) => self.tree.file(inode).into_iter().for_each(bytes::Bytes::sync),
            // It was removed meanwhile.
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
