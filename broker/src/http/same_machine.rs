//! Whether a request that changes something comes from a program on this machine, and not from a web page in a browser on it.
//!
//! A browser on the node's machine connects from a loopback address, whatever page it shows. Two things tell its requests
//! apart:
//!
//! * Browsers name the page that a request comes from in `Origin` with every method but GET and HEAD. This port has no pages,
//!   so nobody has a reason to send that.
//! * A page whose name its owner's DNS server first resolves to the owner's server and then to this machine (DNS rebinding) is
//!   of the same origin as this port for the browser. Then `Host` holds that name. A name is needed for that: an IP address
//!   and `localhost` are not resolved by anybody's server.
//!
//! Requests that only read are not checked, as Prometheus scrapes under any name.

use std::net::IpAddr;

use hyper::HeaderMap;
use hyper::header::{HOST, ORIGIN};

/// Why a request with these headers must not change anything; none if it may. `own_name` is a name under which the port
/// may be addressed beside `localhost`.
pub(super) fn refusal(headers: &HeaderMap, own_name: &str) -> Option<&'static str> {
    if headers.contains_key(ORIGIN) {
        return Some("a request with an Origin header comes from a web page, which changes nothing here\n");
    }
    let mut hosts = headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok(),
        _ => None,
    };
    if host.is_some_and(|host| is_here(host, own_name)) {
        return None;
    }
    Some(
        "the Host header must be an IP address, localhost or the name in --http-listener, with or without a port\n",
    )
}

fn is_here(host: &str, own_name: &str) -> bool {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, "")) => address,
        Some((address, port)) if port.strip_prefix(':').is_some_and(is_port) => address,
        Some(_) => return false,
        None => match host.rsplit_once(':') {
            Some((name, port)) if is_port(port) => name,
            Some(_) => return false,
            None => host,
        },
    };
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || (!own_name.is_empty() && name.eq_ignore_ascii_case(own_name))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn refused(hosts: &[&str], origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, HeaderValue::from_str(host).unwrap());
        }
        if let Some(origin) = origin {
            headers.insert(ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        refusal(&headers, "broker-1").is_some()
    }

    #[test]
    fn addresses_and_known_names_are_here() {
        for host in [
            "localhost",
            "LOCALHOST:11092",
            "127.0.0.1:11092",
            "10.1.2.3",
            "[::1]:11092",
            "[::1]",
            "Broker-1:1",
        ] {
            assert!(!refused(&[host], None), "{host}");
        }
    }

    #[test]
    fn other_names_are_not() {
        for host in [
            "",
            "evil.example",
            "evil.example:11092",
            "localhost.evil.example",
            "127.0.0.1.evil.example:1",
            "[::1]x",
        ] {
            assert!(refused(&[host], None), "{host}");
        }
        assert!(refused(&[], None) && refused(&["localhost", "localhost"], None));
    }

    #[test]
    fn web_pages_are_refused_even_those_of_the_same_origin() {
        for origin in ["http://evil.example", "http://localhost:11092", "null"] {
            assert!(refused(&["localhost:11092"], Some(origin)), "{origin}");
        }
    }
}
