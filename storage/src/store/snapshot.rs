//! sled's snapshots of its page table: a shortcut for opening, and the one file that may be thrown away.
//!
//! At open sled writes the table that it has recovered to `snap.<position>`, and begins there the next time. Without one
//! it reads its whole file. But it takes a snapshot that it cannot read for the end of the store, even one whose writing
//! was cut short by a crash or a full disk: `snap.<position>.generating`, which it lists together with the others.
//!
//! So when sled refuses to open, the snapshots are looked at, and those that are not whole are removed. A snapshot ends
//! in its length (u64) and the CRC-32 of what is before the two.

use std::fs;
use std::io;
use std::path::Path;

use super::files;

/// The length and the checksum at the end.
const TRAILER_BYTES: usize = 8 + 4;

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

fn is_whole(bytes: &[u8]) -> bool {
    let Some((table, trailer)) = bytes.len().checked_sub(TRAILER_BYTES).map(|end| bytes.split_at(end)) else {
        return false;
    };
    !table.is_empty() && trailer.ends_with(&crc32(table).to_le_bytes())
}

/// The CRC-32 of Ethernet and zip, bit by bit: it is needed once in a while, for a megabyte or so.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    let step = |crc: u32| (crc >> 1) ^ (POLYNOMIAL & (crc & 1).wrapping_neg());
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
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
