//! Where a node listens for clients and under which addresses it tells them to come: Kafka's `listeners` and
//! `advertised.listeners`.
//!
//! Both flags hold `NAME://host:port,…`. The names tie them together: a client is answered with the advertised address
//! of the very listener it came in on, so that one node can serve clients inside and outside a container network.
//! Encrypted listeners are refused rather than served in plain text under a name that promises otherwise.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::host_port::{self, HostPort, HostPortError};

/// One listener of this node, ready to be bound and advertised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listener {
    /// The listener's name in upper case, unique within the node.
    pub(crate) name: String,
    /// The hosts to bind, each with `port`. `localhost` stands for both `127.0.0.1` and `::1`, in this order, because
    /// librdkafka tries `::1` first; on a machine without IPv6 the second one may fail.
    pub(crate) bind: Vec<String>,
    /// The TCP port, from 1 to 65535.
    pub(crate) port: u16,
    /// Where clients of this listener are told to connect. Never a wildcard.
    pub(crate) advertised: HostPort,
}

/// One `NAME://host:port` as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    name: String,
    /// An empty host, Kafka's notation for every address, is kept as `0.0.0.0`.
    address: HostPort,
}

/// The value of `--listeners` or `--advertised-listeners`: at least one entry, no name twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListenerList(Vec<Entry>);

/// Why a list of listeners, or two of them together, cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum ListenerError {
    /// An entry lacks its name.
    #[error("{0:?} is not NAME://host:port, such as PLAINTEXT://localhost:9092")]
    Shape(String),
    /// A name holds letters, digits, `_` and `-`, and begins with a letter.
    #[error("listener name {0:?} may hold letters, digits, _ and - only, and begins with a letter")]
    Name(String),
    /// The name is a security protocol that is not spoken.
    #[error("{0} is not supported: listeners speak PLAINTEXT, under that name or one of your own")]
    Encrypted(String),
    /// The part after `://` is wrong.
    #[error("{name}: {error}")]
    Address {
        /// The listener's name.
        name: String,
        /// What is wrong with its address.
        error: HostPortError,
    },
    /// Two entries bear one name.
    #[error("listener {0} is named twice")]
    NameTwice(String),
    /// Two listeners want one port.
    #[error("--listeners: port {0} is given twice; each listener needs a port of its own")]
    PortTwice(u16),
    /// A listener on every address says nothing about how clients reach it.
    #[error(
        "--listeners: {0} listens on every address; --advertised-listeners has to say which one clients are given, \
         such as {0}://{1}"
    )]
    NotAdvertised(String, HostPort),
    /// A wildcard was to be advertised.
    #[error("--advertised-listeners: {0} is every address of a machine, which clients cannot connect to")]
    Wildcard(HostPort),
    /// An advertised name is not listened on.
    #[error("--advertised-listeners: {name} is not among --listeners ({known})")]
    Unknown {
        /// The name that has no listener.
        name: String,
        /// The names that do.
        known: String,
    },
}

impl FromStr for Entry {
    type Err = ListenerError;

    fn from_str(text: &str) -> Result<Self, ListenerError> {
        let (name, address) = text.split_once("://").ok_or_else(|| ListenerError::Shape(text.to_owned()))?;
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if !name.starts_with(|first: char| first.is_ascii_alphabetic()) || !name.bytes().all(legal) {
            return Err(ListenerError::Name(name.to_owned()));
        }
        let name = name.to_ascii_uppercase();
        if matches!(name.as_str(), "SSL" | "SASL_PLAINTEXT" | "SASL_SSL") {
            return Err(ListenerError::Encrypted(name));
        }
        match host_port::split(address) {
            Ok((host, port)) => {
                let host = if host.is_empty() { "0.0.0.0" } else { host };
                Ok(Self { name, address: HostPort { host: host.to_owned(), port } })
            }
            Err(error) => Err(ListenerError::Address { name, error }),
        }
    }
}

impl FromStr for ListenerList {
    type Err = ListenerError;

    fn from_str(text: &str) -> Result<Self, ListenerError> {
        let entries = text.split(',').map(str::parse).collect::<Result<Vec<Entry>, _>>()?;
        for (position, entry) in entries.iter().enumerate() {
            if entries[..position].iter().any(|other| other.name == entry.name) {
                return Err(ListenerError::NameTwice(entry.name.clone()));
            }
        }
        assert!(!entries.is_empty(), "splitting a text yields at least one piece");
        Ok(Self(entries))
    }
}

impl fmt::Display for ListenerList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, entry) in self.0.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(f, "{comma}{}://{}", entry.name, entry.address)?;
        }
        Ok(())
    }
}

impl ListenerList {
    /// Where a client on the same machine reaches the first listener.
    pub(super) fn reached_from_here(&self) -> HostPort {
        self.0.first().expect("there is at least one entry").address.reached_from_here()
    }

