//! DescribeAcls (29), versions 1-3: who may do what. Nothing is authorized here, which is answered as Kafka does without an
//! authorizer: SECURITY_DISABLED. MirrorMaker and others take that for an answer.
//!
//! * v2: flexible. v3: users may be named by the tokens that they use.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{DescribeAclsRequest, DescribeAclsResponse};
use kafka_protocol::protocol::StrBytes;

use super::broker::Broker;
use super::call::{Call, Handler, Versions};
use crate::connection::Reply;

/// See the module.
pub(super) struct DescribeAcls;

impl Handler for DescribeAcls {
    type Request = DescribeAclsRequest;
    const SERVED: Versions = Versions::new(1, 3);

    fn handle(_: &Arc<Broker>, call: Call<Self::Request>) -> Reply {
        let response = DescribeAclsResponse::default()
            .with_error_code(ResponseError::SecurityDisabled.code())
            .with_error_message(Some(StrBytes::from_static_str("No Authorizer is configured on the broker")));
        call.context.now(&response)
    }
}
