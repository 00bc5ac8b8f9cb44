//! Batches for clients that do not know zstd (KIP-110).

use bytes::Bytes;
use trilog_protocol::batch::{Codec, batches};

/// What stands before the first batch of zstd. None when that is nothing: the client cannot get on, and has
/// to be told.
pub(super) fn before_zstd(slices: Vec<Bytes>) -> Option<Vec<Bytes>> {
    let mut known = Vec::with_capacity(slices.len());
    for slice in slices {
        let readable: usize = batches(&slice)
            .map_while(Result::ok)
            .take_while(|(header, _)| header.attributes.codec() != Ok(Codec::Zstd))
            .map(|(_, batch)| batch.len())
            .sum();
        let whole = readable == slice.len();
        if readable > 0 {
            known.push(slice.slice(..readable));
        }
        if !whole {
            return (!known.is_empty()).then_some(known);
        }
    }
    Some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZSTD: u8 = 4;

    /// A header without records, as far as it has to be right here.
    fn batch(codec: u8) -> Vec<u8> {
        let mut header = vec![0; 61];
        header[8..12].copy_from_slice(&49i32.to_be_bytes());
        header[16] = 2;
        header[22] = codec;
        header
    }

    fn lengths(slices: &[&[u8]]) -> Option<Vec<usize>> {
        let slices = slices
            .iter()
            .map(|codecs| Bytes::from(codecs.iter().flat_map(|&codec| batch(codec)).collect::<Vec<u8>>()));
        before_zstd(slices.collect()).map(|known| known.iter().map(Bytes::len).collect())
    }

    #[test]
    fn what_can_be_read_is_read_first() {
        assert_eq!(lengths(&[]), Some(vec![]));
        assert_eq!(lengths(&[&[0, 1], &[2, 3]]), Some(vec![122, 122]));
        assert_eq!(lengths(&[&[0, 1], &[2, ZSTD, 3]]), Some(vec![122, 61]));
        assert_eq!(lengths(&[&[0], &[ZSTD, 0]]), Some(vec![61]));
        assert_eq!(lengths(&[&[ZSTD, 0]]), None);
    }
}