    /// Joins what is listened on with what is advertised. A listener that is not advertised is reached at the address
    /// it listens on, which a wildcard is not.
    ///
    /// # Errors
    ///
    /// Refuses, naming the flag, what would leave a client with an address that it cannot use.
    pub(crate) fn advertised_as(self, advertised: Option<Self>) -> Result<Vec<Listener>, ListenerError> {
        let advertised = advertised.map_or_else(Vec::new, |list| list.0);
        for entry in &advertised {
            if !self.0.iter().any(|listener| listener.name == entry.name) {
                let known =
                    self.0.iter().map(|listener| listener.name.as_str()).collect::<Vec<_>>().join(", ");
                return Err(ListenerError::Unknown { name: entry.name.clone(), known });
            }
            if entry.address.is_wildcard() {
                return Err(ListenerError::Wildcard(entry.address.clone()));
            }
        }
        let mut listeners: Vec<Listener> = Vec::with_capacity(self.0.len());
        for Entry { name, address } in self.0 {
            if listeners.iter().any(|other| other.port == address.port) {
                return Err(ListenerError::PortTwice(address.port));
            }
            let told = advertised.iter().find(|entry| entry.name == name).map(|entry| &entry.address);
            let advertised = match told {
                Some(told) => told.clone(),
                None if address.is_wildcard() => {
                    let example = HostPort { host: "HOST".to_owned(), port: address.port };
                    return Err(ListenerError::NotAdvertised(name, example));
                }
                None => address.clone(),
            };
            let bind = match address.host.as_str() {
                "localhost" => vec!["127.0.0.1".to_owned(), "::1".to_owned()],
                _ => vec![address.host],
            };
            listeners.push(Listener { name, bind, port: address.port, advertised });
        }
        Ok(listeners)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn join(listeners: &str, advertised: Option<&str>) -> Result<Vec<Listener>, ListenerError> {
        listeners.parse::<ListenerList>()?.advertised_as(advertised.map(str::parse).transpose()?)
    }

    #[test]
    fn a_listener_is_reached_where_it_listens_unless_told_otherwise() {
        let two = join("PLAINTEXT://10.0.0.1:9092,outside://:9094", Some("OUTSIDE://broker.example:19094"))
            .unwrap();
        assert_eq!(two[0].advertised.to_string(), "10.0.0.1:9092");
        assert_eq!(two[0].bind, ["10.0.0.1"]);
        assert_eq!((two[1].name.as_str(), two[1].port), ("OUTSIDE", 9094));
        assert_eq!(two[1].bind, ["0.0.0.0"], "an empty host is every address");
        assert_eq!(two[1].advertised.to_string(), "broker.example:19094");
    }

    #[test]
    fn localhost_is_both_families() {
        let one = join("PLAINTEXT://localhost:9092", None).unwrap();
        assert_eq!(one[0].bind, ["127.0.0.1", "::1"]);
        assert_eq!(one[0].advertised.to_string(), "localhost:9092");
    }

    #[test]
    fn no_wildcard_is_ever_advertised() {
        for wildcard in ["PLAINTEXT://0.0.0.0:9092", "PLAINTEXT://:9092", "PLAINTEXT://[::]:9092"] {
            let refused = join(wildcard, None).unwrap_err();
            assert!(matches!(refused, ListenerError::NotAdvertised(..)), "{refused}");
            assert!(refused.to_string().contains("--advertised-listeners"));
            let refused = join("PLAINTEXT://localhost:9092", Some(wildcard)).unwrap_err();
            assert!(matches!(refused, ListenerError::Wildcard(_)), "{refused}");
        }
    }

    #[test]
    fn wrong_lists_are_refused() {
        let refused = |listeners, advertised| join(listeners, advertised).unwrap_err();
        assert!(matches!(refused("", None), ListenerError::Shape(_)));
        assert!(matches!(refused("localhost:9092", None), ListenerError::Shape(_)));
        assert!(matches!(refused("PLAINTEXT://localhost:9092,", None), ListenerError::Shape(_)));
        assert!(matches!(refused("1A://localhost:9092", None), ListenerError::Name(_)));
        assert!(matches!(refused("ssl://localhost:9092", None), ListenerError::Encrypted(_)));
        assert!(matches!(refused("A://localhost", None), ListenerError::Address { .. }));
        assert!(matches!(refused("A://h:1,a://h:2", None), ListenerError::NameTwice(_)));
        assert!(matches!(refused("A://h:1,B://h:1", None), ListenerError::PortTwice(1)));
        assert!(matches!(refused("A://h:1", Some("B://h:1")), ListenerError::Unknown { .. }));
    }

    proptest! {
        #[test]
        fn no_text_panics(listeners in "[A-Z:/,.0-9\\[\\]a]{0,60}", advertised in proptest::option::of(".{0,30}")) {
            if let Ok(joined) = join(&listeners, advertised.as_deref()) {
                prop_assert!(joined.iter().all(|listener| !listener.advertised.is_wildcard()));
            }
        }

        #[test]
        fn a_list_prints_as_it_parses(entries in proptest::collection::vec(("[A-Z][A-Z0-9_-]{0,8}", "[a-z]{1,9}", 1u16..), 1..4)) {
            let text = entries.iter().map(|(name, host, port)| format!("{name}://{host}:{port}")).collect::<Vec<_>>().join(",");
            if let Ok(list) = text.parse::<ListenerList>() {
                prop_assert_eq!(list.to_string(), text);
            }
        }
    }
}
