//! Where the HTTP port listens: `host:port`, or `off`.

use std::net::Ipv4Addr;
use std::str::FromStr;

use super::host_port::{HostPort, HostPortError};

/// A node's HTTP port is the port of its first client listener plus this, unless told otherwise: nodes that share a
/// machine have different ports for clients, and so for this too.
pub(crate) const HTTP_PORT_DISTANCE: u16 = 2000;

/// The value of `--http-listener`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HttpListener {
    /// There is no HTTP port.
    Off,
    /// It listens there.
    On(HostPort),
}

impl HttpListener {
    /// Where it listens when nobody says: on the loopback interface. None if there is no such port.
    pub(crate) fn beside(client_port: u16) -> Option<Self> {
        let port = client_port.checked_add(HTTP_PORT_DISTANCE)?;
        Some(Self::On(HostPort { host: Ipv4Addr::LOCALHOST.to_string(), port }))
    }

    /// The address; none for `off`.
    pub(crate) fn into_address(self) -> Option<HostPort> {
        match self {
            Self::Off => None,
            Self::On(address) => Some(address),
        }
    }
}

impl FromStr for HttpListener {
    type Err = HostPortError;

    fn from_str(text: &str) -> Result<Self, HostPortError> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse().map(Self::On)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_off_or_an_address() {
        assert_eq!("off".parse(), Ok(HttpListener::Off));
        let address = "0.0.0.0:9644".parse::<HttpListener>().unwrap().into_address().unwrap();
        assert_eq!(address.to_string(), "0.0.0.0:9644");
        assert!("9644".parse::<HttpListener>().is_err());
    }

    #[test]
    fn it_is_on_loopback_beside_the_clients() {
        let beside = |port| HttpListener::beside(port).and_then(HttpListener::into_address);
        assert_eq!(beside(9092).unwrap().to_string(), "127.0.0.1:11092");
        assert_eq!(beside(63_536), None);
    }
}
