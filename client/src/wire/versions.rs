//! Which version a request is sent in (KIP-35).
//!
//! A broker lists, per API key, the range of versions it serves. A request goes out in the highest version that lies
//! in the broker's range and in the range the codec knows; an API the broker does not list cannot be sent at all.

use std::collections::BTreeMap;
use std::fmt;

use kafka_protocol::messages::{ApiKey, ApiVersionsResponse};
use kafka_protocol::protocol::{Request, VersionRange};

use crate::wire::error::ClientError;

/// An API key of the Kafka protocol, known to this crate or not. Prints its name where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Api(pub i16);

impl Api {
    /// The API of a request type.
    pub fn of<R: Request>() -> Self {
        Self(R::KEY)
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match ApiKey::try_from(self.0) {
            Ok(key) => write!(f, "{key:?}"),
            Err(()) => write!(f, "API {}", self.0),
        }
    }
}

/// What a broker said it serves, by API key.
#[derive(Debug, Clone, Default)]
pub struct BrokerVersions {
    ranges: BTreeMap<Api, VersionRange>,
    /// The finalized features of the cluster, each with its level (KIP-584).
    features: BTreeMap<String, i16>,
}

impl BrokerVersions {
    /// Takes the table out of an ApiVersions answer.
    pub fn from_response(response: &ApiVersionsResponse) -> Self {
        let ranges = response
            .api_keys
            .iter()
            .map(|row| (Api(row.api_key), VersionRange { min: row.min_version, max: row.max_version }))
            .collect();
        let features =
            response.finalized_features.iter().map(|row| (row.name.to_string(), row.max_version_level));
        Self { ranges, features: features.collect() }
    }

    /// The level of a finalized feature of the cluster (KIP-584), `None` if the broker told none when the connection was made.
    pub fn feature(&self, name: &str) -> Option<i16> {
        self.features.get(name).copied()
    }

    /// The versions the broker serves of one API, `None` if it does not list it.
    pub fn get(&self, api: Api) -> Option<VersionRange> {
        self.ranges.get(&api).copied()
    }

    /// Every API the broker lists, by key.
    pub fn iter(&self) -> impl Iterator<Item = (Api, VersionRange)> + '_ {
        self.ranges.iter().map(|(api, range)| (*api, *range))
    }

    /// The highest version of `R` that both sides speak.
    ///
    /// # Errors
    /// [`ClientError::UnsupportedVersion`] if there is none.
    pub fn negotiate<R: Request>(&self) -> Result<i16, ClientError> {
        self.highest_within(Api::of::<R>(), R::VERSIONS)
    }

    /// Whether `R` may be sent in exactly this version.
    ///
    /// # Errors
    /// [`ClientError::UnsupportedVersion`] if the codec or the broker does not know it.
    pub fn check<R: Request>(&self, version: i16) -> Result<(), ClientError> {
        let api = Api::of::<R>();
        if version < R::VERSIONS.min || version > R::VERSIONS.max {
            return Err(ClientError::UnsupportedVersion { api, ours: R::VERSIONS, theirs: self.get(api) });
        }
        self.highest_within(api, VersionRange { min: version, max: version }).map(|_| ())
    }

    fn highest_within(&self, api: Api, ours: VersionRange) -> Result<i16, ClientError> {
        let theirs = self.get(api);
        match theirs.map(|range| range.intersect(&ours)) {
            Some(common) if !common.is_empty() => Ok(common.max),
            _ => Err(ClientError::UnsupportedVersion { api, ours, theirs }),
        }
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey};
    use kafka_protocol::messages::{FetchRequest, MetadataRequest, ProduceRequest};
    use kafka_protocol::protocol::{Message, StrBytes};

    use super::*;

    fn broker(rows: &[(i16, i16, i16)]) -> BrokerVersions {
        let rows = rows.iter().map(|(key, min, max)| {
            ApiVersion::default().with_api_key(*key).with_min_version(*min).with_max_version(*max)
        });
        BrokerVersions::from_response(&ApiVersionsResponse::default().with_api_keys(rows.collect()))
    }

    #[test]
    fn the_highest_common_version_wins() {
        let versions = broker(&[(ProduceRequest::KEY, 0, 11), (MetadataRequest::KEY, 0, 99)]);
        assert_eq!(versions.negotiate::<ProduceRequest>().unwrap(), 11);
        assert_eq!(versions.negotiate::<MetadataRequest>().unwrap(), MetadataRequest::VERSIONS.max);
    }

    #[test]
    fn no_common_version_names_both_sides() {
        let versions = broker(&[(ProduceRequest::KEY, 0, 2)]);
        let error = versions.negotiate::<ProduceRequest>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "no common version of Produce: this side speaks 3..13, the broker 0..2"
        );
        let error = versions.negotiate::<FetchRequest>().unwrap_err();
        assert_eq!(error.to_string(), "no common version of Fetch: this side speaks 4..18, the broker none");
    }

    #[test]
    fn a_version_asked_for_must_suit_both_sides() {
        let versions = broker(&[(ProduceRequest::KEY, 0, 11)]);
        assert!(versions.check::<ProduceRequest>(3).is_ok());
        assert!(versions.check::<ProduceRequest>(11).is_ok());
        assert!(versions.check::<ProduceRequest>(2).is_err(), "the codec does not know it");
        assert!(versions.check::<ProduceRequest>(12).is_err(), "the broker does not know it");
    }

    #[test]
    fn a_feature_has_the_level_that_the_cluster_has_agreed_on() {
        let name = StrBytes::from_static_str("transaction.version");
        let row = FinalizedFeatureKey::default().with_name(name).with_max_version_level(2);
        let response = ApiVersionsResponse::default().with_finalized_features(vec![row]);
        let versions = BrokerVersions::from_response(&response);
        assert_eq!(versions.feature("transaction.version"), Some(2));
        assert_eq!(versions.feature("group.version"), None);
    }

    #[test]
    fn an_unknown_api_prints_its_key() {
        assert_eq!(Api(18).to_string(), "ApiVersions");
        assert_eq!(Api(12345).to_string(), "API 12345");
    }
}
