//! The file that sled keeps its page table in, `snap.<position>`.
//!
//! ```text
//! position + 1: i64 | offset of the segment at the end + 1: varint, 0 for none | page 0 | page 1 | ... | length: u64 | CRC-32: u32
//!
//! page       1 + number of changes: u8 | place of the page | place of each change
//! free page  0: u8                     | position: i64 | pointer
//! place      position: i64 | pointer | length: varint
//! pointer    0: u8 | offset: varint,  or 1: u8 | offset: varint | number of a file: i64
//! ```
//!
//! All but the varints is little-endian. The length and the checksum are those of what is before both.
//!
//! The position says how much of the log went into the table. sled goes on reading there when it opens the store, and then
//! writing: in the segment at the end, if one is named, and else in a new one.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::super::files;
use super::super::open::SEGMENT_BYTES;
use super::super::snapshot::{self, Crc32, TRAILER_BYTES};
use super::changes::{Changes, PageChange};
use super::segment::Place;
use super::varint;

/// How many changes of a page a table has room for.
const MAX_CHANGES: usize = u8::MAX as usize - 1;

/// The end of the name of a table that is being written. sled passes such files over.
const UNFINISHED: &str = ".in___motion";

/// A table as it was read.
pub(super) struct Table {
    /// What is in it up to the trailer.
    bytes: Vec<u8>,
    /// Where the pages begin.
    pages: usize,
    /// Where the log goes on that is not in it.
    log_goes_on: i64,
}

impl Table {
    /// Reads the table at `path`; the empty one if there is no path.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is not whole.
    pub(super) fn read(path: Option<&Path>) -> io::Result<Self> {
        let Some(path) = path else { return Ok(Self { bytes: Vec::new(), pages: 0, log_goes_on: 0 }) };
        let mut bytes = fs::read(path)?;
        if !snapshot::is_whole(&bytes) {
            return Err(unreadable());
        }
        bytes.truncate(bytes.len() - TRAILER_BYTES);
        let mut rest = &bytes[..];
        let position = take_i64(&mut rest).filter(|position| *position > 0).ok_or_else(unreadable)? - 1;
        let last_segment = varint::take(&mut rest).ok_or_else(unreadable)?;
        let pages = bytes.len() - rest.len();
        // What is left of a segment that sled did not go on with was never written, or not whole.
        let whole_segments = position.cast_unsigned().next_multiple_of(SEGMENT_BYTES as u64).cast_signed();
        let log_goes_on = if last_segment == 0 { whole_segments } else { position };
        Ok(Self { bytes, pages, log_goes_on })
    }

    /// Where the log goes on that is not in the table.
    pub(super) const fn log_goes_on(&self) -> i64 {
        self.log_goes_on
    }

    /// Writes the table as of `position`, which is what it was before and what became of it since. Returns false, and what
    /// it has written is of no use, when a page is missing, or has more changes than there is room for.
    ///
    /// A page that is missing was written behind `position`, and the segment that it was in before is used again; or its
    /// number was given out before `position`, and it is yet to be written.
    pub(super) fn merge(&self, changes: &Changes, position: i64, to: &mut impl Write) -> io::Result<bool> {
        let mut head = (position + 1).to_le_bytes().to_vec();
        varint::put(0, &mut head);
        to.write_all(&head)?;
        let mut rest = &self.bytes[self.pages..];
        let mut page = 0;
        while !rest.is_empty() || page < changes.end() {
            let before =
                if rest.is_empty() { None } else { Some(Entry::take(&mut rest).ok_or_else(unreadable)?) };
            let Some(after) = merged(before, changes.of(page)) else { return Ok(false) };
            to.write_all(&after)?;
            page += 1;
        }
        Ok(true)
    }
}

/// A page's entry in a table.
struct Entry<'a> {
    bytes: &'a [u8],
    /// How many changes it names; `None` for a free page.
    changes: Option<usize>,
    /// The position of the last message that it names.
    last: i64,
}

impl<'a> Entry<'a> {
    /// Takes an entry off the front.
    fn take(bytes: &mut &'a [u8]) -> Option<Self> {
        let whole = *bytes;
        let (&places, rest) = bytes.split_first()?;
        *bytes = rest;
        let mut last = 0;
        for _ in 0..places.max(1) {
            last = take_i64(bytes)?;
            let (kind, rest) = bytes.split_first()?;
            *bytes = rest;
            varint::take(bytes)?;
            if *kind == 1 {
                take_i64(bytes)?;
            }
            if places > 0 {
                varint::take(bytes)?;
            }
        }
        let changes = usize::from(places).checked_sub(1);
        Some(Self { bytes: &whole[..whole.len() - bytes.len()], changes, last })
    }
}

