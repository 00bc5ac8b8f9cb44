//! The data directory: what is in it, and how much more could be.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::families::Families;

/// A block as `stat` counts them, whatever the file system's own are (stat(2)).
const BLOCK: u64 = 512;

/// How deep the data directory is looked into.
const MAX_DEPTH: usize = 4;

/// Bytes in the directory, and free and all bytes of its file system. What cannot be found out is left out.
pub(super) fn tell(data_dir: &Path, families: &mut Families) {
    families.gauge(
        "trilog_disk_bytes",
        "Bytes that the data directory takes on disk.",
        bytes_on_disk(data_dir, MAX_DEPTH) as f64,
    );
    if let Ok(space) = rustix::fs::statvfs(data_dir) {
        let block = space.f_frsize as f64;
        families.gauge(
            "trilog_disk_free_bytes",
            "Bytes free for this process on the data directory's file system.",
            space.f_bavail as f64 * block,
        );
        families.gauge(
            "trilog_disk_size_bytes",
            "Bytes of the data directory's file system.",
            space.f_blocks as f64 * block,
        );
    }
}

/// What the files below `directory` occupy, holes left out. Files may come and go meanwhile.
fn bytes_on_disk(directory: &Path, depth: usize) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let mut bytes = 0;
    for entry in entries.flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += metadata.blocks() * BLOCK;
        if metadata.is_dir() && depth > 0 {
            bytes += bytes_on_disk(&entry.path(), depth - 1);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_in_folders_count() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("store")).unwrap();
        fs::write(directory.path().join("store/db"), vec![7; 100_000]).unwrap();
        assert!(bytes_on_disk(directory.path(), MAX_DEPTH) >= 100_000);
        assert_eq!(bytes_on_disk(&directory.path().join("none"), MAX_DEPTH), 0);
    }
}
