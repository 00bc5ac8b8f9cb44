//! The bytes of one file: those a process reads, those on the disk, and the changes between the two.

use fastrand::Rng;

use super::survival::Survival;

/// A file's bytes in both states.
#[derive(Debug, Default)]
pub(super) struct Bytes {
    /// What is read.
    current: Vec<u8>,
    /// What a power cut leaves at least.
    durable: Vec<u8>,
    /// What happened to `current` and not yet to `durable`, in order.
    pending: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    SetLen(usize),
}

impl Bytes {
    pub(super) fn len(&self) -> usize {
        self.current.len()
    }

    /// Up to `len` bytes from `at` on; fewer at the end.
    pub(super) fn read(&self, at: usize, len: usize) -> &[u8] {
        let end = at.saturating_add(len).min(self.current.len());
        self.current.get(at..end).unwrap_or_default()
    }

    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        put(&mut self.current, at, bytes);
        self.pending.push(Change::Write { at, bytes: bytes.to_vec() });
    }

    pub(super) fn set_len(&mut self, len: usize) {
        self.current.resize(len, 0);
        self.pending.push(Change::SetLen(len));
    }

    /// What fsync and fdatasync promise: all bytes, and the length.
    pub(super) fn sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            change.apply(&mut self.durable);
        }
    }

    /// A sync that failed: the kernel takes the changes for written, so that no later sync writes them.
    pub(super) fn fail_to_sync(&mut self) {
        self.pending.clear();
    }

    /// The power is cut. Nothing of what was not synced survives.
    pub(super) fn lose_unsynced(&mut self) {
        self.pending.clear();
        self.current.clone_from(&self.durable);
    }

    /// The power is cut. Of what was not synced a part survives.
    pub(super) fn crash(&mut self, rng: &mut Rng) {
        let (was, wanted) = (self.durable.len(), self.current.len());
        let survival = Survival::draw(rng);
        let sector = if rng.bool() { 512 } else { 4096 };
        let changes = std::mem::take(&mut self.pending);
        let kept = survival.prefix(changes.len(), rng);
        for (n, change) in changes.into_iter().enumerate() {
            match change {
                Change::Write { at, bytes } => {
                    // The write behind those that survive whole is cut short.
                    let torn = n == kept && survival == Survival::First;
                    let whole = at + if torn { rng.usize(0..=bytes.len()) } else { 0 };
                    for (at, piece) in sectors(at, &bytes, sector) {
                        if n < kept || at + piece.len() <= whole || survival.keeps(rng) {
                            put(&mut self.durable, at, piece);
                        }
                    }
                }
                Change::SetLen(len) if n < kept || survival.keeps(rng) => self.durable.resize(len, 0),
                Change::SetLen(_) => {}
            }
        }
        if survival != Survival::Everything {
            match rng.u8(0..4) {
                // The length is older than the bytes, or newer.
                0 if self.durable.len() > was => self.durable.truncate(was),
                1 if self.durable.len() < wanted => self.durable.resize(wanted, 0),
                _ => {}
            }
        }
        self.current.clone_from(&self.durable);
    }
}

impl Change {
    fn apply(self, to: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => put(to, at, &bytes),
            Self::SetLen(len) => to.resize(len, 0),
        }
    }
}

/// Overwrites, behind zeros where the file is too short.
fn put(to: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if to.len() < end {
        to.resize(end, 0);
    }
    to[at..end].copy_from_slice(bytes);
}

/// A write cut at the borders of sectors: where each piece goes, and the piece.
fn sectors(at: usize, bytes: &[u8], sector: usize) -> impl Iterator<Item = (usize, &[u8])> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(from..).filter(|rest| !rest.is_empty())?;
        let place = at + from;
        let len = (sector - place % sector).min(rest.len());
        from += len;
        Some((place, &rest[..len]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_synced_survives_every_cut() {
        for seed in 0..500 {
            let mut bytes = Bytes::default();
            bytes.write(0, &[1; 5_000]);
            bytes.sync();
            bytes.write(5_000, &[2; 5_000]);
            bytes.crash(&mut Rng::with_seed(seed));
            assert_eq!(bytes.read(0, 5_000), [1; 5_000], "seed {seed}");
            assert!(bytes.read(5_000, 9_000).iter().all(|byte| [0, 2].contains(byte)), "seed {seed}");
            let after = bytes.read(0, 20_000).to_vec();
            bytes.crash(&mut Rng::with_seed(seed + 1));
            assert_eq!(bytes.read(0, 20_000), after, "a second cut finds nothing to lose");
        }
    }

    #[test]
    fn what_was_not_synced_survives_in_all_ways() {
        let ends = (0..500).map(|seed| {
            let mut bytes = Bytes::default();
            bytes.write(0, &[1; 4_096]);
            bytes.sync();
            bytes.write(0, &[2; 4_096]);
            bytes.write(4_096, &[3; 4_096]);
            bytes.crash(&mut Rng::with_seed(seed));
            let count = |wanted: u8| bytes.read(0, 9_000).iter().filter(|byte| **byte == wanted).count();
            (bytes.len(), count(2), count(3))
        });
        let ends = ends.collect::<std::collections::BTreeSet<_>>();
        assert!(ends.contains(&(4_096, 0, 0)), "nothing");
        assert!(ends.contains(&(8_192, 4_096, 4_096)), "everything");
        assert!(ends.contains(&(8_192, 0, 0)), "the length alone");
        assert!(ends.contains(&(8_192, 0, 4_096)), "the second write alone");
        assert!(ends.iter().any(|(_, second, _)| (1..4_096).contains(second)), "a part of a write");
    }

    #[test]
    fn what_a_failed_sync_left_no_later_one_writes() {
        let mut bytes = Bytes::default();
        bytes.write(0, &[1; 100]);
        bytes.fail_to_sync();
        bytes.sync();
        assert_eq!(bytes.read(0, 100), [1; 100], "it is read until the power is cut");
        bytes.crash(&mut Rng::with_seed(1));
        assert!(bytes.read(0, 100).iter().all(|byte| *byte == 0));
    }
}
