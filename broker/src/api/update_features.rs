//! UpdateFeatures (57), versions 0-2: levels of features that all nodes agree on (KIP-584). There are none, so that every
//! update is refused with INVALID_UPDATE_VERSION.
//!
//! * v1: kinds of downgrades, and validation alone. v2: no results feature by feature.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::update_features_request::FeatureUpdateKey;
use kafka_protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};
use kafka_protocol::protocol::StrBytes;

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use crate::connection::Reply;

/// See the module.
pub(super) struct UpdateFeatures;

impl Handler for UpdateFeatures {
    type Request = UpdateFeaturesRequest;
    const SERVED: Versions = Versions::new(0, 2);

    fn handle(_: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let Call { request, context } = call;
        context.now(&answer(request.feature_updates.first()))
    }
}

/// The answer to an update whose first feature this is. As in Kafka one error stands for all.
fn answer(first: Option<&FeatureUpdateKey>) -> UpdateFeaturesResponse {
    let Some(FeatureUpdateKey { feature, max_version_level, .. }) = first else {
        return UpdateFeaturesResponse::default();
    };
    let message = format!(
        "The update failed for all features since the following feature had an error: Invalid update version \
         {max_version_level} for feature {feature}. Feature {feature} not found.",
        feature = feature.as_str()
    );
    UpdateFeaturesResponse::default()
        .with_error_code(ResponseError::InvalidUpdateVersion.code())
        .with_error_message(Some(StrBytes::from_string(message)))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::protocol::Encodable;

    use super::*;

    #[test]
    fn every_version_can_carry_a_refusal() {
        let update = FeatureUpdateKey::default()
            .with_feature(StrBytes::from_static_str("metadata.version"))
            .with_max_version_level(30);
        for version in UpdateFeatures::SERVED.min..=UpdateFeatures::SERVED.max {
            let refused = answer(Some(&update));
            assert_eq!(refused.error_code, 95);
            refused.encode(&mut BytesMut::new(), version).unwrap();
            assert_eq!(answer(None).error_code, 0);
        }
    }
}
