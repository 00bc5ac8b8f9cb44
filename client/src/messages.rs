//! What all of Kafka's messages are written with: names as the protocol has them, and the version of a request.

use kafka_protocol::messages::{GroupId, TopicName};
use kafka_protocol::protocol::{Request, StrBytes};

use crate::Error;
use crate::wire::Connection;

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(crate) fn topic_name(topic: &str) -> TopicName {
    TopicName(text(topic))
}

pub(crate) fn group_id(group: &str) -> GroupId {
    GroupId(text(group))
}

/// Milliseconds as the protocol counts them.
pub(crate) fn millis(time: std::time::Duration) -> i32 {
    i32::try_from(time.as_millis()).unwrap_or(i32::MAX)
}

/// The highest version of both sides that is not above `cap`.
pub(crate) fn version<R: Request>(connection: &Connection, cap: i16) -> Result<i16, Error> {
    let version = connection.versions().negotiate::<R>()?.min(cap);
    connection.versions().check::<R>(version)?;
    Ok(version)
}

/// The highest version of both sides, if that is `lowest` at least.
pub(crate) fn version_from<R: Request>(connection: &Connection, lowest: i16) -> Result<i16, Error> {
    let version = version::<R>(connection, i16::MAX)?;
    if version < lowest {
        connection.versions().check::<R>(lowest)?;
    }
    Ok(version)
}

/// Sends a request in the highest version that is not above `cap`.
pub(crate) async fn ask<R: Request>(
    connection: &Connection,
    request: R,
    cap: i16,
) -> Result<R::Response, Error> {
    let version = version::<R>(connection, cap)?;
    Ok(connection.request_at_version(request, version).await?)
}
