//! What an entry of a partition's Raft log holds: record batches, a command, or nothing.
//!
//! | first byte | payload |
//! | --- | --- |
//! | none | empty: the entry with which a Raft leader begins its term |
//! | below `0x80` | stamped batches, one behind the other; it is the highest byte of a base offset, which is never negative |
//! | `0x81` | [`Command::RaiseLogStart`]: the log start offset, i64, big-endian |
//! | `0x82` | [`Command::AgeProducers`]: the number of the step, u64, big-endian |
//!
//! Numbers of commands are append-only. One that this program does not know was written by a later one, and a replica that
//! passed over it would serve something else than the others; so it is an error.

use bytes::Bytes;

use crate::ids::Offset;
use trilog_protocol::batch::{Batches, batches};

/// The bit that no batch has set in its first byte.
const COMMAND_BIT: u8 = 0x80;
const RAISE_LOG_START: u8 = 0x81;
const AGE_PRODUCERS: u8 = 0x82;

/// A change of a partition's state that adds no records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// The records below this offset are given up: somebody deleted them, or their time was over.
    RaiseLogStart(Offset),
    /// A step of time has passed for the idempotent producers, the one of this number: see [`producers`](super::producers).
    AgeProducers(u64),
}

/// Bytes that begin like a command and are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// A later Trilog wrote it.
    #[error("command {0:#x} of a partition is not known here")]
    Unknown(u8),
    /// It is too long, too short, or names an offset that cannot be.
    #[error("a partition's command is malformed")]
    Malformed,
}

impl Command {
    /// The payload of the entry that carries the command.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let (kind, argument) = match self {
            Self::RaiseLogStart(offset) => (RAISE_LOG_START, offset.0.to_be_bytes()),
            Self::AgeProducers(age) => (AGE_PRODUCERS, age.to_be_bytes()),
        };
        let mut payload = vec![kind];
        payload.extend(argument);
        payload
    }

    /// The command that a payload holds, if it holds one.
    ///
    /// # Errors
    ///
    /// As [`CommandError`] says.
    pub fn decode(payload: &[u8]) -> Result<Option<Self>, CommandError> {
        match payload.split_first() {
            Some((&RAISE_LOG_START, offset)) => {
                let offset = offset.try_into().map(i64::from_be_bytes).ok().filter(|offset| *offset >= 0);
                offset.map(|offset| Some(Self::RaiseLogStart(Offset(offset)))).ok_or(CommandError::Malformed)
            }
            Some((&AGE_PRODUCERS, age)) => {
                let age = age.try_into().map(u64::from_be_bytes);
                age.map(|age| Some(Self::AgeProducers(age))).map_err(|_| CommandError::Malformed)
            }
            Some((&other, _)) if is_command(payload) => Err(CommandError::Unknown(other)),
            _ => Ok(None),
        }
    }
}

/// The record batches of an entry's payload: none where it holds a command.
#[must_use]
pub fn batches_of_entry(payload: &Bytes) -> Batches {
    if is_command(payload) { batches(&Bytes::new()) } else { batches(payload) }
}

fn is_command(payload: &[u8]) -> bool {
    payload.first().is_some_and(|first| first & COMMAND_BIT != 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::partition::testing::BatchBuilder;

    proptest! {
        #[test]
        fn a_command_survives_encoding(offset in 0..=i64::MAX, age: u64) {
            for command in [Command::RaiseLogStart(Offset(offset)), Command::AgeProducers(age)] {
                prop_assert_eq!(Command::decode(&command.encode()), Ok(Some(command)));
                prop_assert_eq!(batches_of_entry(&command.encode().into()).count(), 0);
            }
        }

        #[test]
        fn any_bytes_decode_or_not(bytes: Vec<u8>) {
            let _ = Command::decode(&bytes);
        }
    }

    #[test]
    fn batches_and_nothing_are_no_commands() {
        let payload = Bytes::from(BatchBuilder::of_count(2).base_offset(i64::from(i32::MAX)).build());
        assert_eq!(Command::decode(&payload), Ok(None));
        assert_eq!(batches_of_entry(&payload).count(), 1);
        assert_eq!(Command::decode(&[]), Ok(None));
    }

    #[test]
    fn commands_of_others_are_refused() {
        assert_eq!(Command::decode(&[0x83, 0]), Err(CommandError::Unknown(0x83)));
        assert_eq!(Command::decode(&[0x81, 0]), Err(CommandError::Malformed));
        assert_eq!(Command::decode(&[0x82, 0]), Err(CommandError::Malformed));
        assert_eq!(Command::decode(&[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0]), Err(CommandError::Malformed));
    }
}
