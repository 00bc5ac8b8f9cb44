//! Binding the addresses that a node listens on.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use thiserror::Error;
use tokio::time::Instant;
use tracing::info;

use crate::cli::host_port::HostPort;
use crate::cli::listener::Listener as ListenerOptions;
use crate::connection::Listener;
use crate::port::{self, PortError};

/// Why an address cannot be listened on. Names the flag that it came from.
#[derive(Debug, Error)]
pub(crate) enum BindError {
    /// One of `--listeners`.
    #[error("--listeners {name}: cannot listen on {address}: {error}")]
    Clients {
        /// The listener's name.
        name: String,
        /// The address.
        address: HostPort,
        /// What the operating system says, and who has the port.
        error: PortError,
    },
    /// The address for the other nodes.
    #[error("--peer-listener: cannot listen on {address}: {error}{}", elsewhere(.error))]
    Peers {
        /// The address.
        address: HostPort,
        /// What the operating system says, and who has the port.
        error: PortError,
    },
    /// The address of the HTTP port.
    #[error("--http-listener: cannot listen on {address}: {error}; choose another port, or off")]
    Http {
        /// The address.
        address: HostPort,
        /// What the operating system says, and who has the port.
        error: PortError,
    },
    /// A cluster of one listens for nobody, but needs a socket all the same.
    #[error("cannot listen on the loopback interface: {0}")]
    Loopback(#[source] io::Error),
}

/// What to do about an address for the other nodes that this machine does not have. It comes from `--peers` unless it
/// is set, and what leads to a machine from outside need not be what it has itself.
fn elsewhere(error: &PortError) -> &'static str {
    if error.source.kind() == ErrorKind::AddrInUse {
        return "";
    }
    "; by default it is this node's entry in --peers (is --node-id right?), and 0.0.0.0:PORT is every address"
}

/// Binds all client listeners. A port that is in use is tried until `deadline`, here and below.
pub(super) async fn clients(
    listeners: &[ListenerOptions],
    deadline: Instant,
) -> Result<Vec<Listener>, BindError> {
    let mut bound = Vec::with_capacity(listeners.len());
    for listener in listeners {
        bound.push(bind_listener(listener, deadline).await?);
    }
    Ok(bound)
}

/// Binds one listener on each of its hosts. Of several, those that this machine does not have are left out,
/// as long as it has one: `localhost` is bound on IPv4 alone where there is no IPv6.
async fn bind_listener(listener: &ListenerOptions, deadline: Instant) -> Result<Listener, BindError> {
    let mut sockets = Vec::with_capacity(listener.bind.len());
    let mut missing = None;
    for host in &listener.bind {
        let address = HostPort { host: host.clone(), port: listener.port };
        match port::listen(host, listener.port, deadline).await {
            Ok(socket) => sockets.push(socket),
            Err(error) => {
                let refused = BindError::Clients { name: listener.name.clone(), address, error };
                if !is_missing(&refused) {
                    return Err(refused);
                }
                missing = Some(refused);
            }
        }
    }
    match missing {
        Some(refused) if sockets.is_empty() => Err(refused),
        Some(refused) => {
            info!("going on without an address that this machine lacks: {refused}");
            Ok(Listener { name: Arc::from(listener.name.as_str()), sockets })
        }
        None => Ok(Listener { name: Arc::from(listener.name.as_str()), sockets }),
    }
}

/// Whether the machine has no such address, or none of its family.
fn is_missing(refused: &BindError) -> bool {
    let BindError::Clients { error, .. } = refused else { return false };
    // What a kernel without IPv6 answers has no kind of its own.
    const EAFNOSUPPORT: i32 = 97;
    error.source.kind() == ErrorKind::AddrNotAvailable || error.source.raw_os_error() == Some(EAFNOSUPPORT)
}

/// Binds the address for the other nodes; in a cluster of one, any free port that only this machine reaches.
pub(super) async fn peers(address: Option<&HostPort>, deadline: Instant) -> Result<TcpListener, BindError> {
    match address {
        Some(address) => port::listen(&address.host, address.port, deadline)
            .await
            .map_err(|error| BindError::Peers { address: address.clone(), error }),
        None => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(BindError::Loopback),
    }
}

/// Binds the address of the HTTP port.
pub(super) async fn http(address: &HostPort, deadline: Instant) -> Result<TcpListener, BindError> {
    port::listen(&address.host, address.port, deadline)
        .await
        .map_err(|error| BindError::Http { address: address.clone(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(bind: &[&str], port: u16) -> ListenerOptions {
        let advertised = HostPort { host: "localhost".into(), port };
        let bind = bind.iter().map(|host| (*host).to_owned()).collect();
        ListenerOptions { name: "PLAINTEXT".into(), bind, port, advertised }
    }

    /// A port that nobody uses, as far as one can tell.
    fn free_port() -> u16 {
        TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
    }

    #[tokio::test]
    async fn an_address_that_the_machine_lacks_is_left_out() {
        // 192.0.2.0/24 is for documentation: nobody has it.
        let bound =
            clients(&[listener(&["127.0.0.1", "192.0.2.1"], free_port())], Instant::now()).await.unwrap();
        assert_eq!(bound[0].sockets.len(), 1);
        let refused = clients(&[listener(&["192.0.2.1"], free_port())], Instant::now()).await.unwrap_err();
        assert!(
            refused.to_string().starts_with("--listeners PLAINTEXT: cannot listen on 192.0.2.1:"),
            "{refused}"
        );
    }

    #[tokio::test]
    async fn a_port_in_use_is_an_error() {
        let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let refused =
            clients(&[listener(&["127.0.0.1", "192.0.2.1"], port)], Instant::now()).await.unwrap_err();
        assert!(refused.to_string().contains(&format!("127.0.0.1:{port}")), "{refused}");
        let address = HostPort { host: "127.0.0.1".into(), port };
        assert!(http(&address, Instant::now()).await.unwrap_err().to_string().starts_with("--http-listener"));
        let refused = peers(Some(&address), Instant::now()).await.unwrap_err().to_string();
        assert!(refused.starts_with("--peer-listener") && !refused.contains("--peers"), "{refused}");
    }

    #[tokio::test]
    async fn a_peer_listener_that_is_not_here_names_where_it_comes_from() {
        let address = HostPort { host: "192.0.2.1".into(), port: free_port() };
        let refused = peers(Some(&address), Instant::now()).await.unwrap_err().to_string();
        assert!(refused.starts_with("--peer-listener: cannot listen on 192.0.2.1:"), "{refused}");
        assert!(refused.contains("--peers") && refused.contains("0.0.0.0:"), "{refused}");
    }
}
