//! Every schema held against the crate's own decoder and encoder, and the check against hostile bytes.
//!
//! The sample requests are generated from the schemas. The crate is the arbiter: it must decode a sample to
//! its last byte and encode it to the same bytes again, which it can only do if schema and crate agree on
//! every field.

mod crate_codec;
mod sample;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use self::crate_codec::{Codec, codec_of};
use self::sample::Sampler;
use super::error::Fault;
use super::repair::repaired;
use super::schema::Schema;
use super::walk::{MAX_ELEMENTS, MAX_STRING};
use super::*;

/// Every schema in every version.
fn all_versions() -> impl Iterator<Item = (&'static Schema, i16)> {
    api::SCHEMAS.iter().flat_map(|schema| (schema.versions.0..=schema.versions.1).map(move |v| (*schema, v)))
}

#[test]
fn versions_and_flexibility_are_the_crates() {
    for schema in api::SCHEMAS {
        let Codec { versions, .. } = codec_of(schema.api_key);
        assert_eq!(schema.versions, (versions.min, versions.max), "{:?}", schema.api_key);
        for version in versions.min..=versions.max {
            let header_version = schema.api_key.request_header_version(version);
            assert_eq!(schema.is_flexible(version), header_version == 2, "{:?} v{version}", schema.api_key);
        }
    }
}

#[test]
fn each_api_is_described_once() {
    for schema in api::SCHEMAS {
        let same = api::SCHEMAS.iter().filter(|other| other.api_key == schema.api_key);
        assert_eq!(same.count(), 1, "{:?}", schema.api_key);
    }
}

#[test]
fn full_requests_pass_and_their_truncations_do_not() {
    for (schema, version) in all_versions() {
        let name = format!("{:?} v{version}", schema.api_key);
        let body = Sampler::full(schema, version).body();
        assert_eq!(check(schema, version, &body).map(|extent| extent.bytes), Ok(body.len()), "{name}");
        assert_eq!(codec_of(schema.api_key).recode(&body, version).unwrap(), body, "{name}");
        for cut in 0..body.len() {
            assert!(check(schema, version, &body[..cut]).is_err(), "{name} cut to {cut} of {}", body.len());
        }
    }
}

#[test]
fn strings_that_are_not_utf_8_are_replaced_in_every_api() {
    for (schema, version) in all_versions() {
        let name = format!("{:?} v{version}", schema.api_key);
        let body = Bytes::from(Sampler::full(schema, version).with_letter(0xe9).body());
        let codec = codec_of(schema.api_key);
        let Some(repaired) = repaired(schema, version, &body) else {
            assert!(codec.decode(&body, version).is_ok(), "{name} has no strings");
            continue;
        };
        assert!(codec.decode(&body, version).is_err(), "{name}");
        let recoded = Bytes::from(codec.recode(&repaired, version).unwrap());
        assert_eq!(check(schema, version, &recoded).map(|extent| extent.bytes), Ok(recoded.len()), "{name}");
        assert!(recoded.len() > body.len() && super::repaired(schema, version, &recoded).is_none(), "{name}");
    }
}

#[test]
fn null_passes_only_where_the_crate_takes_it() {
    for (schema, version) in all_versions() {
        let sampler = Sampler::full(schema, version);
        for target in 0.. {
            let (body, name) = sampler.clone().with_null_at(target);
            let Some(name) = name else { break };
            let accepted = check(schema, version, &body).is_ok();
            let decoded = codec_of(schema.api_key).decode(&body, version).is_ok();
            assert_eq!(accepted, decoded, "{:?} v{version}: null {name}", schema.api_key);
        }
    }
}

