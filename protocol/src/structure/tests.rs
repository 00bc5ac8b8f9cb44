//! Every schema held against the crate's own decoder and encoder, and the check against hostile bytes.
//!
//! The sample messages are generated from the schemas. The crate is the arbiter: it must decode a sample to
//! its last byte and encode it to the same bytes again, which it can only do if schema and crate agree on
//! every field.

mod crate_codec;

use bytes::Bytes;
use kafka_protocol::messages::ApiKey;
use proptest::collection::vec;
use proptest::prelude::*;

use self::crate_codec::{Codec, codecs_of};
use super::sample::{Sampler, unsigned_varint};
use super::*;

/// One schema in one version.
#[derive(Clone, Copy, Debug)]
struct Case {
    schema: &'static Schema,
    version: i16,
    is_answer: bool,
}

impl Case {
    fn api(&self) -> ApiKey {
        ApiKey::try_from(self.schema.api_key).unwrap()
    }

    fn name(&self) -> String {
        format!("{:?} v{} {}", self.api(), self.version, if self.is_answer { "answer" } else { "request" })
    }

    fn codec(&self) -> Codec {
        let [requests, answers] = codecs_of(self.api());
        if self.is_answer { answers } else { requests }
    }

    fn check(&self, body: &[u8]) -> Result<Extent, StructureError> {
        let limits = if self.is_answer { Limits::ANSWER } else { Limits::REQUEST };
        check(self.schema, self.version, body, limits)
    }

    fn full(&self) -> Sampler {
        Sampler::full(self.schema, self.version)
    }
}

/// The schemas of requests, and of answers.
fn all_schemas() -> impl Iterator<Item = (&'static Schema, bool)> {
    let requests = requests::SCHEMAS.iter().map(|schema| (*schema, false));
    requests.chain(answers::SCHEMAS.iter().map(|schema| (*schema, true)))
}

/// Every schema in every version.
fn all_versions() -> impl Iterator<Item = Case> {
    all_schemas().flat_map(|(schema, is_answer)| {
        (schema.versions.0..=schema.versions.1).map(move |version| Case { schema, version, is_answer })
    })
}

/// The check of a request.
fn check_request(schema: &Schema, version: i16, body: &[u8]) -> Result<Extent, StructureError> {
    check(schema, version, body, Limits::REQUEST)
}

fn requests_of(api: ApiKey) -> &'static Schema {
    request_schema(api as i16).unwrap()
}

#[test]
fn versions_and_flexibility_are_the_crates() {
    for (schema, is_answer) in all_schemas() {
        let case = Case { schema, version: 0, is_answer };
        let Codec { versions, .. } = case.codec();
        assert_eq!(schema.versions, (versions.min, versions.max), "{}", case.name());
        for version in versions.min..=versions.max {
            let api = case.api();
            let is_flexible = match (is_answer, api) {
                (false, _) => api.request_header_version(version) == 2,
                // Its header has no tags in any version, as clients read it before they know the broker's versions.
                (true, ApiKey::ApiVersions) => version >= 3,
                (true, _) => api.response_header_version(version) == 1,
            };
            assert_eq!(schema.is_flexible(version), is_flexible, "{} v{version}", case.name());
        }
    }
}

#[test]
fn the_answer_to_every_request_is_described() {
    for requests in requests::SCHEMAS {
        let answers = answer_schema(requests.api_key).unwrap();
        let (first, last) = requests.versions;
        assert!((first..=last).all(|version| answers.covers(version)), "API {}", requests.api_key);
    }
}

#[test]
fn each_api_is_described_once() {
    for (schema, is_answer) in all_schemas() {
        let same = all_schemas().filter(|other| (other.0.api_key, other.1) == (schema.api_key, is_answer));
        assert_eq!(same.count(), 1, "API {}", schema.api_key);
    }
}

#[test]
fn full_messages_pass_and_their_truncations_do_not() {
    for case in all_versions() {
        let name = case.name();
        let body = case.full().body();
        assert_eq!(case.check(&body).map(|extent| extent.bytes), Ok(body.len()), "{name}");
        assert_eq!(case.codec().recode(&body, case.version).as_ref(), Ok(&body), "{name}");
        for cut in 0..body.len() {
            assert!(case.check(&body[..cut]).is_err(), "{name} cut to {cut} of {}", body.len());
        }
    }
}

