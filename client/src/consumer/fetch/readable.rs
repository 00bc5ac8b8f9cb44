//! Which of the fetched batches hold records for the application.
//!
//! Control batches hold none. With `read_committed`, neither do those of transactions that were aborted: a broker lists them with
//! the producer's id and the first offset, and the producer's next control batch ends the transaction (KIP-98).

use std::collections::BTreeSet;

use bytes::Bytes;
use trilog_protocol::batch::{BatchError, BatchHeader, batches, crc_of};
use trilog_protocol::records::{ControlRecord, Records, RecordsError, decode_records};

/// Control batches hold one small record. This is room for it, and none for a bomb.
const MAX_CONTROL_BYTES: usize = 64 << 10;

/// A batch for the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedBatch {
    /// Its header.
    pub header: BatchHeader,
    /// All its bytes.
    pub bytes: Bytes,
    /// The least offset that was asked for: the batch may begin earlier.
    pub from: i64,
    /// What is left of the records, once some were handed out.
    pub rest: Option<Records>,
}

/// What a broker answered for one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readable {
    /// What the application gets.
    pub batches: Vec<FetchedBatch>,
    /// The offset to go on from, with the epoch of the last batch. None if nothing whole was there.
    pub next: Option<(i64, i32)>,
}

/// A transaction that was aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aborted {
    /// The producer.
    pub producer_id: i64,
    /// The first offset of the transaction in this partition.
    pub first_offset: i64,
}

/// Why fetched bytes cannot be read. The consumer cannot get past this place by itself.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// A header makes no sense.
    #[error(transparent)]
    Header(#[from] BatchError),
    /// A batch is damaged.
    #[error("the batch at offset {offset} has the CRC {computed:#010x} and not {stated:#010x} as stated")]
    Crc {
        /// The batch's base offset.
        offset: i64,
        /// The CRC in its header.
        stated: u32,
        /// That of its bytes.
        computed: u32,
    },
    /// A control batch has no record that can be read.
    #[error("the control batch at offset {offset} cannot be read: {cause}")]
    Control {
        /// The batch's base offset.
        offset: i64,
        /// Why.
        cause: RecordsError,
    },
}

/// Sorts out what was fetched from offset `from` on. The last batch may be cut off, as a broker fills its limit by bytes; it is
/// left for the next fetch.
///
/// # Errors
///
/// [`Unreadable`], if it stands at the very beginning. Further on, what stands before it is returned, and the next fetch begins
/// with it.
pub fn readable(
    records: &Bytes,
    from: i64,
    check_crcs: bool,
    aborted: &[Aborted],
) -> Result<Readable, Unreadable> {
    let mut aborted: Vec<_> = aborted.to_vec();
    aborted.sort_by_key(|transaction| std::cmp::Reverse(transaction.first_offset));
    let mut open = BTreeSet::new();
    let mut readable = Readable::default();
    for batch in batches(records) {
        let (header, bytes) = match batch {
            Ok(whole) => whole,
            Err(BatchError::Truncated { .. }) => break,
            Err(_) if readable.next.is_some() => break,
            Err(error) => return Err(error.into()),
        };
        if header.last_offset().0 < from {
            continue;
        }
        while let Some(transaction) =
            aborted.pop_if(|transaction| transaction.first_offset <= header.last_offset().0)
        {
            open.insert(transaction.producer_id);
        }
        match judge(&header, &bytes, check_crcs, &mut open) {
            Ok(true) => readable.batches.push(FetchedBatch { header, bytes, from, rest: None }),
            Ok(false) => {}
            Err(_) if readable.next.is_some() => break,
            Err(error) => return Err(error),
        }
        readable.next = Some((header.next_offset().0, header.partition_leader_epoch.0));
    }
    Ok(readable)
}

