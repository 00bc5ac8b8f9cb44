//! sled's snapshots of its page table: a shortcut for opening, and the one file that may be thrown away.
//!
//! At open sled writes the table that it has recovered to `snap.<position>`, and begins there the next time; while it is open,
//! we write it ([`page_table`](super::page_table)). Without one sled reads its whole file. But it takes a snapshot that it cannot read for the end of the store, even one whose writing
//! was cut short by a crash or a full disk: `snap.<position>.generating`, which it lists together with the others.
//!
//! So when sled refuses to open, the snapshots are looked at, and those that are not whole are removed. A snapshot ends
//! in its length (u64) and the CRC-32 of what is before the two.

use std::fs;
use std::io;
use std::path::Path;

use super::files;

/// The length and the checksum at the end.
pub(super) const TRAILER_BYTES: usize = 8 + 4;

/// Removes the snapshots that are not whole from sled's directory `dir`. Returns whether there were any.
///
/// Only for a store that nobody has open, which the refused opening has shown: sled locks the store before it reads a
/// snapshot.
pub(super) fn remove_broken(dir: &Path) -> io::Result<bool> {
    let mut removed = false;
    for path in files::snapshots(dir)? {
        if !is_whole(&fs::read(&path)?) {
            tracing::warn!(path = %path.display(), "removing a snapshot that is not whole; opening takes longer without it");
            files::remove(&path)?;
            removed = true;
        }
    }
    Ok(removed)
}

/// Whether a snapshot is as long as it says and has the checksum that it says.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    let Some((table, trailer)) = bytes.len().checked_sub(TRAILER_BYTES).map(|end| bytes.split_at(end)) else {
        return false;
    };
    !table.is_empty() && trailer.ends_with(&crc32(table).to_le_bytes())
}

/// The CRC-32 of Ethernet and zip.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    let mut checksum = Crc32::default();
    checksum.update(bytes);
    checksum.value()
}

/// The CRC-32 of Ethernet and zip, of bytes that come one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crc32(u32);

impl Default for Crc32 {
    fn default() -> Self {
        Self(u32::MAX)
    }
}

impl Crc32 {
    /// What a byte makes of a checksum of zeros.
    const BYTES: [u32; 256] = {
        const POLYNOMIAL: u32 = 0xedb8_8320;
        let mut bytes = [0; 256];
        let mut byte: u32 = 0;
        while byte < 256 {
            let (mut crc, mut bit) = (byte, 0);
            while bit < 8 {
                crc = (crc >> 1) ^ (POLYNOMIAL & (crc & 1).wrapping_neg());
                bit += 1;
            }
            bytes[byte as usize] = crc;
            byte += 1;
        }
        bytes
    };

    /// Takes in more bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |crc, byte| {
            let [low, ..] = crc.to_le_bytes();
            (crc >> 8) ^ Self::BYTES[usize::from(low ^ byte)]
        });
    }

    /// The checksum of what was taken in.
    pub(super) const fn value(self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Node, open};

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn what_sled_writes_is_whole_and_what_is_cut_short_is_removed() {
        let node = Node::new().reopen();
        let sled = node.dir.path().join("store");
        drop(node.store);
        assert!(!remove_broken(&sled).unwrap());
        let snapshot = files::snapshots(&sled).unwrap().pop().expect("an open writes a snapshot");
        let bytes = fs::read(&snapshot).unwrap();
        for kept in [0, 5, TRAILER_BYTES, bytes.len() - 1] {
            let unfinished = snapshot.with_extension("FFFFFFFFFFFFFFFF.generating");
            fs::write(&unfinished, &bytes[..kept]).unwrap();
            drop(open(node.dir.path()).unwrap());
            assert!(!unfinished.exists());
        }
    }
}
