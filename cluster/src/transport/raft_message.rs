//! Raft's messages on the wire.
//!
//! Not in Raft's protobuf: its decoder follows nested groups of unknown fields by recursion, so that a few megabytes of
//! hostile bytes overflow the stack (RUSTSEC-2024-0437); a repeated empty field of two bytes makes it allocate a
//! hundred; and it copies every payload when it encodes. Here every field has a fixed width and every count is checked
//! against the bytes that remain, so that decoding allocates a small multiple of what was received. Entries' data is
//! neither copied on the way out (see [`Gather`]) nor on the way in (it is a slice of the frame).
//!
//! ```text
//! message:  type u8 | flags u8 | to, from, term, log_term, index, commit, commit_term, request_snapshot,
//!           reject_hint u64 each | priority i64 | context | entry count u32 | entries | snapshot, if flagged
//! entry:    type u8 | term u64 | index u64 | context | data
//! snapshot: index u64 | term u64 | auto_leave u8 | voters, learners, voters_outgoing, learners_next | data
//! ```
//!
//! `context` and `data` are a `u32` length and the bytes; a list of nodes is a `u32` count and as many `u64`.
//! What Raft itself has deprecated (`Entry.sync_log`, `Message.deprecated_priority`) is not sent. A field that a later
//! raft crate adds does not compile here until it is: the structs are taken apart by name.

use bytes::{Buf, BufMut, Bytes};
use protobuf::{ProtobufEnum, SingularPtrField};
use raft::eraftpb::{ConfState, Entry, Message, Snapshot, SnapshotMetadata};

use super::frame::{FrameError, count, payload};
use super::gather::Gather;

const FLAG_REJECT: u8 = 1;
const FLAG_SNAPSHOT: u8 = 1 << 1;

/// The length of a message without context, entries and snapshot.
pub(super) const MIN_MESSAGE_LEN: usize = 2 + 10 * 8 + 4 + 4;
/// The length of an entry without context and data.
const MIN_ENTRY_LEN: usize = 1 + 2 * 8 + 4 + 4;
/// The length of a snapshot without nodes and data.
const MIN_SNAPSHOT_LEN: usize = 2 * 8 + 1 + 4 * 4 + 4;

/// The exact number of bytes that [`encode`] appends.
pub(super) fn encoded_len(message: &Message) -> usize {
    let entries: usize =
        message.entries.iter().map(|entry| MIN_ENTRY_LEN + entry.context.len() + entry.data.len()).sum();
    let snapshot = message.snapshot.as_ref().map_or(0, |snapshot| {
        let state = snapshot.get_metadata().get_conf_state();
        let nodes = state.voters.len()
            + state.learners.len()
            + state.voters_outgoing.len()
            + state.learners_next.len();
        MIN_SNAPSHOT_LEN + nodes * 8 + snapshot.data.len()
    });
    MIN_MESSAGE_LEN + message.context.len() + entries + snapshot
}

/// Appends a message.
pub(super) fn encode(message: &Message, out: &mut Gather) {
    let Message {
        msg_type,
        to,
        from,
        term,
        log_term,
        index,
        entries,
        commit,
        commit_term,
        snapshot,
        request_snapshot,
        reject,
        reject_hint,
        context,
        deprecated_priority: _,
        priority,
        unknown_fields: _,
        cached_size: _,
    } = message;
    let fields = out.fields();
    fields.put_u8(code(*msg_type));
    let mut flags = 0;
    if *reject {
        flags |= FLAG_REJECT;
    }
    if snapshot.is_some() {
        flags |= FLAG_SNAPSHOT;
    }
    fields.put_u8(flags);
    for number in [to, from, term, log_term, index, commit, commit_term, request_snapshot, reject_hint] {
        fields.put_u64(*number);
    }
    fields.put_i64(*priority);
    out.put_payload(context);
    put_count(out, entries.len());
    for entry in entries {
        encode_entry(entry, out);
    }
    if let Some(snapshot) = snapshot.as_ref() {
        encode_snapshot(snapshot, out);
    }
}