fn take_i64(bytes: &mut &[u8]) -> Option<i64> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(i64::from_le_bytes(*number))
}

/// A page's entry after what became of it; `None` when it cannot be told.
fn merged(before: Option<Entry<'_>>, change: Option<&PageChange>) -> Option<Vec<u8>> {
    match (change, before) {
        (Some(PageChange::Freed(place)), _) => {
            let mut entry = vec![0];
            entry.extend(place.position.to_le_bytes());
            put_pointer(place, &mut entry);
            Some(entry)
        }
        (Some(PageChange::Written { page, changes }), _) => {
            let mut entry = vec![count(changes.len())?];
            [page].into_iter().chain(changes).for_each(|place| put(place, &mut entry));
            Some(entry)
        }
        (Some(PageChange::Changed(changes)), Some(Entry { bytes, changes: Some(before), last })) => {
            let mut entry = bytes.to_vec();
            let new: Vec<&Place> = changes.iter().filter(|change| change.position > last).collect();
            entry[0] = count(before + new.len())?;
            new.into_iter().for_each(|place| put(place, &mut entry));
            Some(entry)
        }
        // A free page cannot be changed.
        (_, before) => before.map(|before| before.bytes.to_vec()),
    }
}

/// The first byte of the entry of a page with so many changes, if there is room for them.
fn count(changes: usize) -> Option<u8> {
    (changes <= MAX_CHANGES).then(|| u8::try_from(changes + 1).ok())?
}

fn put(place: &Place, to: &mut Vec<u8>) {
    to.extend(place.position.to_le_bytes());
    put_pointer(place, to);
    varint::put(place.len, to);
}

fn put_pointer(place: &Place, to: &mut Vec<u8>) {
    to.push(0);
    varint::put(place.offset, to);
}

fn unreadable() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "sled's page table is not one")
}

/// The newest table in sled's directory, and the position that it says.
pub(super) fn newest(dir: &Path) -> io::Result<Option<(PathBuf, i64)>> {
    let position = |path: &Path| {
        let digits = path.file_name()?.to_str()?.strip_prefix(files::SNAPSHOT_PREFIX)?;
        i64::from_str_radix(digits, 16).ok()
    };
    let tables = files::snapshots(dir)?.into_iter();
    Ok(tables.filter_map(|path| position(&path).map(|at| (path, at))).max_by_key(|(_, at)| *at))
}

/// Puts a table as of `position` in the place of those that are there, durably, and returns its length in bytes. `write`
/// writes what is in it, and may say that it is of no use: then nothing changes.
///
/// A crash leaves the one, the other or both, of which sled takes the newer.
pub(super) fn replace(
    dir: &Path,
    position: i64,
    write: impl FnOnce(&mut Checked<BufWriter<File>>) -> io::Result<bool>,
) -> io::Result<Option<u64>> {
    let path = dir.join(format!("{}{position:016X}", files::SNAPSHOT_PREFIX));
    let mut unfinished = path.clone().into_os_string();
    unfinished.push(UNFINISHED);
    let unfinished = PathBuf::from(unfinished);
    let written = write_whole(&unfinished, write);
    let Ok(Some(len)) = written else {
        files::remove(&unfinished)?;
        return written;
    };
    fs::rename(&unfinished, &path)?;
    files::sync_dir(dir)?;
    let older = files::snapshots(dir)?.into_iter().filter(|other| *other != path);
    older.into_iter().try_for_each(|older| files::remove(&older))?;
    Ok(Some(len))
}

fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut Checked<BufWriter<File>>) -> io::Result<bool>,
) -> io::Result<Option<u64>> {
    let mut file = Checked { to: BufWriter::new(File::create(path)?), checksum: Crc32::default(), len: 0 };
    if !write(&mut file)? {
        return Ok(None);
    }
    let Checked { mut to, checksum, len } = file;
    to.write_all(&len.to_le_bytes())?;
    to.write_all(&checksum.value().to_le_bytes())?;
    let file = to.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    Ok(Some(len + TRAILER_BYTES as u64))
}

/// Removes what a crash has left of tables that were being written.
pub(in super::super) fn remove_unfinished(dir: &Path) -> io::Result<()> {
    let unfinished = |path: &PathBuf| path.as_os_str().as_encoded_bytes().ends_with(UNFINISHED.as_bytes());
    files::snapshots(dir)?.iter().filter(|path| unfinished(path)).try_for_each(|path| files::remove(path))
}

/// A file with the length and the checksum of what was written to it.
pub(super) struct Checked<W> {
    to: W,
    checksum: Crc32,
    len: u64,
}

impl<W: Write> Write for Checked<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.checksum.update(&bytes[..written]);
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