#[test]
fn strings_that_are_not_utf_8_are_replaced_in_every_api() {
    for case in all_versions() {
        let (schema, version, name) = (case.schema, case.version, case.name());
        let body = Bytes::from(case.full().with_letter(0xe9).body());
        let codec = case.codec();
        let Some(repaired) = repaired(schema, version, &body) else {
            assert!(codec.decode(&body, version).is_ok(), "{name} has no strings");
            continue;
        };
        assert!(codec.decode(&body, version).is_err(), "{name}");
        let recoded = Bytes::from(codec.recode(&repaired, version).unwrap());
        assert_eq!(case.check(&recoded).map(|extent| extent.bytes), Ok(recoded.len()), "{name}");
        assert!(recoded.len() > body.len() && super::repaired(schema, version, &recoded).is_none(), "{name}");
    }
}

#[test]
fn null_passes_only_where_the_crate_takes_it() {
    for case in all_versions() {
        let sampler = case.full();
        for target in 0.. {
            let (body, name) = sampler.clone().with_null_at(target);
            let Some(name) = name else { break };
            let accepted = case.check(&body).is_ok();
            let decoded = case.codec().decode(&body, case.version).is_ok();
            assert_eq!(accepted, decoded, "{}: null {name}", case.name());
        }
    }
}

/// A tagged field that the crate decodes and the schema does not know would slip past the check.
#[test]
fn tags_that_the_schema_does_not_know_are_not_decoded() {
    for case in all_versions().filter(|case| case.schema.is_flexible(case.version)) {
        let (version, sampler) = (case.version, case.full());
        for tag in 0..10 {
            for body in (0..).map_while(|place| sampler.clone().with_tag_at(place, tag)) {
                assert_eq!(case.check(&body).map(|extent| extent.bytes), Ok(body.len()));
                match case.codec().recode(&body, version) {
                    Ok(recoded) => assert_eq!(recoded, body, "{} tag {tag}", case.name()),
                    // The crate refuses tags of later versions.
                    Err(error) => assert_eq!(error, format!("Tag {tag} is not valid for version {version}")),
                }
            }
        }
    }
}

#[test]
fn the_number_of_elements_is_bounded() {
    // ListGroups v4: an array of strings, each one byte when empty.
    let schema = requests_of(ApiKey::ListGroups);
    let request = |count: usize| {
        let mut body = unsigned_varint(count + 1);
        body.resize(body.len() + count, 1);
        body.push(0);
        body
    };
    let most = request(MAX_ELEMENTS);
    assert_eq!(check_request(schema, 4, &most).map(|extent| extent.bytes), Ok(most.len()));
    let error = check_request(schema, 4, &request(MAX_ELEMENTS + 1)).unwrap_err();
    assert_eq!(error.fault, Fault::TooManyElements(MAX_ELEMENTS));
}

#[test]
fn numbers_in_arrays_are_elements() {
    // ElectLeaders v1: a kind, and one topic with an empty name and partitions.
    let schema = requests_of(ApiKey::ElectLeaders);
    let request = |count: usize| {
        let mut body = vec![0, 0, 0, 0, 1, 0, 0];
        body.extend_from_slice(&u32::try_from(count).unwrap().to_be_bytes());
        body.resize(body.len() + 4 * count + 4, 0);
        body
    };
    assert_eq!(check_request(schema, 1, &request(5)).map(|extent| extent.elements), Ok(6));
    let error = check_request(schema, 1, &request(MAX_ELEMENTS)).unwrap_err();
    assert_eq!(error.fault, Fault::TooManyElements(MAX_ELEMENTS));
}