/// Whether a batch is for the application.
fn judge(
    header: &BatchHeader,
    bytes: &Bytes,
    check_crcs: bool,
    open: &mut BTreeSet<i64>,
) -> Result<bool, Unreadable> {
    let offset = header.base_offset.0;
    if check_crcs {
        let computed = crc_of(bytes);
        if computed != header.crc {
            return Err(Unreadable::Crc { offset, stated: header.crc, computed });
        }
    }
    if header.attributes.is_control() {
        let records = decode_records(header, bytes, MAX_CONTROL_BYTES);
        let records = records.map_err(|cause| Unreadable::Control { offset, cause })?;
        for record in records {
            let record = record.map_err(|cause| Unreadable::Control { offset, cause: cause.into() })?;
            if ControlRecord::parse(record.key.as_deref()) == Some(ControlRecord::Abort) {
                open.remove(&header.producer_id.0);
            }
        }
        return Ok(false);
    }
    Ok(!(header.attributes.is_transactional() && open.contains(&header.producer_id.0)))
}

#[cfg(test)]
mod tests {
    use trilog_protocol::testing::{BatchBuilder, TestRecord};

    use super::*;

    const TRANSACTIONAL: i16 = 0x10;
    const CONTROL: i16 = 0x20;

    fn batch(base_offset: i64, count: u32, producer: i64) -> BatchBuilder {
        BatchBuilder::of_count(count).base_offset(base_offset).leader_epoch(3).producer(producer, 0, 0)
    }

    fn abort(base_offset: i64, producer: i64) -> BatchBuilder {
        let marker = TestRecord { key: Some(vec![0, 0, 0, 0]), ..TestRecord::default() };
        let batch = BatchBuilder::of_records(&[marker]).base_offset(base_offset).leader_epoch(3);
        batch.producer(producer, 0, -1).attributes(TRANSACTIONAL | CONTROL)
    }

    fn joined(batches: &[BatchBuilder]) -> Bytes {
        batches.iter().flat_map(BatchBuilder::build).collect()
    }

    fn offsets(readable: &Readable) -> Vec<i64> {
        readable.batches.iter().map(|batch| batch.header.base_offset.0).collect()
    }

    #[test]
    fn what_lies_before_the_offset_and_what_is_cut_off_is_left_out() {
        let records = joined(&[batch(0, 5, -1), batch(5, 5, -1), batch(10, 5, -1)]);
        let read = readable(&records.slice(..records.len() - 1), 7, true, &[]).unwrap();
        assert_eq!((offsets(&read), read.next), (vec![5], Some((10, 3))));
        assert_eq!(read.batches[0].from, 7);
        let nothing = readable(&records.slice(..20), 0, true, &[]).unwrap();
        assert_eq!(nothing, Readable::default());
    }

    #[test]
    fn a_damaged_batch_is_an_error_only_where_reading_begins() {
        let mut records = joined(&[batch(0, 5, -1), batch(5, 5, -1)]).to_vec();
        let last = records.len() - 1;
        records[last] ^= 1;
        let records = Bytes::from(records);
        let read = readable(&records, 0, true, &[]).unwrap();
        assert_eq!((offsets(&read), read.next), (vec![0], Some((5, 3))));
        assert!(matches!(readable(&records, 5, true, &[]), Err(Unreadable::Crc { offset: 5, .. })));
        assert_eq!(offsets(&readable(&records, 5, false, &[]).unwrap()), [5]);
    }

    #[test]
    fn aborted_transactions_end_with_their_marker() {
        let records = joined(&[
            batch(0, 2, 7).attributes(TRANSACTIONAL),
            batch(2, 2, 8).attributes(TRANSACTIONAL),
            batch(4, 2, -1),
            abort(6, 7),
            batch(7, 2, 7).attributes(TRANSACTIONAL),
        ]);
        let aborted = [Aborted { producer_id: 7, first_offset: 0 }];
        let read = readable(&records, 0, true, &aborted).unwrap();
        assert_eq!((offsets(&read), read.next), (vec![2, 4, 7], Some((9, 3))));
        let uncommitted = readable(&records, 0, true, &[]).unwrap();
        assert_eq!(offsets(&uncommitted), [0, 2, 4, 7], "markers are for nobody");
    }
}
