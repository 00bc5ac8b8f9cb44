//! The mark that tells a shorter store from a whole one.
//!
//! When sled finds a broken piece at the end of its file, it takes it for the usual end of a crash and opens with what
//! came before. After a crash that is right. After damage to synced data it is a log that has silently become
//! shorter, and a replica that forgot what it had acknowledged.
//!
//! So a small file of its own, `<data_dir>/durable`, remembers how many batches were durable. Every batch carries its
//! number in the store, too; a store that opens with a lower one has lost something.
//!
//! **Order:** first the store is synced, then the mark is written. The mark may lag behind, never run ahead.
//!
//! The mark is written at most once a second and when the store is closed, since each write costs a second sync. What
//! was synced within the last second before a crash is guarded by sled's own checksums alone.
//!
//! The mark also says under which boot of the machine more may have been acknowledged than was durable
//! ([`boot`](super::boot)).
//!
//! The file has two slots, written in turn and in place: one pwrite and one fdatasync, no rename and no directory to
//! sync. A write torn by a crash spoils one slot, and the other still holds the mark before. Both are there from the
//! beginning, under the file's own name only once they are whole, so that a full disk finds nothing half made.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::boot::BootId;
use super::files;

/// How long a mark that has fallen behind may stay so while syncs go on.
const INTERVAL: Duration = Duration::from_secs(1);

/// The slots' places, one disk block apart, so that no block write touches both.
const SLOT_OFFSETS: [u64; 2] = [0, 4096];

/// A slot: batches u64, writes u64, boot 16 bytes, CRC-32C of all u32.
const SLOT_BYTES: usize = BODY_BYTES + 4;
const BODY_BYTES: usize = SHORT_BODY_BYTES + 8 + 16;

/// A slot of earlier versions: batches u64, CRC-32C of them u32.
const SHORT_BODY_BYTES: usize = 8;

/// What a slot tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slot {
    batches: u64,
    /// Which write of the file it is: the last one counts.
    writes: u64,
    boot: BootId,
}

/// The open file.
#[derive(Debug)]
pub(super) struct DurableMark {
    file: File,
    /// What the file tells.
    written: Slot,
    /// What is so.
    durable: Slot,
    written_at: Instant,
    /// The slot to write next: the older one.
    next_slot: usize,
}

impl DurableMark {
    /// Makes the file, which tells of no batches yet, and makes it durable, but for its name.
    pub(super) fn create(path: &Path) -> io::Result<()> {
        let unfinished = path.with_extension("new");
        let mut file = File::create(&unfinished)?;
        let written = SLOT_OFFSETS.iter().try_for_each(|offset| {
            file.seek(SeekFrom::Start(*offset))?;
            file.write_all(&encode(Slot::default()))
        });
        if let Err(error) = written.and_then(|()| file.sync_all()) {
            files::remove(&unfinished)?;
            return Err(error);
        }
        fs::rename(&unfinished, path)
    }

    /// Opens the file; `None` in place of the mark when neither slot holds one.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let mut file = File::options().read(true).write(true).open(path)?;
        // A slot that a killed process wrote and did not sync would be on its way together with the next one.
        file.sync_data()?;
        let slots = [read_slot(&mut file, 0)?, read_slot(&mut file, 1)?];
        let age = |slot: Option<Slot>| slot.map(|slot| (slot.writes, slot.batches));
        let newest = usize::from(age(slots[1]) > age(slots[0]));
        Ok(slots[newest].map(|written| Self {
            file,
            written,
            durable: written,
            written_at: Instant::now(),
            next_slot: 1 - newest,
        }))
    }

    /// The open file.
    pub(super) const fn file(&self) -> &File {
        &self.file
    }

    /// The number of batches that the file says are durable.
    pub(super) const fn batches(&self) -> u64 {
        self.written.batches
    }

    /// Under which boot of the machine more may have been acknowledged than is durable; [`BootId::NONE`] if nothing was.
    pub(super) const fn boot(&self) -> BootId {
        self.written.boot
    }

    /// Says so from now on, durably.
    pub(super) fn set_boot(&mut self, boot: BootId) -> io::Result<()> {
        self.durable.boot = boot;
        self.write_now()
    }

    /// The number of batches that are durable, whether the file says so already or not.
    pub(super) const fn durable(&self) -> u64 {
        self.durable.batches
    }

    /// Takes note that `batches` are durable. Writes when the last time is long enough ago.
    pub(super) fn advance(&mut self, batches: u64) -> io::Result<()> {
        self.durable.batches = self.durable.batches.max(batches);
        if self.written_at.elapsed() < INTERVAL {
            return Ok(());
        }
        self.write_now()
    }

    /// As [`Self::advance`], but writes at once.
    pub(super) fn advance_now(&mut self, batches: u64) -> io::Result<()> {
        self.durable.batches = self.durable.batches.max(batches);
        self.write_now()
    }

    /// Writes, if there is news.
    pub(super) fn write_now(&mut self) -> io::Result<()> {
        if self.durable == self.written {
            return Ok(());
        }
        self.durable.writes = self.written.writes + 1;
        self.file.seek(SeekFrom::Start(SLOT_OFFSETS[self.next_slot]))?;
        self.file.write_all(&encode(self.durable))?;
        self.file.sync_data()?;
        self.next_slot = 1 - self.next_slot;
        self.written = self.durable;
        self.written_at = Instant::now();
        Ok(())
    }
}

