//! FindCoordinator.

use kafka_protocol::messages::FindCoordinatorRequest;

use super::checked;
use crate::Error;
use crate::admin::Results;
use crate::admin::route::Coordinated;
use crate::cluster::address;
use crate::config::Address;
use crate::messages::{text, version};
use crate::metadata::NodeId;
use crate::wire::Connection;

/// From this version on, many are asked for at once (KIP-699).
const BATCHED_FROM: i16 = 4;

impl Coordinated {
    fn name(&self) -> &str {
        match self {
            Self::Group(name) | Self::Transaction(name) => name,
        }
    }

    const fn key_type(&self) -> i8 {
        match self {
            Self::Group(_) => 0,
            Self::Transaction(_) => 1,
        }
    }

    fn of(key_type: i8, name: &str) -> Self {
        match key_type {
            0 => Self::Group(name.to_owned()),
            _ => Self::Transaction(name.to_owned()),
        }
    }
}

/// Which broker coordinates each, and where it listens.
pub(in crate::admin) async fn find(
    connection: &Connection,
    keys: &[Coordinated],
) -> Result<Results<Coordinated, (NodeId, Address)>, Error> {
    let version = version::<FindCoordinatorRequest>(connection, i16::MAX)?;
    let mut found = Results::new();
    if version < BATCHED_FROM {
        for key in keys {
            let mut request = FindCoordinatorRequest::default().with_key(text(key.name()));
            if version >= 1 {
                request.key_type = key.key_type();
            }
            let answer = connection.request_at_version(request, version).await?;
            let place = checked(answer.error_code, answer.error_message)
                .and_then(|()| Ok((answer.node_id.0, address(&answer.host, answer.port)?)));
            found.insert(key.clone(), place);
        }
        return Ok(found);
    }
    for key_type in [0, 1] {
        let names: Vec<_> = keys.iter().filter(|key| key.key_type() == key_type).collect();
        if names.is_empty() {
            continue;
        }
        let names = names.into_iter().map(|key| text(key.name())).collect();
        let request = FindCoordinatorRequest::default().with_key_type(key_type).with_coordinator_keys(names);
        let answer = connection.request_at_version(request, version).await?;
        for row in answer.coordinators {
            let place = checked(row.error_code, row.error_message)
                .and_then(|()| Ok((row.node_id.0, address(&row.host, row.port)?)));
            found.insert(Coordinated::of(key_type, &row.key), place);
        }
    }
    Ok(found)
}
