//! The first exchange on a connection: ApiVersions (KIP-35, KIP-511).
//!
//! We ask in the highest version we know. A broker that does not know that version answers with error 35 and, since it
//! cannot answer in a version it does not know, with a version 0 body, which lists the versions of ApiVersions it does
//! know (KIP-511). Then we ask once more, in the highest version common to both; a broker from before KIP-511 lists
//! nothing, and version 0 is what every broker speaks.

use bytes::Bytes;
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::{Message, StrBytes};

use crate::wire::error::ClientError;
use crate::wire::frame::decode_response;
use crate::wire::versions::BrokerVersions;

/// Kafka's UNSUPPORTED_VERSION.
const UNSUPPORTED_VERSION: i16 = 35;

/// Where the error code stands in a frame: behind the correlation id, in every version, since the answer's header has
/// no tags and the code is the body's first field.
const ERROR_CODE: std::ops::Range<usize> = 4..6;

/// The version asked for first.
pub(crate) const FIRST_VERSION: i16 = ApiVersionsRequest::VERSIONS.max;

/// What an answer to ApiVersions means for the handshake.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The broker serves these.
    Agreed(BrokerVersions),
    /// Ask again in this lower version.
    AskAgain(i16),
    /// The broker answers with this error code.
    Refused(i16),
}

/// The request that opens a connection.
pub(crate) fn api_versions_request() -> ApiVersionsRequest {
    ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str(env!("CARGO_PKG_NAME")))
        .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")))
}

/// Reads the answer to an ApiVersions request sent in version `asked`.
pub(crate) fn judge(frame: Bytes, asked: i16) -> Result<Verdict, ClientError> {
    let code = frame.get(ERROR_CODE).map(|code| i16::from_be_bytes([code[0], code[1]]));
    if code == Some(UNSUPPORTED_VERSION) && asked > 0 {
        let listed = BrokerVersions::from_response(&decode_response::<ApiVersionsRequest>(frame, 0)?);
        let common = listed.negotiate::<ApiVersionsRequest>().unwrap_or(0);
        return Ok(Verdict::AskAgain(common.min(asked - 1)));
    }
    let response: ApiVersionsResponse = decode_response::<ApiVersionsRequest>(frame, asked)?;
    if response.error_code != 0 {
        return Ok(Verdict::Refused(response.error_code));
    }
    Ok(Verdict::Agreed(BrokerVersions::from_response(&response)))
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut, BytesMut};
    use kafka_protocol::messages::api_versions_response::ApiVersion;
    use kafka_protocol::protocol::{Encodable, Request};

    use super::*;
    use crate::wire::versions::Api;

    fn answer(version: i16, code: i16, rows: &[(i16, i16, i16)]) -> Bytes {
        let rows = rows.iter().map(|(key, min, max)| {
            ApiVersion::default().with_api_key(*key).with_min_version(*min).with_max_version(*max)
        });
        let body = ApiVersionsResponse::default().with_error_code(code).with_api_keys(rows.collect());
        let mut frame = BytesMut::new();
        frame.put_i32(1);
        body.encode(&mut frame, version).unwrap();
        frame.freeze()
    }

    #[test]
    fn an_answer_in_our_version_is_the_table() {
        let verdict = judge(answer(4, 0, &[(0, 0, 11)]), 4).unwrap();
        let Verdict::Agreed(versions) = verdict else { panic!("{verdict:?}") };
        assert_eq!(versions.get(Api(0)).unwrap().max, 11);
    }

    #[test]
    fn error_35_is_read_as_version_0_and_names_the_next_attempt() {
        let key = ApiVersionsRequest::KEY;
        let verdict = judge(answer(0, 35, &[(key, 0, 2)]), 4).unwrap();
        assert!(matches!(verdict, Verdict::AskAgain(2)), "{verdict:?}");
    }

    #[test]
    fn a_broker_that_lists_nothing_is_asked_in_version_0() {
        let verdict = judge(answer(0, 35, &[]), 4).unwrap();
        assert!(matches!(verdict, Verdict::AskAgain(0)), "{verdict:?}");
    }

    #[test]
    fn every_further_attempt_is_lower_so_that_asking_ends() {
        let verdict = judge(answer(0, 35, &[(ApiVersionsRequest::KEY, 0, 4)]), 4).unwrap();
        assert!(matches!(verdict, Verdict::AskAgain(3)), "{verdict:?}");
        let verdict = judge(answer(0, 35, &[]), 0).unwrap();
        assert!(matches!(verdict, Verdict::Refused(35)), "{verdict:?}");
    }

    #[test]
    fn rubbish_is_an_error() {
        assert!(judge(Bytes::from_static(&[0, 0, 0, 1, 0]), 4).is_err());
        assert!(judge(Bytes::from_static(&[0, 0, 0, 1, 0, 35]), 4).is_err());
    }
}