fn encode_entry(entry: &Entry, out: &mut Gather) {
    let Entry { entry_type, term, index, data, context, sync_log: _, unknown_fields: _, cached_size: _ } =
        entry;
    let fields = out.fields();
    fields.put_u8(code(*entry_type));
    fields.put_u64(*term);
    fields.put_u64(*index);
    out.put_payload(context);
    out.put_payload(data);
}

fn encode_snapshot(snapshot: &Snapshot, out: &mut Gather) {
    let metadata = snapshot.get_metadata();
    let ConfState {
        voters,
        learners,
        voters_outgoing,
        learners_next,
        auto_leave,
        unknown_fields: _,
        cached_size: _,
    } = metadata.get_conf_state();
    let fields = out.fields();
    fields.put_u64(metadata.index);
    fields.put_u64(metadata.term);
    fields.put_u8(u8::from(*auto_leave));
    for nodes in [voters, learners, voters_outgoing, learners_next] {
        put_count(out, nodes.len());
        for node in nodes {
            out.fields().put_u64(*node);
        }
    }
    out.put_payload(&snapshot.data);
}

/// Takes a message off the front of `bytes`. Contexts, entries' data and snapshot data are slices of it.
///
/// A snapshot arrives with its metadata present even if it was absent; Raft reads both alike.
///
/// # Errors
///
/// [`FrameError`] on bytes that [`encode`] does not write.
pub(super) fn decode(bytes: &mut Bytes) -> Result<Message, FrameError> {
    let msg_type = named(bytes.try_get_u8()?, "Raft message type")?;
    let flags = bytes.try_get_u8()?;
    if flags & !(FLAG_REJECT | FLAG_SNAPSHOT) != 0 {
        return Err(FrameError::UnknownValue { what: "Raft message flags", value: flags });
    }
    // The fields stand in the order of the wire, in which a struct expression evaluates them.
    Ok(Message {
        msg_type,
        reject: flags & FLAG_REJECT != 0,
        to: bytes.try_get_u64()?,
        from: bytes.try_get_u64()?,
        term: bytes.try_get_u64()?,
        log_term: bytes.try_get_u64()?,
        index: bytes.try_get_u64()?,
        commit: bytes.try_get_u64()?,
        commit_term: bytes.try_get_u64()?,
        request_snapshot: bytes.try_get_u64()?,
        reject_hint: bytes.try_get_u64()?,
        priority: bytes.try_get_i64()?,
        context: payload(bytes)?,
        entries: decode_entries(bytes)?.into(),
        snapshot: (flags & FLAG_SNAPSHOT != 0).then(|| decode_snapshot(bytes)).transpose()?.into(),
        ..Message::default()
    })
}

fn decode_entries(bytes: &mut Bytes) -> Result<Vec<Entry>, FrameError> {
    let entries = count(bytes, MIN_ENTRY_LEN)?;
    (0..entries).map(|_| decode_entry(bytes)).collect()
}

fn decode_entry(bytes: &mut Bytes) -> Result<Entry, FrameError> {
    Ok(Entry {
        entry_type: named(bytes.try_get_u8()?, "Raft entry type")?,
        term: bytes.try_get_u64()?,
        index: bytes.try_get_u64()?,
        context: payload(bytes)?,
        data: payload(bytes)?,
        ..Entry::default()
    })
}

fn decode_snapshot(bytes: &mut Bytes) -> Result<Snapshot, FrameError> {
    let index = bytes.try_get_u64()?;
    let term = bytes.try_get_u64()?;
    let auto_leave = match bytes.try_get_u8()? {
        0 => false,
        1 => true,
        value => return Err(FrameError::UnknownValue { what: "auto_leave", value }),
    };
    let conf_state = ConfState {
        voters: decode_nodes(bytes)?,
        learners: decode_nodes(bytes)?,
        voters_outgoing: decode_nodes(bytes)?,
        learners_next: decode_nodes(bytes)?,
        auto_leave,
        ..ConfState::default()
    };
    let metadata = SnapshotMetadata {
        conf_state: SingularPtrField::some(conf_state),
        index,
        term,
        ..SnapshotMetadata::default()
    };
    Ok(Snapshot { metadata: SingularPtrField::some(metadata), data: payload(bytes)?, ..Snapshot::default() })
}

