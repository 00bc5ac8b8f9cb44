//! Walking the batches of a payload: one header parsed each, nothing copied.

use bytes::Bytes;

use super::{BatchError, BatchHeader};

/// The batches of `payload`, in order: each one's header and its bytes, which share the payload's memory.
///
/// The iterator ends after the first error, as nothing tells where the next batch would begin.
#[must_use]
pub fn batches(payload: &Bytes) -> Batches {
    Batches { rest: payload.clone() }
}

/// The iterator that [`batches`] returns.
#[derive(Clone, Debug)]
pub struct Batches {
    rest: Bytes,
}

impl Iterator for Batches {
    type Item = Result<(BatchHeader, Bytes), BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let batch = self.take_batch();
        if batch.is_err() {
            self.rest.clear();
        }
        Some(batch)
    }
}

impl std::iter::FusedIterator for Batches {}

impl Batches {
    fn take_batch(&mut self) -> Result<(BatchHeader, Bytes), BatchError> {
        let header = BatchHeader::parse(&self.rest)?;
        if header.total_len() > self.rest.len() {
            return Err(BatchError::Truncated { needed: header.total_len(), available: self.rest.len() });
        }
        Ok((header, self.rest.split_to(header.total_len())))
    }
}
