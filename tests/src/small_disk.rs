//! A disk so small that a test can fill it: a file system in memory, mounted for the test.
//!
//! Mounting takes root, and on Linux. Where that is not given, the test [says so](crate::complete) and ends: the continuous
//! integration runs as root.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::scratch::Scratch;

/// A mounted file system. Dropped, it is gone with everything in it, so whoever uses it has to end before.
#[derive(Debug)]
pub struct SmallDisk {
    mounted_at: Scratch,
}

impl SmallDisk {
    /// Mounts a file system of this many mebibytes.
    ///
    /// # Errors
    /// What this machine does not allow.
    pub fn mount(mib: u64) -> Result<Self, String> {
        let mounted_at = Scratch::new("small-disk");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "trilog-test"]).arg(mounted_at.path());
        let output = mount.output().map_err(|error| format!("mount: {error}"))?;
        let said = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
        output.status.success().then_some(Self { mounted_at }).ok_or_else(said)
    }

    /// Where a node may keep its data.
    pub fn data_dir(&self) -> PathBuf {
        self.mounted_at.join("data")
    }

    fn ballast(&self, name: &str) -> PathBuf {
        self.mounted_at.join(name)
    }

    /// Takes away this many mebibytes, with a file of that name.
    ///
    /// # Panics
    /// If they do not fit.
    pub fn take(&self, name: &str, mib: usize) {
        let mut file = File::create(self.ballast(name)).expect("a file can be made");
        (0..mib).for_each(|_| file.write_all(&[0x5a; 1 << 20]).expect("the ballast fits"));
    }

    /// Takes away all there is.
    ///
    /// # Panics
    /// If it cannot be taken for another reason than that there is no more.
    pub fn fill(&self, name: &str) {
        let mut file = File::create(self.ballast(name)).expect("a file can be made");
        while let Err(error) = (0..1 << 20).try_for_each(|_| file.write_all(&[0x5a; 1 << 16])) {
            if error.kind() == ErrorKind::StorageFull {
                return;
            }
            assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
        }
    }

    /// Takes away all but this many mebibytes, or nothing if there are fewer.
    ///
    /// # Panics
    /// If there is no `stat` to ask what there is.
    pub fn take_all_but(&self, name: &str, mib: u64) {
        let output = Command::new("stat").args(["-f", "-c", "%a %S"]).arg(self.path()).output();
        let output = String::from_utf8(output.expect("there is a stat command").stdout).expect("numbers");
        let numbers = output.split_whitespace().map(|number| number.parse::<u64>().expect("a number"));
        let free = numbers.product::<u64>() >> 20;
        self.take(name, usize::try_from(free.saturating_sub(mib)).expect("a disk in memory"));
    }

    /// Gives back what was taken under that name.
    ///
    /// # Panics
    /// If nothing was.
    pub fn give_back(&self, name: &str) {
        fs::remove_file(self.ballast(name)).expect("the ballast is there");
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.mounted_at.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that was killed a moment ago may not have let go of its files yet.
        let unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} is still mounted", self.path().display());
        }
    }
}
