//! State records: a value of any length under a key of any bytes, per group.

use crate::error::StoreError;
use crate::ids::RaftGroupId;
use crate::keys::record::{self, First};

use super::Store;

/// A state record: its key and its value.
pub type StateRecord = (Vec<u8>, Vec<u8>);

impl Store {
    /// The value of a group's state record, or `None` when there is none.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or is damaged.
    pub fn record(&self, group: RaftGroupId, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.get(&record::key(group, key, 0))? {
            Some(first) => self.whole_record(group, key, &first).map(Some),
            None => Ok(None),
        }
    }

    /// The keys and values of a group's state records whose keys begin with `prefix`, in the order of the keys.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or is damaged.
    pub fn records(&self, group: RaftGroupId, prefix: &[u8]) -> Result<Vec<StateRecord>, StoreError> {
        let mut records = Vec::new();
        for pair in self.scan(&record::scan_prefix(group, prefix)) {
            let (key, first) = pair?;
            // A short key of the family can begin with the prefix by its chunk number alone.
            if let Some((_, key, 0)) = record::decode_key(&key)
                && key.starts_with(prefix)
            {
                records.push((key.to_vec(), self.whole_record(group, key, &first)?));
            }
        }
        Ok(records)
    }

    /// The number of chunks a record takes, and its checksum; both 0 when there is none.
    pub(super) fn record_extent(&self, group: RaftGroupId, key: &[u8]) -> Result<(u16, u32), StoreError> {
        let Some(first) = self.get(&record::key(group, key, 0))? else { return Ok((0, 0)) };
        let first = record::decode_first(&first).ok_or_else(|| damaged(group, key))?;
        Ok((record::chunk_count(first.len), first.checksum))
    }

    /// The value of a record whose first chunk is `first`.
    fn whole_record(&self, group: RaftGroupId, key: &[u8], first: &[u8]) -> Result<Vec<u8>, StoreError> {
        let First { len, checksum, head } = record::decode_first(first).ok_or_else(|| damaged(group, key))?;
        let mut value = Vec::with_capacity(len);
        value.extend_from_slice(head);
        for chunk in 1..record::chunk_count(len) {
            let part = self.get(&record::key(group, key, chunk))?;
            value.extend_from_slice(&part.ok_or_else(|| damaged(group, key))?);
        }
        let whole = value.len() == len && record::checksum(group, key, &value) == checksum;
        if whole { Ok(value) } else { Err(damaged(group, key)) }
    }
}

/// That a record is not what was written.
fn damaged(group: RaftGroupId, key: &[u8]) -> StoreError {
    StoreError::damaged_in(group, format!("the state record {} is not whole", key.escape_ascii()))
}
