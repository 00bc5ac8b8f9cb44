//! The data directory of a local cluster: one `node-N` a node, `node-N.pid` beside it while the node runs, and
//! `dev.lock`, held by the one `trilog dev` that may use them, and `cluster.secret`, by which the nodes recognize one another.
//! In the lock file stand that process's id and how many
//! nodes the cluster has: `4711 3`.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use thiserror::Error;

/// A data directory that nobody else uses while this value lives.
#[derive(Debug)]
pub(super) struct DataDir {
    /// The operating system lets go of the lock when the file closes, however this process ends.
    _lock: File,
    left_by_earlier_run: bool,
}

/// Why a data directory cannot be used.
#[derive(Debug, Error)]
pub(crate) enum DataDirError {
    /// It cannot be created, read or written.
    #[error("--data-dir: cannot use {}: {source}{}", path.display(), advice(source))]
    Unusable {
        /// The directory or the file in it.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// There is a file in its place.
    #[error("--data-dir: {} is a file, and a directory is needed; choose another one", .0.display())]
    IsFile(PathBuf),
    /// Another process holds the lock.
    #[error("--data-dir: {} is in use by another trilog dev, process {holder}; choose another one", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Its process id, as it wrote it down.
        holder: String,
    },
    /// The nodes in it were started as a cluster of another size, and would not find together in this one.
    #[error(
        "--nodes: {} holds a cluster of {found} nodes; start it with --nodes {found}, or choose another --data-dir",
        path.display()
    )]
    OtherSize {
        /// The directory.
        path: PathBuf,
        /// How many nodes it holds.
        found: u16,
    },
}

/// What to do about it.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "; choose a directory that this user may write to",
        io::ErrorKind::ReadOnlyFilesystem => "; choose a directory on a file system that can be written to",
        _ => "",
    }
}

impl DataDir {
    /// Makes the directory if it is missing and takes it for this process, for a cluster of this many nodes.
    ///
    /// # Errors
    ///
    /// [`DataDirError`], which names the flag.
    pub(super) fn claim(path: &Path, nodes: u16) -> Result<Self, DataDirError> {
        let unusable = |source| DataDirError::Unusable { path: path.to_owned(), source };
        if path.is_file() {
            return Err(DataDirError::IsFile(path.to_owned()));
        }
        fs::create_dir_all(path).map_err(unusable)?;
        let (lock, made_for) = lock(path, nodes)?;
        let (mut has_nodes, mut left_by_earlier_run) = (false, false);
        for entry in fs::read_dir(path).map_err(unusable)? {
            let entry = entry.map_err(unusable)?;
            match file_of(&entry.file_name()) {
                Some(NodeFile::Data) => has_nodes = true,
                Some(NodeFile::Pid) => {
                    left_by_earlier_run = true;
                    wake(&fs::read_to_string(entry.path()).map_err(unusable)?);
                    fs::remove_file(entry.path()).map_err(unusable)?;
                }
                None => {}
            }
        }
        match made_for {
            Some(found) if has_nodes && found != nodes => {
                record(&lock, path, found)?;
                Err(DataDirError::OtherSize { path: path.to_owned(), found })
            }
            _ => Ok(Self { _lock: lock, left_by_earlier_run }),
        }
    }

    /// True if an earlier `trilog dev` was killed here. Its nodes may need a moment to notice and to end.
    pub(super) fn left_by_earlier_run(&self) -> bool {
        self.left_by_earlier_run
    }
}

/// What belongs to a node in the data directory.
enum NodeFile {
    Data,
    Pid,
}

fn file_of(name: &OsStr) -> Option<NodeFile> {
    let number = name.to_str()?.strip_prefix("node-")?;
    let (number, file) = match number.strip_suffix(".pid") {
        Some(number) => (number, NodeFile::Pid),
        None => (number, NodeFile::Data),
    };
    number.parse::<u16>().is_ok().then_some(file)
}

