//! The kernel's side: a [`State`](super::State) as a file system, through `/dev/fuse`.
//!
//! Nothing is cached in the kernel (`FOPEN_DIRECT_IO`, and no time for which an answer holds), so that all of it is here, and
//! a cut leaves nothing behind there. `sync_file_range` never comes here, and so syncs nothing. Locks are the kernel's own.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, WriteFlags,
};

use super::tree::{Content, Inode, Refusal, Tree};
use super::{Answer, CAPACITY, Disk};

/// For how long the kernel may believe what it was told.
const TTL: Duration = Duration::ZERO;

/// The file system's block.
const BLOCK: u32 = 4096;

/// Threads that take the kernel's requests. None of them ever waits.
const THREADS: usize = 2;

/// Mounts a disk. It is there until the session is dropped.
pub(super) fn mount(disk: &Arc<Disk>, at: &Path) -> io::Result<BackgroundSession> {
    let mut config = Config::default();
    config.mount_options = vec![MountOption::FSName("trilog-test".to_owned()), MountOption::NoAtime];
    config.n_threads = Some(THREADS);
    fuser::spawn_mount(Mounted { disk: Arc::clone(disk), since: SystemTime::now() }, at, &config)
}

struct Mounted {
    disk: Arc<Disk>,
    since: SystemTime,
}

impl Answer for ReplyEmpty {
    fn done(self: Box<Self>) {
        (*self).ok();
    }

    fn failed(self: Box<Self>) {
        self.error(Errno::EIO);
    }
}

impl From<Refusal> for Errno {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoEntry => Self::ENOENT,
            Refusal::Exists => Self::EEXIST,
            Refusal::NotEmpty => Self::ENOTEMPTY,
            Refusal::IsDirectory => Self::EISDIR,
            Refusal::NotDirectory => Self::ENOTDIR,
        }
    }
}

impl Mounted {
    /// Does something with what is on the disk, if it has power.
    fn with<T>(&self, action: impl FnOnce(&mut Tree) -> Result<T, Refusal>) -> Result<T, Errno> {
        let mut state = self.disk.lock();
        if !state.has_power {
            return Err(Errno::EIO);
        }
        action(&mut state.tree).map_err(Errno::from)
    }

    /// Changes something on the disk, if it has power.
    fn change<T>(&self, action: impl FnOnce(&mut Tree) -> Result<T, Refusal>) -> Result<T, Errno> {
        let mut state = self.disk.lock();
        if !state.takes_a_change() {
            return Err(Errno::EIO);
        }
        action(&mut state.tree).map_err(Errno::from)
    }

    fn attributes(&self, number: u64, inode: &Inode) -> FileAttr {
        let (kind, size) = match &inode.content {
            Content::File(bytes) => (FileType::RegularFile, bytes.len() as u64),
            Content::Dir { .. } => (FileType::Directory, 0),
        };
        let since = self.since;
        FileAttr {
            ino: INodeNo(number),
            size,
            blocks: size.div_ceil(512),
            atime: since,
            mtime: since,
            ctime: since,
            crtime: since,
            kind,
            perm: inode.mode,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: BLOCK,
            flags: 0,
        }
    }

    fn make(&self, dir: INodeNo, name: &OsStr, mode: u32, is_dir: bool) -> Result<FileAttr, Errno> {
        let mode = u16::try_from(mode & 0o7777).unwrap_or(0o600);
        self.change(|tree| {
            let number = tree.make(dir.0, name, mode, is_dir)?;
            Ok(self.attributes(number, tree.inode(number)?))
        })
    }
}

/// An offset or a length that is within a disk.
fn place(offset: u64) -> usize {
    usize::try_from(offset.min(CAPACITY)).unwrap_or(usize::MAX)
}

fn entry(made: Result<FileAttr, Errno>, reply: ReplyEntry) {
    match made {
        Ok(attributes) => reply.entry(&TTL, &attributes, Generation(0)),
        Err(error) => reply.error(error),
    }
}

