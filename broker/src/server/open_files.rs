//! How many files the process may have open, and how many of them are for clients.
//!
//! Every client and every peer is a file. Systems start processes with a low limit, often 1,024, for the sake of programs that
//! use select(2), and a high one up to which a process may raise it by itself. A node raises it. What is left after the share
//! that the node needs itself is for clients: were clients to take all, a peer that was restarted could not come back, the
//! store could not open a file, and nobody could ask for the node's health.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use thiserror::Error;
use tracing::{debug, info, warn};
use trilog_cluster::bounds::MAX_STRANGERS;

use crate::http;

/// What is asked for where there is no upper limit: the most that Linux allows unless it is told otherwise.
const ENOUGH: u64 = 1 << 20;

/// Files of the store, of two runtimes, of the log and of the listeners. An idle node has about thirty.
pub(crate) const RESERVED_FOR_STORE: usize = 64;

/// Connections with one peer: one in each direction, and as many that are being replaced.
pub(crate) const RESERVED_PER_PEER: usize = 4;

/// A node for fewer clients is of no use: each consumer group's member has two or three connections.
pub(crate) const LEAST_CLIENTS: usize = 16;

/// The limit of open files leaves too little.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "at most {limit} files may be open, and this node needs {needed}: {reserved} for its store, its peers and its HTTP port, \
     and {LEAST_CLIENTS} for clients; raise the limit (ulimit -n, LimitNOFILE= of systemd, --ulimit nofile= of docker)"
)]
pub(crate) struct TooFewFiles {
    limit: u64,
    needed: usize,
    reserved: usize,
}

/// Raises the limit as far as this process may, and returns it.
pub(super) fn raise_limit() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.unwrap_or(ENOUGH);
    let Some(current) = current.filter(|current| *current < wanted) else {
        return current.unwrap_or(u64::MAX);
    };
    match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
        Ok(()) => {
            debug!(from = current, to = wanted, "raised the limit of open files");
            wanted
        }
        Err(error) => {
            warn!(current, "cannot raise the limit of open files: {error}");
            current
        }
    }
}

/// Files that a node with so many peers keeps for itself.
const fn reserved(peers: usize, serves_http: bool) -> usize {
    let for_peers = if peers == 0 { 0 } else { RESERVED_PER_PEER * peers + MAX_STRANGERS };
    let for_http = if serves_http { http::MAX_CONNECTIONS + 1 } else { 0 };
    RESERVED_FOR_STORE + for_peers + for_http
}

/// Who may have the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shares {
    limit: u64,
    reserved: usize,
    wanted: usize,
    /// How many clients the node takes.
    pub(super) clients: usize,
}

impl Shares {
    /// Shares `limit` files out among a node with so many peers and its clients, of which `wanted` are to be taken.
    ///
    /// # Errors
    ///
    /// [`TooFewFiles`].
    pub(super) fn of(
        limit: u64,
        peers: usize,
        serves_http: bool,
        wanted: usize,
    ) -> Result<Self, TooFewFiles> {
        let reserved = reserved(peers, serves_http);
        let left = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(reserved);
        let least = LEAST_CLIENTS.min(wanted);
        if left < least {
            return Err(TooFewFiles { limit, needed: reserved + least, reserved });
        }
        Ok(Self { limit, reserved, wanted, clients: left.min(wanted) })
    }

    /// How many clients there may be where `wanted` are to be taken.
    pub(super) fn clients_of(self, wanted: usize) -> usize {
        usize::try_from(self.limit).unwrap_or(usize::MAX).saturating_sub(self.reserved).min(wanted)
    }

    /// Tells the log.
    pub(super) fn announce(self) {
        let Self { limit, reserved, wanted, clients } = self;
        if clients < wanted {
            warn!(
                limit,
                reserved,
                clients,
                "max.connections is {wanted}, and the limit of open files leaves room for {clients} clients; raise the limit \
                 (ulimit -n, LimitNOFILE= of systemd, --ulimit nofile= of docker)"
            );
        } else {
            info!(limit, reserved, clients, "files that may be open");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_as_high_as_it_may_be() {
        let raised = raise_limit();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert!(
            current.is_none_or(|current| current >= maximum.unwrap_or(ENOUGH)),
            "{current:?} {maximum:?}"
        );
        assert_eq!(current.unwrap_or(u64::MAX), raised);
    }

    #[test]
    fn clients_have_what_the_node_does_not_need() {
        let needs = reserved(2, true);
        let clients = |limit, wanted| Shares::of(limit, 2, true, wanted).unwrap().clients;
        assert_eq!(clients(20_000, 4_096), 4_096);
        assert_eq!(clients(256, 4_096), 256 - needs);
        assert!(256 - needs >= LEAST_CLIENTS, "256 files suffice for a node of three");
        assert_eq!(clients(u64::MAX, usize::MAX), usize::MAX - needs);
        assert_eq!(clients(needs as u64 + 3, 3), 3, "if no more clients are wanted");
    }

    #[test]
    fn a_limit_below_the_nodes_own_needs_is_refused() {
        let needs = reserved(2, true) + LEAST_CLIENTS;
        let refused = Shares::of(needs as u64 - 1, 2, true, 4_096).unwrap_err().to_string();
        assert!(refused.contains(&format!("needs {needs}")) && refused.contains("ulimit -n"), "{refused}");
        assert!(Shares::of(needs as u64, 2, true, 4_096).is_ok());
    }
}
