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
    prop_oneof![
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

proptest! {
    #[test]
    fn round_trip(frame in arbitrary_frame()) {
        let wire = wire(&frame);
        prop_assert_eq!(wire.len(), 1);
        prop_assert_eq!(Ok(LENGTH_LEN + wire[0].len()), frame.encoded_len());
        prop_assert_eq!(Frame::decode(wire[0].clone()), Ok(frame));
    }

    #[test]
    fn any_bytes_are_a_frame_or_an_error(kind in 0_u8..14, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
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
