use proptest::prelude::*;
use raft::eraftpb::Entry;

use super::*;
use crate::ids::{NodeId, RaftIndex};

/// Everything a frame encodes to, one `Bytes` a frame, as the receiver passes them to [`Frame::decode`].
fn wire(frame: &Frame) -> Vec<Bytes> {
    let mut out = Gather::default();
    frame.encode(&mut out);
    out.finish();
    let mut frames = Vec::new();
    while out.has_remaining() {
        let length = check_length(out.get_u32()).unwrap();
        frames.push(out.copy_to_bytes(length));
    }
    frames
}

fn group_message(group: u64, data: Bytes) -> GroupMessage {
    let entry = Entry { data, ..Entry::default() };
    let message = Message { entries: vec![entry].into(), ..Message::default() };
    GroupMessage { group: RaftGroupId(group), message }
}

fn arbitrary_frame() -> impl Strategy<Value = Frame> {
    let body = || prop::collection::vec(any::<u8>(), 0..6_000).prop_map(Bytes::from);
    let message = (any::<u64>(), raft_message::arbitrary::message())
        .prop_map(|(group, message)| GroupMessage { group: RaftGroupId(group), message });
    let leadership = (any::<(u64, u64, u32)>(), prop::collection::vec(any::<u32>(), 0..4)).prop_map(
        |((group, term, leader), isr)| LeadershipRow {
            group: RaftGroupId(group),
            term,
            leader: NodeId(leader),
            isr: isr.into_iter().map(NodeId).collect(),
        },
    );
    let sleep = any::<(u64, u64, u64)>().prop_map(|(group, term, commit)| SleepRow {
        group: RaftGroupId(group),
        term,
        commit: RaftIndex(commit),
    });
    let readmit = any::<(u64, u64, u64, u64)>().prop_map(|(group, term, until, groups)| ReadmitRow {
        group: RaftGroupId(group),
        term,
        until: RaftIndex(until),
        groups: RaftGroupId(groups),
    });
    let terms = || {
        let row = any::<(u64, u64)>().prop_map(|(group, term)| TermRow { group: RaftGroupId(group), term });
        (any::<u64>(), prop::collection::vec(row, 0..4))
    };
    let part = (any::<(u64, u64, u64, u32)>(), raft_message::arbitrary::message(), body()).prop_map(
        |((group, offset, total, checksum), message, data)| {
            let group = RaftGroupId(group);
            Frame::SnapshotPart(Box::new(SnapshotPart { group, offset, total, checksum, message, data }))
        },
    );
    let received = any::<(u64, u64, u64, u32, u64)>().prop_map(|(group, term, index, checksum, received)| {
        let (group, index) = (RaftGroupId(group), RaftIndex(index));
        Frame::SnapshotReceived(SnapshotReceived { group, term, index, checksum, received })
    });
    prop_oneof![
        part,
        received,
        prop::collection::vec(message, 1..4).prop_map(Frame::Raft),
        any::<u64>().prop_map(|sequence| Frame::Heartbeat { sequence }),
        any::<u64>().prop_map(|sequence| Frame::HeartbeatAck { sequence }),
        prop::collection::vec(leadership, 0..4).prop_map(Frame::Leadership),
        Just(Frame::NoRoom),
        Just(Frame::Leaving),
        prop::collection::vec(sleep, 0..4).prop_map(Frame::Sleep),
        (any::<u64>(), body()).prop_map(|(id, body)| Frame::Request { id, body }),
        (any::<u64>(), body()).prop_map(|(id, body)| Frame::Response { id, body }),
        (any::<[u8; 16]>(), prop::collection::vec(any::<u64>(), 0..4)).prop_map(|(store, groups)| {
            Frame::Rejoin { store: StoreId(store), groups: groups.into_iter().map(RaftGroupId).collect() }
        }),
        (any::<[u8; 16]>(), prop::collection::vec(any::<u64>(), 0..4)).prop_map(|(store, groups)| {
            Frame::Recount { store: StoreId(store), groups: groups.into_iter().map(RaftGroupId).collect() }
        }),
        (any::<[u8; 16]>(), prop::collection::vec(readmit, 0..4))
            .prop_map(|(store, rows)| Frame::Readmit { store: StoreId(store), rows }),
        terms().prop_map(|(round, rows)| Frame::Confirm { round, rows }),
        terms().prop_map(|(round, rows)| Frame::Vouch { round, rows }),
    ]
}