/// Takes the lock and tells for how many nodes the one before us made the directory, if there was one.
fn lock(path: &Path, nodes: u16) -> Result<(File, Option<u16>), DataDirError> {
    let file_path = path.join("dev.lock");
    let unusable = |source| DataDirError::Unusable { path: file_path.clone(), source };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&file_path)
        .map_err(unusable)?;
    let taken = match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => false,
        Err(Errno::WOULDBLOCK) => true,
        Err(error) => return Err(unusable(error.into())),
    };
    let mut written = String::new();
    file.read_to_string(&mut written).map_err(unusable)?;
    let mut words = written.split_whitespace();
    let holder = words.next().unwrap_or("unknown").to_owned();
    if taken {
        return Err(DataDirError::InUse { path: path.to_owned(), holder });
    }
    record(&file, path, nodes)?;
    Ok((file, words.next().and_then(|nodes| nodes.parse().ok())))
}

/// Writes down who holds the lock and how many nodes the cluster has.
fn record(mut lock: &File, path: &Path, nodes: u16) -> Result<(), DataDirError> {
    let written = lock.set_len(0).and_then(|()| lock.rewind());
    let written = written.and_then(|()| writeln!(lock, "{} {nodes}", std::process::id()));
    written.map_err(|source| DataDirError::Unusable { path: path.join("dev.lock"), source })
}

/// Lets a node go on that an earlier `trilog dev` paused before it was killed. Such a node has not noticed yet that
/// its pipe closed; once it runs it does, and ends. If the id went to another process meanwhile, SIGCONT changes
/// nothing for one that runs.
fn wake(pid: &str) {
    if let Some(pid) = pid.trim().parse().ok().filter(|pid| *pid > 0).and_then(Pid::from_raw) {
        // There is no such process any more, which is the usual case.
        let _ = kill_process(pid, Signal::CONT);
    }
}

/// Writes a node's process id where scripts look for it. A reader sees the whole number or no file.
pub(super) fn write_pid(pid_file: &Path, pid: u32) -> io::Result<()> {
    let unfinished = pid_file.with_extension("pid.new");
    fs::write(&unfinished, format!("{pid}\n"))?;
    fs::rename(unfinished, pid_file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_dev_at_a_time() {
        let home = tempfile::tempdir().unwrap();
        let first = DataDir::claim(home.path(), 3).unwrap();
        let refused = DataDir::claim(home.path(), 3).unwrap_err();
        assert!(refused.to_string().contains(&std::process::id().to_string()), "{refused}");
        drop(first);
        DataDir::claim(home.path(), 3).unwrap();
    }

    #[test]
    fn a_cluster_keeps_its_size() {
        let home = tempfile::tempdir().unwrap();
        drop(DataDir::claim(home.path(), 3).unwrap());
        // Without a node there is no cluster yet.
        drop(DataDir::claim(home.path(), 5).unwrap());
        drop(DataDir::claim(home.path(), 3).unwrap());
        fs::create_dir(home.path().join("node-2")).unwrap();
        for _ in 0..2 {
            let refused = DataDir::claim(home.path(), 5).unwrap_err();
            assert!(refused.to_string().contains("start it with --nodes 3"), "{refused}");
        }
        DataDir::claim(home.path(), 3).unwrap();
    }

    #[test]
    fn the_process_ids_of_a_killed_dev_are_swept_away() {
        let home = tempfile::tempdir().unwrap();
        let pid_file = home.path().join("node-2.pid");
        write_pid(&pid_file, 4242).unwrap();
        assert_eq!(fs::read_to_string(&pid_file).unwrap(), "4242\n");
        assert!(DataDir::claim(home.path(), 3).unwrap().left_by_earlier_run());
        assert!(!pid_file.exists());
        assert!(!DataDir::claim(home.path(), 3).unwrap().left_by_earlier_run());
    }

    #[test]
    fn a_file_in_its_place_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        fs::write(&file, "").unwrap();
        let refused = DataDir::claim(&file, 3).unwrap_err();
        let refused = refused.to_string();
        assert!(refused.starts_with("--data-dir") && refused.contains("is a file"), "{refused}");
    }
}
