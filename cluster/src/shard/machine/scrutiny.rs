//! Whether what a peer sends can be applied here: applying never refuses, so it is looked at before it enters the log.

use bytes::Bytes;

use super::Machine;
use crate::controller::{self, MetadataImage};
use crate::coordinator::{self, CoordinatorState};
use crate::ids::{LeaderEpoch, Offset};
use crate::partition::{Command, PartitionState, batches_of_entry};

/// Where the records of a log end, up to some entry of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum LogEnd {
    /// The next batch begins at this offset. Of logs without records it means nothing.
    At(Offset),
    /// Cannot be told.
    Unknown,
}

impl Machine {
    /// Whether the payload of an entry of `term` can be applied behind `end`, which it moves.
    ///
    /// # Errors
    ///
    /// Why not.
    pub(in crate::shard) fn scrutinize(
        &self,
        term: u64,
        payload: &Bytes,
        end: &mut LogEnd,
    ) -> Result<(), String> {
        if payload.is_empty() {
            return Ok(());
        }
        match self {
            Self::Controller(_) => {
                controller::decode_entry(payload).map(|_| ()).map_err(|error| error.to_string())
            }
            Self::Coordinator(_) => {
                coordinator::decode_entry(payload).map(|_| ()).map_err(|error| error.to_string())
            }
            Self::Partition(_) => scrutinize_records(term, payload, end),
        }
    }

    /// Whether a snapshot as of an entry of `term` can take the state's place.
    ///
    /// # Errors
    ///
    /// Why not.
    pub(in crate::shard) fn scrutinize_snapshot(&self, term: u64, data: &[u8]) -> Result<(), String> {
        match self {
            Self::Controller(_) => MetadataImage::decode(data).map(|_| ()).map_err(|error| error.to_string()),
            Self::Coordinator(_) => {
                CoordinatorState::decode(data).map(|_| ()).map_err(|error| error.to_string())
            }
            Self::Partition(_) => {
                let state = PartitionState::decode(data).map_err(|error| error.to_string())?;
                match state.leader_epochs().latest() {
                    Some(latest) if latest > epoch_of(term) => {
                        Err("it has records of a later leader epoch".into())
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    /// Where the records of what is applied end.
    pub(in crate::shard) fn applied_end(&self) -> LogEnd {
        match self {
            Self::Controller(_) | Self::Coordinator(_) => LogEnd::At(Offset(0)),
            Self::Partition(machine) => LogEnd::At(machine.status().high_watermark),
        }
    }
}

/// The offset behind the records of a partition's entry, if it has any.
pub(in crate::shard) fn end_of_records(payload: &Bytes) -> Option<Offset> {
    batches_of_entry(payload).filter_map(Result::ok).last().map(|(header, _)| header.next_offset())
}

fn scrutinize_records(term: u64, payload: &Bytes, end: &mut LogEnd) -> Result<(), String> {
    match Command::decode(payload).map_err(|error| error.to_string())? {
        Some(Command::RaiseLogStart(offset)) if matches!(*end, LogEnd::At(end) if offset > end) => {
            return Err("the log would start beyond its end".into());
        }
        Some(_) => return Ok(()),
        None => {}
    }
    for batch in batches_of_entry(payload) {
        let (header, _) = batch.map_err(|error| error.to_string())?;
        if header.partition_leader_epoch != epoch_of(term) {
            return Err(format!(
                "leader epoch {} in an entry of term {term}",
                header.partition_leader_epoch.0
            ));
        }
        if matches!(*end, LogEnd::At(end) if header.base_offset != end) {
            return Err(format!("a batch at offset {} does not continue the log", header.base_offset));
        }
        *end = LogEnd::At(header.next_offset());
    }
    Ok(())
}

fn epoch_of(term: u64) -> LeaderEpoch {
    LeaderEpoch(i32::try_from(term).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partition::testing::BatchBuilder;
    use crate::shard::machine::Purpose;

    fn batch(offset: i64, epoch: i32) -> Vec<u8> {
        BatchBuilder::of_count(2).base_offset(offset).leader_epoch(epoch).build()
    }

    /// What becomes of a payload behind a log that ends at offset 5.
    fn look(payload: &[u8]) -> Result<LogEnd, String> {
        let mut end = LogEnd::At(Offset(5));
        let machine = Machine::new(Purpose::Partition);
        machine.scrutinize(3, &Bytes::copy_from_slice(payload), &mut end).map(|()| end)
    }

    #[test]
    fn records_continue_the_log_in_the_epoch_of_their_entry() {
        assert_eq!(look(&[]), Ok(LogEnd::At(Offset(5))));
        assert_eq!(look(&[batch(5, 3), batch(7, 3)].concat()), Ok(LogEnd::At(Offset(9))));
        for wrong in [batch(4, 3), batch(6, 3), batch(5, 2), batch(5, 4), [batch(5, 3), batch(8, 3)].concat()]
        {
            look(&wrong).unwrap_err();
        }
        look(&batch(5, 3)[..70]).unwrap_err();
        look(b"no records").unwrap_err();
    }

    #[test]
    fn the_log_starts_within_itself() {
        let raise = |offset| Command::RaiseLogStart(Offset(offset)).encode();
        assert_eq!(look(&raise(5)), Ok(LogEnd::At(Offset(5))));
        look(&raise(6)).unwrap_err();
        look(&[0x82]).unwrap_err();
    }

    #[test]
    fn what_the_other_machines_cannot_read_is_refused() {
        for purpose in [Purpose::Controller, Purpose::Coordinator] {
            let machine = Machine::new(purpose);
            let look = |payload: &'static [u8]| {
                machine.scrutinize(3, &Bytes::from_static(payload), &mut LogEnd::Unknown)
            };
            assert_eq!(look(&[]), Ok(()));
            for wrong in [&b"\x02\xff\xff\xff\xff"[..], b"\x01\x00", b"forged"] {
                look(wrong).unwrap_err();
            }
            machine.scrutinize_snapshot(3, b"forged").unwrap_err();
            machine.scrutinize_snapshot(3, &machine.state()).unwrap();
        }
    }
}
