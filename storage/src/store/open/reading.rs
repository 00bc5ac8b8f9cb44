//! How much this thread has read from files.

use std::fs;

/// Where Linux tells what a thread reads and writes.
const THREAD_IO: &str = "/proc/thread-self/io";

/// The bytes that this thread has read from files and other things, from the page cache or not. None where the operating
/// system does not tell.
pub(super) fn bytes_read() -> Option<u64> {
    let told = fs::read_to_string(THREAD_IO).ok()?;
    told.lines().find_map(|line| line.strip_prefix("rchar: "))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_counted() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), vec![1; 100_000]).unwrap();
        let Some(before) = bytes_read() else { return };
        fs::read(file.path()).unwrap();
        let read = bytes_read().unwrap() - before;
        assert!((100_000..200_000).contains(&read), "{read}");
    }
}