#[test]
fn payloads_are_slices_of_the_frame() {
    let frame = Frame::Raft(vec![group_message(1, Bytes::from(vec![7; 100]))]);
    let received = wire(&frame).remove(0);
    let Frame::Raft(messages) = Frame::decode(received.clone()).unwrap() else { panic!("another kind") };
    let data = &messages[0].message.entries[0].data;
    assert!(received.as_ptr_range().contains(&data.as_ptr()));
}

#[test]
fn many_raft_messages_leave_in_several_frames_in_order() {
    let third = Bytes::from(vec![0; RAFT_FRAME_LEN / 3]);
    let messages: Vec<_> = (0..7).map(|group| group_message(group, third.clone())).collect();
    let mut received = Vec::new();
    let frames = wire(&Frame::Raft(messages.clone()));
    for frame in &frames {
        assert!(frame.len() <= RAFT_FRAME_LEN);
        let Frame::Raft(some) = Frame::decode(frame.clone()).unwrap() else { panic!("another kind") };
        received.extend(some);
    }
    assert_eq!(frames.len(), 4);
    assert_eq!(received, messages);
}

#[test]
fn a_message_above_the_split_travels_alone() {
    let large = Bytes::from(vec![0; RAFT_FRAME_LEN * 2]);
    let messages =
        vec![group_message(1, Bytes::new()), group_message(2, large), group_message(3, Bytes::new())];
    assert_eq!(wire(&Frame::Raft(messages)).len(), 3);
}

#[test]
fn no_raft_messages_are_no_frame() {
    assert!(wire(&Frame::Raft(Vec::new())).is_empty());
}

#[test]
fn what_a_receiver_would_refuse_is_known_before_it_is_sent() {
    let fits = Bytes::from(vec![0; MAX_FRAME_LEN - KIND_LEN - 8]);
    let over = Bytes::from(vec![0; MAX_FRAME_LEN - KIND_LEN - 8 + 1]);
    assert_eq!(Frame::Request { id: 1, body: fits }.encoded_len(), Ok(LENGTH_LEN + MAX_FRAME_LEN));
    assert_eq!(Frame::Request { id: 1, body: over.clone() }.encoded_len(), Err(FrameTooLong));
    assert_eq!(Frame::Raft(vec![group_message(1, over)]).encoded_len(), Err(FrameTooLong));
}

#[test]
fn lengths_out_of_bounds_are_refused() {
    let bound = u32::try_from(MAX_FRAME_LEN).unwrap();
    assert_eq!(check_length(0), Err(FrameError::Length(0)));
    assert_eq!(check_length(bound), Ok(MAX_FRAME_LEN));
    assert_eq!(check_length(bound + 1), Err(FrameError::Length(bound + 1)));
}

#[test]
fn an_unknown_kind_is_refused() {
    let expected = FrameError::UnknownValue { what: "frame kind", value: 200 };
    assert_eq!(Frame::decode(Bytes::from_static(&[200, 0])), Err(expected));
}

