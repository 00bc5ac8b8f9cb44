//! `host:port`, as nodes and clients are told where to reach one another.
//!
//! The host stays text: a name is resolved when it is used, not when the flag is read, because the address behind a
//! name may change while a node runs (containers do that).

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// A host and a TCP port. IPv6 addresses are kept without their brackets and printed with them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostPort {
    /// A host name, an IPv4 address, or an IPv6 address without brackets. Never empty.
    pub(crate) host: String,
    /// From 1 to 65535.
    pub(crate) port: u16,
}

impl HostPort {
    /// An address to listen on that means "every address of this machine", which nobody else can connect to.
    pub(crate) fn is_wildcard(&self) -> bool {
        is_wildcard(&self.host)
    }

    /// Whether the host is this machine: a loopback address, or `localhost` (RFC 6761). Any other name may resolve to another
    /// machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.host.to_ascii_lowercase();
        match host.parse::<IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            Err(_) => host == "localhost" || host.ends_with(".localhost"),
        }
    }

    /// Where this machine reaches what listens on the address.
    pub(crate) fn reached_from_here(&self) -> Self {
        let host = match self.host.as_str() {
            "0.0.0.0" => "127.0.0.1",
            "::" => "::1",
            named => named,
        };
        Self { host: host.to_owned(), port: self.port }
    }
}

/// True of the hosts that stand for every address of the machine.
pub(crate) fn is_wildcard(host: &str) -> bool {
    matches!(host, "0.0.0.0" | "::")
}

/// Why a text is not `host:port`.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum HostPortError {
    /// There is no `:` that separates host and port, or brackets are not closed.
    #[error("{0:?} is not host:port, such as localhost:9092 or [::1]:9092")]
    Shape(String),
    /// The part before the port is empty.
    #[error("{0:?} has no host before the port")]
    NoHost(String),
    /// A host may be a name of letters, digits, `.`, `-` and `_`, an IPv4 address, or an IPv6 address in brackets.
    #[error("{0:?} is neither a host name nor an IPv4 address nor an IPv6 address in brackets")]
    Host(String),
    /// The port is no number from 1 to 65535.
    #[error("port {0:?} is not a number from 1 to 65535")]
    Port(String),
}

impl FromStr for HostPort {
    type Err = HostPortError;

    fn from_str(text: &str) -> Result<Self, HostPortError> {
        let (host, port) = split(text)?;
        if host.is_empty() {
            return Err(HostPortError::NoHost(text.to_owned()));
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Splits `host:port` and checks both. The host may be empty, which only a listener makes use of.
pub(super) fn split(text: &str) -> Result<(&str, u16), HostPortError> {
    let shape = || HostPortError::Shape(text.to_owned());
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once("]:").ok_or_else(shape)?;
            host.parse::<Ipv6Addr>().map_err(|_| HostPortError::Host(host.to_owned()))?;
            (host, port)
        }
        None => {
            let (host, port) = text.rsplit_once(':').ok_or_else(shape)?;
            if !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)) {
                return Err(HostPortError::Host(host.to_owned()));
            }
            (host, port)
        }
    };
    match port.parse::<u16>() {
        // `parse` would let a sign through.
        Ok(number) if number > 0 && !port.starts_with('+') => Ok((host, number)),
        _ => Err(HostPortError::Port(port.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_and_addresses_are_taken_as_written() {
        for (text, host, port) in [
            ("localhost:9092", "localhost", 9092),
            ("127.0.0.1:1", "127.0.0.1", 1),
            ("node-1.example:65535", "node-1.example", 65535),
            ("[::1]:9092", "::1", 9092),
        ] {
            let parsed: HostPort = text.parse().unwrap();
            assert_eq!((parsed.host.as_str(), parsed.port), (host, port));
            assert_eq!(parsed.to_string(), text);
        }
    }

    #[test]
    fn wrong_ones_say_what_is_wrong() {
        let error = |text: &str| text.parse::<HostPort>().unwrap_err();
        assert!(matches!(error("localhost"), HostPortError::Shape(_)));
        assert!(matches!(error(":9092"), HostPortError::NoHost(_)));
        assert!(matches!(error("a b:9092"), HostPortError::Host(_)));
        assert!(matches!(error("::1:9092"), HostPortError::Host(_)), "IPv6 needs its brackets");
        assert!(matches!(error("[::1:9092"), HostPortError::Shape(_)));
        assert!(matches!(error("[host]:9092"), HostPortError::Host(_)));
        for port in ["0", "65536", "-1", "+1", "", "http"] {
            assert_eq!(error(&format!("localhost:{port}")), HostPortError::Port(port.to_owned()));
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_parses_prints_the_same(text in ".{0,40}") {
            if let Ok(parsed) = text.parse::<HostPort>() {
                prop_assert_eq!(parsed.to_string().parse::<HostPort>().unwrap(), parsed);
            }
        }

        #[test]
        fn every_address_survives_the_round_trip(host in "[a-z0-9][a-z0-9._-]{0,20}", port in 1u16..) {
            let address = HostPort { host, port };
            prop_assert_eq!(address.to_string().parse::<HostPort>().unwrap(), address);
        }
    }
}
