//! Kafka's messages: each function sends one request and translates its answer.
//!
//! Versions are capped where a later one names topics by id or asks for several groups at once: each request is then written in
//! one way for all brokers from Kafka 2.1 to 4.x.

pub(super) mod group;
pub(super) mod log;
pub(super) mod offsets;

use kafka_protocol::messages::{GroupId, TopicName};
use kafka_protocol::protocol::{Request, StrBytes};

use crate::Error;
use crate::wire::Connection;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn topic_name(topic: &str) -> TopicName {
    TopicName(text(topic))
}

fn group_id(group: &str) -> GroupId {
    GroupId(text(group))
}

/// Milliseconds as the protocol counts them.
fn millis(time: std::time::Duration) -> i32 {
    i32::try_from(time.as_millis()).unwrap_or(i32::MAX)
}

/// The highest version of both sides that is not above `cap`.
fn version<R: Request>(connection: &Connection, cap: i16) -> Result<i16, Error> {
    let version = connection.versions().negotiate::<R>()?.min(cap);
    connection.versions().check::<R>(version)?;
    Ok(version)
}

/// Sends a request in the highest version that is not above `cap`.
async fn ask<R: Request>(connection: &Connection, request: R, cap: i16) -> Result<R::Response, Error> {
    let version = version::<R>(connection, cap)?;
    Ok(connection.request_at_version(request, version).await?)
}