/// A tagged field that the crate decodes and the schema does not know would slip past the check.
#[test]
fn tags_that_the_schema_does_not_know_are_not_decoded() {
    for (schema, version) in all_versions().filter(|(schema, version)| schema.is_flexible(*version)) {
        let sampler = Sampler::full(schema, version);
        for tag in 0..10 {
            for body in (0..).map_while(|place| sampler.clone().with_tag_at(place, tag)) {
                assert_eq!(check(schema, version, &body).map(|extent| extent.bytes), Ok(body.len()));
                match codec_of(schema.api_key).recode(&body, version) {
                    Ok(recoded) => assert_eq!(recoded, body, "{:?} v{version} tag {tag}", schema.api_key),
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
    let schema = schema_of(ApiKey::ListGroups).unwrap();
    let request = |count: usize| {
        let mut body = sample::unsigned_varint(count + 1);
        body.resize(body.len() + count, 1);
        body.push(0);
        body
    };
    let most = request(MAX_ELEMENTS);
    assert_eq!(check(schema, 4, &most).map(|extent| extent.bytes), Ok(most.len()));
    let error = check(schema, 4, &request(MAX_ELEMENTS + 1)).unwrap_err();
    assert_eq!(error.fault, Fault::TooManyElements(MAX_ELEMENTS));
}

#[test]
fn numbers_in_arrays_are_elements() {
    // ElectLeaders v1: a kind, and one topic with an empty name and partitions.
    let schema = schema_of(ApiKey::ElectLeaders).unwrap();
    let request = |count: usize| {
        let mut body = vec![0, 0, 0, 0, 1, 0, 0];
        body.extend_from_slice(&u32::try_from(count).unwrap().to_be_bytes());
        body.resize(body.len() + 4 * count + 4, 0);
        body
    };
    assert_eq!(check(schema, 1, &request(5)).map(|extent| extent.elements), Ok(6));
    let error = check(schema, 1, &request(MAX_ELEMENTS)).unwrap_err();
    assert_eq!(error.fault, Fault::TooManyElements(MAX_ELEMENTS));
}

#[test]
fn strings_are_no_longer_in_flexible_versions_than_in_others() {
    // ListGroups v4: an array of one string.
    let schema = schema_of(ApiKey::ListGroups).unwrap();
    let request = |length: usize| {
        let mut body = sample::unsigned_varint(2);
        body.extend(sample::unsigned_varint(length + 1));
        body.resize(body.len() + length, b'a');
        body.push(0);
        body
    };
    assert!(check(schema, 4, &request(MAX_STRING)).is_ok());
    let error = check(schema, 4, &request(MAX_STRING + 1)).unwrap_err();
    assert_eq!(error.fault, Fault::StringTooLong(MAX_STRING + 1));
}

#[test]
fn a_known_tagged_field_must_have_its_announced_size() {
    let schema = schema_of(ApiKey::Fetch).unwrap();
    // Fixed fields of v15 with no topics, then one tagged field: cluster id "a", two bytes announced.
    let mut body = vec![0; 21];
    body.extend_from_slice(&[1, 1, 1, 1, 0, 2, 2, b'a']);
    assert_eq!(check(schema, 15, &body).map(|extent| extent.bytes), Ok(body.len()));
    let size = body.len() - 3;
    body[size] = 1;
    let error = check(schema, 15, &body).unwrap_err();
    assert_eq!(error.to_string(), "cluster_id at byte 29: tagged field of 1 bytes ends after 2");
}

#[test]
fn errors_name_the_field() {
    let schema = schema_of(ApiKey::Metadata).unwrap();
    let body = [0, 0, 0, 2, 0, 1, b'a', 0, 9, b'b'];
    let error = check(schema, 1, &body).unwrap_err();
    assert_eq!(error.to_string(), "topics[1].name at byte 9: 9 bytes needed, 1 left");
}

/// One schema and one of its versions.
fn any_version() -> impl Strategy<Value = (&'static Schema, i16)> {
    let all: Vec<_> = all_versions().collect();
    proptest::sample::select(all)
}

/// There are some hundred versions. `PROPTEST_CASES` may ask for more, not for less.
fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.max(2_000), ..config }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn sampled_requests_survive_the_crate(
        (schema, version) in any_version(),
        choices in vec(any::<u8>(), 0..200),
    ) {
        let body = Sampler::random(schema, version, choices).body();
        prop_assert_eq!(check(schema, version, &body).map(|extent| extent.bytes), Ok(body.len()));
        prop_assert_eq!(codec_of(schema.api_key).recode(&body, version).unwrap(), body);
    }

    /// What the check accepts, the crate may refuse, but neither panics nor asks for more memory than there
    /// is.
    #[test]
    fn accepted_bytes_are_safe_to_decode(
        (schema, version) in any_version(),
        choices in vec(any::<u8>(), 0..100),
        damage in vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut body = Sampler::random(schema, version, choices).body();
        for (place, byte) in damage {
            if !body.is_empty() {
                let place = place.index(body.len());
                body[place] = byte;
            }
        }
        if let Ok(used) = check(schema, version, &body) {
            prop_assert!(used.bytes <= body.len());
            let _ = codec_of(schema.api_key).decode(&body, version);
        }
    }

    #[test]
    fn random_bytes_are_safe((schema, version) in any_version(), body in vec(any::<u8>(), 0..200)) {
        if check(schema, version, &body).is_ok() {
            let _ = codec_of(schema.api_key).decode(&body, version);
        }
    }
}
