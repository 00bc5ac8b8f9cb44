//! Frames that a broker must survive, and what becomes of them.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// A header v1 without a client id, then the body.
fn frame(api_key: i16, api_version: i16, body: &[u8]) -> Bytes {
    let mut frame = Vec::new();
    frame.extend_from_slice(&api_key.to_be_bytes());
    frame.extend_from_slice(&api_version.to_be_bytes());
    frame.extend_from_slice(&42i32.to_be_bytes());
    frame.extend_from_slice(&(-1i16).to_be_bytes());
    frame.extend_from_slice(body);
    frame.into()
}

fn fault(api_key: i16, api_version: i16, body: &[u8]) -> String {
    open(&frame(api_key, api_version, body)).unwrap_err().to_string()
}

#[test]
fn the_two_frames_that_abort_the_decoder_are_refused() {
    assert_eq!(
        fault(3, 1, &[0x7f, 0xff, 0xff, 0xff]),
        "malformed Metadata v1: topics at byte 4: 2147483647 elements cannot fit into 0 bytes"
    );
    let produce = [0xff, 0xff, 0, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff];
    assert_eq!(
        fault(0, 3, &produce),
        "malformed Produce v3: topic_data at byte 12: 2147483647 elements cannot fit into 0 bytes"
    );
}

#[test]
fn a_header_is_read_with_and_without_tagged_fields() {
    let (header, body, _) = open(&frame(3, 1, &[0, 0, 0, 0])).unwrap();
    assert_eq!(header.api_key, ApiKey::Metadata);
    assert_eq!((header.api_version, header.correlation_id, header.client_id), (1, 42, None));
    assert_eq!(body[..], [0, 0, 0, 0]);

    // Heartbeat v4: client id "me", one tagged field, then three empty strings around a generation, and a
    // null.
    let mut flexible = vec![0, 12, 0, 4, 0, 0, 0, 1, 0, 2, b'm', b'e', 1, 5, 2, 0xaa, 0xbb];
    flexible.extend_from_slice(&[1, 0, 0, 0, 9, 1, 0, 0]);
    let (header, body, _) = open(&flexible.into()).unwrap();
    assert_eq!(header.client_id.as_deref(), Some("me"));
    assert_eq!(body[..], [1, 0, 0, 0, 9, 1, 0, 0]);
}

#[test]
fn a_broken_header_is_refused_by_name() {
    let refused = |bytes: &[u8]| open(&Bytes::copy_from_slice(bytes)).unwrap_err().to_string();
    assert_eq!(refused(&[]), "malformed request header: api_key at byte 0: 2 bytes needed, 0 left");
    assert_eq!(
        refused(&[0, 3, 0, 1, 0, 0, 0, 1, 0x7f, 0xff]),
        "malformed request header: client_id at byte 10: 32767 bytes needed, 0 left"
    );
    assert_eq!(
        refused(&[0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xfe]),
        "malformed request header: client_id at byte 10: length -2"
    );
}

#[test]
fn a_client_id_that_is_not_utf_8_is_made_so() {
    let latin = [0, 3, 0, 1, 0, 0, 0, 1, 0, 3, b'a', 0xe9, b'b', 0xff, 0xff, 0xff, 0xff];
    let (header, ..) = open(&Bytes::copy_from_slice(&latin)).unwrap();
    assert_eq!(header.client_id.as_deref(), Some("a\u{fffd}b"));
}

#[test]
fn only_strings_that_are_not_utf_8_are_replaced() {
    // Metadata v1 of two topics.
    let body = Bytes::from_static(&[0, 0, 0, 2, 0, 2, b'a', 0xe9, 0, 1, b'b']);
    let repaired = repaired(ApiKey::Metadata, 1, &body).unwrap();
    assert_eq!(repaired[..], [0, 0, 0, 2, 0, 4, b'a', 0xef, 0xbf, 0xbd, 0, 1, b'b']);
    assert_eq!(super::repaired(ApiKey::Metadata, 1, &repaired), None);
    assert_eq!(super::repaired(ApiKey::Metadata, 1, &Bytes::from_static(&[0, 0, 0, 9])), None);
    let mut long = vec![0, 0, 0, 1, 0x7f, 0xff];
    long.resize(6 + 0x7fff, 0xe9);
    assert_eq!(
        super::repaired(ApiKey::Metadata, 1, &long.into()),
        None,
        "it has no room for its replacement"
    );
}

#[test]
fn unknown_apis_and_versions_are_refused() {
    assert_eq!(fault(4711, 0, &[]), "unknown API key 4711");
    assert_eq!(fault(-1, 0, &[]), "unknown API key -1");
    assert_eq!(fault(1, 3, &[]), "Fetch v3 cannot be decoded");
    assert_eq!(fault(52, 0, &[]), "Vote v0 cannot be decoded");
}

#[test]
fn api_versions_of_an_unknown_version_passes_without_its_body() {
    // Header v2, as every version above 3 has.
    let (header, body, _) = open(&frame(18, 99, &[0, 0xde, 0xad])).unwrap();
    assert_eq!((header.api_version, header.correlation_id), (99, 42));
    assert!(body.is_empty());
}

#[test]
fn bytes_behind_the_last_field_are_allowed() {
    let (_, body, _) = open(&frame(3, 1, &[0, 0, 0, 0, 0xde, 0xad])).unwrap();
    assert_eq!(body.len(), 6);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..64), key in 0i16..80, version in 0i16..19) {
        let _ = open(&Bytes::from(bytes.clone()));
        let _ = open(&frame(key, version, &bytes));
    }
}