fn decode_nodes(bytes: &mut Bytes) -> Result<Vec<u64>, FrameError> {
    let nodes = count(bytes, size_of::<u64>())?;
    (0..nodes).map(|_| Ok(bytes.try_get_u64()?)).collect()
}

fn put_count(out: &mut Gather, items: usize) {
    out.fields().put_u32(u32::try_from(items).expect("a frame's bound is below 4 GiB"));
}

/// An enum's number. Raft's go from 0 to 18.
fn code(value: impl ProtobufEnum) -> u8 {
    u8::try_from(value.value()).expect("Raft's enums have small numbers")
}

fn named<E: ProtobufEnum>(value: u8, what: &'static str) -> Result<E, FrameError> {
    E::from_i32(i32::from(value)).ok_or(FrameError::UnknownValue { what, value })
}

/// Random messages, for the property tests of this room and of the frames.
#[cfg(test)]
pub(super) mod arbitrary {
    use proptest::prelude::*;
    use raft::eraftpb::{EntryType, MessageType};

    use super::*;

    fn bytes(longest: usize) -> impl Strategy<Value = Bytes> {
        prop::collection::vec(any::<u8>(), 0..longest).prop_map(Bytes::from)
    }

    prop_compose! {
        fn entry()(kind in 0..3, term: u64, index: u64, data in bytes(6_000), context in bytes(20)) -> Entry {
            let entry_type = EntryType::from_i32(kind).unwrap();
            Entry { entry_type, term, index, data, context, ..Entry::default() }
        }
    }

    prop_compose! {
        fn snapshot()(
            (index, term, auto_leave) in any::<(u64, u64, bool)>(),
            [voters, learners, voters_outgoing, learners_next] in
                prop::array::uniform4(prop::collection::vec(any::<u64>(), 0..4)),
            data in bytes(6_000),
        ) -> Snapshot {
            let conf_state =
                ConfState { voters, learners, voters_outgoing, learners_next, auto_leave, ..ConfState::default() };
            let conf_state = SingularPtrField::some(conf_state);
            let metadata = SnapshotMetadata { conf_state, index, term, ..SnapshotMetadata::default() };
            Snapshot { metadata: SingularPtrField::some(metadata), data, ..Snapshot::default() }
        }
    }

    prop_compose! {
        pub(in crate::transport) fn message()(
            kind in 0..19,
            [to, from, term, log_term, index, commit, commit_term, request_snapshot, reject_hint] in
                any::<[u64; 9]>(),
            (reject, priority) in any::<(bool, i64)>(),
            context in bytes(20),
            entries in prop::collection::vec(entry(), 0..4),
            snapshot in prop::option::of(snapshot()),
        ) -> Message {
            Message {
                msg_type: MessageType::from_i32(kind).unwrap(),
                to,
                from,
                term,
                log_term,
                index,
                entries: entries.into(),
                commit,
                commit_term,
                snapshot: snapshot.into(),
                request_snapshot,
                reject,
                reject_hint,
                context,
                priority,
                ..Message::default()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(message: &Message) -> Bytes {
        let mut out = Gather::default();
        encode(message, &mut out);
        out.finish();
        out.copy_to_bytes(out.remaining())
    }

    #[test]
    fn an_empty_message_has_the_minimal_length() {
        let message = Message::default();
        assert_eq!(encoded(&message).len(), MIN_MESSAGE_LEN);
        assert_eq!(decode(&mut encoded(&message)), Ok(message));
    }

    #[test]
    fn a_count_above_what_remains_allocates_nothing() {
        let mut bytes = encoded(&Message::default()).to_vec();
        let count = bytes.len() - 4;
        bytes[count..].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(decode(&mut Bytes::from(bytes)), Err(FrameError::Truncated));
    }

    proptest! {
        #[test]
        fn round_trip(message in arbitrary::message()) {
            let mut bytes = encoded(&message);
            prop_assert_eq!(bytes.len(), encoded_len(&message));
            prop_assert_eq!(decode(&mut bytes), Ok(message));
            prop_assert!(bytes.is_empty());
        }
    }
}
