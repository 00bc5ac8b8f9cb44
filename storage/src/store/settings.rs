//! sled's settings, `conf`: constants, which sled writes once and never syncs.
//!
//! A power loss may leave any part of the file, and sled takes what it reads for the settings of another version even if the
//! checksum is wrong. As there is nothing in it that is not known, a file that is not whole is removed, and sled writes it anew.
//! [`Store::open`](super::Store::open) syncs it before a store counts.
//!
//! It ends in the CRC-32 of what is before.

use std::fs;
use std::io;
use std::path::Path;

use super::{files, snapshot};

/// The length of the checksum.
const CHECKSUM_BYTES: usize = 4;

/// Removes the settings from sled's directory `dir` if they are not whole.
pub(super) fn remove_broken(dir: &Path) -> io::Result<()> {
    let path = dir.join(files::SETTINGS);
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        read => read?,
    };
    if is_whole(&bytes) {
        return Ok(());
    }
    tracing::warn!(path = %path.display(), "removing settings that are not whole: they are constants and are written anew");
    files::remove(&path)
}

fn is_whole(bytes: &[u8]) -> bool {
    let Some((settings, checksum)) = bytes.split_last_chunk::<CHECKSUM_BYTES>() else { return false };
    !settings.is_empty() && snapshot::crc32(settings).to_le_bytes() == *checksum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Node, open};

    #[test]
    fn settings_that_a_power_loss_tore_are_written_anew() {
        let Node { dir, store, .. } = Node::new();
        store.close().unwrap();
        let conf = dir.path().join("store/conf");
        let whole = fs::read(&conf).unwrap();
        assert!(is_whole(&whole));
        let (head, tail) = whole.split_at(whole.len() / 2);
        let zeros = vec![0; whole.len()];
        let torn: [&[u8]; 5] =
            [&[], head, &whole[..whole.len() - 1], &zeros, &[&zeros[..head.len()], tail].concat()];
        for torn in torn {
            fs::write(&conf, torn).unwrap();
            drop(open(dir.path()).unwrap());
            assert_eq!(fs::read(&conf).unwrap(), whole, "{torn:?}");
        }
    }
}
