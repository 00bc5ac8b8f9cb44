//! `trilog health`: the flags of the question whether a node can be used.
//!
//! Where the node listens and which topics it makes come from the same variables as with `trilog serve`, so that in the
//! node's own environment, a container's say, the command needs no flag.

use std::time::Duration;

use clap::Args;

use super::create_topics::CreateTopicsArgs;
use super::host_port::HostPort;
use super::http_listener::HttpListener;
use super::listener::ListenerList;

/// Whom to ask, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HealthOptions {
    /// Where the node listens for clients.
    pub(crate) address: HostPort,
    /// Where the node's HTTP port listens, if it is this environment's node and has one.
    pub(crate) http: Option<HostPort>,
    /// Topics that have to exist.
    pub(crate) topics: Vec<String>,
    /// How long the node may take to answer everything.
    pub(crate) timeout: Duration,
}

#[derive(Clone, Debug, Args)]
pub(super) struct HealthArgs {
    /// Where the node listens for clients [default: the first of --listeners, as reached from this machine].
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<HostPort>,

    /// How many seconds the node may take to answer.
    #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,

    /// The listeners of the node, as it was given them.
    #[arg(long, env = "TRILOG_LISTENERS", default_value = "PLAINTEXT://localhost:9092", value_name = "LIST")]
    listeners: ListenerList,

    /// Where the node answers over HTTP, or off, as it was given it. Not asked with --address.
    #[arg(long, env = "TRILOG_HTTP_LISTENER", value_name = "HOST:PORT|off")]
    http_listener: Option<HttpListener>,

    /// Topics that have to exist, as the node was given them.
    #[command(flatten)]
    topics: CreateTopicsArgs,
}

impl HealthArgs {
    pub(super) fn into_options(self) -> HealthOptions {
        let own = self.listeners.reached_from_here();
        let http = self.http_listener.or_else(|| HttpListener::beside(own.port));
        let http = http.and_then(HttpListener::into_address).filter(|_| self.address.is_none());
        HealthOptions {
            http: http.as_ref().map(HostPort::reached_from_here),
            address: self.address.unwrap_or(own),
            topics: self.topics.into_names(),
            timeout: Duration::from_secs(self.timeout),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Invocation, invoke};
    use super::*;

    fn health(flags: &[&str]) -> HealthOptions {
        match invoke(&[&["health"], flags].concat()) {
            Ok(Invocation::Health(options)) => options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_node_is_asked_where_it_listens() {
        for (listeners, address) in [
            ("PLAINTEXT://localhost:9092", "localhost:9092"),
            ("A://0.0.0.0:9093,B://10.0.0.1:1", "127.0.0.1:9093"),
            ("A://[::]:9094", "[::1]:9094"),
            ("A://10.0.0.1:9095", "10.0.0.1:9095"),
        ] {
            assert_eq!(health(&["--listeners", listeners]).address.to_string(), address);
        }
        let told = health(&["--listeners", "A://0.0.0.0:9093", "--address", "elsewhere:1"]);
        assert_eq!(told.address.to_string(), "elsewhere:1");
    }

    #[test]
    fn its_http_port_is_asked_unless_the_node_is_elsewhere() {
        let http = |flags: &[&str]| health(flags).http.map(|address| address.to_string());
        assert_eq!(http(&[]).as_deref(), Some("127.0.0.1:11092"));
        assert_eq!(http(&["--http-listener", "0.0.0.0:9644"]).as_deref(), Some("127.0.0.1:9644"));
        assert_eq!(http(&["--http-listener", "off"]), None);
        assert_eq!(http(&["--address", "elsewhere:1"]), None);
    }

    #[test]
    fn no_flag_is_needed() {
        let options = health(&[]);
        assert_eq!(options.address.to_string(), "localhost:9092");
        assert_eq!((options.topics.len(), options.timeout), (0, Duration::from_secs(5)));
    }
}
