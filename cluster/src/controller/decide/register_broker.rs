//! RegisterBroker: a node has started and says how clients reach it.
//!
//! A node repeats its registration until it sees itself in the image, so one that says nothing new writes nothing.

use super::{ControllerError, Decision, ErrorCode};
use crate::controller::image::MetadataImage;
use crate::controller::records::{Broker, ControllerRecord};
use crate::controller::requests::ControllerResponse;

pub(super) fn decide(image: &MetadataImage, broker: &Broker) -> Decision {
    let outcome = check(broker);
    let changes = outcome.is_ok() && image.broker(broker.node) != Some(broker);
    let records = changes.then(|| ControllerRecord::BrokerRegistered(broker.clone()));
    Decision { records: records.into_iter().collect(), response: ControllerResponse::RegisterBroker(outcome) }
}

fn check(broker: &Broker) -> Result<(), ControllerError> {
    let refuse = |message: &str| Err(ControllerError::new(ErrorCode::InvalidRequest, message));
    if broker.node.number().is_none() {
        return refuse("A broker id must be at least 0 and fit 32 bits with a sign.");
    }
    if broker.listeners.is_empty() {
        return refuse("A broker must have at least one listener.");
    }
    let names = broker.listeners.iter().map(|listener| &listener.name);
    if !super::repeated(names).is_empty() {
        return refuse("A broker's listeners must have different names.");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::controller::fixtures::{Cluster, broker};
    use crate::controller::requests::ControllerRequest;
    use crate::ids::NodeId;

    #[test]
    fn a_registration_is_written_once_an_incarnation() {
        let mut cluster = Cluster::of(0);
        let request = ControllerRequest::RegisterBroker(broker(1));
        assert_eq!(cluster.decide(&request).records, [ControllerRecord::BrokerRegistered(broker(1))]);
        assert_eq!(cluster.handle(&request), ControllerResponse::RegisterBroker(Ok(())));
        assert_eq!(cluster.decide(&request).records, []);
        let restarted = Broker { incarnation: Uuid::from_u128(77), ..broker(1) };
        cluster.handle(&ControllerRequest::RegisterBroker(restarted.clone()));
        assert_eq!(cluster.image.broker(NodeId(1)), Some(&restarted));
    }

    #[test]
    fn what_clients_could_not_use_is_refused() {
        let listener = broker(1).listeners.remove(0);
        for broken in [
            Broker { node: NodeId(0), ..broker(1) },
            Broker { node: NodeId(u32::MAX), ..broker(1) },
            Broker { listeners: vec![], ..broker(1) },
            Broker { listeners: vec![listener.clone(), listener], ..broker(1) },
        ] {
            let decision = Cluster::of(0).decide(&ControllerRequest::RegisterBroker(broken));
            assert_eq!(decision.records, []);
            let ControllerResponse::RegisterBroker(Err(error)) = decision.response else {
                panic!("{:?}", decision.response)
            };
            assert_eq!(error.code, ErrorCode::InvalidRequest);
        }
    }
}