/// The bytes of a slot.
fn encode(Slot { batches, writes, boot }: Slot) -> [u8; SLOT_BYTES] {
    let mut slot = [0; SLOT_BYTES];
    slot[..SHORT_BODY_BYTES].copy_from_slice(&batches.to_be_bytes());
    slot[SHORT_BODY_BYTES..BODY_BYTES - 16].copy_from_slice(&writes.to_be_bytes());
    slot[BODY_BYTES - 16..BODY_BYTES].copy_from_slice(&boot.0);
    let crc = crc32c::crc32c(&slot[..BODY_BYTES]);
    slot[BODY_BYTES..].copy_from_slice(&crc.to_be_bytes());
    slot
}

/// What a slot tells, if it is whole.
fn read_slot(file: &mut File, slot: usize) -> io::Result<Option<Slot>> {
    file.seek(SeekFrom::Start(SLOT_OFFSETS[slot]))?;
    let mut bytes = Vec::with_capacity(SLOT_BYTES);
    file.take(SLOT_BYTES as u64).read_to_end(&mut bytes)?;
    Ok(decode(&bytes))
}

fn decode(bytes: &[u8]) -> Option<Slot> {
    let batches = u64::from_be_bytes(*bytes.first_chunk()?);
    let is_whole = |len: usize| {
        let crc = crc32c::crc32c(&bytes[..len.min(bytes.len())]).to_be_bytes();
        bytes.get(len..len + crc.len()) == Some(&crc[..])
    };
    if is_whole(BODY_BYTES) {
        let writes = u64::from_be_bytes(*bytes[SHORT_BODY_BYTES..].first_chunk()?);
        let boot = BootId(*bytes[BODY_BYTES - 16..].first_chunk()?);
        return Some(Slot { batches, writes, boot });
    }
    is_whole(SHORT_BODY_BYTES).then_some(Slot { batches, ..Slot::default() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn write(path: &Path, batches: u64) {
        let mut mark = DurableMark::open(path).unwrap().unwrap();
        mark.advance_now(batches).unwrap();
    }

    fn batches(path: &Path) -> Option<u64> {
        DurableMark::open(path).unwrap().map(|mark| mark.batches())
    }

    #[test]
    fn the_newest_slot_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("durable");
        DurableMark::create(&path).unwrap();
        assert_eq!(batches(&path), Some(0));
        for number in 1..5 {
            write(&path, number);
            assert_eq!(batches(&path), Some(number));
        }
    }

    #[test]
    fn a_torn_write_leaves_the_mark_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("durable");
        DurableMark::create(&path).unwrap();
        write(&path, 7);
        write(&path, 9);
        let mut bytes = fs::read(&path).unwrap();
        bytes[0] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(batches(&path), Some(7));
        fs::write(&path, &bytes[..20]).unwrap();
        assert_eq!(batches(&path), None);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_slot_of_an_earlier_version_is_read() {
        let short = [&7_u64.to_be_bytes()[..], &crc32c::crc32c(&7_u64.to_be_bytes()).to_be_bytes()].concat();
        assert_eq!(decode(&short), Some(Slot { batches: 7, ..Slot::default() }));
        let slot = Slot { batches: 7, writes: 3, boot: BootId([5; 16]) };
        assert_eq!(decode(&encode(slot)), Some(slot));
        assert_eq!(decode(&encode(slot)[..20]), None);
    }

    #[test]
    fn a_boot_is_told_until_there_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("durable");
        DurableMark::create(&path).unwrap();
        let boot = |path| DurableMark::open(path).unwrap().unwrap().boot();
        assert_eq!(boot(&path), BootId::NONE);
        for told in [BootId([9; 16]), BootId::NONE, BootId([3; 16]), BootId([9; 16])] {
            DurableMark::open(&path).unwrap().unwrap().set_boot(told).unwrap();
            assert_eq!(boot(&path), told);
        }
    }

    #[test]
    fn a_recent_mark_is_not_written_again_but_at_close_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("durable");
        DurableMark::create(&path).unwrap();
        let mut mark = DurableMark::open(&path).unwrap().unwrap();
        mark.advance(5).unwrap();
        assert_eq!(mark.batches(), 0);
        mark.write_now().unwrap();
        assert_eq!(batches(&path), Some(5));
    }
    proptest! {
        #[test]
        fn any_bytes_are_a_slot_or_not(mut bytes in prop::collection::vec(any::<u8>(), 0..60), has_crc: bool) {
            for body in [SHORT_BODY_BYTES, BODY_BYTES] {
                if has_crc && bytes.len() >= body + 4 {
                    let crc = crc32c::crc32c(&bytes[..body]);
                    bytes[body..body + 4].copy_from_slice(&crc.to_be_bytes());
                }
            }
            let slot = decode(&bytes);
            prop_assert_eq!(slot.is_some(), has_crc && bytes.len() >= SHORT_BODY_BYTES + 4);
        }
    }
}
