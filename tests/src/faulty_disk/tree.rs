//! Files and directories under their names, in both states: as processes see them, and as a power cut leaves them at least.
//!
//! A name is as durable as the directory that it is in was synced: a file that was synced under a name that was not is gone,
//! and so is a synced directory whose parent was not. That is what POSIX promises, and less than ext4 does.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};

use fastrand::Rng;

use super::bytes::Bytes;
use super::survival::Survival;

/// The number of the directory that everything is in.
pub(super) const ROOT: u64 = 1;

/// Why an operation is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    NoEntry,
    Exists,
    NotEmpty,
    IsDirectory,
    NotDirectory,
}

/// All there is on a disk.
#[derive(Debug)]
pub(super) struct Tree {
    inodes: BTreeMap<u64, Inode>,
    last: u64,
    /// Changes of names that were not synced, in order.
    pending: Vec<NameChange>,
}

/// A file or a directory, whatever its names are.
#[derive(Debug)]
pub(super) struct Inode {
    /// The name it has or had last.
    pub(super) name: OsString,
    pub(super) mode: u16,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    File(Bytes),
    Dir { names: Names, durable: Names },
}

/// What a directory holds.
pub(super) type Names = BTreeMap<OsString, u64>;

/// Which state of a directory.
#[derive(Debug, Clone, Copy)]
enum Side {
    Current,
    Durable,
}

#[derive(Debug)]
enum NameChange {
    Put { to: (u64, OsString), inode: u64 },
    Remove { from: (u64, OsString), inode: u64 },
    Rename { from: (u64, OsString), to: (u64, OsString), inode: u64 },
}

impl Tree {
    pub(super) fn new() -> Self {
        let mut tree = Self { inodes: BTreeMap::new(), last: ROOT, pending: Vec::new() };
        let content = Content::Dir { names: Names::new(), durable: Names::new() };
        tree.inodes.insert(ROOT, Inode { name: OsString::new(), mode: 0o755, content });
        tree
    }

    pub(super) fn inode(&self, inode: u64) -> Result<&Inode, Refusal> {
        self.inodes.get(&inode).ok_or(Refusal::NoEntry)
    }

    pub(super) fn file(&mut self, inode: u64) -> Result<&mut Bytes, Refusal> {
        match &mut self.inodes.get_mut(&inode).ok_or(Refusal::NoEntry)?.content {
            Content::File(bytes) => Ok(bytes),
            Content::Dir { .. } => Err(Refusal::IsDirectory),
        }
    }

    pub(super) fn names(&self, dir: u64) -> Result<&Names, Refusal> {
        match &self.inode(dir)?.content {
            Content::Dir { names, .. } => Ok(names),
            Content::File(_) => Err(Refusal::NotDirectory),
        }
    }

    pub(super) fn lookup(&self, dir: u64, name: &OsStr) -> Result<u64, Refusal> {
        self.names(dir)?.get(name).copied().ok_or(Refusal::NoEntry)
    }

    pub(super) fn make(&mut self, dir: u64, name: &OsStr, mode: u16, is_dir: bool) -> Result<u64, Refusal> {
        if self.names(dir)?.contains_key(name) {
            return Err(Refusal::Exists);
        }
        self.last += 1;
        let content = if is_dir {
            Content::Dir { names: Names::new(), durable: Names::new() }
        } else {
            Content::File(Bytes::default())
        };
        self.inodes.insert(self.last, Inode { name: name.to_owned(), mode, content });
        self.change(NameChange::Put { to: (dir, name.to_owned()), inode: self.last });
        Ok(self.last)
    }

    pub(super) fn remove(&mut self, dir: u64, name: &OsStr) -> Result<(), Refusal> {
        let inode = self.lookup(dir, name)?;
        if self.names(inode).is_ok_and(|names| !names.is_empty()) {
            return Err(Refusal::NotEmpty);
        }
        self.change(NameChange::Remove { from: (dir, name.to_owned()), inode });
        Ok(())
    }

    pub(super) fn rename(&mut self, from: (u64, &OsStr), to: (u64, &OsStr)) -> Result<(), Refusal> {
        let inode = self.lookup(from.0, from.1)?;
        let replaced = self.names(to.0)?.get(to.1);
        if replaced.is_some_and(|replaced| self.names(*replaced).is_ok_and(|names| !names.is_empty())) {
            return Err(Refusal::NotEmpty);
        }
        let (from, to) = ((from.0, from.1.to_owned()), (to.0, to.1.to_owned()));
        if let Some(renamed) = self.inodes.get_mut(&inode) {
            renamed.name.clone_from(&to.1);
        }
        self.change(NameChange::Rename { from, to, inode });
        Ok(())
    }

    fn change(&mut self, change: NameChange) {
        self.carry_out(&change, Side::Current);
        self.pending.push(change);
    }

    fn names_mut(&mut self, dir: u64, side: Side) -> Option<&mut Names> {
        match (&mut self.inodes.get_mut(&dir)?.content, side) {
            (Content::Dir { names, .. }, Side::Current) => Some(names),
            (Content::Dir { durable, .. }, Side::Durable) => Some(durable),
            (Content::File(_), _) => None,
        }
    }

    fn carry_out(&mut self, change: &NameChange, side: Side) {
        let (removed, put) = match change {
            NameChange::Put { to, inode } => (None, Some((to, inode))),
            NameChange::Remove { from, inode } => (Some((from, inode)), None),
            NameChange::Rename { from, to, inode } => (Some((from, inode)), Some((to, inode))),
        };
        if let Some(((dir, name), inode)) = removed
            && let Some(names) = self.names_mut(*dir, side)
            && names.get(name) == Some(inode)
        {
            names.remove(name);
        }
        if let Some(((dir, name), inode)) = put
            && let Some(names) = self.names_mut(*dir, side)
        {
            names.insert(name.clone(), *inode);
        }
    }

