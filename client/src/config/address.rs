//! Where a broker listens.

use std::fmt;

/// The port of a bootstrap server that names none.
const DEFAULT_PORT: u16 = 9092;

/// A host, by name or IP address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    /// The host name or IP address, an IPv6 address without brackets.
    pub(crate) host: String,
    /// The TCP port.
    pub(crate) port: u16,
}

impl Address {
    /// Reads a list of addresses, separated by commas. An entry without a port has 9092, as in librdkafka.
    pub(crate) fn parse_list(list: &str) -> Result<Vec<Self>, String> {
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let addresses = entries.map(Self::parse).collect::<Result<Vec<_>, _>>()?;
        if addresses.is_empty() {
            Err("host:port, or several with commas between".to_owned())
        } else {
            Ok(addresses)
        }
    }

    /// Reads `host`, `host:port`, `[ipv6]:port`, each with a protocol's name before it or not.
    fn parse(entry: &str) -> Result<Self, String> {
        let expected = || format!("host:port, and {entry:?} is not");
        // Java's listeners and librdkafka allow "PLAINTEXT://host:port".
        let plain = match entry.split_once("://") {
            Some((protocol, rest)) if protocol.eq_ignore_ascii_case("plaintext") => rest,
            Some(_) => {
                return Err(format!(
                    "host:port, and {entry:?} is not: security.protocol says whether it is TLS and SASL"
                ));
            }
            None => entry,
        };
        let (host, port) = if let Some(bracketed) = plain.strip_prefix('[') {
            let (host, rest) = bracketed.split_once(']').ok_or_else(expected)?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or_else(expected)?) })
        } else {
            match plain.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (plain, None),
            }
        };
        let port = port.map_or(Ok(DEFAULT_PORT), |port| port.parse().map_err(|_| expected()))?;
        let is_host = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c == '/');
        if port == 0 || !is_host {
            return Err(expected());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_hosts_and_ports() {
        let list = Address::parse_list("one:1, two ,[::1]:3,[::2],PLAINTEXT://five:5").unwrap();
        let printed: Vec<_> = list.iter().map(ToString::to_string).collect();
        assert_eq!(printed, ["one:1", "two:9092", "[::1]:3", "[::2]:9092", "five:5"]);
    }

    #[test]
    fn what_is_no_address_is_refused_by_name() {
        for wrong in [
            "",
            ",",
            "host:",
            ":1",
            "host:0",
            "host:65536",
            "host:x",
            "::1:9092",
            "[::1",
            "[::1]9",
            "SSL://a:1",
            "http://a/",
        ] {
            assert!(Address::parse_list(wrong).is_err(), "{wrong:?}");
        }
        let error = Address::parse_list("good:1,bad:port").unwrap_err();
        assert!(error.contains("\"bad:port\""), "{error}");
    }
}
