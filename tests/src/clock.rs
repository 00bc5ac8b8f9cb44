//! A wall clock of its own for a process, which can be set while it runs: libfaketime, loaded in front of the C library.
//!
//! Only what asks for the time of day is answered by it. The monotonic clock, by which timeouts go, is the machine's.

use std::path::{Path, PathBuf};

/// Where distributions put the library, for programs with threads.
const PLACES: [&str; 5] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
    "/usr/local/lib/faketime/libfaketimeMT.so.1",
];

/// Why there are no clocks that jump where there is no [`library`].
pub const MISSING: &str = "libfaketime is not installed (apt-get install faketime)";

/// Where libfaketime is on this machine; `None` if it is not installed (`apt-get install faketime`).
pub fn library() -> Option<&'static Path> {
    PLACES.into_iter().map(Path::new).find(|place| place.exists())
}

/// A clock that is set through a file.
#[derive(Debug)]
pub struct Clock {
    library: &'static Path,
    file: PathBuf,
}

impl Clock {
    /// A clock that shows the true time, and is set through this file.
    ///
    /// # Panics
    /// If libfaketime is not installed.
    pub fn new(file: PathBuf) -> Self {
        let clock = Self { library: library().expect("libfaketime is installed"), file };
        clock.set(0);
        clock
    }

    /// Sets it to so many seconds from the true time.
    ///
    /// # Panics
    /// If its file cannot be written.
    pub fn set(&self, seconds: i64) {
        // In one step: the process may read the file at any time.
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{seconds:+}\n")).expect("a clock's file can be written");
        std::fs::rename(&new, &self.file).expect("a clock's file can be replaced");
    }

    /// What has a process go by it.
    pub fn variables(&self) -> [(&'static str, PathBuf); 4] {
        [
            ("LD_PRELOAD", self.library.to_owned()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.clone()),
            // Otherwise the file is looked at every ten seconds.
            ("FAKETIME_NO_CACHE", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::complete::not_tested;

    #[test]
    fn a_process_goes_by_its_clock() {
        if library().is_none() {
            return not_tested("clocks that jump", &MISSING);
        }
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::new(dir.path().join("clock"));
        clock.set(-86_400);
        let output = Command::new("date").arg("+%s").envs(clock.variables()).output().unwrap();
        let shown = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap();
        let shown = SystemTime::UNIX_EPOCH + Duration::from_secs(shown);
        let behind = SystemTime::now().duration_since(shown).unwrap();
        assert!(behind > Duration::from_secs(80_000), "a day behind: {behind:?}");
    }
}