    /// What an fsync of a directory promises: its names.
    pub(super) fn sync_dir(&mut self, dir: u64) {
        let pending = std::mem::take(&mut self.pending);
        let (synced, others) = pending.into_iter().partition::<Vec<_>, _>(|change| change.is_in(dir));
        self.pending = others;
        synced.iter().for_each(|change| self.carry_out(change, Side::Durable));
    }

    /// Everything is durable, as after a long time.
    pub(super) fn sync_all(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            self.carry_out(&change, Side::Durable);
        }
        for inode in self.inodes.values_mut() {
            if let Content::File(bytes) = &mut inode.content {
                bytes.sync();
            }
        }
        self.drop_unnamed();
    }

    /// The power is cut. Nothing of what was not synced survives.
    pub(super) fn lose_unsynced(&mut self) {
        self.pending.clear();
        self.revert(Bytes::lose_unsynced);
    }

    /// The power is cut. Of what was not synced a part survives.
    pub(super) fn crash(&mut self, rng: &mut Rng) {
        let survival = Survival::draw(rng);
        let pending = std::mem::take(&mut self.pending);
        let kept = survival.prefix(pending.len(), rng);
        for (n, change) in pending.iter().enumerate() {
            if n < kept || survival.keeps(rng) {
                self.carry_out(change, Side::Durable);
            }
        }
        self.revert(|bytes| bytes.crash(rng));
    }

    /// Goes back to the names that are durable, and to what `crash` leaves of each file.
    fn revert(&mut self, mut crash: impl FnMut(&mut Bytes)) {
        for inode in self.inodes.values_mut() {
            match &mut inode.content {
                Content::File(bytes) => crash(bytes),
                Content::Dir { names, durable } => names.clone_from(durable),
            }
        }
        self.drop_unnamed();
    }

    /// Forgets what has no name. Nobody may have a file open that matters.
    fn drop_unnamed(&mut self) {
        let (mut named, mut dirs) = (BTreeSet::from([ROOT]), vec![ROOT]);
        while let Some(dir) = dirs.pop() {
            if let Ok(names) = self.names(dir) {
                let found = names.values().filter(|inode| named.insert(**inode));
                dirs.extend(found);
            }
        }
        self.inodes.retain(|inode, _| named.contains(inode));
    }

    /// The bytes of all files.
    pub(super) fn len(&self) -> u64 {
        let lens = self.inodes.values().map(|inode| match &inode.content {
            Content::File(bytes) => bytes.len() as u64,
            Content::Dir { .. } => 0,
        });
        lens.sum()
    }
}

impl NameChange {
    fn is_in(&self, dir: u64) -> bool {
        match self {
            Self::Put { to, .. } => to.0 == dir,
            Self::Remove { from, .. } => from.0 == dir,
            Self::Rename { from, to, .. } => from.0 == dir || to.0 == dir,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(tree: &Tree, dir: u64) -> Vec<String> {
        tree.names(dir).unwrap().keys().map(|name| name.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_name_survives_once_its_directory_was_synced() {
        for seed in 0..200 {
            let mut tree = Tree::new();
            let dir = tree.make(ROOT, "dir".as_ref(), 0o755, true).unwrap();
            let file = tree.make(dir, "new".as_ref(), 0o644, false).unwrap();
            tree.file(file).unwrap().write(0, b"synced");
            tree.file(file).unwrap().sync();
            tree.rename((dir, "new".as_ref()), (dir, "final".as_ref())).unwrap();
            tree.sync_dir(dir);
            tree.sync_dir(ROOT);
            tree.make(dir, "late".as_ref(), 0o644, false).unwrap();
            tree.crash(&mut Rng::with_seed(seed));
            assert!(names(&tree, dir).contains(&"final".to_owned()), "seed {seed}");
            assert_eq!(tree.file(file).unwrap().read(0, 9), b"synced", "seed {seed}");
        }
    }

    #[test]
    fn without_its_parent_a_directory_may_be_gone() {
        let gone = (0..200).filter(|seed| {
            let mut tree = Tree::new();
            let dir = tree.make(ROOT, "dir".as_ref(), 0o755, true).unwrap();
            tree.make(dir, "file".as_ref(), 0o644, false).unwrap();
            tree.sync_dir(dir);
            tree.crash(&mut Rng::with_seed(*seed));
            tree.lookup(ROOT, "dir".as_ref()).is_err()
        });
        assert!((20..180).contains(&gone.count()), "and need not be");
    }

    #[test]
    fn of_a_rename_and_a_removal_either_may_survive_alone() {
        let ends = (0..300).map(|seed| {
            let mut tree = Tree::new();
            tree.make(ROOT, "old".as_ref(), 0o644, false).unwrap();
            tree.make(ROOT, "unfinished".as_ref(), 0o644, false).unwrap();
            tree.sync_dir(ROOT);
            tree.rename((ROOT, "unfinished".as_ref()), (ROOT, "new".as_ref())).unwrap();
            tree.remove(ROOT, "old".as_ref()).unwrap();
            tree.crash(&mut Rng::with_seed(seed));
            names(&tree, ROOT).join(" ")
        });
        let ends = ends.collect::<BTreeSet<_>>();
        let all = ["new", "new old", "old unfinished", "unfinished"].map(str::to_owned);
        assert_eq!(ends, BTreeSet::from(all));
    }
}