fn attr(found: Result<FileAttr, Errno>, reply: ReplyAttr) {
    match found {
        Ok(attributes) => reply.attr(&TTL, &attributes),
        Err(error) => reply.error(error),
    }
}

fn empty(done: Result<(), Errno>, reply: ReplyEmpty) {
    match done {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

impl Filesystem for Mounted {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.with(|tree| {
            let number = tree.lookup(parent.0, name)?;
            Ok(self.attributes(number, tree.inode(number)?))
        });
        entry(found, reply);
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        attr(self.with(|tree| Ok(self.attributes(inode.0, tree.inode(inode.0)?))), reply);
    }

    fn setattr(
        &self,
        _: &Request,
        inode: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<fuser::TimeOrNow>,
        _mtime: Option<fuser::TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        // Nothing but the length is kept, or counts.
        let set = size.map_or(Ok(()), |size| {
            self.change(|tree| {
                tree.file(inode.0)?.set_len(place(size));
                Ok(())
            })
        });
        let set = set.and_then(|()| self.with(|tree| Ok(self.attributes(inode.0, tree.inode(inode.0)?))));
        attr(set, reply);
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        entry(self.make(parent, name, mode & !umask, true), reply);
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        match self.make(parent, name, mode & !umask, false) {
            Ok(attributes) => {
                let handle = FileHandle(self.disk.lock().handles.open(attributes.ino.0));
                reply.created(&TTL, &attributes, Generation(0), handle, FopenFlags::FOPEN_DIRECT_IO);
            }
            Err(error) => reply.error(error),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(self.change(|tree| tree.remove(parent.0, name)), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(self.change(|tree| tree.remove(parent.0, name)), reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        _flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        empty(self.change(|tree| tree.rename((parent.0, name), (new_parent.0, new_name))), reply);
    }

    fn open(&self, _: &Request, inode: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let handle = FileHandle(self.disk.lock().handles.open(inode.0));
        reply.opened(handle, FopenFlags::FOPEN_DIRECT_IO);
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.disk.lock().handles.close(handle.0);
        reply.ok();
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let read = self.with(|tree| {
            let bytes = tree.file(inode.0)?;
            Ok(bytes.read(place(offset), place(size.into())).to_vec())
        });
        match read {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        if self.disk.lock().refuses(inode.0, handle.0) {
            return reply.error(Errno::EIO);
        }
        let written = self.change(|tree| {
            tree.file(inode.0)?.write(place(offset), data);
            Ok(())
        });
        match written {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, inode: INodeNo, handle: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        self.disk.sync(inode.0, handle.0, Box::new(reply));
    }

    fn fsyncdir(&self, _: &Request, inode: INodeNo, handle: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        self.disk.sync(inode.0, handle.0, Box::new(reply));
    }

    fn readdir(&self, _: &Request, inode: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let listed = self.with(|tree| {
            let mut listed =
                vec![(inode.0, FileType::Directory, ".".into()), (1, FileType::Directory, "..".into())];
            for (name, number) in tree.names(inode.0)? {
                let kind = self.attributes(*number, tree.inode(*number)?).kind;
                listed.push((*number, kind, name.clone()));
            }
            Ok(listed)
        });
        match listed {
            Ok(listed) => {
                for ((number, kind, name), next) in listed.into_iter().zip(1..).skip(place(offset)) {
                    if reply.add(INodeNo(number), next, kind, name) {
                        break;
                    }
                }
                reply.ok();
            }
            Err(error) => reply.error(error),
        }
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let blocks = CAPACITY / u64::from(BLOCK);
        let free = blocks.saturating_sub(self.disk.lock().tree.len() / u64::from(BLOCK));
        reply.statfs(blocks, free, free, 1 << 20, 1 << 20, BLOCK, 255, BLOCK);
    }
}
