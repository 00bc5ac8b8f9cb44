//! Which refused dials the log has told of, so that neither a peer with a wrong flag, which dials twice a second, nor a
//! stranger that says whatever it likes makes more than a line once in a while.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, warn};

use super::handshake::{HandshakeError, Refusal};
use super::membership::Members;
use crate::ids::NodeId;

/// When a refusal is told again that goes on.
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(600);

/// See the module's documentation. As many as the cluster has nodes, times the reasons there are.
#[derive(Debug, Default)]
pub(super) struct Refusals(BTreeMap<(Option<NodeId>, Refusal), Told>);

#[derive(Debug)]
struct Told {
    at: Instant,
    /// How many were not told of since.
    untold: u64,
}

impl Refusals {
    /// Logs that a connection was refused which said that it is `peer`'s, unless that was logged lately. All that say they
    /// are of no node of the cluster are one.
    pub(super) fn log(
        &mut self,
        members: &Members,
        peer: NodeId,
        address: SocketAddr,
        refusal: Refusal,
        error: &HandshakeError,
    ) {
        match self.is_told(members.contains(peer).then_some(peer), refusal, Instant::now()) {
            None => debug!(%peer, %address, "refused a peer again: {error}"),
            Some(0) => warn!(%peer, %address, "refused a peer: {error}"),
            Some(untold) => warn!(%peer, %address, untold, "refused a peer, again and again: {error}"),
        }
    }

    /// Whether this refusal is to be told, and how many like it were not.
    fn is_told(&mut self, peer: Option<NodeId>, refusal: Refusal, now: Instant) -> Option<u64> {
        let Some(told) = self.0.get_mut(&(peer, refusal)) else {
            self.0.insert((peer, refusal), Told { at: now, untold: 0 });
            return Some(0);
        };
        if now.duration_since(told.at) < TELL_AGAIN_AFTER {
            told.untold += 1;
            return None;
        }
        told.at = now;
        Some(std::mem::take(&mut told.untold))
    }

    /// The peer was let in: what is refused from now on is news.
    pub(super) fn forget(&mut self, peer: NodeId) {
        self.0.retain(|(refused, _), _| *refused != Some(peer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_of_each_peer_is_told_once_in_a_while() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        let (one, two) = (Some(NodeId(1)), Some(NodeId(2)));
        assert_eq!(refusals.is_told(one, Refusal::OtherSecret, now), Some(0));
        assert_eq!(refusals.is_told(one, Refusal::OtherSecret, now), None);
        assert_eq!(refusals.is_told(one, Refusal::Cluster, now), Some(0));
        assert_eq!(refusals.is_told(two, Refusal::OtherSecret, now), Some(0));
        assert_eq!(refusals.is_told(None, Refusal::OtherSecret, now), Some(0));
        assert_eq!(refusals.is_told(None, Refusal::OtherSecret, now), None);
        assert_eq!(refusals.is_told(one, Refusal::OtherSecret, now), None);
        assert_eq!(refusals.is_told(one, Refusal::OtherSecret, now + TELL_AGAIN_AFTER), Some(2));
        refusals.forget(NodeId(2));
        assert_eq!(refusals.is_told(two, Refusal::OtherSecret, now), Some(0), "it was let in meanwhile");
        assert_eq!(refusals.is_told(None, Refusal::OtherSecret, now), None);
    }
}
