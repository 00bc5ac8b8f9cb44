//! The bytes of one write: small fields copied together, large payloads only referred to.
//!
//! A Raft append carries record batches that the log's tail and the other peers' queues hold too. [`Gather`] keeps such
//! a payload as a shared slice and hands the kernel the list of all parts in one vectored write, so that replication
//! never copies a payload in this process.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Payloads from this size on are referred to rather than copied. Below it a copy costs less than a part of its own.
pub(super) const SHARE_FROM: usize = 4 * 1024;

/// A queue of byte strings that reads as one. Written through [`BufMut`] on [`Gather::fields`] and
/// [`Gather::put_payload`], read through [`Buf`] after [`Gather::finish`].
///
/// Invariant: `remaining` is the length of all `parts`; no part is empty; `fields` comes after all of them.
#[derive(Debug, Default)]
pub(super) struct Gather {
    parts: VecDeque<Bytes>,
    remaining: usize,
    fields: BytesMut,
}

impl Gather {
    /// Where the fields that come next are written.
    pub(super) fn fields(&mut self) -> &mut BytesMut {
        &mut self.fields
    }

    /// Appends a payload's length, as 32 bits, and the payload.
    ///
    /// # Panics
    ///
    /// On a payload of 4 GiB: the bound on frames, far lower, was checked before.
    pub(super) fn put_payload(&mut self, payload: &Bytes) {
        let length = u32::try_from(payload.len()).expect("a frame's bound is below 4 GiB");
        self.fields.put_u32(length);
        self.put_rest(payload);
    }

    /// Appends a payload that ends its frame and therefore needs no length.
    pub(super) fn put_rest(&mut self, payload: &Bytes) {
        if payload.len() < SHARE_FROM {
            self.fields.put_slice(payload);
        } else {
            self.finish();
            self.push_part(payload.clone());
        }
    }

    /// Makes everything written so far readable.
    pub(super) fn finish(&mut self) {
        if !self.fields.is_empty() {
            let part = self.fields.split().freeze();
            self.push_part(part);
        }
    }

    fn push_part(&mut self, part: Bytes) {
        assert!(!part.is_empty(), "an empty part would read as the end");
        self.remaining += part.len();
        self.parts.push_back(part);
    }
}

impl Buf for Gather {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.parts.front().map_or(&[], |part| part)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (slice, part) in slices.iter_mut().zip(&self.parts) {
            *slice = IoSlice::new(part);
            filled += 1;
        }
        filled
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.remaining, "advanced past the end");
        self.remaining -= count;
        while let Some(part) = self.parts.front_mut() {
            if count < part.len() {
                part.advance(count);
                return;
            }
            count -= part.len();
            self.parts.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn large_payloads_are_shared_and_small_ones_copied() {
        let large = Bytes::from(vec![1; SHARE_FROM]);
        let small = Bytes::from(vec![2; SHARE_FROM - 1]);
        let mut gather = Gather::default();
        gather.put_payload(&large);
        gather.put_payload(&small);
        gather.finish();
        assert_eq!(gather.parts.len(), 3);
        assert_eq!(gather.parts[1].as_ptr(), large.as_ptr());
        assert_ne!(gather.parts[2].as_ptr(), small.as_ptr());
    }

    proptest! {
        #[test]
        fn reads_back_what_was_written_at_any_pace(
            lengths in prop::collection::vec(0_usize..3 * SHARE_FROM, 0..8),
            step in 1_usize..10_000,
        ) {
            let mut gather = Gather::default();
            let mut expected = Vec::new();
            for (fill, length) in (0_u8..).zip(&lengths) {
                let payload = Bytes::from(vec![fill; *length]);
                gather.put_payload(&payload);
                expected.put_u32(u32::try_from(*length).unwrap());
                expected.extend_from_slice(&payload);
            }
            gather.finish();
            let mut read = Vec::new();
            while gather.has_remaining() {
                let mut slices = [IoSlice::new(&[]); 3];
                let filled = gather.chunks_vectored(&mut slices);
                prop_assert!(filled > 0);
                let seen: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
                prop_assert!(seen.starts_with(gather.chunk()));
                let count = step.min(seen.len());
                read.extend_from_slice(&seen[..count]);
                gather.advance(count);
            }
            prop_assert_eq!(read, expected);
        }
    }
}