/// One frame of each kind, with the name by which [`GOLDEN`] has it.
fn one_of_each_kind() -> Vec<(&'static str, Frame)> {
    let (group, store, term, index) = (RaftGroupId(7), StoreId([0xab; 16]), 3, RaftIndex(9));
    let mut message = group_message(7, Bytes::from_static(b"data"));
    message.message.term = term;
    let mut snapshot = Message { term, ..Message::default() };
    snapshot.mut_snapshot().mut_metadata().mut_conf_state().voters = vec![1, 2, 3];
    let (rows, body) = (vec![TermRow { group, term }], Bytes::from_static(b"body"));
    let (total, checksum, data) = (100, 0xdead_beef, Bytes::from_static(b"part"));
    let part = SnapshotPart { group, offset: 40, total, checksum, message: snapshot, data };
    let leader = LeadershipRow { group, term, leader: NodeId(1), isr: vec![NodeId(1), NodeId(2)] };
    let readmitted = ReadmitRow { group, term, until: index, groups: RaftGroupId(12) };
    vec![
        ("Raft", Frame::Raft(vec![message])),
        ("Heartbeat", Frame::Heartbeat { sequence: 5 }),
        ("HeartbeatAck", Frame::HeartbeatAck { sequence: 5 }),
        ("Leadership", Frame::Leadership(vec![leader])),
        ("Sleep", Frame::Sleep(vec![SleepRow { group, term, commit: index }])),
        ("Request", Frame::Request { id: 8, body: body.clone() }),
        ("Response", Frame::Response { id: 8, body }),
        ("Rejoin", Frame::Rejoin { store, groups: vec![group] }),
        ("Readmit", Frame::Readmit { store, rows: vec![readmitted] }),
        ("Confirm", Frame::Confirm { round: 6, rows: rows.clone() }),
        ("Vouch", Frame::Vouch { round: 6, rows }),
        ("NoRoom", Frame::NoRoom),
        ("Leaving", Frame::Leaving),
        ("Recount", Frame::Recount { store, groups: vec![group] }),
        ("SnapshotPart", Frame::SnapshotPart(Box::new(part))),
        (
            "SnapshotReceived",
            Frame::SnapshotReceived(SnapshotReceived { group, term, index, checksum, received: 44 }),
        ),
    ]
}

/// The frames of version 5 as they travel, without their lengths. Other bytes are another version.
const GOLDEN: &str = "src/transport/frame/version_5.txt";

#[test]
fn the_bytes_of_this_version_stay_what_they_are() {
    let hex = |bytes: &Bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let line = |(name, frame): (&str, Frame)| format!("{name} {}\n", hex(&wire(&frame)[0]));
    let frames: String = one_of_each_kind().into_iter().map(line).collect();
    if std::env::var_os("REWRITE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, &frames).unwrap();
    }
    assert_eq!(frames, std::fs::read_to_string(GOLDEN).unwrap());
}

proptest! {
    #[test]
    fn round_trip(frame in arbitrary_frame()) {
        let wire = wire(&frame);
        prop_assert_eq!(wire.len(), 1);
        prop_assert_eq!(Ok(LENGTH_LEN + wire[0].len()), frame.encoded_len());
        prop_assert_eq!(Frame::decode(wire[0].clone()), Ok(frame));
    }

    #[test]
    fn any_bytes_are_a_frame_or_an_error(kind in 0_u8..18, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let bytes = [vec![kind], bytes].concat();
        let _ = Frame::decode(Bytes::from(bytes));
    }

    #[test]
    fn a_damaged_frame_is_a_frame_or_an_error(frame in arbitrary_frame(), at: prop::sample::Index, to: u8) {
        let mut bytes = wire(&frame).remove(0).to_vec();
        let at = at.index(bytes.len());
        bytes[at] = to;
        let _ = Frame::decode(Bytes::from(bytes));
    }

    #[test]
    fn a_cut_frame_is_an_error_unless_its_payload_goes_to_the_end(
        frame in arbitrary_frame(),
        at: prop::sample::Index,
    ) {
        let bytes = wire(&frame).remove(0);
        let cut = Frame::decode(bytes.slice(..at.index(bytes.len())));
        let open_ended = matches!(frame, Frame::Request { .. } | Frame::Response { .. });
        prop_assert!(cut == Err(FrameError::Truncated) || open_ended);
    }
}
