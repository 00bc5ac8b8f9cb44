//! Memory that the machine has been given already.
//!
//! A virtual machine may get its memory from the host page by page, and lose what it leaves unused for a while. Each new
//! page of a file then costs a turn to the host, many times what writing it takes, and what was to be measured drowns in
//! that. So before it, all free memory is made to hold pages of a file: clean ones, which go to whoever wants memory.

use std::fs::{self, File};
use std::io::{self, Write};

/// What stays free.
const SPARED_BYTES: u64 = 512 << 20;

const CHUNK_BYTES: usize = 1 << 20;

/// A temporary file as large as the memory that was free. Its space is free again once it is dropped.
pub(super) struct PageCache {
    _file: File,
}

impl PageCache {
    /// Writes the file.
    ///
    /// # Panics
    /// If it cannot be written, for want of space in the directory for temporary files, say.
    pub(super) fn fill() -> Self {
        let file = free_memory().and_then(write);
        Self { _file: file.expect("a file as large as the free memory can be written") }
    }
}

fn write(bytes: u64) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    let chunk = vec![0x5a; CHUNK_BYTES];
    for _ in 0..bytes.saturating_sub(SPARED_BYTES) / CHUNK_BYTES as u64 {
        file.write_all(&chunk)?;
    }
    file.sync_data()?;
    Ok(file)
}

/// Bytes of memory that hold nothing, not even pages of files.
fn free_memory() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    free_in(&text).ok_or_else(|| io::Error::other("/proc/meminfo has no line MemFree"))
}

fn free_in(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemFree:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_memory_is_read_from_what_the_system_tells() {
        let meminfo = "MemTotal:       24683952 kB\nMemFree:        17138240 kB\n";
        assert_eq!(free_in(meminfo), Some(17_138_240 * 1024));
        assert_eq!(free_in("MemTotal: 1 kB\n"), None);
    }
}