#[test]
fn answers_have_room_for_the_metadata_of_large_clusters() {
    // Metadata v1: no brokers, a controller, one topic with partitions of three replicas, all in sync.
    let schema = answer_schema(ApiKey::Metadata as i16).unwrap();
    let answer = |partitions: usize| {
        let mut body = vec![0; 8];
        body.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1, b't', 0]);
        body.extend_from_slice(&u32::try_from(partitions).unwrap().to_be_bytes());
        let mut partition = vec![0; 10];
        for _ in 0..2 {
            partition.extend_from_slice(&[0, 0, 0, 3]);
            partition.resize(partition.len() + 12, 0);
        }
        body.extend(partition.repeat(partitions));
        body
    };
    let most = check(schema, 1, &answer(MAX_ANSWER_ELEMENTS - 1), Limits::ANSWER);
    assert_eq!(most.map(|extent| extent.elements), Ok(MAX_ANSWER_ELEMENTS));
    let error = check(schema, 1, &answer(MAX_ANSWER_ELEMENTS), Limits::ANSWER).unwrap_err();
    assert_eq!(error.fault, Fault::TooManyElements(MAX_ANSWER_ELEMENTS));
}

#[test]
fn strings_are_no_longer_in_flexible_versions_than_in_others() {
    // ListGroups v4: an array of one string.
    let schema = requests_of(ApiKey::ListGroups);
    let request = |length: usize| {
        let mut body = unsigned_varint(2);
        body.extend(unsigned_varint(length + 1));
        body.resize(body.len() + length, b'a');
        body.push(0);
        body
    };
    assert!(check_request(schema, 4, &request(MAX_STRING)).is_ok());
    let error = check_request(schema, 4, &request(MAX_STRING + 1)).unwrap_err();
    assert_eq!(error.fault, Fault::StringTooLong(MAX_STRING + 1));
}

#[test]
fn a_known_tagged_field_must_have_its_announced_size() {
    let schema = requests_of(ApiKey::Fetch);
    // Fixed fields of v15 with no topics, then one tagged field: cluster id "a", two bytes announced.
    let mut body = vec![0; 21];
    body.extend_from_slice(&[1, 1, 1, 1, 0, 2, 2, b'a']);
    assert_eq!(check_request(schema, 15, &body).map(|extent| extent.bytes), Ok(body.len()));
    let size = body.len() - 3;
    body[size] = 1;
    let error = check_request(schema, 15, &body).unwrap_err();
    assert_eq!(error.to_string(), "cluster_id at byte 29: tagged field of 1 bytes ends after 2");
}

#[test]
fn errors_name_the_field() {
    let schema = requests_of(ApiKey::Metadata);
    let body = [0, 0, 0, 2, 0, 1, b'a', 0, 9, b'b'];
    let error = check_request(schema, 1, &body).unwrap_err();
    assert_eq!(error.to_string(), "topics[1].name at byte 9: 9 bytes needed, 1 left");
}

/// One schema and one of its versions.
fn any_version() -> impl Strategy<Value = Case> {
    let all: Vec<_> = all_versions().collect();
    proptest::sample::select(all)
}

/// There are some hundred versions of requests and as many of answers. `PROPTEST_CASES` may ask for more, not for less.
fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.max(4_000), ..config }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn sampled_messages_survive_the_crate(case in any_version(), choices in vec(any::<u8>(), 0..200)) {
        let body = Sampler::random(case.schema, case.version, choices).body();
        prop_assert_eq!(case.check(&body).map(|extent| extent.bytes), Ok(body.len()));
        prop_assert_eq!(case.codec().recode(&body, case.version).unwrap(), body);
    }

    /// What the check accepts, the crate may refuse, but neither panics nor asks for more memory than there
    /// is.
    #[test]
    fn accepted_bytes_are_safe_to_decode(
        case in any_version(),
        choices in vec(any::<u8>(), 0..100),
        damage in vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut body = Sampler::random(case.schema, case.version, choices).body();
        for (place, byte) in damage {
            if !body.is_empty() {
                let place = place.index(body.len());
                body[place] = byte;
            }
        }
        if let Ok(used) = case.check(&body) {
            prop_assert!(used.bytes <= body.len());
            let _ = case.codec().decode(&body, case.version);
        }
    }

    #[test]
    fn random_bytes_are_safe(case in any_version(), body in vec(any::<u8>(), 0..200)) {
        if case.check(&body).is_ok() {
            let _ = case.codec().decode(&body, case.version);
        }
    }
}
