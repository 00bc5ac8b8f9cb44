//! Bytes that wait for a socket: pieces of requests, none of which is copied.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// See the module's documentation. What is read from it has left.
///
/// Invariants: no piece is empty, and `len` is the sum of their lengths.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pieces: VecDeque<Bytes>,
    len: usize,
}

impl Outbox {
    /// Puts a piece behind the others.
    pub(super) fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.len += piece.len();
            self.pieces.push_back(piece);
        }
    }
}

impl Buf for Outbox {
    fn remaining(&self) -> usize {
        self.len
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |piece| &piece[..])
    }

    fn chunks_vectored<'a>(&'a self, to: &mut [IoSlice<'a>]) -> usize {
        let mut count = 0;
        for (slot, piece) in to.iter_mut().zip(&self.pieces) {
            *slot = IoSlice::new(piece);
            count += 1;
        }
        count
    }

    fn advance(&mut self, count: usize) {
        assert!(count <= self.len, "no more leaves than there is");
        self.len -= count;
        let mut left = count;
        while left > 0 {
            let Some(piece) = self.pieces.front_mut() else { break };
            if left < piece.len() {
                piece.advance(left);
                break;
            }
            left -= piece.len();
            self.pieces.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the socket takes at once, the bytes leave whole and in order.
        #[test]
        fn pieces_leave_as_one_stream(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..12),
            steps in prop::collection::vec(1_usize..30, 1..60),
        ) {
            let mut outbox = Outbox::default();
            pieces.iter().for_each(|piece| outbox.push(Bytes::from(piece.clone())));
            let expected = pieces.concat();
            let mut left = Vec::new();
            for step in steps {
                prop_assert_eq!(outbox.remaining(), expected.len() - left.len());
                prop_assert_eq!(outbox.chunk().is_empty(), outbox.remaining() == 0);
                let mut slices = [IoSlice::new(&[]); 3];
                let count = outbox.chunks_vectored(&mut slices);
                let seen: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
                let taken = step.min(seen.len());
                left.extend_from_slice(&seen[..taken]);
                outbox.advance(taken);
            }
            left.extend_from_slice(&outbox.copy_to_bytes(outbox.remaining()));
            prop_assert_eq!(left, expected);
        }
    }
}
