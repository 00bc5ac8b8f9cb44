//! How much room the disk has left.
//!
//! A disk that fills up is foreseen rather than met: sled cannot be used any further once one of its writes failed, so
//! whoever runs a store looks here from time to time and stops writing before that. What must be kept free, and what is
//! still done below that, is for them to say.

use std::io;
use std::path::Path;

use super::Store;
use crate::error::StoreError;

/// The bytes that may still be written to the file system of `path`, by a process without privileges. A path that does
/// not exist yet counts as what it will be made in.
///
/// # Errors
///
/// When the operating system does not tell.
pub fn free_space(path: &Path) -> io::Result<u64> {
    // An empty ancestor is the current directory, of a relative path.
    let ancestors = path.ancestors().map(|path| if path == Path::new("") { Path::new(".") } else { path });
    for ancestor in ancestors {
        match rustix::fs::statvfs(ancestor) {
            // What has no blocks, as /proc has none, has no notion of space.
            Ok(file_system) if file_system.f_blocks == 0 => return Ok(u64::MAX),
            Ok(file_system) => return Ok(file_system.f_bavail.saturating_mul(file_system.f_frsize)),
            Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

impl Store {
    /// The bytes that may still be written to the store's file system; see [`free_space`].
    ///
    /// # Errors
    ///
    /// When the operating system does not tell.
    pub fn free_space(&self) -> Result<u64, StoreError> {
        free_space(&self.shared.dir).map_err(super::io_error("measure the free space"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_exist_yet_has_the_room_of_what_it_will_be_in() {
        let dir = tempfile::tempdir().unwrap();
        assert!(free_space(dir.path()).unwrap() > 0);
        assert!(free_space(&dir.path().join("not/there/yet")).unwrap() > 0);
        assert!(free_space(Path::new("not-there-either")).unwrap() > 0);
    }
}
