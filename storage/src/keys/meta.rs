//! The rows about the store itself: whose it is, which one it is, and how far its writes have come.

use super::{Family, RowReader};

/// The key of [`IdentityRow`].
pub(crate) const IDENTITY_KEY: [u8; 2] = [Family::Meta.ordinal(), 0];

/// The key of [`ProgressRow`].
pub(crate) const PROGRESS_KEY: [u8; 2] = [Family::Meta.ordinal(), 1];

/// The key of the store's [`StoreId`](crate::ids::StoreId), which is the whole value.
pub(crate) const STORE_ID_KEY: [u8; 2] = [Family::Meta.ordinal(), 2];

/// Whose store this is, and in which format. Written once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IdentityRow {
    /// The format's version, from 1.
    pub(crate) format: u32,
    /// The node.
    pub(crate) node_id: u32,
    /// The cluster.
    pub(crate) cluster_id: String,
}

impl IdentityRow {
    /// The row's bytes: format, node, cluster as UTF-8.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(8 + self.cluster_id.len());
        row.extend_from_slice(&self.format.to_be_bytes());
        row.extend_from_slice(&self.node_id.to_be_bytes());
        row.extend_from_slice(self.cluster_id.as_bytes());
        row
    }

    /// The row, or `None` when the bytes are none.
    pub(crate) fn decode(row: &[u8]) -> Option<Self> {
        let mut row = RowReader::new(row);
        let (format, node_id) = (row.u32()?, row.u32()?);
        let cluster_id = std::str::from_utf8(row.rest()).ok()?.to_owned();
        Some(Self { format, node_id, cluster_id })
    }

    /// The format alone, which stands first in every version, so that a newer row can be told from a damaged one.
    pub(crate) fn decode_format(row: &[u8]) -> Option<u32> {
        RowReader::new(row).u32()
    }
}

/// How far the writes have come. Part of every batch, so that it tells which batches a recovered store still has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProgressRow {
    /// Batches applied since the store was made.
    pub(crate) batches: u64,
    /// The sum of the versions of all raft state rows.
    pub(crate) row_versions: u64,
    /// The checksums of all state records of groups that are not deleted, combined by exclusive or.
    pub(crate) record_checksums: u32,
}

impl ProgressRow {
    /// The row's bytes.
    pub(crate) fn encode(self) -> [u8; 20] {
        let mut row = [0; 20];
        row[..8].copy_from_slice(&self.batches.to_be_bytes());
        row[8..16].copy_from_slice(&self.row_versions.to_be_bytes());
        row[16..].copy_from_slice(&self.record_checksums.to_be_bytes());
        row
    }

    /// The row, or `None` when the bytes are none.
    pub(crate) fn decode(row: &[u8]) -> Option<Self> {
        let mut row = RowReader::new(row);
        let progress = Self { batches: row.u64()?, row_versions: row.u64()?, record_checksums: row.u32()? };
        row.end(progress)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn identity_round_trips(format: u32, node_id: u32, cluster_id in ".*") {
            let row = IdentityRow { format, node_id, cluster_id };
            prop_assert_eq!(IdentityRow::decode(&row.encode()), Some(row.clone()));
            prop_assert_eq!(IdentityRow::decode_format(&row.encode()), Some(format));
        }

        #[test]
        fn progress_round_trips(batches: u64, row_versions: u64, record_checksums: u32) {
            let row = ProgressRow { batches, row_versions, record_checksums };
            prop_assert_eq!(ProgressRow::decode(&row.encode()), Some(row));
        }

        #[test]
        fn any_bytes_decode_or_not(bytes: Vec<u8>) {
            let _ = IdentityRow::decode(&bytes);
            let _ = ProgressRow::decode(&bytes);
        }
    }
}
